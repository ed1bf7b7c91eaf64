"""The engine on AWS: `DynamoStore` on a table that exists already, `LambdaDispatcher` by asynchronous self-invocation.

The only part of the engine that imports boto3.
"""

from statemachine.aws.dynamodb_store import DynamoStore, dynamodb_client
from statemachine.aws.lambda_dispatcher import LambdaDispatcher, event_from_payload, lambda_client
from statemachine.aws.table_layout import TableLayout

__all__ = [
    "DynamoStore",
    "LambdaDispatcher",
    "TableLayout",
    "dynamodb_client",
    "event_from_payload",
    "lambda_client",
]
