"""The wire between a real boto3 client and its service: what was sent is counted, and answers can be made or lost."""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.exceptions import ReadTimeoutError
from botocore.httpsession import URLLib3Session


@dataclass(frozen=True, slots=True)
class Answer:
    """The service answers this, and has done nothing (but moto, in this process, has done it all the same)."""

    status: int
    code: str = ""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer comes; `is_done` when the service did the work all the same."""

    is_done: bool


@dataclass(frozen=True, slots=True)
class Request:
    """What was sent: once for every try.  `body` is empty when the file itself is sent, in parts."""

    operation: str
    url: str
    headers: dict[str, str]
    body: bytes


class Wire:
    """Listens on a client's wire.  `troubles` befall the next requests, one each; then everything goes through."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401  boto3 makes its clients at run time
        self.requests: list[Request] = []
        self.troubles: deque[Answer | Silence | None] = deque()
        client.meta.events.register_first("before-send", self._sent)

    @property
    def operations(self) -> list[str]:
        """The operations that were sent, in order."""
        return [request.operation for request in self.requests]

    def _sent(self, request: Any, event_name: str, **__: object) -> AWSResponse | None:  # noqa: ANN401  as above
        headers = {name: _text(value) for name, value in request.headers.items()}
        body = request.body if isinstance(request.body, bytes) else b""
        service, operation = event_name.split(".")[1:]
        self.requests.append(Request(operation, request.url, headers, body))
        match self.troubles.popleft() if self.troubles else None:
            case None:
                return None
            case Silence(is_done):
                if is_done:
                    URLLib3Session().send(request)
                raise ReadTimeoutError(endpoint_url=request.url)
            case Answer(status, code, body):
                if code:
                    # Lambda says in a header what is wrong, S3 in XML, DynamoDB in JSON.
                    in_json = json.dumps({"__type": code, "message": "trouble on the wire"})
                    body = (f"<Error><Code>{code}</Code></Error>" if service == "s3" else in_json).encode()
                return AWSResponse(
                    request.url,
                    status,
                    HeadersDict({"x-amzn-ErrorType": code} if code else {}),  # type: ignore[arg-type]  # what botocore's own session puts there
                    _Raw(body),
                )


class _Raw(BytesIO):
    """A body as botocore reads it from urllib3."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
