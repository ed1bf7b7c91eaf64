"""Rows that are carried from one table to another; what an operator sees of it is in tests/worker/local."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from statemachine import Execution
from statemachine.aws.table_layout import TableLayout
from statemachine.errors import ExecutionNotFoundError, VersionConflictError
from tests.dynamodb_tables import FOREIGN, ONE_PART, TWO_PARTS, client_of, created, key_of, named, row, with_row
from tests.mocked_aws import mock_aws
from tests.worker.fakes import planned_job_data
from worker.providers.dynamodb_jobs import DynamoJobs

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


@dataclass
class Pair:
    """A table and the one that was restored from it."""

    old: DynamoJobs
    new: DynamoJobs

    def begin(self, store: DynamoJobs, **changed: Any) -> Execution:  # noqa: ANN401  fields of an execution
        """A job on the first row of a table."""
        execution = Execution(
            execution_id=with_row(client_of(None), store.layout),
            machine="ai-video",
            graph="graph",
            state="rendering",
            status="processing",
            run_id="run-1",
            started_at=NOW,
            entered_at=NOW,
            updated_at=NOW,
            due_at=NOW,
            data={**planned_job_data(), "fraction": 0.1},
            **changed,
        )
        store.start(execution, replace=False)
        return execution

    def carry(self, job: Execution, *, over: Execution | None) -> None:
        self.new.carry(job, self.old.row(job.execution_id), over=over)


@pytest.fixture(params=[ONE_PART, TWO_PARTS], ids=["one part", "two parts"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    layout: TableLayout = request.param
    with mock_aws():
        client = client_of(None)
        old, new = (created(client, named(layout, name)) for name in ("old", "new"))
        yield Pair(DynamoJobs(client, layout=old), DynamoJobs(client, layout=new))


def test_a_carried_job_stands_as_it_stood_and_is_due_there(pair: Pair) -> None:
    further, before = pair.begin(pair.old, version=9, revision=14), pair.begin(pair.new, version=4, revision=5)

    pair.carry(further, over=before)

    new, old = (row(client_of(None), jobs.layout, further.execution_id) for jobs in (pair.new, pair.old))
    assert new == old
    assert [(due.execution_id, due.version) for due in pair.new.due(NOW, limit=2)] == [(further.execution_id, 9)]


def test_carrying_again_after_a_lost_answer_is_no_conflict(pair: Pair) -> None:
    further, before = pair.begin(pair.old, version=9, revision=14), pair.begin(pair.new, version=4, revision=5)

    pair.carry(further, over=before)
    pair.carry(further, over=before)

    assert pair.new.get(further.execution_id) == further


@pytest.mark.parametrize("changed", [{"version": 5}, {"revision": 6}, {"run_id": "run-0"}, None])
def test_what_was_written_since_it_was_read_is_not_overwritten(pair: Pair, changed: dict[str, Any] | None) -> None:
    further, before = pair.begin(pair.old, version=9, revision=14), pair.begin(pair.new, version=4, revision=5)
    read = None if changed is None else replace(before, **changed)

    with pytest.raises(VersionConflictError):
        pair.carry(further, over=read)

    assert pair.new.get(further.execution_id) == before


def test_a_row_that_is_not_there_is_not_made(pair: Pair) -> None:
    job = pair.begin(pair.old)

    with pytest.raises(ExecutionNotFoundError):
        pair.carry(job, over=None)

    key = key_of(pair.new.layout, job.execution_id)
    assert "Item" not in client_of(None).get_item(TableName="new", Key=key)


def test_a_job_is_put_on_a_row_that_has_none_beside_what_stands_there(pair: Pair) -> None:
    job = pair.begin(pair.old)
    with_row(client_of(None), pair.new.layout)

    pair.carry(job, over=None)

    assert pair.new.get(job.execution_id) == job
    assert row(client_of(None), pair.new.layout, job.execution_id).items() >= FOREIGN.items()
