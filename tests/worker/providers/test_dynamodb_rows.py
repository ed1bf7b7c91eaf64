"""Rows and control rows on a table that gets races and transactions right; moto does not, so there is no stand-in."""

import itertools
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from statemachine import Execution
from statemachine.aws.dynamodb_store import DynamoStore
from statemachine.aws.table_layout import TableLayout
from statemachine.errors import (
    BesideRefusedError,
    ExecutionExistsError,
    PatchError,
    StoreCorruptError,
    StoreError,
    StoreUnavailableError,
    VersionConflictError,
)
from tests import dynamodb_tables as tables
from tests.aws_wire import Answer, Wire
from tests.worker.fakes import NOON
from tests.worker.handlers.api.desk import ADA, BOB, KEY, VIDEO, Desk
from worker.handlers.api.routes import Api
from worker.limits import Booking, Limits, Slot, Usage, booked
from worker.providers.dynamodb_rows import DynamoRows, KeyParts
from worker.rows import Row, UsageChange, UsageChangedError

ONE_PART = tables.ONE_PART
BY_USER = TableLayout(partition_key="user_id", sort_key="video_id")
BY_VIDEO = TableLayout(partition_key="video_id", sort_key="user_id")
SHAPES: Mapping[str, tuple[TableLayout, KeyParts]] = {
    "video": (ONE_PART, "video"),
    "user/video": (BY_USER, "user/video"),
    "video/user": (BY_VIDEO, "video/user"),
}
LIMITS = Limits(daily_usd=10, concurrent_jobs=3)


@dataclass(frozen=True)
class Table:
    """A table of the platform, empty."""

    client: DynamoDBClient
    layout: TableLayout
    rows: DynamoRows

    def put(self, video_id: str = VIDEO, *, owner: str = ADA, **more: Any) -> str:  # noqa: ANN401  attributes
        item = {"video_id": {"S": video_id}, "user_id": {"S": owner}, "s3_key": {"S": KEY}, **more}
        self.client.put_item(TableName=self.layout.table_name, Item=item)
        return self.layout.execution_id_of(item)

    def found(self, video_id: str = VIDEO, *, user: str = ADA) -> Row:
        row = self.rows.find(video_id, user_id=user)
        assert row is not None
        return row

    def items(self) -> list[dict[str, Any]]:
        return [dict(item) for item in self.client.scan(TableName=self.layout.table_name)["Items"]]


@pytest.fixture(scope="session")
def names() -> Iterator[str]:
    return (f"rows_{number}" for number in itertools.count())


@pytest.fixture(params=list(SHAPES))
def table(request: pytest.FixtureRequest, dynoxide_url: str, names: Iterator[str]) -> Table:
    layout, key_parts = SHAPES[request.param]
    client = tables.client_of(dynoxide_url, max_connections=64)
    layout = tables.created(client, tables.named(layout, next(names)))
    rows = DynamoRows(client, layout=layout, key_parts=key_parts, owner_attribute="user_id", source_attribute="s3_key")
    return Table(client, layout, rows)


@pytest.fixture
def wire(table: Table) -> Wire:
    return Wire(table.client)


def an_execution(execution_id: str, *, run_id: str = "run-1", version: int = 1) -> Execution:
    return Execution(
        execution_id=execution_id,
        machine="ai-video",
        graph="g",
        state="transcribing",
        status="processing",
        run_id=run_id,
        started_at=NOON,
        entered_at=NOON,
        updated_at=NOON,
        version=version,
        data={"some": "data"},
    )


def a_change(user: str, before: Usage, run_id: str = "run-1") -> UsageChange:
    return UsageChange(user, before, booked(before, Booking(run_id, 1, 2.0), now=NOON, limits=LIMITS))


def test_a_row_says_whose_it_is_where_its_recording_lies_and_what_is_made_of_it(table: Table) -> None:
    execution_id = table.put()

    before = table.rows.find(VIDEO, user_id=ADA)
    table.rows.deciding(table.found()).start(an_execution(execution_id), replace=False)

    assert before == Row(execution_id, ADA, KEY, None)
    execution = table.found().execution
    assert execution is not None
    assert (execution.run_id, dict(execution.data)) == ("run-1", {"some": "data"})


def test_finding_is_one_consistent_read(table: Table, wire: Wire) -> None:
    table.put()
    wire.requests.clear()

    table.rows.find(VIDEO, user_id=ADA)

    assert wire.operations == ["GetItem"]
    assert b'"ConsistentRead": true' in wire.requests[0].body


def test_finding_with_the_control_row_is_one_consistent_read(table: Table, wire: Wire) -> None:
    table.put()
    wire.requests.clear()

    row, usage = table.rows.find_with_usage(VIDEO, user_id=ADA)

    assert wire.operations == ["BatchGetItem"]
    assert b'"ConsistentRead": true' in wire.requests[0].body
    assert row == table.found()
    assert usage == Usage()


def test_the_row_of_another_user_is_not_found(table: Table) -> None:
    table.put()

    assert table.rows.find(VIDEO, user_id=BOB) is None
    assert table.rows.find_with_usage(VIDEO, user_id=BOB) == (None, Usage())


def test_an_operator_finds_it_where_the_key_allows(table: Table) -> None:
    execution_id = table.put()

    row = table.rows.find(VIDEO, user_id=ADA, any_owner=True)
    by_video = table.rows.find(VIDEO, user_id=BOB, any_owner=True)

    assert row is not None
    assert row.execution_id == execution_id
    assert (by_video is not None) == (table.layout.sort_key is None)


@pytest.mark.parametrize("video_id", ["", "ai#user#ada-sub", "x" * 3000, "\ud800"])
def test_what_can_be_no_video_is_not_found(table: Table, video_id: str) -> None:
    table.rows.change_usage(a_change(ADA, Usage()))

    assert table.rows.find(video_id, user_id=ADA) is None
    assert table.rows.find_with_usage(video_id, user_id=ADA)[0] is None


def test_a_control_row_is_found_under_no_video(table: Table) -> None:
    table.rows.change_usage(a_change(ADA, Usage()))
    (control,) = table.items()

    assert table.rows.find(control["video_id"]["S"], user_id=control.get("user_id", {}).get("S", ADA)) is None


def test_a_control_row_has_nothing_by_which_the_platform_or_the_engine_would_see_it(table: Table) -> None:
    table.rows.change_usage(a_change(ADA, Usage()))

    (control,) = table.items()
    keys = set(table.layout.key_names)
    assert set(control) - keys == {"ai_control_revision", "ai_day", "ai_spent_usd", "ai_slots"}
    assert set(table.layout.attribute_names).isdisjoint(control)
    assert str(control[table.layout.partition_key]["S"]).startswith("ai#user#")


def test_a_start_and_its_slot_are_written_together(table: Table, wire: Wire) -> None:
    execution_id = table.put()
    row, usage = table.rows.find_with_usage(VIDEO, user_id=ADA)
    assert row is not None
    wire.requests.clear()

    change = a_change(ADA, usage)
    table.rows.deciding(row, change=change).start(an_execution(execution_id), replace=False)

    assert wire.operations == ["TransactWriteItems"]
    assert table.rows.usage(ADA) == change.after
    assert table.found().execution is not None


def test_a_control_row_that_has_changed_refuses_the_start_too(table: Table) -> None:
    execution_id = table.put()
    stale = a_change(ADA, Usage())
    table.rows.change_usage(a_change(ADA, Usage(), "run-0"))

    with pytest.raises(BesideRefusedError):
        table.rows.deciding(table.found(), change=stale).start(an_execution(execution_id), replace=False)

    assert table.found().execution is None
    assert list(table.rows.usage(ADA).slots) == ["run-0"]


def test_a_job_that_stands_refuses_the_slot_too(table: Table) -> None:
    execution_id = table.put()
    row = table.found()
    table.rows.deciding(row).start(an_execution(execution_id), replace=False)

    with pytest.raises(ExecutionExistsError):
        table.rows.deciding(row, change=a_change(ADA, Usage())).start(
            an_execution(execution_id, run_id="run-2"), replace=False
        )

    assert table.rows.usage(ADA) == Usage()


def test_a_signal_and_its_slot_are_written_together_or_not_at_all(table: Table) -> None:
    execution_id = table.put()
    table.rows.deciding(table.found()).start(an_execution(execution_id), replace=False)
    signalled = an_execution(execution_id, version=2).changed(last_signal="s-1")
    stale = an_execution(execution_id, version=7).changed(last_signal="s-2")

    with pytest.raises(VersionConflictError):
        table.rows.deciding(table.found(), change=a_change(ADA, Usage())).signal(stale, patch={("some",): 2})
    assert table.rows.usage(ADA) == Usage()
    table.rows.deciding(table.found(), change=a_change(ADA, Usage())).signal(signalled, patch={("some",): 2})

    execution = table.found().execution
    assert execution is not None
    assert (execution.version, dict(execution.data)) == (2, {"some": 2})
    assert list(table.rows.usage(ADA).slots) == ["run-1"]


def test_the_first_look_of_a_decision_reads_nothing_and_the_second_reads_again(table: Table, wire: Wire) -> None:
    execution_id = table.put()
    table.rows.deciding(table.found()).start(an_execution(execution_id), replace=False)
    row = table.found()
    deciding = table.rows.deciding(row)
    wire.requests.clear()

    first, second = deciding.get(execution_id), deciding.get(execution_id)

    assert wire.operations == ["GetItem"]
    assert first is row.execution
    assert second.version == first.version


def test_a_control_row_comes_back_as_it_was_written(table: Table) -> None:
    slot = Slot(NOON + timedelta(hours=26), 7, "2026-11-22", 1.25, 0.1)
    usage = Usage("2026-11-22", 3.333333, {"run-1": slot}, 1)

    table.rows.change_usage(UsageChange(ADA, Usage(), usage))

    assert table.rows.usage(ADA) == usage
    assert table.rows.usage(BOB) == Usage()


def test_a_control_row_is_written_only_as_it_was_seen(table: Table) -> None:
    change = a_change(ADA, Usage())
    table.rows.change_usage(change)

    with pytest.raises(UsageChangedError):
        table.rows.change_usage(change)

    table.rows.change_usage(UsageChange(ADA, change.after, replace(change.after, revision=2)))
    assert table.rows.usage(ADA).revision == 2


def test_a_spoilt_control_row_is_told_and_not_taken_for_an_empty_one(table: Table) -> None:
    table.rows.change_usage(a_change(ADA, Usage()))
    (item,) = table.items()
    table.client.put_item(TableName=table.layout.table_name, Item={**item, "ai_slots": {"S": "none"}})

    with pytest.raises(StoreCorruptError, match="control row"):
        table.rows.usage(ADA)


def test_a_throttled_table_may_be_asked_again(table: Table, wire: Wire) -> None:
    wire.troubles.append(Answer(400, "ThrottlingException"))

    with pytest.raises(StoreUnavailableError):
        table.rows.find(VIDEO, user_id=ADA)


def test_a_transaction_that_meets_another_one_may_be_tried_again(table: Table, wire: Wire) -> None:
    execution_id = table.put()
    row = table.found()
    body = (
        b'{"__type":"TransactionCanceledException","Message":"canceled",'
        b'"CancellationReasons":[{"Code":"TransactionConflict"},{"Code":"None"}]}'
    )
    wire.troubles.append(Answer(400, body=body))

    with pytest.raises(StoreUnavailableError):
        table.rows.deciding(row, change=a_change(ADA, Usage())).start(an_execution(execution_id), replace=False)


def test_a_patch_that_a_transaction_cannot_keep_is_the_patchs_fault(table: Table, wire: Wire) -> None:
    execution_id = table.put()
    row = table.found()
    body = (
        b'{"__type":"TransactionCanceledException","Message":"canceled","CancellationReasons":['
        b'{"Code":"ValidationError","Message":"Item size to update has exceeded the maximum allowed size"},'
        b'{"Code":"None"}]}'
    )
    wire.troubles.append(Answer(400, body=body))

    with pytest.raises(PatchError, match="media store"):
        table.rows.deciding(row, change=a_change(ADA, Usage())).start(an_execution(execution_id), replace=False)


def test_a_start_whose_answer_was_lost_is_known_when_it_is_sent_again(table: Table) -> None:
    """Its own run stands on the row: that it was refused says that it was done."""
    execution_id = table.put()
    row = table.found()
    change = a_change(ADA, Usage())
    table.rows.deciding(row, change=change).start(an_execution(execution_id), replace=False)

    table.rows.deciding(row, change=change).start(an_execution(execution_id), replace=False)

    assert table.rows.usage(ADA) == change.after


def test_what_a_role_may_not_do_is_told_as_such(table: Table, wire: Wire) -> None:
    wire.troubles.append(Answer(400, "AccessDeniedException"))

    with pytest.raises(StoreError, match="what the role allows"):
        table.rows.find(VIDEO, user_id=ADA)


def test_a_key_that_does_not_follow_from_caller_and_video_is_refused_at_once(table: Table) -> None:
    with pytest.raises(ValueError, match="not made of"):
        DynamoRows(
            table.client,
            layout=table.layout,
            key_parts="video" if table.layout.sort_key else "user/video",
            owner_attribute="user_id",
            source_attribute="s3_key",
        )


# --- the API on a real table --------------------------------------------------------------------------------------


def an_api(table: Table, limits: Limits) -> Desk:
    desk = Desk(limits=limits)
    desk.store = DynamoStore(table.client, layout=table.layout)  # type: ignore[assignment]  # the same port
    desk.api = Api(replace(desk.parts(), rows=table.rows))
    return desk


@pytest.mark.parametrize(
    ("limits", "operations"),
    [(Limits(), ["GetItem", "UpdateItem"]), (LIMITS, ["BatchGetItem", "TransactWriteItems"])],
    ids=["uncounted", "counted"],
)
def test_a_start_is_one_read_one_write_and_one_dispatch(
    table: Table, wire: Wire, limits: Limits, operations: list[str]
) -> None:
    table.put()
    desk = an_api(table, limits)
    wire.requests.clear()

    assert desk.post().status == 202

    assert wire.operations == operations
    assert len(desk.dispatcher.events) == 1


def test_looking_is_one_read(table: Table, wire: Wire) -> None:
    table.put()
    desk = an_api(table, Limits())
    desk.post()
    wire.requests.clear()

    assert desk.get().status == 200

    assert wire.operations == ["GetItem"]


@pytest.mark.parametrize("limits", [Limits(), LIMITS], ids=["uncounted", "counted"])
def test_a_thousand_starts_at_once_start_one_job(dynoxide_url: str, names: Iterator[str], limits: Limits) -> None:
    client = tables.client_of(dynoxide_url, max_connections=64)
    layout = tables.created(client, tables.named(ONE_PART, next(names)))
    rows = DynamoRows(client, layout=layout, key_parts="video", owner_attribute="user_id", source_attribute="s3_key")
    table = Table(client, layout, rows)
    table.put()
    desk = an_api(table, limits)

    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(lambda _: desk.post(), range(1000)))

    assert {answer.status for answer in answers} == {202}
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert len(desk.dispatcher.events) == 1
    if limits.counts_users:
        assert len(rows.usage(ADA).slots) == 1
