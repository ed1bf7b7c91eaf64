"""MemoryStore and MemoryDispatcher: the engine in one process, for tests and for whoever needs no more.

`MemoryStore` is the reference for what every other store must do.  It forgets everything when the process ends.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from statemachine.dispatcher import Event
from statemachine.errors import ExecutionNotFoundError
from statemachine.execution import (
    Execution,
    JsonValue,
    Lease,
    Patch,
    Path,
    Snapshot,
    apply_patch,
    stored_copy,
    value_at,
)
from statemachine.store import (
    DueRow,
    check_fact,
    check_owner,
    check_save,
    check_signal,
    check_start,
    leased,
    revived,
)


class MemoryStore:
    """Keeps executions in a dictionary; see `statemachine.store.Store`."""

    def __init__(self) -> None:
        self._executions: dict[str, Execution] = {}
        # What each execution's `data` shows.  Never changed in place: a patch makes a new tree that shares the rest.
        self._trees: dict[str, dict[str, JsonValue]] = {}
        self._lock = threading.Lock()

    def start(self, execution: Execution, *, replace: bool) -> None:
        """Attach a new execution to its record."""
        tree = {name: stored_copy(value) for name, value in execution.data.items()}
        with self._lock:
            standing = self._executions.get(execution.execution_id)
            if standing is None or check_start(standing, execution, may_replace=replace):
                self._keep(execution, tree)

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
            execution = leased(standing, version=version, owner=owner, now=now, at_most=at_most, margin=margin)
            self._executions[execution_id] = execution
            return execution

    def renew(self, execution_id: str, *, owner: str, expires_at: datetime) -> None:
        """Move the end of a lease."""
        with self._lock:
            standing = self._standing(execution_id)
            check_owner(standing, owner)
            self._executions[execution_id] = standing.changed(lease=Lease(owner, expires_at), due_at=expires_at)

    def checkpoint(self, execution_id: str, *, owner: str, patch: Patch) -> None:
        """Write `patch` under the lease."""
        with self._lock:
            standing = self._standing(execution_id)
            check_owner(standing, owner)
            self._keep(standing, self._patched(execution_id, patch), revision=standing.revision + 1)

    def record_fact(self, execution_id: str, *, path: Path, intent_id: str, operation: str, owner: str) -> bool:
        """Write what became of a submission, lease or no lease."""
        with self._lock:
            standing = self._standing(execution_id)
            intent = value_at(self._trees[execution_id], path)
            if check_fact(intent, execution_id=execution_id, intent_id=intent_id, operation=operation):
                tree = self._patched(execution_id, {(*path, "operation"): operation})
                self._keep(standing, tree, revision=standing.revision + 1)
            return standing.lease is not None and standing.lease.owner == owner

    def save(self, execution: Execution, *, owner: str, patch: Patch) -> None:
        """Write the turn's result under the lease."""
        with self._lock:
            standing = self._standing(execution.execution_id)
            if check_save(standing, execution, owner=owner):
                tree = self._patched(execution.execution_id, patch)
                self._keep(execution, tree, revision=standing.revision + 1)

    def signal(self, execution: Execution, *, patch: Patch) -> None:
        """Write a person's decision."""
        with self._lock:
            standing = self._standing(execution.execution_id)
            if check_signal(standing, execution):
                tree = self._patched(execution.execution_id, patch)
                self._keep(execution, tree, revision=standing.revision + 1)

    def revive(self, execution_id: str, *, now: datetime) -> Execution:
        """Make it due now and forget attempts and crashes, unless a turn is at work."""
        with self._lock:
            execution = revived(self._standing(execution_id), now=now)
            self._executions[execution_id] = execution
            return execution

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
            self._trees.pop(execution_id, None)

    def _standing(self, execution_id: str) -> Execution:
        execution = self._executions.get(execution_id)
        if execution is None:
            raise ExecutionNotFoundError(execution_id)
        return execution

    def _patched(self, execution_id: str, patch: Patch) -> dict[str, JsonValue]:
        return apply_patch(self._trees[execution_id], {path: stored_copy(value) for path, value in patch.items()})

    def _keep(self, execution: Execution, tree: dict[str, JsonValue], *, revision: int | None = None) -> None:
        self._trees[execution.execution_id] = tree
        self._executions[execution.execution_id] = execution.changed(
            data=Snapshot(tree, read=stored_copy),
            revision=execution.revision if revision is None else revision,
        )


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
