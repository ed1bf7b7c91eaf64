import json
from collections.abc import Iterable
from datetime import timedelta
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ParamValidationError
from hypothesis import given
from hypothesis import strategies as st

from statemachine import Advance, Outcome
from statemachine.errors import PermanentError, TransientError
from statemachine.testing.clock import VirtualClock
from tests.simulators.scenario import Answer, Drop, Place, Rule, Spoken, Takes, TranscriptionFailed
from tests.simulators.transcribe import JOB_NAME, SAMPLES
from tests.simulators.vendors import Vendors
from tests.worker.fakes import FakeAssembler, FakeMediaStore, FakeTurn, job_data
from worker.job import Recording, Segment, Transcript
from worker.providers.aws_transcriber import (
    FAILURE_REMEDIES,
    AwsTranscriber,
    TranscribeClient,
    _job_name,
    transcribe_client,
)
from worker.steps.transcribe import TranscriptionFailedError, transcribe

KEY = "uploads/narration_synth_flite_rms.mp3"
RECORDING = Recording(key=KEY, filename="story.mp3", duration_seconds=28.4)
SOON = timedelta(minutes=2)


class Bucket(FakeMediaStore):
    """The bucket `bucket`, as the worker and as the simulator know it."""

    def __init__(self) -> None:
        super().__init__()
        self.write((SAMPLES / "narration_synth_flite_rms.mp3").read_bytes(), KEY)


class BucketObjects:
    """The same bucket for the simulator."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def read(self, bucket: str, key: str) -> bytes | None:
        return self._bucket.objects.get(key) if bucket == "bucket" else None

    def write(self, bucket: str, key: str, data: bytes) -> None:
        assert bucket == "bucket"
        self._bucket.write(data, key)


@cache
def _session() -> boto3.Session:
    return boto3.Session(aws_access_key_id="none", aws_secret_access_key="none", region_name="us-east-1")  # noqa: S106  the simulator asks nobody


def client_of(url: str) -> TranscribeClient:
    """A client that asks once: what it does after a failure is botocore's, and takes its time."""
    config = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 1})
    return _session().client("transcribe", endpoint_url=url, config=config)


@pytest.fixture
def bucket(vendors: Vendors) -> Bucket:
    bucket = Bucket()
    vendors.transcribe.objects = BucketObjects(bucket)
    return bucket


@pytest.fixture
def transcriber(vendors: Vendors, bucket: Bucket) -> AwsTranscriber:
    return AwsTranscriber(client_of(vendors.url), media=bucket, bucket="bucket")


def started(transcriber: AwsTranscriber, *, job_id: str = "job-1-run-1-1", language: str = "auto") -> str:
    return transcriber.start(RECORDING, job_id=job_id, language=language)


def fetched(transcriber: AwsTranscriber, **about: str) -> Transcript:
    transcript = transcriber.fetch(started(transcriber, **about), RECORDING, time_left=SOON)
    assert transcript is not None
    return transcript


# --- starting --------------------------------------------------------------------------------------------------------


def test_a_recording_becomes_words_with_times(transcriber: AwsTranscriber) -> None:
    transcript = fetched(transcriber)

    written = (SAMPLES / "narration_synth_flite_rms.txt").read_text(encoding="utf-8").split()
    assert [word.text for word in transcript.words] == written
    assert transcript.text.split() == written
    assert (transcript.mode, transcript.source, transcript.language) == ("speech", "transcribe", "en-US")
    assert transcript.duration_seconds == 28.4
    times = [moment for word in transcript.words for moment in (word.start_seconds, word.end_seconds)]
    assert times == sorted(times)
    assert 0 < times[0] < times[-1] <= 28.4
    assert all(word.confidence is not None and 0.9 <= word.confidence <= 1 for word in transcript.words)


def test_the_order_names_our_own_key_and_asks_for_the_language(transcriber: AwsTranscriber, vendors: Vendors) -> None:
    name = started(transcriber)

    assert vendors.transcribe.jobs[name].request == {
        "TranscriptionJobName": name,
        "Media": {"MediaFileUri": f"s3://bucket/{KEY}"},
        "OutputBucketName": "bucket",
        "OutputKey": f"ai-video/transcribe/{name}.json",
        "IdentifyLanguage": True,
        "Tags": [{"Key": "ai-video-job", "Value": "job-1-run-1-1"}],
    }


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("de-CH", "de-CH"),
        ("DE_ch", "de-CH"),
        (" en ", "en-US"),
        ("zh-Hant", "zh-TW"),
        ("zh-Hans-CN", "zh-CN"),
        ("nb-NO", "no-NO"),
        ("ja", "ja-JP"),
    ],
)
def test_a_language_is_told_in_the_services_own_code(
    transcriber: AwsTranscriber, vendors: Vendors, asked: str, sent: str
) -> None:
    name = started(transcriber, language=asked)

    request = vendors.transcribe.jobs[name].request
    assert request["LanguageCode"] == sent
    assert "IdentifyLanguage" not in request


@pytest.mark.parametrize(
    ("asked", "choices"), [("fr-BE", "fr-CA, fr-FR"), ("tlh", "another language"), ("fa", "fa-AF, fa-IR")]
)
def test_a_language_that_cannot_be_transcribed_is_refused_with_what_could_be(
    transcriber: AwsTranscriber, vendors: Vendors, asked: str, choices: str
) -> None:
    with pytest.raises(PermanentError, match=f"choose {choices}, or 'auto'") as caught:
        started(transcriber, language=asked)

    assert (caught.value.code, caught.value.user_action) == ("LANGUAGE_UNSUPPORTED", "choose_other_language")
    assert vendors.transcribe.jobs == {}


def test_starting_the_same_job_again_joins_the_running_one(transcriber: AwsTranscriber, vendors: Vendors) -> None:
    """A crash between start and save runs the state again; the vendor must not be paid twice."""
    first = started(transcriber)

    second = started(transcriber)
    transcriber.fetch(second, RECORDING, time_left=SOON)

    assert second == first
    assert len(vendors.bill.transcriptions) == 1


def test_a_start_whose_answer_was_lost_is_joined(transcriber: AwsTranscriber, vendors: Vendors) -> None:
    vendors.scenario.add(Rule(place="transcribe.start", effect=Drop(is_done=True)))
    with pytest.raises(TransientError) as caught:
        started(transcriber)

    name = started(transcriber)

    assert caught.value.code == "PROVIDER_UNAVAILABLE"
    assert list(vendors.transcribe.jobs) == [name]


def test_a_job_of_this_name_for_another_recording_is_not_taken_for_ours(
    transcriber: AwsTranscriber, bucket: Bucket
) -> None:
    started(transcriber)
    bucket.write(bucket.objects[KEY], "uploads/other.mp3")
    other = Recording(key="uploads/other.mp3", filename="other.mp3")

    with pytest.raises(PermanentError, match="belongs to another recording") as caught:
        transcriber.start(other, job_id="job-1-run-1-1", language="auto")

    assert caught.value.code == "PROVIDER_ERROR"


def test_a_job_that_vanishes_between_conflict_and_look_is_asked_for_again(
    transcriber: AwsTranscriber, vendors: Vendors
) -> None:
    vendors.scenario.add(Rule(place="transcribe.start", effect=Answer(status=400, reason="ConflictException")))

    with pytest.raises(TransientError, match="vanished"):
        started(transcriber)


@pytest.mark.parametrize(
    ("one", "other"), [("video/1-run-1", "video#1-run-1"), ("é", "è"), ("v" * 300 + "1", "v" * 300 + "2"), ("a", "A")]
)
def test_two_jobs_never_share_a_name(one: str, other: str) -> None:
    assert _job_name(one).lower() != _job_name(other).lower()


@given(st.text(min_size=1))
def test_every_job_id_makes_a_name_that_the_service_takes(job_id: str) -> None:
    assert JOB_NAME.fullmatch(_job_name(job_id))


def test_a_recording_that_is_not_in_the_bucket_is_missing(transcriber: AwsTranscriber, bucket: Bucket) -> None:
    bucket.objects.clear()

    with pytest.raises(PermanentError, match="may the role read it") as caught:
        started(transcriber)

    assert (caught.value.code, caught.value.user_action) == ("OBJECT_MISSING", "contact_admin")


def test_a_recording_on_this_machine_cannot_be_sent(vendors: Vendors) -> None:
    class Directory(FakeMediaStore):
        def uri(self, key: str) -> str:
            return f"file:///media/{key}"

    transcriber = AwsTranscriber(client_of(vendors.url), media=Directory(), bucket="bucket")

    with pytest.raises(PermanentError, match="AI_VIDEO_MEDIA=s3") as caught:
        started(transcriber)

    assert caught.value.code == "PART_UNAVAILABLE"


@pytest.mark.parametrize("prefix", ["no-slash", "späte/", "", "with space/"])
def test_a_prefix_that_no_output_key_may_have_is_refused_at_once(vendors: Vendors, prefix: str) -> None:
    with pytest.raises(ValueError, match="no prefix of an output key"):
        AwsTranscriber(client_of(vendors.url), media=FakeMediaStore(), bucket="bucket", prefix=prefix)


# --- errors of the service -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["transcribe.start", "transcribe.get"])
@pytest.mark.parametrize(
    ("answer", "code", "action"),
    [
        (Answer(status=400, reason="ThrottlingException"), "PROVIDER_QUOTA", "wait"),
        (Answer(status=400, reason="LimitExceededException"), "PROVIDER_QUOTA", "wait"),
        (Answer(status=500, reason="InternalFailureException"), "PROVIDER_UNAVAILABLE", "retry"),
        (Answer(status=503, body={"message": "no name at all"}), "PROVIDER_UNAVAILABLE", "retry"),
        (Answer(status=403, body={"__type": "ExpiredTokenException"}), "PROVIDER_UNAVAILABLE", "retry"),
        (Drop(), "PROVIDER_UNAVAILABLE", "retry"),
    ],
)
def test_what_may_pass_is_transient(
    transcriber: AwsTranscriber, vendors: Vendors, place: Place, answer: Answer | Drop, code: str, action: str
) -> None:
    vendors.scenario.add(Rule(place=place, effect=answer))

    with pytest.raises(TransientError, match=r"story\.mp3") as caught:
        fetched(transcriber)

    assert (caught.value.code, caught.value.user_action) == (code, action)


def test_a_limit_of_running_jobs_is_given_time_to_clear(transcriber: AwsTranscriber, vendors: Vendors) -> None:
    limit = Answer(status=400, reason="LimitExceededException")
    vendors.scenario.add(Rule(place="transcribe.start", effect=limit))

    with pytest.raises(TransientError) as caught:
        started(transcriber)

    assert caught.value.retry_after == timedelta(seconds=60)


@pytest.mark.parametrize("place", ["transcribe.start", "transcribe.get"])
def test_a_role_without_permission_is_the_administrators_matter(
    transcriber: AwsTranscriber, vendors: Vendors, place: Place
) -> None:
    vendors.scenario.add(Rule(place=place, effect=Answer(status=400, reason="AccessDeniedException")))

    with pytest.raises(PermanentError, match="AccessDeniedException") as caught:
        fetched(transcriber)

    assert (caught.value.code, caught.value.user_action) == ("PROVIDER_ERROR", "contact_admin")
    assert not isinstance(caught.value, TranscriptionFailedError)


def test_a_server_that_is_not_there_is_transient(bucket: Bucket) -> None:
    transcriber = AwsTranscriber(client_of("http://127.0.0.1:9"), media=bucket, bucket="bucket")

    with pytest.raises(TransientError) as caught:
        started(transcriber)

    assert caught.value.code == "PROVIDER_UNAVAILABLE"


def test_without_credentials_nothing_is_retried(vendors: Vendors, bucket: Bucket) -> None:
    client = transcribe_client(region_name="us-east-1", endpoint_url=vendors.url)
    transcriber = AwsTranscriber(client, media=bucket, bucket="bucket")

    with pytest.raises(PermanentError, match="needs an AWS account") as caught:
        started(transcriber)

    assert caught.value.user_action == "contact_admin"
    assert vendors.journal.requests == []


def test_a_call_that_is_wrong_in_itself_is_no_weather(transcriber: AwsTranscriber) -> None:
    with pytest.raises(ParamValidationError):
        transcriber.fetch("", RECORDING, time_left=SOON)


# --- fetching --------------------------------------------------------------------------------------------------------


def test_a_running_job_is_not_there_yet(
    transcriber: AwsTranscriber, vendors: Vendors, vendor_clock: VirtualClock
) -> None:
    vendors.scenario.add(Rule(place="transcribe.job", effect=Takes(seconds=30)))
    name = started(transcriber)

    looks = [transcriber.fetch(name, RECORDING, time_left=SOON) for _ in range(2)]
    vendor_clock.advance(timedelta(seconds=30))

    assert looks == [None, None]
    assert transcriber.fetch(name, RECORDING, time_left=SOON) is not None


@pytest.mark.parametrize("reason", FAILURE_REMEDIES)
def test_a_recording_that_the_service_cannot_use_is_to_be_replaced(
    transcriber: AwsTranscriber, vendors: Vendors, reason: str
) -> None:
    vendors.scenario.add(Rule(place="transcribe.job", effect=TranscriptionFailed(reason=f"{reason}.")))

    with pytest.raises(TranscriptionFailedError, match=FAILURE_REMEDIES[reason]) as caught:
        fetched(transcriber)

    assert (caught.value.code, caught.value.user_action) == ("INPUT_UNSUPPORTED", "upload_other_audio")


def test_a_recording_whose_bytes_are_no_audio_is_to_be_replaced(transcriber: AwsTranscriber, bucket: Bucket) -> None:
    bucket.write(b"no audio at all", KEY)

    with pytest.raises(TranscriptionFailedError, match=r"Unsupported media format") as caught:
        fetched(transcriber)

    assert caught.value.code == "INPUT_UNSUPPORTED"


def test_a_wrong_ending_of_the_name_does_no_harm(transcriber: AwsTranscriber, bucket: Bucket) -> None:
    """The service would refuse an MP3 that is announced as WAV."""
    bucket.write(bucket.objects[KEY], "uploads/story.wav")
    recording = Recording(key="uploads/story.wav", filename="story.wav", duration_seconds=28.4)

    name = transcriber.start(recording, job_id="job-2", language="auto")

    assert transcriber.fetch(name, recording, time_left=SOON) is not None


def test_a_failure_without_a_known_reason_may_be_retried(transcriber: AwsTranscriber, vendors: Vendors) -> None:
    vendors.scenario.add(Rule(place="transcribe.job", effect=TranscriptionFailed(reason="Internal hiccup.")))

    with pytest.raises(TranscriptionFailedError, match="Internal hiccup") as caught:
        fetched(transcriber)

    assert (caught.value.code, caught.value.user_action) == ("TRANSCRIPTION_FAILED", "retry")


def test_silence_is_instrumental_and_a_warning(transcriber: AwsTranscriber, vendors: Vendors) -> None:
    vendors.scenario.add(Rule(place="transcribe.job", effect=Spoken(text="")))

    transcript = fetched(transcriber)

    assert (transcript.mode, transcript.words, transcript.segments) == ("instrumental", (), ())
    assert [warning.partition(":")[0] for warning in transcript.warnings] == ["INPUT_NO_SPEECH"]
    assert transcript.duration_seconds == 28.4


def test_the_language_that_was_found_is_told(transcriber: AwsTranscriber, vendors: Vendors) -> None:
    vendors.scenario.add(Rule(place="transcribe.job", effect=Spoken(text="Es war einmal.", language="de-DE")))

    assert fetched(transcriber).language == "de-DE"


def test_a_language_that_was_given_is_told_though_the_file_does_not_hold_it(transcriber: AwsTranscriber) -> None:
    assert fetched(transcriber, language="en-GB").language == "en-GB"


def test_a_transcript_outlives_its_job(transcriber: AwsTranscriber, vendors: Vendors) -> None:
    """The service forgets jobs after 90 days."""
    transcript = fetched(transcriber)
    name = started(transcriber)
    vendors.transcribe.jobs.clear()

    assert transcriber.fetch(name, RECORDING, time_left=SOON) == transcript


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=400, reason="NotFoundException"),
        # What moto answers.
        Answer(
            status=400,
            body={
                "__type": "BadRequestException",
                "message": "The requested job couldn't be found. Check the job name",
            },
        ),
    ],
)
def test_a_job_that_nobody_knows_is_transcribed_anew_on_retry(
    transcriber: AwsTranscriber, vendors: Vendors, answer: Answer
) -> None:
    vendors.scenario.add(Rule(place="transcribe.get", effect=answer))

    with pytest.raises(TranscriptionFailedError, match="no longer knows") as caught:
        fetched(transcriber)

    assert (caught.value.code, caught.value.user_action) == ("TRANSCRIPTION_FAILED", "retry")


def test_a_transcript_that_was_removed_is_made_anew_on_retry(transcriber: AwsTranscriber, bucket: Bucket) -> None:
    name = started(transcriber)
    transcriber.fetch(name, RECORDING, time_left=SOON)
    del bucket.objects[f"ai-video/transcribe/{name}.json"]

    with pytest.raises(TranscriptionFailedError, match="no longer at") as caught:
        transcriber.fetch(name, RECORDING, time_left=SOON)

    assert caught.value.code == "TRANSCRIPTION_FAILED"


def test_a_retry_after_a_failed_job_pays_for_a_new_one_and_gets_its_transcript(
    transcriber: AwsTranscriber, vendors: Vendors, bucket: Bucket
) -> None:
    vendors.scenario.add(Rule(place="transcribe.job", effect=TranscriptionFailed(reason="Internal hiccup.")))
    data = job_data()
    data["recording"] = RECORDING.model_dump(mode="json", exclude_none=True)
    turn = FakeTurn(data)

    def step() -> Outcome:
        return transcribe(
            turn.job,
            turn=turn,
            transcriber=transcriber,
            assembler=FakeAssembler(),
            media=bucket,
            longest=timedelta(minutes=10),
        )

    with pytest.raises(TranscriptionFailedError):
        step()

    outcome = step()

    assert isinstance(outcome, Advance)
    assert [(name, job.status) for name, job in vendors.transcribe.jobs.items()] == [
        (_job_name("job-1-run-1-1"), "FAILED"),
        (_job_name("job-1-run-1-2"), "COMPLETED"),
    ]


# --- what a file may look like ---------------------------------------------------------------------------------------


def spoken_at(text: str, start: str, end: str, confidence: str = "0.95") -> dict[str, Any]:
    return {
        "type": "pronunciation",
        "alternatives": [{"confidence": confidence, "content": text}],
        "start_time": start,
        "end_time": end,
    }


def mark(text: str) -> dict[str, Any]:
    return {"type": "punctuation", "alternatives": [{"confidence": "0.0", "content": text}]}


def read(transcriber: AwsTranscriber, bucket: Bucket, items: Iterable[dict[str, Any]], **results: object) -> Transcript:
    """What is made of a file with these items, as the service wrote it."""
    name = started(transcriber)
    transcriber.fetch(name, RECORDING, time_left=SOON)
    content = {"results": {"transcripts": [{"transcript": "…"}], "items": list(items), **results}}
    bucket.write(json.dumps(content).encode(), f"ai-video/transcribe/{name}.json")
    transcript = transcriber.fetch(name, RECORDING, time_left=SOON)
    assert transcript is not None
    return transcript


def test_an_old_file_without_segments_is_cut_at_full_stops_and_pauses(
    transcriber: AwsTranscriber, bucket: Bucket
) -> None:
    items = [
        spoken_at("So", "1.51", "1.83"),
        spoken_at("I", "1.9", "2.0"),
        spoken_at("see", "2.0", "2.4"),
        mark("."),
        spoken_at("Then", "2.5", "2.7"),
        spoken_at("silence", "4.0", "4.5"),
    ]

    transcript = read(transcriber, bucket, items)

    assert transcript.segments == (
        Segment(start_seconds=1.51, end_seconds=2.4, text="So I see."),
        Segment(start_seconds=2.5, end_seconds=2.7, text="Then"),
        Segment(start_seconds=4.0, end_seconds=4.5, text="silence"),
    )


def test_an_old_file_in_japanese_gets_no_spaces(transcriber: AwsTranscriber, bucket: Bucket) -> None:
    items = [spoken_at("海", "1.0", "1.2"), spoken_at("は", "1.2", "1.3"), spoken_at("静か", "1.3", "1.6"), mark("。")]

    transcript = read(transcriber, bucket, items, language_code="ja-JP")

    assert transcript.text == "海は静か。"


def test_a_mark_before_the_first_word_belongs_to_it(transcriber: AwsTranscriber, bucket: Bucket) -> None:
    transcript = read(transcriber, bucket, [mark("¿"), spoken_at("Quién", "1.0", "1.5"), mark("?")])

    assert [word.text for word in transcript.words] == ["¿Quién?"]


def test_an_item_without_a_word_is_no_word(transcriber: AwsTranscriber, bucket: Bucket) -> None:
    transcript = read(transcriber, bucket, [spoken_at(" ", "0.5", "0.6"), spoken_at("Yes", "1.0", "1.5")])

    assert [word.text for word in transcript.words] == ["Yes"]


def test_a_recording_that_was_never_measured_lasts_as_long_as_its_words(
    transcriber: AwsTranscriber, bucket: Bucket
) -> None:
    name = started(transcriber)
    transcriber.fetch(name, RECORDING, time_left=SOON)

    transcript = transcriber.fetch(name, RECORDING.model_copy(update={"duration_seconds": None}), time_left=SOON)

    assert transcript is not None
    assert transcript.duration_seconds == transcript.words[-1].end_seconds


def test_times_beyond_the_recording_are_drawn_in(transcriber: AwsTranscriber, bucket: Bucket) -> None:
    items = [spoken_at("late", "28.3", "28.9"), spoken_at("later", "29.0", "28.5", confidence="1.2")]
    segments = [{"transcript": "late later", "start_time": "28.3", "end_time": "29.5"}]

    transcript = read(transcriber, bucket, items, audio_segments=segments)

    assert [(word.start_seconds, word.end_seconds) for word in transcript.words] == [(28.3, 28.4), (28.4, 28.4)]
    assert transcript.words[1].confidence == 1.0
    assert transcript.segments == (Segment(start_seconds=28.3, end_seconds=28.4, text="late later"),)


@pytest.mark.parametrize(
    ("items", "fault"),
    [
        ([{"type": "pronunciation", "alternatives": []}], "results.items.0.alternatives"),
        ([spoken_at("secret words", "soon", "later")], "results.items.0.start_time"),
        ([spoken_at("secret words", "nan", "1.0")], "results.items.0.start_time"),
        ([{"type": "pronunciation", "alternatives": [{"content": "secret words"}]}], "a word without times"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_without_what_was_said(
    transcriber: AwsTranscriber, bucket: Bucket, items: list[dict[str, Any]], fault: str
) -> None:
    with pytest.raises(TranscriptionFailedError, match=fault) as caught:
        read(transcriber, bucket, items)

    assert "secret words" not in str(caught.value)


def test_the_client_gives_up_in_time_and_tries_three_times() -> None:
    client = transcribe_client(region_name="us-east-1", endpoint_url="http://127.0.0.1:9")

    config = client.meta.config
    assert (config.connect_timeout, config.read_timeout) == (3, 10)
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}
