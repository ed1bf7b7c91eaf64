"""What is tried under faults: a small job, its world, and the parts that run it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar

from statemachine.clock import Clock
from statemachine.dispatcher import Dispatcher
from statemachine.engine import AfterWorkDoer, Engine
from statemachine.execution import Execution, JsonValue, Patch, Path
from statemachine.machine import Machine
from statemachine.store import Store
from statemachine.sweeper import Sweeper

JobT = TypeVar("JobT")
AnswerT = TypeVar("AnswerT")


class Watcher(Protocol):
    """The run in which a scenario is tried, as its effects see it."""

    def effect(
        self, name: str, act: Callable[[], AnswerT], unavailable: Exception | None, lost: Exception | None
    ) -> AnswerT:
        """Do `act` at a boundary of the run."""

    def accepted(self, path: Path, intent_id: str, operation: str) -> None:
        """A vendor accepted work."""

    def standing(self) -> Execution | None:
        """The record as it stands."""


class Effects:
    """What a scenario's fake vendors do to the world.  They make every call through this log."""

    def __init__(self) -> None:
        self.log: list[tuple[str, str]] = []
        self._watcher: Watcher | None = None

    def call(
        self,
        name: str,
        act: Callable[[], AnswerT],
        *,
        unavailable: Exception | None = None,
        lost: Exception | None = None,
    ) -> AnswerT:
        """Do `act`, at a boundary called `name`: the worker may die or stall before it.

        With `unavailable`, the call may also fail before it reaches the vendor, and `unavailable` is raised.  With
        `lost`, it may also be done and its answer be lost, and `lost` is raised.
        """
        return act() if self._watcher is None else self._watcher.effect(name, act, unavailable, lost)

    def accepted(self, path: Path, *, intent_id: str, operation: str) -> None:
        """Work was accepted, and money is spent: `operation`, for the intent that stands at `path` of the data."""
        self.log.append((intent_id, operation))
        if self._watcher is not None:
            self._watcher.accepted(path, intent_id, operation)

    def standing(self) -> Execution | None:
        """The record as it stands, for a vendor that has to find out where an intent was written down."""
        return None if self._watcher is None else self._watcher.standing()

    def watched_by(self, watcher: Watcher) -> None:
        """From here on, calls are boundaries of this run."""
        self._watcher = watcher


def _nothing_to_check(execution: Execution | None, effects: Effects) -> Sequence[str]:  # noqa: ARG001  any execution is right
    return ()


@dataclass(frozen=True, slots=True)
class Scenario(Generic[JobT]):
    """A small job, its world, and what people may do to it: made anew for every run.

    Attributes:
        effects: the log through which every fake vendor of the machine's steps speaks.
        signals: what a person may do at any moment, each at most once.
        may_be_deleted: whether the owner of the record may delete it at any moment.
        may_be_resumed: whether a person may ask for a turn at any moment, once.
        check: what must hold at the end, beside the engine's own properties: one sentence for each thing that is wrong.
        time_left: what a worker's process has left when it begins.
    """

    machine: Machine[JobT]
    data: Mapping[str, JsonValue]
    effects: Effects
    signals: Mapping[str, Patch] = field(default_factory=dict)
    may_be_deleted: bool = False
    may_be_resumed: bool = False
    check: Callable[[Execution | None, Effects], Sequence[str]] = _nothing_to_check
    after_work: AfterWorkDoer | None = None
    time_left: timedelta = timedelta(minutes=15)


class EngineMaker(Protocol):
    """Makes the engine under test: `Engine` itself, or one with a bug planted."""

    def __call__(
        self,
        machine: Machine[Any],
        *,
        store: Store,
        dispatcher: Dispatcher,
        clock: Clock,
        after_work: AfterWorkDoer | None,
        new_id: Callable[[], str],
    ) -> Engine[Any]:
        """An engine of these parts."""


class SweeperMaker(Protocol):
    """Makes the sweeper under test."""

    def __call__(self, *, store: Store, dispatcher: Dispatcher, clock: Clock) -> Sweeper:
        """A sweeper of these parts."""


class DeletableStore(Store, Protocol):
    """A store whose owner can delete a record; that is not the engine's to do."""

    def delete(self, execution_id: str) -> None:
        """Remove the whole record."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What is run: the real thing by default, or the real thing with a bug planted.

    `whole_sweeps`: a sweep is a whole tick of the schedule, that stays and looks every second, instead of one look.
    """

    engine: EngineMaker
    store: Callable[[], DeletableStore]
    sweeper: SweeperMaker
    whole_sweeps: bool = False
