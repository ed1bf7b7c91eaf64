"""DynamoStore keeps the contract of stores, and what only a store on somebody else's table has to keep."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from statemachine.aws.attribute_value import MAX_ITEM_BYTES, item_bytes
from statemachine.aws.dynamodb_store import DynamoStore, dynamodb_client
from statemachine.aws.table_layout import TableLayout
from statemachine.clock import SystemClock
from statemachine.engine import Engine
from statemachine.errors import (
    ExecutionNotFoundError,
    PatchError,
    StoreCorruptError,
    StoreError,
    StoreUnavailableError,
)
from statemachine.execution import Execution, JsonValue, Patch, apply_patch
from statemachine.machine import Turn
from statemachine.memory import MemoryDispatcher
from statemachine.outcome import Advance, Outcome, Wait
from statemachine.store import DueRow, Store
from tests import dynamodb_tables as tables
from tests import dynoxide
from tests.aws_wire import Answer, Silence, Wire
from tests.statemachine.machines import Job, Script, a_machine
from tests.statemachine.store_contract import (
    ATTEMPT,
    NOW,
    SECOND,
    WRITES,
    StoreContract,
    an_execution,
    lease,
    saved,
    signalled,
    some_data,
)

# Moto writes through a path that leads into no map.
ABOUT_PATHS = {
    "test_a_patch_that_does_not_fit_writes_nothing",
    "test_any_patches_leave_what_apply_patch_makes_of_them",
}


class TestDynamoStore(StoreContract):
    """DynamoStore keeps the contract, on a table of either key shape."""

    @pytest.fixture
    def store(self, store: DynamoStore) -> DynamoStore:
        return store

    @pytest.fixture
    def ids(self, client: DynamoDBClient, layout: TableLayout) -> tuple[str, str, str]:
        return (
            tables.with_row(client, layout, 1),
            tables.with_row(client, layout, 2),
            tables.with_row(client, layout, 3),
        )

    @pytest.fixture
    def remove(self, client: DynamoDBClient, layout: TableLayout) -> Callable[[str], None]:
        def delete(execution_id: str) -> None:
            key = tables.key_of(layout, execution_id)
            client.delete_item(TableName=layout.table_name, Key=key)

        return delete

    @pytest.fixture(autouse=True)
    def _paths_are_checked(self, request: pytest.FixtureRequest) -> None:
        if request.node.originalname in ABOUT_PATHS and not dynoxide.BINARY.exists():
            pytest.skip(dynoxide.NOT_INSTALLED)


# --- what belongs to others -------------------------------------------------------------------------------------------


def test_old_rows_and_foreign_attributes_survive_everything(
    store: DynamoStore, client: DynamoDBClient, layout: TableLayout, execution_id: str
) -> None:
    neighbour = tables.with_row(client, layout, 2)
    before = {row: tables.row(client, layout, row) for row in (execution_id, neighbour)}

    store.start(an_execution(execution_id), replace=False)
    leased = lease(store, execution_id)
    for name in ("renew", "checkpoint", "record_fact", "save", "revive"):
        WRITES[name](store, leased)
    store.signal(signalled(store.get(execution_id)), patch={("title",): "x"})
    store.start(an_execution(execution_id, run_id="run-2").changed(version=4), replace=True)

    after = tables.row(client, layout, execution_id)
    assert {name: value for name, value in after.items() if name not in layout.attribute_names} == before[execution_id]
    assert tables.row(client, layout, neighbour) == before[neighbour]


def test_a_row_that_never_was_is_not_created(store: DynamoStore, client: DynamoDBClient, layout: TableLayout) -> None:
    absent = tables.id_of(layout, 1)

    with pytest.raises(ExecutionNotFoundError):
        store.start(an_execution(absent), replace=False)
    with pytest.raises(ExecutionNotFoundError):
        store.start(an_execution(absent), replace=True)

    assert client.scan(TableName=layout.table_name)["Count"] == 0


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_an_old_row_holds_no_execution(
    store: DynamoStore,
    client: DynamoDBClient,
    layout: TableLayout,
    execution_id: str,
    write: Callable[[Store, Execution], object],
) -> None:
    before = tables.row(client, layout, execution_id)

    with pytest.raises(ExecutionNotFoundError):
        write(store, an_execution(execution_id))

    assert tables.row(client, layout, execution_id) == before


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_an_id_that_no_row_can_have_is_not_found(
    store: DynamoStore, write: Callable[[Store, Execution], object]
) -> None:
    """It comes from an address that anybody may type."""
    with pytest.raises(ExecutionNotFoundError):
        write(store, an_execution("x" * 3000))
    with pytest.raises(ExecutionNotFoundError):
        store.get("")


# --- the row ----------------------------------------------------------------------------------------------------------


def test_the_row_is_as_the_platform_reads_it(
    store: DynamoStore, client: DynamoDBClient, layout: TableLayout, execution_id: str
) -> None:
    store.start(an_execution(execution_id, data={"scene_beats": {"000": {"end_seconds": 7.5}}}), replace=False)

    row = tables.row(client, layout, execution_id)

    assert row["ai_project_type"] == {"S": "ai_generated"}
    assert row["ai_generation_status"] == {"S": "processing"}
    assert row["ai_generation_data"] == {"M": {"scene_beats": {"M": {"000": {"M": {"end_seconds": {"N": "7.5"}}}}}}}
    assert row["ai_version"] == row["ai_revision"] == {"N": "1"}
    assert row["ai_execution"]["M"]["state"] == {"S": "rendering"}
    assert row["ai_execution"]["M"]["lease"] == {"M": {}}
    assert row["ai_due_at"] == {"N": str(round(NOW.timestamp() * 1000))}
    assert row["ai_due_shard"] == {"S": layout.shard(execution_id)}


def test_what_nobody_need_look_at_stands_in_no_index(
    store: DynamoStore, client: DynamoDBClient, layout: TableLayout, execution_id: str
) -> None:
    store.start(an_execution(execution_id), replace=False)
    due = tables.row(client, layout, execution_id).keys() & {"ai_due_shard", "ai_due_at"}

    store.signal(signalled(store.get(execution_id)), patch={})

    assert due == {"ai_due_shard", "ai_due_at"}
    assert not tables.row(client, layout, execution_id).keys() & {"ai_due_shard", "ai_due_at"}


def test_table_keys_attributes_and_index_may_have_any_name(client: DynamoDBClient, table_names: Iterator[str]) -> None:
    layout = TableLayout(
        table_name=next(table_names),
        partition_key="id",
        partition_key_type="N",
        project_type="x#type",
        status="status",
        data="data",
        execution="a.b",
        version="version",
        revision="rev:1",
        due_shard="shard",
        due_at="at",
        index_name="due-index",
        shard_count=1,
    )
    tables.created(client, layout)
    execution_id = layout.execution_id("42")
    client.put_item(TableName=layout.table_name, Item={"id": {"N": "42"}})
    store = DynamoStore(client, layout=layout)

    store.start(an_execution(execution_id), replace=False)
    leased = lease(store, execution_id)
    store.save(saved(leased), owner="owner-1", patch={("title",): "new"})

    assert tables.row(client, layout, execution_id).keys() == {"id", *layout.attribute_names}
    assert [row.execution_id for row in store.due(NOW + timedelta(hours=1), limit=9)] == ["42"]
    assert store.get("42").data["title"] == "new"


def test_what_was_recorded_during_a_turn_is_not_undone_by_its_save(store: DynamoStore, execution_id: str) -> None:
    """The save sends back what the turn knew; facts and checkpoints written meanwhile are not in it."""
    store.start(an_execution(execution_id), replace=False)
    leased = lease(store, execution_id)

    store.record_fact(execution_id, path=ATTEMPT, intent_id="intent-1", operation="op-1", owner="owner-1")
    store.checkpoint(execution_id, owner="owner-1", patch={("count",): 4})
    store.save(saved(leased), owner="owner-1", patch={("title",): "new"})

    stored = store.get(execution_id)
    assert stored.revision == 4
    assert stored.data == apply_patch(some_data(), {("title",): "new", ("count",): 4, (*ATTEMPT, "operation"): "op-1"})


@pytest.mark.parametrize("damage", ["REMOVE ai_revision", "REMOVE ai_execution.started_at", "SET ai_version = :text"])
def test_a_row_that_somebody_else_changed_is_told_as_such(
    store: DynamoStore, client: DynamoDBClient, layout: TableLayout, execution_id: str, damage: str
) -> None:
    store.start(an_execution(execution_id), replace=False)
    values: dict[str, Any] = {"ExpressionAttributeValues": {":text": {"S": "two"}}} if ":text" in damage else {}
    key = tables.key_of(layout, execution_id)
    client.update_item(TableName=layout.table_name, Key=key, UpdateExpression=damage, **values)

    with pytest.raises(StoreCorruptError, match=r"not as the engine wrote it"):
        store.get(execution_id)


# --- limits of DynamoDB -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [tables.ONE_PART], indirect=True)
def test_a_patch_that_makes_the_item_too_large_is_refused(
    dynoxide_client: DynamoDBClient, store: DynamoStore, execution_id: str
) -> None:
    store.start(an_execution(execution_id), replace=False)
    leased = lease(store, execution_id)

    with pytest.raises(PatchError, match="409600 bytes"):
        store.checkpoint(execution_id, owner="owner-1", patch={("title",): "x" * 410_000})

    assert store.get(execution_id) == leased


@pytest.mark.parametrize("layout", [tables.ONE_PART], indirect=True)
def test_a_row_that_others_have_filled_is_a_matter_for_a_person(
    dynoxide_client: DynamoDBClient, store: DynamoStore, layout: TableLayout, execution_id: str
) -> None:
    """No patch is to blame: failing the step would not make room."""
    store.start(an_execution(execution_id), replace=False)
    room = MAX_ITEM_BYTES - item_bytes(tables.row(dynoxide_client, layout, execution_id)) - 500
    dynoxide_client.update_item(
        TableName=layout.table_name,
        Key=tables.key_of(layout, execution_id),
        UpdateExpression="SET filler = :filler",
        ExpressionAttributeValues={":filler": {"S": "x" * room}},
    )

    with pytest.raises(StoreCorruptError, match="409600 bytes"):
        lease(store, execution_id, owner="o" * 1000)


def test_a_patch_of_more_paths_than_one_request_takes_is_refused(store: DynamoStore, execution_id: str) -> None:
    store.start(an_execution(execution_id), replace=False)
    leased = lease(store, execution_id)

    with pytest.raises(PatchError, match="whole maps"):
        store.checkpoint(execution_id, owner="owner-1", patch={("empty", f"name-{number}"): 1 for number in range(300)})

    assert store.get(execution_id) == leased


@pytest.mark.parametrize("layout", [tables.ONE_PART], indirect=True)
def test_a_patch_of_two_hundred_paths_is_written(
    dynoxide_client: DynamoDBClient, store: DynamoStore, execution_id: str
) -> None:
    store.start(an_execution(execution_id), replace=False)
    lease(store, execution_id)

    store.checkpoint(execution_id, owner="owner-1", patch={("empty", f"name-{number}"): 1 for number in range(200)})

    assert len(cast("dict[str, int]", store.get(execution_id).data["empty"])) == 200


@pytest.mark.parametrize("layout", [tables.ONE_PART], indirect=True)
@pytest.mark.parametrize("levels", [28, 29, 30])
def test_our_limit_of_depth_is_that_of_dynamodb(
    dynoxide_client: DynamoDBClient, store: DynamoStore, execution_id: str, levels: int
) -> None:
    """`ai_generation_data`, `empty`, `deep` and the number at the bottom are levels too."""
    store.start(an_execution(execution_id), replace=False)
    lease(store, execution_id)
    deep: JsonValue = 1
    for _ in range(levels):
        deep = [deep]
    patch: Patch = {("empty", "deep"): deep}

    if levels < 30:
        store.checkpoint(execution_id, owner="owner-1", patch=patch)
        assert store.get(execution_id).data["empty"] == {"deep": deep}
    else:
        with pytest.raises(PatchError, match="32 levels"):
            store.checkpoint(execution_id, owner="owner-1", patch=patch)


# --- what is due ------------------------------------------------------------------------------------------------------


def started_and_due(store: DynamoStore, client: DynamoDBClient, layout: TableLayout, count: int) -> list[DueRow]:
    """Executions that become due one second after the other; what `due` has to say of them."""
    rows = []
    for number in range(count):
        execution_id = tables.with_row(client, layout, number)
        due_at = NOW + number * SECOND
        store.start(an_execution(execution_id, data={}).changed(due_at=due_at), replace=False)
        rows.append(DueRow(execution_id, 1, due_at))
    return rows


@pytest.mark.parametrize("index_name", ["ai_due", None])
def test_what_is_due_comes_in_order_from_all_shards(
    client: DynamoDBClient, layout: TableLayout, index_name: str | None
) -> None:
    store = DynamoStore(client, layout=replace(layout, index_name=index_name))
    rows = started_and_due(store, client, layout, 20)

    assert {layout.shard(row.execution_id) for row in rows} == set(layout.shards)
    assert list(store.due(NOW + 9 * SECOND, limit=100)) == rows[:10]
    assert list(store.due(NOW + 9 * SECOND, limit=4)) == rows[:4]
    assert list(store.due(NOW + 9 * SECOND, limit=0)) == []


@pytest.mark.parametrize(("index_name", "operation"), [("ai_due", "Query"), (None, "Scan")])
def test_every_page_is_read(
    client: DynamoDBClient, layout: TableLayout, index_name: str | None, operation: str
) -> None:
    store = DynamoStore(client, layout=replace(layout, index_name=index_name))
    rows = started_and_due(store, client, layout, 12)
    client.meta.events.register(f"before-parameter-build.dynamodb.{operation}", pages_of_two)
    wire = Wire(client)

    assert list(store.due(NOW + timedelta(hours=1), limit=100)) == rows
    assert len(wire.operations) > layout.shard_count


def pages_of_two(params: dict[str, Any], **_: object) -> None:
    params["Limit"] = 2


def test_no_more_is_read_than_was_asked_for(client: DynamoDBClient, layout: TableLayout, store: DynamoStore) -> None:
    started_and_due(store, client, layout, 12)
    wire = Wire(client)

    store.due(NOW + timedelta(hours=1), limit=1)

    assert wire.operations == ["Query"] * layout.shard_count
    assert all(json.loads(request.body)["Limit"] == 1 for request in wire.requests)


def test_nothing_is_due_before_its_millisecond(store: DynamoStore, execution_id: str) -> None:
    due_at = NOW + timedelta(microseconds=300)
    store.start(an_execution(execution_id).changed(due_at=due_at), replace=False)

    assert list(store.due(due_at - timedelta(microseconds=100), limit=9)) == []
    assert list(store.due(due_at, limit=9)) == []
    assert len(store.due(NOW + timedelta(milliseconds=1), limit=9)) == 1


def test_one_spoilt_row_does_not_keep_the_others_asleep(
    store: DynamoStore, client: DynamoDBClient, layout: TableLayout, caplog: pytest.LogCaptureFixture
) -> None:
    rows = started_and_due(store, client, layout, 3)
    spoilt = tables.key_of(layout, rows[0].execution_id)
    client.update_item(TableName=layout.table_name, Key=spoilt, UpdateExpression="REMOVE ai_version")

    assert list(store.due(NOW + timedelta(hours=1), limit=9)) == rows[1:]

    assert str(rows[0].execution_id).rsplit("/", maxsplit=1)[-1] in caplog.text


def test_without_an_index_the_log_says_what_a_sweep_costs(
    client: DynamoDBClient, layout: TableLayout, caplog: pytest.LogCaptureFixture
) -> None:
    store = DynamoStore(client, layout=replace(layout, index_name=None))
    started_and_due(store, client, layout, 3)
    caplog.set_level("INFO")

    store.due(NOW + timedelta(hours=1), limit=9)

    (record,) = (record for record in caplog.records if "no due index" in record.getMessage())
    assert "read all 3 rows" in record.getMessage()
    assert "read units" in record.getMessage()


# --- the wire ---------------------------------------------------------------------------------------------------------


def test_a_turn_is_two_writes_and_one_more_for_each_checkpoint_and_fact(
    store: DynamoStore, client: DynamoDBClient, execution_id: str
) -> None:
    def draft(_: Job, turn: Turn) -> Outcome:
        turn.checkpoint({("attempt",): {"intent_id": "i-1"}})
        turn.record_fact(("attempt",), intent_id="i-1", operation="op-1")
        turn.checkpoint({("note",): "sent"})
        return Advance("drafted")

    dispatcher = MemoryDispatcher()
    engine = Engine(
        a_machine(draft=Script(draft), print_=Script(Wait(SECOND))),
        store=store,
        dispatcher=dispatcher,
        clock=SystemClock(),
    )
    engine.start(execution_id, {})
    wire = Wire(client)

    first = engine.run_turn(dispatcher.events.popleft(), time_left=timedelta(minutes=5))
    sent_first = list(wire.operations)
    second = engine.run_turn(dispatcher.events.popleft(), time_left=timedelta(minutes=5))

    assert (first.kind, second.kind) == ("advanced", "waiting")
    assert sent_first == ["UpdateItem"] * 5
    assert wire.operations[5:] == ["UpdateItem"] * 2


def test_a_look_at_an_execution_is_one_consistent_read_of_our_own_attributes(
    store: DynamoStore, client: DynamoDBClient, layout: TableLayout, execution_id: str
) -> None:
    store.start(an_execution(execution_id), replace=False)
    wire = Wire(client)

    store.get(execution_id)

    (request,) = wire.requests
    sent = json.loads(request.body)
    assert sent["ConsistentRead"] is True
    assert set(sent["ExpressionAttributeNames"].values()) == set(layout.attribute_names)


def test_a_lease_shorter_than_the_longest_turn_is_a_second_write(
    store: DynamoStore, client: DynamoDBClient, execution_id: str
) -> None:
    store.start(an_execution(execution_id), replace=False)
    wire = Wire(client)

    store.lease(execution_id, version=1, owner="owner-1", now=NOW, at_most=10 * SECOND, margin=SECOND)

    assert wire.operations == ["UpdateItem"] * 2


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.usefixtures("signed_in")
def test_a_write_whose_answer_was_lost_is_repeated_and_has_succeeded(
    dynoxide_url: str,
    dynoxide_client: DynamoDBClient,
    table_names: Iterator[str],
    write: Callable[[Store, Execution], object],
) -> None:
    layout = tables.created(dynoxide_client, tables.named(tables.ONE_PART, next(table_names)))
    execution_id = tables.with_row(dynoxide_client, layout)
    client = dynamodb_client(region_name="eu-central-1", endpoint_url=dynoxide_url)
    store = DynamoStore(client, layout=layout)
    store.start(an_execution(execution_id), replace=False)
    leased = lease(store, execution_id)
    wire = Wire(client)
    wire.troubles.append(Silence(is_done=True))

    write(store, leased)

    assert wire.operations == ["UpdateItem"] * 2
    stored = store.get(execution_id)
    assert stored.attempt <= 2
    assert stored.version <= 2


@pytest.mark.usefixtures("signed_in")
def test_throttling_is_waited_out_a_few_times_and_then_left_to_the_sweep(
    dynoxide_url: str, dynoxide_client: DynamoDBClient, table_names: Iterator[str]
) -> None:
    layout = tables.created(dynoxide_client, tables.named(tables.ONE_PART, next(table_names)))
    execution_id = tables.with_row(dynoxide_client, layout)
    client = dynamodb_client(region_name="eu-central-1", endpoint_url=dynoxide_url)
    store = DynamoStore(client, layout=layout)
    wire = Wire(client)

    wire.troubles.extend([THROTTLED, THROTTLED])
    store.start(an_execution(execution_id), replace=False)
    wire.troubles.extend([THROTTLED, THROTTLED, THROTTLED])
    with pytest.raises(StoreUnavailableError, match="ProvisionedThroughputExceededException"):
        lease(store, execution_id)

    assert wire.operations == ["UpdateItem"] * 6
    assert store.get(execution_id).lease is None


THROTTLED = Answer(400, "ProvisionedThroughputExceededException")
CALLS: dict[str, Callable[[DynamoStore, str], object]] = {
    "write": lease,
    "get": lambda store, execution_id: store.get(execution_id),
    "due": lambda store, _: store.due(NOW, limit=1),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    ("trouble", "expected"),
    [
        (Answer(500, "InternalServerError"), StoreUnavailableError),
        (Answer(400, "ThrottlingException"), StoreUnavailableError),
        (Answer(503, "ServiceUnavailable"), StoreUnavailableError),
        (Silence(is_done=False), StoreUnavailableError),
        (Answer(400, "ResourceNotFoundException"), StoreError),
        (Answer(400, "AccessDeniedException"), StoreError),
    ],
)
def test_trouble_with_dynamodb_says_whether_time_or_a_person_mends_it(
    store: DynamoStore,
    client: DynamoDBClient,
    layout: TableLayout,
    execution_id: str,
    trouble: Answer | Silence,
    expected: type[StoreError],
    call: Callable[[DynamoStore, str], object],
) -> None:
    wire = Wire(client)
    wire.troubles.append(trouble)

    with pytest.raises(StoreError, match=layout.table_name) as raised:
        call(store, execution_id)

    assert type(raised.value) is expected


@pytest.mark.usefixtures("own_session")
def test_a_client_without_credentials_is_a_matter_for_a_person() -> None:
    store = DynamoStore(dynamodb_client(region_name="eu-central-1"))

    with pytest.raises(StoreError, match="credentials") as raised:
        store.get("video-1")

    assert type(raised.value) is StoreError


def test_no_request_outlasts_a_turn_that_is_about_to_end() -> None:
    config = cast("Any", dynamodb_client(region_name="eu-central-1")).meta.config

    assert (config.connect_timeout, config.read_timeout) == (1, 3)
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}


@pytest.mark.parametrize("layout", [tables.ONE_PART], indirect=True)
def test_a_key_of_another_type_than_the_table_has_is_refused(
    dynoxide_client: DynamoDBClient, layout: TableLayout
) -> None:
    store = DynamoStore(dynoxide_client, layout=replace(layout, partition_key_type="N"))

    with pytest.raises(StoreError, match="schema"):
        store.get("42")
    with pytest.raises(StoreError, match="schema"):
        store.start(an_execution("42"), replace=False)
