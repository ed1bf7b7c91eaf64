"""Whatever the function is invoked with, it answers; an exception would be repeated, or be an alarm about nothing."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from statemachine.aws.dynamodb_store import DynamoStore
from statemachine.aws.lambda_dispatcher import event_from_payload
from statemachine.memory import MemoryDispatcher
from statemachine.sweeper import Sweeper
from statemachine.testing import VirtualClock
from tests.dynamodb_tables import ONE_PART, client_of, created
from tests.fuzz.documents import ANY_JSON, fuzzed, nearly
from tests.mocked_aws import mock_aws
from tests.worker.handlers.api.desk import ADA, KEY, Desk, http_event, rest_event
from worker import lambda_function

SCHEDULE = {"source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": {}}
TURN = {"execution_id": "video-1", "version": 1}
POST = json.dumps({"videoId": "video-1", "options": {"style": "noir", "maxScenes": 3}, "action": "start"})
CLAIMS = {"sub": ADA, "cognito:groups": "[operators]"}
REST = rest_event(
    "POST", "/ai-video", CLAIMS, {"videoId": "video-1"}, POST, {"Idempotency-Key": "k", "If-None-Match": "*"}
)
HTTP = http_event("GET", "/ai-video", CLAIMS, {"videoId": "video-1"}, None, {"If-None-Match": 'W/"1"'})


class Context:
    """An invocation."""

    def get_remaining_time_in_millis(self) -> int:
        return 840_000


class FuzzedWorker:
    """The function's parts, over moto's DynamoDB and the API's desk."""

    def __init__(self) -> None:
        clock = VirtualClock(datetime(2026, 11, 22, tzinfo=UTC))
        self.desk = Desk()
        store = DynamoStore(client_of(None))
        self.engine = self.desk.engine_on(store)
        self.sweeper = Sweeper(store=store, dispatcher=MemoryDispatcher(), clock=clock)
        self.settings = type("Settings", (), {"due_index": "ai_due"})()


@pytest.fixture(scope="module")
def _worker() -> Iterator[FuzzedWorker]:
    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        created(client_of(None), ONE_PART)
        client_of(None).put_item(TableName=ONE_PART.table_name, Item={"video_id": {"S": "video-1"}})
        worker = FuzzedWorker()
        patch.setattr(lambda_function, "worker", lambda: worker)
        patch.setattr(lambda_function, "foundation", lambda: worker)
        patch.setattr(lambda_function, "engine", lambda: worker.engine)
        patch.setattr(lambda_function, "api", lambda: worker.desk.api)
        yield worker


@given(event=ANY_JSON | nearly(SCHEDULE) | nearly(TURN) | nearly(REST) | nearly(HTTP))
@example(event=[])
@example(event=None)
@example(event={"execution_id": "video-1", "version": 10**400})
@example(event={"execution_id": "\ud800", "version": 1})
@example(event={"execution_id": "x" * 5000, "version": 1})
@fuzzed
@pytest.mark.usefixtures("_worker")
def test_every_event_has_an_answer_that_lambda_can_hand_on(event: Any) -> None:  # noqa: ANN401  any JSON
    answer = lambda_function.handler(event, Context())

    assert json.loads(json.dumps(answer)) == answer
    is_http = isinstance(event, dict) and lambda_function.is_api_request(event)
    assert ("statusCode" in answer) == is_http
    if is_http:
        assert 200 <= answer["statusCode"] < 600


@given(request=st.one_of(nearly(REST), nearly(HTTP)).filter(lambda event: isinstance(event, dict)))
@fuzzed
def test_no_request_makes_the_api_fail_or_tell_how_it_is_built(request: dict[str, Any]) -> None:
    if not lambda_function.is_api_request(request):
        return
    desk = Desk()

    answer = desk.api.answer(request)

    assert isinstance(answer["statusCode"], int)
    assert "Traceback" not in str(answer.get("body"))
    assert KEY not in str(answer.get("headers"))


@given(body=nearly(json.loads(POST)))
@fuzzed
def test_no_body_is_the_servers_fault(body: Any) -> None:  # noqa: ANN401  any JSON
    desk = Desk()

    answer = desk.post(json.dumps(body))

    assert answer.status < 500
    if answer.status >= 400:
        assert desk.get().body["code"] == "JOB_NOT_FOUND"


@given(payload=ANY_JSON | nearly(TURN))
@fuzzed
def test_a_payload_is_a_turn_only_with_an_id_and_a_version(payload: Any) -> None:  # noqa: ANN401  any JSON
    event = event_from_payload(payload)

    if event is not None:
        assert payload == {"execution_id": event.execution_id, "version": event.version}
        assert event.version >= 1
