"""What `worker serve` answers under load: looking at jobs, with a thousand in the store, beside the bare server.

Needs wrk (a package of Debian and others).  It and the server share the machine, so the shares mean more than the
figures: `/healthz` is the server itself, answered in the same run.
"""

import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.report import Measurement
from statemachine import Execution
from tests.e2e.serving import Serving, serving
from tests.worker.handlers.api.desk import Desk
from worker import telemetry
from worker.providers.sqlite_rows import RowStore, Video

JOBS = 1000
CONNECTIONS = 16
SECONDS = 6
LISTINGS = 9

# Each with every connection waiting for its answer at once.
CROWDS = (64, 128, 256, 512)
CROWD_BOUND = 256

_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


def measure() -> Iterator[Measurement]:
    """Every figure of the server."""
    if shutil.which("wrk") is None:
        print("serve: wrk is not installed (apt-get install wrk); nothing was measured", file=sys.stderr)
        return
    telemetry.logger().setLevel("ERROR")  # what it logs would stand among the figures
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        _fill(home)
        with serving(home) as server:
            look, health = _script(server, home), f"{server.url}/healthz"
            _load(server, health, seconds=1)  # what is built at the first request
            _load(server, server.url, script=look, seconds=1)
            bare = _load(server, health)
            looked = _load(server, server.url, script=look)
            yield Measurement("serve.get_p50", looked.p50_ms, "ms", beside={"healthz_p50_ms": bare.p50_ms})
            yield Measurement("serve.get_p99", looked.p99_ms, "ms", beside={"healthz_p99_ms": bare.p99_ms})
            yield Measurement(
                "serve.get_per_second",
                looked.per_second,
                "1/s",
                beside={"healthz_per_second": bare.per_second, "jobs": JOBS, "connections": CONNECTIONS},
            )
            yield Measurement("serve.get_errors", looked.errors + bare.errors, "requests", bound=0)
            yield _listing(server)
            yield _crowd(server, look)


@dataclass(frozen=True, slots=True)
class _Load:
    """What wrk found."""

    p50_ms: float
    p99_ms: float
    per_second: float
    errors: int


def _load(
    server: Serving, url: str, *, script: Path | None = None, connections: int = CONNECTIONS, seconds: int = SECONDS
) -> _Load:
    command = ["wrk", "--latency", "--timeout", "20s", "-t", "1", "-c", str(connections), "-d", f"{seconds}s"]
    command += ["-H", f"Authorization: Bearer {server.token('ada')}"]
    command += ["-s", str(script), url] if script else [url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603  wrk, as found above
    socket_errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    (per_second,) = re.findall(r"Requests/sec:\s+([\d.]+)", said)
    return _Load(
        p50_ms=_percentile(said, 50),
        p99_ms=_percentile(said, 99),
        per_second=float(per_second),
        errors=sum(int(number) for found in (socket_errors, refused) if found for number in found.groups()),
    )


def _percentile(said: str, number: int) -> float:
    ((value, unit),) = re.findall(rf"^\s+{number}%\s+([\d.]+)(us|ms|s|m) *$", said, re.MULTILINE)
    return float(value) * _UNITS_MS[unit]


def _listing(server: Serving) -> Measurement:
    """The page's list, of one person who opens it."""
    token = server.token("ada")
    took: list[float] = []
    rows: list[object] = []
    for _ in range(LISTINGS):
        begun = time.perf_counter()
        rows = server.ask("GET", "/api/videos", user=None, headers={"Authorization": f"Bearer {token}"}).json["videos"]
        took.append((time.perf_counter() - begun) * 1000)
    return Measurement("serve.list_p50", statistics.median(took), "ms", beside={"rows": len(rows)})


def _crowd(server: Serving, script: Path) -> Measurement:
    """The most who may ask at once without anybody being refused, of those that were tried."""
    served, slowest = 0, 0.0
    for connections in CROWDS:
        load = _load(server, server.url, script=script, connections=connections)
        if load.errors:
            break
        served, slowest = connections, load.p99_ms
    return Measurement(
        "serve.connections_without_error",
        served,
        "connections",
        bound=CROWD_BOUND,
        at_least=True,
        beside={"p99_ms": slowest, "tried": ", ".join(map(str, CROWDS))},
    )


def _script(server: Serving, home: Path) -> Path:
    """Asks for one job after the other."""
    path = home / "look.lua"
    path.write_text(
        "local number = 0\n"
        "request = function()\n"
        f"  number = (number + 1) % {JOBS}\n"
        f'  return wrk.format("GET", "/api/ai-video?videoId=video-" .. number)\n'
        "end\n"
    )
    assert server.job("video-0")["phase"] == "completed"  # noqa: S101  or nothing would be measured
    return path


def _fill(home: Path) -> None:
    """A thousand finished jobs of one person."""
    execution = _finished()
    with RowStore(home / "jobs.sqlite3") as store:
        for number in range(JOBS):
            video_id = f"video-{number}"
            store.add_videos(
                Video(video_id, "ada", "story.mp3", "audio", "uploads/story.mp3", execution.started_at, 20.0)
            )
            data = {**execution.data, "video_id": video_id, "owner_id": "ada"}
            store.start(replace(execution, execution_id=video_id, data=data), replace=False)


def _finished() -> Execution:
    desk = Desk()
    desk.post()
    return desk.run()
