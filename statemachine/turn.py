"""A turn that is running: what its step sees of it, its writes, and its lease kept alive meanwhile."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import TypeVar

from statemachine.clock import Clock
from statemachine.errors import ExecutionNotFoundError, LeaseLostError, StoreError, StoreUnavailableError
from statemachine.execution import Execution, Patch, Path
from statemachine.record import Record
from statemachine.store import Store

AnswerT = TypeVar("AnswerT")

log = logging.getLogger(__name__)

# A write that the store cannot take for now is tried again after each of these.  What the turn has done, and may have
# paid for, would be thrown away with it, and two such turns in a row count as crashed.
WRITE_PAUSES = (timedelta(seconds=1), timedelta(seconds=2), timedelta(seconds=4))


class Renewal(Record):
    """Leases for one machine: short, and renewed while the step runs.

    A killed process renews nothing, so its execution is free again within `lease`.  At the state's `max_turn` renewal
    ends and `on_overrun` is called, which kills the turn's child processes.
    """

    lease: timedelta = timedelta(seconds=10)
    every: timedelta = timedelta(seconds=3)
    on_overrun: Callable[[], None] = lambda: None


class RunningTurn(Record):
    """The turn that a step sees; see `statemachine.machine.Turn`."""

    store: Store
    clock: Clock
    execution: Execution
    owner: str
    deadline: datetime

    @property
    def execution_id(self) -> str:
        """Which execution this is."""
        return self.execution.execution_id

    @property
    def now(self) -> datetime:
        """The present moment."""
        return self.clock.now()

    @property
    def time_left(self) -> timedelta:
        """Until the deadline."""
        return self.deadline - self.clock.now()

    @property
    def attempt(self) -> int:
        """Which attempt at the state's work this is."""
        return self.execution.attempt

    def checkpoint(self, patch: Patch) -> None:
        """Store `patch` now."""
        insisted(self.clock, lambda: self.store.checkpoint(self.execution_id, owner=self.owner, patch=patch))

    def record_fact(self, path: Path, *, intent_id: str, operation: str) -> bool:
        """Store what became of a submission; return whether the lease is still ours."""
        return insisted(
            self.clock,
            lambda: self.store.record_fact(
                self.execution_id, path=path, intent_id=intent_id, operation=operation, owner=self.owner
            ),
        )


def insisted(clock: Clock, write: Callable[[], AnswerT]) -> AnswerT:
    """The answer to a write under a lease; the store recognises every one of them when it is repeated.

    Raises:
        StoreUnavailableError: it was taken at no try, or no answer came; it may have been written all the same.
    """
    for pause in WRITE_PAUSES:
        try:
            return write()
        except StoreUnavailableError as error:
            log.warning("a write of a turn is tried again in %.0f s: %s", pause.total_seconds(), error)
            clock.sleep(pause)
    return write()


@contextmanager
def renewed(turn: RunningTurn, renewal: Renewal | None) -> Iterator[None]:
    """Keep the turn's lease alive while the block runs, until its deadline; without a renewal do nothing."""
    if renewal is None:
        yield
        return
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(renewal.every.total_seconds()):
            if turn.now >= turn.deadline:
                log.error("turn of %s is over its time; its children are ended", turn.execution_id)
                renewal.on_overrun()
                return
            try:
                turn.store.renew(turn.execution_id, owner=turn.owner, expires_at=turn.now + renewal.lease)
            except (LeaseLostError, ExecutionNotFoundError):
                renewal.on_overrun()  # cancelled: nobody wants what the children are making
                return
            except StoreError as error:
                log.warning("lease of %s not renewed: %s", turn.execution_id, error)

    thread = threading.Thread(target=renew, name="lease-renewal", daemon=True)
    thread.start()
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        # A person stops this process, and may resume in the next breath: the lease ends now, not in ten seconds.
        ended.set()
        thread.join()
        with suppress(LeaseLostError, ExecutionNotFoundError, StoreError):
            turn.store.renew(turn.execution_id, owner=turn.owner, expires_at=turn.now)
        raise
    finally:
        ended.set()
        thread.join()
