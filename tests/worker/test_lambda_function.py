import contextlib
import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

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
    monkeypatch.setattr(lambda_function, "engine", lambda: fake.engine)
    monkeypatch.setattr(lambda_function, "foundation", lambda: fake)
    telemetry.logger.cache_clear()
    telemetry.metrics.cache_clear()
    yield fake
    telemetry.logger.cache_clear()
    telemetry.metrics.cache_clear()


def forget() -> None:
    """Be a new execution environment."""
    for part in (lambda_function.foundation, lambda_function.worker, lambda_function.engine, lambda_function.api):
        part.cache_clear()


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


def test_turns_requests_and_sweeps_of_one_environment_share_their_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**UNREACHABLE, "AI_VIDEO_DUE_INDEX": "ai_due"}.items():
        monkeypatch.setenv(name, value)
    forget()

    sweeping, working = lambda_function.foundation(), lambda_function.worker()

    assert working.clients is sweeping.clients
    assert working.settings is sweeping.settings
    forget()


def test_settings_that_are_wrong_are_read_anew_at_the_next_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is frozen for an event that fails: it would never be freed, and there may be many."""
    monkeypatch.setenv("AI_VIDEO_DUE_SHARDS", "0")
    forget()
    frozen = gc.get_freeze_count()

    with pytest.raises(ValidationError):
        lambda_function.worker()

    assert gc.get_freeze_count() == frozen
    monkeypatch.delenv("AI_VIDEO_DUE_SHARDS")
    assert lambda_function.worker().settings.due_shards == 4
    forget()


@pytest.mark.parametrize("due_shards", ["4", "0"], ids=["built", "refused"])
def test_garbage_is_collected_again_whether_or_not_the_parts_could_be_built(
    due_shards: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AI_VIDEO_DUE_SHARDS", due_shards)
    forget()

    with contextlib.suppress(ValidationError):
        lambda_function.worker()

    assert gc.isenabled()
    forget()


def test_the_function_builds_the_api_from_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is signed in here, so the answer comes before the table is asked for anything."""
    monkeypatch.setenv("AI_VIDEO_API_PATH", "/made/by/ai")
    forget()

    answer = call({"httpMethod": "GET", "path": "/made/by/ai", "headers": {}, "requestContext": {"stage": "prod"}})

    assert json.loads(answer["body"])["code"] == "UNAUTHENTICATED"
    forget()


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


# Asked in a fresh interpreter: what is loaded here was loaded by other tests.
LOOK = """
import sys
from worker.lambda_function import handler

class Context:
    def get_remaining_time_in_millis(self):
        return 60_000

answer = handler({event}, Context())
print("answer", answer)
print("loaded", *sys.modules)
"""

# The table is out of reach in these, and everything before that was loaded all the same.
UNREACHABLE = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_MAX_ATTEMPTS": "1",
    "AWS_LAMBDA_FUNCTION_NAME": "ai-video",
    "AI_VIDEO_DUE_INDEX": "",
    "AI_VIDEO_BUCKET": "bucket",
    "AI_VIDEO_MEDIA": "s3",
    "AI_VIDEO_TRANSCRIBER": "aws",
    "AI_VIDEO_PLANNER": "openai",
    "AI_VIDEO_RENDERER": "veo",
}

HEAVY = {"openai", "google", "av", "PIL", "pocketsphinx", "rich", "typer", "sqlite3", "httpx", "httpx2"}


def loaded_by(code: str) -> tuple[list[str], set[str]]:
    """What `code` prints in a fresh interpreter, and, from its last line, the modules that it has loaded."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **UNREACHABLE}
    lines = subprocess.run(  # noqa: S603  this interpreter, fixed texts
        [sys.executable, "-S", "-c", code],  # without `site`, whose .pth files load `google` in the name of nobody
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    return lines[:-1], set(lines[-1].split())


def roots(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_importing_the_function_loads_none_of_the_heavy_libraries() -> None:
    """Every cold self-invocation pays for what is imported here; each of these costs 60 ms to 2 s."""
    _, loaded = loaded_by("import sys, worker.lambda_function; print(*sys.modules)")

    assert "worker.lambda_function" in loaded
    assert HEAVY.isdisjoint(roots(loaded))


def test_importing_the_function_loads_nothing_of_what_a_job_is() -> None:
    """A sweep needs none of it, and a turn and a request each another part."""
    _, loaded = loaded_by("import sys, worker.lambda_function; print(*sys.modules)")

    ours = {name for name in loaded if name.partition(".")[0] == "worker"}
    assert ours == {
        "worker",
        "worker.engine_build",
        "worker.foundation",
        "worker.garbage",
        "worker.handlers",
        "worker.handlers.step",
        "worker.handlers.sweep",
        "worker.lambda_function",
        "worker.models",
        "worker.settings",
        "worker.telemetry",
    }


def test_a_sweep_loads_nothing_but_the_table() -> None:
    lines, loaded = loaded_by(LOOK.format(event=SCHEDULE))

    assert "answer {'dispatched': 0, 'failed': 0}" in lines
    assert "statemachine.aws.dynamodb_store" in loaded
    assert {"worker.job", "worker.ports", "worker.bootstrap", "worker.pipeline", "worker.handlers.api"}.isdisjoint(
        loaded
    )
    assert HEAVY.isdisjoint(roots(loaded))


def test_a_turn_loads_the_pipeline_and_no_api_and_no_vendors_sdk() -> None:
    """The step that uses a vendor loads it; this turn ends at the lease."""
    lines, loaded = loaded_by(LOOK.format(event=TURN))

    assert "answer {'error': 'store unavailable'}" in lines
    assert {"worker.bootstrap", "worker.pipeline"} <= loaded
    assert {"worker.handlers.api", "aws_lambda_powertools.event_handler"}.isdisjoint(loaded)
    assert HEAVY.isdisjoint(roots(loaded))


def test_a_look_at_a_job_loads_what_a_job_is_and_not_how_one_is_made() -> None:
    claims = {"requestContext": {"stage": "prod", "authorizer": {"claims": {"sub": "ada"}}}}
    look = {
        "httpMethod": "GET",
        "path": "/ai-video",
        "headers": {},
        "queryStringParameters": {"videoId": "v1"},
        **claims,
    }

    lines, loaded = loaded_by(LOOK.format(event=look))

    assert any(line.startswith("answer") and "'statusCode': 503" in line for line in lines)
    assert {"worker.job", "worker.handlers.api.routes"} <= loaded
    assert {"worker.pipeline", "worker.after_work", "worker.steps", "worker.providers.veo"}.isdisjoint(loaded)
    assert HEAVY.isdisjoint(roots(loaded))
