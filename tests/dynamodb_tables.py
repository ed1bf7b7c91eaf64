"""Tables as the platform has them, in whatever speaks DynamoDB, and rows of the old platform in them."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from mypy_boto3_dynamodb import DynamoDBClient

from statemachine.aws.table_layout import TableLayout

ONE_PART = TableLayout()
TWO_PARTS = TableLayout(partition_key="user_id", sort_key="uploaded_at", sort_key_type="N")

# What no operation of the engine may touch: every type, and names that look like ours.
FOREIGN: Mapping[str, Any] = {
    "title": {"S": "Grüße aus dem Süden, 1.0"},
    "duration": {"N": "754.25"},
    "views": {"N": "0"},
    "is_public": {"BOOL": False},
    "deleted_at": {"NULL": True},
    "thumbnail": {"B": b"\x00\xff\xd8"},
    "tags": {"SS": ["one", "two"]},
    "sizes": {"NS": ["1", "2.5"]},
    "parts": {"L": [{"S": ""}, {"M": {}}, {"L": []}]},
    "ai_notes": {"M": {"ai_execution": {"S": "not the engine's"}}},
}


def client_of(endpoint_url: str | None, *, max_connections: int = 10) -> DynamoDBClient:
    """A client with room for what only tests do: creating tables, reading rows whole.  No endpoint: moto answers."""
    return _session().client(
        "dynamodb",
        region_name="eu-central-1",
        endpoint_url=endpoint_url,
        config=Config(max_pool_connections=max_connections, proxies={}, retries={"total_max_attempts": 1}),
    )


def created(client: DynamoDBClient, layout: TableLayout, *, copies_everything: bool = False) -> TableLayout:
    """Create the table and its due index; `copies_everything` adds an index that projects all attributes."""
    types: dict[str, Any] = {layout.partition_key: layout.partition_key_type, "owner": "S"}
    if layout.sort_key is not None:
        types[layout.sort_key] = layout.sort_key_type
    indexes: list[Any] = []
    if layout.index_name is not None:
        types |= {layout.due_shard: "S", layout.due_at: "N"}
        indexes.append(
            {
                "IndexName": layout.index_name,
                "KeySchema": _key_schema(layout.due_shard, layout.due_at),
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": [layout.version]},
            }
        )
    if copies_everything:
        indexes.append(
            {"IndexName": "by_owner", "KeySchema": _key_schema("owner"), "Projection": {"ProjectionType": "ALL"}}
        )
    else:
        del types["owner"]  # DynamoDB refuses to be told of an attribute that no key uses
    definitions: list[Any] = [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]
    table: dict[str, Any] = {
        "TableName": layout.table_name,
        "KeySchema": _key_schema(*layout.key_names),
        "AttributeDefinitions": definitions,
        "BillingMode": "PAY_PER_REQUEST",
    }
    if indexes:  # an empty list is refused
        table["GlobalSecondaryIndexes"] = indexes
    client.create_table(**table)
    return layout


def with_row(client: DynamoDBClient, layout: TableLayout, number: int = 1) -> str:
    """Put a row of the old platform; return the id that an execution on it has."""
    execution_id = id_of(layout, number)
    client.put_item(TableName=layout.table_name, Item={**FOREIGN, **key_of(layout, execution_id)})
    return execution_id


def id_of(layout: TableLayout, number: int) -> str:
    """The id of an execution on the row with this number."""
    if layout.sort_key is None:
        return layout.execution_id(f"video-{number}")
    return layout.execution_id(f"user/{number % 3} 100%", f"{1_700_000_000 + number}.5")


def key_of(layout: TableLayout, execution_id: str) -> Mapping[str, Any]:
    """The key of a row, of which it is known that it can exist."""
    key = layout.key(execution_id)
    assert key is not None
    return key


def row(client: DynamoDBClient, layout: TableLayout, execution_id: str) -> dict[str, Any]:
    """The whole row as stored."""
    key = key_of(layout, execution_id)
    return dict(client.get_item(TableName=layout.table_name, Key=key, ConsistentRead=True)["Item"])


def named(layout: TableLayout, name: str) -> TableLayout:
    """The same layout on another table."""
    return replace(layout, table_name=name)


@cache
def _session() -> boto3.Session:
    """One for all tests: a new one would read what DynamoDB can do from the disk again, 0.1 s each."""
    return boto3.Session(aws_access_key_id="none", aws_secret_access_key="none")  # noqa: S106  nobody checks it


def _key_schema(*names: str) -> list[Any]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)]
