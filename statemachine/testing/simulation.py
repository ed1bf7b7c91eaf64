"""One simulated run: workers, sweeps and people, interleaved at every boundary by the choices of a schedule.

Every actor has a thread of its own, and exactly one of them runs at any moment: at a boundary it goes on, or hands over
and waits.  So a run follows from its choices alone, and can be repeated.  A boundary is every call that leaves the
process: to the store, to the dispatcher, to a vendor.  There is one decision for each call, before it is made; a kill
after a call is a kill before the next one, with nothing between them that anybody could see.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from statemachine.dispatcher import Event
from statemachine.engine import AfterWorkDoer
from statemachine.errors import DispatchError, ExecutionNotFoundError, StateMachineError, StoreUnavailableError
from statemachine.execution import Execution, Patch, Path
from statemachine.machine import Machine, Step, Turn, Working
from statemachine.outcome import Outcome
from statemachine.store import DueRow
from statemachine.testing.clock import VirtualClock
from statemachine.testing.crew import Crew, Hand, Killed
from statemachine.testing.properties import Properties, PropertyError
from statemachine.testing.scenario import Parts, Scenario
from statemachine.testing.schedule import Chooser

JobT = TypeVar("JobT")
AnswerT = TypeVar("AnswerT")

EXECUTION_ID = "execution-1"

# A stalled worker sleeps through the end of its lease and the sweep after it.
STALL = timedelta(seconds=30)

# An event that comes late comes after the grace, when the sweeper has already asked again.
LATE = timedelta(seconds=100)

# How far the clock of one worker may be off; more than the margin of a lease.
SKEW = timedelta(seconds=8)

# After a sweep that was spoilt, the next tick of the schedule.
NEXT_TICK = timedelta(seconds=60)

# Boundaries of one run.  The longest honest ones take some hundreds.
MOST_BOUNDARIES = 20_000

FAR = timedelta(days=400)

# What may be done to an execution at any moment, beside the signals: its record deleted, and a turn asked for.
DELETED = "deleted"
RESUMED = "resumed"


@dataclass(slots=True)
class Actor:
    """One process: a worker in its turn, a sweep, or a person's request."""

    name: str
    work: Callable[[], None]
    skew: timedelta = timedelta(0)
    wakes_at: datetime | None = None
    is_dead: bool = False


@dataclass(slots=True)
class _InFlight:
    event: Event
    not_before: datetime


class Simulation(Generic[JobT]):
    """One run of a scenario under one schedule.

    Attributes:
        choices: what was chosen at each boundary, as (choice, count).
        trace: what happened, a line for each boundary, for people.
    """

    def __init__(self, scenario: Scenario[JobT], chooser: Chooser, *, parts: Parts, crew: Crew) -> None:
        self.scenario = scenario
        self.choices: list[tuple[int, int]] = []
        self.trace: list[tuple[datetime, str, str, str]] = []
        self.store = parts.store()
        self.clock = VirtualClock()
        self._chooser = chooser
        self._crew = crew
        self._hands: dict[str, Hand] = {}
        self._paused: list[Actor] = []
        self._running: Actor | None = None
        self._next: Actor | None = None
        self._queue: list[_InFlight] = []
        self._signals = dict(scenario.signals)
        self._acts = [DELETED] * scenario.may_be_deleted + [RESUMED] * scenario.may_be_resumed
        self._whole_sweeps = parts.whole_sweeps
        self._swept_at: datetime | None = None
        self._trouble: PropertyError | None = None
        self._ids = 0
        self._names: dict[str, int] = {}
        machine = scenario.machine
        self.properties = Properties(machine)
        clock, dispatcher = _ActorClock(self), _WatchedDispatcher(self)
        store = _WatchedStore(self)
        self._engine = parts.engine(
            _watched_machine(machine, self),
            store=store,
            dispatcher=dispatcher,
            clock=clock,
            after_work=scenario.after_work and self._watched_after_work(scenario.after_work),
            new_id=self._new_id,
        )
        self._sweeper = parts.sweeper(store=store, dispatcher=dispatcher, clock=clock)
        scenario.effects.watched_by(self)

    # --- the run ----------------------------------------------------------------------------------------------------

    def run(self) -> Execution | None:
        """Let everything happen until nothing is left to happen; return the record as it ended.

        Raises:
            PropertyError: something happened that never may.
        """
        self._spawn("person", self._start)
        try:
            while self._trouble is None and (actor := self._upcoming()) is not None:
                self._resume(actor)
            if self._trouble is not None:
                raise self._trouble
            standing = self.standing()
            self.properties.ended(standing)
            for sentence in self.scenario.check(standing, self.scenario.effects):
                raise PropertyError(sentence)
            return standing
        finally:
            self._kill_all()

    def standing(self) -> Execution | None:
        """The record as it stands; looking at it is no boundary."""
        try:
            return self.store.get(EXECUTION_ID)
        except ExecutionNotFoundError:
            return None

    def _upcoming(self) -> Actor | None:
        """Who goes on next; None when nothing is left to happen."""
        if self._next is not None:
            actor, self._next = self._next, None
            return actor
        while True:
            now = self.clock.now()
            ready = [actor for actor in self._paused if actor.wakes_at is None or actor.wakes_at <= now]
            if ready:
                return ready[0]
            deliverable = [flight for flight in self._queue if flight.not_before <= now]
            if deliverable:
                worker = self._delivered(deliverable)
                if worker is None:
                    continue
                return worker
            wakes_at = [actor.wakes_at for actor in self._paused if actor.wakes_at is not None]
            arrives_at = [flight.not_before for flight in self._queue]
            sweeps_at = self._next_sweep()
            moments = [*wakes_at, *arrives_at, *([sweeps_at] if sweeps_at else [])]
            if not moments:
                return self._last_word()
            self.clock.advance(max(min(moments) - now, timedelta(0)))
            if sweeps_at is not None and sweeps_at <= self.clock.now():
                return self._swept()

    def _delivered(self, deliverable: list[_InFlight]) -> Actor | None:
        """A worker for the next event; None when it was chosen to come late."""
        others = len({flight.event for flight in deliverable}) > 1
        options = ["", "late", "fast", "slow", *(["last"] if others else [])]
        chosen = options[self._choose("delivery", "", options)]
        flight = deliverable[-1] if chosen == "last" else deliverable[0]
        if chosen == "late":
            flight.not_before = self.clock.now() + LATE
            return None
        return self._worker(flight, skew={"fast": SKEW, "slow": -SKEW}.get(chosen, timedelta(0)))

    def _worker(self, flight: _InFlight, *, skew: timedelta = timedelta(0)) -> Actor:
        self._queue.remove(flight)
        return self._spawn("worker", lambda: self._turn(flight.event), skew=skew)

    def _next_sweep(self) -> datetime | None:
        rows = self.store.due(self.clock.now() + FAR, limit=1)
        if not rows:
            return None
        standing = self.standing()
        if standing is not None:
            self.properties.late(standing, self.clock.now())
        due_at = rows[0].due_at
        if self._swept_at is None:
            return due_at
        if self._whole_sweeps:
            return max(self._swept_at + NEXT_TICK, due_at - NEXT_TICK)
        if due_at <= self._swept_at:
            return self._swept_at + NEXT_TICK  # a fault hit that sweep, or the turn that it asked for
        return due_at

    def _swept(self) -> Actor:
        self._swept_at = self.clock.now()
        return self._spawn("sweep", self._sweep)

    def _last_word(self) -> Actor | None:
        """Nothing is left to happen, unless a person has something to say."""
        signals = [event for event in self._possible_signals() if event in self._signals]
        if not signals:
            return None
        options = ["", *signals]
        chosen = self._choose("the end", "", options)
        return self._person(options[chosen]) if chosen else None

    # --- actors -----------------------------------------------------------------------------------------------------

    def _spawn(self, role: str, work: Callable[[], None], *, skew: timedelta = timedelta(0)) -> Actor:
        self._names[role] = number = self._names.get(role, 0) + 1
        actor = Actor(f"{role}-{number}", work, skew=skew)
        hand = self._hands[actor.name] = self._crew.take()
        hand.give(lambda: self._act(actor))
        self._paused.append(actor)
        return actor

    def _act(self, actor: Actor) -> None:
        try:
            actor.work()
        except Killed:
            actor.is_dead = True
        except PropertyError as error:
            self._trouble = self._trouble or error
        except Exception as error:  # noqa: BLE001  whatever the engine lets out is a finding
            self._trouble = self._trouble or PropertyError(f"{actor.name} raised {type(error).__name__}: {error}")

    def _resume(self, actor: Actor) -> None:
        self._paused.remove(actor)
        self._running = actor
        hand = self._hands[actor.name]
        hand.resume()
        self._running = None
        if hand.is_idle:
            del self._hands[actor.name]
            self._crew.give_back(hand)
        else:
            self._paused.append(actor)

    def _pause(self, wakes_at: datetime | None) -> None:
        """From inside the running actor: hand over until `wakes_at`; without one, until it is its turn again."""
        actor = self._actor()
        actor.wakes_at = wakes_at
        self._hands[actor.name].pause()
        actor.wakes_at = None
        if actor.is_dead:
            raise Killed

    def _kill_all(self) -> None:
        while self._paused:
            actor = self._paused[0]
            actor.is_dead = True
            self._resume(actor)

    def _actor(self) -> Actor:
        if self._running is None:
            raise RuntimeError("nobody is at work: a call was made from outside of a step")
        return self._running

    def _start(self) -> None:
        self._twice("start", lambda: self._engine.start(EXECUTION_ID, self.scenario.data, run_id="run-1"))

    def _turn(self, event: Event) -> None:
        try:
            self._engine.run_turn(event, time_left=self.scenario.time_left)
        except StoreUnavailableError as error:
            self._told("turn", f"ended by {error}")

    def _sweep(self) -> None:
        if self._whole_sweeps:
            self._sweeper.sweep()
        else:
            self._sweeper.sweep_once()

    def _person(self, event: str) -> Actor:
        if event in self._acts:
            self._acts.remove(event)
            if event == DELETED:
                return self._spawn("owner", lambda: self.store.delete(EXECUTION_ID))
            return self._spawn("person", lambda: self._twice(event, lambda: self._engine.resume(EXECUTION_ID)))
        patch = self._signals.pop(event)
        return self._spawn("person", lambda: self._signal(event, patch))

    def _signal(self, event: str, patch: Patch) -> None:
        signal_id = self._new_id()
        self._twice(event, lambda: self._engine.signal(EXECUTION_ID, event, patch=patch, signal_id=signal_id))

    def _twice(self, call: str, ask: Callable[[], object]) -> None:
        """What a person does: ask, and once more where there was no answer."""
        try:
            try:
                ask()
            except StoreUnavailableError:
                ask()
        except StateMachineError as error:
            self._told(call, f"refused: {error}")

    def _possible_signals(self) -> list[str]:
        """What somebody may do to the execution now."""
        if not self._signals and not self._acts:
            return []
        standing = self.standing()
        if standing is None:
            return []
        known = self.scenario.machine.events(standing.state)
        return [*(event for event in self._signals if event in known), *self._acts]

    # --- boundaries -------------------------------------------------------------------------------------------------

    def boundary(self, call: str, faults: Sequence[str]) -> str:
        """Before a call of the running actor: which of `faults` happens to it, '' for none.

        What happens to the whole process (a kill, a stall, somebody else's turn) happens here.
        """
        actor = self._actor()
        if actor.is_dead:
            raise Killed
        waiting = [other.name for other in self._paused]
        flights = [flight for flight in self._queue if flight.not_before <= self.clock.now()]
        signals = [] if actor.name.startswith("person") else self._possible_signals()
        options = [
            "",
            "kill",
            "stall",
            *faults,
            *waiting,
            *(["another delivery"] if flights else []),
            *signals,
        ]
        chosen = options[self._choose(actor.name, call, options)]
        if chosen in ("", *faults):
            return chosen
        if chosen == "kill":
            actor.is_dead = True
            raise Killed
        if chosen == "stall":
            self._pause(self._after_lease())
        elif chosen == "another delivery":
            self._next = self._worker(flights[0])
            self._pause(None)
        elif chosen in waiting:
            self._next = next(other for other in self._paused if other.name == chosen)
            self._pause(None)
        else:
            self._next = self._person(chosen)
            self._pause(None)
        return ""

    def effect(
        self, name: str, act: Callable[[], AnswerT], unavailable: Exception | None, lost: Exception | None
    ) -> AnswerT:
        """A call to a vendor."""
        faults = [*(["unavailable"] if unavailable else []), *(["answer lost"] if lost else [])]
        fault = self.boundary(name, faults)
        if fault == "unavailable" and unavailable is not None:
            raise unavailable
        answer = act()
        if fault == "answer lost" and lost is not None:
            raise lost
        return answer

    def accepted(self, path: Path, intent_id: str, operation: str) -> None:
        """A vendor accepted work."""
        self.properties.accepted(path, intent_id, operation)

    def dispatch(self, event: Event) -> None:
        """A turn is asked for."""
        fault = self.boundary(f"dispatch version {event.version}", ("refused", "lost", "twice", "answer lost"))
        self.properties.dispatched(event, self.standing())
        if fault == "refused":
            raise DispatchError(f"{event} was refused")
        if fault != "lost":
            self._queue += [_InFlight(event, self.clock.now()) for _ in range(2 if fault == "twice" else 1)]
        if fault == "answer lost":
            raise DispatchError(f"{event} was sent, and its answer was lost")

    def begun(self, turn: Turn) -> None:
        """A step begins to work."""
        standing = self.standing()
        if standing is not None and standing.lease is not None and standing.lease.owner == getattr(turn, "owner", ""):
            self.properties.begun(standing)

    def actor_now(self) -> datetime:
        """The present moment, as the running actor's clock shows it."""
        return self.clock.now() + (self._running.skew if self._running else timedelta(0))

    def sleep(self, delay: timedelta) -> None:
        """The running actor sleeps."""
        if delay > timedelta(0):
            self._pause(self.clock.now() + delay)

    def _after_lease(self) -> datetime:
        now, standing = self.clock.now(), self.standing()
        lease = standing.lease if standing else None
        return max(now, lease.expires_at if lease else now) + STALL

    def _choose(self, who: str, call: str, options: Sequence[str]) -> int:
        position = len(self.choices)
        if position >= MOST_BOUNDARIES:
            raise PropertyError(f"{MOST_BOUNDARIES} boundaries, and no end")
        chosen = self._chooser.choose(position, len(options)) if len(options) > 1 else 0
        self.choices.append((chosen, len(options)))
        self.trace.append((self.clock.now(), who, call, options[chosen]))
        return chosen

    def _told(self, call: str, what: str) -> None:
        self.trace.append((self.clock.now(), self._actor().name, call, what))

    def _new_id(self) -> str:
        self._ids += 1
        return f"id-{self._ids}"

    def _watched_after_work(self, after_work: AfterWorkDoer) -> AfterWorkDoer:
        return lambda execution, notices: self.effect("after-work", lambda: after_work(execution, notices), None, None)


class _ActorClock:
    """The clock of whoever is running; see `statemachine.clock.Clock`."""

    def __init__(self, simulation: Simulation[Any]) -> None:
        self._simulation = simulation

    def now(self) -> datetime:
        return self._simulation.actor_now()

    def sleep(self, delay: timedelta) -> None:
        self._simulation.sleep(delay)


class _WatchedDispatcher:
    def __init__(self, simulation: Simulation[Any]) -> None:
        self._simulation = simulation

    def dispatch(self, event: Event) -> None:
        self._simulation.dispatch(event)


class _WatchedStore:
    """The store under test, with a boundary before each call, and the record looked at around it."""

    def __init__(self, simulation: Simulation[Any]) -> None:
        self._simulation = simulation
        self._store = simulation.store

    def start(self, execution: Execution, *, replace: bool) -> None:
        self._write("start", lambda: self._store.start(execution, replace=replace))

    def get(self, execution_id: str) -> Execution:
        return self._read("get", lambda: self._store.get(execution_id))

    def lease(
        self, execution_id: str, *, version: int, owner: str, now: datetime, at_most: timedelta, margin: timedelta
    ) -> Execution:
        return self._write(
            "lease",
            lambda: self._store.lease(
                execution_id, version=version, owner=owner, now=now, at_most=at_most, margin=margin
            ),
            owner=owner,
            now=now,
        )

    def renew(self, execution_id: str, *, owner: str, expires_at: datetime) -> None:
        self._write("renew", lambda: self._store.renew(execution_id, owner=owner, expires_at=expires_at), owner=owner)

    def checkpoint(self, execution_id: str, *, owner: str, patch: Patch) -> None:
        self._write("checkpoint", lambda: self._store.checkpoint(execution_id, owner=owner, patch=patch), owner=owner)

    def record_fact(self, execution_id: str, *, path: Path, intent_id: str, operation: str, owner: str) -> bool:
        def record() -> bool:
            try:
                is_mine = self._store.record_fact(
                    execution_id, path=path, intent_id=intent_id, operation=operation, owner=owner
                )
            except StateMachineError:
                self._simulation.properties.refused_fact(self._simulation.standing(), path, intent_id, operation)
                raise
            self._simulation.properties.recorded(path, intent_id, operation)
            return is_mine

        return self._write("record_fact", record, owner=owner)

    def save(self, execution: Execution, *, owner: str, patch: Patch) -> None:
        self._write("save", lambda: self._store.save(execution, owner=owner, patch=patch), owner=owner)

    def signal(self, execution: Execution, *, patch: Patch) -> None:
        self._write("signal", lambda: self._store.signal(execution, patch=patch))

    def revive(self, execution_id: str, *, now: datetime) -> Execution:
        return self._write("revive", lambda: self._store.revive(execution_id, now=now), now=now)

    def due(self, until: datetime, *, limit: int) -> Sequence[DueRow]:
        fault = self._simulation.boundary("due", ("unavailable", "index lags"))
        if fault == "unavailable":
            raise StoreUnavailableError("due was throttled")
        return () if fault == "index lags" else self._store.due(until, limit=limit)

    def _read(self, call: str, perform: Callable[[], AnswerT]) -> AnswerT:
        if self._simulation.boundary(call, ("unavailable",)):
            raise StoreUnavailableError(f"{call} was throttled")
        return perform()

    def _write(
        self, call: str, perform: Callable[[], AnswerT], *, owner: str = "", now: datetime | None = None
    ) -> AnswerT:
        fault = self._simulation.boundary(call, ("unavailable", "answer lost, repeated", "answer lost"))
        if fault == "unavailable":
            raise StoreUnavailableError(f"{call} was throttled")
        answer = self._performed(call, perform, owner, now)
        if fault == "answer lost, repeated":
            # What an SDK does by itself; the store has to recognise its own success.
            answer = self._performed(call, perform, owner, now)
        if fault == "answer lost":
            raise StoreUnavailableError(f"{call} was done, and its answer was lost")
        return answer

    def _performed(self, call: str, perform: Callable[[], AnswerT], owner: str, now: datetime | None) -> AnswerT:
        before = self._simulation.standing()
        try:
            return perform()
        finally:
            self._simulation.properties.wrote(call, before, self._simulation.standing(), owner=owner, now=now)


def _watched_machine(machine: Machine[JobT], simulation: Simulation[Any]) -> Machine[JobT]:
    """The same machine, whose steps tell when they begin."""

    def watched(step: Step[JobT]) -> Step[JobT]:
        def begin(job: JobT, *, turn: Turn) -> Outcome:
            simulation.begun(turn)
            return step(job, turn=turn)

        return begin

    # A copy: building and checking it anew for every run would take a tenth of the time.
    copied = copy.copy(machine)
    copied.states = {
        name: replace(state, step=watched(state.step)) if isinstance(state, Working) else state
        for name, state in machine.states.items()
    }
    return copied
