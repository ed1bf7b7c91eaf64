"""Dispatcher: asks for the next turn of an execution."""

from typing import Protocol

from statemachine.record import Record


class Event(Record):
    """One request for a turn.  It is delivered at least once, in any order; a stale version does nothing."""

    execution_id: str
    version: int


class Dispatcher(Protocol):
    """Delivers events to an engine, soon and at least once, or fails at once."""

    def dispatch(self, event: Event) -> None:
        """Ask for a turn and return without waiting for it.

        Raises:
            DispatchError: it could not be asked for.  The execution is due all the same, and the sweeper comes.
        """
