"""What the API is built of: which worker can make what, and how long a request may take."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statemachine import PermanentError
from statemachine.aws.dynamodb_store import dynamodb_client
from statemachine.aws.lambda_dispatcher import lambda_client
from statemachine.dispatcher import Event
from statemachine.execution import Execution
from statemachine.memory import MemoryStore
from tests.worker.fakes import NOON
from tests.worker.handlers.api.desk import BUCKET, VIDEO, Desk
from worker.bootstrap import Worker
from worker.handlers.api.parts import (
    ANSWER_TIME,
    BUCKET_TIME,
    DISPATCH_TIME,
    LIMITS_TIME,
    REQUEST_TIME,
    TABLE_TIME,
    ApiParts,
)
from worker.handlers.api.routes import Api
from worker.limits import Limits
from worker.local.worker import LocalWorker
from worker.providers.ssm_limits import parameter_client
from worker.rows import AudioHeader, Row
from worker.settings import Settings

AT_ONCE = timedelta(0)

AT_VENDORS = {
    "bucket": BUCKET,
    "media": "s3",
    "transcriber": "aws",
    "renderer": "veo",
    "veo_allow_inline": True,
    "google_audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough of an environment to build clients, and nothing behind it."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_LAMBDA_FUNCTION_NAME": "ai-video",
        "GOOGLE_CLOUD_PROJECT": "a-project",
    }.items():
        monkeypatch.setenv(name, value)


def required(worker: Worker) -> None:
    with worker:
        ApiParts.of(worker).require_parts()


# --- what a worker can make ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("account")
def test_a_function_with_vendors_has_its_parts() -> None:
    required(Worker(Settings.model_validate(AT_VENDORS)))


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"renderer": "storyboard"}, "PART_UNAVAILABLE"),
        ({"transcriber": "sphinx"}, "PART_UNAVAILABLE"),
        ({"veo_allow_inline": False}, "VEO_BUCKET_MISSING"),
    ],
)
def test_a_function_with_a_part_that_cannot_be_there_says_which(changed: dict[str, object], code: str) -> None:
    with pytest.raises(PermanentError) as raised:
        required(Worker(Settings.model_validate({**AT_VENDORS, **changed})))

    assert (raised.value.code, raised.value.user_action) == (code, "contact_admin")


@pytest.mark.usefixtures("account")
def test_a_function_without_a_vendors_setting_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")

    with pytest.raises(PermanentError, match="GOOGLE_CLOUD_PROJECT"):
        required(Worker(Settings.model_validate(AT_VENDORS)))


@pytest.mark.usefixtures("account")
def test_a_function_that_plans_with_a_model_needs_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found out in planning, it would have cost a transcription."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    settings = {**AT_VENDORS, "planner": "openai"}

    required(Worker(Settings.model_validate({**settings, "secret_id": "keys"})))
    with pytest.raises(PermanentError, match="OPENAI_API_KEY"):
        required(Worker(Settings.model_validate(settings)))


def test_one_machine_has_the_parts_that_a_function_has_not(tmp_path: Path) -> None:
    """The same handler serves both, so the settings alone do not say it."""
    required(LocalWorker(Settings(home=tmp_path)))


# --- how long a request may take --------------------------------------------------------------------------------------


def longest(client: Any) -> timedelta:  # noqa: ANN401  boto3 makes its clients at run time
    """What one call may take by the client's own settings: its tries, and the pauses of up to 1, 2, 4, … s between."""
    config = client.meta.config
    tries = config.retries["total_max_attempts"]
    pauses = sum(2**number for number in range(tries - 1))
    return timedelta(seconds=tries * (config.connect_timeout + config.read_timeout) + pauses)


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("make", "span"),
    [
        (dynamodb_client, TABLE_TIME),
        (lambda_client, DISPATCH_TIME),
        (parameter_client, LIMITS_TIME),
        (lambda: Worker(Settings.model_validate(AT_VENDORS))._media_of_requests._client, BUCKET_TIME),  # type: ignore[attr-defined]  # noqa: SLF001  the one client that is not made by a function
    ],
    ids=["table", "dispatch", "limits", "bucket"],
)
def test_no_client_of_a_request_may_take_longer_than_is_reckoned_with(make: Callable[[], Any], span: timedelta) -> None:
    assert longest(make()) <= span


def slow_desk(
    *,
    limits: timedelta = AT_ONCE,
    table: timedelta = AT_ONCE,
    reads: int = 0,
    bucket: timedelta = AT_ONCE,
    dispatch: timedelta = AT_ONCE,
) -> tuple[Desk, list[str]]:
    """A desk at which every call takes its time, and what was written and dispatched there."""
    desk, done = Desk(), []
    find, start, probe, signal = desk.rows.find, desk.store.start, desk._probe, desk.store.signal  # noqa: SLF001  wrapped

    def slow_find(*arguments: Any, **named: Any) -> Row | None:  # noqa: ANN401  as `find`
        desk.clock.moment += table
        return find(*arguments, **named)

    def slow_start(execution: Execution, *, replace: bool) -> None:
        desk.clock.moment += table
        start(execution, replace=replace)
        done.append("started")

    def slow_signal(*arguments: Any, **named: Any) -> None:  # noqa: ANN401  as `signal`
        desk.clock.moment += table
        signal(*arguments, **named)
        done.append("signalled")

    def slow_probe(key: str, before_each_read: Callable[[], None]) -> AudioHeader:
        for _ in range(reads):
            before_each_read()
            desk.clock.moment += bucket
        return probe(key, before_each_read)

    def slow_limits() -> Limits:
        desk.clock.moment += limits
        return Limits()

    def slow_dispatch(event: Event) -> None:
        desk.clock.moment += dispatch
        done.append(f"dispatched {event.version}")

    desk.rows.find = slow_find  # type: ignore[method-assign]  # as said
    desk.store.start = slow_start  # type: ignore[method-assign]  # as said
    desk.store.signal = slow_signal  # type: ignore[method-assign]  # as said
    desk.dispatcher.dispatch = slow_dispatch  # type: ignore[method-assign]  # as said
    desk.api = Api(replace(desk.parts(), probe=slow_probe, limits=slow_limits))
    return desk, done


def up_to(longest: timedelta) -> st.SearchStrategy[timedelta]:
    return st.one_of(st.just(timedelta(0)), st.just(longest), st.timedeltas(timedelta(0), longest))


@settings(max_examples=300)
@given(
    limits=up_to(LIMITS_TIME),
    table=up_to(TABLE_TIME),
    reads=st.integers(0, 8),
    bucket=up_to(BUCKET_TIME),
    dispatch=up_to(DISPATCH_TIME),
)
def test_a_start_is_answered_in_time_however_slow_what_it_needs_is(
    limits: timedelta, table: timedelta, reads: int, bucket: timedelta, dispatch: timedelta
) -> None:
    desk, done = slow_desk(limits=limits, table=table, reads=reads, bucket=bucket, dispatch=dispatch)

    answer = desk.post()

    assert desk.clock.now() - NOON <= ANSWER_TIME
    if answer.status == 202:
        assert done[0] == "started"
    else:
        assert (answer.status, answer.body["code"], done) == (503, "TIMED_OUT", [])


@settings(max_examples=100)
@given(table=up_to(TABLE_TIME), dispatch=up_to(DISPATCH_TIME))
def test_a_cancel_is_answered_in_time_however_slow_the_table_is(table: timedelta, dispatch: timedelta) -> None:
    desk, done = slow_desk(table=table, dispatch=dispatch)
    begun = Desk()
    begun.post()
    MemoryStore.start(desk.store, begun.job(), replace=False)

    answer = desk.delete()

    assert desk.clock.now() - NOON <= ANSWER_TIME
    assert (answer.status, done[:1]) in [(202, ["signalled"]), (503, [])]


def test_a_job_whose_first_turn_could_not_be_asked_for_in_time_has_begun_all_the_same() -> None:
    """It is due after the grace of a dispatch, and the sweeper comes."""
    desk, done = slow_desk(table=timedelta(seconds=9), dispatch=DISPATCH_TIME)

    answer = desk.post()

    assert (answer.status, done) == (202, ["started"])
    assert desk.job(VIDEO).due_at is not None


def test_nothing_begins_after_the_time_of_a_request_even_if_it_takes_none() -> None:
    desk, done = slow_desk(limits=REQUEST_TIME)

    answer = desk.post()

    assert (answer.status, answer.body["code"], done) == (503, "TIMED_OUT", [])
