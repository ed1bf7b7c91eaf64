"""A whole job by the packaged function in an environment as strict as Lambda's, on each Python that Lambda offers.

DynamoDB, S3 and the secret are MiniStack's, the vendors are simulated, the function invokes itself at the emulated
Lambda, and this test is the schedule.
"""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

from statemachine import Execution
from statemachine.aws.dynamodb_store import DynamoStore
from statemachine.aws.table_layout import TableLayout
from tests.dynamodb_tables import FOREIGN, created
from tests.e2e.ministack import MiniStack, ministack
from tests.lambda_runtime.function import MIB, Function
from tests.lambda_runtime.packaged import packaged_function
from tests.lambda_runtime.pythons import VERSIONS, skip_without
from tests.lambda_runtime.service import LambdaService
from tests.simulators.openai import API_KEY
from tests.simulators.scenario import Hang, Rule, Takes
from tests.simulators.transcribe import S3Objects
from tests.simulators.vendors import Vendors
from tests.worker.handlers.api.desk import http_event
from worker.engine_build import NEEDED
from worker.job import Job

RECORDING = Path(__file__).parents[2] / "samples" / "narration_human_librivox.mp3"
BUCKET, SECRET, PERSON, VIDEO = "platform-media", "vendors-keys", "ada", "video-1"
LAYOUT = TableLayout()
SWEEP = {"source": "aws.scheduler", "detail-type": "Scheduled Event"}
SWEEP_EVERY_SECONDS = 60.0  # as on AWS
DONE_WITHIN_SECONDS = 600.0  # a lost turn alone costs its lease, 125 s
STUCK_AFTER_SECONDS = 3.0
FRAME_SECONDS = 1 / 24

# An eighth of the least that Lambda gives.  A job of 27 s was seen to need 1.3 MiB (printed with -s, 2026-11-22).
TMP_BYTES = 64 * MIB


@pytest.fixture(params=VERSIONS, scope="module")
def function(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Function:
    """The packaged function, unpacked as Lambda does it."""
    version: str = request.param
    skip_without(version)
    return packaged_function(version, tmp_path_factory.mktemp(f"package-{version}"))


class Platform:
    """The team's platform in a simulated AWS, with the function beside it."""

    def __init__(self, stack: MiniStack, vendors: Vendors, service: LambdaService) -> None:
        self.vendors, self.service = vendors, service
        self.dynamodb, self.s3 = stack.client("dynamodb"), stack.client("s3")
        created(self.dynamodb, LAYOUT)
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        keys = {"OPENAI_API_KEY": API_KEY, "GOOGLE_SERVICE_ACCOUNT": vendors.google.service_account_info(vendors.url)}
        stack.client("secretsmanager").create_secret(Name=SECRET, SecretString=json.dumps(keys))
        self.s3.upload_file(str(RECORDING), BUCKET, "uploads/one.mp3")
        row = {**FOREIGN, "video_id": {"S": VIDEO}, "user_id": {"S": PERSON}, "s3_key": {"S": "uploads/one.mp3"}}
        self.dynamodb.put_item(TableName=LAYOUT.table_name, Item=row)

    def request(self, method: str, *, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """What the gateway would hand over for a signed-in person, and the answer: status and JSON."""
        query = {} if body is not None else {"videoId": VIDEO}
        text = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"}
        answer = self.service.told(http_event(method, "/ai-video", {"sub": PERSON}, query, text, headers))
        return answer["statusCode"], json.loads(answer["body"])

    def execution(self) -> Execution:
        return DynamoStore(self.dynamodb, layout=LAYOUT).get(VIDEO)

    @contextmanager
    def schedule(self) -> Iterator[None]:
        """EventBridge's ticks, the first at once."""
        is_over = threading.Event()

        def tick() -> None:
            while not is_over.is_set():
                self.service.invoke_later(SWEEP)
                is_over.wait(SWEEP_EVERY_SECONDS)

        ticking = threading.Thread(target=tick)
        ticking.start()
        try:
            yield
        finally:
            is_over.set()
            ticking.join()

    def until(self, is_so: Callable[[], bool], *, seconds: float = DONE_WITHIN_SECONDS) -> None:
        """Wait for something that other processes do."""
        limit = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < limit, f"{self.execution()}\n{self.service.log[-6000:]}"
            time.sleep(0.2)

    def is_stuck(self) -> bool:
        """Whether one turn of rendering holds its lease for longer than a poll takes that is answered."""
        if (before := self._leased()) is None:
            return False
        time.sleep(STUCK_AFTER_SECONDS)
        return before == self._leased()

    def _leased(self) -> str | None:
        execution = self.execution()
        return execution.lease.owner if execution.state == "rendering" and execution.lease else None

    def begin(self) -> None:
        """A request starts the job."""
        status, started = self.request("POST", body={"videoId": VIDEO, "options": {"language": "en-US"}})
        assert status == 202, f"{started}\n{self.service.log}"

    def completed(self) -> Job:
        """Wait for the end; the finished job."""
        self.until(lambda: self.execution().status != "processing")
        execution = self.execution()
        assert (execution.status, execution.failure) == ("completed", None)
        return Job.model_validate(execution.data)


@pytest.fixture
def platform(function: Function, tmp_path: Path) -> Iterator[Platform]:
    with (
        ministack(tmp_path) as stack,
        Vendors(
            clip_takes=Takes(seconds=3.0), transcription_takes=Takes(seconds=2.0), objects=S3Objects(stack.client("s3"))
        ) as vendors,
        LambdaService(tmp_path / "lambda") as service,
    ):
        of_vendors = vendors.environment(tmp_path)
        del of_vendors["OPENAI_API_KEY"], of_vendors["GOOGLE_APPLICATION_CREDENTIALS"]  # they stand in the secret
        service.deploy(
            replace(
                function,
                tmp_bytes=TMP_BYTES,
                environment={
                    **of_vendors,
                    "AWS_ENDPOINT_URL": stack.url,
                    "AWS_ENDPOINT_URL_LAMBDA": service.url,
                    "AI_VIDEO_BUCKET": BUCKET,
                    "AI_VIDEO_MEDIA": "s3",
                    "AI_VIDEO_TRANSCRIBER": "aws",
                    "AI_VIDEO_PLANNER": "openai",
                    "AI_VIDEO_RENDERER": "veo",
                    "AI_VIDEO_VEO_OUTPUT_GCS_URI": "gs://clips/ai-video",
                    "AI_VIDEO_SECRET_ID": SECRET,
                },
            )
        )
        yield Platform(stack, vendors, service)


def is_right(video: Path, job: Job) -> bool:
    """Whether it has picture and sound, and is as long as the recording within a frame."""
    with av.open(str(video)) as made:
        assert made.duration is not None
        lasts = abs(made.duration / av.time_base - (job.recording.duration_seconds or 0)) <= FRAME_SECONDS
        return lasts and {stream.type for stream in made.streams} >= {"video", "audio"}


def test_a_whole_job_from_the_request_to_the_video(platform: Platform, tmp_path: Path) -> None:
    """Every part of the package is used: all that the layers hold, nothing beside them, nothing written but to /tmp."""
    platform.begin()
    with platform.schedule():
        job = platform.completed()
    status, seen = platform.request("GET")

    platform.s3.download_file(BUCKET, job.media.video_key or "", str(tmp_path / "video.mp4"))
    assert is_right(tmp_path / "video.mp4", job)
    assert (status, seen["ai_generation_status"]) == (200, "completed")
    assert len(platform.vendors.bill.clips) == len(job.beats), "every scene is paid for once"
    assert [one.error for one in platform.service.invocations if one.error] == []
    assert "Traceback" not in platform.service.log
    peaks = {
        "tmp_mib": round(max(one.peak_tmp_bytes for one in platform.service.invocations) / MIB, 1),
        "memory_mib": round(max(one.peak_memory_bytes for one in platform.service.invocations) / MIB, 1),
        "invocations": len(platform.service.invocations),
        "cold_starts": platform.service.cold_starts,
    }
    print(json.dumps(peaks))  # noqa: T201  what a person who sizes the function wants to know
    assert peaks["tmp_mib"] > 0


def test_a_worker_does_nothing_with_the_engine_of_another_build(function: Function, tmp_path: Path) -> None:
    """As between the two calls of a deployment: the layer of one build, the function's archive of another."""
    older = shutil.copytree(function.code, tmp_path / "older")
    (older / "worker" / NEEDED).write_text("another")

    with LambdaService(tmp_path / "lambda") as service:
        service.deploy(replace(function, code=older))
        invocation = service.invoke(SWEEP)

    assert invocation.error == "MixedBuildError"
    assert "deploy all archives of one `make package`" in service.log


def test_a_turn_that_is_killed_at_its_timeout_is_taken_up_by_the_sweep(platform: Platform) -> None:
    """No answer was sent and nothing was saved; the lease ends, the row is due, and nothing is paid twice."""
    platform.vendors.scenario.add(Rule(place="veo.poll", effect=Hang(), times=None))
    platform.begin()
    with platform.schedule():
        platform.until(platform.is_stuck)
        platform.service.time_out_running()
        platform.vendors.scenario.clear()
        job = platform.completed()

    assert {one.error for one in platform.service.invocations if one.error} == {"Sandbox.Timedout"}
    assert len(platform.vendors.bill.clips) == len(job.beats)
