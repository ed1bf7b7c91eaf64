"""LambdaDispatcher: asks for the next turn by invoking the function asynchronously, usually the one that is running.

The payload of an invocation is `{"execution_id": …, "version": …}`, nothing else.
"""

import json
from collections.abc import Mapping
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from statemachine.dispatcher import Event
from statemachine.errors import DispatchError

# Lambda answers an asynchronous invocation as soon as the event is queued.  Whoever dispatches is running out of time
# itself, and what is not dispatched is due all the same: one more try, then the sweeper.
CONNECT_TIMEOUT_SECONDS = 1
READ_TIMEOUT_SECONDS = 3
ATTEMPTS = 2

# What Lambda answers when the event is queued.  (AWS Lambda API reference, Invoke, read 2026-11-22)
ACCEPTED = 202

# A number that no store can keep is no version; SQLite's are the smallest.
LARGEST_VERSION = 2**63 - 1


class LambdaClient(Protocol):
    """What this dispatcher uses of boto3's client; `lambda_client` makes one."""

    def invoke(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  boto3 makes its methods at run time
        """Invoke a function."""


def lambda_client(
    *, region_name: str | None = None, endpoint_url: str | None = None, max_connections: int = 10
) -> LambdaClient:
    """A client that gives up soon; credentials and region come from the environment."""
    return boto3.client(
        "lambda",
        region_name=region_name,
        endpoint_url=endpoint_url,
        config=Config(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=max_connections,
        ),
    )


class LambdaDispatcher:
    """Delivers events to `function_name` (a name, or an ARN with or without qualifier)."""

    def __init__(self, client: LambdaClient, function_name: str) -> None:
        self._client = client
        self._function_name = function_name

    def dispatch(self, event: Event) -> None:
        """Ask for a turn and return without waiting for it.

        Raises:
            DispatchError: throttled, not allowed, unreachable.  The event may have been queued all the same; a second
                one does nothing.
        """
        try:
            answer = self._client.invoke(
                FunctionName=self._function_name,
                InvocationType="Event",
                Payload=json.dumps({"execution_id": event.execution_id, "version": event.version}).encode(),
            )
        except (ClientError, BotoCoreError) as error:
            raise DispatchError(
                f"version {event.version} of {event.execution_id!r} was not handed to function "
                f"{self._function_name!r}: {error}"
            ) from error
        if answer["StatusCode"] != ACCEPTED:
            raise DispatchError(
                f"function {self._function_name!r} answered {answer['StatusCode']} to version {event.version} of "
                f"{event.execution_id!r}, not {ACCEPTED}"
            )


def event_from_payload(payload: object) -> Event | None:
    """The event in the payload of an invocation, or None when it is not one that this dispatcher sends."""
    if not isinstance(payload, Mapping) or set(payload) != {"execution_id", "version"}:
        return None
    execution_id, version = payload["execution_id"], payload["version"]
    if not isinstance(execution_id, str) or not execution_id:
        return None
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= LARGEST_VERSION:
        return None
    return Event(execution_id, version)
