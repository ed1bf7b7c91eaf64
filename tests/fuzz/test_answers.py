"""What vendors answer: whatever comes, a step gets what its port promises, or one of the port's errors."""

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from statemachine.errors import PermanentError, StepError, TransientError
from statemachine.testing import VirtualClock
from tests.fuzz.documents import ANY_JSON, fuzzed, nearly
from tests.simulators.vendors import Vendors
from tests.worker.fakes import FakeMediaStore, spoken
from tests.worker.providers.veo.orders import order
from worker.beats import cut_beats
from worker.captions import captions_from, webvtt
from worker.job import BeatSlot, Options, Recording, Transcript
from worker.models import VEO_3_1_FAST
from worker.ports import AmbiguousSubmissionError, Clip, NotAcceptedError, OperationLost, Refused, ScenePlan
from worker.providers.aws_transcriber import AwsTranscriber
from worker.providers.google_credentials import from_key
from worker.providers.openai_planner import OpenAiPlanner
from worker.providers.veo import VeoRenderer, VertexProject
from worker.providers.veo.answers import InlineVideo, verdict

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)

FILTERED = {"raiMediaFilteredCount": 1, "raiMediaFilteredReasons": ["Support codes: 29310472"]}
OPERATIONS = (
    {"name": "op", "done": True, "response": {"videos": [{"gcsUri": "gs://b/clip.mp4", "mimeType": "video/mp4"}]}},
    {"name": "op", "done": True, "response": {"generateVideoResponse": FILTERED}},
    {"name": "op", "done": True, "error": {"code": 13, "message": "Internal. Support codes: 1234"}},
    {"name": "op", "done": True, "response": {"videos": [{"bytesBase64Encoded": "AAAA"}]}},
    {"name": "op"},
)
LISTED = {"items": [{"name": "ai-video/clip.mp4", "size": "1234"}], "nextPageToken": "more"}
TOKEN = {"access_token": "token", "expires_in": 3599, "token_type": "Bearer"}

TRANSCRIPT = {
    "results": {
        "items": [
            {
                "type": "pronunciation",
                "start_time": "0.1",
                "end_time": "0.6",
                "alternatives": [{"content": "Once", "confidence": "0.99"}],
            },
            {"type": "punctuation", "alternatives": [{"content": "."}]},
        ],
        "audio_segments": [{"transcript": "Once.", "start_time": "0.1", "end_time": "0.6"}],
        "language_code": "en-US",
    }
}
SHOT = {
    "subject": "a keeper",
    "action": "climbs a stair",
    "setting": "a lighthouse",
    "camera": "wide shot",
    "light": "dusk",
    "mood": "calm",
    "avoid": "text",
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "output": [
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": json.dumps({"title": "A story", "shots": [SHOT, SHOT]})}],
        }
    ],
    "usage": {"input_tokens": 10, "output_tokens": 20},
}


class Answering:
    """A server that answers everything with one body."""

    def __init__(self) -> None:
        self.status, self.body = 200, b""
        answering = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(answering.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answering.body)))
                self.end_headers()
                self.wfile.write(answering.body)

            do_GET = do_POST = _answer  # noqa: N815  http.server's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def will_say(self, body: object, status: int = 200) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()


@pytest.fixture(scope="module")
def server() -> Iterator[Answering]:
    server = Answering()
    yield server
    server.close()


class FixedToken:
    """A token that nobody looks at."""

    @property
    def credentials(self) -> Any:  # noqa: ANN401  google-auth's object
        from google.oauth2.credentials import Credentials  # noqa: PLC0415  takes 0.2 s, for these tests alone

        return Credentials(token="token")  # type: ignore[no-untyped-call]  # noqa: S106  nobody checks it

    def token(self) -> str:
        return "token"

    def renewed(self, refused: str) -> str:
        return "token"


@pytest.fixture(scope="module")
def renderer(server: Answering) -> Iterator[VeoRenderer]:
    place = VertexProject("proj-1", "us-central1", server.url, server.url)
    renderer = VeoRenderer(
        VEO_3_1_FAST, place=place, tokens=FixedToken(), output_uri="gs://clips", clock=VirtualClock(NOW)
    )
    yield renderer
    renderer.close()


@given(st.sampled_from(OPERATIONS).flatmap(nearly) | ANY_JSON)
@example({"done": True, "error": "it failed"})
@example({"done": True, "error": {"code": "ABORTED", "message": None}})
@example({"done": True, "error": {"code": None}})
@example({"done": True, "response": [1]})
@example({"done": True, "response": {"videos": ["x"], "generateVideoResponse": "y"}})
@fuzzed
def test_every_operation_is_a_clip_a_refusal_or_still_running(operation: Any) -> None:  # noqa: ANN401  any JSON
    if not isinstance(operation, dict):
        return  # what is no object, `Calls` does not hand on

    answer = verdict(operation)

    assert answer is None or isinstance(answer, Clip | InlineVideo | Refused)


BODIES = (
    st.sampled_from(OPERATIONS).flatmap(nearly).map(json.dumps).map(str.encode)
    | ANY_JSON.map(json.dumps).map(str.encode)
    | st.binary(max_size=40)
)


@given(body=BODIES, status=st.sampled_from([200, 200, 200, 400, 403, 404, 429, 500, 503]))
@fuzzed
def test_an_order_is_accepted_refused_or_in_doubt_and_never_something_else(
    server: Answering, renderer: VeoRenderer, body: bytes, status: int
) -> None:
    """Anything else would leave an order that may be paid for without a word about it."""
    server.will_say(body, status)

    with suppress(NotAcceptedError, AmbiguousSubmissionError):
        assert renderer.submit(order())


@given(body=BODIES, status=st.sampled_from([200, 200, 200, 404, 500]))
@fuzzed
def test_a_look_at_an_order_finds_something_or_is_made_again(
    server: Answering, renderer: VeoRenderer, body: bytes, status: int
) -> None:
    server.will_say(body, status)

    with suppress(TransientError):
        found = renderer.poll("projects/proj-1/locations/us-central1/publishers/google/models/veo/operations/op")
        assert found is None or isinstance(found, Clip | Refused | OperationLost)


@given(body=(nearly(LISTED) | ANY_JSON).map(json.dumps).map(str.encode) | st.binary(max_size=40))
@fuzzed
def test_a_search_for_a_clip_finds_one_or_none_or_is_made_again(
    server: Answering, renderer: VeoRenderer, body: bytes
) -> None:
    # A list that always names a next page would be read for ever, from a server that only says one thing.
    server.will_say(body.replace(b"nextPageToken", b"lastPageToken"))

    with suppress(TransientError):
        found = renderer.find(order())
        assert found is None or found.location.startswith("gs://")


@given(body=(nearly(TOKEN) | ANY_JSON).map(json.dumps).map(str.encode) | st.binary(max_size=40))
@fuzzed
def test_a_token_service_gives_a_token_or_one_of_two_errors(server: Answering, key_info: Any, body: bytes) -> None:  # noqa: ANN401  any JSON
    server.will_say(body)
    credentials = from_key(lambda *, refresh: json.dumps({**key_info, "token_uri": f"{server.url}/token"}))

    with suppress(TransientError, PermanentError):
        assert credentials.token()


@pytest.fixture(scope="module")
def key_info() -> Any:  # noqa: ANN401  any JSON
    with Vendors(clock=VirtualClock(NOW)) as vendors:
        return vendors.google.service_account_info(vendors.url)


@given(key=ANY_JSON.map(json.dumps) | st.text(max_size=50) | nearly({"type": "service_account"}).map(json.dumps))
@fuzzed
def test_what_is_no_key_is_refused_for_a_person(key: str) -> None:
    credentials = from_key(lambda *, refresh: key)

    with pytest.raises(PermanentError, match="credentials for Google"):
        credentials.token()


@given(body=(nearly(TRANSCRIPT) | ANY_JSON).map(json.dumps).map(str.encode) | st.binary(max_size=60))
@fuzzed
def test_a_transcript_can_be_cut_into_scenes_and_captions_or_is_refused(body: bytes) -> None:
    media = FakeMediaStore()
    media.objects["ai-video/transcribe/job.json"] = body
    transcriber = AwsTranscriber(CompletedJob(), media=media, bucket="bucket")
    recording = Recording(key="a.mp3", filename="a.mp3", duration_seconds=12.0)

    try:
        transcript = transcriber.fetch("job", recording, time_left=timedelta(minutes=1))
    except StepError:
        return

    assert isinstance(transcript, Transcript)
    Transcript.model_validate_json(transcript.model_dump_json())
    captions = captions_from(transcript)
    assert webvtt(captions).startswith("WEBVTT")
    assert all(0 <= caption.start_seconds <= caption.end_seconds for caption in captions)
    beats = cut_beats(transcript.words, transcript.duration_seconds, longest_seconds=8.0, max_scenes=75)
    assert sum(beat.end_seconds - beat.start_seconds for beat in beats) == pytest.approx(12.0)


class CompletedJob:
    """Amazon Transcribe, with whom a job is done."""

    meta: Any = None

    def start_transcription_job(self, **_: object) -> Any:  # noqa: ANN401  boto3's
        return {}

    def get_transcription_job(self, **_: object) -> Any:  # noqa: ANN401  boto3's
        return {"TranscriptionJob": {"TranscriptionJobStatus": "COMPLETED", "Media": {"MediaFileUri": "s3://b/a.mp3"}}}


@given(body=(nearly(RESPONSE) | ANY_JSON).map(json.dumps).map(str.encode) | st.binary(max_size=40))
@fuzzed
def test_a_language_model_plans_every_scene_or_the_step_is_told_why(server: Answering, body: bytes) -> None:
    server.will_say(body)
    planner = OpenAiPlanner("key", clock=VirtualClock(NOW), base_url=f"{server.url}/v1")
    slots = [BeatSlot(n, n * 6.0, (n + 1) * 6.0, "the keeper lit the lamp") for n in range(2)]

    try:
        plan = planner.plan(
            slots, transcript=spoken("a keeper", seconds=12.0), options=Options(), time_left=timedelta(minutes=4)
        )
    except StepError:
        return
    finally:
        planner.close()

    assert isinstance(plan, ScenePlan)
    assert len(plan.beats) == 2
