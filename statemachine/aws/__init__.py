"""The engine on AWS: `DynamoStore` on a table that exists already, `LambdaDispatcher` by asynchronous self-invocation.

The only part of the engine that imports boto3.
"""

from statemachine.aws.dynamodb_store import DynamoStore, dynamodb_client
from statemachine.aws.table_layout import TableLayout

__all__ = [
    "DynamoStore",
    "TableLayout",
    "dynamodb_client",
]
