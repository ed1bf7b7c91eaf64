"""Rows of one machine's videos, and the control row of each user, in the file of jobs: a decision is one transaction.

videos   one row each, as the platform's table has them: whose it is, where the upload lies, what to show of it
usages   one row for each user whose jobs are counted
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, cast

from pydantic import TypeAdapter, ValidationError

from statemachine import Execution, JsonValue, Patch, Store
from statemachine.errors import BesideRefusedError, StoreCorruptError
from statemachine.execution import from_ms, to_ms
from statemachine.sqlite import BUSY_TIMEOUT, SqliteStore
from statemachine.store import DueRow
from worker.limits import Usage
from worker.rows import Row, UsageChange, UsageChangedError

VideoKind = Literal["audio", "video"]

# Beside the store's own tables, which an older program reads as before.
_SCHEMA = (
    """
    CREATE TABLE IF NOT EXISTS videos (
        video_id TEXT PRIMARY KEY,
        owner_id TEXT NOT NULL,
        title TEXT NOT NULL,
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        duration_seconds REAL,
        poster_key TEXT
    ) WITHOUT ROWID
    """,
    "CREATE INDEX IF NOT EXISTS videos_of_owner ON videos (owner_id, created_at DESC, video_id)",
    "CREATE TABLE IF NOT EXISTS usages (user_id TEXT PRIMARY KEY, revision INTEGER, usage TEXT) WITHOUT ROWID",
)
_SELECT_VIDEO = "SELECT video_id, owner_id, title, kind, key, created_at, duration_seconds, poster_key FROM videos"

_USAGE = TypeAdapter(Usage)


@dataclass(frozen=True, slots=True)
class Video:
    """An upload, as the platform's list shows it.

    Attributes:
        key: of the uploaded object in the media store.
        duration_seconds: as its header says; None where it does not.
    """

    video_id: str
    owner_id: str
    title: str
    kind: VideoKind
    key: str
    created_at: datetime
    duration_seconds: float | None = None
    poster_key: str | None = None


class RowStore(SqliteStore):
    """The file of jobs with the rows of videos in it.

    Only jobs on such rows are ever due here: those of the command line, which may share the file, belong to whoever
    began them.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._beside = threading.local()
        super().__init__(path, busy_timeout=BUSY_TIMEOUT)

    def due(self, until: datetime, *, limit: int) -> Sequence[DueRow]:
        """As `SqliteStore`, of the rows of videos."""
        with self._transaction("BEGIN") as connection:
            rows = connection.execute(
                "SELECT execution_id, version, due_at FROM executions JOIN videos ON video_id = execution_id"
                " WHERE due_at IS NOT NULL AND due_at <= ? ORDER BY due_at, execution_id LIMIT ?",
                ((until - from_ms(0)) // timedelta(milliseconds=1), limit),  # never before its time
            )
            return [DueRow(execution_id, version, from_ms(due_at)) for execution_id, version, due_at in rows]

    # --- videos ---------------------------------------------------------------------------------------------------

    def add_videos(self, *videos: Video) -> None:
        """Keep new rows, all of them or none."""
        with self._transaction() as connection:
            connection.executemany(
                "INSERT INTO videos VALUES (:video_id, :owner_id, :title, :kind, :key, :created_at, :duration_seconds,"
                " :poster_key)",
                [asdict(video) | {"created_at": to_ms(video.created_at)} for video in videos],
            )

    def has_videos(self) -> bool:
        """Whether anybody ever uploaded anything."""
        with self._transaction("BEGIN") as connection:
            (found,) = connection.execute("SELECT EXISTS (SELECT 1 FROM videos)").fetchone()
            return bool(found)

    def videos_of(self, owner_id: str, *, limit: int) -> list[tuple[Video, Execution | None]]:
        """The user's videos with the jobs on them, newest first."""
        with self._transaction("BEGIN") as connection:
            found = connection.execute(
                f"{_SELECT_VIDEO} WHERE owner_id = ? ORDER BY created_at DESC, video_id LIMIT ?", (owner_id, limit)
            ).fetchall()
            return [(_video(values), self._job_on(connection, values[0])) for values in found]

    def video(self, video_id: str) -> tuple[Video, Execution | None] | None:
        """The video with the job on it; None when there is none."""
        with self._transaction("BEGIN") as connection:
            values = connection.execute(f"{_SELECT_VIDEO} WHERE video_id = ?", (video_id,)).fetchone()
            return None if values is None else (_video(values), self._job_on(connection, video_id))

    def _job_on(self, connection: sqlite3.Connection, video_id: str) -> Execution | None:
        execution = self._find(connection, video_id)
        return None if execution is None else self._with_data(connection, execution)

    # --- control rows ---------------------------------------------------------------------------------------------

    def usage(self, user_id: str) -> Usage:
        """The user's control row."""
        with self._transaction("BEGIN") as connection:
            found = connection.execute("SELECT usage FROM usages WHERE user_id = ?", (user_id,)).fetchone()
        return Usage() if found is None else _usage(found[0])

    def change_usage(self, change: UsageChange) -> None:
        """See `Rows`."""
        with self._transaction() as connection:
            _write_usage(connection, change)

    @contextmanager
    def changing(self, change: UsageChange) -> Iterator[None]:
        """Every write of this thread in the block is one transaction with `change`, or is refused with it."""
        self._beside.change = change
        try:
            yield
        finally:
            del self._beside.change

    @contextmanager
    def _transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
        with super()._transaction(begin) as connection:
            yield connection
            change = getattr(self._beside, "change", None)
            if change is not None and begin == "BEGIN IMMEDIATE":
                _write_usage(connection, change)

    def _set_up(self) -> None:
        super()._set_up()
        for statement in _SCHEMA:
            self._connection.execute(statement)


class SqliteRows:
    """The rows of a `RowStore`; see `worker.rows.Rows`.

    Args:
        kept: what every job that starts keeps beside what the API gives it.
    """

    def __init__(self, store: RowStore, *, kept: Mapping[str, JsonValue]) -> None:
        self._store = store
        self._kept = kept

    def find(self, video_id: str, *, user_id: str, any_owner: bool = False) -> Row | None:
        """One transaction."""
        found = self._store.video(video_id)
        if found is None or (found[0].owner_id != user_id and not any_owner):
            return None
        video, execution = found
        return Row(video.video_id, video.owner_id, video.key, execution)

    def find_with_usage(self, video_id: str, *, user_id: str) -> tuple[Row | None, Usage]:
        """Two transactions, the control row first: one that changed in between is found out when it is written."""
        usage = self._store.usage(user_id)
        return self.find(video_id, user_id=user_id), usage

    def deciding(self, row: Row, *, change: UsageChange | None = None) -> Store:
        """See `Rows`."""
        return cast(Store, _DecidingStore(self._store, seen=row.execution, change=change, kept=self._kept))

    def usage(self, user_id: str) -> Usage:
        """See `Rows`."""
        return self._store.usage(user_id)

    def change_usage(self, change: UsageChange) -> None:
        """See `Rows`."""
        self._store.change_usage(change)


class _DecidingStore:
    """The store for one start or signal; see `Rows.deciding`.  What it does not change is the store's own."""

    def __init__(
        self,
        store: RowStore,
        *,
        seen: Execution | None,
        change: UsageChange | None,
        kept: Mapping[str, JsonValue],
    ) -> None:
        self._store = store
        self._seen = seen
        self._change = change
        self._kept = kept

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def get(self, execution_id: str) -> Execution:
        """What was seen, once; a decision that met another write looks again."""
        seen, self._seen = self._seen, None
        if seen is not None and seen.execution_id == execution_id:
            return seen
        return self._store.get(execution_id)

    def start(self, execution: Execution, *, replace: bool) -> None:
        """As the store's, with the change of the control row."""
        kept = execution.changed(data={**execution.data, **self._kept})
        self._write(execution.execution_id, lambda: self._store.start(kept, replace=replace))

    def signal(self, execution: Execution, *, patch: Patch) -> None:
        """As the store's, with the change of the control row."""
        self._write(execution.execution_id, lambda: self._store.signal(execution, patch=patch))

    def _write(self, execution_id: str, write: Callable[[], None]) -> None:
        if self._change is None:
            write()
            return
        try:
            with self._store.changing(self._change):
                write()
        except UsageChangedError as error:
            raise BesideRefusedError(execution_id) from error


def _write_usage(connection: sqlite3.Connection, change: UsageChange) -> None:
    before, after = change.before, change.after
    text = _USAGE.dump_json(after).decode()
    if before.revision:
        written = connection.execute(
            "UPDATE usages SET revision = ?, usage = ? WHERE user_id = ? AND revision = ?",
            (after.revision, text, change.user_id, before.revision),
        )
    else:
        written = connection.execute(
            "INSERT OR IGNORE INTO usages (user_id, revision, usage) VALUES (?, ?, ?)",
            (change.user_id, after.revision, text),
        )
    if written.rowcount != 1:
        raise UsageChangedError


def _video(values: Sequence[Any]) -> Video:
    video_id, owner_id, title, kind, key, created_at, duration_seconds, poster_key = values
    return Video(video_id, owner_id, title, kind, key, from_ms(created_at), duration_seconds, poster_key)


def _usage(text: str) -> Usage:
    try:
        return _USAGE.validate_json(text)
    except ValidationError as error:
        raise StoreCorruptError(f"a control row is not as the worker wrote it: {error!r}") from error
