"""Machine: states, events and steps, declared once as data and linted at construction.

    Machine(
        "greeting",
        states=[
            Working("asking", step=ask, deadline=timedelta(minutes=5), max_turn=timedelta(seconds=30)),
            Resting("waiting_for_reply"),
            Terminal("completed"),
            Terminal("failed"),
        ],
        initial="asking",
        transitions=[
            Transition("asked", "asking", "waiting_for_reply"),
            Transition("replied", "waiting_for_reply", "completed"),
            Transition("failed", "asking", "failed"),
            Transition("cancelled", ("asking", "waiting_for_reply"), "failed"),
            Transition("retried", "failed", BACK),
        ],
        signals={"replied", "cancelled", "retried"},
        load=Greeting.model_validate,
    )

The only module that uses `transitions`: it decides which event leads where.  One `transitions.Machine` without models
serves every execution; adding a model for each would leak 6 KB apiece (measured on transitions 0.9.3, 2026-11).
"""

import binascii
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

import transitions

from statemachine.errors import EventNotAllowedError, MachineDefinitionError
from statemachine.execution import JsonValue, Patch, Path
from statemachine.outcome import Outcome
from statemachine.record import Record
from statemachine.retry import RetryPolicy

JobT = TypeVar("JobT")
ReadT_contra = TypeVar("ReadT_contra", contravariant=True)

# The target of a transition that leads back to the state in which the execution failed.
BACK = "<back>"


class Turn(Protocol):
    """What a step may ask of the turn in which it runs."""

    @property
    def execution_id(self) -> str:
        """Which execution this is."""

    @property
    def now(self) -> datetime:
        """The present moment."""

    @property
    def time_left(self) -> timedelta:
        """Until the turn's deadline.  What does not fit must not be begun; nothing reaches a vendor after it."""

    @property
    def deadline(self) -> datetime:
        """When this turn must have ended."""

    @property
    def attempt(self) -> int:
        """Which attempt at this state's work this is, from 1."""

    def checkpoint(self, patch: Patch) -> None:
        """Store `patch` now: what must be known before and after an effect that costs money.

        Raises:
            LeaseLostError: stop; the turn is not ours any more.
        """

    def record_fact(self, path: Path, *, intent_id: str, operation: str) -> bool:
        """Store what became of a submission, whoever holds the lease; return whether it is still ours."""


class Step(Protocol[ReadT_contra]):
    """The work of one state: looks at the job, does one bounded piece, and answers."""

    def __call__(self, job: ReadT_contra, *, turn: Turn) -> Outcome:
        """Do one piece of work.

        Raises:
            TransientError: the engine runs the state again.
            PermanentError: the engine fails the execution.
        """


class Working(Record, Generic[JobT]):
    """A state in which a step has work to do.

    Attributes:
        deadline: how long the state may take in all, or a function of the job at the moment of entry.
        max_turn: how long one turn may take.  Not part of the graph: it belongs to the parts that were chosen.
    """

    name: str
    step: Step[JobT]
    deadline: timedelta | Callable[[JobT], timedelta]
    max_turn: timedelta
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    note: str = ""


class Resting(Record):
    """A state that waits for a person: no compute, no due time, no deadline."""

    name: str
    note: str = ""


class Terminal(Record):
    """The end.  Its name is the execution's status."""

    name: str
    note: str = ""


class Transition(Record):
    """`event` leads from `source` (one state, or several) to `target`."""

    event: str
    source: str | Sequence[str]
    target: str

    @property
    def sources(self) -> tuple[str, ...]:
        """The source states, as a tuple."""
        return (self.source,) if isinstance(self.source, str) else tuple(self.source)


class Machine(Generic[JobT]):
    """A checked declaration.  Immutable; one serves every execution.

    Attributes:
        graph: hash of names, states and transitions.  Steps, policies and deadlines may change without it.
        signals: the events that come from outside; all others are fired by steps (and `failed` by the engine).
    """

    def __init__(
        self,
        name: str,
        *,
        states: Sequence[Working[JobT] | Resting | Terminal],
        initial: str,
        transitions: Sequence[Transition],  # noqa: A002, RUF100  the field's word
        signals: Collection[str],
        load: Callable[[Mapping[str, JsonValue]], JobT],
        working_status: str = "processing",
        failed: str = "failed",
    ) -> None:
        self.name = name
        self.initial = initial
        self.signals = frozenset(signals)
        self.load = load
        self.working_status = working_status
        self.failed = failed
        self.transitions = tuple(transitions)
        self.states = {state.name: state for state in states}
        faults = [f"state {state.name!r} is declared twice" for state in _repeated(states)]
        faults += self._faults()
        if faults:
            raise MachineDefinitionError(name, faults)
        self.graph = self._hash()
        self._known = {(t.event, source) for t in self.transitions for source in t.sources}
        self._events = self._build()
        # Answers of `transitions`, each asked for once (18 µs, a third of a turn): it depends on nothing else.  Only
        # answers are kept, and they name declared states, so there are never more than edges times failing states.
        self._fired: dict[tuple[str, str, str | None], str] = {}

    def state(self, name: str) -> Working[JobT] | Resting | Terminal | None:
        """The declaration of a state, or None when this machine does not know it."""
        return self.states.get(name)

    def is_terminal(self, name: str) -> bool:
        """Whether nothing but a signal leaves this state."""
        return isinstance(self.states.get(name), Terminal)

    def status(self, state: str) -> str:
        """The status of the whole while the execution is in `state`."""
        return state if self.is_terminal(state) else self.working_status

    def events(self, state: str) -> tuple[str, ...]:
        """The events that `state` knows, in the order of declaration."""
        return tuple(dict.fromkeys(t.event for t in self.transitions if state in t.sources))

    def fire(self, event: str, state: str, *, failed_in: str | None = None) -> str:
        """The state to which `event` leads from `state`.

        Raises:
            EventNotAllowedError: it leads nowhere.
        """
        target = self._fired.get((event, state, failed_in))
        if target is None:
            model = _Model(state, failed_in)
            if (event, state) not in self._known or not self._events[event].trigger(model):
                raise EventNotAllowedError(event, state, allowed=self.events(state))
            target = self._fired[event, state, failed_in] = model.state
        return target

    def _build(self) -> Mapping[str, Any]:
        # auto_transitions would declare a `to_<state>` event for every state: 6 times slower to build, and no machine
        # of ours wants them.  BACK becomes one conditional transition for each state that can fail.
        machine = transitions.Machine(
            model=None,
            states=list(self.states),
            initial=self.initial,
            auto_transitions=False,
            send_event=True,
        )
        for transition in self.transitions:
            if transition.target != BACK:
                machine.add_transition(transition.event, list(transition.sources), transition.target)
                continue
            for state in self._failing():
                machine.add_transition(transition.event, list(transition.sources), state, conditions=_FailedIn(state))
        events: Mapping[str, Any] = machine.events
        return events

    def _failing(self) -> list[str]:
        """The states from which an event leads to the failed state, so that BACK may lead there again."""
        return [
            name
            for name, state in self.states.items()
            if not isinstance(state, Terminal)
            and any(t.target == self.failed and name in t.sources for t in self.transitions)
        ]

    def _hash(self) -> str:
        graph = (
            self.name,
            self.initial,
            sorted((name, type(state).__name__) for name, state in self.states.items()),
            sorted((t.event, source, t.target) for t in self.transitions for source in t.sources),
            sorted(self.signals),
        )
        # A checksum is enough to tell versions of one machine apart, and costs nothing to import; hashlib takes 3 ms.
        return f"{binascii.crc32(repr(graph).encode()):08x}"

    # --- lint: every fault is found, not only the first ---------------------------------------------------------

    def _faults(self) -> list[str]:
        faults = self._faults_of_names()
        if faults:
            return faults  # the graph's own faults would only be echoes of a wrong name
        return [*self._faults_of_transitions(), *self._faults_of_states(), *self._faults_of_the_graph()]

    def _faults_of_names(self) -> list[str]:
        faults = []
        if self.initial not in self.states:
            faults.append(f"the initial state {self.initial!r} is not declared")
        elif self.is_terminal(self.initial):
            faults.append(f"the initial state {self.initial!r} is terminal")
        if not self.is_terminal(self.failed):
            faults.append(f"the failed state {self.failed!r} is not declared as terminal")
        for transition in self.transitions:
            faults += [
                f"event {transition.event!r} names an unknown state {name!r}"
                for name in (*transition.sources, transition.target)
                if name not in self.states and name != BACK
            ]
        declared = {transition.event for transition in self.transitions}
        faults += [f"signal {event!r} has no transition" for event in sorted(self.signals - declared)]
        return faults

    def _faults_of_transitions(self) -> list[str]:
        faults = []
        seen: dict[tuple[str, str], str] = {}
        for transition in self.transitions:
            for source in transition.sources:
                earlier = seen.setdefault((transition.event, source), transition.target)
                if earlier != transition.target:
                    both = f"{earlier!r} and {transition.target!r}"
                    faults.append(f"event {transition.event!r} leads from {source!r} to both {both}")
                if self.is_terminal(source) and transition.event not in self.signals:
                    faults.append(f"event {transition.event!r} leaves the terminal state {source!r} unasked")
                if transition.target == BACK and source != self.failed:
                    faults.append(f"event {transition.event!r} leads back from {source!r}, where nothing failed")
        return faults

    def _faults_of_states(self) -> list[str]:
        faults = []
        for state in self.states.values():
            if isinstance(state, Working):
                if not any(t.target == self.failed and state.name in t.sources for t in self._fired_by_steps()):
                    faults.append(f"working state {state.name!r} has no way to fail")
                if isinstance(state.deadline, timedelta) and state.deadline <= timedelta(0):
                    faults.append(f"working state {state.name!r} has no deadline")
                if state.max_turn <= timedelta(0):
                    faults.append(f"working state {state.name!r} has no time for a turn")
            elif isinstance(state, Resting):
                wrong = [t.event for t in self._fired_by_steps() if state.name in t.sources]
                faults += [f"resting state {state.name!r} has no step to fire {event!r}" for event in wrong]
        return faults

    def _faults_of_the_graph(self) -> list[str]:
        edges = self._edges()
        faults = [
            f"state {name!r} is unreachable" for name in sorted(set(self.states) - _reachable(edges, [self.initial]))
        ]
        backwards: dict[str, set[str]] = {name: set() for name in self.states}
        for source, targets in edges.items():
            for target in targets:
                backwards[target].add(source)
        good_ends = [name for name in self.states if self.is_terminal(name) and name != self.failed]
        live = _reachable(backwards, good_ends)
        faults += [
            f"state {name!r} is a dead end: no terminal state but {self.failed!r} can be reached from it"
            for name in self.states
            if name not in live and not self.is_terminal(name)
        ]
        return faults

    def _fired_by_steps(self) -> list[Transition]:
        return [t for t in self.transitions if t.event not in self.signals]

    def _edges(self) -> dict[str, set[str]]:
        edges: dict[str, set[str]] = {name: set() for name in self.states}
        for transition in self.transitions:
            for source in transition.sources:
                edges[source].update(self._failing() if transition.target == BACK else [transition.target])
        return edges


class _Model:
    """What `transitions` moves: a state, and where it failed."""

    __slots__ = ("failed_in", "state")

    def __init__(self, state: str, failed_in: str | None) -> None:
        self.state = state
        self.failed_in = failed_in


class _FailedIn(Record):
    """Condition: the execution failed in `state`."""

    state: str

    def __call__(self, event_data: Any) -> bool:  # noqa: ANN401  transitions ships no type for its model
        return bool(event_data.model.failed_in == self.state)


def _repeated(states: Sequence[Working[Any] | Resting | Terminal]) -> list[Working[Any] | Resting | Terminal]:
    seen: set[str] = set()
    repeated = []
    for state in states:
        if state.name in seen:
            repeated.append(state)
        seen.add(state.name)
    return repeated


def _reachable(edges: Mapping[str, Collection[str]], roots: Sequence[str]) -> set[str]:
    reached: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(edges[name])
    return reached
