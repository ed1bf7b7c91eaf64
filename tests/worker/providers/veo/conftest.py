"""A renderer that speaks to the simulators through Google's SDK."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest

from statemachine.testing.clock import VirtualClock
from tests.simulators.fixtures import vendors
from tests.simulators.vendors import Vendors
from tests.worker.providers.veo.orders import MakeRenderer, key_of
from worker.models import VEO_3_1_FAST, VideoModel
from worker.providers.google_credentials import from_key
from worker.providers.veo import VeoRenderer, VertexProject

__all__ = ["vendors"]


@pytest.fixture
def vendor_clock() -> VirtualClock:
    """A day on which Veo 2 is retired and its successors are not."""
    return VirtualClock(datetime(2026, 11, 22, 12, tzinfo=UTC))


@pytest.fixture
def make_renderer(vendors: Vendors, vendor_clock: VirtualClock) -> Iterator[MakeRenderer]:
    """Makes renderers and closes them."""
    with ExitStack() as closing:

        def make(
            model: VideoModel = VEO_3_1_FAST,
            *,
            output_uri: str | None = "gs://clips",
            location: str = "us-central1",
            url: str | None = None,
        ) -> VeoRenderer:
            renderer = VeoRenderer(
                model,
                place=VertexProject("proj-1", location, url or vendors.url, vendors.url),
                tokens=from_key(key_of(vendors)),
                output_uri=output_uri,
                allow_inline=output_uri is None,
                clock=vendor_clock,
            )
            closing.callback(renderer.close)
            return renderer

        yield make


@pytest.fixture
def renderer(make_renderer: Callable[[], VeoRenderer]) -> VeoRenderer:
    """With a bucket, as it is meant to run."""
    return make_renderer()
