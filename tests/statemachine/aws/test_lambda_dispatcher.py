import json

import pytest

from statemachine.aws.lambda_dispatcher import LambdaDispatcher, event_from_payload, lambda_client
from statemachine.dispatcher import Event
from statemachine.errors import DispatchError
from tests.aws_wire import Answer, Silence, Wire

FUNCTION = "arn:aws:lambda:eu-central-1:000000000000:function:ai-video:live"
QUEUED = Answer(202)
THROTTLED = Answer(429, "TooManyRequestsException")


@pytest.fixture
def wired(signed_in: None) -> tuple[LambdaDispatcher, Wire]:
    """A dispatcher, and the wire between it and Lambda."""
    client = lambda_client(region_name="eu-central-1")
    return LambdaDispatcher(client, FUNCTION), Wire(client)


def test_an_event_is_sent_without_waiting_for_the_turn(wired: tuple[LambdaDispatcher, Wire]) -> None:
    dispatcher, wire = wired
    wire.troubles.append(QUEUED)

    dispatcher.dispatch(Event("video/ä", 7))

    (request,) = wire.requests
    assert request.headers["X-Amz-Invocation-Type"] == "Event"
    assert json.loads(request.body) == {"execution_id": "video/ä", "version": 7}
    assert FUNCTION.replace(":", "%3A") in request.url


@pytest.mark.parametrize(
    "refusal",
    [
        THROTTLED,
        Answer(404, "ResourceNotFoundException"),
        Answer(403, "AccessDeniedException"),
        Answer(400, "RecursiveInvocationException"),
        Answer(500, "ServiceException"),
    ],
    ids=lambda refusal: refusal.code,
)
def test_a_refused_event_is_a_failed_dispatch(wired: tuple[LambdaDispatcher, Wire], refusal: Answer) -> None:
    dispatcher, wire = wired
    wire.troubles.extend([refusal, refusal])

    with pytest.raises(DispatchError, match=refusal.code):
        dispatcher.dispatch(Event("video-1", 7))


def test_a_throttled_event_is_tried_only_once_more(wired: tuple[LambdaDispatcher, Wire]) -> None:
    """A thousand jobs that insist would keep each other out; the sweeper comes anyway."""
    dispatcher, wire = wired
    wire.troubles.extend([THROTTLED, THROTTLED, QUEUED])

    with pytest.raises(DispatchError):
        dispatcher.dispatch(Event("video-1", 7))

    assert len(wire.requests) == 2


def test_silence_is_a_failed_dispatch(wired: tuple[LambdaDispatcher, Wire]) -> None:
    dispatcher, wire = wired
    wire.troubles.extend([Silence(is_done=False), Silence(is_done=False)])

    with pytest.raises(DispatchError, match="video-1"):
        dispatcher.dispatch(Event("video-1", 7))


def test_an_answer_that_is_not_accepted_is_a_failed_dispatch(wired: tuple[LambdaDispatcher, Wire]) -> None:
    """200 means that Lambda ran the function and waited for it."""
    dispatcher, wire = wired
    wire.troubles.append(Answer(200))

    with pytest.raises(DispatchError, match="200"):
        dispatcher.dispatch(Event("video-1", 7))


def test_what_was_dispatched_is_read_back() -> None:
    assert event_from_payload({"execution_id": "video-1", "version": 7}) == Event("video-1", 7)


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "video-1",
        [],
        {},
        {"execution_id": "video-1"},
        {"version": 7},
        {"execution_id": "", "version": 7},
        {"execution_id": 1, "version": 7},
        {"execution_id": "video-1", "version": "7"},
        {"execution_id": "video-1", "version": 7.0},
        {"execution_id": "video-1", "version": True},
        {"execution_id": "video-1", "version": 0},
        {"execution_id": "video-1", "version": 7, "httpMethod": "POST"},
    ],
)
def test_anything_else_is_no_event(payload: object) -> None:
    assert event_from_payload(payload) is None
