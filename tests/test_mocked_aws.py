import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests import dynamodb_tables as tables
from tests.mocked_aws import mock_aws

THREADS = 8
ROUNDS = 20


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns at almost every step."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("restless")
def test_writes_to_one_row_from_many_threads_all_arrive() -> None:
    with mock_aws():
        client = tables.client_of(None)
        layout = tables.created(client, tables.ONE_PART)
        key = {"video_id": {"S": "video-1"}}

        def add(_: int) -> None:
            client.update_item(
                TableName=layout.table_name,
                Key=key,
                UpdateExpression="ADD written :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )

        client.put_item(TableName=layout.table_name, Item=key)
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(add, range(THREADS * ROUNDS)))
        row = client.get_item(TableName=layout.table_name, Key=key)["Item"]
    assert row["written"] == {"N": str(THREADS * ROUNDS)}
