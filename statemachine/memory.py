"""MemoryStore and MemoryDispatcher: the engine in one process, for tests and for whoever needs no more.

`MemoryStore` is the reference for what every other store must do.  It forgets everything when the process ends.
"""

import json
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from statemachine.dispatcher import Event
from statemachine.errors import (
    ExecutionExistsError,
    ExecutionNotFoundError,
    IntentNotFoundError,
    LeaseHeldError,
    LeaseLostError,
    PatchError,
    VersionConflictError,
)
from statemachine.execution import Execution, Lease, Patch, Path, apply_patch, value_at
from statemachine.store import DueRow

ValueT = TypeVar("ValueT")


class MemoryStore:
    """Keeps executions in a dictionary; see `statemachine.store.Store`."""

    def __init__(self) -> None:
        self._executions: dict[str, Execution] = {}
        self._lock = threading.Lock()

    def start(self, execution: Execution, *, replace: bool) -> None:
        """Attach a new execution to its record."""
        execution = execution.with_data(_as_stored(execution.data))
        with self._lock:
            standing = self._executions.get(execution.execution_id)
            if standing is not None and standing.run_id == execution.run_id:
                return
            may_replace = replace and standing is not None and standing.version == execution.version - 1
            if standing is not None and not may_replace:
                raise ExecutionExistsError(execution.execution_id, state=standing.state)
            self._executions[execution.execution_id] = execution

    def get(self, execution_id: str) -> Execution:
        """The execution as last written."""
        with self._lock:
            return self._standing(execution_id)

    def lease(
        self, execution_id: str, *, version: int, owner: str, now: datetime, at_most: timedelta, margin: timedelta
    ) -> Execution:
        """Take the right to run one turn."""
        with self._lock:
            standing = self._standing(execution_id)
            if standing.lease is not None and standing.lease.owner == owner:
                return standing
            if standing.version != version:
                raise VersionConflictError(execution_id, expected=version, stored=standing.version)
            if standing.lease is not None and not standing.lease.has_expired(now):
                raise LeaseHeldError(execution_id, expires_at=standing.lease.expires_at)
            expires_at = now + min(timedelta(seconds=standing.max_turn_seconds), at_most) + margin
            leased = replace(
                standing,
                lease=Lease(owner, expires_at),
                due_at=expires_at,
                attempt=standing.attempt + 1,
                unsaved_turns=standing.unsaved_turns + 1,
            )
            self._executions[execution_id] = leased
            return leased

    def renew(self, execution_id: str, *, owner: str, expires_at: datetime) -> None:
        """Move the end of a lease."""
        with self._lock:
            standing = self._leased_by(execution_id, owner)
            self._executions[execution_id] = replace(standing, lease=Lease(owner, expires_at), due_at=expires_at)

    def checkpoint(self, execution_id: str, *, owner: str, patch: Patch) -> None:
        """Write `patch` under the lease."""
        with self._lock:
            standing = self._leased_by(execution_id, owner)
            data = apply_patch(standing.data, _as_stored_patch(patch))
            self._executions[execution_id] = replace(standing, data=data, revision=standing.revision + 1)

    def record_fact(self, execution_id: str, *, path: Path, intent_id: str, operation: str, owner: str) -> bool:
        """Write what became of a submission, lease or no lease."""
        with self._lock:
            standing = self._standing(execution_id)
            known = value_at(standing.data, (*path, "operation"))
            if value_at(standing.data, (*path, "intent_id")) != intent_id or known not in (None, operation):
                raise IntentNotFoundError(execution_id, intent_id=intent_id)
            if known is None:
                data = apply_patch(standing.data, {(*path, "operation"): operation})
                self._executions[execution_id] = replace(standing, data=data, revision=standing.revision + 1)
            return standing.lease is not None and standing.lease.owner == owner

    def save(self, execution: Execution, *, owner: str, patch: Patch) -> None:
        """Write the turn's result under the lease."""
        with self._lock:
            standing = self._standing(execution.execution_id)
            if standing.version == execution.version and standing.last_turn == owner:
                return
            if standing.version != execution.version - 1:
                raise LeaseLostError(execution.execution_id)
            self._leased_by(execution.execution_id, owner)
            self._write(standing, execution, patch)

    def signal(self, execution: Execution, *, patch: Patch) -> None:
        """Write a person's decision."""
        with self._lock:
            standing = self._standing(execution.execution_id)
            if standing.last_signal == execution.last_signal and standing.version == execution.version:
                return
            if standing.version != execution.version - 1:
                raise VersionConflictError(
                    execution.execution_id, expected=execution.version - 1, stored=standing.version
                )
            self._write(standing, execution, patch)

    def revive(self, execution_id: str, *, now: datetime) -> Execution:
        """Make it due now and forget attempts and crashes, unless a turn is at work."""
        with self._lock:
            standing = self._standing(execution_id)
            if standing.lease is not None and not standing.lease.has_expired(now):
                raise LeaseHeldError(execution_id, expires_at=standing.lease.expires_at)
            revived = replace(standing, lease=None, attempt=0, unsaved_turns=0, due_at=now)
            self._executions[execution_id] = revived
            return revived

    def due(self, until: datetime, *, limit: int) -> Sequence[DueRow]:
        """At most `limit` executions that are due, the longest due first."""
        with self._lock:
            rows = [
                DueRow(execution.execution_id, execution.version, execution.due_at)
                for execution in self._executions.values()
                if execution.due_at is not None and execution.due_at <= until
            ]
        return sorted(rows, key=lambda row: (row.due_at, row.execution_id))[:limit]

    def delete(self, execution_id: str) -> None:
        """Remove the whole record, as the owner of the table may at any moment."""
        with self._lock:
            self._executions.pop(execution_id, None)

    def _standing(self, execution_id: str) -> Execution:
        execution = self._executions.get(execution_id)
        if execution is None:
            raise ExecutionNotFoundError(execution_id)
        return execution

    def _leased_by(self, execution_id: str, owner: str) -> Execution:
        execution = self._standing(execution_id)
        if execution.lease is None or execution.lease.owner != owner:
            raise LeaseLostError(execution_id)
        return execution

    def _write(self, standing: Execution, execution: Execution, patch: Patch) -> None:
        data = apply_patch(standing.data, _as_stored_patch(patch))
        self._executions[execution.execution_id] = replace(execution, data=data, revision=standing.revision + 1)


class MemoryDispatcher:
    """A queue of events, delivered in order when `deliver` is called (or taken one by one from `events`)."""

    def __init__(self) -> None:
        self.events: deque[Event] = deque()

    def dispatch(self, event: Event) -> None:
        """Put an event at the end of the queue."""
        self.events.append(event)

    def deliver(self, run_turn: Callable[[Event], object], *, at_most: int = 100_000) -> int:
        """Hand events to `run_turn` until none is left; return how many were handed."""
        for delivered in range(at_most):
            if not self.events:
                return delivered
            run_turn(self.events.popleft())
        return at_most


def _as_stored_patch(patch: Patch) -> Patch:
    return {path: _as_stored(value) for path, value in patch.items()} if patch else patch


def _as_stored(value: ValueT) -> ValueT:
    """A copy that shares nothing with what the caller holds, as a database would make; refuses what is not JSON."""
    if value is None or isinstance(value, str | bool | int):
        return value
    try:
        copied: ValueT = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise PatchError(f"not a JSON value: {error}") from error
    return copied
