"""The API over fakes that behave: a store in memory, a probe and a signer that answer what they are told."""

import pytest

from tests.worker.handlers.api.desk import Desk


@pytest.fixture
def desk() -> Desk:
    """An API with one video of Ada's, and nobody's job on it."""
    return Desk()
