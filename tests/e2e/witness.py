"""Stands between a function and its simulated AWS, passes every call on, and writes down what was asked and refused."""

import http.client
import re
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

# Of a signed request: Credential=KEY/20261122/eu-central-1/dynamodb/aws4_request.
_SERVICE = re.compile(r"Credential=[^/]+/\d{8}/[a-z0-9-]+/([a-z0-9-]+)/aws4_request")
_DENIED = re.compile(r"not authorized to perform: ([a-z0-9-]+:[A-Za-z]+)")

_CONTINUE = b"HTTP/1.1 100"
FORBIDDEN = 403
_OF_THIS_HOP = {"connection", "content-length", "transfer-encoding"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the function.

    Attributes:
        service: that the call was signed for; None when it is not signed in its header, as a signed address is not.
        asked: operation where the protocol names it in a header, else method and path.
        denied: the action that the policy does not allow; None when it was not refused for that.
    """

    service: str | None
    asked: str
    status: int
    denied: str | None


class Witness:
    """Listens on the loopback interface from entering the block to leaving it; `url` is the function's AWS."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self._calls: list[Call] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def calls(self) -> list[Call]:
        """Those that have been answered so far."""
        return list(self._calls)

    def denied(self, *, since: int = 0) -> set[str]:
        """The actions that were refused, from the call with this number on."""
        return {call.denied for call in self.calls[since:] if call.denied is not None}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        witness = self
        upstream = urlsplit(self.upstream).netloc

        class Passing(BaseHTTPRequestHandler):
            """Passes one request on, its headers as they are: they are signed."""

            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                with suppress(ConnectionError):  # the function was killed
                    super().handle()

            def pass_on(self) -> None:
                if "chunked" in self.headers.get("Transfer-Encoding", ""):
                    raise NotImplementedError("boto3 sends no chunks without TLS")
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                answer, text = _exchanged(upstream, self, body)
                witness._calls.append(_call(self.command, self.path, self.headers, answer.status, text))
                self.send_response_only(answer.status, answer.reason)
                for name, value in answer.getheaders():
                    if name.lower() not in _OF_THIS_HOP:
                        self.send_header(name, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else None
                self.send_header("Content-Length", length or str(len(text)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = pass_on  # noqa: N815  the base class's names

            def log_message(self, *_: Any) -> None:  # noqa: ANN401  the base class's
                """What it writes down is its calls."""

        return Passing


def _exchanged(upstream: str, request: BaseHTTPRequestHandler, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
    """Send the request as it came; the answer and its body."""
    connection = http.client.HTTPConnection(upstream, timeout=120)
    try:
        connection.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.items():
            if name.lower() != "connection":
                connection.putheader(name, value)
        # A body that is announced is sent only when it is wanted: a refusal comes before it, and the connection ends.
        is_announced = "100-continue" in request.headers.get("Expect", "").lower()
        connection.endheaders(None if is_announced else body)
        if is_announced and _is_wanted(connection.sock):
            connection.send(body)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def _is_wanted(upstream: socket.socket) -> bool:
    """Whether the answer to the headers is to go on."""
    return upstream.recv(len(_CONTINUE), socket.MSG_PEEK | socket.MSG_WAITALL) == _CONTINUE


def _call(method: str, path: str, headers: Any, status: int, answer: bytes) -> Call:  # noqa: ANN401  an email.message
    service = _SERVICE.search(headers.get("Authorization", ""))
    asked = headers.get("X-Amz-Target", "").rpartition(".")[2] or f"{method} {urlsplit(path).path}"
    found = _DENIED.search(answer.decode(errors="replace")) if status >= http.client.BAD_REQUEST else None
    denied = found[1] if found else None
    if status == FORBIDDEN and method == "HEAD":
        denied = "s3:GetObject"  # such an answer has no body; looking at an object takes the right to read it
    return Call(service[1] if service else None, asked, status, denied)
