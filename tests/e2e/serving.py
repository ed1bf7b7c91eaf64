"""A served home: the real process, and requests over its socket."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

# A whole job of the short recording takes some 15 s on an idle machine.
JOB_SECONDS = 180.0
START_SECONDS = 60.0
LOOK_EVERY_SECONDS = 0.3


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401  any JSON
        return json.loads(self.body)


@dataclass
class Serving:
    """A running `worker serve`."""

    process: "subprocess.Popen[str]"
    url: str
    log: Path

    def ask(
        self,
        method: str,
        path: str,
        *,
        user: str | None = "ada",
        body: bytes | object | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request, on a connection of its own.  `body`: bytes as they are, anything else as JSON."""
        given = dict(headers or {})
        if user is not None:
            given["Authorization"] = f"Bearer {self.token(user)}"
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        try:
            connection.request(method, path.removeprefix(self.url), body=content, headers=given)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def token(self, user: str) -> str:
        """Sign in."""
        answer = self.ask("POST", "/api/session", user=None, body={"user": user})
        return str(answer.json["token"])

    def upload(self, recording: Path, *, user: str = "ada") -> str:
        """Upload a recording; its id."""
        path = f"/api/videos?{urlencode({'filename': recording.name})}"
        answer = self.ask("POST", path, user=user, body=recording.read_bytes())
        assert answer.status == 201, answer.body
        return str(answer.json["videoId"])

    def start(self, video_id: str, *, user: str = "ada", **body: Any) -> Any:  # noqa: ANN401  any JSON
        """Ask for a video; the job."""
        answer = self.ask("POST", "/api/ai-video", user=user, body={"videoId": video_id, **body})
        assert answer.status == 202, answer.body
        return answer.json

    def job(self, video_id: str, *, user: str = "ada") -> Any:  # noqa: ANN401  any JSON
        """Look at a job."""
        return self.ask("GET", f"/api/ai-video?videoId={quote(video_id, safe='')}", user=user).json

    def wait_until(self, video_id: str, *phases: str, user: str = "ada") -> Any:  # noqa: ANN401  any JSON
        """Look until the job is in one of these phases, or has come to its end."""
        limit = time.monotonic() + JOB_SECONDS
        while (job := self.job(video_id, user=user))["phase"] not in {*phases, "completed", "failed"}:
            if time.monotonic() > limit:
                break
            time.sleep(LOOK_EVERY_SECONDS)
        else:
            return job
        raise AssertionError(f"still not {phases} after {JOB_SECONDS:.0f} s: {job['phase']}, {job['progress']}")

    def kill(self) -> None:
        """As the system does when memory runs out."""
        self.process.kill()
        self.process.wait()

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=30)

    @property
    def said(self) -> str:
        """Standard output and error so far."""
        return self.log.read_text()


@contextmanager
def serving(
    home: Path, *options: str, environment: Mapping[str, str] | None = None, empty: bool = True
) -> Iterator[Serving]:
    """`worker serve` on a free port, for as long as the block lasts."""
    home.mkdir(exist_ok=True)
    log = home / "said.txt"
    more = ["--empty"] if empty else []
    with log.open("w") as stream:
        process = subprocess.Popen(  # noqa: S603  this interpreter, our own module
            [sys.executable, "-m", "worker", "serve", "--port", "0", "--home", str(home), *more, *options],
            stdout=stream,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **(environment or {})},
        )
    try:
        yield Serving(process, _address(process, log), log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(process: "subprocess.Popen[str]", log: Path) -> str:
    limit = time.monotonic() + START_SECONDS
    while time.monotonic() < limit and process.poll() is None:
        words = log.read_text().split()
        if "serving" in words[:-1]:
            return words[words.index("serving") + 1]
        time.sleep(0.05)
    raise AssertionError(f"it does not serve: {log.read_text()}")
