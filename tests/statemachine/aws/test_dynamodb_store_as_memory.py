"""Whatever is asked of it, in whatever order, DynamoStore answers and stores what MemoryStore does."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mypy_boto3_dynamodb import DynamoDBClient

from statemachine.aws.dynamodb_store import DynamoStore
from statemachine.aws.table_layout import TableLayout
from statemachine.errors import StateMachineError
from statemachine.execution import Execution, Failure, Patch
from statemachine.memory import MemoryStore
from statemachine.store import Store
from tests import dynamodb_tables as tables

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
INTENT = ("tasks", "000", "attempts", "001")
PATCHES: tuple[Patch, ...] = (
    {},
    {("title",): "Ein Tag am Meer"},
    {("tasks", "000", "a.b#c:d"): [1, 2.5, {"deep": None}], ("seconds",): 7.25},
    {("tasks", "000", "attempts", "001"): {"intent_id": "i-1"}},
    {("tasks", "000", "attempts", "001"): {"intent_id": "i-2", "operation": None}},
    {("tasks", "999", "x"): 1},
    {("title", "x"): 1},
    {("huge",): 10**38 - 1, ("empty",): "", ("none",): None, ("flags",): [True, False]},
)

Operation = Callable[[Store, Execution | None], object]


def a_start(run: int, *, replace_it: bool, version_up: int) -> Operation:
    def start(store: Store, standing: Execution | None) -> None:
        version = standing.version + version_up if standing else 1
        started = Execution(
            execution_id="",
            machine="video",
            graph="abc",
            state="transcribing",
            status="processing",
            run_id=f"run-{run}",
            started_at=NOON,
            entered_at=NOON,
            updated_at=NOON,
            version=version,
            revision=version,
            last_signal=f"run-{run}",
            due_at=NOON + timedelta(seconds=75),
            data={"tasks": {"000": {"attempts": {}}}, "title": ""},
        )
        store.start(started, replace=replace_it)

    return start


def a_lease(owner: str, *, at: int, at_most: timedelta, stale: bool) -> Operation:
    def lease(store: Store, standing: Execution | None) -> object:
        version = (standing.version if standing else 1) - stale
        now = NOON + timedelta(seconds=at)
        return store.lease("", version=version, owner=owner, now=now, at_most=at_most, margin=timedelta(seconds=5))

    return lease


def a_renewal(owner: str, at: int) -> Operation:
    return lambda store, _: store.renew("", owner=owner, expires_at=NOON + timedelta(seconds=at))


def a_checkpoint(owner: str, patch: Patch) -> Operation:
    return lambda store, _: store.checkpoint("", owner=owner, patch=patch)


def a_fact(owner: str, intent: str, operation: str) -> Operation:
    return lambda store, _: store.record_fact("", path=INTENT, intent_id=intent, operation=operation, owner=owner)


def a_save(owner: str, patch: Patch, *, at: int, is_end: bool, version_up: int) -> Operation:
    def save(store: Store, standing: Execution | None) -> None:
        if standing is None:
            return
        saved = replace(
            standing,
            version=standing.version + version_up,
            lease=None,
            unsaved_turns=0,
            last_turn=owner,
            state="failed" if is_end else "planning",
            status="failed" if is_end else "processing",
            failure=Failure("X", "y", details={"scene": 1.5}, occurred_at=NOON) if is_end else None,
            due_at=None if is_end else NOON + timedelta(seconds=at),
            max_turn_seconds=30.5,
        )
        store.save(saved, owner=owner, patch=patch)

    return save


def a_signal(signal: str, patch: Patch, *, version_up: int) -> Operation:
    def send(store: Store, standing: Execution | None) -> None:
        if standing is None:
            return
        signalled = replace(
            standing, version=standing.version + version_up, lease=None, last_signal=signal, due_at=None, attempt=0
        )
        store.signal(signalled, patch=patch)

    return send


def a_revival(at: int) -> Operation:
    return lambda store, _: store.revive("", now=NOON + timedelta(seconds=at))


OWNERS = st.sampled_from(["turn-1", "turn-2", "turn-3"])
PATCH = st.sampled_from(PATCHES)
SECONDS = st.integers(0, 200)
# Mostly what a turn does in order, so that the sequences get somewhere; and now and then what it must not.
VERSIONS_UP = st.sampled_from([1, 1, 1, 1, 0, 2])
OPERATIONS = st.one_of(
    st.builds(a_start, st.integers(1, 3), replace_it=st.booleans(), version_up=VERSIONS_UP),
    st.builds(
        a_lease,
        OWNERS,
        at=SECONDS,
        at_most=st.sampled_from([timedelta.max, timedelta(seconds=10), timedelta(seconds=60)]),
        stale=st.sampled_from([False, False, False, True]),
    ),
    st.builds(a_renewal, OWNERS, SECONDS),
    st.builds(a_checkpoint, OWNERS, PATCH),
    st.builds(a_fact, OWNERS, st.sampled_from(["i-1", "i-2"]), st.sampled_from(["op-1", "op-2", "not_accepted"])),
    st.builds(a_save, OWNERS, PATCH, at=SECONDS, is_end=st.booleans(), version_up=VERSIONS_UP),
    st.builds(a_signal, st.sampled_from(["cancel-1", "retry-2"]), PATCH, version_up=VERSIONS_UP),
    st.builds(a_revival, SECONDS),
)
STARTED = st.just(a_start(1, replace_it=False, version_up=1))


class OneRow:
    """A store of which every operation speaks of one execution, whatever id it is given."""

    def __init__(self, store: Store, execution_id: str) -> None:
        self.store = store
        self.execution_id = execution_id

    def __getattr__(self, name: str) -> Callable[..., object]:
        method = getattr(self.store, name)

        def call(execution: Execution | str, *args: object, **kwargs: object) -> object:
            if isinstance(execution, Execution):
                return method(replace(execution, execution_id=self.execution_id), *args, **kwargs)
            return method(self.execution_id, *args, **kwargs)

        return call


def answer(operation: Operation, store: OneRow, standing: Execution | None) -> object:
    """What was returned, or what was raised and what it says (stores word what is wrong with a patch differently)."""
    try:
        return operation(store, standing)  # type: ignore[arg-type]  # OneRow passes everything on
    except StateMachineError as error:
        return type(error), getattr(error, "expected", None), getattr(error, "stored", None), vars(error).get("state")


def stored(store: OneRow) -> object:
    return answer(lambda it, _: it.get(""), store, None)


rows = itertools.count(1)


@pytest.fixture
def server(dynoxide_client: DynamoDBClient) -> DynamoDBClient:
    """Only dynoxide: moto writes through a path that leads into no map."""
    return dynoxide_client


@settings(
    max_examples=60,
    # Every example has a row of its own in one table.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.tuples(STARTED, st.lists(OPERATIONS, max_size=25)))
def test_every_sequence_of_operations_ends_as_it_does_in_memory(
    server: DynamoDBClient, layout: TableLayout, operations: tuple[Operation, list[Operation]]
) -> None:
    execution_id = tables.with_row(server, layout, next(rows))
    real = OneRow(DynamoStore(server, layout=layout), execution_id)
    reference = MemoryStore()
    memory = OneRow(reference, execution_id)

    first, others = operations
    for operation in (first, *others):
        before = stored(memory)
        standing = before if isinstance(before, Execution) else None
        assert answer(operation, real, standing) == answer(operation, memory, standing)
        assert stored(real) == stored(memory)
