"""Tables for the tests of the AWS adapters: both key shapes, on dynoxide, or on moto where that is not installed.

moto writes through a path that leads into no map, and keeps what it refused for its size; tests of such things ask for
`dynoxide_client`, and are skipped without it.
"""

import itertools
from collections.abc import Iterator

import boto3
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from statemachine.aws.dynamodb_store import DynamoStore
from statemachine.aws.table_layout import TableLayout
from tests import dynamodb_tables as tables
from tests import dynoxide
from tests.mocked_aws import mock_aws


@pytest.fixture
def own_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 keeps a session with the first credentials it finds: not those of another test."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.fixture
def signed_in(monkeypatch: pytest.MonkeyPatch, own_session: None) -> None:
    """Credentials that nobody checks, for clients made as the worker makes them; pauses between tries take no time."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)


@pytest.fixture(scope="session")
def table_names() -> Iterator[str]:
    """Names that no other test has had: one server serves them all."""
    return (f"video_metadata_{number}" for number in itertools.count())


@pytest.fixture
def dynoxide_client(dynoxide_url: str) -> DynamoDBClient:
    """A client of dynoxide."""
    return tables.client_of(dynoxide_url)


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Iterator[DynamoDBClient]:
    """A client of dynoxide, or of moto in this process."""
    if dynoxide.BINARY.exists():
        yield request.getfixturevalue("dynoxide_client")
        return
    with mock_aws():
        yield tables.client_of(None)


@pytest.fixture(params=[tables.ONE_PART, tables.TWO_PARTS], ids=["one_part_key", "two_part_key"])
def layout(request: pytest.FixtureRequest, client: DynamoDBClient, table_names: Iterator[str]) -> TableLayout:
    """The layout of an empty table of each key shape in turn."""
    return tables.created(client, tables.named(request.param, next(table_names)))


@pytest.fixture
def store(client: DynamoDBClient, layout: TableLayout) -> DynamoStore:
    """A store on that table."""
    return DynamoStore(client, layout=layout)


@pytest.fixture
def execution_id(client: DynamoDBClient, layout: TableLayout) -> str:
    """The id of an execution on an old row."""
    return tables.with_row(client, layout)
