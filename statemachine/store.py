"""Store: keeps executions and lets exactly one turn at a time write to each.

Every operation is one conditional write on one item and no read (`get`, `due` aside).  A write whose answer was lost
may be repeated by whoever speaks to the database: each operation recognises its own earlier success and reports it as
success.  Every implementation passes `tests/statemachine/store_contract.py`.

The functions below the port are its rules, without any I/O: from the stored execution and the request they tell what
is to be written, or that an earlier call has written it, or they raise.  A store that can read and write in one
transaction calls them; a store whose database decides states the same rules as conditions.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from statemachine.errors import (
    ExecutionExistsError,
    IntentNotFoundError,
    LeaseHeldError,
    LeaseLostError,
    VersionConflictError,
)
from statemachine.execution import Execution, JsonValue, Lease, Patch, Path
from statemachine.record import Record


class DueRow(Record):
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


def check_start(standing: Execution, execution: Execution, *, may_replace: bool) -> bool:
    """Whether `execution` is to be written over `standing`; False when it was written before.

    Raises:
        ExecutionExistsError: it may not be replaced, or is not the one that the caller saw.
    """
    if standing.run_id == execution.run_id:
        return False
    if not may_replace or standing.version != execution.version - 1:
        raise ExecutionExistsError(execution.execution_id, state=standing.state)
    return True


def leased(
    standing: Execution, *, version: int, owner: str, now: datetime, at_most: timedelta, margin: timedelta
) -> Execution:
    """`standing` under a lease of `owner`; the same object when it is already.

    Raises:
        VersionConflictError: the version is another.
        LeaseHeldError: a lease stands that has not expired.
    """
    if standing.lease is not None and standing.lease.owner == owner:
        return standing
    if standing.version != version:
        raise VersionConflictError(standing.execution_id, expected=version, stored=standing.version)
    check_unleased(standing, now)
    expires_at = now + min(timedelta(seconds=standing.max_turn_seconds), at_most) + margin
    return standing.changed(
        lease=Lease(owner, expires_at),
        due_at=expires_at,
        attempt=standing.attempt + 1,
        unsaved_turns=standing.unsaved_turns + 1,
    )


def check_unleased(standing: Execution, now: datetime) -> None:
    """Refuse while a turn is at work.

    Raises:
        LeaseHeldError: a lease stands that has not expired.
    """
    if standing.lease is not None and not standing.lease.has_expired(now):
        raise LeaseHeldError(standing.execution_id, expires_at=standing.lease.expires_at)


def check_owner(standing: Execution, owner: str) -> None:
    """Refuse whoever does not hold the lease, expired or not.

    Raises:
        LeaseLostError: it is not `owner`'s.
    """
    if standing.lease is None or standing.lease.owner != owner:
        raise LeaseLostError(standing.execution_id)


def check_save(standing: Execution, execution: Execution, *, owner: str) -> bool:
    """Whether `execution` is to be written as the turn's result; False when it was written before.

    Raises:
        LeaseLostError: the lease is not `owner`'s.
    """
    if standing.version == execution.version and standing.last_turn == owner:
        return False
    if standing.version != execution.version - 1:
        raise LeaseLostError(execution.execution_id)
    check_owner(standing, owner)
    return True


def check_signal(standing: Execution, execution: Execution) -> bool:
    """Whether `execution` is to be written as a person's decision; False when it was written before.

    Raises:
        VersionConflictError: the stored version is not the one that the person saw.
    """
    if standing.last_signal == execution.last_signal and standing.version == execution.version:
        return False
    if standing.version != execution.version - 1:
        raise VersionConflictError(execution.execution_id, expected=execution.version - 1, stored=standing.version)
    return True


def check_fact(stored: JsonValue, *, execution_id: str, intent_id: str, operation: str) -> bool:
    """Whether `operation` is to be written into the intent `stored`; False when it was written before.

    Raises:
        IntentNotFoundError: it is another intent, none at all, or it holds another operation.
    """
    intent = stored if isinstance(stored, Mapping) else {}
    known = intent.get("operation")
    if intent.get("intent_id") != intent_id or known not in (None, operation):
        raise IntentNotFoundError(execution_id, intent_id=intent_id)
    return known is None


def revived(standing: Execution, *, now: datetime) -> Execution:
    """`standing`, due now, with attempts and crashes forgotten.

    Raises:
        LeaseHeldError: a lease stands that has not expired.
    """
    check_unleased(standing, now)
    return standing.changed(lease=None, attempt=0, unsaved_turns=0, due_at=now)
