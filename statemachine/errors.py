"""Everything the engine raises on purpose.

StateMachineError
├── MachineDefinitionError      the declaration of a machine is wrong; found at construction
├── EventNotAllowedError        this state knows no such event
├── ExecutionNotFoundError      no execution has this id
├── ExecutionExistsError        one stands already; `replace` was not asked for, or it is not at an end
├── VersionConflictError        someone saved a newer version first
├── LeaseHeldError              another turn is working on it
├── LeaseLostError              the lease under which a turn writes is no longer its own
├── IntentNotFoundError         a paid fact came back for an intent that no longer stands
├── PatchError                  a patch does not fit the stored data
├── BesideRefusedError          what was to be written with an execution was refused; neither was written
├── StoreError                  the store itself failed
│   ├── StoreUnavailableError   for now: throttled, unreachable, locked
│   └── StoreCorruptError       for good: not ours, or damaged
├── UnfinishedAfterWorkError    a part of what follows an end failed (the engine tries that part again)
├── DispatchError               the next turn could not be asked for (the sweeper will)
└── StepError                   a step could not do its work
    ├── TransientError          may succeed later: the engine retries
    └── PermanentError          cannot succeed: the engine moves to `failed`
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta


class StateMachineError(Exception):
    """Anything the engine raises on purpose."""


class MachineDefinitionError(StateMachineError):
    """A machine's declaration is wrong.  The message lists every fault."""

    def __init__(self, machine: str, faults: list[str]) -> None:
        super().__init__(f"machine {machine!r} is not sound: " + "; ".join(faults))
        self.machine = machine
        self.faults = faults


class EventNotAllowedError(StateMachineError):
    """This state knows no such event."""

    def __init__(self, event: str, state: str, *, allowed: tuple[str, ...] = ()) -> None:
        known = ", ".join(allowed) or "none"
        super().__init__(f"event {event!r} is not allowed in state {state!r} (allowed: {known})")
        self.event = event
        self.state = state
        self.allowed = allowed


class ExecutionNotFoundError(StateMachineError):
    """No execution has this id."""

    def __init__(self, execution_id: str) -> None:
        super().__init__(f"no execution {execution_id!r}")
        self.execution_id = execution_id


class ExecutionExistsError(StateMachineError):
    """An execution stands on this record already."""

    def __init__(self, execution_id: str, *, state: str) -> None:
        super().__init__(f"execution {execution_id!r} exists already, in state {state!r}")
        self.execution_id = execution_id
        self.state = state


class VersionConflictError(StateMachineError):
    """The stored version is not the one that the caller saw."""

    def __init__(self, execution_id: str, *, expected: int, stored: int) -> None:
        super().__init__(f"execution {execution_id!r} stands at version {stored}, not {expected}")
        self.execution_id = execution_id
        self.expected = expected
        self.stored = stored


class LeaseHeldError(StateMachineError):
    """Another turn is working on this execution until `expires_at`."""

    def __init__(self, execution_id: str, *, expires_at: datetime) -> None:
        super().__init__(f"execution {execution_id!r} is leased until {expires_at.isoformat()}")
        self.execution_id = execution_id
        self.expires_at = expires_at


class LeaseLostError(StateMachineError):
    """The lease is no longer this turn's: it was cancelled, or another turn took over.  Stop; write nothing."""

    def __init__(self, execution_id: str) -> None:
        super().__init__(f"the lease on execution {execution_id!r} is lost")
        self.execution_id = execution_id


class IntentNotFoundError(StateMachineError):
    """A paid fact came back, but its intent no longer stands (or holds another operation)."""

    def __init__(self, execution_id: str, *, intent_id: str) -> None:
        super().__init__(f"execution {execution_id!r} holds no open intent {intent_id!r}")
        self.execution_id = execution_id
        self.intent_id = intent_id


class PatchError(StateMachineError):
    """A patch does not fit: its parent is missing or no map, paths overlap, or a value is not JSON."""


class BesideRefusedError(StateMachineError):
    """What was to be written in one transaction with an execution was refused; neither was written.  Look again."""

    def __init__(self, execution_id: str) -> None:
        super().__init__(f"the rows beside execution {execution_id!r} are not as the caller saw them")
        self.execution_id = execution_id


class StoreError(StateMachineError):
    """The store itself failed."""


class StoreUnavailableError(StoreError):
    """The store cannot be reached for now."""


class StoreCorruptError(StoreError):
    """The store's file or rows are damaged, or were written by something else."""


class UnfinishedAfterWorkError(StateMachineError):
    """Parts of what follows an end failed.

    Attributes:
        done: the names of the parts that are done, earlier tries included; they stand in `AfterWork.done` from now on.
    """

    def __init__(self, done: Iterable[str], failures: Sequence[Exception]) -> None:
        super().__init__("; ".join(f"{type(failure).__name__}: {failure}" for failure in failures))
        self.done = tuple(sorted(done))


class DispatchError(StateMachineError):
    """The next turn could not be asked for.  Not a fault of the execution: it is due, and the sweeper comes."""


class StepError(StateMachineError):
    """A step could not do its work.

    Attributes:
        code: stable, UPPER_SNAKE; clients and alarms switch on it.
        message: for a person: what, which one, what to do.  Never a secret or a whole prompt.
        user_action: code of what the person may do, e.g. 'retry', 'upload_other_audio', 'contact_admin'.
        details: JSON values that belong to the failure, e.g. `scene_index`.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        user_action: str = "retry",
        details: Mapping[str, str | int | float] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.user_action = user_action
        self.details = dict(details or {})

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class TransientError(StepError):
    """May succeed later: the engine runs the state again, as its retry policy says.

    Attributes:
        retry_after: not earlier than this, when the vendor said so.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        user_action: str = "retry",
        details: Mapping[str, str | int | float] | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(code, message, user_action=user_action, details=details)
        self.retry_after = retry_after


class PermanentError(StepError):
    """Cannot succeed as it stands: the engine moves the execution to its failed state."""
