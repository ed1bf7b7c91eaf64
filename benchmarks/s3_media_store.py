"""How much memory moving an object takes, whatever its length: S3MediaStore in a process of its own.

The bucket is moto's, in this process; the child uploads a file, copies it back, streams it, and says what its memory
rose to at most.  What counts is the difference between a long object and a short one.  Linux only: the peak is VmHWM
in /proc, because what getrusage tells a child begins with the memory of its parent.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import boto3
from moto.server import ThreadedMotoServer

from benchmarks.report import Measurement

SHORT_MIB, LONG_MIB, LONGER_MIB = 1, 64, 192
RUNS = 2
BUCKET = "media"

# What a transfer may hold at once, by the store's own settings: four threads with 8 MiB each, 4 MiB for the disk.
BOUND_MIB = 36.0

# Three times the length: nothing but noise may be added.
FLAT_MIB = 4.0

CHILD = r"""
import re, sys, tempfile
from pathlib import Path
from worker.providers.s3_media_store import S3MediaStore, s3_client

endpoint, bucket, mebibytes = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = S3MediaStore(s3_client(endpoint_url=endpoint), bucket)
with tempfile.TemporaryDirectory() as folder:
    source = Path(folder) / "clip.mp4"
    with source.open("wb") as file:
        for number in range(mebibytes):
            file.write(bytes([number % 256]) * 2**20)
    key = f"ai-video/video/run/clips/{mebibytes}.mp4"
    store.upload(source, key)
    with store.local_copy(key) as copy:
        assert copy.stat().st_size == source.stat().st_size
    with store.open(key) as stream:
        length = sum(len(block) for block in iter(lambda: stream.read(2**16), b""))
    assert length == source.stat().st_size
print(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def measure() -> Iterator[Measurement]:
    """How much the peak rises from a short object to a long one, and from there on."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # one line for each request otherwise
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        account = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_DEFAULT_REGION": "us-east-1"}
        boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="none",
            aws_secret_access_key="none",  # noqa: S106  moto asks nobody
        ).create_bucket(Bucket=BUCKET)
        short, long, longer = (
            min(_peak_mib(endpoint, mebibytes, account) for _ in range(RUNS))
            for mebibytes in (SHORT_MIB, LONG_MIB, LONGER_MIB)
        )
    finally:
        server.stop()
    yield Measurement(
        "s3_media_store.peak_growth_mib",
        long - short,
        "MiB",
        bound=BOUND_MIB,
        beside={
            "short_object_mib": SHORT_MIB,
            "long_object_mib": LONG_MIB,
            "peak_with_short": round(short, 1),
            "peak_with_long": round(long, 1),
            "runs": RUNS,
        },
    )
    yield Measurement(
        "s3_media_store.peak_growth_of_longer_mib",
        longer - long,
        "MiB",
        bound=FLAT_MIB,
        beside={"long_object_mib": LONG_MIB, "longer_object_mib": LONGER_MIB, "peak_with_longer": round(longer, 1)},
    )


def _peak_mib(endpoint: str, mebibytes: int, account: dict[str, str]) -> float:
    output = subprocess.run(  # noqa: S603  our own code and a number
        [sys.executable, "-c", CHILD, endpoint, BUCKET, str(mebibytes)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **account},
    ).stdout
    return int(output) / 1024
