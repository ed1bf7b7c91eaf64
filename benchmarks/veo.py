"""What a turn of rendering costs on Lambda: the memory that clips take on their way home, and a cold start."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest import mock

from benchmarks.report import Measurement
from tests.media import write_clip
from tests.simulators import clips
from tests.simulators.scenario import Answer, Rule
from tests.simulators.vendors import Vendors

SCENES = 8
CLIP_MB = 8.0
RUNS = 9

# What the function needs for such a turn, without a line of the worker: the libraries, the clients, a token's parts.
BARE = """
import boto3, botocore.config, transitions, pydantic, pydantic_settings
import aws_lambda_powertools, aws_lambda_powertools.metrics
import google.auth.transport.requests
from google.oauth2 import service_account
from google import genai
import httpx, os, json
for name in ("dynamodb", "lambda", "s3", "transcribe"):
    boto3.client(name)
info = json.load(open(os.environ["GOOGLE_APPLICATION_CREDENTIALS"]))
credentials = service_account.Credentials.from_service_account_info(
    info, scopes=["https://www.googleapis.com/auth/cloud-platform"])
credentials.refresh(google.auth.transport.requests.Request())
client = genai.Client(vertexai=True, project="proj-1", location="us-central1", credentials=credentials)
storage = httpx.Client()
client.operations.get(genai.types.GenerateVideosOperation(name=os.environ["OPERATION"]))
"""

OURS = """
import os
from worker.lambda_function import worker
built = worker()
built.engine
built.store
built.media
built.renderer.poll(os.environ["OPERATION"])
"""


def measure() -> Iterator[Measurement]:
    """Memory of fetching and conforming, then the cold start."""
    with tempfile.TemporaryDirectory() as folder, Vendors() as vendors:
        key_file = Path(folder) / "key.json"
        key_file.write_text(json.dumps(vendors.google.service_account_info(vendors.url)))
        yield _memory(vendors, key_file, Path(folder))
        yield _cold_start(vendors, key_file)


def _memory(vendors: Vendors, key_file: Path, folder: Path) -> Measurement:
    # 25 frames a second: no clip fits as it is, each is encoded anew.
    film = write_clip(
        folder / "film.mp4",
        frames=200,
        width=1280,
        height=720,
        rate=25,
        b_frames=2,
        encoder={"b": "8M", "maxrate": "8M", "bufsize": "8M", "nal-hrd": "cbr"},
    ).read_bytes()
    # A box that players pass over makes every clip as long as the bound says.
    missing = max(0, round(CLIP_MB * 2**20) - len(film) - 8)
    film += (missing + 8).to_bytes(4, "big") + b"free" + bytes(missing)
    with mock.patch.object(clips, "clip", return_value=film):
        done = subprocess.run(  # noqa: S603  our own module and the simulator's address
            [sys.executable, "-m", "benchmarks._veo_turns", vendors.url, str(key_file), str(SCENES)],
            check=True,
            capture_output=True,
            text=True,
        )
    idle, peak = map(float, done.stdout.split())
    return Measurement(
        "veo.fetch_memory_mb",
        peak - idle,
        "MB",
        bound=200,
        beside={"idle_mb": round(idle, 1), "peak_mb": round(peak, 1), "clips": SCENES, "clip_mb": len(film) / 2**20},
    )


def _cold_start(vendors: Vendors, key_file: Path) -> Measurement:
    operation = "projects/proj-1/locations/us-central1/publishers/google/models/veo-3.1-fast-generate-001/operations/1"
    vendors_answer = {"name": operation}
    surroundings = {
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AI_VIDEO_RENDERER": "veo",
        "AI_VIDEO_TRANSCRIBER": "aws",
        "AI_VIDEO_MEDIA": "s3",
        "AI_VIDEO_BUCKET": "bucket",
        "AI_VIDEO_FUNCTION_NAME": "function",
        "AI_VIDEO_VEO_OUTPUT_GCS_URI": "gs://clips",
        "GOOGLE_CLOUD_PROJECT": "proj-1",
        "GOOGLE_CLOUD_LOCATION": "us-central1",
        "GOOGLE_APPLICATION_CREDENTIALS": str(key_file),
        "GOOGLE_VERTEX_BASE_URL": vendors.url,
        "STORAGE_EMULATOR_HOST": vendors.url,
        "OPERATION": operation,
    }

    vendors.scenario.add(Rule(place="veo.poll", effect=Answer(status=200, body=dict(vendors_answer)), times=None))
    ours, bare = [], []
    for _ in range(RUNS):
        bare.append(_cpu_ms(BARE, surroundings))
        ours.append(_cpu_ms(OURS, surroundings))
    sdk = statistics.median(_cpu_ms("from google import genai", surroundings) for _ in range(3))
    boto = statistics.median(_cpu_ms("import boto3", surroundings) for _ in range(3))
    value, libraries = statistics.median(ours), statistics.median(bare)
    return Measurement(
        "veo.cold_turn_over_bare_imports_and_clients",
        value / libraries,
        "times",
        bound=1.25,
        beside={
            "turn_ms": round(value),
            "bare_ms": round(libraries),
            "google_genai_ms": round(sdk),
            "boto3_ms": round(boto),
            "runs": RUNS,
        },
    )


def _cpu_ms(code: str, surroundings: Mapping[str, str]) -> float:
    """CPU time of `code` in a new interpreter: wall time on a shared machine says more about the neighbours."""
    timed = f"import time\nbegun = time.process_time()\n{code}\nprint((time.process_time() - begun) * 1000)"
    done = subprocess.run(  # noqa: S603  fixed texts
        [sys.executable, "-c", timed], check=True, capture_output=True, text=True, env={**os.environ, **surroundings}
    )
    return float(done.stdout.split()[-1])
