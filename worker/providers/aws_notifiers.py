"""Completion events by EventBridge and by SNS."""

import json
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from statemachine.errors import TransientError
from worker.after_work import Completion

SOURCE = "ai-video"

_CONFIG = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})


class EventsClient(Protocol):
    """What is used of boto3's client for EventBridge."""

    def put_events(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  boto3 makes its methods at run time
        """Send events."""


class TopicClient(Protocol):
    """What is used of boto3's client for SNS."""

    def publish(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as above
        """Send a message."""


def events_client() -> EventsClient:
    """A client for EventBridge; credentials and region come from the environment."""
    return boto3.client("events", config=_CONFIG)  # type: ignore[no-any-return]  # no stubs of it are installed


def topic_client() -> TopicClient:
    """A client for SNS; credentials and region come from the environment."""
    return boto3.client("sns", config=_CONFIG)  # type: ignore[no-any-return]  # as above


class EventBridgeNotifier:
    """Puts events on a bus, source `ai-video`, their kind as detail type."""

    name = "bus"

    def __init__(self, client: EventsClient, *, bus: str) -> None:
        self._client = client
        self._bus = bus

    def send(self, completion: Completion) -> None:
        """See `Notifier`."""
        entry = {
            "EventBusName": self._bus,
            "Source": SOURCE,
            "DetailType": completion.kind,
            "Time": completion.occurred_at,
            "Detail": json.dumps(completion.as_json()),
        }
        try:
            answer = self._client.put_events(Entries=[entry])
        except (ClientError, BotoCoreError) as error:
            raise _not_sent(completion, f"bus {self._bus}", error) from error
        if answer.get("FailedEntryCount"):  # the request succeeds all the same
            raise _not_sent(completion, f"bus {self._bus}", answer["Entries"][0].get("ErrorCode"))


class TopicNotifier:
    """Publishes to a topic; `type` and `id` stand as attributes too, for subscriptions that filter."""

    name = "topic"

    def __init__(self, client: TopicClient, *, topic_arn: str) -> None:
        self._client = client
        self._topic_arn = topic_arn

    def send(self, completion: Completion) -> None:
        """See `Notifier`."""
        try:
            self._client.publish(
                TopicArn=self._topic_arn,
                Message=json.dumps(completion.as_json()),
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value}
                    for name, value in (("type", completion.kind), ("id", completion.notice_id))
                },
            )
        except (ClientError, BotoCoreError) as error:
            raise _not_sent(completion, f"topic {self._topic_arn}", error) from error


def _not_sent(completion: Completion, where: str, why: object) -> TransientError:
    return TransientError(
        "NOTICE_NOT_SENT", f"{completion.kind} {completion.notice_id} was not taken by {where}: {why}"
    )
