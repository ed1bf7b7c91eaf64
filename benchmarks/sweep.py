"""How late the sweep wakes what is due, on the memory store: on time, with the schedule's jitter, and all at once.

A table of 100,000 rows, 10,000 of them waiting.  Time is virtual where lateness is measured, so that a figure is the
sweep's own and not this machine's: a query is said to take 5 ms and a dispatch 20 ms, about what DynamoDB and Lambda's
asynchronous invocation take within a region.  The drain runs in real time, on real threads.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from benchmarks.report import Measurement
from statemachine import DueRow, Event, Execution, SystemClock
from statemachine.memory import MemoryStore
from statemachine.sweeper import Sweeper
from statemachine.testing.clock import NOON
from statemachine.testing.crew import Crew, Hand

TABLE, WAITING, DUE = 100_000, 10_000, 1_000
QUERY_TAKES, DISPATCH_TAKES = timedelta(milliseconds=5), timedelta(milliseconds=20)
POOL = 16
MINUTE = timedelta(minutes=1)

# The schedule starts a sweep somewhere within its minute.  The worst is when it takes its first and its last moment in
# turn: then two ticks are two minutes apart, and a sweep stays for 75 s of them.
JITTERED_MINUTES = 10
JITTER = timedelta(seconds=59.999)
INDEX_LAG = timedelta(seconds=2)


def measure() -> Iterator[Measurement]:
    """Lateness on time and with jitter, and the time to drain a thousand rows."""
    yield _on_time()
    yield _with_jitter()
    yield _drain()


def _on_time() -> Measurement:
    due_at = [NOON + MINUTE * number / DUE for number in range(DUE)]
    late, queries = _swept(due_at, starts=[NOON, NOON + MINUTE], lag=timedelta(0))
    return Measurement(
        "sweep.on_time_p99_seconds",
        _percentile(late, 99),
        "s late",
        bound=1.5,
        beside={**_distribution(late), "rows": TABLE, "waiting": WAITING, "due": len(late), "queries": queries},
    )


def _with_jitter() -> Measurement:
    """The worst that the schedule's jitter can do: what it comes to is arithmetic, and time is virtual, so it stands.

    Two starts are at most 120 s apart (the first moment of one minute, the last of the next), and a sweep stays for 75.
    In its last 15 s it leaves to the next sweep what is not 2 s late, and it looks once a second: what falls due in its
    last 3 s may be left over, too.  120 - 75 + 2 + 1 = 48 s; the rest of the bound is for dispatching what gathered.
    """
    starts = [NOON + MINUTE * number + JITTER * (number % 2) for number in range(JITTERED_MINUTES)]
    # What is due before the first sweep, or after the last one, is not the jitter's.
    first, last = starts[0], starts[-1]
    due_at = [first + (last - first) * number / DUE for number in range(DUE)]
    late, queries = _swept(due_at, starts=starts, lag=INDEX_LAG)
    return Measurement(
        "sweep.jitter_worst_seconds",
        max(late) - INDEX_LAG.total_seconds(),
        "s late beyond the index's lag",
        bound=50,
        beside={
            **_distribution(late),
            "lag_seconds": INDEX_LAG.total_seconds(),
            "due": len(late),
            "minutes": JITTERED_MINUTES,
            "queries": queries,
        },
    )


def _drain() -> Measurement:
    """A thousand rows due in one second, real threads and real time."""
    clock = SystemClock()
    now = clock.now()
    store = Table([now - timedelta(milliseconds=number) for number in range(DUE)], waiting_from=now)
    woken = Woken(store, lambda: time.sleep(DISPATCH_TAKES.total_seconds()))
    with ThreadPoolExecutor(POOL) as executor:
        started = time.perf_counter()
        report = Sweeper(store=store, dispatcher=woken, clock=clock, executor=executor).sweep_once()
        seconds = time.perf_counter() - started
    one_by_one = (DISPATCH_TAKES * DUE).total_seconds()
    return Measurement(
        "sweep.drain_seconds",
        seconds,
        f"s for {DUE} rows due in one second",
        bound=one_by_one / POOL * 2,
        beside={"dispatched": report.dispatched, "pool": POOL, "one_by_one_seconds": one_by_one},
    )


def _swept(due_at: Sequence[datetime], *, starts: Sequence[datetime], lag: timedelta) -> tuple[list[float], int]:
    """Seconds that each row was late when it was first dispatched, and how many queries that took."""
    with Crew() as crew:
        ticks = Ticks(crew)
        store = Table(due_at, waiting_from=max(starts) + timedelta(hours=1), lag=lag, clock=ticks)
        woken = Woken(store, lambda: ticks.sleep(DISPATCH_TAKES))
        sweeper = Sweeper(store=store, dispatcher=woken, clock=ticks)

        def tick() -> None:
            sweeper.sweep()

        ticks.run([(start, tick) for start in starts])
    never = [row for row in store.due_at if row not in woken.at]
    if never:
        raise RuntimeError(f"{len(never)} rows were never woken, e.g. {never[0]}")
    return [(woken.at[row] - due).total_seconds() for row, due in store.due_at.items()], store.queries


def _distribution(late: Sequence[float]) -> dict[str, float]:
    named = {"p50": _percentile(late, 50), "p90": _percentile(late, 90), "p99": _percentile(late, 99), "max": max(late)}
    return {name: round(seconds, 3) for name, seconds in named.items()}


def _percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


class Ticks:
    """Virtual time with several sweeps in it: whoever sleeps hands over to whoever wakes first."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._moment = NOON
        self._waiting: list[tuple[datetime, int]] = []
        self._hands: list[Hand] = []
        self._running = 0

    def now(self) -> datetime:
        """The present moment."""
        return self._moment

    def sleep(self, delay: timedelta) -> None:
        """From inside a sweep: let `delay` pass, and the others run meanwhile."""
        self._waiting.append((self._moment + max(delay, timedelta(0)), self._running))
        self._hands[self._running].pause()

    def run(self, ticks: Sequence[tuple[datetime, Callable[[], None]]]) -> None:
        """Start each tick at its moment, and run until all have ended."""
        self._hands = [self._crew.take() for _ in ticks]
        for hand, (_, work) in zip(self._hands, ticks, strict=True):
            hand.give(work)
        self._waiting = [(moment, number) for number, (moment, _) in enumerate(ticks)]
        while self._waiting:
            self._waiting.sort()
            self._moment, self._running = self._waiting.pop(0)
            self._hands[self._running].resume()
        for hand in self._hands:
            self._crew.give_back(hand)


class Table(MemoryStore):
    """A memory store of 100,000 rows.  Its index lags: what was written is seen later, and what has gone too."""

    def __init__(
        self,
        due_at: Sequence[datetime],
        *,
        waiting_from: datetime,
        lag: timedelta = timedelta(0),
        clock: Ticks | None = None,
    ) -> None:
        super().__init__()
        self.queries = 0
        self.due_at = {f"due-{number}": moment for number, moment in enumerate(due_at)}
        self._lag = lag
        self._clock = clock
        self._gone: dict[str, tuple[datetime, DueRow]] = {}
        for name, moment in self.due_at.items():
            self._add(name, moment)
        for number in range(WAITING):
            self._add(f"waiting-{number}", waiting_from + timedelta(seconds=number))
        for number in range(TABLE - WAITING - len(due_at)):
            self._add(f"resting-{number}", None)

    def _add(self, execution_id: str, due_at: datetime | None) -> None:
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
                due_at=due_at,
            ),
            replace=False,
        )

    def wake(self, execution_id: str) -> None:
        """The worker was there at once, and the row is due no more; the index shows it for a while yet."""
        row = DueRow(execution_id, 1, self.due_at[execution_id])
        self._gone[execution_id] = (self.now() + self._lag, row)
        self.delete(execution_id)

    def due(self, until: datetime, *, limit: int) -> Sequence[DueRow]:
        """What the lagging index says is due.  A row came into the index as late as it goes out of it."""
        self.queries += 1
        if self._clock is not None:
            self._clock.sleep(QUERY_TAKES)
        rows = super().due(until - self._lag if limit > 1 else until, limit=limit)
        still = [row for moment, row in self._gone.values() if moment > self.now() and row.due_at <= until]
        return sorted([*still, *rows], key=lambda row: row.due_at)[:limit]

    def now(self) -> datetime:
        """The present moment."""
        return NOON if self._clock is None else self._clock.now()


class Woken:
    """A dispatcher that notes when each row was first woken."""

    def __init__(self, table: Table, wait: Callable[[], None]) -> None:
        self.at: dict[str, datetime] = {}
        self._table = table
        self._wait = wait

    def dispatch(self, event: Event) -> None:
        """Wake a row, once."""
        self._wait()
        if event.execution_id not in self.at:
            self.at[event.execution_id] = self._table.now()
            self._table.wake(event.execution_id)
