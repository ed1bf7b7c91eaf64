"""The API as the function builds it from its settings, with table, bucket, function and topics of a simulated AWS."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests import dynamodb_tables as tables
from tests.aws_wire import Answer, Wire
from tests.worker.handlers.api.desk import ADA, BOB, rest_event
from worker import lambda_function

SAMPLE = Path(__file__).parents[4] / "samples" / "narration_human_librivox.mp3"
VIDEO, KEY, BUCKET = "video-1", "uploads/reading.mp3", "platform-bucket"

SETTINGS = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_REGION": "eu-central-1",
    "AI_VIDEO_BUCKET": BUCKET,
    "AI_VIDEO_MEDIA": "s3",
    "AI_VIDEO_TRANSCRIBER": "aws",
    "AI_VIDEO_RENDERER": "veo",
    "AI_VIDEO_VEO_ALLOW_INLINE": "true",
    "AI_VIDEO_GOOGLE_AUDIENCE": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
    "GOOGLE_CLOUD_PROJECT": "a-project",
    "AI_VIDEO_FUNCTION_NAME": "ai-video",
    "AI_VIDEO_CONCURRENT_JOBS": "2",
    "AI_VIDEO_DAILY_USD": "20",
    "AI_VIDEO_COMPLETION_BUS": "platform",
    "AI_VIDEO_LIMITS_PARAMETER": "/ai-video/limits",
}


class Context:
    """An invocation with a minute left."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Clients of a simulated AWS that holds one recording of Ada's; the function's settings lead to it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    for name, value in {**SETTINGS, "AWS_ENDPOINT_URL": url}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    session = boto3.Session("none", "none", region_name="eu-central-1")
    clients: dict[str, Any] = {
        name: session.client(name, endpoint_url=url) for name in ("dynamodb", "s3", "ssm", "events")
    }
    layout = tables.created(clients["dynamodb"], tables.ONE_PART)
    item = {"video_id": {"S": VIDEO}, "user_id": {"S": ADA}, "s3_key": {"S": KEY}}
    clients["dynamodb"].put_item(TableName=layout.table_name, Item=item)
    location = {"LocationConstraint": "eu-central-1"}
    clients["s3"].create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
    clients["s3"].upload_file(str(SAMPLE), BUCKET, KEY)
    clients["ssm"].put_parameter(Name="/ai-video/limits", Value="{}", Type="String")
    forget()
    yield clients
    forget()
    clients["s3"].delete_object(Bucket=BUCKET, Key=KEY)
    clients["s3"].delete_bucket(Bucket=BUCKET)
    clients["dynamodb"].delete_table(TableName=layout.table_name)
    clients["ssm"].delete_parameter(Name="/ai-video/limits")
    server.stop()


def forget() -> None:
    """Be a new execution environment."""
    for part in (lambda_function.foundation, lambda_function.worker, lambda_function.engine, lambda_function.api):
        part.cache_clear()


def call(method: str, *, user: str = ADA, body: object = None) -> tuple[int, Any]:
    query = {} if method == "POST" else {"videoId": VIDEO}
    event = rest_event(method, "/ai-video", {"sub": user}, query, json.dumps(body) if body else None, {})
    answer = lambda_function.handler(event, Context())
    return answer["statusCode"], json.loads(answer["body"]) if answer["body"] else None


def accepting_dispatches() -> Wire:
    """The wire of the function's own Lambda client, where the next turn is accepted and not run."""
    dispatcher: Any = lambda_function.worker().dispatcher
    wire = Wire(dispatcher._client)  # noqa: SLF001  the one client that is not the test's own
    wire.troubles.extend([Answer(202)] * 10)
    return wire


def test_a_job_is_estimated_started_watched_and_cancelled_through_the_function(aws: dict[str, Any]) -> None:
    dispatches = accepting_dispatches()

    estimated, estimate = call("POST", body={"videoId": VIDEO, "dryRun": True})
    started, job = call("POST", body={"videoId": VIDEO})
    watched, seen = call("GET")
    cancelled, ended = call("DELETE")

    assert (estimated, started, watched, cancelled) == (200, 202, 200, 202)
    assert estimate["model_profile"]["name"] == "veo-3.1-fast-generate-001"
    assert estimate["recording"]["duration_seconds"] == pytest.approx(27.2, abs=0.2)
    assert job["phase"] == seen["phase"] == "transcribing"
    assert ended["error"]["code"] == "CANCELLED"
    assert dispatches.operations == ["Invoke", "Invoke"]  # the first turn; after the cancel, the after-work
    control = aws["dynamodb"].get_item(
        TableName="video_metadata", Key={"video_id": {"S": f"ai#user#{ADA}"}}, ConsistentRead=True
    )["Item"]
    assert len(control["ai_slots"]["M"]) == 1


def test_somebody_else_finds_nothing_through_the_function(aws: dict[str, Any]) -> None:
    accepting_dispatches()
    call("POST", body={"videoId": VIDEO})

    assert [call(method, user=BOB)[0] for method in ("GET", "DELETE")] == [404, 404]
    assert call("POST", user=BOB, body={"videoId": VIDEO})[0] == 404


def test_the_kill_switch_is_a_parameter_that_needs_no_deployment(aws: dict[str, Any]) -> None:
    aws["ssm"].put_parameter(Name="/ai-video/limits", Value='{"starts": false}', Type="String", Overwrite=True)

    status, problem = call("POST", body={"videoId": VIDEO})

    assert (status, problem["code"]) == (503, "STARTS_PAUSED")


def test_after_work_frees_the_slot_and_tells_the_bus(aws: dict[str, Any]) -> None:
    accepting_dispatches()
    call("POST", body={"videoId": VIDEO})
    call("DELETE")
    aws["events"].create_event_bus(Name="platform")
    version = lambda_function.worker().store.get(VIDEO).version

    answer = lambda_function.handler({"execution_id": VIDEO, "version": version}, Context())

    assert answer["turn"] == "finished"
    assert lambda_function.worker().rows.usage(ADA).slots == {}
    aws["events"].delete_event_bus(Name="platform")
