import multiprocessing
import os
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from statemachine.errors import (
    ExecutionNotFoundError,
    LeaseHeldError,
    PatchError,
    StoreCorruptError,
    StoreUnavailableError,
)
from statemachine.execution import Execution, JsonValue
from statemachine.sqlite import SCHEMA_VERSION, SqliteStore
from tests.statemachine.store_contract import NOW, SECOND, StoreContract, an_execution, lease, saved, some_data

# A child starts from nothing, as another worker on the same file would.
SPAWN = multiprocessing.get_context("spawn")
ROUNDS = 40
FILES = 12
PATIENCE = 60.0  # seconds; only a child that hangs takes so long


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(path) as store:
        yield store


def tamper(path: Path, statement: str, *values: object) -> None:
    """Write into the file as somebody else would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement, values)


class TestSqliteStore(StoreContract):
    """SqliteStore keeps the contract."""

    @pytest.fixture
    def store(self, store: SqliteStore) -> SqliteStore:
        return store


# --- the file -----------------------------------------------------------------------------------------------------


def test_what_was_written_is_there_when_the_file_is_opened_again(path: Path) -> None:
    with SqliteStore(path) as store:
        store.start(an_execution("job-1"), replace=False)

    with SqliteStore(path) as store:
        assert store.get("job-1") == an_execution("job-1")


def test_the_file_is_safe_against_power_cuts(store: SqliteStore) -> None:
    """WAL with synchronous=FULL (2) syncs at every commit; NORMAL would lose the last ones."""
    connection = store._connection  # noqa: SLF001  the setting belongs to the connection, nothing else tells it

    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_file_of_text_is_refused_and_left_alone(path: Path) -> None:
    path.write_text("a shopping list, long enough to be looked at: " + "eggs, " * 200)
    before = path.read_bytes()

    with pytest.raises(StoreCorruptError, match=r"jobs\.db.*move it away"):
        SqliteStore(path)

    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE songs (title TEXT)", "PRAGMA application_id = 1234", "PRAGMA user_version = 7"]
)
def test_another_programs_database_is_refused_and_left_alone(path: Path, statement: str) -> None:
    tamper(path, statement)
    before = path.read_bytes()

    with pytest.raises(StoreCorruptError, match=r"jobs\.db.*another program.*choose another file"):
        SqliteStore(path)

    assert path.read_bytes() == before


def test_a_newer_versions_file_is_refused_and_says_which(path: Path) -> None:
    SqliteStore(path).close()
    tamper(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")

    with pytest.raises(StoreCorruptError, match=rf"jobs\.db.*schema {SCHEMA_VERSION + 1}.*knows {SCHEMA_VERSION}"):
        SqliteStore(path)


def test_a_file_damaged_in_the_middle_is_told_by_name_when_it_is_read(path: Path) -> None:
    """The first page is whole, so opening succeeds: checking every page at every start would take too long."""
    with SqliteStore(path) as store:
        store.start(an_execution("job-1"), replace=False)
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))

    with SqliteStore(path) as store, pytest.raises(StoreCorruptError, match=r"jobs\.db.*damaged.*restore a copy"):
        store.get("job-1")


@pytest.mark.parametrize("header", ["{", "[]", "{}", '{"machine": "video"}'])
def test_a_header_that_cannot_be_read_is_told_with_its_execution(path: Path, header: str) -> None:
    with SqliteStore(path) as store:
        store.start(an_execution("job-1"), replace=False)
        tamper(path, "UPDATE executions SET header = ?", header)

        with pytest.raises(StoreCorruptError, match=r"jobs\.db.*'job-1'"):
            store.get("job-1")


def test_data_that_cannot_be_read_is_told_when_it_is_asked_for(path: Path) -> None:
    with SqliteStore(path) as store:
        store.start(an_execution("job-1"), replace=False)
        tamper(path, "UPDATE parts SET entry = 'broken' WHERE name = 'title'")

        data = store.get("job-1").data

        assert data["count"] == 3
        with pytest.raises(StoreCorruptError, match=r"jobs\.db"):
            data["title"]


def test_a_missing_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match=r"nowhere/jobs\.db.*directory must exist and be writable"):
        SqliteStore(tmp_path / "nowhere" / "jobs.db")


def test_a_directory_is_not_taken_for_a_file(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="cannot be opened"):
        SqliteStore(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is the one directory that not even root may write to")
def test_a_directory_that_may_not_be_written_is_told() -> None:
    with pytest.raises(StoreUnavailableError, match=r"/proc/jobs\.db.*writable"):
        SqliteStore("/proc/jobs.db")


def test_a_full_disk_is_told_and_leaves_what_stood(store: SqliteStore) -> None:
    store.start(an_execution("job-1"), replace=False)
    lease(store, "job-1")
    before = store.get("job-1")
    # The database may not grow any further: SQLite answers as it does for a full disk.
    store._connection.execute("PRAGMA max_page_count = 1")  # noqa: SLF001  belongs to this connection

    with pytest.raises(StoreUnavailableError, match=r"jobs\.db.*disk is full; free some space"):
        store.checkpoint("job-1", owner="owner-1", patch={("title",): "x" * 100_000})

    assert store.get("job-1") == before


def test_a_file_that_stays_locked_is_told(path: Path) -> None:
    with SqliteStore(path, busy_timeout=timedelta(0)) as store, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreUnavailableError, match=r"jobs\.db.*keeps it locked"):
            store.start(an_execution("job-1"), replace=False)


def test_reading_does_not_wait_for_a_writer(path: Path) -> None:
    with SqliteStore(path, busy_timeout=timedelta(0)) as store, closing(sqlite3.connect(path)) as other:
        store.start(an_execution("job-1"), replace=False)
        other.execute("BEGIN IMMEDIATE")

        assert store.get("job-1").run_id == "run-1"
        assert [row.execution_id for row in store.due(NOW, limit=1)] == ["job-1"]


def test_a_store_that_was_closed_says_so(store: SqliteStore) -> None:
    store.close()
    store.close()

    with pytest.raises(StoreUnavailableError, match="the store is closed"):
        store.get("job-1")


def test_a_forked_process_does_not_share_the_connection(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's locks belong to the process that took them; a child that went on with them could damage the file."""
    monkeypatch.setattr("os.getpid", lambda: -1)

    with pytest.raises(StoreUnavailableError, match="forked"):
        store.get("job-1")


def test_a_name_that_is_no_text_writes_nothing(store: SqliteStore) -> None:
    store.start(an_execution("job-1"), replace=False)
    lease(store, "job-1")

    with pytest.raises(PatchError):
        store.checkpoint("job-1", owner="owner-1", patch={("count",): 4, ("\ud800",): 1})

    assert store.get("job-1").data == some_data()


# --- beyond the port ----------------------------------------------------------------------------------------------


def test_executions_come_newest_first_and_no_more_than_asked_for(store: SqliteStore) -> None:
    for name, age in (("old", 3), ("new", 1), ("middle", 2)):
        execution = replace(an_execution(name, data={"age": age}), started_at=NOW - age * SECOND)
        store.start(execution, replace=False)

    assert [execution.execution_id for execution in store.executions()] == ["new", "middle", "old"]
    assert [execution.data for execution in store.executions(limit=2)] == [{"age": 1}, {"age": 2}]


def test_deleting_removes_the_data_too(store: SqliteStore) -> None:
    store.start(an_execution("job-1"), replace=False)
    store.start(an_execution("job-2"), replace=False)

    store.delete("job-1")
    store.delete("job-1")

    store.start(an_execution("job-1", data={"new": 1}), replace=False)
    assert store.get("job-1").data == {"new": 1}
    assert store.get("job-2").data == some_data()


def test_a_patch_rewrites_what_it_changes_and_nothing_else(path: Path) -> None:
    """What makes a turn cost the same after 300 states as after 20."""
    with SqliteStore(path) as store:
        history: JsonValue = {f"{number:03d}": {"status": "done", "seconds": number} for number in range(300)}
        store.start(an_execution("job-1", data={"steps": history, "title": "x"}), replace=False)
        lease(store, "job-1")
        # Whoever rewrites a row must first read it, and none of these can be read.
        tamper(path, "UPDATE parts SET entry = 'unread' WHERE key NOT IN ('', '\"007\"')")

        store.checkpoint("job-1", owner="owner-1", patch={("steps", "007", "status"): "y", ("steps", "300"): {}})

        with closing(sqlite3.connect(path)) as connection:
            rows = dict(connection.execute("SELECT key, entry FROM parts WHERE name = 'steps'"))
    assert rows['"007"'] == '"007":{"status":"y","seconds":7}'
    assert rows['"300"'] == '"300":{}'
    assert sum(value == "unread" for value in rows.values()) == 299


# --- threads and processes ------------------------------------------------------------------------------------------


def test_threads_share_one_store(store: SqliteStore) -> None:
    store.start(an_execution("job-1", data={"counts": {}}), replace=False)
    lease(store, "job-1")

    def write(thread: int) -> None:
        for number in range(10):
            store.checkpoint("job-1", owner="owner-1", patch={("counts", f"{thread}-{number}"): number})

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    execution = store.get("job-1")
    assert execution.revision == 41
    assert execution.data["counts"] == {f"{thread}-{number}": number for thread in range(4) for number in range(10)}


def race(path: str, owner: str, barrier: Barrier, won: "Queue[tuple[str, list[int]]]") -> None:
    """In a child: try to lease each of the executions at the same moment as the other child."""
    barrier.wait(PATIENCE)
    rounds = []
    with SqliteStore(path) as store:  # both open it for the first time, too
        for number in range(ROUNDS):
            barrier.wait(PATIENCE)
            try:
                lease(store, f"job-{number}", owner=owner)
            except LeaseHeldError:
                continue
            rounds.append(number)
    won.put((owner, rounds))


def test_of_two_processes_exactly_one_wins_each_lease(path: Path) -> None:
    with SqliteStore(path) as store:
        for number in range(ROUNDS):
            store.start(an_execution(f"job-{number}"), replace=False)
    barrier, won = SPAWN.Barrier(2), SPAWN.Queue()
    children = [SPAWN.Process(target=race, args=(str(path), owner, barrier, won)) for owner in ("one", "two")]

    for child in children:
        child.start()
    rounds = dict(won.get(timeout=PATIENCE) for _ in children)
    for child in children:
        child.join(PATIENCE)

    assert sorted(rounds["one"] + rounds["two"]) == list(range(ROUNDS))
    with SqliteStore(path) as store:
        for number in range(ROUNDS):
            held = store.get(f"job-{number}").lease
            assert held is not None
            assert number in rounds[held.owner]


def open_at_once(directory: str, barrier: Barrier, errors: "Queue[list[str]]") -> None:
    """In a child: make each file at the same moment as the other children."""
    failed = []
    for number in range(FILES):
        barrier.wait(PATIENCE)
        try:
            with SqliteStore(Path(directory, f"{number}.db")) as store:
                store.start(an_execution(f"job-{os.getpid()}"), replace=False)
        except StoreUnavailableError as error:
            failed.append(str(error))
    errors.put(failed)


def test_processes_may_make_the_same_file_at_once(tmp_path: Path) -> None:
    barrier, errors = SPAWN.Barrier(3), SPAWN.Queue()
    children = [SPAWN.Process(target=open_at_once, args=(str(tmp_path), barrier, errors)) for _ in range(3)]

    for child in children:
        child.start()
    failed = [error for _ in children for error in errors.get(timeout=PATIENCE)]
    for child in children:
        child.join(PATIENCE)

    assert failed == []
    for number in range(FILES):
        with SqliteStore(tmp_path / f"{number}.db") as store:
            assert len(store.executions()) == 3


def die_in_the_middle(path: str) -> None:
    """In a child: half of a save is written, then the process is gone, as after `kill -9`."""
    store = SqliteStore(path)
    leased = lease(store, "job-1")
    store.checkpoint("job-1", owner="owner-1", patch={("title",): "checkpointed"})

    def die(*_: object) -> None:
        os._exit(9)

    store._apply = die  # type: ignore[assignment, method-assign]  # noqa: SLF001  the header is written, the patch is not
    store.save(saved(leased), owner="owner-1", patch={("title",): "saved"})


def test_a_process_killed_in_the_middle_of_a_write_leaves_what_stood_before(path: Path) -> None:
    with SqliteStore(path) as store:
        store.start(an_execution("job-1"), replace=False)
    child = SPAWN.Process(target=die_in_the_middle, args=(str(path),))

    child.start()
    child.join(PATIENCE)

    assert child.exitcode == 9
    with SqliteStore(path) as store:
        standing: Execution = store.get("job-1")
        assert (standing.version, standing.revision) == (1, 2)
        assert standing.data["title"] == "checkpointed"
        assert lease(store, "job-1", owner="owner-2", now=NOW + 60 * SECOND).crashes == 1


def test_an_error_in_the_middle_of_a_write_leaves_what_stood_before(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C may come between any two statements."""
    store.start(an_execution("job-1"), replace=False)
    leased = lease(store, "job-1")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "_apply", interrupt)
        with pytest.raises(KeyboardInterrupt):
            store.save(saved(leased), owner="owner-1", patch={})

    assert store.get("job-1") == leased
    with pytest.raises(ExecutionNotFoundError):
        store.get("job-2")
