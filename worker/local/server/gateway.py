"""What API Gateway does in front of the handler: a request becomes an event, and the handler's answer a response."""

import base64
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from worker.handlers.api.problems import CONTENT_TYPE, ProblemError
from worker.local.server.sessions import User

# As an HTTP API takes them.  (API Gateway quotas, read 2026-11-22)
MAX_BODY_BYTES = 10 * 2**20


async def body_of(request: Request, *, at_most: int) -> bytes:
    """The body, read no further than allowed.

    Raises:
        ProblemError: BODY_TOO_LARGE.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > at_most:
            raise ProblemError("BODY_TOO_LARGE", f"a body has at most {at_most} bytes")
    return bytes(body)


def event_of(request: Request, *, path: str, body: bytes, user: User | None) -> dict[str, Any]:
    """The request as an HTTP API with a JWT authorizer sends it (payload 2.0).

    Without a user there are no claims, as on a route without authorizer: then the handler itself refuses.
    """
    text, is_binary = _text_of(body)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": f"{request.method} {path}",
        "rawPath": path,
        "rawQueryString": request.url.query,
        "headers": _joined(request.headers.items()),
        "queryStringParameters": _joined(request.query_params.multi_items()),
        "requestContext": {
            "stage": "$default",
            "requestId": str(uuid.uuid4()),
            "http": {
                "method": request.method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.client.host if request.client else "",
                "userAgent": request.headers.get("user-agent", ""),
            },
        },
        "isBase64Encoded": is_binary,
    }
    if user is not None:
        event["requestContext"]["authorizer"] = {"jwt": {"claims": {"sub": user.id}, "scopes": None}}
    if body:
        event["body"] = text
    return event


def response_of(answer: Mapping[str, Any]) -> Response:
    """The handler's answer, unchanged."""
    body: str = answer.get("body") or ""
    content = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
    return Response(content, status_code=answer["statusCode"], headers=dict(answer.get("headers") or {}))


def refusal(problem: ProblemError) -> Response:
    """A problem of the server's own, in the form of the API's."""
    return JSONResponse(
        problem.as_json(),
        status_code=problem.status,
        headers={"Cache-Control": "no-store", **problem.headers},
        media_type=CONTENT_TYPE,
    )


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What stands there several times is one value with commas, as the gateway gives it."""
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _text_of(body: bytes) -> tuple[str, bool]:
    """The body as it stands in an event, and whether that is base64."""
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True
