"""A whole job on a simulated AWS: the packaged function invokes itself until the video stands in the bucket."""

import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import pytest

from statemachine import Engine, Execution, SystemClock
from statemachine.aws.dynamodb_store import DynamoStore
from statemachine.aws.lambda_dispatcher import LambdaDispatcher
from statemachine.aws.table_layout import TableLayout
from tests.dynamodb_tables import FOREIGN, created
from tests.e2e.ministack import MiniStack, Recursion, deploy, ministack, packaged
from tests.simulators.scenario import Takes
from tests.simulators.transcribe import S3Objects
from tests.simulators.vendors import Vendors
from tests.worker.fakes import FakeAssembler, FakeMediaStore, FakePlanner, FakeRenderer, FakeTranscriber, spoken
from worker.job import Job, Options, Recording, new_job_data
from worker.pipeline import pipeline
from worker.steps.render import RenderPorts

RECORDING = Path(__file__).parents[2] / "samples" / "narration_human_librivox.mp3"
BUCKET = "platform-media"
FUNCTION = "ai-video-worker"
LAYOUT = TableLayout()
DONE_WITHIN_SECONDS = 300.0
FRAME_SECONDS = 1 / 24


@pytest.fixture(scope="module")
def archives() -> Path:
    return packaged()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[MiniStack]:
    with ministack(tmp_path) as running:
        yield running


@pytest.fixture
def vendors(stack: MiniStack) -> Iterator[Vendors]:
    with Vendors(
        clip_takes=Takes(seconds=3.0), transcription_takes=Takes(seconds=2.0), objects=S3Objects(stack.client("s3"))
    ) as running:
        yield running


class Platform:
    """The team's platform in the simulated AWS, with the function deployed onto it."""

    def __init__(
        self, stack: MiniStack, vendors: Vendors, archives: Path, folder: Path, *, recursion: Recursion
    ) -> None:
        self.stack, self.vendors = stack, vendors
        self.dynamodb, self.s3 = stack.client("dynamodb"), stack.client("s3")
        created(self.dynamodb, LAYOUT)
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        deploy(stack, archives, name=FUNCTION, environment=self._environment(folder), recursion=recursion)

    def upload(self, video_id: str) -> str:
        """A recording in the bucket and its row, as the old platform writes them."""
        key = f"uploads/{video_id}.mp3"
        self.s3.upload_file(str(RECORDING), BUCKET, key)
        self.dynamodb.put_item(TableName=LAYOUT.table_name, Item={"video_id": {"S": video_id}, **FOREIGN})
        return key

    def start(self, video_id: str, key: str) -> None:
        """What the API does: start the job and ask for its first turn."""
        run_id = "run-1"
        data = new_job_data(
            video_id=video_id,
            run_id=run_id,
            prefix=f"ai-video/{video_id}/{run_id}/",
            recording=Recording(key=key, filename=f"{video_id}.mp3"),
            options=Options(language="en-US"),
            owner_id="somebody",
        )
        self._engine().start(video_id, data, run_id=run_id)

    def execution(self, video_id: str) -> Execution:
        return DynamoStore(self.dynamodb, layout=LAYOUT).get(video_id)

    def row(self, video_id: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.dynamodb.get_item(
            TableName=LAYOUT.table_name, Key={"video_id": {"S": video_id}}, ConsistentRead=True
        )["Item"]
        return found

    def loop_guard(self) -> str:
        found: str = self.stack.client("lambda").get_function_recursion_config(FunctionName=FUNCTION)["RecursiveLoop"]
        return found

    def wait_for_the_end(self, video_id: str) -> Execution:
        limit = time.monotonic() + DONE_WITHIN_SECONDS
        while time.monotonic() < limit:
            execution = self.execution(video_id)
            if execution.status != "processing":
                return execution
            time.sleep(0.5)
        raise AssertionError(f"not done: {self.execution(video_id)}\n{self.stack.log.read_text()[-4000:]}")

    def _engine(self) -> Engine[Job]:
        # Starting runs no step, so these parts are never asked for anything.
        media = FakeMediaStore()
        machine = pipeline(
            transcriber=FakeTranscriber(spoken("nothing", seconds=1.0)),
            planner=FakePlanner(),
            parts=RenderPorts(FakeRenderer(), FakeAssembler(), media, str),
            longest_recording=timedelta(minutes=10),
            transcribing_turn=timedelta(minutes=3),
            rendering_turn=timedelta(minutes=2),
        )
        return Engine(
            machine,
            store=DynamoStore(self.dynamodb, layout=LAYOUT),
            dispatcher=LambdaDispatcher(self.stack.client("lambda"), FUNCTION),
            clock=SystemClock(),
        )

    def _environment(self, folder: Path) -> dict[str, str]:
        return {
            **self.vendors.environment(folder),
            "AI_VIDEO_TABLE_NAME": LAYOUT.table_name,
            "AI_VIDEO_BUCKET": BUCKET,
            "AI_VIDEO_FUNCTION_NAME": FUNCTION,
            "AI_VIDEO_MEDIA": "s3",
            "AI_VIDEO_TRANSCRIBER": "aws",
            "AI_VIDEO_PLANNER": "openai",
            "AI_VIDEO_RENDERER": "veo",
            "AI_VIDEO_VEO_OUTPUT_GCS_URI": "gs://clips/ai-video",
        }


@pytest.fixture(params=["Terminate", "Allow"])
def recursion(request: pytest.FixtureRequest) -> Recursion:
    chosen: Recursion = request.param
    return chosen


@pytest.fixture
def platform(stack: MiniStack, vendors: Vendors, archives: Path, tmp_path: Path, recursion: Recursion) -> Platform:
    return Platform(stack, vendors, archives, tmp_path, recursion=recursion)


def test_the_function_invokes_itself_until_the_video_stands_in_the_bucket(
    platform: Platform, recursion: Recursion, tmp_path: Path
) -> None:
    """With Lambda's guard against loops, which ends a chain that a platform did not allow, and without it."""
    key = platform.upload("video-1")
    platform.upload("old-video")
    untouched = platform.row("old-video")

    platform.start("video-1", key)
    execution = platform.wait_for_the_end("video-1")

    assert platform.loop_guard() == recursion
    assert (execution.status, execution.failure) == ("completed", None)
    job = Job.model_validate(execution.data)
    assert len(platform.vendors.bill.clips) == len(job.beats), "every scene is paid for once"
    video = tmp_path / "video.mp4"
    platform.s3.download_file(BUCKET, job.media.video_key or "", str(video))
    with av.open(str(video)) as made:
        assert made.duration is not None
        assert abs(made.duration / av.time_base - (job.recording.duration_seconds or 0)) <= FRAME_SECONDS
        assert {stream.type for stream in made.streams} >= {"video", "audio"}
    row = platform.row("video-1")
    assert {name: row[name] for name in FOREIGN} == FOREIGN
    assert row["ai_generation_status"] == {"S": "completed"}
    assert set(row["ai_generation_data"]["M"]) >= {
        "audio_transcription",
        "scene_beats",
        "vertex_ai_tasks",
        "processing_steps",
        "final_video_url",
    }
    assert platform.row("old-video") == untouched
