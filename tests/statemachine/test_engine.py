"""What people do: start, signal, resume."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from statemachine.dispatcher import Event
from statemachine.engine import CANCEL_TRIES, DISPATCH_GRACE, Engine
from statemachine.errors import (
    DispatchError,
    EventNotAllowedError,
    ExecutionExistsError,
    ExecutionNotFoundError,
    LeaseHeldError,
    PatchError,
    PermanentError,
    StoreUnavailableError,
    TransientError,
    VersionConflictError,
)
from statemachine.execution import Execution, Patch
from statemachine.machine import Turn
from statemachine.memory import MemoryDispatcher, MemoryStore
from statemachine.outcome import Advance, Outcome, Wait
from statemachine.testing import Stepper, VirtualClock
from statemachine.testing.clock import NOON
from tests.statemachine.machines import DEADLINE, Job, Script, a_machine

BUSY = TransientError("BUSY", "the press is busy")
BROKEN = PermanentError("BROKEN", "the press is broken")
ID = "execution-1"


def reviewing() -> Stepper[Job]:
    """An execution that waits for a person."""
    stepper = Stepper(a_machine(draft=Script(Advance("review_asked"))))
    stepper.start({})
    stepper.run()
    return stepper


def failed_printing() -> tuple[Stepper[Job], Script]:
    """An execution that failed while printing, and the step that will print when it is asked again."""
    script = Script(BROKEN, Advance("printed"))
    stepper = Stepper(a_machine(print_=script))
    stepper.start({})
    stepper.run()
    return stepper, script


class LosesAnswers(MemoryStore):
    """Does what it is asked, and does not say so."""

    def __init__(self, *operations: str) -> None:
        super().__init__()
        self.silent = list(operations)

    def _answered(self, operation: str) -> None:
        if operation in self.silent:
            self.silent.remove(operation)
            raise StoreUnavailableError(f"no answer to {operation}")

    def start(self, execution: Execution, *, replace: bool) -> None:
        super().start(execution, replace=replace)
        self._answered("start")

    def signal(self, execution: Execution, *, patch: Patch) -> None:
        super().signal(execution, patch=patch)
        self._answered("signal")


# --- start ------------------------------------------------------------------------------------------------------------


def test_start_stores_the_execution_and_asks_for_its_first_turn() -> None:
    stepper = Stepper(a_machine())

    started = stepper.start({"to": "Ada"})

    stored = stepper.execution
    assert (stored.state, stored.status, stored.version, stored.revision) == ("drafting", "processing", 1, 1)
    assert stored.machine == "letters"
    assert stored.deadline_at == NOON + DEADLINE
    assert stored.due_at == NOON + DISPATCH_GRACE
    assert stored.data["to"] == "Ada"
    assert stored.run_id == started.run_id != ""
    assert stepper.events == (Event(ID, 1),)


def test_start_writes_the_first_entry_of_the_history() -> None:
    stepper = Stepper(a_machine())

    stepper.start({})

    assert stepper.data["processing_steps"] == {
        "drafting": {
            "status": "processing",
            "started_at": "2026-01-01T12:00:00.000+00:00",
            "deadline_at": "2026-01-01T13:00:00.000+00:00",
        }
    }


def test_history_can_be_switched_off() -> None:
    stepper = Stepper(a_machine(print_=Script(BUSY, Advance("printed"))), history_path=None)
    stepper.start({"to": "Ada"})

    stepper.run()

    assert dict(stepper.data) == {"to": "Ada"}


def test_starting_twice_is_refused_while_one_stands() -> None:
    stepper = Stepper(a_machine())
    stepper.start({})

    with pytest.raises(ExecutionExistsError, match="in state 'drafting'"):
        stepper.start({})


def test_start_repeated_with_the_same_run_id_changes_nothing() -> None:
    store = LosesAnswers("start")
    stepper = Stepper(a_machine(), store=store)
    with pytest.raises(StoreUnavailableError):
        stepper.engine.start(ID, {"n": 1}, run_id="run-1")

    stepper.engine.start(ID, {"n": 2}, run_id="run-1")

    assert (stepper.data["n"], stepper.execution.version) == (1, 1)


def test_replacing_goes_on_counting_versions_and_has_a_run_of_its_own() -> None:
    """An event of the old run must never match."""
    stepper = Stepper(a_machine())
    first = stepper.start({"n": 1})
    ended = stepper.run()

    second = stepper.start({"n": 2}, replace_execution=True)

    assert second.version == ended.version + 1
    assert second.revision > ended.revision
    assert second.run_id != first.run_id
    assert (stepper.state, stepper.data["n"]) == ("drafting", 2)


def test_replacing_what_has_not_ended_is_refused() -> None:
    stepper = reviewing()

    with pytest.raises(ExecutionExistsError, match="in state 'reviewing'"):
        stepper.start({}, replace_execution=True)


def test_replacing_where_nothing_stands_just_starts() -> None:
    stepper = Stepper(a_machine())

    assert stepper.start({}, replace_execution=True).version == 1


def test_replacing_repeated_with_the_same_run_id_changes_nothing() -> None:
    store = LosesAnswers()
    stepper = Stepper(a_machine(), store=store)
    stepper.start({})
    stepper.run()
    store.silent = ["start"]
    with pytest.raises(StoreUnavailableError):
        stepper.engine.start(ID, {"n": 1}, run_id="run-2", replace_execution=True)

    again = stepper.engine.start(ID, {"n": 2}, run_id="run-2", replace_execution=True)

    assert stepper.execution == again
    assert stepper.data["n"] == 1


def test_dispatch_that_fails_is_not_an_error_of_the_start() -> None:
    class Refusing(MemoryDispatcher):
        def dispatch(self, event: Event) -> None:
            raise DispatchError("throttled")

    store, clock = MemoryStore(), VirtualClock()

    Engine(a_machine(), store=store, dispatcher=Refusing(), clock=clock).start(ID, {})

    assert store.get(ID).due_at == NOON + DISPATCH_GRACE


# --- signals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", ["approved", "cancelled", "retried", "drafted", "failed", "unknown"])
@pytest.mark.parametrize("state", ["drafting", "reviewing", "printing", "completed", "failed"])
def test_signal_is_allowed_where_the_machine_says_so_and_nowhere_else(state: str, event: str) -> None:
    """What a step fires, a person may not."""
    draft = Script(Advance("review_asked")) if state == "reviewing" else Script(Advance("drafted"))
    stepper = Stepper(a_machine(draft=draft, print_=Script(BROKEN if state == "failed" else Advance("printed"))))
    stepper.start({})
    stepper.run_until(state)
    machine, before = stepper.engine.machine, stepper.execution
    allowed = event in machine.signals and event in machine.events(state)

    if allowed:
        stepper.signal(event)
        assert stepper.execution.version == before.version + 1
    else:
        with pytest.raises(EventNotAllowedError) as caught:
            stepper.signal(event)
        assert stepper.execution == before
        assert set(caught.value.allowed) <= set(machine.events(state))


def test_cancel_fails_the_execution_and_says_so() -> None:
    stepper = Stepper(a_machine())
    stepper.start({})

    cancelled = stepper.signal("cancelled")

    assert stepper.state == "failed"
    assert cancelled.failure is not None
    assert (cancelled.failure.code, cancelled.failure.state) == ("CANCELLED", "drafting")
    assert cancelled.failed_in == "drafting"
    assert stepper.data["processing_steps"] == cancelled.data["processing_steps"]
    assert cancelled.due_at is None


def test_cancel_wins_at_once_against_a_running_turn() -> None:
    """The running step's next checkpoint is refused, and so is its save."""
    stepper: Stepper[Job]
    wrote: list[str] = []

    def work(job: Job, turn: Turn) -> Outcome:
        stepper.signal("cancelled")
        turn.checkpoint({("wrote",): True})
        wrote.append("checkpoint")
        return Advance("drafted")

    stepper = Stepper(a_machine(draft=Script(work)))
    stepper.start({})

    result = stepper.step()

    assert (result.kind, wrote, stepper.state) == ("lost", [], "failed")
    assert "wrote" not in stepper.data


def test_save_of_a_cancelled_turn_is_refused() -> None:
    stepper: Stepper[Job]

    def work(job: Job, turn: Turn) -> Outcome:
        stepper.signal("cancelled")
        return Advance("drafted", {("wrote",): True})

    stepper = Stepper(a_machine(draft=Script(work)))
    stepper.start({})

    assert stepper.step().kind == "lost"
    assert stepper.state == "failed"
    assert "wrote" not in stepper.data


def test_fact_paid_for_before_a_cancel_is_recorded_after_it() -> None:
    stepper: Stepper[Job]
    still_mine: list[bool] = []

    def work(job: Job, turn: Turn) -> Outcome:
        turn.checkpoint({("clip",): {"intent_id": "i-1"}})
        stepper.signal("cancelled")
        still_mine.append(turn.record_fact(("clip",), intent_id="i-1", operation="op-1"))
        return Advance("drafted")

    stepper = Stepper(a_machine(draft=Script(work)))
    stepper.start({})

    stepper.step()

    assert still_mine == [False]
    assert stepper.data["clip"] == {"intent_id": "i-1", "operation": "op-1"}
    assert stepper.state == "failed"


def test_cancel_meets_the_version_that_a_turn_saves_in_between() -> None:
    """It is for whatever state the execution has reached."""

    class Busy(MemoryStore):
        def get(self, execution_id: str) -> Execution:
            seen = super().get(execution_id)
            if turns:
                turns.pop()()
            return seen

    turns: list[Callable[[], object]] = []
    stepper = Stepper(a_machine(), store=Busy())
    stepper.start({})
    turns.append(stepper.step)

    stepper.signal("cancelled", expected_version=1)

    assert stepper.state == "failed"
    assert stepper.execution.failed_in == "printing"


def test_cancel_that_meets_another_write_every_time_gives_up() -> None:
    class Contended(MemoryStore):
        tries = 0

        def signal(self, execution: Execution, *, patch: Patch) -> None:
            self.tries += 1
            raise VersionConflictError(execution.execution_id, expected=1, stored=2)

    store = Contended()
    stepper = Stepper(a_machine(), store=store)
    stepper.start({})

    with pytest.raises(StoreUnavailableError, match="met 20 other writes in a row; try again"):
        stepper.signal("cancelled")
    assert store.tries == CANCEL_TRIES


def test_cancel_wins_although_a_step_has_spoilt_the_history() -> None:
    stepper = Stepper(a_machine(draft=Script(Wait(timedelta(minutes=1), {("processing_steps",): "spoilt"}))))
    stepper.start({})
    stepper.step()

    stepper.signal("cancelled", patch={("by",): "Ada"})

    assert stepper.state == "failed"
    assert (stepper.data["processing_steps"], stepper.data["by"]) == ("spoilt", "Ada")


def test_approval_is_for_the_version_that_the_person_saw() -> None:
    stepper = reviewing()

    with pytest.raises(VersionConflictError):
        stepper.signal("approved", expected_version=stepper.execution.version - 1)
    stepper.signal("approved", expected_version=stepper.execution.version)

    assert stepper.state == "printing"


def test_approval_that_another_write_overtakes_is_refused() -> None:
    class Overtaken(MemoryStore):
        def signal(self, execution: Execution, *, patch: Patch) -> None:
            raise VersionConflictError(execution.execution_id, expected=execution.version, stored=execution.version + 1)

    stepper = Stepper(a_machine(draft=Script(Advance("review_asked"))), store=Overtaken())
    stepper.start({})
    stepper.run()

    with pytest.raises(VersionConflictError):
        stepper.signal("approved")


def test_signal_s_patch_is_stored_with_it() -> None:
    stepper = reviewing()

    approved = stepper.signal("approved", patch={("beats",): {"000": "edited"}})

    assert stepper.data["beats"] == approved.data["beats"] == {"000": "edited"}


def test_signal_whose_patch_does_not_fit_changes_nothing() -> None:
    stepper = reviewing()
    before = stepper.execution

    with pytest.raises(PatchError):
        stepper.signal("approved", patch={("missing", "leaf"): 1})

    assert stepper.execution == before


def test_cancel_whose_own_patch_does_not_fit_changes_nothing() -> None:
    stepper = reviewing()
    before = stepper.execution

    with pytest.raises(PatchError):
        stepper.signal("cancelled", patch={("missing", "leaf"): 1})

    assert stepper.execution == before


@pytest.mark.parametrize("event", ["cancelled", "approved"])
def test_signal_repeated_with_the_same_id_counts_once(event: str) -> None:
    store = LosesAnswers("signal")
    stepper = Stepper(a_machine(draft=Script(Advance("review_asked"))), store=store)
    stepper.start({})
    before = stepper.run()
    with pytest.raises(StoreUnavailableError):
        stepper.engine.signal(ID, event, signal_id="click-1")

    stepper.engine.signal(ID, event, signal_id="click-1")

    assert stepper.execution.version == before.version + 1


def test_signal_to_nobody_is_told() -> None:
    with pytest.raises(ExecutionNotFoundError):
        Stepper(a_machine()).signal("cancelled")


def test_retry_goes_back_to_the_state_that_failed_with_everything_kept() -> None:
    stepper, script = failed_printing()
    failed = stepper.execution

    stepper.signal("retried", patch={("note",): "new ribbon"})

    again = stepper.execution
    assert (again.state, again.status, again.failure, again.failed_in) == ("printing", "processing", None, None)
    assert again.run_id == failed.run_id
    assert again.retries == 1
    assert (again.attempt, again.unsaved_turns, again.turns) == (0, 0, 0)
    assert again.deadline_at == NOON + DEADLINE
    assert again.data["note"] == "new ribbon"
    assert stepper.run().state == "completed"
    assert script.attempts == [1, 1]


def test_retry_resumes_the_history_of_the_state() -> None:
    stepper, _ = failed_printing()
    stepper.advance(timedelta(minutes=5))

    stepper.signal("retried")

    history = stepper.data["processing_steps"]
    assert isinstance(history, dict)
    assert history["printing"] == {
        "status": "processing",
        "started_at": "2026-01-01T12:00:00.000+00:00",
        "deadline_at": "2026-01-01T13:05:00.000+00:00",
        "completed_at": None,
        "attempt": 1,
        "error": None,
        "resumed_at": "2026-01-01T12:05:00.000+00:00",
        "retries": 1,
    }
    assert history["drafting"]["status"] == "completed"


def test_retry_of_a_cancelled_review_waits_for_the_person_again() -> None:
    stepper = reviewing()
    stepper.signal("cancelled")

    retried = stepper.signal("retried")

    assert (retried.state, retried.due_at, stepper.events) == ("reviewing", None, ())


# --- resume -----------------------------------------------------------------------------------------------------------


def test_resume_makes_a_waiting_execution_go_on_at_once() -> None:
    stepper = Stepper(a_machine(draft=Script(Wait(timedelta(hours=1)), Advance("drafted"))))
    stepper.start({})
    stepper.step()

    resumed = stepper.engine.resume(ID)

    assert resumed.due_at == NOON
    assert stepper.step().kind == "advanced"


def test_resume_forgets_attempts_and_crashes() -> None:
    script = Script(BUSY, BUSY, Advance("drafted"))
    stepper = Stepper(a_machine(draft=script))
    stepper.start({})
    stepper.step()
    assert stepper.execution.attempt == 1

    stepper.engine.resume(ID)
    stepper.step()

    assert script.attempts == [1, 1]


def test_resume_is_refused_while_a_turn_is_at_work() -> None:
    refused: list[LeaseHeldError] = []
    stepper: Stepper[Job]

    def work(job: Job, turn: Turn) -> Outcome:
        with pytest.raises(LeaseHeldError) as caught:
            stepper.engine.resume(ID)
        refused.append(caught.value)
        return Advance("drafted")

    stepper = Stepper(a_machine(draft=Script(work)))
    stepper.start({})

    assert stepper.step().kind == "advanced"
    assert len(refused) == 1


@pytest.mark.parametrize("state", ["reviewing", "completed"])
def test_resume_of_what_needs_nobody_changes_nothing(state: str) -> None:
    stepper = Stepper(a_machine(draft=Script(Advance("review_asked" if state == "reviewing" else "drafted"))))
    stepper.start({})
    before = stepper.run()

    assert stepper.engine.resume(ID) == before == stepper.execution
    assert stepper.events == ()
