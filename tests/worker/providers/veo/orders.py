"""Orders as the step makes them."""

import json
from dataclasses import replace
from typing import Any, Protocol

from tests.simulators.vendors import Vendors
from worker.models import VideoModel
from worker.ports import ClipRequest
from worker.providers.google_credentials import KeyReader
from worker.providers.veo import VeoRenderer

ORDER = ClipRequest(
    intent_id="intent-1",
    prefix="ai-video/Video.1/run-1/renders/002/intent-1/",
    scene_index=2,
    scene_count=8,
    prompt="Wide shot of a lighthouse keeper who climbs a spiral stair",
    negative_prompt="text, watermark",
    narration="the keeper climbed the stairs",
    seconds=4.0,
    beat_seconds=3.5,
    start_seconds=7.0,
    aspect_ratio="16:9",
    seed=7,
    words_key=None,
)


class MakeRenderer(Protocol):
    """Makes a renderer that speaks to the simulators."""

    def __call__(
        self,
        model: VideoModel = ...,
        *,
        output_uri: str | None = ...,
        location: str = ...,
        url: str | None = ...,
    ) -> VeoRenderer:
        """One that is closed after the test."""


def order(**changes: Any) -> ClipRequest:  # noqa: ANN401  any field of the request
    """An order that differs in some fields."""
    return replace(ORDER, **changes)


def key_of(vendors: Vendors) -> KeyReader:
    """The key of the simulated service account."""

    def read(*, refresh: bool) -> str:
        return json.dumps(vendors.google.service_account_info(vendors.url))

    return read
