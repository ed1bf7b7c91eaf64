"""What every sharing of a quota promises, and what is DynamoDB's alone."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import boto3
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from statemachine import PermanentError, TransientError
from statemachine.aws.dynamodb_store import dynamodb_client
from statemachine.aws.table_layout import TableLayout
from tests import dynamodb_tables as tables
from tests.aws_wire import Answer, Wire
from tests.mocked_aws import mock_aws
from tests.worker.fakes import FAKE_MODEL, NOON
from worker import quota as ledgers
from worker.models import VEO_3_1_FAST
from worker.ports import Granted, SubmissionQuota
from worker.providers.dynamodb_quota import DynamoQuota
from worker.providers.memory_quota import MemoryQuota

MODEL = replace(VEO_3_1_FAST, per_minute=10)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[DynamoDBClient]:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with mock_aws():
        yield tables.client_of(None)


@pytest.fixture(params=[tables.ONE_PART, tables.TWO_PARTS], ids=["one_part_key", "two_part_key"])
def layout(request: pytest.FixtureRequest, client: DynamoDBClient) -> TableLayout:
    return tables.created(client, request.param)


@pytest.fixture(params=[None, tables.ONE_PART, tables.TWO_PARTS], ids=["memory", "one_part_key", "two_part_key"])
def quota(request: pytest.FixtureRequest, client: DynamoDBClient) -> SubmissionQuota:
    if request.param is None:
        return MemoryQuota()
    return DynamoQuota(client, layout=tables.created(client, request.param))


def test_tokens_are_granted_up_to_the_minutes_limit(quota: SubmissionQuota) -> None:
    first = quota.take(MODEL, owner_id="ada", job_id="a", wanted=8, now=NOON)
    second = quota.take(MODEL, owner_id="ada", job_id="a", wanted=8, now=NOON + timedelta(seconds=1))

    assert first == Granted(8, timedelta(0))
    assert second.count == 2
    assert timedelta(seconds=58) < second.retry_after < timedelta(seconds=62)


def test_coming_back_in_time_gets_the_rest(quota: SubmissionQuota) -> None:
    first = quota.take(MODEL, owner_id="ada", job_id="a", wanted=15, now=NOON)
    again = quota.take(MODEL, owner_id="ada", job_id="a", wanted=5, now=NOON + first.retry_after)

    assert (first.count, again) == (10, Granted(5, timedelta(0)))


def test_models_do_not_share_their_minutes(quota: SubmissionQuota) -> None:
    quota.take(MODEL, owner_id="ada", job_id="a", wanted=10, now=NOON)

    other = quota.take(replace(MODEL, name="another"), owner_id="ada", job_id="a", wanted=10, now=NOON)

    assert other.count == 10


def test_a_model_without_a_limit_is_never_waited_for(quota: SubmissionQuota) -> None:
    assert quota.take(FAKE_MODEL, owner_id="ada", job_id="a", wanted=500, now=NOON) == Granted(500, timedelta(0))


def test_a_job_that_finds_no_place_costs_no_write(
    client: DynamoDBClient, layout: TableLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "MOST_PLACES_EACH", 1)
    wire, quota = Wire(client), DynamoQuota(client, layout=layout)
    for job in ("a", "b"):
        quota.take(MODEL, owner_id="ada", job_id=job, wanted=10, now=NOON)
    before = len(wire.operations)

    turned_away = quota.take(MODEL, owner_id="ada", job_id="c", wanted=10, now=NOON)

    assert turned_away.count == 0
    assert wire.operations[before:] == ["GetItem"]


def test_a_take_is_one_read_and_one_conditional_write(client: DynamoDBClient, layout: TableLayout) -> None:
    wire, quota = Wire(client), DynamoQuota(client, layout=layout)

    quota.take(MODEL, owner_id="ada", job_id="a", wanted=1, now=NOON)
    quota.take(MODEL, owner_id="ada", job_id="a", wanted=1, now=NOON)

    assert wire.operations == ["GetItem", "UpdateItem"] * 2


def test_the_row_stands_under_a_reserved_key_without_the_platforms_attributes(
    client: DynamoDBClient, layout: TableLayout
) -> None:
    DynamoQuota(client, layout=layout).take(MODEL, owner_id="ada", job_id="a", wanted=1, now=NOON)

    (item,) = client.scan(TableName=layout.table_name)["Items"]
    assert item[layout.partition_key] == {"S": f"ai#quota#{MODEL.name}"}
    assert set(item) - set(layout.key_names) == {"ai_quota_ledger", "ai_quota_revision", "ai_quota_writer"}
    assert "ada" not in str(item), "who uses the platform is nobody's business here"


def test_who_writes_second_begins_anew_with_what_the_first_left(client: DynamoDBClient, layout: TableLayout) -> None:
    mine, theirs = DynamoQuota(client, layout=layout), DynamoQuota(client, layout=layout)
    others = iter(["b", "c"])

    def somebody_else_first(**_: object) -> None:
        for job in others:
            theirs.take(MODEL, owner_id="bob", job_id=job, wanted=3, now=NOON)
            return

    client.meta.events.register_first("provide-client-params.dynamodb.UpdateItem", somebody_else_first)

    granted = mine.take(MODEL, owner_id="ada", job_id="a", wanted=10, now=NOON)

    assert granted.count == 4


def test_a_write_whose_answer_was_lost_and_that_was_repeated_takes_its_tokens_once(
    layout: TableLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    client = dynamodb_client(region_name="eu-central-1")
    wire, quota = Wire(client), DynamoQuota(client, layout=layout)
    wire.troubles.extend([None, Answer(500, "InternalServerError")])  # which moto has done all the same

    first = quota.take(MODEL, owner_id="ada", job_id="a", wanted=4, now=NOON)
    left = quota.take(MODEL, owner_id="ada", job_id="a", wanted=10, now=NOON)

    assert wire.operations[:3] == ["GetItem", "UpdateItem", "UpdateItem"]
    assert (first.count, left.count) == (4, 6)


@pytest.mark.parametrize("at", [0, 1], ids=["read", "write"])
def test_a_table_that_is_throttled_is_asked_again_later(client: DynamoDBClient, layout: TableLayout, at: int) -> None:
    wire, quota = Wire(client), DynamoQuota(client, layout=layout)
    wire.troubles.extend([None] * at + [Answer(400, "ThrottlingException")])

    with pytest.raises(TransientError):
        quota.take(MODEL, owner_id="ada", job_id="a", wanted=1, now=NOON)


def test_a_table_whose_keys_are_numbers_has_no_place_for_the_row(client: DynamoDBClient) -> None:
    with pytest.raises(PermanentError, match="number as partition key"):
        DynamoQuota(client, layout=TableLayout(partition_key_type="N"))
