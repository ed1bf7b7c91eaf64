"""Jobs make progress: threads that take the turns which the engine asks for, and one that looks for what is due."""

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from statemachine import Event, Execution
from statemachine.engine import DISPATCH_GRACE, Engine
from statemachine.errors import ExecutionNotFoundError, LeaseHeldError, StoreError
from statemachine.memory import MemoryDispatcher
from statemachine.sweeper import Sweeper

log = logging.getLogger(__name__)

# Most of a job's turns wait for a vendor or for child processes, which the jobs share.
TURNS_AT_ONCE = 8

# A scene that is drawn is looked at after 0.4 s; a query of the due index takes less than a millisecond.
SWEEP_EVERY = timedelta(seconds=0.25)

# When the server is told to end, turns that are nearly done may finish.  The others lose their child processes and save
# that they have to be run again.  A turn that does not even save is taken up when its lease ends.
FINISH_WITHIN = timedelta(seconds=1)
GIVE_UP_WITHIN = timedelta(seconds=5)

# Rows woken at once when the server starts.
_BATCH = 1000


class TurnQueue(MemoryDispatcher):
    """Turns that were asked for, until one of several threads takes them."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()
        self._is_closed = False

    def dispatch(self, event: Event) -> None:
        """Put it at the end, unless it stands there: whatever is due is found again until its turn begins."""
        with self._changed:
            if event not in self.events:
                self.events.append(event)
                self._changed.notify()

    def take(self) -> Event | None:
        """The next turn, when there is one; None when the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self.events)
            return None if self._is_closed else self.events.popleft()

    def close(self) -> None:
        """Give out nothing any more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


class Turns:
    """Drives every job of a store that is due.

    Args:
        engine_of: the engine with the parts that a job was begun with.
        end_children: of all turns at work; those fail, to be run again.
    """

    def __init__(
        self,
        *,
        engine: Engine[Any],
        queue: TurnQueue,
        engine_of: Callable[[Execution], Engine[Any]],
        end_children: Callable[[], None],
        at_once: int = TURNS_AT_ONCE,
    ) -> None:
        self._engine = engine
        self._store = engine.store
        self._queue = queue
        self._engine_of = engine_of
        self._end_children = end_children
        self._is_stopping = threading.Event()
        self._at_work: set[str] = set()
        # Daemons: one that hangs in a vendor's call must not keep the process.
        self._takers = [
            threading.Thread(target=self._take_turns, name=f"turn-{number}", daemon=True) for number in range(at_once)
        ]
        self._sweeping = threading.Thread(target=self._sweep, name="sweep", daemon=True)

    def start(self) -> None:
        """Begin, with whatever an earlier server left."""
        # A turn that was asked for and never began is due after a grace, which is meant for Lambda's queue.  Ours is
        # gone with the process that had it.  One that comes too early, or is somebody else's, does nothing.
        for row in self._store.due(self._engine.clock.now() + DISPATCH_GRACE, limit=_BATCH):
            self._queue.dispatch(Event(row.execution_id, row.version))
        for thread in (*self._takers, self._sweeping):
            thread.start()

    def stop(self) -> None:
        """End the turns at work as gently as there is time for, so that the next server goes on at once."""
        self._is_stopping.set()
        self._queue.close()
        interrupted = set(self._at_work)
        self._join(FINISH_WITHIN)
        if any(thread.is_alive() for thread in self._takers):
            self._end_children()
            self._join(GIVE_UP_WITHIN)
        for job_id in interrupted:
            try:
                # A turn that the end of the server cut off is no attempt, and is repeated without waiting.
                self._engine.resume(job_id)
            except (LeaseHeldError, ExecutionNotFoundError) as error:
                log.warning("%s is taken up when its lease ends: %s", job_id, error)
            except StoreError as error:
                log.warning("%s is taken up when it is due: %s", job_id, error)

    def _join(self, within: timedelta) -> None:
        ends_at = self._engine.clock.now() + within
        for thread in (self._sweeping, *self._takers):
            thread.join(max(0.0, (ends_at - self._engine.clock.now()).total_seconds()))

    def _take_turns(self) -> None:
        while (event := self._queue.take()) is not None:
            self._at_work.add(event.execution_id)
            try:
                execution = self._store.get(event.execution_id)
                self._engine_of(execution).run_turn(event)
            except (ExecutionNotFoundError, StoreError) as error:
                log.warning("%s: its turn is run when it is due: %s", event.execution_id, error)
            except Exception:
                # Whatever is wrong with one job, the others need this thread.
                log.exception("a turn of %s", event.execution_id)
            finally:
                self._at_work.discard(event.execution_id)

    def _sweep(self) -> None:
        sweeper = Sweeper(store=self._store, dispatcher=self._queue, clock=self._engine.clock)
        while not self._is_stopping.wait(SWEEP_EVERY.total_seconds()):
            try:
                sweeper.sweep_once()
            except Exception:
                # As above: without it, nothing that waits would ever be woken.
                log.exception("looking for what is due")
