"""A power cut before and after every write, and every answer lost: the record ends as if nothing had happened."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest

from statemachine.errors import (
    StoreUnavailableError,
    TransientError,
)
from statemachine.execution import Execution, Patch, Path
from statemachine.machine import Turn
from statemachine.memory import MemoryStore
from statemachine.outcome import Advance, Outcome, Wait
from statemachine.testing import Stepper
from tests.statemachine.machines import Job, Script, a_machine

AnswerT = TypeVar("AnswerT")

# What the job below writes when nothing goes wrong: start, 6 leases, 3 checkpoints, 2 facts, 6 saves, 1 signal.
WRITES = 19


class PowerCut(BaseException):
    """Everything that was in memory is gone."""


@dataclass(slots=True)
class Fault:
    """What happens to write number `at`, from 1."""

    at: int
    act: str  # 'cut before', 'cut after', 'repeat', 'lose the answer'


class FaultyStore(MemoryStore):
    """A memory store that counts writes; something happens to one of them."""

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self.writes = 0
        self.has_happened = False
        self._fault = fault

    def _wrote(self, write: Callable[[], AnswerT]) -> AnswerT:
        self.writes += 1
        act = self._fault.act if self.writes == self._fault.at else ""
        self.has_happened |= bool(act)
        if act == "cut before":
            raise PowerCut
        answer = write()
        if act == "cut after":
            raise PowerCut
        if act == "lose the answer":
            raise StoreUnavailableError("no answer")
        if act == "repeat":
            return write()
        return answer

    def start(self, execution: Execution, *, replace: bool) -> None:
        self._wrote(lambda: MemoryStore.start(self, execution, replace=replace))

    def lease(
        self, execution_id: str, *, version: int, owner: str, now: datetime, at_most: timedelta, margin: timedelta
    ) -> Execution:
        return self._wrote(
            lambda: MemoryStore.lease(
                self, execution_id, version=version, owner=owner, now=now, at_most=at_most, margin=margin
            )
        )

    def checkpoint(self, execution_id: str, *, owner: str, patch: Patch) -> None:
        self._wrote(lambda: MemoryStore.checkpoint(self, execution_id, owner=owner, patch=patch))

    def record_fact(self, execution_id: str, *, path: Path, intent_id: str, operation: str, owner: str) -> bool:
        return self._wrote(
            lambda: MemoryStore.record_fact(
                self, execution_id, path=path, intent_id=intent_id, operation=operation, owner=owner
            )
        )

    def save(self, execution: Execution, *, owner: str, patch: Patch) -> None:
        self._wrote(lambda: MemoryStore.save(self, execution, owner=owner, patch=patch))

    def signal(self, execution: Execution, *, patch: Patch) -> None:
        self._wrote(lambda: MemoryStore.signal(self, execution, patch=patch))


class Press:
    """A vendor that charges for each intent, and remembers what it was asked to print."""

    def __init__(self) -> None:
        self.printed: dict[str, str] = {}
        self.charged: list[str] = []
        self._is_busy = True

    def draft(self, job: Job, turn: Turn) -> Outcome:
        """Two checkpoints, a wait and a trouble on the way."""
        if "second" not in job.get("drafts", {}):
            turn.checkpoint({("drafts",): {"first": "Dear"}})
            return Wait(timedelta(seconds=15), {("drafts", "second"): "Ada"})
        if self._is_busy:
            self._is_busy = False
            raise TransientError("BUSY", "the press is busy")
        return Advance("review_asked", {("drafts", "third"): "!"})

    def print(self, job: Job, turn: Turn) -> Outcome:
        """Two pages, each paid for once, whatever happens."""
        for page in ("1", "2"):
            known = job.get("pages", {}).get(page)
            if known is None:
                known = {"intent_id": f"page-{page}"}
                turn.checkpoint({("pages", page): known} if "pages" in job else {("pages",): {page: known}})
            if "operation" not in known:
                operation = self.printed.get(known["intent_id"]) or self._order(known["intent_id"])
                turn.record_fact(("pages", page), intent_id=known["intent_id"], operation=operation)
                return Wait(timedelta(0))
        return Advance("printed", {("bound",): True})

    def _order(self, intent_id: str) -> str:
        self.charged.append(intent_id)
        self.printed[intent_id] = f"order-{len(self.charged)}"
        return self.printed[intent_id]


def play(fault: Fault) -> tuple[FaultyStore, Press, Stepper[Job]]:
    """One whole job, a person's approval in the middle of it, on a machine that starts again after every stop."""
    store, press = FaultyStore(fault), Press()
    machine = a_machine(draft=Script(press.draft), print_=Script(press.print))
    stepper = Stepper(machine, store=store, history_path=None)
    insist(stepper, lambda: stepper.engine.start("execution-1", {"to": "Ada"}, run_id="run-1"))
    go_on(stepper)
    if stepper.state == "reviewing":
        insist(stepper, lambda: stepper.engine.signal("execution-1", "approved", signal_id="click-1"))
    go_on(stepper)
    return store, press, stepper


def insist(stepper: Stepper[Job], ask: Callable[[], object]) -> None:
    """What a person does when the machine goes off, or gives no answer: ask once more, with the same id."""
    try:
        ask()
    except (PowerCut, StoreUnavailableError):
        stepper.dispatcher.events.clear()
        ask()


def go_on(stepper: Stepper[Job]) -> None:
    """Run to where nothing is left to do.  A stop loses every event in flight; the sweeper finds the record."""
    while True:
        try:
            stepper.run()
        except (PowerCut, StoreUnavailableError):
            stepper.dispatcher.events.clear()
        else:
            return


def essence(execution: Execution) -> dict[str, Any]:
    """What must be the same whatever went wrong on the way: all but moments and counters."""
    return {
        "state": execution.state,
        "status": execution.status,
        "failure": execution.failure,
        "run_id": execution.run_id,
        "lease": execution.lease,
        "due_at": execution.due_at,
        "attempt": execution.attempt,
        "unsaved_turns": execution.unsaved_turns,
        "last_signal": execution.last_signal,
        "data": dict(execution.data),
    }


@pytest.fixture(scope="module")
def undisturbed() -> Execution:
    """The record when nothing goes wrong."""
    store, press, stepper = play(Fault(0, ""))
    assert store.writes == WRITES
    assert press.charged == ["page-1", "page-2"]
    assert stepper.state == "completed"
    return stepper.execution


@pytest.mark.parametrize("at", range(1, WRITES + 1))
@pytest.mark.parametrize("act", ["cut before", "cut after"])
def test_power_cut_at_any_write_changes_nothing_in_the_end(act: str, at: int, undisturbed: Execution) -> None:
    store, press, stepper = play(Fault(at, act))

    assert store.has_happened
    assert essence(stepper.execution) == essence(undisturbed)
    assert press.charged == ["page-1", "page-2"]


@pytest.mark.parametrize("at", range(1, WRITES + 1))
def test_write_that_is_repeated_because_its_answer_was_lost_counts_once(at: int, undisturbed: Execution) -> None:
    """What an SDK does by itself: the store recognises its own success, and not even a version is different.

    A repeated checkpoint writes the same values again, so the revision may be higher.
    """
    store, _, stepper = play(Fault(at, "repeat"))

    assert store.writes == WRITES
    ended = stepper.execution.changed(data={}, last_turn="", revision=0)
    assert ended == undisturbed.changed(data={}, last_turn="", revision=0)
    assert essence(stepper.execution) == essence(undisturbed)


@pytest.mark.parametrize("at", range(1, WRITES + 1))
def test_write_whose_answer_never_comes_changes_nothing_in_the_end(at: int, undisturbed: Execution) -> None:
    store, press, stepper = play(Fault(at, "lose the answer"))

    assert store.has_happened
    assert essence(stepper.execution) == essence(undisturbed)
    assert press.charged == ["page-1", "page-2"]


@pytest.mark.parametrize("at", range(2, WRITES))
def test_record_is_due_at_a_known_time_after_a_stop_at_any_write(at: int) -> None:
    """Nothing is in limbo: somebody will look at it, or a person has to."""
    store = FaultyStore(Fault(at, "cut after"))
    press = Press()
    stepper = Stepper(a_machine(draft=Script(press.draft), print_=Script(press.print)), store=store)

    try:
        stepper.start({"to": "Ada"})
        stepper.run()
        stepper.signal("approved")
        stepper.run()
    except PowerCut:
        pass

    stopped = stepper.execution
    assert (stopped.due_at is not None) != (stopped.state in {"reviewing", "completed"})
    if stopped.lease is not None:
        assert stopped.due_at == stopped.lease.expires_at
