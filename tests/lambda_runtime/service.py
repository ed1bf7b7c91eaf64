"""Lambda's Invoke API on the loopback interface: cold and warm environments, synchronous and asynchronous events."""

import json
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from tests.lambda_runtime.environment import ACCEPTED, Environment
from tests.lambda_runtime.function import Function, Invocation

INVOKE = "/2015-03-31/functions/"


class LambdaService:
    """Runs one function, from entering the block to leaving it.

    An idle environment is used again, a new one is started when none is idle: up to `concurrency`, beyond which an
    event waits (Lambda would refuse a synchronous one).  An asynchronous event that fails is not tried again: what the
    worker's Terraform module configures.  Not emulated: sizes of payloads, the guard against loops, extensions.

    Attributes:
        invocations: those that have ended, in the order of their ends.
    """

    def __init__(self, folder: Path, *, concurrency: int = 8) -> None:
        self._folder = folder
        self._function: Function | None = None
        self.invocations: list[Invocation] = []
        self._idle: list[Environment] = []
        self._all: list[Environment] = []
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="lambda")
        self._is_closing = False
        self._front = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._front.daemon_threads = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._front.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closing = True
        self._front.shutdown()
        self._front.server_close()
        # Frozen processes outlive whoever froze them.
        for environment in list(self._all):
            environment.close()
        self._pool.shutdown(cancel_futures=True)

    @property
    def url(self) -> str:
        """For `AWS_ENDPOINT_URL_LAMBDA`."""
        return f"http://127.0.0.1:{self._front.server_address[1]}"

    @property
    def log(self) -> str:
        """What all environments have printed."""
        return "".join(environment.log.read_text(errors="replace") for environment in self._all)

    @property
    def cold_starts(self) -> int:
        """How many environments there have been."""
        return len(self._all)

    def deploy(self, function: Function) -> None:
        """Say what is run; once."""
        self._function = function

    def invoke(self, event: Mapping[str, Any]) -> Invocation:
        """A synchronous invocation."""
        return self._submit(json.dumps(event).encode()).result()

    def invoke_later(self, event: Mapping[str, Any]) -> None:
        """An asynchronous invocation."""
        self._submit(json.dumps(event).encode())

    def told(self, event: Mapping[str, Any]) -> Any:  # noqa: ANN401  whatever the function answers
        """The answer to a synchronous invocation, which must be one."""
        invocation = self.invoke(event)
        if invocation.error is not None:
            raise RuntimeError(f"{invocation.error}: {invocation.answer.decode()}\n{self.log[-4000:]}")
        return json.loads(invocation.answer)

    def time_out_running(self) -> None:
        """What runs now ends, as at its timeout."""
        with self._lock:
            running = [one for one in self._all if one not in self._idle and one.is_alive]
        for environment in running:
            environment.time_out()

    def _submit(self, payload: bytes) -> "Future[Invocation]":
        return self._pool.submit(self._run, payload, time.monotonic())

    def _run(self, payload: bytes, accepted_at: float) -> Invocation:
        environment = self._taken()
        invocation = environment.invoke(payload, accepted_at=accepted_at)
        with self._lock:
            self.invocations.append(invocation)
            if environment.is_alive and not self._is_closing:
                self._idle.append(environment)
        return invocation

    def _taken(self) -> Environment:
        with self._lock:
            if self._is_closing or self._function is None:
                raise RuntimeError("no function is deployed any more, or yet")
            if self._idle:
                return self._idle.pop()
            environment = Environment(self._function, self._folder / f"environment-{len(self._all)}")
            self._all.append(environment)
            return environment

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Front(BaseHTTPRequestHandler):
            """The one operation that the function uses (Lambda API reference, Invoke, read 2026-11-22)."""

            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                """`/2015-03-31/functions/{name}/invocations`."""
                payload = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                function, name = service._function, unquote(self.path.removeprefix(INVOKE).partition("/")[0])
                if function is None or name not in (function.name, function.arn):
                    message = json.dumps({"Message": f"Function not found: {name}"}).encode()
                    self._reply(404, {"x-amzn-ErrorType": "ResourceNotFoundException"}, message)
                elif self.headers.get("X-Amz-Invocation-Type") == "Event":
                    service._submit(payload)
                    self._reply(ACCEPTED, {}, b"")
                else:
                    invocation = service._submit(payload).result()
                    headers = {"X-Amz-Function-Error": "Unhandled"} if invocation.error else {}
                    self._reply(200, headers, invocation.answer)

            def _reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for header, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(header, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:  # noqa: ANN401  the base class's
                """`invocations` says what happened."""

        return Front
