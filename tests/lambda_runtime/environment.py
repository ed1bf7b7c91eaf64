"""One execution environment: a process in a sandbox, the Runtime API it asks for work, and Lambda's grip on it.

The process is frozen (SIGSTOP) from the moment that it asks for the next event, killed when its time is up, and killed
when it holds more memory than it was given.  Memory is what is resident, looked at: a control group would also count
what is written to /tmp, which Lambda does not, and an address-space limit would refuse what is only reserved.
"""

import json
import os
import queue
import signal
import subprocess
import threading
import time
import uuid
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.lambda_runtime import sandbox
from tests.lambda_runtime.function import Function, Invocation

LOOK_EVERY = 0.02
PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")
ACCEPTED = 202


@dataclass(frozen=True, slots=True)
class _Work:
    """An event that the process is to be given."""

    request_id: str
    payload: bytes
    deadline_ms: int


class Environment:
    """Serves one invocation at a time; `is_alive` says whether it can serve another."""

    def __init__(self, function: Function, folder: Path) -> None:
        self._function = function
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._ready = threading.Event()  # the process waits for its next event
        self._answers: list[tuple[str | None, bytes]] = []  # of the running invocation: none yet, or one
        self._is_timed_out = False
        self._api = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._api.daemon_threads = True
        threading.Thread(target=self._api.serve_forever, args=(0.01,), daemon=True).start()
        root = folder / "root"
        root.mkdir(parents=True)
        self.log = folder / "log"
        self._born = time.monotonic()
        self._init_seconds: float | None = None
        self._is_fresh = True
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603  our own sandbox around the function's interpreter
                sandbox.command(
                    root,
                    code=function.code,
                    layers=function.layers,
                    tmp_bytes=function.tmp_bytes,
                    python=function.python,
                    run=[str(function.python), "-m", "awslambdaric", function.handler],
                ),
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def is_alive(self) -> bool:
        """Whether the process can be given another event."""
        return self._process.poll() is None

    def invoke(self, payload: bytes, *, accepted_at: float) -> Invocation:
        """Thaw the process, have it answer one event, and freeze it again; or see it end."""
        is_fresh, self._is_fresh = self._is_fresh, False
        self._answers.clear()
        if is_fresh:
            self._wait_for_init()
        begun = time.monotonic()
        told_ms = int((time.time() + self._function.timeout.total_seconds()) * 1000)
        if self.is_alive:
            self._ready.clear()
            self._signal(signal.SIGCONT)
            self._work.put(_Work(str(uuid.uuid4()), payload, told_ms))
        error, memory, tmp = self._watch(until=begun + self._function.timeout.total_seconds())
        if error is None and self.is_alive:
            self._signal(signal.SIGSTOP)
        answered, body = self._answers[-1] if self._answers else (None, b"")
        return Invocation(
            payload=payload,
            answer=body,
            error=error or answered,
            seconds=time.monotonic() - accepted_at,
            init_seconds=self._init_seconds if is_fresh else None,
            cpu_seconds=self._cpu_seconds(),
            peak_memory_bytes=memory,
            peak_tmp_bytes=tmp,
        )

    def time_out(self) -> None:
        """End the running invocation now, as at its timeout: whoever tests need not wait for 900 s."""
        self._is_timed_out = True

    def close(self) -> None:
        """Kill the process, frozen or not, and everything that it started."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._work.put(None)
        self._api.shutdown()
        self._api.server_close()

    def _wait_for_init(self) -> None:
        """Wait until the process has imported its handler, or has ended over it."""
        while self.is_alive and not self._ready.wait(LOOK_EVERY):
            pass
        self._init_seconds = time.monotonic() - self._born

    def _watch(self, *, until: float) -> tuple[str | None, int, int]:
        """Look at the process until it waits for its next event or is over: what ended it, and its peaks."""
        memory = tmp = 0
        while True:
            is_ready = self._ready.wait(LOOK_EVERY)
            if not self.is_alive:
                return ("Runtime.ExitError" if not self._answers else None), memory, tmp
            memory, tmp = max(memory, self._resident_bytes()), max(tmp, self._tmp_bytes())
            if memory > self._function.memory_bytes:
                return self._killed("Runtime.OutOfMemory"), memory, tmp
            if is_ready:
                return None, memory, tmp
            if self._is_timed_out or time.monotonic() > until:
                return self._killed("Sandbox.Timedout"), memory, tmp

    def _killed(self, why: str) -> str:
        self._signal(signal.SIGKILL)
        self._process.wait()
        return why

    def _signal(self, number: signal.Signals) -> None:
        if self.is_alive:
            os.killpg(self._process.pid, number)

    def _cpu_seconds(self) -> float:
        """Of all threads, in user and system mode; 0 when the process is gone (proc(5), fields 14 and 15)."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return 0.0
        return (int(fields[11]) + int(fields[12])) / TICKS

    def _resident_bytes(self) -> int:
        try:
            return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * PAGE
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            return 0

    def _tmp_bytes(self) -> int:
        try:
            found = os.statvfs(f"/proc/{self._process.pid}/root/tmp")
        except (FileNotFoundError, ProcessLookupError):  # as above
            return 0
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    def _environment(self) -> dict[str, str]:
        """What Lambda sets, and the function's own variables.  Nothing of whoever runs the tests."""
        return {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_REGION": "eu-central-1",
            "AWS_EC2_METADATA_DISABLED": "true",  # Lambda has none; looking for it would take seconds
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self._function.memory_bytes // (1024 * 1024)),
            "AWS_LAMBDA_FUNCTION_NAME": self._function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._api.server_address[1]}",
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "LAMBDA_TASK_ROOT": "/var/task",
            "LANG": "en_US.UTF-8",
            "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin",
            "PYTHONPATH": "/var/task:/opt/python",  # in the runtime's order, before what it brings itself
            "TZ": ":UTC",
            **self._function.environment,
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        environment = self

        class RuntimeApi(BaseHTTPRequestHandler):
            """The API that the runtime client speaks (AWS Lambda developer guide, Runtime API, read 2026-11-22)."""

            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                """`/runtime/invocation/next`: wait for an event."""
                environment._ready.set()
                if (work := environment._work.get()) is None:
                    self.close_connection = True
                    return
                headers = {
                    "Lambda-Runtime-Aws-Request-Id": work.request_id,
                    "Lambda-Runtime-Deadline-Ms": str(work.deadline_ms),
                    "Lambda-Runtime-Invoked-Function-Arn": environment._function.arn,
                    "Content-Type": "application/json",
                }
                self._reply(200, headers, work.payload)

            def do_POST(self) -> None:
                """`/runtime/invocation/{id}/response`, `…/error` and `/runtime/init/error`."""
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                error = json.loads(body)["errorType"] if self.path.endswith("/error") else None
                environment._answers.append((error, body))
                self._reply(ACCEPTED, {}, b"")

            def _reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:  # noqa: ANN401  the base class's
                """The function's own log is the one to read."""

        return RuntimeApi
