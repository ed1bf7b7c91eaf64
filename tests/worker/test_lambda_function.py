import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from statemachine import Event, TurnResult
from statemachine.errors import StoreUnavailableError
from statemachine.sweeper import SweepReport
from worker import lambda_function, telemetry

SCHEDULE = {"source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": {}}
TURN = {"execution_id": "job-1", "version": 3}
REPORT = SweepReport(
    dispatched=2, failed=0, oldest_lateness=timedelta(seconds=1), queries=3, failed_queries=0, seconds=0.5
)


class FakeContext:
    """An invocation with 14 minutes left."""

    def get_remaining_time_in_millis(self) -> int:
        return 840_000


class FakeEngine:
    """Remembers the turns that it was asked for."""

    def __init__(self) -> None:
        self.turns: list[tuple[Event, timedelta | None]] = []
        self.error: Exception | None = None

    def run_turn(self, event: Event, *, time_left: timedelta | None = None) -> TurnResult:
        self.turns.append((event, time_left))
        if self.error:
            raise self.error
        return TurnResult("ignored", event, reason="stale")


class FakeSweeper:
    """Remembers how it was asked to sweep."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def sweep(self, *, time_left: timedelta | None = None) -> SweepReport:
        self.calls.append("stay")
        return REPORT

    def sweep_once(self) -> SweepReport:
        self.calls.append("once")
        return REPORT


class FakeApi:
    """Remembers the requests that it was given."""

    def __init__(self) -> None:
        self.events: list[object] = []

    def answer(self, event: object) -> dict[str, Any]:
        self.events.append(event)
        return {"statusCode": 204}


class FakeWorker:
    """The parts that the function asks for."""

    def __init__(self, *, due_index: str = "ai_due") -> None:
        self.engine = FakeEngine()
        self.sweeper = FakeSweeper()
        self.settings = type("Settings", (), {"due_index": due_index})()


Call = Callable[[object], dict[str, Any]]


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeWorker]:
    fake = FakeWorker()
    monkeypatch.setattr(lambda_function, "worker", lambda: fake)
    telemetry.logger.cache_clear()
    telemetry.metrics.cache_clear()
    yield fake
    telemetry.logger.cache_clear()
    telemetry.metrics.cache_clear()


def call(event: object) -> dict[str, Any]:
    assert isinstance(event, dict)
    return lambda_function.handler(event, FakeContext())


def test_a_self_invocation_takes_one_turn_and_knows_the_time_that_is_left(worker: FakeWorker) -> None:
    answer = call(TURN)

    assert worker.engine.turns == [(Event("job-1", 3), timedelta(minutes=14))]
    assert answer == {"execution_id": "job-1", "version": 3, "turn": "ignored"}


@pytest.mark.parametrize(("due_index", "how"), [("ai_due", "stay"), ("", "once")])
def test_the_schedule_sweeps_and_stays_only_where_an_index_makes_queries_cheap(
    worker: FakeWorker, due_index: str, how: str
) -> None:
    worker.settings.due_index = due_index

    answer = call(SCHEDULE)

    assert worker.sweeper.calls == [how]
    assert answer == {"dispatched": 2, "failed": 0}


@pytest.mark.parametrize(
    "event",
    [
        {"httpMethod": "GET", "path": "/ai-video", "requestContext": {"stage": "prod"}},
        {"version": "2.0", "requestContext": {"http": {"method": "GET"}}},
    ],
    ids=["REST API", "HTTP API"],
)
def test_api_requests_are_told_apart_and_answered_as_http(
    worker: FakeWorker, event: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = FakeApi()
    monkeypatch.setattr(lambda_function, "api", lambda: api)

    answer = call(event)

    assert answer == {"statusCode": 204}
    assert api.events == [event]
    assert worker.engine.turns == []


def test_the_function_builds_the_api_from_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is signed in here, so the answer comes before the table is asked for anything."""
    monkeypatch.setenv("AI_VIDEO_API_PATH", "/made/by/ai")
    lambda_function.worker.cache_clear()
    lambda_function.api.cache_clear()

    answer = call({"httpMethod": "GET", "path": "/made/by/ai", "headers": {}, "requestContext": {"stage": "prod"}})

    assert json.loads(answer["body"])["code"] == "UNAUTHENTICATED"
    lambda_function.worker.cache_clear()
    lambda_function.api.cache_clear()


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"Records": [{"eventSource": "aws:s3"}]},
        {"execution_id": "job-1"},
        {"execution_id": "job-1", "version": "3"},
        {"execution_id": "job-1", "version": True},
        {"execution_id": "", "version": 1},
        {"source": "aws.s3", "detail-type": "Object Created"},
    ],
)
def test_an_unknown_event_is_logged_by_its_keys_and_refused_without_an_exception(
    worker: FakeWorker, event: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    answer = call(event)

    assert answer == {"error": "unknown event"}
    assert worker.engine.turns == []
    (logged,) = [record for record in caplog.records if record.getMessage() == "unknown event"]
    assert logged.__dict__["keys"] == sorted(event)


def test_a_store_that_fails_is_no_exception_because_lambda_would_repeat_it(
    worker: FakeWorker, capsys: pytest.CaptureFixture[str]
) -> None:
    worker.engine.error = StoreUnavailableError("throttled")

    answer = call(TURN)

    assert answer == {"error": "store unavailable"}
    assert "StoreErrors" in capsys.readouterr().out


def test_a_sweep_prints_its_metrics_in_the_embedded_format(
    worker: FakeWorker, capsys: pytest.CaptureFixture[str]
) -> None:
    call(SCHEDULE)

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    metrics = next(line for line in lines if "_aws" in line)
    assert metrics["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "AiVideo"
    assert metrics["OldestDueSeconds"] == [1.0]
    assert metrics["SweepDispatched"] == [2.0]


def test_importing_the_function_loads_none_of_the_heavy_libraries() -> None:
    """Every cold self-invocation pays for what is imported here; each of these costs 60 ms to 2 s."""
    code = "import sys, worker.lambda_function; print(' '.join(sorted({name.split('.')[0] for name in sys.modules})))"

    loaded = subprocess.run(  # noqa: S603  this interpreter, a fixed text
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()

    heavy = {"openai", "google", "av", "PIL", "pocketsphinx", "rich", "typer", "sqlite3", "httpx", "httpx2"}
    assert heavy.isdisjoint(loaded)
