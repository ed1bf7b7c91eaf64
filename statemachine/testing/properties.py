"""What must hold whatever goes wrong: checked at every write, every dispatch, every effect, and at the end."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from statemachine.dispatcher import Event
from statemachine.execution import NOT_ACCEPTED, Execution, Path, value_at
from statemachine.machine import Machine, Resting

# Nobody came for what was due.  Far more than the ticks that the faults of one schedule can spoil.
MOST_LATE = timedelta(minutes=20)

# A lease ends with the longest turn (14 minutes) and its margin.
LONGEST_LEASE = timedelta(minutes=15)

MOVES_VERSION = frozenset({"start", "save", "signal"})
FENCED = frozenset({"checkpoint", "save", "renew"})
LEAVES_THE_END = frozenset({"start", "signal"})


class PropertyError(BaseException):
    """Something happened that never may; the explorer turns it into a `Finding`.

    A BaseException: it is raised under the engine and its steps, and none of them may take it for an error of theirs.
    """


class Properties:
    """Watches one simulated run, and raises PropertyError at the first thing that must not happen."""

    def __init__(self, machine: Machine[Any]) -> None:
        self._machine = machine
        self._facts: dict[Path, tuple[str, str]] = {}
        self._begun: Counter[int] = Counter()
        self._accepted: dict[str, tuple[Path, str]] = {}
        self._signals: dict[str, int] = {}
        self._run_id: str | None = None

    # --- at every write -------------------------------------------------------------------------------------------

    def wrote(
        self,
        operation: str,
        before: Execution | None,
        after: Execution | None,
        *,
        owner: str = "",
        now: datetime | None,
    ) -> None:
        """A store call has returned; `before` and `after` are the record around it.

        Raises:
            PropertyError: it must not have written this.
        """
        if after is None:
            return
        if before is None:
            _claim(operation == "start", f"{operation} brought a record back that was gone")
        elif before is not after:
            self._moved(operation, before, after, owner)
            if operation == "lease" and before.lease != after.lease and now is not None:
                self._leased(before, after, now)
        if operation == "revive":
            self._begun.clear()  # a person has asked for a turn: the crashes so far are forgotten
        if self._run_id != after.run_id:
            self._run_id, self._facts = after.run_id, {}
            self._begun.clear()
        self._still_due(operation, after)
        self._still_known(operation, after)

    def _moved(self, operation: str, before: Execution, after: Execution, owner: str) -> None:
        step = after.version - before.version
        _claim(
            step >= 0 and after.revision >= before.revision, f"{operation} took the version back: {_of(before, after)}"
        )
        _claim(step <= 1, f"{operation} moved the version by {step}: {_of(before, after)}")
        _claim(not step or operation in MOVES_VERSION, f"{operation} moved the version: {_of(before, after)}")
        if operation in FENCED:
            held = before.lease is not None and before.lease.owner == owner
            _claim(held, f"{operation} wrote under a lease that was not its own")
        if operation == "record_fact":
            kept = after.changed(data=before.data, revision=before.revision) == before
            _claim(kept, "a recorded fact moved more than itself")
        if before.state != after.state and self._machine.is_terminal(before.state):
            _claim(operation in LEAVES_THE_END, f"{operation} left the end {before.state!r} for {after.state!r}")
        if operation == "signal" and step:
            first = self._signals.setdefault(after.last_signal, after.version)
            _claim(first == after.version, f"signal {after.last_signal!r} counted twice")

    def _leased(self, before: Execution, after: Execution, now: datetime) -> None:
        if before.lease is not None:
            _claim(before.lease.has_expired(now), f"a lease was taken that stood until {before.lease.expires_at}")
        if after.lease is not None:
            lasts = after.lease.expires_at - now
            _claim(lasts <= LONGEST_LEASE, f"a lease was given for {lasts}, longer than any turn")
            _claim(after.due_at == after.lease.expires_at, "a leased row is not due at the end of its lease")

    def _still_due(self, operation: str, after: Execution) -> None:
        if after.due_at is None:
            at_rest = isinstance(self._machine.state(after.state), Resting)
            at_end = self._machine.is_terminal(after.state) and after.after_work is None
            _claim(at_rest or at_end, f"{operation} left {after.state!r} with work to do and no due time")

    def _still_known(self, operation: str, after: Execution) -> None:
        for path, (intent_id, fact) in self._facts.items():
            stands = value_at(after.data, (*path, "intent_id")), value_at(after.data, (*path, "operation"))
            _claim(stands == (intent_id, fact), f"{operation} lost the paid fact {fact!r} at {'.'.join(path)}")

    # --- facts and effects ----------------------------------------------------------------------------------------

    def recorded(self, path: Path, intent_id: str, operation: str) -> None:
        """`record_fact` has returned: from here on the fact may never be lost.

        That an order was not accepted counts toward nothing, and may make room for the next one.
        """
        if operation != NOT_ACCEPTED:
            self._facts[path] = (intent_id, operation)

    def refused_fact(self, standing: Execution | None, path: Path, intent_id: str, operation: str) -> None:
        """`record_fact` was refused.

        Raises:
            PropertyError: although its intent stands open on the record.
        """
        if standing is None or value_at(standing.data, (*path, "intent_id")) != intent_id:
            return
        known = value_at(standing.data, (*path, "operation"))
        _claim(known not in (None, operation), f"the paid fact {operation!r} was refused and is lost")

    def accepted(self, path: Path, intent_id: str, operation: str) -> None:
        """A vendor has accepted work, and money is spent.

        Raises:
            PropertyError: on an intent that was accepted before.
        """
        earlier = self._accepted.get(intent_id)
        _claim(
            earlier is None, f"intent {intent_id!r} was accepted twice: {earlier and earlier[1]!r} and {operation!r}"
        )
        self._accepted[intent_id] = (path, operation)

    # --- turns and events -----------------------------------------------------------------------------------------

    def begun(self, standing: Execution) -> None:
        """The step of the turn that holds the lease begins to work.

        Raises:
            PropertyError: its attempt is not counted on the record; if it dies now, it never will be.
        """
        self._begun[standing.version] += 1
        counted = standing.unsaved_turns >= self._begun[standing.version] and standing.attempt >= 1
        _claim(counted, f"{standing.state!r} works on an attempt that is not counted yet")

    def dispatched(self, event: Event, standing: Execution | None) -> None:
        """A turn is asked for.

        Raises:
            PropertyError: on a version that is not stored.
        """
        if standing is not None:
            _claim(standing.version >= event.version, f"version {event.version} was dispatched before it was saved")

    # --- at the end -----------------------------------------------------------------------------------------------

    def late(self, execution: Execution, now: datetime) -> None:
        """Something is due.

        Raises:
            PropertyError: for so long that nobody will ever come.
        """
        if execution.due_at is not None and now - execution.due_at > MOST_LATE:
            raise PropertyError(f"{execution.state!r} has been due for {now - execution.due_at} and nobody comes")

    def ended(self, standing: Execution | None) -> None:
        """Nothing is left to happen.

        Raises:
            PropertyError: the execution has not ended, or what was paid for is not on its record.
        """
        if standing is None:
            return
        state = self._machine.state(standing.state)
        is_over = self._machine.is_terminal(standing.state) or isinstance(state, Resting)
        _claim(is_over, f"it stands in {standing.state!r}, and nothing will ever happen again")
        for intent_id, (path, operation) in self._accepted.items():
            _claim(
                value_at(standing.data, (*path, "intent_id")) == intent_id,
                f"{operation!r} was paid for, and intent {intent_id!r} is not on the record",
            )
            known = value_at(standing.data, (*path, "operation"))
            _claim(known in (None, operation), f"{operation!r} was paid for, and the record says {known!r}")
            _claim(known != NOT_ACCEPTED, f"{operation!r} was paid for, and the record says it was not accepted")


def _claim(holds: bool, otherwise: str) -> None:  # noqa: FBT001  it reads as the claim that it is
    if not holds:
        raise PropertyError(otherwise)


def _of(before: Execution, after: Execution) -> str:
    return f"version {before.version}, revision {before.revision} → {after.version}, {after.revision}"
