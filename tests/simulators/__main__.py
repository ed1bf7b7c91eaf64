"""`python -m tests.simulators`: the vendors for people, until interrupted.

The first lines are `export`s for a shell; what else there is to know follows as comments, so that the whole output may
be sourced.
"""

import argparse
import signal
import sys
import tempfile
import uuid
from pathlib import Path
from shlex import quote
from threading import Event

import boto3

from tests.simulators.presets import PRESETS
from tests.simulators.scenario import Takes
from tests.simulators.transcribe import DirectoryObjects, Objects, S3Objects
from tests.simulators.vendors import Vendors


def main(arguments: list[str] | None = None, *, stop: Event | None = None) -> int:
    """Serve until `stop` is set or the process is told to end."""
    options = _parser().parse_args(arguments)
    stop = stop or _stopped_by_signals()
    with tempfile.TemporaryDirectory() as temporary:
        data = options.data or Path(temporary)
        data.mkdir(parents=True, exist_ok=True)
        objects: Objects = DirectoryObjects(data / "buckets")
        if options.s3_endpoint:
            objects = S3Objects(boto3.client("s3", endpoint_url=options.s3_endpoint))
        with Vendors(
            *PRESETS[options.scenario],
            port=options.port,
            quota_per_minute=options.quota_per_minute,
            clip_takes=Takes(seconds=options.clip_takes),
            transcription_takes=Takes(seconds=options.transcription_takes),
            objects=objects,
            # Another one at every start: what an earlier one named must not be taken for ours.
            origin=uuid.uuid4(),
        ) as vendors:
            for name, value in vendors.environment(data).items():
                _say(f"export {name}={quote(value)}")
            _say(f"# scenario {options.scenario}; the bill: curl {vendors.url}/_simulator/bill")
            stop.wait()
            _say(f"# billed: {vendors.bill.usd:.4f} USD, {len(vendors.bill.clips)} clips")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulators", description="The vendors' HTTP on loopback.")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--scenario", choices=sorted(PRESETS), default="well")
    parser.add_argument(
        "--data", type=Path, help="folder for the key file and Transcribe's buckets; default: temporary"
    )
    parser.add_argument("--s3-endpoint", help="where Transcribe finds its buckets instead: an S3 API")
    parser.add_argument("--quota-per-minute", type=int, help="submissions per model; beyond it: 429")
    parser.add_argument("--clip-takes", type=float, default=5.0, help="seconds (default: 5)")
    parser.add_argument("--transcription-takes", type=float, default=3.0, help="seconds (default: 3)")
    return parser


def _stopped_by_signals() -> Event:
    stop = Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    return stop


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 (this is the interface of the command)


if __name__ == "__main__":
    sys.exit(main())
