import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from statemachine import Execution
from statemachine.errors import BesideRefusedError, ExecutionExistsError, StoreCorruptError
from statemachine.sqlite import SqliteStore
from tests.worker.fakes import NOON, job_data
from worker.limits import Slot, Usage
from worker.providers.sqlite_rows import RowStore, SqliteRows, Video
from worker.rows import Row, UsageChange, UsageChangedError

VIDEO = Video("video-1", "ada", "story.mp3", "audio", "uploads/video-1/story.mp3", NOON, 27.2)
BOOKED = Usage("2026-11-22", 2.5, {"run-1": Slot(NOON + timedelta(hours=26), 1, "2026-11-22", 2.5)}, revision=1)
BOOKING = UsageChange("ada", Usage(), BOOKED)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RowStore]:
    with RowStore(tmp_path / "jobs.sqlite3") as opened:
        opened.add_videos(VIDEO)
        yield opened


@pytest.fixture
def rows(store: RowStore) -> SqliteRows:
    return SqliteRows(store, kept={"parts": {"renderer": "storyboard"}})


def an_execution(execution_id: str = "video-1") -> Execution:
    return Execution(
        execution_id=execution_id,
        machine="m",
        graph="g",
        state="transcribing",
        status="processing",
        run_id="run-1",
        started_at=NOON,
        entered_at=NOON,
        updated_at=NOON,
        due_at=NOON,
        data=job_data(),
    )


def the_row(rows: SqliteRows) -> Row:
    found = rows.find("video-1", user_id="ada")
    assert found is not None
    return found


def test_a_row_is_found_by_its_owner(rows: SqliteRows) -> None:
    assert rows.find("video-1", user_id="ada") == Row("video-1", "ada", "uploads/video-1/story.mp3", None)


def test_somebody_elses_row_is_as_none(rows: SqliteRows) -> None:
    assert rows.find("video-1", user_id="ben") is None
    assert rows.find("video-2", user_id="ben") is None


def test_an_operator_finds_whosever_row(rows: SqliteRows) -> None:
    found = rows.find("video-1", user_id="ben", any_owner=True)

    assert found is not None
    assert found.owner_id == "ada"


def test_a_job_that_starts_stands_on_the_row_with_the_parts_it_was_begun_with(rows: SqliteRows) -> None:
    rows.deciding(the_row(rows)).start(an_execution(), replace=False)

    found = the_row(rows).execution
    assert found is not None
    assert found.data["parts"] == {"renderer": "storyboard"}
    assert found.data["video_id"] == "job-1"


def test_a_decision_begins_with_what_was_seen_and_then_looks_again(rows: SqliteRows, store: RowStore) -> None:
    store.start(an_execution(), replace=False)
    row = the_row(rows)
    assert row.execution is not None
    deciding = rows.deciding(row)
    store.lease("video-1", version=1, owner="me", now=NOON, at_most=timedelta(seconds=9), margin=timedelta(0))

    assert deciding.get("video-1").lease is None
    assert deciding.get("video-1").lease is not None


def test_a_start_and_its_booking_are_one_transaction(rows: SqliteRows) -> None:
    rows.deciding(the_row(rows), change=BOOKING).start(an_execution(), replace=False)

    assert the_row(rows).execution is not None
    assert rows.find_with_usage("video-1", user_id="ada")[1] == BOOKED


def test_a_start_is_refused_with_its_booking(rows: SqliteRows) -> None:
    """The control row was written since it was read: neither is written."""
    rows.change_usage(BOOKING)

    with pytest.raises(BesideRefusedError):
        rows.deciding(the_row(rows), change=BOOKING).start(an_execution(), replace=False)

    assert the_row(rows).execution is None
    assert rows.usage("ada") == BOOKED


def test_a_booking_is_refused_with_its_start(rows: SqliteRows, store: RowStore) -> None:
    store.start(an_execution(), replace=False)
    another = replace(an_execution(), run_id="run-2", last_signal="run-2")

    with pytest.raises(ExecutionExistsError):
        rows.deciding(the_row(rows), change=BOOKING).start(another, replace=False)

    assert rows.usage("ada") == Usage()


def test_a_signal_is_refused_with_its_booking(rows: SqliteRows, store: RowStore) -> None:
    store.start(an_execution(), replace=False)
    row = the_row(rows)
    assert row.execution is not None
    rows.change_usage(BOOKING)

    with pytest.raises(BesideRefusedError):
        rows.deciding(row, change=BOOKING).signal(row.execution.changed(version=2, last_signal="s"), patch={})

    assert store.get("video-1").version == 1


def test_other_writes_go_without_the_booking(rows: SqliteRows, store: RowStore) -> None:
    with store.changing(BOOKING):
        store.start(an_execution(), replace=False)

    store.revive("video-1", now=NOON)

    assert rows.usage("ada") == BOOKED


def test_a_control_row_that_was_written_meanwhile_is_not_overwritten(rows: SqliteRows) -> None:
    rows.change_usage(BOOKING)
    rows.change_usage(UsageChange("ada", BOOKED, replace(BOOKED, spent_usd=1.0, revision=2)))

    with pytest.raises(UsageChangedError):
        rows.change_usage(UsageChange("ada", BOOKED, replace(BOOKED, spent_usd=9.0, revision=2)))

    assert rows.usage("ada").spent_usd == 1.0
    assert rows.usage("ben") == Usage()


def test_a_control_row_that_somebody_else_wrote_is_told(rows: SqliteRows, store: RowStore) -> None:
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("INSERT INTO usages VALUES ('ada', 1, '{\"slots\": 3}')")

    with pytest.raises(StoreCorruptError, match="control row"):
        rows.usage("ada")


def test_videos_are_listed_newest_first_with_their_jobs(store: RowStore) -> None:
    newer = replace(VIDEO, video_id="video-2", created_at=NOON + timedelta(seconds=1), kind="video", poster_key="p")
    store.add_videos(newer)
    store.add_videos(replace(VIDEO, video_id="video-3", owner_id="ben"))
    store.start(an_execution(), replace=False)

    listed = store.videos_of("ada", limit=10)

    assert [video for video, _ in listed] == [newer, VIDEO]
    assert [execution and execution.state for _, execution in listed] == [None, "transcribing"]
    assert [video.video_id for video, _ in store.videos_of("ada", limit=1)] == ["video-2"]


def test_only_jobs_on_videos_are_due(store: RowStore) -> None:
    """What the command line began in the same file belongs to whoever began it."""
    store.start(an_execution(), replace=False)
    store.start(an_execution("begun-by-the-command-line"), replace=False)

    assert [row.execution_id for row in store.due(NOON, limit=10)] == ["video-1"]
    assert store.due(NOON - timedelta(microseconds=1), limit=10) == []


def test_the_file_is_one_of_jobs_still(store: RowStore) -> None:
    """The command line lists and shows what the server began, and the server opens what the command line made."""
    store.start(an_execution(), replace=False)

    with SqliteStore(store.path) as plain:
        assert [execution.execution_id for execution in plain.executions()] == ["video-1"]
    with RowStore(store.path) as again:
        assert again.has_videos()


def test_a_new_file_has_no_videos(tmp_path: Path) -> None:
    with RowStore(tmp_path / "new.sqlite3") as new:
        assert not new.has_videos()
