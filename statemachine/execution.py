"""One run of a machine, exactly as stored: frozen records, and the arithmetic of patches.

An execution is a *header* (this module's fields: small, written whole by the engine at every save) and `data` (a tree
of JSON that belongs to the machine's user, changed only by patches).  A patch maps a path to a value; a value replaces
what stood there.  The parent of every path must exist: stores set leaves, they never invent parents.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, TypeAlias, TypedDict, Unpack

from statemachine.errors import PatchError
from statemachine.record import Record

JsonValue: TypeAlias = bool | int | float | str | Sequence["JsonValue"] | Mapping[str, "JsonValue"] | None
Path: TypeAlias = tuple[str, ...]
Patch: TypeAlias = Mapping[Path, JsonValue]

# What `record_fact` writes when a submission was refused or never sent: it counts toward nothing.
NOT_ACCEPTED = "not_accepted"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Snapshot(Mapping[str, JsonValue]):
    """The data of an execution as it stood at one moment, each top-level value read only when somebody asks for it.

    So a turn costs the same however much the data has grown.  Nothing can be changed through it: every access makes
    the value anew, which is why a caller that needs a value twice keeps it.

    Args:
        stored: the top-level values in the store's own form; must not change any more.
        read: makes a fresh value of a stored one.
    """

    __slots__ = ("_read", "_stored")

    def __init__(self, stored: Mapping[str, Any], *, read: Callable[[Any], JsonValue]) -> None:
        self._stored = stored
        self._read = read

    def __getitem__(self, name: str) -> JsonValue:
        return self._read(self._stored[name])

    def __contains__(self, name: object) -> bool:
        return name in self._stored

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    def __repr__(self) -> str:
        return repr(dict(self))


class Lease(Record):
    """The right to run one turn: who holds it (a fresh id for every turn) and until when."""

    owner: str
    expires_at: datetime

    def has_expired(self, now: datetime) -> bool:
        """Whether another turn may take over.  At the very moment of expiry it may."""
        return self.expires_at <= now


class Failure(Record):
    """Why an execution failed, for the person who asked for it and the one on call.

    A step gives `code`, `message`, `user_action`, `is_retryable` and `details`; the engine adds the rest.
    """

    code: str
    message: str
    user_action: str = "retry"
    is_retryable: bool = True
    details: Mapping[str, JsonValue] = field(default_factory=dict)
    state: str = ""
    attempt: int = 0
    occurred_at: datetime | None = None

    def as_json(self) -> dict[str, JsonValue]:
        """The stored form."""
        return {
            "code": self.code,
            "message": self.message,
            "user_action": self.user_action,
            "is_retryable": self.is_retryable,
            "details": dict(self.details),
            "state": self.state,
            "attempt": self.attempt,
            "occurred_at": _to_ms(self.occurred_at),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, JsonValue]) -> "Failure":
        """Read the stored form; unknown fields are ignored."""
        details = stored.get("details")
        return cls(
            code=str(stored["code"]),
            message=str(stored["message"]),
            user_action=str(stored.get("user_action", "retry")),
            is_retryable=bool(stored.get("is_retryable", True)),
            details=details if isinstance(details, Mapping) else {},
            state=str(stored.get("state", "")),
            attempt=_integer(stored.get("attempt")),
            occurred_at=_from_ms(stored.get("occurred_at")),
        )


class Notice(Record):
    """That an execution came to an end; sent at least once.  `notice_id` is execution + version of that save."""

    notice_id: str
    status: str
    occurred_at: datetime


class AfterWork(Record):
    """What is left to do after the end: release what was held, send `notices`.  Notices survive a retry unsent.

    Attributes:
        done: the parts that a try did before another part failed, by names that whoever does them gives.
    """

    since: datetime
    tries: int = 0
    notices: tuple[Notice, ...] = ()
    done: tuple[str, ...] = ()


class Changes(TypedDict, total=False):
    """What of an execution may change from one moment to the next, for `Execution.changed`: all but whose it is."""

    graph: str
    state: str
    status: str
    updated_at: datetime
    entered_at: datetime
    version: int
    revision: int
    attempt: int
    unsaved_turns: int
    turns: int
    chain: int
    retries: int
    max_turn_seconds: float
    lease: Lease | None
    last_turn: str
    last_signal: str
    deadline_at: datetime | None
    due_at: datetime | None
    freely_waited_seconds: float
    waiting_for: str | None
    parked_at: datetime | None
    last_error: Failure | None
    failure: Failure | None
    failed_in: str | None
    after_work: AfterWork | None
    data: Mapping[str, JsonValue]


class Execution(Record):
    """One run of a machine.

    Attributes:
        graph: hash of the machine's graph at the last save.
        status: of the whole: the machine's working status, or the name of the terminal state.
        version: grows by one with start, save and signal; an event for another version is stale.
        revision: grows with every write that a watcher could notice: those, checkpoints and recorded facts.
        run_id: new at every start, kept by retry.
        attempt: turns in a row that did not save normally, the running one included (the lease counts it).
        unsaved_turns: turns leased since the last save, the running one included; all but that one never came back.
        turns, chain: turns of this run; turns in a row without a wait.
        retries: how often a person sent this run back to work.
        max_turn_seconds: how long a turn of the present state may take, as the machine that saved it knew.
        lease, last_turn, last_signal: who works on it; who saved last; which signal (or start) wrote last.
        started_at, entered_at, updated_at: of the run, of the present state, of the last save or signal.
        deadline_at: when the present state must be done; None at rest.
        due_at: when somebody should look at this again; None when a person must act or nothing is left to do.
        freely_waited_seconds: by how much waits for quota moved the deadline of this state.
        waiting_for: why it waits, when it does and the step said so.
        parked_at: since when no deployed machine knows its state.
        last_error: the latest trouble of the present state, while it is being retried.
        failure, failed_in: why and in which state it failed; None while it has not.
        after_work: what is left to do after the end.
        data: the tree that belongs to the machine's user.
    """

    execution_id: str
    machine: str
    graph: str
    state: str
    status: str
    run_id: str
    started_at: datetime
    entered_at: datetime
    updated_at: datetime
    version: int = 1
    revision: int = 1
    attempt: int = 0
    unsaved_turns: int = 0
    turns: int = 0
    chain: int = 0
    retries: int = 0
    max_turn_seconds: float = 60.0
    lease: Lease | None = None
    last_turn: str = ""
    last_signal: str = ""
    deadline_at: datetime | None = None
    due_at: datetime | None = None
    freely_waited_seconds: float = 0.0
    waiting_for: str | None = None
    parked_at: datetime | None = None
    last_error: Failure | None = None
    failure: Failure | None = None
    failed_in: str | None = None
    after_work: AfterWork | None = None
    data: Mapping[str, JsonValue] = field(default_factory=dict)

    @property
    def crashes(self) -> int:
        """How many turns in a row were leased and never came back, the running one not counted."""
        return max(0, self.unsaved_turns - 1) if self.lease else self.unsaved_turns

    def changed(self, **changes: Unpack[Changes]) -> "Execution":
        """The same execution with `changes`, as `dataclasses.replace` would make it.

        A turn makes seven: `replace` took 70 of its 95 µs, this takes 15.  (CPython 3.11, 2026-11-22; the whole turn:
        `python -m benchmarks engine`)
        """
        if not _CHANGEABLE.issuperset(changes):
            raise TypeError(f"an execution cannot change its {', '.join(sorted(changes.keys() - _CHANGEABLE))}")
        changed = object.__new__(Execution)
        changed.__dict__.update(self.__dict__, **changes)
        return changed


_CHANGEABLE = frozenset(Changes.__annotations__)


def header_as_json(execution: Execution) -> dict[str, JsonValue]:
    """The stored form of everything but `execution_id`, `version`, `revision`, `status`, `due_at` and `data`.

    Those six stand beside it in every store: they are keys, indexed, or changed on their own.  Moments are stored as
    epoch milliseconds, and absent fields are left out.
    """
    lease, after_work = execution.lease, execution.after_work
    header: dict[str, JsonValue] = {
        "machine": execution.machine,
        "graph": execution.graph,
        "state": execution.state,
        "run_id": execution.run_id,
        "attempt": execution.attempt,
        "unsaved_turns": execution.unsaved_turns,
        "turns": execution.turns,
        "chain": execution.chain,
        "retries": execution.retries,
        "max_turn_ms": round(execution.max_turn_seconds * 1000),
        "last_turn": execution.last_turn,
        "last_signal": execution.last_signal,
        "started_at": _to_ms(execution.started_at),
        "entered_at": _to_ms(execution.entered_at),
        "updated_at": _to_ms(execution.updated_at),
        "freely_waited_ms": round(execution.freely_waited_seconds * 1000),
    }
    optional: dict[str, JsonValue] = {
        "deadline_at": _to_ms(execution.deadline_at),
        "waiting_for": execution.waiting_for,
        "parked_at": _to_ms(execution.parked_at),
        "failed_in": execution.failed_in,
        "lease": {"owner": lease.owner, "expires_at": _to_ms(lease.expires_at)} if lease else None,
        "last_error": execution.last_error.as_json() if execution.last_error else None,
        "failure": execution.failure.as_json() if execution.failure else None,
        "after_work": {
            "since": _to_ms(after_work.since),
            "tries": after_work.tries,
            "notices": [
                {"notice_id": notice.notice_id, "status": notice.status, "occurred_at": _to_ms(notice.occurred_at)}
                for notice in after_work.notices
            ],
            "done": list(after_work.done),
        }
        if after_work
        else None,
    }
    header.update((name, value) for name, value in optional.items() if value is not None)
    return header


def execution_from_json(
    header: Mapping[str, JsonValue],
    *,
    execution_id: str,
    version: int,
    revision: int,
    status: str,
    due_at: datetime | None,
    data: Mapping[str, JsonValue],
) -> Execution:
    """Read what `header_as_json` wrote and the six fields beside it; unknown fields are ignored."""
    return Execution(
        execution_id=execution_id,
        machine=str(header["machine"]),
        graph=str(header["graph"]),
        state=str(header["state"]),
        status=status,
        run_id=str(header["run_id"]),
        started_at=_moment(header["started_at"]),
        entered_at=_moment(header["entered_at"]),
        updated_at=_moment(header["updated_at"]),
        version=version,
        revision=revision,
        attempt=_integer(header.get("attempt")),
        unsaved_turns=_integer(header.get("unsaved_turns")),
        turns=_integer(header.get("turns")),
        chain=_integer(header.get("chain")),
        retries=_integer(header.get("retries")),
        max_turn_seconds=_integer(header.get("max_turn_ms")) / 1000,
        lease=_lease_from_json(header.get("lease")),
        last_turn=str(header.get("last_turn", "")),
        last_signal=str(header.get("last_signal", "")),
        deadline_at=_from_ms(header.get("deadline_at")),
        due_at=due_at,
        freely_waited_seconds=_integer(header.get("freely_waited_ms")) / 1000,
        waiting_for=_text(header.get("waiting_for")),
        parked_at=_from_ms(header.get("parked_at")),
        last_error=_failure_from_json(header.get("last_error")),
        failure=_failure_from_json(header.get("failure")),
        failed_in=_text(header.get("failed_in")),
        after_work=_after_work_from_json(header.get("after_work")),
        data=data,
    )


def apply_patch(data: Mapping[str, JsonValue], patch: Patch) -> dict[str, JsonValue]:
    """`data` with the values of `patch`; the original is untouched and shares what did not change.

    Raises:
        PatchError: a path is empty, overlaps another, or its parent is missing or no map.
    """
    check_patch(patch)
    changed = dict(data)
    copied: dict[Path, dict[str, JsonValue]] = {(): changed}
    for path, value in patch.items():
        for depth in range(1, len(path)):
            parent_path = path[:depth]
            if parent_path not in copied:
                original = copied[parent_path[:-1]].get(parent_path[-1])
                if not isinstance(original, Mapping):
                    raise PatchError(f"patch of {'.'.join(path)}: {'.'.join(parent_path)} is missing or no map")
                copied[parent_path] = dict(original)
                copied[parent_path[:-1]][parent_path[-1]] = copied[parent_path]
        copied[path[:-1]][path[-1]] = value
    return changed


def check_patch(patch: Patch) -> None:
    """Refuse a patch that no store could write in one go.

    Raises:
        PatchError: a path is empty or has an empty part, or one path leads through another.
    """
    for path in patch:
        if not path or not all(path):
            raise PatchError(f"patch of {path!r}: a path has at least one part, and no part is empty")
        for depth in range(1, len(path)):
            if path[:depth] in patch:
                raise PatchError(f"patch of {'.'.join(path)}: overlaps {'.'.join(path[:depth])}")


def value_at(data: Mapping[str, JsonValue], path: Path) -> JsonValue:
    """What stands at `path`, or None when nothing does."""
    value: JsonValue = data
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def stored_copy(value: object) -> JsonValue:
    """`value` as a database would give it back: plain dicts and lists that share nothing with the original.

    Raises:
        PatchError: it is not JSON: another type, a key that is no text, a number that is not finite.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not isfinite(value):
            raise PatchError(f"not a JSON value: {value!r}")
        return value
    if isinstance(value, dict | Mapping):  # dict first: asking an abstract class is slow
        for key in value:
            if not isinstance(key, str):
                raise PatchError(f"not a JSON key: {key!r}")
        return {key: stored_copy(part) for key, part in value.items()}
    if isinstance(value, list | Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [stored_copy(part) for part in value]
    raise PatchError(f"not a JSON value: {type(value).__name__}")


def leaves(patch: Patch) -> Iterator[tuple[Path, JsonValue]]:
    """The entries of a patch, in a stable order."""
    yield from sorted(patch.items())


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970, rounded up, so that what is stored is never before the moment itself."""
    return -((_EPOCH - moment) // _MILLISECOND)


def from_ms(stored: int) -> datetime:
    """The moment that `to_ms` stored."""
    return _EPOCH + stored * _MILLISECOND


def _to_ms(moment: datetime | None) -> int | None:
    return None if moment is None else to_ms(moment)


def _from_ms(stored: JsonValue) -> datetime | None:
    return None if stored is None else _moment(stored)


def _moment(stored: JsonValue) -> datetime:
    return from_ms(_integer(stored))


def _integer(stored: JsonValue) -> int:
    if stored is None:
        return 0
    if isinstance(stored, bool) or not isinstance(stored, int | float | str):
        raise TypeError(f"not a number: {stored!r}")
    return int(stored)


def _text(stored: JsonValue) -> str | None:
    return None if stored is None else str(stored)


def _lease_from_json(stored: JsonValue) -> Lease | None:
    if not isinstance(stored, Mapping):
        return None
    return Lease(owner=str(stored["owner"]), expires_at=_moment(stored["expires_at"]))


def _failure_from_json(stored: JsonValue) -> Failure | None:
    return Failure.from_json(stored) if isinstance(stored, Mapping) else None


def _after_work_from_json(stored: JsonValue) -> AfterWork | None:
    if not isinstance(stored, Mapping):
        return None
    notices, done = stored.get("notices"), stored.get("done")
    return AfterWork(
        since=_moment(stored["since"]),
        tries=_integer(stored.get("tries")),
        notices=tuple(
            Notice(
                notice_id=str(notice["notice_id"]),
                status=str(notice["status"]),
                occurred_at=_moment(notice["occurred_at"]),
            )
            for notice in (notices if isinstance(notices, Sequence) else ())
            if isinstance(notice, Mapping)
        ),
        done=tuple(str(part) for part in (done if isinstance(done, Sequence) else ())),
    )
