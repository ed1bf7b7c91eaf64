"""A server in this process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.local.server.premises import Premises, premises


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Premises]:
    """A server over an empty home."""
    with premises(tmp_path) as made:
        yield made
