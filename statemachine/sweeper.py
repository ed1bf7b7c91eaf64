"""Sweeper: wakes what is due, revives what was abandoned.

It knows only that a row is due, and not why: a wait is over, a lease ended under a dead worker, a dispatch was lost.
In every case it asks for a turn at the version that it saw; when that is stale, or somebody else was faster, the turn
loses the lease and nothing happens.  So two sweeps at once, or one that overlaps the next, do no harm.
"""

import logging
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from statemachine.clock import Clock
from statemachine.dispatcher import Dispatcher, Event
from statemachine.errors import DispatchError, StoreUnavailableError
from statemachine.record import Record
from statemachine.store import DueRow, Store

log = logging.getLogger(__name__)

# The schedule starts one sweep a minute and may be some seconds late; a sweep stays a little longer than the minute,
# so that the next one has begun before this one ends.
STAY = timedelta(seconds=75)

# In the overlap, rows belong to the next sweep; only what is this late shows that the next one has not come yet.
OWN_TIME = timedelta(seconds=60)
OVERLAP_LATENESS = timedelta(seconds=2)

# Somebody works or waits: a row is due within this time.  No lease outlives it (a turn takes at most 14 minutes).
HORIZON = timedelta(minutes=15)

QUERY_EVERY = timedelta(seconds=1)

# A thousand rows of the due index are some 100 KB, one page of a query.
BATCH = 1000

# Left to the process that sweeps, so that it ends by itself and its report is not lost.
TIME_LEFT_MARGIN = timedelta(seconds=5)

# Rows handed to the pool at once; the time is looked at before each such chunk.
CHUNK = 64


class SweepReport(Record):
    """What one sweep did, for logs and metrics.

    Attributes:
        dispatched, failed: turns asked for, and those that could not be; a failed row stays due for the next sweep.
        oldest_lateness: of the rows found due, how late the latest was when it was found.
        queries, failed_queries: how often the store was asked, and how often it could not answer.
        seconds: how long the sweep stayed.
    """

    dispatched: int
    failed: int
    oldest_lateness: timedelta
    queries: int
    failed_queries: int
    seconds: float


class Sweeper:
    """Asks for a turn of every execution that is due.

    Args:
        executor: dispatches several rows at a time, where that saves waiting for a network; None: one after the other,
            in order.
        batch: how many rows one query may return.
    """

    def __init__(
        self,
        *,
        store: Store,
        dispatcher: Dispatcher,
        clock: Clock,
        executor: Executor | None = None,
        batch: int = BATCH,
    ) -> None:
        if batch < 1:
            raise ValueError(f"a batch holds at least one row, not {batch}")
        self._store = store
        self._dispatcher = dispatcher
        self._clock = clock
        self._executor = executor
        self._batch = batch

    def sweep(self, *, time_left: timedelta | None = None) -> SweepReport:
        """One tick of the schedule: be the clock of everything that waits, for as long as anything does.

        Stays up to 75 s while a row is due within 15 minutes (a leased row is due when its lease ends), and wakes each
        row at its second.  Ends at once when nothing is active.  `time_left` is what the caller's process has left.
        """
        tick = self._tick(time_left)
        while self._clock.now() < tick.ends_at:
            is_active = self._wake_due(tick)
            if not is_active:
                break
            # Seconds are counted from the start of the sweep, so that slow queries do not add up to a delay.
            now = self._clock.now()
            next_second = tick.started_at + ((now - tick.started_at) // QUERY_EVERY + 1) * QUERY_EVERY
            self._clock.sleep(min(next_second, tick.ends_at) - now)
        return self._report(tick)

    def sweep_once(self, now: datetime | None = None) -> SweepReport:
        """Wake what is due at `now` (the present, by default) with one query, and return.

        For a store without an index, where every query is a scan: precise to a tick.  What does not fit into one batch
        is left to the next call.
        """
        tick = self._tick(None)
        self._wake(self._due(tick, now or tick.started_at, limit=self._batch), tick)
        return self._report(tick)

    def _tick(self, time_left: timedelta | None) -> "_Tick":
        started_at = self._clock.now()
        stay = STAY if time_left is None else min(STAY, time_left - TIME_LEFT_MARGIN)
        return _Tick(started_at, started_at + stay)

    def _wake_due(self, tick: "_Tick") -> bool:
        """Wake every row that is due now; whether anything is active."""
        known = 0
        while (now := self._clock.now()) < tick.ends_at:
            is_own_time = now - tick.started_at < OWN_TIME
            until = now if is_own_time else now - OVERLAP_LATENESS
            # A row stays due until its turn has begun, and the longest due come first: the rows that this sweep has
            # woken already must not fill the answer, or those behind them would never be seen.
            limit = self._batch + known
            rows = self._due(tick, until, limit=limit)
            if rows is None:
                return True  # it could not be asked; the next second may bring the answer
            if not rows:
                upcoming = self._due(tick, now + HORIZON, limit=1)
                return upcoming is None or bool(upcoming)
            woken = self._wake(rows, tick)
            known = len(rows)
            if len(rows) < limit or not woken:
                return True
        return True

    def _due(self, tick: "_Tick", until: datetime, *, limit: int) -> list[DueRow] | None:
        tick.queries += 1
        try:
            return list(self._store.due(until, limit=limit))
        except StoreUnavailableError as error:
            tick.failed_queries += 1
            log.warning("the store could not say what is due: %s", error)
            return None

    def _wake(self, rows: list[DueRow] | None, tick: "_Tick") -> int:
        """Ask for a turn of each row that this tick has not woken yet; how many there were."""
        fresh = [row for row in rows or () if (row.execution_id, row.version) not in tick.woken]
        size = 1 if self._executor is None else CHUNK
        for start in range(0, len(fresh), size):
            now = self._clock.now()
            if now >= tick.ends_at:
                return start
            chunk = fresh[start : start + size]
            # Also one whose dispatch fails counts as woken: its answer may have been lost, and a row that always fails
            # would be tried every second.  The next tick tries again.
            tick.woken.update((row.execution_id, row.version) for row in chunk)
            tick.oldest_lateness = max(tick.oldest_lateness, *(now - row.due_at for row in chunk))
            if self._executor is None or len(chunk) == 1:
                succeeded = sum(map(self._dispatch, chunk))
            else:
                succeeded = sum(self._executor.map(self._dispatch, chunk))
            tick.dispatched += succeeded
            tick.failed += len(chunk) - succeeded
        return len(fresh)

    def _dispatch(self, row: DueRow) -> bool:
        try:
            self._dispatcher.dispatch(Event(row.execution_id, row.version))
        except DispatchError as error:
            log.warning("%s was not woken, the next sweep tries again: %s", row.execution_id, error)
            return False
        except Exception:
            # Whatever is wrong with one row, the others are waiting behind it.
            log.exception("%s was not woken, the next sweep tries again", row.execution_id)
            return False
        return True

    def _report(self, tick: "_Tick") -> SweepReport:
        return SweepReport(
            dispatched=tick.dispatched,
            failed=tick.failed,
            oldest_lateness=tick.oldest_lateness,
            queries=tick.queries,
            failed_queries=tick.failed_queries,
            seconds=(self._clock.now() - tick.started_at).total_seconds(),
        )


@dataclass(slots=True)
class _Tick:
    """What one sweep has done so far."""

    started_at: datetime
    ends_at: datetime
    woken: set[tuple[str, int]] = field(default_factory=set)
    dispatched: int = 0
    failed: int = 0
    oldest_lateness: timedelta = timedelta(0)
    queries: int = 0
    failed_queries: int = 0
