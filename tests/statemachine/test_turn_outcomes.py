"""What becomes of a step's answer."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from statemachine.engine import DISPATCH_GRACE, LEASE_MARGIN
from statemachine.errors import IntentNotFoundError, PermanentError, StoreUnavailableError, TransientError
from statemachine.execution import NOT_ACCEPTED, Execution, Failure, Patch, Path
from statemachine.machine import Turn
from statemachine.memory import MemoryStore
from statemachine.outcome import Advance, Fail, Outcome, Wait
from statemachine.testing import Stepper
from statemachine.testing.clock import NOON
from statemachine.turn import WRITE_PAUSES
from tests.statemachine.machines import DEADLINE, MAX_TURN, Job, Script, a_machine


def stepped(*answers: Any, **machine: Any) -> Stepper[Job]:  # noqa: ANN401  whatever the script and the machine take
    """An execution that has taken its first turn."""
    stepper = Stepper(a_machine(draft=Script(*answers), **machine))
    stepper.start({"words": {}})
    stepper.step()
    return stepper


def failure_of(stepper: Stepper[Job]) -> Failure:
    """Why it failed."""
    failure = stepper.execution.failure
    assert failure is not None
    return failure


# --- advance ----------------------------------------------------------------------------------------------------------


def test_advance_moves_the_state_and_stores_the_patch_in_one_version() -> None:
    stepper = stepped(Advance("drafted", {("words", "first"): "Dear"}))

    after = stepper.execution
    assert (after.state, after.version, after.attempt, after.unsaved_turns) == ("printing", 2, 0, 0)
    assert after.lease is None
    assert after.data["words"] == {"first": "Dear"}
    assert after.due_at == NOON + DISPATCH_GRACE
    assert [event.version for event in stepper.events] == [2]


def test_advance_closes_the_history_of_one_state_and_opens_the_next() -> None:
    history: Any = stepped(Advance("drafted")).data["processing_steps"]

    assert history["drafting"]["status"] == "completed"
    assert history["drafting"]["completed_at"] == "2026-01-01T12:00:00.000+00:00"
    assert history["printing"]["status"] == "processing"


def test_end_is_due_to_nobody_when_there_is_no_after_work() -> None:
    stepper = stepped(Advance("drafted"))

    ended = stepper.run()

    assert (ended.state, ended.status, ended.due_at, ended.deadline_at) == ("completed", "completed", None, None)
    assert stepper.events == ()


def test_state_at_rest_is_due_to_nobody() -> None:
    resting = stepped(Advance("review_asked")).execution

    assert (resting.state, resting.status, resting.due_at, resting.deadline_at) == (
        "reviewing",
        "processing",
        None,
        None,
    )


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Advance("printed"), "answered wrongly: event 'printed' is not allowed in state 'drafting'"),
        (Advance("unknown"), "event 'unknown' is not allowed"),
        (Advance("cancelled"), "fired 'cancelled', which only a person may"),
        (Advance("drafted", {("missing", "leaf"): 1}), "cannot be stored: patch of missing.leaf"),
        (Advance("drafted", {(): 1}), "cannot be stored: patch of ()"),
        (Wait(timedelta(1), {("missing", "leaf"): 1}), "cannot be stored: patch of missing.leaf"),
        (Advance("drafted", {("words",): float("nan")}), "cannot be stored"),
    ],
    ids=["other state's event", "unknown event", "signal", "no parent", "no path", "waiting", "not JSON"],
)
def test_answer_that_cannot_be_is_a_recorded_failure(
    answer: Outcome, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    stepper = stepped(answer)

    failure = failure_of(stepper)
    assert (stepper.state, failure.code, failure.state) == ("failed", "INTERNAL", "drafting")
    assert told in failure.message
    assert stepper.execution.due_at is None


@pytest.mark.parametrize("answer", [None, "drafted", ("drafted", {})])
def test_answer_that_is_no_outcome_is_a_recorded_failure(answer: object, caplog: pytest.LogCaptureFixture) -> None:
    """A step without types may answer anything; it must not become a crash loop."""
    stepper = stepped(lambda job, turn: answer)

    assert failure_of(stepper).code == "INTERNAL"
    assert "TypeError" in failure_of(stepper).message
    assert f"answered {answer!r}" in caplog.text


def test_deadline_that_cannot_be_computed_from_the_answer_is_a_recorded_failure() -> None:
    def by_length(job: Job) -> timedelta:
        return timedelta(minutes=job["length"]) if "drafted" in job else timedelta(hours=1)

    stepper = stepped(Advance("drafted", {("drafted",): True}), deadline=by_length)

    assert failure_of(stepper).code == "INTERNAL"
    assert "KeyError" in failure_of(stepper).message


def test_spoilt_history_does_not_stop_a_failure_from_being_stored(caplog: pytest.LogCaptureFixture) -> None:
    stepper = stepped(Wait(timedelta(0), {("processing_steps",): {}}), PermanentError("BROKEN", "the press is broken"))

    stepper.step()

    assert failure_of(stepper).code == "BROKEN"
    assert stepper.data["processing_steps"] == {}


# --- wait -------------------------------------------------------------------------------------------------------------


def test_wait_is_a_due_time_and_no_event() -> None:
    stepper = stepped(Wait(timedelta(seconds=15), {("words", "first"): "Dear"}, waiting_for="press"))

    after = stepper.execution
    assert (after.state, after.version, after.due_at) == ("drafting", 2, NOON + timedelta(seconds=15))
    assert after.waiting_for == "press"
    assert after.lease is None
    assert after.data["words"] == {"first": "Dear"}
    assert stepper.events == ()


@pytest.mark.parametrize("delay", [timedelta(0), timedelta(seconds=-5)])
def test_wait_for_no_time_asks_for_the_next_turn_at_once(delay: timedelta) -> None:
    stepper = stepped(Wait(delay))

    assert [event.version for event in stepper.events] == [2]
    assert stepper.execution.due_at == NOON + DISPATCH_GRACE


def test_what_it_waited_for_is_forgotten_when_it_goes_on() -> None:
    stepper = stepped(Wait(timedelta(seconds=15), waiting_for="press"), Advance("drafted"))

    stepper.run_until("printing")

    assert stepper.execution.waiting_for is None


# --- trouble ----------------------------------------------------------------------------------------------------------


def test_transient_error_is_tried_again_after_the_policy_s_delay() -> None:
    stepper = stepped(TransientError("BUSY", "the press is busy", details={"press": 7}), Advance("drafted"))

    after = stepper.execution
    assert (after.state, after.attempt, after.waiting_for) == ("drafting", 1, "retry")
    assert after.due_at == NOON + timedelta(seconds=10)
    assert after.last_error is not None
    assert (after.last_error.code, after.last_error.details) == ("BUSY", {"press": 7})
    history: Any = after.data["processing_steps"]
    assert history["drafting"]["error"] == {
        "code": "BUSY",
        "message": "the press is busy",
        "user_action": "retry",
    }
    assert stepper.run().state == "completed"
    assert stepper.execution.last_error is None


def test_transient_error_waits_at_least_as_long_as_the_vendor_asked() -> None:
    stepper = stepped(TransientError("BUSY", "the press is busy", retry_after=timedelta(minutes=3)))

    assert stepper.execution.due_at == NOON + timedelta(minutes=3)


def test_vendor_that_asks_for_less_does_not_shorten_the_delay() -> None:
    stepper = stepped(TransientError("BUSY", "the press is busy", retry_after=timedelta(seconds=1)))

    assert stepper.execution.due_at == NOON + timedelta(seconds=10)


@pytest.mark.parametrize("asked", [timedelta(days=400), timedelta.max], ids=["a year", "as long as can be said"])
@pytest.mark.parametrize(
    "answer",
    [
        lambda asked: TransientError("BUSY", "the press is busy", retry_after=asked),
        lambda asked: Wait(asked, waiting_for="press"),
    ],
    ids=["trouble", "wait"],
)
def test_vendor_that_asks_for_more_than_is_left_does_not_outlast_the_deadline(
    answer: Callable[[timedelta], Any], asked: timedelta
) -> None:
    """A person would see it at work for as long as the vendor said, and hear of the failure only then."""
    stepper = stepped(answer(asked))

    assert stepper.execution.due_at == NOON + DEADLINE
    assert stepper.run().state == "failed"
    assert failure_of(stepper).code == "STEP_TIMEOUT"


def test_permanent_error_fails_at_once_with_all_that_it_says() -> None:
    error = PermanentError("NO_PAPER", "the tray is empty", user_action="fill_tray", details={"tray": 2})

    failure = failure_of(stepped(error))

    assert failure == Failure(
        "NO_PAPER",
        "the tray is empty",
        user_action="fill_tray",
        is_retryable=True,
        details={"tray": 2},
        state="drafting",
        attempt=1,
        occurred_at=NOON,
    )


def test_error_about_which_nobody_can_do_anything_is_not_retryable() -> None:
    assert not failure_of(stepped(PermanentError("GONE", "it is gone", user_action="none"))).is_retryable


def test_unknown_error_is_a_recorded_failure_whose_text_stays_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """An unknown message may hold a secret or a prompt; the person reads only what kind of error it was."""
    failure = failure_of(stepped(ValueError("token=secret")))

    assert failure.code == "INTERNAL"
    assert failure.message == "drafting: unexpected ValueError; the worker's log has the details"
    assert "token=secret" in caplog.text


def test_fail_stores_the_failure_and_its_patch() -> None:
    stepper = stepped(Fail(Failure("FILTERED", "scene 3 was refused"), {("words", "third"): "…"}))

    assert (stepper.state, stepper.execution.status, stepper.execution.failed_in) == ("failed", "failed", "drafting")
    assert failure_of(stepper).code == "FILTERED"
    assert stepper.data["words"] == {"third": "…"}
    history: Any = stepper.data["processing_steps"]
    assert history["drafting"]["status"] == "failed"
    assert history["drafting"]["error"]["code"] == "FILTERED"


def test_fail_whose_patch_cannot_be_stored_keeps_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    stepper = stepped(Fail(Failure("FILTERED", "scene 3 was refused"), {("missing", "leaf"): 1}))

    assert failure_of(stepper).code == "FILTERED"
    assert "cannot be stored" in caplog.text


# --- what a step may ask of its turn ----------------------------------------------------------------------------------


def test_checkpoint_is_stored_before_the_turn_ends() -> None:
    seen: list[tuple[Any, int]] = []
    stepper: Stepper[Job]

    def work(job: Job, turn: Turn) -> Outcome:
        turn.checkpoint({("words", "first"): "Dear"})
        seen.append((stepper.data["words"], stepper.execution.version))
        return Advance("drafted")

    stepper = stepped_later(work)
    before = stepper.execution.revision

    stepper.step()

    assert seen == [({"first": "Dear"}, 1)]
    assert stepper.execution.revision == before + 2


def test_checkpoint_that_does_not_fit_is_a_recorded_failure(caplog: pytest.LogCaptureFixture) -> None:
    def work(job: Job, turn: Turn) -> Outcome:
        turn.checkpoint({("missing", "leaf"): 1})
        return Advance("drafted")

    assert failure_of(stepped(work)).message == "drafting: unexpected PatchError; the worker's log has the details"


def test_fact_is_recorded_and_the_lease_is_still_ours() -> None:
    answers: list[bool] = []

    def work(job: Job, turn: Turn) -> Outcome:
        turn.checkpoint({("words", "a"): {"intent_id": "1"}, ("words", "b"): {"intent_id": "2"}})
        answers.append(turn.record_fact(("words", "a"), intent_id="1", operation="op-1"))
        answers.append(turn.record_fact(("words", "b"), intent_id="2", operation=NOT_ACCEPTED))
        return Advance("drafted")

    stepper = stepped(work)

    assert answers == [True, True]
    assert stepper.data["words"] == {
        "a": {"intent_id": "1", "operation": "op-1"},
        "b": {"intent_id": "2", "operation": "not_accepted"},
    }


def test_fact_without_an_intent_is_refused() -> None:
    refused: list[str] = []

    def work(job: Job, turn: Turn) -> Outcome:
        with pytest.raises(IntentNotFoundError) as caught:
            turn.record_fact(("words", "a"), intent_id="1", operation="op-1")
        refused.append(caught.value.intent_id)
        return Advance("drafted")

    assert stepped(work).state == "printing"
    assert refused == ["1"]


def test_turn_tells_its_step_the_time_that_is_left() -> None:
    seen: list[Any] = []
    stepper: Stepper[Job]

    def work(job: Job, turn: Turn) -> Outcome:
        stepper.advance(timedelta(seconds=20))
        seen.extend([turn.execution_id, turn.now, turn.deadline, turn.time_left, turn.attempt])
        return Advance("drafted")

    stepper = stepped_later(work)

    result = stepper.step()

    assert seen == [
        "execution-1",
        NOON + timedelta(seconds=20),
        NOON + MAX_TURN,
        MAX_TURN - timedelta(seconds=20),
        1,
    ]
    assert result.step_seconds == 20


def stepped_later(answer: Any, **options: Any) -> Stepper[Job]:  # noqa: ANN401  whatever the script and the Stepper take
    """An execution whose first turn is still to come."""
    stepper = Stepper(a_machine(draft=Script(answer)), **options)
    stepper.start({"words": {}})
    return stepper


# --- leases -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("time_left", "lasts"),
    [(None, MAX_TURN), (timedelta(seconds=900), MAX_TURN), (timedelta(seconds=60), timedelta(seconds=60))],
)
def test_lease_lasts_as_long_as_the_turn_may_take_and_a_margin(time_left: timedelta | None, lasts: timedelta) -> None:
    leased: list[Execution] = []
    stepper: Stepper[Job]

    def work(job: Job, turn: Turn) -> Outcome:
        leased.append(stepper.execution)
        return Advance("drafted")

    stepper = stepped_later(work, time_left=time_left)

    stepper.step()

    assert leased[0].lease is not None
    assert leased[0].lease.expires_at == leased[0].due_at == NOON + lasts + LEASE_MARGIN
    assert (leased[0].attempt, leased[0].unsaved_turns, leased[0].version) == (1, 1, 1)


def test_turn_ends_before_its_lease_however_long_leasing_took() -> None:
    deadlines: list[Any] = []

    class Slow(MemoryStore):
        def lease(self, *args: Any, **kwargs: Any) -> Execution:  # noqa: ANN401  handed on as they are
            leased = super().lease(*args, **kwargs)
            stepper.advance(timedelta(seconds=30))
            return leased

    def work(job: Job, turn: Turn) -> Outcome:
        deadlines.append(turn.deadline)
        return Advance("drafted")

    stepper = stepped_later(work, store=Slow())
    stepper.step()

    assert deadlines == [NOON + MAX_TURN]


def test_turn_that_would_not_fit_is_not_started() -> None:
    script = Script(Advance("drafted"))
    stepper = Stepper(a_machine(draft=script), time_left=timedelta(seconds=30))
    stepper.start({})

    result = stepper.step()

    assert (result.kind, result.reason, script.attempts) == ("retrying", "TURN_TOO_SHORT", [])
    failed = stepper.run()
    assert failed.failure is not None
    assert (failed.failure.code, failed.failure.user_action) == ("TURN_TOO_SHORT", "contact_admin")
    assert "60 s and 30 s were left" in failed.failure.message


def test_lease_of_an_older_deployment_is_not_used_for_a_longer_turn() -> None:
    """The stored length gave a lease of 60 s; a turn of 14 minutes under it could be robbed."""
    store = MemoryStore()
    old = Stepper(a_machine(), store=store)
    old.start({})
    script = Script(Advance("drafted"))
    new = Stepper(a_machine(draft=script, max_turn=timedelta(minutes=14)), store=store, clock=old.clock)

    first = new.deliver(old.drop())

    assert (first.kind, script.attempts) == ("waiting", [])
    assert new.step().kind == "advanced"
    assert script.attempts == [1]


def test_shorter_turns_of_a_new_deployment_need_no_new_lease() -> None:
    store = MemoryStore()
    old = Stepper(a_machine(), store=store)
    old.start({})
    new = Stepper(a_machine(max_turn=timedelta(seconds=5)), store=store, clock=old.clock)

    assert new.deliver(old.drop()).kind == "advanced"


def test_expired_lease_that_nobody_took_may_still_save() -> None:
    stepper: Stepper[Job]

    def work(job: Job, turn: Turn) -> Outcome:
        stepper.advance(timedelta(hours=1))
        return Advance("drafted")

    stepper = stepped_later(work)

    assert stepper.step().kind == "advanced"


def test_lease_that_somebody_took_may_not() -> None:
    stepper: Stepper[Job]
    inner: list[str] = []

    def work(job: Job, turn: Turn) -> Outcome:
        if not inner:
            inner.append("first")
            event = stepper_event
            stepper.advance(timedelta(minutes=2))
            inner.append(stepper.deliver(event).kind)
        return Advance("drafted", {("words", turn.now.isoformat()): turn.attempt})

    stepper = stepped_later(work)
    stepper_event = stepper.events[0]

    result = stepper.step()

    assert (inner, result.kind) == (["first", "advanced"], "lost")
    assert list(dict(stepper.data)["words"].values()) == [2]  # type: ignore[union-attr]  # a map of one entry


# --- deliveries that are nobody's turn --------------------------------------------------------------------------------


def test_event_of_another_version_is_ignored() -> None:
    stepper = stepped_later(Advance("drafted"))
    event = stepper.drop()

    assert stepper.deliver(replace(event, version=7)).kind == "ignored"
    assert stepper.execution.attempt == 0


def test_event_of_an_execution_that_is_gone_is_ignored() -> None:
    store = MemoryStore()
    stepper = stepped_later(Advance("drafted"), store=store)
    store.delete("execution-1")

    result = stepper.step()

    assert (result.kind, result.execution, result.state) == ("ignored", None, "")


def test_event_delivered_while_a_turn_is_at_work_is_ignored() -> None:
    stepper: Stepper[Job]
    kinds: list[str] = []

    def work(job: Job, turn: Turn) -> Outcome:
        kinds.append(stepper.deliver(event).kind)
        return Advance("drafted")

    stepper = stepped_later(work)
    event = stepper.events[0]

    kinds.append(stepper.step().kind)

    assert kinds == ["ignored", "advanced"]


@pytest.mark.parametrize("when", ["checkpoint", "fact", "save"])
def test_row_deleted_in_mid_turn_ends_the_turn_and_is_not_brought_back(when: str) -> None:
    store = MemoryStore()

    def work(job: Job, turn: Turn) -> Outcome:
        turn.checkpoint({("words", "a"): {"intent_id": "1"}})
        store.delete("execution-1")
        if when == "checkpoint":
            turn.checkpoint({("words", "b"): 1})
        if when == "fact":
            turn.record_fact(("words", "a"), intent_id="1", operation="op-1")
        return Advance("drafted")

    stepper = stepped_later(work, store=store)

    assert stepper.step().kind == "lost"
    assert stepper.events == ()
    assert list(store.due(NOON + timedelta(days=1), limit=9)) == []


def test_store_that_fails_in_mid_turn_leaves_the_execution_due() -> None:
    class Failing(MemoryStore):
        def save(self, execution: Execution, *, owner: str, patch: Patch) -> None:
            raise StoreUnavailableError("throttled")

    stepper = stepped_later(Advance("drafted"), store=Failing())

    with pytest.raises(StoreUnavailableError):
        stepper.step()

    assert stepper.execution.due_at == NOON + MAX_TURN + LEASE_MARGIN


class Throttled(MemoryStore):
    """Takes no write of a turn at work until it has refused so many."""

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self.refusals = refusals

    def checkpoint(self, execution_id: str, *, owner: str, patch: Patch) -> None:
        self._refuse()
        super().checkpoint(execution_id, owner=owner, patch=patch)

    def record_fact(self, execution_id: str, *, path: Path, intent_id: str, operation: str, owner: str) -> bool:
        self._refuse()
        return super().record_fact(execution_id, path=path, intent_id=intent_id, operation=operation, owner=owner)

    def save(self, execution: Execution, *, owner: str, patch: Patch) -> None:
        self._refuse()
        super().save(execution, owner=owner, patch=patch)

    def _refuse(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise StoreUnavailableError("throttled")


@pytest.mark.parametrize("refusals", [1, len(WRITE_PAUSES)])
def test_throttled_store_costs_a_turn_some_seconds_and_not_what_it_has_done(refusals: int) -> None:
    """A turn that is thrown away counts as crashed, and two of them fail the job: a busy minute of the table's."""
    stepper = stepped_later(Advance("drafted"), store=Throttled(refusals))

    assert stepper.step().kind == "advanced"
    assert (stepper.state, stepper.execution.crashes) == ("printing", 0)
    assert stepper.clock.now() == NOON + sum(WRITE_PAUSES[:refusals], start=timedelta(0))


def test_throttled_store_loses_no_paid_fact() -> None:
    store = Throttled(0)

    def work(job: Job, turn: Turn) -> Outcome:
        turn.checkpoint({("words", "a"): {"intent_id": "i-1"}})
        store.refusals = 1
        assert turn.record_fact(("words", "a"), intent_id="i-1", operation="o-1")
        store.refusals = 1
        turn.checkpoint({("words", "b"): 1})
        return Advance("drafted")

    stepper = stepped_later(work, store=store)

    stepper.step()

    assert stepper.data["words"] == {"a": {"intent_id": "i-1", "operation": "o-1"}, "b": 1}


def test_store_that_fails_under_a_step_is_no_failure_of_the_step() -> None:
    class Failing(MemoryStore):
        def checkpoint(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  handed on as they are
            raise StoreUnavailableError("throttled")

    def work(job: Job, turn: Turn) -> Outcome:
        turn.checkpoint({("words", "a"): 1})
        return Advance("drafted")

    stepper = stepped_later(work, store=Failing())

    with pytest.raises(StoreUnavailableError):
        stepper.step()

    assert stepper.state == "drafting"


def test_event_for_a_state_at_rest_finds_nothing_to_do() -> None:
    """Delivered by hand: nothing dispatches a turn for a state that waits for a person."""
    stepper = Stepper(a_machine(draft=Script(Advance("review_asked"))))
    stepper.start({})
    first = stepper.drop()
    stepper.deliver(first)

    result = stepper.deliver(replace(first, version=2))

    assert (result.kind, stepper.state, stepper.execution.due_at) == ("rested", "reviewing", None)


def test_logging_is_quiet_when_all_goes_well(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        stepped(Advance("drafted")).run()

    assert [record for record in caplog.records if record.name.startswith("statemachine")] == []
