"""Of many who want one thing exactly one gets it.  Only on dynoxide: moto lets two win.

`python -m benchmarks dynamodb` runs a hundred rounds of the race for a lease.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from statemachine.aws.dynamodb_store import DynamoStore
from statemachine.aws.table_layout import TableLayout
from statemachine.errors import (
    ExecutionExistsError,
    IntentNotFoundError,
    LeaseHeldError,
    StateMachineError,
    VersionConflictError,
)
from statemachine.execution import Execution
from tests import dynamodb_tables as tables
from tests.racing import raced
from tests.statemachine.store_contract import ATTEMPT, NOW, an_execution, lease, saved

RACERS = 100
ROUNDS = 10


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=RACERS) as pool:
        yield pool


@pytest.fixture
def layout(dynoxide_url: str, table_names: Iterator[str]) -> TableLayout:
    return tables.created(tables.client_of(dynoxide_url), tables.named(tables.ONE_PART, next(table_names)))


@pytest.fixture
def store(dynoxide_url: str, layout: TableLayout) -> DynamoStore:
    return DynamoStore(tables.client_of(dynoxide_url, max_connections=RACERS), layout=layout)


@pytest.fixture
def execution_id(dynoxide_url: str, layout: TableLayout) -> str:
    return tables.with_row(tables.client_of(dynoxide_url), layout)


def losers(answers: list[Execution | StateMachineError]) -> list[type]:
    return [type(answer) for answer in answers if isinstance(answer, StateMachineError)]


def take(store: DynamoStore, execution_id: str, version: int, number: int) -> Execution:
    return lease(store, execution_id, owner=f"racer-{number}", version=version)


def test_a_lease_has_one_winner_in_every_round(store: DynamoStore, pool: ThreadPoolExecutor, execution_id: str) -> None:
    store.start(an_execution(execution_id), replace=False)

    for version in range(1, ROUNDS + 1):
        answers = raced(pool, RACERS, partial(take, store, execution_id, version))

        (won,) = (answer for answer in answers if isinstance(answer, Execution))
        assert losers(answers) == [LeaseHeldError] * (RACERS - 1)
        assert won.lease is not None
        assert store.get(execution_id) == won
        store.save(saved(won, owner=won.lease.owner), owner=won.lease.owner, patch={})


def test_a_run_has_one_starter(store: DynamoStore, pool: ThreadPoolExecutor, execution_id: str) -> None:
    def start(number: int) -> Execution:
        execution = an_execution(execution_id, run_id=f"run-{number}")
        store.start(execution, replace=False)
        return execution

    answers = raced(pool, RACERS, start)

    (won,) = (answer for answer in answers if isinstance(answer, Execution))
    assert losers(answers) == [ExecutionExistsError] * (RACERS - 1)
    assert store.get(execution_id) == won


def test_an_intent_takes_one_operation(store: DynamoStore, pool: ThreadPoolExecutor, execution_id: str) -> None:
    store.start(an_execution(execution_id), replace=False)

    answers = raced(
        pool,
        RACERS,
        lambda number: store.record_fact(
            execution_id, path=ATTEMPT, intent_id="intent-1", operation=f"op-{number}", owner="owner-1"
        ),
    )

    assert [type(answer) for answer in answers if answer is not False] == [IntentNotFoundError] * (RACERS - 1)
    assert store.get(execution_id).revision == 2


def test_a_save_and_cancels_that_meet_leave_one_of_them(
    store: DynamoStore, pool: ThreadPoolExecutor, execution_id: str
) -> None:
    store.start(an_execution(execution_id), replace=False)
    leased = lease(store, execution_id)

    def write(number: int) -> Execution:
        if number == 0:
            execution = saved(leased)
            store.save(execution, owner="owner-1", patch={})
        else:
            execution = leased.changed(version=2, lease=None, last_signal=f"cancel-{number}", due_at=NOW)
            store.signal(execution, patch={})
        return execution

    answers = raced(pool, RACERS, write)

    (won,) = (answer for answer in answers if isinstance(answer, Execution))
    assert set(losers(answers[1:])) == {VersionConflictError}
    assert store.get(execution_id) == won.changed(revision=2)
