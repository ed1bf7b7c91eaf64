"""The history of an execution's states: one entry each in its data, written with the save that causes it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from statemachine.execution import Execution, Failure, JsonValue, Patch, Path, apply_patch
from statemachine.machine import Machine


class History:
    """Patches that keep the history; empty ones where none is kept.

    Args:
        machine: whose states it tells of.
        path: where in the data it is kept; None keeps none.
    """

    def __init__(self, machine: Machine[Any], path: Path | None) -> None:
        self._machine = machine
        self._path = path

    def begun(self, data: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
        """The data of a new execution, with a history that has no entries yet."""
        return data if self._path is None else apply_patch(data, {self._path: {}})

    def entered(self, execution: Execution) -> Patch:
        """The entry of the state just entered; a terminal state has none, the execution itself tells of its end."""
        if self._path is None or self._machine.is_terminal(execution.state):
            return {}
        entry: dict[str, JsonValue] = {
            "status": self._machine.working_status,
            "started_at": _iso(execution.entered_at),
            "deadline_at": _iso(execution.deadline_at),
        }
        return {(*self._path, execution.state): entry}

    def left(self, execution: Execution, status: str, now: datetime, *, error: Failure | None = None) -> Patch:
        """The end of the entry of the state that the execution is in."""
        return self._changed(
            execution.state,
            status=status,
            completed_at=_iso(now),
            attempt=execution.attempt,
            error=None if error is None else _public(error),
        )

    def taken_up(self, execution: Execution, now: datetime) -> Patch:
        """The entry of the state that a failed execution has been sent back to: it goes on."""
        return self._changed(
            execution.state,
            status=self._machine.working_status,
            completed_at=None,
            error=None,
            resumed_at=_iso(now),
            retries=execution.retries,
            deadline_at=_iso(execution.deadline_at),
        )

    def retried(self, execution: Execution, error: Failure) -> Patch:
        """The attempt that has just gone wrong, in the entry of its state."""
        return self._changed(execution.state, attempt=execution.attempt, error=_public(error))

    def _changed(self, state: str, **entries: JsonValue) -> Patch:
        if self._path is None:
            return {}
        return {(*self._path, state, name): value for name, value in entries.items()}


def _public(failure: Failure) -> JsonValue:
    """A failure as history shows it."""
    return {"code": failure.code, "message": failure.message, "user_action": failure.user_action}


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")
