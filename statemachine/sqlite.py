"""SqliteStore: the embedded default.  One file, safe against several processes and threads, a kill and a power cut.

    executions  one row each: what the store itself asks for as columns, the header as JSON
    parts       the data, split two levels deep: `data[name][key]` is a row of its own

So a turn writes what its patch changes and not the whole data, and costs the same after 300 states as after 20.
"""

import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from statemachine.errors import ExecutionNotFoundError, PatchError, StoreCorruptError, StoreError, StoreUnavailableError
from statemachine.execution import (
    Execution,
    JsonValue,
    Lease,
    Patch,
    Path,
    Snapshot,
    apply_patch,
    check_patch,
    execution_from_json,
    from_ms,
    header_as_json,
    stored_copy,
    to_ms,
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

# Stands in the file's first page, so that another program's database is never taken for ours: "aivw".
APPLICATION_ID = 0x61697677

# Grows when an older program could no longer read the file.
SCHEMA_VERSION = 1

# A transaction takes milliseconds; who waits longer than this waits for a process that is stuck.
BUSY_TIMEOUT = timedelta(seconds=5)

# A part's key is written as JSON, quotes included, so that one key is left over: '' stands for the name itself.  The
# entry is '"key":value', ready to be joined to a map; for the key '' it is ':value', or NULL for a map, whose entries
# are the rows beside it.
SCHEMA = (
    """
    CREATE TABLE executions (
        execution_id TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        status TEXT NOT NULL,
        started_at INTEGER NOT NULL,
        due_at INTEGER,
        header TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX executions_due ON executions (due_at, execution_id, version) WHERE due_at IS NOT NULL",
    "CREATE INDEX executions_started ON executions (started_at)",
    """
    CREATE TABLE parts (
        execution_id TEXT NOT NULL,
        name TEXT NOT NULL,
        key TEXT NOT NULL,
        entry TEXT,
        PRIMARY KEY (execution_id, name, key)
    ) WITHOUT ROWID
    """,
)

SELECT_HEADER = "SELECT version, revision, status, due_at, header FROM executions WHERE execution_id = ?"

# group_concat leaves NULL out, so there are three kinds of text: NULL (an empty map), ':…' (a whole value) and
# '"key":…,"key":…' (a map).  Joined in SQLite, 300 entries take a third of the time that 300 rows do.
SELECT_DATA = "SELECT name, group_concat(entry) FROM parts WHERE execution_id = ? GROUP BY name"

UPSERT_PART = "INSERT OR REPLACE INTO parts (execution_id, name, key, entry) VALUES (?, ?, ?, ?)"

# What SQLite's primary result codes mean for whoever reads the alarm.  (sqlite.org/rescode.html, read 2026-11-22)
UNAVAILABLE = {
    sqlite3.SQLITE_BUSY: "another process keeps it locked; look for a worker that is stuck, then try again",
    sqlite3.SQLITE_LOCKED: "another connection keeps it locked; try again",
    sqlite3.SQLITE_PROTOCOL: "too many processes open it at once; try again",
    sqlite3.SQLITE_FULL: "the disk is full; free some space, then try again",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written; look at its health, space and limits",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; its directory must exist and be writable",
    sqlite3.SQLITE_READONLY: "it may not be written; the file and its directory must be writable for this user",
    sqlite3.SQLITE_PERM: "access is denied; the file and its directory must be writable for this user",
    sqlite3.SQLITE_NOMEM: "there is no memory left; try again",
}
CORRUPT = "it is damaged, or was not written by this program; move it away (or restore a copy) and start again"


class SqliteStore:
    """Keeps executions in one SQLite file; see `statemachine.store.Store`.

    Moments are kept to the millisecond.  One connection serves all threads of a process, one transaction at a time;
    a process that was forked opens a store of its own.

    Args:
        path: of the file; made when it does not exist, its directory is not.
        busy_timeout: how long to wait for another process's transaction.

    Raises:
        StoreCorruptError: the file is damaged, another program's, or a newer version's.
        StoreUnavailableError: it cannot be opened or written.
    """

    def __init__(self, path: str | os.PathLike[str], *, busy_timeout: timedelta = BUSY_TIMEOUT) -> None:
        self.path = os.fspath(path)
        self._lock = threading.Lock()
        self._process = os.getpid()
        try:
            # Autocommit: every transaction is begun and ended here, never by the module.
            self._connection = sqlite3.connect(
                self.path, timeout=busy_timeout.total_seconds(), isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise self._translated(error) from error
        self._is_open = True
        try:
            self._set_up()
        except sqlite3.Error as error:
            self.close()
            raise self._translated(error) from error
        except StoreError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; a second call does nothing."""
        with self._lock:
            self._is_open = False
            self._connection.close()

    # --- the port -----------------------------------------------------------------------------------------------

    def start(self, execution: Execution, *, replace: bool) -> None:
        """Attach a new execution to its record, made here when there is none."""
        with self._transaction() as connection:
            standing = self._find(connection, execution.execution_id)
            if standing is None:
                self._write_header(connection, execution, "INSERT INTO")
            elif check_start(standing, execution, may_replace=replace):
                self._write_header(connection, execution, "REPLACE INTO")
                connection.execute("DELETE FROM parts WHERE execution_id = ?", (execution.execution_id,))
            else:
                return
            self._insert_values(connection, execution.execution_id, execution.data)

    def get(self, execution_id: str) -> Execution:
        """The execution as last written."""
        # Two reads: only a transaction makes them see the same moment.
        with self._transaction("BEGIN") as connection:
            return self._with_data(connection, self._standing(connection, execution_id))

    def lease(
        self, execution_id: str, *, version: int, owner: str, now: datetime, at_most: timedelta, margin: timedelta
    ) -> Execution:
        """Take the right to run one turn."""
        with self._transaction() as connection:
            standing = self._standing(connection, execution_id)
            execution = leased(standing, version=version, owner=owner, now=now, at_most=at_most, margin=margin)
            if execution is not standing:
                self._update(connection, execution)
            return self._with_data(connection, execution)

    def renew(self, execution_id: str, *, owner: str, expires_at: datetime) -> None:
        """Move the end of a lease."""
        with self._transaction() as connection:
            standing = self._standing(connection, execution_id)
            check_owner(standing, owner)
            self._update(connection, standing.changed(lease=Lease(owner, expires_at), due_at=expires_at))

    def checkpoint(self, execution_id: str, *, owner: str, patch: Patch) -> None:
        """Write `patch` under the lease."""
        with self._transaction() as connection:
            check_owner(self._standing(connection, execution_id), owner)
            self._grow_revision(connection, execution_id)
            self._apply(connection, execution_id, patch)

    def record_fact(self, execution_id: str, *, path: Path, intent_id: str, operation: str, owner: str) -> bool:
        """Write what became of a submission, lease or no lease."""
        with self._transaction() as connection:
            standing = self._standing(connection, execution_id)
            entries = [(*path, name, "of which everything") for name in ("intent_id", "operation")]
            intent = value_at(self._touched(connection, execution_id, entries), path)
            if check_fact(intent, execution_id=execution_id, intent_id=intent_id, operation=operation):
                self._grow_revision(connection, execution_id)
                self._apply(connection, execution_id, {(*path, "operation"): operation})
            return standing.lease is not None and standing.lease.owner == owner

    def save(self, execution: Execution, *, owner: str, patch: Patch) -> None:
        """Write the turn's result under the lease."""
        with self._transaction() as connection:
            standing = self._standing(connection, execution.execution_id)
            if check_save(standing, execution, owner=owner):
                self._update(connection, execution, revision=standing.revision + 1)
                self._apply(connection, execution.execution_id, patch)

    def signal(self, execution: Execution, *, patch: Patch) -> None:
        """Write a person's decision."""
        with self._transaction() as connection:
            standing = self._standing(connection, execution.execution_id)
            if check_signal(standing, execution):
                self._update(connection, execution, revision=standing.revision + 1)
                self._apply(connection, execution.execution_id, patch)

    def revive(self, execution_id: str, *, now: datetime) -> Execution:
        """Make it due now and forget attempts and crashes, unless a turn is at work."""
        with self._transaction() as connection:
            execution = revived(self._standing(connection, execution_id), now=now)
            self._update(connection, execution)
            return self._with_data(connection, execution)

    def due(self, until: datetime, *, limit: int) -> Sequence[DueRow]:
        """At most `limit` executions that are due, the longest due first."""
        with self._transaction("BEGIN") as connection:
            rows = connection.execute(
                "SELECT execution_id, version, due_at FROM executions"
                " WHERE due_at IS NOT NULL AND due_at <= ? ORDER BY due_at, execution_id LIMIT ?",
                (_floor_ms(until), limit),
            )
            return [DueRow(execution_id, version, from_ms(due_at)) for execution_id, version, due_at in rows]

    # --- beyond the port ----------------------------------------------------------------------------------------

    def executions(self, *, limit: int = 100) -> list[Execution]:
        """The executions that were started last, newest first."""
        with self._transaction("BEGIN") as connection:
            rows = connection.execute(
                "SELECT execution_id FROM executions ORDER BY started_at DESC, execution_id LIMIT ?", (limit,)
            )
            ids = [execution_id for (execution_id,) in rows]
            return [self._with_data(connection, self._standing(connection, execution_id)) for execution_id in ids]

    def delete(self, execution_id: str) -> None:
        """Remove the whole record; one that is not there is no error."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM executions WHERE execution_id = ?", (execution_id,))
            connection.execute("DELETE FROM parts WHERE execution_id = ?", (execution_id,))

    # --- the file -------------------------------------------------------------------------------------------------

    def _set_up(self) -> None:
        connection = self._connection
        # Look before anything is set: the journal's mode is written into the file, and a foreign one stays as it is.
        connection.execute("BEGIN")  # or another process might be making it between two looks
        try:
            is_new = self._is_empty()
        finally:
            connection.execute("ROLLBACK")
        # Both commit to the disk before they return; `fullfsync` is what that takes on macOS, elsewhere it is nothing.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")
        if is_new:
            self._create()
        self._use_wal()
        if is_new:
            self._keep_directory_entry()

    def _is_empty(self) -> bool:
        """Whether nobody has written into the file yet.

        Raises:
            StoreCorruptError: somebody else has, or a newer version.
        """
        (application_id,) = self._connection.execute("PRAGMA application_id").fetchone()
        (schema_version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if application_id == APPLICATION_ID and schema_version == SCHEMA_VERSION:
            return False
        if application_id == APPLICATION_ID:
            raise StoreCorruptError(
                f"{self.path}: written by another version of this program (schema {schema_version}, this one knows "
                f"{SCHEMA_VERSION}); run that version, or choose another file"
            )
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application_id or schema_version or tables:
            raise StoreCorruptError(
                f"{self.path}: a database of another program (application id {application_id:#x}); choose another file"
            )
        return True

    def _create(self) -> None:
        # Two processes may have found the file empty; the second one waits here, and looks again.
        self._connection.execute("BEGIN EXCLUSIVE")
        try:
            if self._is_empty():
                for statement in SCHEMA:
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _use_wal(self) -> None:
        # Changing the mode does not wait for other connections as a transaction does: it fails at once.  So wait with
        # a transaction, and try again; every process that opens the file wants the same mode, so this ends.
        for _ in range(100):
            try:
                (mode,) = self._connection.execute("PRAGMA journal_mode = WAL").fetchone()
            except sqlite3.OperationalError as error:
                if _primary(error) != sqlite3.SQLITE_BUSY:
                    raise
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.execute("ROLLBACK")
            else:
                if mode != "wal":
                    raise StoreUnavailableError(
                        f"{self.path}: this file system cannot share a write-ahead log; choose a local one"
                    )
                return
        raise StoreUnavailableError(f"{self.path}: {UNAVAILABLE[sqlite3.SQLITE_BUSY]}")

    def _keep_directory_entry(self) -> None:
        """Make the new file's name itself survive a power cut: SQLite syncs what is in it."""
        if os.name != "posix":
            return  # elsewhere a directory cannot be opened
        try:
            directory = os.open(os.path.dirname(os.path.abspath(self.path)), os.O_RDONLY)  # noqa: PTH100, PTH120  pathlib would be another import for one line
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise StoreUnavailableError(f"{self.path}: its directory cannot be synced: {error}") from error

    # --- transactions ---------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
        """A transaction that is whole or was not.

        A writer takes the file's lock at its beginning: one that read first and then wanted to write could fail.
        """
        if self._process != os.getpid():
            raise StoreUnavailableError(f"{self.path}: opened by the parent process; a forked process opens its own")
        with self._lock:
            if not self._is_open:
                raise StoreUnavailableError(f"{self.path}: the store is closed")
            connection = self._connection
            try:
                try:
                    connection.execute(begin)
                    yield connection
                    connection.execute("COMMIT")
                finally:
                    # Some errors end the transaction by themselves, others do not.
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
            except sqlite3.Error as error:
                raise self._translated(error) from error
            except UnicodeEncodeError as error:  # half a character: a lone surrogate
                raise PatchError(f"an id or name is no text that can be stored: {error}") from error

    def _translated(self, error: sqlite3.Error) -> StoreError:
        remedy = UNAVAILABLE.get(_primary(error))
        if remedy is not None:
            return StoreUnavailableError(f"{self.path}: {remedy} ({error})")
        return StoreCorruptError(f"{self.path}: {CORRUPT} ({error})")

    # --- headers --------------------------------------------------------------------------------------------------

    def _find(self, connection: sqlite3.Connection, execution_id: str) -> Execution | None:
        """The execution without its data."""
        row = connection.execute(SELECT_HEADER, (execution_id,)).fetchone()
        if row is None:
            return None
        version, revision, status, due_at, header = row
        try:
            return execution_from_json(
                json.loads(header),
                execution_id=execution_id,
                version=version,
                revision=revision,
                status=status,
                due_at=None if due_at is None else from_ms(due_at),
                data={},
            )
        except (ValueError, KeyError, TypeError) as error:
            raise StoreCorruptError(f"{self.path}: execution {execution_id!r}: {CORRUPT} ({error!r})") from error

    def _standing(self, connection: sqlite3.Connection, execution_id: str) -> Execution:
        execution = self._find(connection, execution_id)
        if execution is None:
            raise ExecutionNotFoundError(execution_id)
        return execution

    def _write_header(self, connection: sqlite3.Connection, execution: Execution, how: str) -> None:
        connection.execute(
            how + " executions (execution_id, version, revision, status, started_at, due_at, header)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                execution.execution_id,
                execution.version,
                execution.revision,
                execution.status,
                to_ms(execution.started_at),
                None if execution.due_at is None else to_ms(execution.due_at),
                _as_text(header_as_json(execution)),
            ),
        )

    def _update(self, connection: sqlite3.Connection, execution: Execution, *, revision: int | None = None) -> None:
        connection.execute(
            "UPDATE executions SET version = ?, revision = ?, status = ?, due_at = ?, header = ?"
            " WHERE execution_id = ?",
            (
                execution.version,
                execution.revision if revision is None else revision,
                execution.status,
                None if execution.due_at is None else to_ms(execution.due_at),
                _as_text(header_as_json(execution)),
                execution.execution_id,
            ),
        )

    def _grow_revision(self, connection: sqlite3.Connection, execution_id: str) -> None:
        connection.execute("UPDATE executions SET revision = revision + 1 WHERE execution_id = ?", (execution_id,))

    # --- data -----------------------------------------------------------------------------------------------------

    def _with_data(self, connection: sqlite3.Connection, execution: Execution) -> Execution:
        texts = dict(connection.execute(SELECT_DATA, (execution.execution_id,)).fetchall())
        return execution.changed(data=Snapshot(texts, read=self._read))

    def _read(self, text: str | None) -> JsonValue:
        if text is None:
            return {}
        try:
            value: JsonValue = json.loads(text[1:] if text.startswith(":") else "{" + text + "}")
        except ValueError as error:
            raise StoreCorruptError(f"{self.path}: {CORRUPT} ({error})") from error
        return value

    def _touched(
        self, connection: sqlite3.Connection, execution_id: str, paths: Iterable[Path]
    ) -> dict[str, JsonValue]:
        """As much of the data as is needed to follow `paths`: no other entries of the maps that they enter."""
        touched: dict[str, JsonValue] = {}
        entries: dict[str, dict[str, JsonValue]] = {}
        select = "SELECT entry FROM parts WHERE execution_id = ? AND name = ? AND key = ?"
        for path in paths:
            name = path[0]
            if name not in touched:
                row = connection.execute(select, (execution_id, name, "")).fetchone()
                if row is None:
                    continue
                touched[name] = entries.setdefault(name, {}) if row[0] is None else self._read(row[0])
            # The last part is only set, so what stands there need not be known.
            if len(path) > 2 and name in entries and path[1] not in entries[name]:  # noqa: PLR2004  name, key, and more
                key = _as_text(path[1])
                row = connection.execute(select, (execution_id, name, key)).fetchone()
                if row is not None:
                    entries[name][path[1]] = self._read(row[0][len(key) :])
        return touched

    def _apply(self, connection: sqlite3.Connection, execution_id: str, patch: Patch) -> None:
        if not patch:
            return
        check_patch(patch)
        changed = apply_patch(
            self._touched(connection, execution_id, [path for path in patch if len(path) > 1]),
            {path: stored_copy(value) for path, value in patch.items()},
        )
        whole = {path[0]: changed[path[0]] for path in patch if len(path) == 1}
        for name in whole:
            connection.execute("DELETE FROM parts WHERE execution_id = ? AND name = ?", (execution_id, name))
        self._insert_values(connection, execution_id, whole)
        entries = dict.fromkeys((path[0], path[1]) for path in patch if len(path) > 1)
        connection.executemany(
            UPSERT_PART,
            [_part(execution_id, name, key, value_at(changed, (name, key))) for name, key in entries],
        )

    def _insert_values(
        self, connection: sqlite3.Connection, execution_id: str, values: Mapping[str, JsonValue]
    ) -> None:
        rows: list[tuple[str, str, str, str | None]] = []
        for name, value in values.items():
            stored = stored_copy(value)
            if isinstance(stored, dict):
                rows.append((execution_id, name, "", None))
                rows += [_part(execution_id, name, key, entry) for key, entry in stored.items()]
            else:
                rows.append((execution_id, name, "", ":" + _as_text(stored)))
        connection.executemany(UPSERT_PART, rows)


def _part(execution_id: str, name: str, key: str, value: JsonValue) -> tuple[str, str, str, str]:
    """The row of one entry of the map `name`."""
    key = _as_text(key)
    return execution_id, name, key, f"{key}:{_as_text(value)}"


def _as_text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _floor_ms(moment: datetime) -> int:
    """The last stored millisecond that is not after `moment`."""
    return (moment - from_ms(0)) // timedelta(milliseconds=1)


def _primary(error: sqlite3.Error) -> int:
    """SQLite's primary result code, without the details of the extended one."""
    code = getattr(error, "sqlite_errorcode", None)
    # The module itself raises errors without a code, such as for text that is no UTF-8.
    return sqlite3.SQLITE_CORRUPT if code is None else code & 0xFF
