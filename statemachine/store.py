"""Store: keeps executions and lets exactly one turn at a time write to each.

Every operation is one conditional write on one item and no read (`get`, `due` aside).  A write whose answer was lost
may be repeated by whoever speaks to the database: each operation recognises its own earlier success and reports it as
success.  Every implementation passes `tests/statemachine/store_contract.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from statemachine.execution import Execution, Patch, Path


@dataclass(frozen=True, slots=True)
class DueRow:
    """An execution that somebody must look at, at `due_at`."""

    execution_id: str
    version: int
    due_at: datetime


class Store(Protocol):
    """Keeps executions.  Moments are given by the caller; a store never asks the time.

    Every operation may raise StoreUnavailableError (ask again) and StoreCorruptError (ask a person); those that write
    to an execution raise ExecutionNotFoundError when its record is gone, and never bring it back.
    """

    def start(self, execution: Execution, *, replace: bool) -> None:
        """Attach a new execution, with its data, to its record.

        `replace` puts it in the place of a terminal one, whose version must be `execution.version - 1`.  Repeating a
        start with the same `run_id` succeeds.

        Raises:
            ExecutionExistsError: one stands, and may not be replaced.
            ExecutionNotFoundError: the record must exist already, and does not.
        """

    def get(self, execution_id: str) -> Execution:
        """The execution as last written, read consistently."""

    def lease(
        self, execution_id: str, *, version: int, owner: str, now: datetime, at_most: timedelta, margin: timedelta
    ) -> Execution:
        """Take the right to run one turn, and return the whole execution, the new lease included.

        The lease lasts until `now` + min(the stored `max_turn_seconds`, `at_most`) + `margin`, and `due_at` is that
        moment.  `attempt` and `unsaved_turns` grow by one: they are counted before the work, or a turn that dies would
        never be counted.

        Raises:
            VersionConflictError: the stored version is another.
            LeaseHeldError: a lease stands that has not expired.
        """

    def renew(self, execution_id: str, *, owner: str, expires_at: datetime) -> None:
        """Move the end of a lease (and `due_at` with it).

        Raises:
            LeaseLostError: it is not `owner`'s.
        """

    def checkpoint(self, execution_id: str, *, owner: str, patch: Patch) -> None:
        """Write `patch` under the lease; `revision` grows.

        Raises:
            LeaseLostError: it is not `owner`'s.
            PatchError: the patch does not fit the stored data.
        """

    def record_fact(self, execution_id: str, *, path: Path, intent_id: str, operation: str, owner: str) -> bool:
        """Write what became of a submission, lease or no lease; `revision` grows, nothing else moves.

        At `path` stands a map with this `intent_id`; its `operation` is set.  Returns whether the lease is still
        `owner`'s.

        Raises:
            IntentNotFoundError: no such intent stands there, or it holds another operation.
        """

    def save(self, execution: Execution, *, owner: str, patch: Patch) -> None:
        """Write the turn's result under the lease: the new header (version + 1, no lease) and `patch`.

        An expired lease that nobody took may still save.

        Raises:
            LeaseLostError: it is not `owner`'s.
            PatchError: the patch does not fit the stored data.
        """

    def signal(self, execution: Execution, *, patch: Patch) -> None:
        """Write a person's decision: the new header (version + 1, no lease, a `last_signal` of its own) and `patch`.

        It asks for no lease and ends one that stands; the running turn's next write is refused.

        Raises:
            VersionConflictError: the stored version is not `execution.version - 1`.
            PatchError: the patch does not fit the stored data.
        """

    def revive(self, execution_id: str, *, now: datetime) -> Execution:
        """Make it due now and forget attempts and crashes, unless a turn is at work; return it.

        Raises:
            LeaseHeldError: a lease stands that has not expired.
        """

    def due(self, until: datetime, *, limit: int) -> Sequence[DueRow]:
        """At most `limit` executions with `due_at` <= `until`, the longest due first.  May lag behind the writes."""
