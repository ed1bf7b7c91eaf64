"""Answers and requests as all of Google's APIs have them."""

import json
from collections.abc import Callable, Mapping

from pydantic import JsonValue
from werkzeug.wrappers import Request, Response

from tests.simulators.scenario import Answer, Place, Subject

# google.rpc codes and names by HTTP status (google/rpc/code.proto).
STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

MESSAGES = {
    500: "Internal error encountered.",
    503: "The service is currently unavailable.",
    504: "Deadline expired before operation could complete.",
}


def json_answer(body: Mapping[str, JsonValue], status: int = 200) -> Response:
    """An answer in JSON."""
    return Response(json.dumps(body), status, mimetype="application/json")


def error_answer(status: int, message: str, *details: JsonValue) -> Response:
    """An error as google.rpc.Status in JSON."""
    error: dict[str, JsonValue] = {
        "code": status,
        "message": message,
        "status": STATUS_NAMES.get(status, "UNKNOWN"),
    }
    if details:
        error["details"] = list(details)
    return json_answer({"error": error}, status)


def error_reason(reason: str) -> JsonValue:
    """The detail of an error that says why in one word."""
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": {"service": "aiplatform.googleapis.com"},
    }


def unauthenticated(reason: str) -> Response:
    """The answer to a request whose token is missing or not accepted."""
    return error_answer(
        401,
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
        error_reason(reason),
    )


def usual_fault(answer: Answer) -> Response:
    """The error body for a status that no API has one of its own for; 502 comes from the front end, in HTML."""
    if answer.status == 502:
        page = "<!DOCTYPE html><title>Error 502 (Server Error)!!1</title><p>The server encountered a temporary error."
        return Response(page, 502, mimetype="text/html")
    if answer.status == 401:
        return unauthenticated(answer.reason or "ACCESS_TOKEN_EXPIRED")
    return error_answer(answer.status, answer.reason or MESSAGES.get(answer.status, "The request failed."))


def json_object(request: Request) -> dict[str, JsonValue]:
    """The JSON object of the body; an empty one where there is none."""
    try:
        body = json.loads(request.get_data(as_text=True) or "{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def at(place: Place | None) -> Callable[[Request], Place | None]:
    """A route's place that does not depend on the request."""
    return lambda _: place


def about_nothing(request: Request, **_: str) -> Subject:
    """A route's subject where there is none."""
    return Subject()
