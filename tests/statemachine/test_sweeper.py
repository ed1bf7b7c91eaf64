from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from statemachine.dispatcher import Event
from statemachine.errors import DispatchError, StoreUnavailableError
from statemachine.execution import Execution
from statemachine.memory import MemoryStore
from statemachine.store import DueRow
from statemachine.sweeper import Sweeper
from statemachine.testing import VirtualClock
from statemachine.testing.clock import NOON

SECOND = timedelta(seconds=1)


class Rows(MemoryStore):
    """A memory store that counts queries, holds rows made for a test, and can fail."""

    def __init__(self, *due_in_seconds: float) -> None:
        super().__init__()
        self.queries: list[tuple[datetime, int]] = []
        self.failing = 0
        for number, seconds in enumerate(due_in_seconds):
            self.add(f"e{number}", seconds)

    def add(self, execution_id: str, due_in_seconds: float) -> None:
        """An execution that is due so many seconds after noon."""
        self.start(
            Execution(
                execution_id=execution_id,
                machine="m",
                graph="g",
                state="working",
                status="processing",
                run_id=execution_id,
                started_at=NOON,
                entered_at=NOON,
                updated_at=NOON,
                due_at=NOON + due_in_seconds * SECOND,
            ),
            replace=False,
        )

    def due(self, until: datetime, *, limit: int) -> Sequence[DueRow]:
        """As the memory store, counted; fails as often as told."""
        self.queries.append((until, limit))
        if self.failing:
            self.failing -= 1
            raise StoreUnavailableError("throttled")
        return super().due(until, limit=limit)


class Worker:
    """A dispatcher whose worker is there at once: it leases the row, or ends it, or does nothing."""

    def __init__(self, clock: VirtualClock, then: Callable[[Event], None] = lambda _: None) -> None:
        self.woken: list[tuple[float, str, int]] = []
        self.poison: dict[str, Exception] = {}
        self._clock = clock
        self._then = then

    def dispatch(self, event: Event) -> None:
        """Note the second after noon, and work."""
        self.woken.append(((self._clock.now() - NOON).total_seconds(), event.execution_id, event.version))
        if event.execution_id in self.poison:
            raise self.poison[event.execution_id]
        self._then(event)


class Bench:
    """A sweeper, its store, its clock and its worker."""

    def __init__(self, *due_in_seconds: float, batch: int = 1000, executor: ThreadPoolExecutor | None = None) -> None:
        self.clock = VirtualClock()
        self.store = Rows(*due_in_seconds)
        self.worker = Worker(self.clock, self.end)
        self.sweeper = Sweeper(
            store=self.store, dispatcher=self.worker, clock=self.clock, batch=batch, executor=executor
        )

    def end(self, event: Event) -> None:
        """The worker ends the execution; nothing is due any more."""
        self.store.delete(event.execution_id)

    def wait_again(self, seconds: float) -> Callable[[Event], None]:
        """A worker that saves a wait: a new version, due `seconds` from now."""

        def save(event: Event) -> None:
            standing = self.store.get(event.execution_id)
            due_at = self.clock.now() + seconds * SECOND
            self.store.lease(
                event.execution_id,
                version=event.version,
                owner=f"{event}",
                now=self.clock.now(),
                at_most=SECOND,
                margin=SECOND,
            )
            saved = standing.changed(version=standing.version + 1, due_at=due_at)
            self.store.save(saved, owner=f"{event}", patch={})

        return save


def test_sweep_ends_at_once_when_nothing_is_active() -> None:
    bench = Bench()

    report = bench.sweeper.sweep()

    assert report.seconds == 0
    assert [limit for _, limit in bench.store.queries] == [1000, 1]


def test_sweep_ends_at_once_when_the_next_row_is_due_in_more_than_15_minutes() -> None:
    assert Bench(15 * 60 + 1).sweeper.sweep().seconds == 0


def test_sweep_stays_75_seconds_while_a_row_is_due_within_15_minutes() -> None:
    bench = Bench(15 * 60)

    report = bench.sweeper.sweep()

    assert report.seconds == 75
    assert report.dispatched == 0
    assert report.queries == 2 * 75


def test_sweep_wakes_each_row_at_its_second() -> None:
    bench = Bench(0.2, 7, 7.5, 30)

    report = bench.sweeper.sweep()

    assert [(second, name) for second, name, _ in bench.worker.woken] == [(1, "e0"), (7, "e1"), (8, "e2"), (30, "e3")]
    assert report.oldest_lateness == 0.8 * SECOND


def test_sweep_ends_a_second_after_the_last_active_row_is_gone() -> None:
    assert Bench(5).sweeper.sweep().seconds == 6


def test_row_that_waits_again_is_woken_again_in_the_same_sweep() -> None:
    """One invocation is the clock of everything that waits."""
    bench = Bench(0)
    bench.worker = Worker(bench.clock, bench.wait_again(15))
    bench.sweeper = Sweeper(store=bench.store, dispatcher=bench.worker, clock=bench.clock)

    bench.sweeper.sweep()

    assert bench.worker.woken == [(0, "e0", 1), (15, "e0", 2), (30, "e0", 3), (45, "e0", 4), (62, "e0", 5)]


def test_after_its_60th_second_a_sweep_wakes_only_what_is_2_seconds_late() -> None:
    """In the overlap the rows are the next sweep's; only when it has not come are they woken here."""
    bench = Bench(59.5, 60.5, 72, 74)

    bench.sweeper.sweep()

    assert [second for second, *_ in bench.worker.woken] == [62, 63, 74]


def test_leased_row_keeps_the_sweep_and_is_woken_when_the_lease_ends() -> None:
    bench = Bench(0)
    now = bench.clock.now()
    bench.store.lease("e0", version=1, owner="dead", now=now, at_most=30 * SECOND, margin=5 * SECOND)

    bench.sweeper.sweep()

    assert bench.worker.woken == [(35, "e0", 1)]


def test_version_that_stays_due_is_dispatched_once_in_a_tick() -> None:
    bench = Bench(0)
    bench.worker = Worker(bench.clock)
    bench.sweeper = Sweeper(store=bench.store, dispatcher=bench.worker, clock=bench.clock)

    reports = [bench.sweeper.sweep() for _ in range(2)]

    assert bench.worker.woken == [(0, "e0", 1), (75, "e0", 1)]
    assert [report.seconds for report in reports] == [75, 75]


@pytest.mark.parametrize("error", [DispatchError("throttled"), ValueError("no such function")], ids=type)
def test_poisoned_row_stops_neither_the_others_nor_the_next_tick(error: Exception) -> None:
    bench = Bench(0, 0, 1)
    bench.worker.poison = {"e0": error}

    report = bench.sweeper.sweep()

    assert Counter(name for _, name, _ in bench.worker.woken) == {"e0": 1, "e1": 1, "e2": 1}
    assert (report.dispatched, report.failed) == (2, 1)
    assert bench.store.get("e0").due_at == NOON


def test_rows_behind_a_full_batch_of_woken_ones_are_woken_too() -> None:
    """A row stays due until its turn begins, and the longest due come first: they must not fill every answer."""
    bench = Bench(*range(-25, 0), batch=10)
    bench.worker = Worker(bench.clock)
    bench.sweeper = Sweeper(store=bench.store, dispatcher=bench.worker, clock=bench.clock, batch=10)

    report = bench.sweeper.sweep(time_left=6 * SECOND)

    assert report.dispatched == 25
    assert {second for second, *_ in bench.worker.woken} == {0}
    assert [limit for _, limit in bench.store.queries] == [10, 20, 30]


def test_sweep_ends_before_its_process_does() -> None:
    report = Bench(300).sweeper.sweep(time_left=25 * SECOND)

    assert report.seconds == 20


def test_sweep_without_time_left_asks_nothing() -> None:
    bench = Bench(0)

    report = bench.sweeper.sweep(time_left=4 * SECOND)

    assert (report.queries, report.dispatched) == (0, 0)


def test_slow_dispatches_stop_when_the_time_is_over() -> None:
    """What is not dispatched is still due, and left to the next tick."""
    bench = Bench(*[0.0] * 200)
    bench.worker = Worker(bench.clock, lambda _: bench.clock.advance(SECOND))
    bench.sweeper = Sweeper(store=bench.store, dispatcher=bench.worker, clock=bench.clock)

    report = bench.sweeper.sweep()

    assert report.dispatched == 75
    assert report.seconds == 75


def test_full_batches_stop_when_the_time_is_over() -> None:
    bench = Bench(*[0.0] * 30, batch=10)
    bench.worker = Worker(bench.clock, lambda _: bench.clock.advance(SECOND))
    bench.sweeper = Sweeper(store=bench.store, dispatcher=bench.worker, clock=bench.clock, batch=10)

    report = bench.sweeper.sweep(time_left=15 * SECOND)

    assert (report.dispatched, report.seconds) == (10, 10)


def test_slow_query_makes_no_second_longer() -> None:
    bench = Bench(3)
    inner = bench.store.due

    def slow(until: datetime, *, limit: int) -> Sequence[DueRow]:
        bench.clock.advance(timedelta(milliseconds=300))
        return inner(until, limit=limit)

    bench.store.due = slow  # type: ignore[method-assign]  # a store that takes its time

    bench.sweeper.sweep()

    assert bench.worker.woken == [(3.3, "e0", 1)]


def test_query_that_fails_is_asked_again_a_second_later() -> None:
    bench = Bench(0)
    bench.store.failing = 2

    report = bench.sweeper.sweep()

    assert bench.worker.woken == [(2, "e0", 1)]
    assert report.failed_queries == 2


def test_look_ahead_that_fails_counts_as_active() -> None:
    bench = Bench()
    asked = 0
    inner = bench.store.due

    def due(until: datetime, *, limit: int) -> Sequence[DueRow]:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise StoreUnavailableError("throttled")
        return inner(until, limit=limit)

    bench.store.due = due  # type: ignore[method-assign]  # a store that fails once

    assert bench.sweeper.sweep().seconds == 1


def test_pool_dispatches_all_rows_of_a_batch() -> None:
    with ThreadPoolExecutor(2) as executor:
        bench = Bench(*[0.0] * 100, executor=executor)
        bench.worker.poison = {"e7": DispatchError("throttled")}

        report = bench.sweeper.sweep_once()

    assert (report.dispatched, report.failed) == (99, 1)
    assert sorted(name for _, name, _ in bench.worker.woken) == sorted(f"e{number}" for number in range(100))


def test_single_row_is_dispatched_without_the_pool() -> None:
    """A pool that was shut down refuses work; one row does not ask it."""
    executor = ThreadPoolExecutor(1)
    executor.shutdown()

    assert Bench(0, executor=executor).sweeper.sweep_once().dispatched == 1


def test_sweep_once_wakes_what_is_due_with_one_query() -> None:
    bench = Bench(-90, 0, 1)

    report = bench.sweeper.sweep_once()

    assert [name for _, name, _ in bench.worker.woken] == ["e0", "e1"]
    assert len(bench.store.queries) == report.queries == 1
    assert report.oldest_lateness == 90 * SECOND


def test_sweep_once_looks_from_the_moment_it_is_given() -> None:
    bench = Bench(40)

    report = bench.sweeper.sweep_once(NOON + 60 * SECOND)

    assert report.dispatched == 1


def test_sweep_once_of_a_store_that_cannot_answer_tells_so() -> None:
    bench = Bench(0)
    bench.store.failing = 1

    report = bench.sweeper.sweep_once()

    assert (report.dispatched, report.failed_queries) == (0, 1)


def test_two_sweeps_at_once_dispatch_what_they_saw_and_do_no_more() -> None:
    """Both ask for the same version; whichever worker comes second loses the lease."""
    bench = Bench(0)
    other = Worker(bench.clock)
    second = Sweeper(store=bench.store, dispatcher=other, clock=bench.clock)

    second.sweep_once()
    bench.sweeper.sweep_once()

    assert other.woken == bench.worker.woken == [(0, "e0", 1)]


def test_batch_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one row, not 0"):
        Bench(batch=0)
