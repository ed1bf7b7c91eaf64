"""Lambda cuts a function that invokes itself after about 16 hops; a double that does so proves that nothing is lost."""

from collections import deque
from datetime import timedelta

import pytest

from statemachine.dispatcher import Event
from statemachine.engine import TURN_LIMIT, Engine
from statemachine.memory import MemoryStore
from statemachine.outcome import Advance, Wait
from statemachine.sweeper import Sweeper
from statemachine.testing import VirtualClock
from tests.statemachine.machines import Job, Script, a_machine

HOPS = 16
ID = "execution-1"


class CuttingDispatcher:
    """Invokes like Lambda: an event sent from within a turn is one hop further, and the 17th hop never happens.

    An event sent from outside (a person, the schedule) begins a chain of its own.
    """

    def __init__(self) -> None:
        self.cut: list[Event] = []
        self.longest = 0
        self._queue: deque[tuple[Event, int]] = deque()
        self._hop = 0

    def dispatch(self, event: Event) -> None:
        """Send one hop further, or cut without a word."""
        if self._hop >= HOPS:
            self.cut.append(event)
            return
        self._queue.append((event, self._hop + 1))

    def deliver(self, engine: Engine[Job]) -> None:
        """Run turns until nothing is in flight."""
        while self._queue:
            event, self._hop = self._queue.popleft()
            self.longest = max(self.longest, self._hop)
            engine.run_turn(event)
        self._hop = 0


class World:
    """One execution on a simulated Lambda, with a schedule."""

    def __init__(self, draft: Script, *, deadline: timedelta = timedelta(days=9)) -> None:
        self.clock, self.store, self.dispatcher = VirtualClock(), MemoryStore(), CuttingDispatcher()
        self.engine = Engine(
            a_machine(draft=draft, deadline=deadline), store=self.store, dispatcher=self.dispatcher, clock=self.clock
        )
        self.sweeper = Sweeper(store=self.store, dispatcher=self.dispatcher, clock=self.clock)
        self.engine.start(ID, {})

    def run(self) -> str:
        """Deliver and sweep until nothing is due; the state in which it ends."""
        self.dispatcher.deliver(self.engine)
        while (due_at := self.store.get(ID).due_at) is not None:
            self.clock.sleep(due_at - self.clock.now())
            self.sweeper.sweep_once()
            self.dispatcher.deliver(self.engine)
        return self.store.get(ID).state


def test_chain_of_turns_is_paused_before_it_would_be_cut() -> None:
    world = World(Script(*[Wait(timedelta(0))] * 100, Advance("drafted")))

    assert world.run() == "completed"
    assert world.dispatcher.cut == []
    assert world.dispatcher.longest == 12


def test_chain_that_is_cut_is_revived_by_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("statemachine.engine.CHAIN_LIMIT", 10_000)
    world = World(Script(*[Wait(timedelta(0))] * 100, Advance("drafted")))

    assert world.run() == "completed"
    assert len(world.dispatcher.cut) == 102 // HOPS
    assert world.dispatcher.longest == HOPS


def test_runaway_chain_ends_with_a_clear_failure() -> None:
    """A step that never comes to an end, and never waits."""
    draft = Script(Wait(timedelta(0)))
    world = World(draft)

    assert world.run() == "failed"
    failure = world.store.get(ID).failure
    assert failure is not None
    assert (failure.code, failure.state) == ("TURN_LIMIT", "drafting")
    assert "goes in circles" in failure.message
    assert len(draft.attempts) == TURN_LIMIT
    assert world.dispatcher.cut == []
