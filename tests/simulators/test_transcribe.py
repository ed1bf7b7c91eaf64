"""Transcribe's part, tried with boto3."""

import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from mypy_boto3_transcribe import TranscribeServiceClient

from statemachine.testing.clock import VirtualClock
from tests.media import write_clip, write_sound
from tests.s3_buckets import moto_bucket
from tests.simulators.scenario import Answer, Rule, Spoken, Takes, TranscriptionFailed
from tests.simulators.transcribe import SAMPLES, DirectoryObjects, MemoryObjects, S3Objects, transcript
from tests.simulators.vendors import Vendors

TEXT = "So I see. Well, well!"


@pytest.fixture
def recordings(vendors: Vendors, tmp_path: Path) -> MemoryObjects:
    objects = MemoryObjects()
    objects.write("media", "up/one.wav", write_sound(tmp_path / "one.wav", seconds=20).read_bytes())
    vendors.transcribe.objects = objects
    return objects


@pytest.fixture
def client(vendors: Vendors, recordings: MemoryObjects) -> TranscribeServiceClient:
    return client_of(vendors)


def client_of(vendors: Vendors) -> TranscribeServiceClient:
    return boto3.client(
        "transcribe",
        region_name="eu-central-1",
        endpoint_url=vendors.url,
        aws_access_key_id="none",
        aws_secret_access_key="none",  # noqa: S106 (nobody checks it on the loopback interface)
        # What is wrong must reach the service, which has its own words for it.
        config=Config(retries={"total_max_attempts": 1}, proxies={}, parameter_validation=False),
    )


def started(client: TranscribeServiceClient, **more: Any) -> None:  # noqa: ANN401 (the SDK's own parameters)
    client.start_transcription_job(
        **{
            "TranscriptionJobName": "job-1",
            "Media": {"MediaFileUri": "s3://media/up/one.wav"},
            "IdentifyLanguage": True,
            "OutputBucketName": "media",
            "OutputKey": "out/job-1.json",
            **more,
        }
    )


def job_of(client: TranscribeServiceClient) -> Any:  # noqa: ANN401 (as boto3 has it)
    return client.get_transcription_job(TranscriptionJobName="job-1")["TranscriptionJob"]


def written(objects: MemoryObjects, key: str = "out/job-1.json") -> Any:  # noqa: ANN401 (JSON as it came)
    return json.loads(objects.objects["media", key])


def test_a_completed_job_has_written_its_words(
    vendors: Vendors, client: TranscribeServiceClient, recordings: MemoryObjects
) -> None:
    vendors.scenario.add(Rule(place="transcribe.job", effect=Spoken(text=TEXT, language="en-GB")))
    started(client)

    job = job_of(client)

    results = written(recordings)["results"]
    assert (job["TranscriptionJobStatus"], job["LanguageCode"]) == ("COMPLETED", "en-GB")
    assert job["Transcript"]["TranscriptFileUri"].endswith("/media/out/job-1.json")
    assert results["transcripts"] == [{"transcript": TEXT}]
    assert results["language_code"] == "en-GB"
    assert [item["alternatives"][0]["content"] for item in results["items"]] == (
        ["So", "I", "see", ".", "Well", ",", "well", "!"]
    )
    assert [segment["transcript"] for segment in results["audio_segments"]] == ["So I see.", "Well, well!"]


def test_numbers_are_texts_and_marks_have_no_times() -> None:
    results = transcript(TEXT, job_name="job-1", seconds=10)["results"]

    assert isinstance(results, dict)
    items = results["items"]
    assert isinstance(items, list)
    timed = [item for item in items if isinstance(item, dict) and item["type"] == "pronunciation"]
    marks = [item for item in items if isinstance(item, dict) and item["type"] == "punctuation"]
    times = [float(str(item[key])) for item in timed for key in ("start_time", "end_time")]
    assert all(isinstance(item["start_time"], str) for item in timed)
    assert not any("start_time" in item for item in marks)
    assert times == sorted(times)
    assert 0 < times[0] < times[-1] <= 10
    assert len(marks) == 3


def test_the_words_of_a_sample_are_those_beside_it(
    vendors: Vendors, client: TranscribeServiceClient, recordings: MemoryObjects
) -> None:
    sample = SAMPLES / "narration_human_librivox.mp3"
    recordings.write("media", f"up/{sample.name}", sample.read_bytes())

    started(client, Media={"MediaFileUri": f"s3://media/up/{sample.name}"})
    job_of(client)

    text = sample.with_suffix(".txt").read_text(encoding="utf-8")
    assert written(recordings)["results"]["transcripts"][0]["transcript"] == " ".join(text.split())


def test_silence_has_an_empty_transcript_and_is_no_failure(
    vendors: Vendors, client: TranscribeServiceClient, recordings: MemoryObjects
) -> None:
    vendors.scenario.add(Rule(place="transcribe.job", effect=Spoken()))
    started(client)

    assert job_of(client)["TranscriptionJobStatus"] == "COMPLETED"
    results = written(recordings)["results"]
    assert (results["transcripts"], results["items"], results["audio_segments"]) == ([{"transcript": ""}], [], [])


def test_a_given_language_is_not_identified(client: TranscribeServiceClient, recordings: MemoryObjects) -> None:
    started(client, IdentifyLanguage=False, LanguageCode="de-DE")

    assert job_of(client)["LanguageCode"] == "de-DE"
    assert "language_code" not in written(recordings)["results"]


def test_a_job_is_queued_and_then_at_work(vendors: Vendors, client: TranscribeServiceClient) -> None:
    vendors.transcribe.takes = Takes(polls=2)
    started(client)

    assert [job_of(client)["TranscriptionJobStatus"] for _ in range(3)] == ["QUEUED", "IN_PROGRESS", "COMPLETED"]


def test_a_job_takes_its_time_by_the_given_clock(
    vendors: Vendors, client: TranscribeServiceClient, vendor_clock: VirtualClock
) -> None:
    vendors.transcribe.takes = Takes(seconds=30)
    started(client)
    before = job_of(client)["TranscriptionJobStatus"]
    vendor_clock.advance(timedelta(seconds=30))

    assert (before, job_of(client)["TranscriptionJobStatus"]) == ("QUEUED", "COMPLETED")


def test_a_completed_job_is_billed_once_by_its_length(vendors: Vendors, client: TranscribeServiceClient) -> None:
    started(client)
    job_of(client)
    job_of(client)

    (charge,) = vendors.bill.transcriptions
    assert charge.job_name == "job-1"
    assert charge.seconds == pytest.approx(20, abs=0.1)
    assert charge.usd == pytest.approx(20 / 60 * 0.024, abs=1e-4)


def test_a_name_is_taken_only_once(client: TranscribeServiceClient) -> None:
    started(client)

    with pytest.raises(client.exceptions.ConflictException):
        started(client)


def test_a_deleted_jobs_name_is_free_again(client: TranscribeServiceClient) -> None:
    started(client)
    client.delete_transcription_job(TranscriptionJobName="job-1")

    started(client)

    assert [job["TranscriptionJobName"] for job in client.list_transcription_jobs()["TranscriptionJobSummaries"]] == (
        ["job-1"]
    )


def test_an_unknown_job_is_not_found(client: TranscribeServiceClient) -> None:
    with pytest.raises(client.exceptions.NotFoundException):
        job_of(client)


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"TranscriptionJobName": "two words"}, "transcriptionJobName"),
        ({"Media": {"MediaFileUri": "up/one.wav"}}, "expected format"),
        ({"Media": {"MediaFileUri": "s3://media/up/none.wav"}}, "can't be accessed"),
        ({"IdentifyLanguage": False}, "exactly one of LanguageCode"),
        ({"LanguageCode": "en-US"}, "exactly one of LanguageCode"),
        ({"IdentifyLanguage": False, "LanguageCode": "tlh"}, "tlh is not supported"),
        ({"MediaFormat": "aiff"}, "MediaFormat"),
        ({"MediaSampleRateHertz": 4000}, "MediaSampleRateHertz"),
        ({"OutputKey": "out/ä.json"}, "OutputKey"),
        ({"Subtitles": {"Formats": ["srt"]}}, "does not know Subtitles"),
    ],
)
def test_an_order_that_is_wrong_in_itself_is_refused(
    vendors: Vendors, client: TranscribeServiceClient, order: dict[str, object], words: str
) -> None:
    with pytest.raises(client.exceptions.BadRequestException, match=words):
        started(client, **order)

    assert vendors.transcribe.jobs == {}


def test_a_job_fails_with_the_reason_of_the_scenario(
    vendors: Vendors, client: TranscribeServiceClient, recordings: MemoryObjects
) -> None:
    reason = "Invalid file size: file size too large."
    vendors.scenario.add(Rule(place="transcribe.job", effect=TranscriptionFailed(reason=reason)))
    started(client)

    job = job_of(client)

    assert (job["TranscriptionJobStatus"], job["FailureReason"]) == ("FAILED", reason)
    assert ("media", "out/job-1.json") not in recordings.objects
    assert vendors.bill.transcriptions == []


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ({"MediaFormat": "mp3"}, "The media format provided does not match the detected media format."),
        ({"MediaSampleRateHertz": 8000}, "The sample rate provided does not match the detected sample rate."),
    ],
)
def test_a_job_fails_for_what_was_claimed_of_its_recording(
    client: TranscribeServiceClient, order: dict[str, object], reason: str
) -> None:
    started(client, **order)

    assert job_of(client)["FailureReason"] == reason


def test_what_is_no_audio_is_an_unsupported_format(
    client: TranscribeServiceClient, recordings: MemoryObjects, tmp_path: Path
) -> None:
    recordings.write("media", "up/one.wav", write_clip(tmp_path / "silent.mp4", frames=12).read_bytes())
    started(client)

    assert job_of(client)["FailureReason"] == "Unsupported media format."


def test_a_throttled_start_starts_nothing(vendors: Vendors, client: TranscribeServiceClient) -> None:
    vendors.scenario.add(Rule(place="transcribe.start", effect=Answer(status=400, reason="ThrottlingException")))

    with pytest.raises(ClientError, match="Rate exceeded") as refused:
        started(client)

    assert refused.value.response["Error"]["Code"] == "ThrottlingException"
    assert vendors.transcribe.jobs == {}


def test_a_start_may_have_started_though_its_answer_is_lost(vendors: Vendors, client: TranscribeServiceClient) -> None:
    vendors.scenario.add(Rule(place="transcribe.start", effect=Answer(status=500, is_done=True)))

    with pytest.raises(ClientError, match="InternalFailureException"):
        started(client)

    assert list(vendors.transcribe.jobs) == ["job-1"]


def test_a_key_without_its_suffix_becomes_a_folder(client: TranscribeServiceClient, recordings: MemoryObjects) -> None:
    started(client, OutputKey="out/")
    job_of(client)

    assert written(recordings, "out/job-1.json")["status"] == "COMPLETED"


def test_a_job_without_a_bucket_keeps_its_transcript_at_the_service(
    vendors: Vendors, client: TranscribeServiceClient
) -> None:
    client.start_transcription_job(
        TranscriptionJobName="job-1", Media={"MediaFileUri": "s3://media/up/one.wav"}, LanguageCode="en-US"
    )
    job_of(client)

    assert json.loads(vendors.transcribe.managed["job-1"])["jobName"] == "job-1"


def test_the_transcript_is_written_to_s3(vendors: Vendors, tmp_path: Path) -> None:
    with moto_bucket("media") as s3:
        vendors.transcribe.objects = S3Objects(s3)
        s3.upload_fileobj(io.BytesIO(write_sound(tmp_path / "one.wav", seconds=1).read_bytes()), "media", "up/one.wav")
        client = client_of(vendors)
        started(client)
        job_of(client)

        body = s3.get_object(Bucket="media", Key="out/job-1.json")["Body"].read()

    assert json.loads(body)["status"] == "COMPLETED"


def test_a_key_does_not_climb_out_of_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="climbs out"):
        DirectoryObjects(tmp_path).write("media", "../../x", b"")
