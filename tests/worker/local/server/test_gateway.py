import base64
from typing import Any

import pytest
from starlette.requests import Request

from worker.handlers.api.identity import caller_of
from worker.local.server.gateway import event_of, response_of
from worker.local.server.sessions import USERS


def request(*, query: bytes = b"", headers: tuple[tuple[bytes, bytes], ...] = ()) -> Request:
    return Request(
        {
            "type": "http",
            "method": "POST",
            "path": "/api/ai-video",
            "query_string": query,
            "headers": [(b"host", b"localhost:8080"), *headers],
            "client": ("127.0.0.1", 40000),
            "scheme": "http",
            "server": ("127.0.0.1", 8080),
        }
    )


def event(body: bytes = b"", *, user: str | None = "ada", **asked: Any) -> dict[str, Any]:  # noqa: ANN401  passed on
    who = None if user is None else USERS[user]
    return event_of(request(**asked), path="/api/ai-video", body=body, user=who)


def test_the_handler_finds_the_method_the_path_and_the_caller() -> None:
    made = event()

    assert (made["version"], made["rawPath"]) == ("2.0", "/api/ai-video")
    assert made["requestContext"]["http"]["method"] == "POST"
    assert caller_of(made, operators_group="operators").user_id == "ada"


def test_without_a_user_there_are_no_claims() -> None:
    assert "authorizer" not in event(user=None)["requestContext"]


def test_what_is_sent_several_times_is_joined_as_the_gateway_joins_it() -> None:
    headers = ((b"if-none-match", b'"1"'), (b"if-none-match", b'"2"'))

    made = event(query=b"videoId=a&videoId=b&x=", headers=headers)

    assert made["headers"]["if-none-match"] == '"1","2"'
    assert made["queryStringParameters"] == {"videoId": "a,b", "x": ""}


@pytest.mark.parametrize(("body", "is_binary"), [(b'{"a": "\xc3\xa9"}', False), (b"\xff\xfe", True)])
def test_a_body_that_is_no_text_is_encoded(body: bytes, is_binary: bool) -> None:  # noqa: FBT001  # parametrize
    made = event(body)

    assert made["isBase64Encoded"] is is_binary
    assert (base64.b64decode(made["body"]) if is_binary else made["body"].encode()) == body


def test_a_request_without_a_body_makes_an_event_without_one() -> None:
    assert "body" not in event()


def test_the_answer_is_given_back_as_it_is() -> None:
    response = response_of(
        {"statusCode": 202, "headers": {"Location": "/x", "Content-Type": "application/json"}, "body": "{}"}
    )

    assert (response.status_code, response.body) == (202, b"{}")
    assert response.headers["location"] == "/x"
    assert response.headers["content-type"] == "application/json"


def test_an_encoded_answer_is_decoded() -> None:
    answer = {"statusCode": 200, "body": base64.b64encode(b"\xff").decode(), "isBase64Encoded": True}

    assert response_of(answer).body == b"\xff"
