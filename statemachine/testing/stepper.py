"""Stepper: one execution, moved by hand.  The real engine, one turn per call, under a clock that is moved by hand."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Generic, TypeVar

from statemachine.clock import Clock
from statemachine.dispatcher import Event
from statemachine.engine import Engine, TurnResult
from statemachine.execution import Execution, JsonValue, Patch
from statemachine.machine import Machine
from statemachine.memory import MemoryDispatcher, MemoryStore
from statemachine.store import Store
from statemachine.sweeper import Sweeper, SweepReport
from statemachine.testing.clock import VirtualClock

JobT = TypeVar("JobT")

# What one `run_until` may take; an execution that needs more goes in circles.
MOST_TURNS = 10_000


class StuckError(AssertionError):
    """The execution cannot go where the test wants it.  An AssertionError: the test has found something."""


class Stepper(Generic[JobT]):
    """Steps an execution by hand: every turn, every moment and every lost event is the caller's.

        stepper = Stepper(machine)
        stepper.start({"topic": "tides"})
        stepper.step()
        assert stepper.execution.state == "planning"

    Events wait in `events` until `step` delivers them.  Time stands still until it is advanced; `step`, when no event
    waits, sweeps for what is due at this moment.

    Args:
        store: any `Store`; a fresh `MemoryStore` by default.
        clock: any clock whose `sleep` moves the time: a `VirtualClock` (default), or a `FrozenClock` under freezegun.
        execution_id: of the execution that this stepper starts and looks at.
        time_left: what every turn's process is said to have left, as on Lambda; None: nothing will stop it.
        engine_options: handed to `Engine` as they are: `after_work`, `history_path`, `new_id`, …
    """

    def __init__(
        self,
        machine: Machine[JobT],
        *,
        store: Store | None = None,
        clock: Clock | None = None,
        execution_id: str = "execution-1",
        time_left: timedelta | None = None,
        **engine_options: Any,  # noqa: ANN401  whatever Engine takes; repeating its signature here would only go stale
    ) -> None:
        self.clock = clock or VirtualClock()
        self.store = store or MemoryStore()
        self.dispatcher = MemoryDispatcher()
        self.execution_id = execution_id
        self.time_left = time_left
        self.engine = Engine(machine, store=self.store, dispatcher=self.dispatcher, clock=self.clock, **engine_options)
        self._sweeper = Sweeper(store=self.store, dispatcher=self.dispatcher, clock=self.clock)

    # --- looking --------------------------------------------------------------------------------------------------

    @property
    def execution(self) -> Execution:
        """The record as it stands in the store."""
        return self.store.get(self.execution_id)

    @property
    def state(self) -> str:
        """The state in which the execution stands."""
        return self.execution.state

    @property
    def data(self) -> Mapping[str, JsonValue]:
        """The data as stored."""
        return self.execution.data

    @property
    def events(self) -> tuple[Event, ...]:
        """Events that were dispatched and not delivered yet, the next one first."""
        return tuple(self.dispatcher.events)

    # --- going on -------------------------------------------------------------------------------------------------

    def start(self, data: Mapping[str, JsonValue], *, replace_execution: bool = False) -> Execution:
        """Start the execution.  Its first event waits to be delivered."""
        return self.engine.start(self.execution_id, data, replace_execution=replace_execution)

    def signal(self, event: str, *, patch: Patch | None = None, expected_version: int | None = None) -> Execution:
        """What a person decides: cancel, approve, retry."""
        return self.engine.signal(self.execution_id, event, patch=patch, expected_version=expected_version)

    def step(self) -> TurnResult:
        """Deliver the next event: one turn.

        Raises:
            StuckError: no event waits and nothing is due at this moment.
        """
        if not self.dispatcher.events:
            self.sweep()
        if not self.dispatcher.events:
            raise StuckError(f"no event waits and nothing is due: {self._described()}")
        return self._run(self.dispatcher.events.popleft())

    def run_until(self, *states: str) -> Execution:
        """Step, letting time pass where the execution waits, until it stands in one of `states`; its record.

        Raises:
            StuckError: it stands elsewhere with nothing left to do, or goes in circles.
        """
        for _ in range(MOST_TURNS):
            execution = self.execution
            if execution.state in states:
                return execution
            if not self.dispatcher.events:
                self._wait_until_due(f"it never came to {' or '.join(states)}")
            self.step()
        raise StuckError(f"{MOST_TURNS} turns did not lead to {' or '.join(states)}: {self._described()}")

    def run(self) -> Execution:
        """Step, letting time pass, until nothing is left to do: at the end, or where a person must act; the record."""
        for _ in range(MOST_TURNS):
            if not self.dispatcher.events:
                if self.execution.due_at is None:
                    return self.execution
                self._wait_until_due("")
            self.step()
        raise StuckError(f"{MOST_TURNS} turns did not lead to an end: {self._described()}")

    def advance(self, delay: timedelta) -> None:
        """Let time pass.  Nothing runs meanwhile."""
        self.clock.sleep(delay)

    def sweep(self) -> SweepReport:
        """What the schedule does: dispatch everything that is due at this moment."""
        return self._sweeper.sweep_once()

    # --- going wrong ----------------------------------------------------------------------------------------------

    def deliver_twice(self) -> tuple[TurnResult, TurnResult]:
        """Deliver the next event twice, one after the other, as a queue that delivers at least once may do.

        Raises:
            StuckError: no event waits.
        """
        event = self._next_event()
        return self._run(event), self._run(event)

    def drop(self) -> Event:
        """Lose the next event; return it, so that it can be delivered (`deliver`) far too late.

        Raises:
            StuckError: no event waits.
        """
        return self._next_event()

    def deliver(self, event: Event) -> TurnResult:
        """Deliver any event: a stale one, one that was dropped, one that never was."""
        return self._run(event)

    def _next_event(self) -> Event:
        if not self.dispatcher.events:
            raise StuckError(f"no event waits: {self._described()}")
        return self.dispatcher.events.popleft()

    def _run(self, event: Event) -> TurnResult:
        return self.engine.run_turn(event, time_left=self.time_left)

    def _wait_until_due(self, otherwise: str) -> None:
        due_at = self.execution.due_at
        if due_at is None:
            raise StuckError(f"nothing is left to do and {otherwise}: {self._described()}")
        self.clock.sleep(due_at - self.clock.now())

    def _described(self) -> str:
        execution = self.execution
        due = "never due" if execution.due_at is None else f"due in {execution.due_at - self.clock.now()}"
        why = f", failed with {execution.failure.code}: {execution.failure.message}" if execution.failure else ""
        return f"{execution.execution_id!r} stands in {execution.state!r} at version {execution.version}, {due}{why}"
