"""Explorer: runs a small job under every fault at every boundary, and tells what should never have happened.

    explorer = Explorer(make_scenario)
    explorer.exhaust(faults=1).assert_sound()
    explorer.sample(1000).assert_sound()

It runs the real engine, sweeper and steps over a virtual clock.  `exhaust` tries every schedule with so many deviations
from the one where nothing goes wrong; `sample` tries seeded random ones with more of them.  A finding is printed with
its trace and the shortest schedule that still shows it; `explorer.replay("17:2,31:1")` goes that way again.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from statemachine.engine import Engine
from statemachine.execution import Execution
from statemachine.memory import MemoryStore
from statemachine.sweeper import Sweeper
from statemachine.testing.crew import Crew
from statemachine.testing.properties import PropertyError
from statemachine.testing.scenario import DeletableStore, EngineMaker, Parts, Scenario, SweeperMaker
from statemachine.testing.schedule import Deviations, Schedule, Seed, deviations_of, parse
from statemachine.testing.simulation import Simulation

JobT = TypeVar("JobT")

# How a run is counted after which there is no record: it was never started, or deleted.
GONE = "no record"


@dataclass(frozen=True, slots=True)
class Run:
    """One run: how it ended, what was wrong with it (None: nothing), and what happened at each boundary."""

    schedule: Schedule
    ending: str
    wrong: str | None
    trace: tuple[str, ...]
    choices: tuple[tuple[int, int], ...]

    @property
    def deviations(self) -> Deviations:
        """The same run, without its seed."""
        return deviations_of(self.choices)


@dataclass(frozen=True, slots=True)
class Finding:
    """A schedule under which something happened that never may, and the shortest one found that shows it too."""

    schedule: Schedule
    shortest: Run

    def __str__(self) -> str:
        trace = "\n".join(self.shortest.trace)
        return (
            f"{self.shortest.wrong}\n"
            f"  found by {str(self.schedule)!r}, replay {str(self.shortest.schedule)!r}:\n{trace}"
        )


@dataclass(slots=True)
class Exploration:
    """What was tried and found.

    Attributes:
        schedules, boundaries: how many runs, and how many decisions in all of them.
        longest: decisions of the longest run.
        endings: how often each ending was met: a state, or the code of a failure.
    """

    schedules: int = 0
    boundaries: int = 0
    longest: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def assert_sound(self) -> None:
        """Fail the test, with every finding's trace, when there is one.

        Raises:
            AssertionError: something happened that never may, or nothing was tried.
        """
        if self.findings:
            raise AssertionError("\n\n".join(map(str, self.findings)))
        if not self.schedules:
            raise AssertionError("no schedule was tried")


class Explorer(Generic[JobT]):
    """Tries executions of a scenario under faults.

    Args:
        make_scenario: a new world for every run; nothing may be shared between two.
        engine, store, sweeper: makers of what is tried; another store, or one with a bug planted.
        whole_sweeps: a sweep is a whole tick, that stays and looks every second.  Slower, and its longer runs make the
            faults of a random schedule rarer.
    """

    def __init__(
        self,
        make_scenario: Callable[[], Scenario[JobT]],
        *,
        engine: EngineMaker = Engine,
        store: Callable[[], DeletableStore] = MemoryStore,
        sweeper: SweeperMaker = Sweeper,
        whole_sweeps: bool = False,
    ) -> None:
        self._make_scenario = make_scenario
        self._parts = Parts(engine, store, sweeper, whole_sweeps)

    def exhaust(self, *, faults: int, findings: int = 1) -> Exploration:
        """Every schedule with at most `faults` deviations; stops at so many `findings`."""
        waiting: deque[Deviations] = deque([Deviations()])

        def schedules() -> Iterator[Deviations]:
            while waiting:
                yield waiting.popleft()

        def branch(run: Run) -> None:
            if not isinstance(run.schedule, Deviations) or len(run.schedule.choices) >= faults:
                return
            last = run.schedule.choices[-1][0] if run.schedule.choices else -1
            for position in range(last + 1, len(run.choices)):
                waiting.extend(run.schedule.but(position, choice) for choice in range(1, run.choices[position][1]))

        return self._explore(schedules(), findings=findings, after=branch)

    def sample(self, count: int, *, first: int = 0, faults: int = 6, findings: int = 1) -> Exploration:
        """So many random schedules, of seeds `first` and up, each with 1 to `faults` deviations."""
        return self._explore((Seed(number, faults) for number in range(first, first + count)), findings=findings)

    def replay(self, schedule: Schedule | str) -> Run:
        """Run one schedule again."""
        with Crew() as crew:
            return self._run(parse(schedule) if isinstance(schedule, str) else schedule, crew)

    def _explore(
        self, schedules: Iterable[Schedule], *, findings: int, after: Callable[[Run], None] = lambda _: None
    ) -> Exploration:
        found = Exploration()
        with Crew() as crew:
            for schedule in schedules:
                run = self._run(schedule, crew)
                found.schedules += 1
                found.boundaries += len(run.choices)
                found.longest = max(found.longest, len(run.choices))
                found.endings[run.ending] += 1
                if run.wrong is not None:
                    found.findings.append(Finding(schedule, self._shortest(run, crew)))
                    if len(found.findings) >= findings:
                        break
                else:
                    after(run)
        return found

    def _shortest(self, run: Run, crew: Crew) -> Run:
        """The same fault with as few deviations as leaving them out one by one finds."""
        shortest = self._run(run.deviations, crew)
        index = 0
        while index < len(shortest.deviations.choices):
            shorter = self._run(shortest.deviations.without(index), crew)
            if shorter.wrong is not None and len(shorter.deviations.choices) < len(shortest.deviations.choices):
                shortest, index = shorter, 0
            else:
                index += 1
        return shortest

    def _run(self, schedule: Schedule, crew: Crew) -> Run:
        simulation = Simulation(self._make_scenario(), schedule.chooser(), parts=self._parts, crew=crew)
        wrong, ending = None, ""
        try:
            ending = _ending(simulation.run())
        except PropertyError as error:
            wrong = str(error)
        trace = tuple(_line(position, *entry) for position, entry in enumerate(simulation.trace)) if wrong else ()
        return Run(schedule, ending or "wrong", wrong, trace, tuple(simulation.choices))


def _ending(execution: Execution | None) -> str:
    if execution is None:
        return GONE
    return execution.failure.code if execution.failure else execution.state


def _line(position: int, moment: datetime, who: str, call: str, chosen: str) -> str:
    return f"  {position:4d} {moment:%H:%M:%S} {who:<10} {call}{f'  →  {chosen}' if chosen else ''}".rstrip()
