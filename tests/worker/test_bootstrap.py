from datetime import timedelta
from typing import Any

import pytest

from statemachine.memory import MemoryDispatcher, MemoryStore
from tests.worker.fakes import job_data
from worker.bootstrap import Worker
from worker.settings import Settings


class OneProcess(Worker):
    """The function's worker, with a store and a queue in memory."""

    store = MemoryStore()
    dispatcher = MemoryDispatcher()


@pytest.fixture
def worker() -> OneProcess:
    OneProcess.store, OneProcess.dispatcher = MemoryStore(), MemoryDispatcher()
    return OneProcess(Settings(transcriber="aws", planner="openai", renderer="veo", media="s3", bucket="b"))


def test_a_job_can_be_started_and_cancelled_while_no_vendor_is_configured(worker: OneProcess) -> None:
    """A cancel needs no vendor; on the night when a setting is wrong, it has to work all the same."""
    worker.engine.start("job-1", job_data())

    cancelled = worker.engine.signal("job-1", "cancelled")

    assert cancelled.status == "failed"


def test_a_part_that_cannot_be_built_fails_the_job_that_wanted_it_with_the_reason(worker: OneProcess) -> None:
    data: dict[str, Any] = job_data()
    data["recording"]["duration_seconds"] = 20.0
    worker.engine.start("job-1", data)
    here: Any = worker
    here.__dict__["settings"] = Settings(transcriber="sphinx", media="s3", bucket="b")

    result = worker.engine.run_turn(here.dispatcher.events.popleft(), time_left=timedelta(minutes=14))

    assert result.execution is not None
    assert result.execution.failure is not None
    assert (result.kind, result.execution.failure.code) == ("failed", "PART_UNAVAILABLE")


def test_a_table_with_numbers_as_keys_has_no_control_row_and_does_without(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker(Settings(renderer="veo", partition_key_type="N"))

    assert worker.quota is None
    assert "do not share the quota" in caplog.text


@pytest.mark.parametrize(("granted", "per_minute"), [(None, 50), (120, 120)])
def test_a_quota_that_the_vendor_raised_is_a_setting(granted: int | None, per_minute: int) -> None:
    worker = Worker(Settings(renderer="veo", veo_model="veo-3.1-fast-generate-001", veo_per_minute=granted))

    assert worker.model.per_minute == per_minute
    assert worker.profile.per_minute == per_minute
