import json
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from statemachine import TransientError
from tests.mocked_aws import mock_aws
from worker.after_work import Completion
from worker.providers.aws_notifiers import EventBridgeNotifier, TopicNotifier, events_client, topic_client

COMPLETION = Completion(
    "video-1:9",
    "ai_video.completed",
    datetime(2026, 11, 22, 12, 0, tzinfo=UTC),
    {"videoId": "video-1", "status": "completed"},
)


class FakeClient:
    """Keeps what it is sent, and answers or raises what it is told."""

    def __init__(self, answer: dict[str, Any] | Exception) -> None:
        self.answer = answer
        self.requests: list[dict[str, Any]] = []

    def put_events(self, **request: Any) -> Any:  # noqa: ANN401  as boto3
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    publish = put_events


def test_an_event_stands_on_the_bus_with_its_kind_and_id() -> None:
    client = FakeClient({"FailedEntryCount": 0})

    EventBridgeNotifier(client, bus="platform").send(COMPLETION)

    ((entry,),) = [request["Entries"] for request in client.requests]
    assert (entry["EventBusName"], entry["Source"], entry["DetailType"]) == (
        "platform",
        "ai-video",
        "ai_video.completed",
    )
    assert json.loads(entry["Detail"])["id"] == "video-1:9"
    assert entry["Time"] == COMPLETION.occurred_at


def test_an_event_that_the_bus_refuses_in_its_answer_is_sent_again_later() -> None:
    """EventBridge answers 200 to a request whose one entry it threw away."""
    client = FakeClient({"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]})

    with pytest.raises(TransientError, match="ThrottlingException"):
        EventBridgeNotifier(client, bus="platform").send(COMPLETION)


@pytest.mark.parametrize("kind", ["bus", "topic"])
def test_a_service_out_of_reach_is_asked_again_later(kind: str) -> None:
    client = FakeClient(EndpointConnectionError(endpoint_url="https://events"))
    notifier = EventBridgeNotifier(client, bus="b") if kind == "bus" else TopicNotifier(client, topic_arn="t")

    with pytest.raises(TransientError, match="video-1:9"):
        notifier.send(COMPLETION)


def test_a_message_carries_kind_and_id_where_a_subscription_can_filter() -> None:
    client = FakeClient({})

    TopicNotifier(client, topic_arn="arn:aws:sns:eu-central-1:1:topic").send(COMPLETION)

    (request,) = client.requests
    assert request["TopicArn"] == "arn:aws:sns:eu-central-1:1:topic"
    assert request["MessageAttributes"]["type"]["StringValue"] == "ai_video.completed"
    assert json.loads(request["Message"])["videoId"] == "video-1"


def test_the_clients_are_of_the_services_that_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with mock_aws():
        assert callable(events_client().put_events)
        assert callable(topic_client().publish)
