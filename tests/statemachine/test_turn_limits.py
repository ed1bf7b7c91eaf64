"""Attempts, crashes, deadlines and budgets: everything comes to an end, and says why."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from statemachine.engine import CHAIN_LIMIT, CHAIN_PAUSE, FREE_WAIT_LIMIT, TURN_LIMIT
from statemachine.errors import EventNotAllowedError, TransientError
from statemachine.execution import Execution, Failure
from statemachine.machine import BACK, Machine, Terminal, Transition, Working
from statemachine.memory import MemoryStore
from statemachine.outcome import Advance, Outcome, Wait
from statemachine.retry import RetryPolicy
from statemachine.testing import Stepper
from statemachine.testing.clock import NOON
from tests.statemachine.machines import DEADLINE, MAX_TURN, Job, Script, a_machine, as_it_is

BUSY = TransientError("BUSY", "the press is busy")
SECOND = timedelta(seconds=1)


class ProcessGone(BaseException):
    """The worker's process is gone."""


def a_stepper(*answers: Any, **machine: Any) -> tuple[Stepper[Job], Script]:  # noqa: ANN401  whatever they take
    """A started execution, and the step of its first state."""
    script = Script(*answers)
    stepper = Stepper(a_machine(draft=script, **machine))
    stepper.start({})
    return stepper, script


def crash(stepper: Stepper[Job]) -> None:
    """The next turn never comes back; time passes until its lease has ended."""
    with pytest.raises(ProcessGone):
        stepper.step()
    lease = stepper.execution.lease
    assert lease is not None
    stepper.advance(lease.expires_at - stepper.clock.now())


def failure_of(stepper: Stepper[Job]) -> Failure:
    """Why it failed."""
    failure = stepper.execution.failure
    assert failure is not None
    return failure


# --- attempts ---------------------------------------------------------------------------------------------------------


def test_last_attempt_that_fails_fails_the_execution_with_its_own_reason() -> None:
    stepper, script = a_stepper(BUSY)

    stepper.run()

    assert script.attempts == [1, 2, 3]
    assert (failure_of(stepper).code, failure_of(stepper).attempt) == ("BUSY", 3)
    assert stepper.clock.now() == NOON + timedelta(seconds=10 + 20)


@pytest.mark.parametrize("answer", [Wait(SECOND), Advance("drafted")])
def test_normal_answer_makes_the_next_turn_a_first_attempt(answer: Outcome) -> None:
    stepper, script = a_stepper(BUSY, BUSY, answer, BUSY, Advance("drafted"))

    for _ in range(3):
        stepper.run_until("drafting")
        stepper.advance(timedelta(minutes=5))
        stepper.step()

    assert script.attempts == [1, 2, 3]
    assert stepper.execution.attempt == 0
    assert stepper.execution.last_error is None


def test_attempts_that_only_crashed_are_counted_too() -> None:
    stepper, script = a_stepper(ProcessGone(), retry=RetryPolicy(max_attempts=1))
    crash(stepper)

    stepper.step()

    assert script.attempts == [1]
    assert (failure_of(stepper).code, failure_of(stepper).message) == (
        "ATTEMPTS_EXHAUSTED",
        "drafting: gave up after 1 attempts",
    )


def test_crash_after_the_last_attempt_is_told_with_the_reason_before_it() -> None:
    stepper, script = a_stepper(BUSY, BUSY, ProcessGone())
    for _ in range(2):
        stepper.step()
        stepper.advance(timedelta(minutes=5))
    crash(stepper)

    stepper.step()

    assert script.attempts == [1, 2, 3]
    assert failure_of(stepper).code == "BUSY"
    assert failure_of(stepper).occurred_at == stepper.clock.now()


# --- crashes ----------------------------------------------------------------------------------------------------------


def test_two_crashes_in_a_row_fail_the_execution_without_a_third() -> None:
    """A timeout or out-of-memory is usually deterministic."""
    stepper, script = a_stepper(ProcessGone(), retry=RetryPolicy(max_attempts=9))
    crash(stepper)
    crash(stepper)

    result = stepper.step()

    assert (result.kind, script.attempts) == ("failed", [1, 2])
    assert failure_of(stepper).code == "CRASHED"
    assert "2 turns in a row never came back" in failure_of(stepper).message


def test_any_save_makes_the_next_crash_a_first_one() -> None:
    answers = (ProcessGone(), Wait(SECOND), ProcessGone(), Advance("drafted"))
    stepper, script = a_stepper(*answers, retry=RetryPolicy(max_attempts=9))
    crash(stepper)
    stepper.step()
    stepper.advance(SECOND)
    crash(stepper)

    assert stepper.step().kind == "advanced"
    assert script.attempts == [1, 2, 1, 2]


def test_resume_forgets_the_crashes() -> None:
    """The limit is for revival that nobody watches."""
    stepper, script = a_stepper(ProcessGone(), ProcessGone(), Advance("drafted"))
    crash(stepper)
    crash(stepper)

    stepper.engine.resume("execution-1")

    assert stepper.step().kind == "advanced"
    assert script.attempts == [1, 2, 1]


def test_retry_forgets_the_crashes() -> None:
    stepper, script = a_stepper(ProcessGone(), ProcessGone(), Advance("drafted"))
    crash(stepper)
    crash(stepper)
    stepper.run()

    stepper.signal("retried")

    assert stepper.run().state == "completed"
    assert script.attempts == [1, 2, 1]


# --- deadlines --------------------------------------------------------------------------------------------------------


def test_state_that_is_not_done_by_its_deadline_fails_without_another_turn() -> None:
    stepper, script = a_stepper(Wait(timedelta(minutes=25)))

    stepper.run()

    assert script.attempts == [1, 1, 1]
    assert failure_of(stepper).code == "STEP_TIMEOUT"
    assert (NOON + DEADLINE).isoformat() in failure_of(stepper).message


def test_deadline_may_follow_from_the_job() -> None:
    def by_length(job: Job) -> timedelta:
        return timedelta(minutes=job.get("length", 1))

    stepper = Stepper(a_machine(deadline=by_length))
    stepper.start({"length": 7})

    assert stepper.execution.deadline_at == NOON + timedelta(minutes=7)


def test_deadline_of_the_next_state_is_read_from_what_the_step_has_answered() -> None:
    def by_length(job: Job) -> timedelta:
        return timedelta(minutes=job.get("length", 1))

    stepper, _ = a_stepper(Advance("drafted", {("length",): 30}), deadline=by_length)

    stepper.step()

    assert stepper.execution.deadline_at == NOON + timedelta(minutes=30)


@pytest.mark.parametrize("waiting_for", ["quota", "lost_answer"])
def test_free_wait_moves_the_deadline_and_costs_no_turn(waiting_for: str) -> None:
    stepper, _ = a_stepper(Wait(timedelta(minutes=10), waiting_for=waiting_for))

    stepper.step()

    assert stepper.execution.deadline_at == NOON + DEADLINE + timedelta(minutes=10)
    assert stepper.execution.freely_waited_seconds == 600
    assert stepper.execution.turns == 0


def test_wait_that_is_not_free_consumes_the_deadline_and_a_turn() -> None:
    stepper, _ = a_stepper(Wait(timedelta(minutes=10), waiting_for="press"))

    stepper.step()

    assert stepper.execution.deadline_at == NOON + DEADLINE
    assert (stepper.execution.freely_waited_seconds, stepper.execution.turns) == (0, 1)


def test_free_waits_move_the_deadline_by_a_day_at_most() -> None:
    stepper, script = a_stepper(Wait(timedelta(hours=7), waiting_for="quota"))

    stepper.run()

    assert failure_of(stepper).code == "STEP_TIMEOUT"
    assert stepper.execution.freely_waited_seconds == 0  # of the failed state, where counting begins anew
    assert len(script.attempts) == 4
    assert (NOON + DEADLINE + FREE_WAIT_LIMIT).isoformat() in failure_of(stepper).message


def test_free_wait_of_any_length_ends_with_what_is_left_of_the_day() -> None:
    stepper, _ = a_stepper(Wait(timedelta.max, waiting_for="quota"))

    stepper.step()

    assert stepper.execution.due_at == NOON + DEADLINE + FREE_WAIT_LIMIT


def test_free_waits_are_counted_for_each_state_and_each_retry_anew() -> None:
    stepper, _ = a_stepper(Wait(timedelta(hours=20), waiting_for="quota"), Advance("drafted"))
    stepper.step()
    stepper.run_until("printing")
    assert stepper.execution.freely_waited_seconds == 0

    stepper.signal("cancelled")
    stepper.signal("retried")

    assert stepper.execution.deadline_at == stepper.clock.now() + DEADLINE


def test_retry_sets_a_new_deadline() -> None:
    stepper, _ = a_stepper(Wait(timedelta(hours=2)), Advance("drafted"))
    stepper.run()
    assert failure_of(stepper).code == "STEP_TIMEOUT"

    stepper.signal("retried")

    assert stepper.run().state == "completed"


# --- budgets of turns -------------------------------------------------------------------------------------------------


def test_turn_after_twelve_in_a_row_waits_a_second_for_a_fresh_chain() -> None:
    """Lambda cuts a chain of self-invocations after about 16."""
    stepper, _ = a_stepper(Wait(timedelta(0)))

    for _ in range(CHAIN_LIMIT):
        assert stepper.events
        stepper.step()

    assert stepper.events == ()
    assert stepper.execution.due_at == NOON + CHAIN_PAUSE
    assert stepper.execution.chain == 0


@pytest.mark.parametrize("answer", [Wait(SECOND), BUSY])
def test_wait_begins_a_new_chain(answer: Any) -> None:  # noqa: ANN401  an answer or an error
    stepper, _ = a_stepper(*[Wait(timedelta(0))] * 5, answer)

    for _ in range(6):
        stepper.step()

    assert stepper.execution.chain == 0


def test_chain_that_ends_in_the_last_state_is_paused_like_any_other() -> None:
    stepper = Stepper(
        a_machine(draft=Script(*[Wait(timedelta(0))] * 10, Advance("drafted"))), after_work=lambda *_: None
    )
    stepper.start({})

    for _ in range(CHAIN_LIMIT):
        stepper.step()

    assert (stepper.state, stepper.events) == ("completed", ())
    assert stepper.execution.due_at == NOON + CHAIN_PAUSE


def test_run_that_goes_in_circles_ends_with_a_clear_failure() -> None:
    stepper, script = a_stepper(Wait(timedelta(milliseconds=1)), deadline=timedelta(days=9))

    stepper.run()

    assert len(script.attempts) == TURN_LIMIT
    assert failure_of(stepper).code == "TURN_LIMIT"
    assert "3000 turns" in failure_of(stepper).message


def test_retry_of_it_begins_with_a_budget_of_its_own() -> None:
    stepper, _ = a_stepper(
        *[Wait(timedelta(milliseconds=1))] * TURN_LIMIT, Advance("drafted"), deadline=timedelta(days=9)
    )
    stepper.run()

    stepper.signal("retried")

    assert stepper.execution.turns == 0
    assert stepper.run().state == "completed"


# --- states that nobody knows -----------------------------------------------------------------------------------------


class Deployments:
    """One record, worked on by a machine that knows its state, and by one that does not."""

    def __init__(self) -> None:
        store = MemoryStore()
        self.new = Stepper(a_machine(draft=Script(Wait(timedelta(0)))), store=store)
        self.old = Stepper(self._without_drafting(), store=store, clock=self.new.clock)
        self.new.start({})

    @staticmethod
    def _without_drafting() -> Machine[Job]:
        return Machine(
            "letters",
            states=[
                Working("printing", step=Script(Advance("printed")), deadline=DEADLINE, max_turn=MAX_TURN),
                Terminal("completed"),
                Terminal("failed"),
            ],
            initial="printing",
            transitions=[
                Transition("printed", "printing", "completed"),
                Transition("failed", "printing", "failed"),
                Transition("cancelled", "printing", "failed"),
                Transition("retried", "failed", BACK),
            ],
            signals={"cancelled", "retried"},
            load=as_it_is,
        )

    def parked(self) -> Execution:
        """The old deployment gets the event."""
        assert self.old.deliver(self.new.drop()).kind == "parked"
        return self.new.execution


def test_unknown_state_is_parked_and_looked_at_every_ten_minutes(caplog: pytest.LogCaptureFixture) -> None:
    deployments = Deployments()

    parked = deployments.parked()

    assert (parked.state, parked.parked_at, parked.lease, parked.attempt) == ("drafting", NOON, None, 0)
    assert parked.due_at == NOON + timedelta(minutes=10)
    assert "knows no state 'drafting'; deploy a version that does" in caplog.text


def test_parked_for_a_day_it_is_looked_at_daily(caplog: pytest.LogCaptureFixture) -> None:
    deployments = Deployments()
    deployments.parked()
    deployments.old.advance(timedelta(hours=24))

    deployments.old.step()

    assert deployments.new.execution.parked_at == NOON
    assert deployments.new.execution.due_at == NOON + timedelta(hours=48)


def test_parked_time_moves_the_deadline(caplog: pytest.LogCaptureFixture) -> None:
    deployments = Deployments()
    deployments.parked()
    deployments.new.advance(timedelta(hours=5))

    result = deployments.new.step()

    assert result.kind == "waiting"
    assert deployments.new.execution.deadline_at == NOON + DEADLINE + timedelta(hours=5)
    assert deployments.new.execution.parked_at is None


def test_crash_of_the_first_turn_after_parking_does_not_cost_the_deadline(caplog: pytest.LogCaptureFixture) -> None:
    deployments = Deployments()
    deployments.parked()
    deployments.new.advance(timedelta(hours=5))
    deployments.new.engine.machine.state("drafting").step.answers.insert(0, ProcessGone())  # type: ignore[union-attr]  # a Working with a Script
    crash(deployments.new)

    deployments.new.step()

    assert deployments.new.execution.deadline_at == NOON + DEADLINE + timedelta(hours=5, seconds=65)


def test_parked_execution_can_be_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    """A cancel asks only that the execution has not ended."""
    deployments = Deployments()
    deployments.parked()

    deployments.old.signal("cancelled")

    cancelled = deployments.old.execution
    assert (cancelled.state, cancelled.failed_in, cancelled.parked_at, cancelled.due_at) == (
        "failed",
        "drafting",
        None,
        None,
    )


def test_parked_execution_knows_no_other_signal(caplog: pytest.LogCaptureFixture) -> None:
    deployments = Deployments()
    deployments.parked()

    with pytest.raises(EventNotAllowedError):
        deployments.old.signal("retried")
    assert deployments.old.state == "drafting"


def test_retry_where_it_failed_waits_for_a_deployment_that_knows_the_state(caplog: pytest.LogCaptureFixture) -> None:
    deployments = Deployments()
    deployments.parked()
    deployments.old.signal("cancelled")

    with pytest.raises(EventNotAllowedError):
        deployments.old.signal("retried")
    assert deployments.new.signal("retried").state == "drafting"


def test_end_that_the_machine_does_not_know_is_left_by_nobody() -> None:
    """A newer deployment may have ends of its own; to an older one they must not look like work."""
    store = MemoryStore()
    stepper = Stepper(a_machine(), store=store)
    stepper.start({})
    ended = stepper.run()
    newer = replace(ended, state="archived", status="archived", version=ended.version + 1, run_id="run-2")
    store.start(newer, replace=True)

    with pytest.raises(EventNotAllowedError):
        stepper.signal("cancelled")
    assert stepper.state == "archived"
