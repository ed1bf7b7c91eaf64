"""Amazon Transcribe's jobs: validated, run by the clock, failed with the service's reasons, and really written out.

Speaks JSON 1.1 as boto3 does to an endpoint of one's own.  The recording is read and measured; what is heard in it is
the text beside the sample of the same name, or what a rule says, spread over its length.  What the worker never asks
for (speakers, subtitles, redaction, vocabularies) is refused, so that nobody takes it for simulated.
"""

import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Protocol

import av
from botocore.exceptions import ClientError
from botocore.model import StringShape
from botocore.session import get_session
from mypy_boto3_s3 import S3Client
from pydantic import JsonValue
from werkzeug.wrappers import Request, Response

from statemachine.clock import Clock
from tests.simulators.bill import Bill, SpeechCharge
from tests.simulators.scenario import (
    Answer,
    Effect,
    Place,
    Scenario,
    Spoken,
    Subject,
    Takes,
    TranscriptionFailed,
    first_of,
)
from tests.simulators.server import Route

SAMPLES = Path(__file__).parents[2] / "samples"
DEFAULT_TEXT = "The keeper climbed the stairs and lit the lamp. Then he looked out, and the sea was quiet."
ACCOUNT = "111122223333"

# Batch price of the first tier and least length billed (Amazon Transcribe price page, us-east-1, read 2026-11-22).
USD_PER_SECOND = 0.024 / 60
LEAST_BILLED_SECONDS = 15
LONGEST_SECONDS = 14_400  # of a recording (quotas page, read 2026-11-22)
MOST_CHANNELS = 2
CONCURRENT_JOBS = 250  # as above

JOB_NAME = re.compile(r"[0-9a-zA-Z._-]{1,200}")
OUTPUT_KEY = re.compile(r"[a-zA-Z0-9\-_.!*'()/]{1,1024}")
MEDIA_URI = re.compile(r"s3://([a-z0-9.-]{3,63})/(.+)")
SIGNATURE = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/([a-z0-9-]+)/transcribe/aws4_request")

KNOWN_PARAMETERS = frozenset(
    {
        "TranscriptionJobName",
        "Media",
        "MediaFormat",
        "MediaSampleRateHertz",
        "LanguageCode",
        "IdentifyLanguage",
        "LanguageOptions",
        "OutputBucketName",
        "OutputKey",
        "OutputEncryptionKMSKeyId",
        "JobExecutionSettings",
        "Tags",
    }
)

# FFmpeg's name of a container → the service's names of it.
FORMATS: Mapping[str, frozenset[str]] = {
    "mov,mp4,m4a,3gp,3g2,mj2": frozenset({"mp4", "m4a"}),
    "mp3": frozenset({"mp3"}),
    "wav": frozenset({"wav"}),
    "flac": frozenset({"flac"}),
    "ogg": frozenset({"ogg"}),
    "matroska,webm": frozenset({"webm"}),
    "amr": frozenset({"amr"}),
}

MESSAGES: Mapping[str, tuple[int, str]] = {
    "BadRequestException": (400, "The request is not valid."),
    "ConflictException": (400, "The requested job name already exists. Use a different job name."),
    "LimitExceededException": (400, "You have reached the limit of concurrent transcription jobs. Try again later."),
    "ThrottlingException": (400, "Rate exceeded"),
    "AccessDeniedException": (400, "User is not authorized to perform this operation."),
    "NotFoundException": (400, "The requested job couldn't be found. Check the job name and try your request again."),
    "InternalFailureException": (500, "There was an internal error. Check the error message and try again."),
    "ServiceUnavailableException": (503, "Service is currently unavailable."),
}
BY_STATUS = {
    400: "LimitExceededException",
    429: "ThrottlingException",
    500: "InternalFailureException",
    503: "ServiceUnavailableException",
}

JsonObject = dict[str, JsonValue]


class Objects(Protocol):
    """Where recordings are read and transcripts are written."""

    def read(self, bucket: str, key: str) -> bytes | None:
        """The object, or None when it is not there or may not be read."""

    def write(self, bucket: str, key: str, data: bytes) -> None:
        """Store an object."""


class MemoryObjects:
    """Objects in a dictionary, by bucket and key."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}

    def read(self, bucket: str, key: str) -> bytes | None:
        return self.objects.get((bucket, key))

    def write(self, bucket: str, key: str, data: bytes) -> None:
        self.objects[bucket, key] = data


class DirectoryObjects:
    """Objects as files below one folder: `bucket/key`."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def read(self, bucket: str, key: str) -> bytes | None:
        path = self._path(bucket, key)
        return path.read_bytes() if path.is_file() else None

    def write(self, bucket: str, key: str, data: bytes) -> None:
        path = self._path(bucket, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def _path(self, bucket: str, key: str) -> Path:
        path = (self._root / bucket / key).resolve()
        if not path.is_relative_to(self._root):
            raise ValueError(f"the key {key!r} climbs out of the folder")
        return path


class S3Objects:
    """Objects in S3, or in what stands in for it."""

    def __init__(self, client: S3Client) -> None:
        self._client = client

    def read(self, bucket: str, key: str) -> bytes | None:
        try:
            return self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchBucket", "AccessDenied"):
                return None
            raise

    def write(self, bucket: str, key: str, data: bytes) -> None:
        self._client.put_object(Bucket=bucket, Key=key, Body=data, ContentType="application/json")


@dataclass(slots=True)
class TranscriptionJob:
    """One job, and what will become of it.

    Attributes:
        looks: how many times it was asked for and found unfinished.
    """

    name: str
    request: JsonObject
    media_uri: str
    region: str
    created_at: datetime
    takes: Takes
    fate: list[Effect]
    looks: int = 0
    status: str = "QUEUED"
    failure_reason: str | None = None
    completed_at: datetime | None = None
    transcript_uri: str | None = None
    media_seconds: float = 0
    media_format: str | None = None
    sample_rate: int | None = None
    language: str | None = None

    @property
    def is_finished(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ("COMPLETED", "FAILED")


class Transcribe:
    """Transcribe's part of the server.

    Attributes:
        objects: where recordings lie and transcripts go; may be set at any time.
        jobs: by name.
        takes: how long a job takes when no rule says otherwise.
        managed: transcripts of jobs that named no bucket, by job name.
    """

    def __init__(
        self,
        *,
        scenario: Scenario,
        bill: Bill,
        clock: Clock,
        objects: Objects | None = None,
        takes: Takes | None = None,
    ) -> None:
        self.scenario = scenario
        self.bill = bill
        self.clock = clock
        self.objects = objects or MemoryObjects()
        self.takes = takes or Takes()
        self.jobs: dict[str, TranscriptionJob] = {}
        self.managed: dict[str, bytes] = {}
        self._operations: Mapping[str, Callable[[JsonObject, str], Response]] = {
            "StartTranscriptionJob": self._start,
            "GetTranscriptionJob": self._get,
            "ListTranscriptionJobs": self._list,
            "DeleteTranscriptionJob": self._delete,
        }

    def routes(self) -> Iterable[Route]:
        """One address; the operation is named in a header."""
        yield Route("/", "POST", self._answer, _place, _about)

    def fault(self, answer: Answer) -> Response:
        """The service's error; `reason` is the name of the exception."""
        return _error(answer.reason or BY_STATUS.get(answer.status, "InternalFailureException"), status=answer.status)

    def _answer(self, request: Request) -> Response:
        operation = self._operations.get(_operation(request))
        if operation is None:
            return _error("UnknownOperationException", "The operation is not known.", status=400)
        signature = SIGNATURE.match(request.headers.get("Authorization", ""))
        if signature is None:
            return _error("MissingAuthenticationTokenException", "Missing Authentication Token", status=403)
        return operation(_object(request), signature[1])

    # --- operations --------------------------------------------------------------------------------------------------

    def _start(self, body: JsonObject, region: str) -> Response:
        fault = _order_fault(body)
        if fault is not None:
            return _error("BadRequestException", fault)
        name, uri = str(body["TranscriptionJobName"]), _media_uri(body)
        if name in self.jobs:
            return _error("ConflictException")
        if sum(not job.is_finished for job in self.jobs.values()) >= CONCURRENT_JOBS:
            return _error("LimitExceededException")
        if self._media(uri) is None:
            return _error(
                "BadRequestException",
                "The S3 URI that you provided can't be accessed. Make sure that you have read permission and try your "
                "request again.",
            )
        effects = self.scenario.effects("transcribe.job", Subject(None, f"{name}\n{uri}"))
        self.jobs[name] = TranscriptionJob(
            name=name,
            request=body,
            media_uri=uri,
            region=region,
            created_at=self.clock.now(),
            takes=first_of(effects, Takes) or self.takes,
            fate=effects,
        )
        return _json({"TranscriptionJob": _description(self.jobs[name])})

    def _get(self, body: JsonObject, region: str) -> Response:
        job = self.jobs.get(str(body.get("TranscriptionJobName", "")))
        if job is None:
            return _error("NotFoundException")
        self._look(job)
        return _json({"TranscriptionJob": _description(job)})

    def _list(self, body: JsonObject, region: str) -> Response:
        wanted, part = body.get("Status"), str(body.get("JobNameContains", "")).lower()
        found: list[JsonValue] = [
            {
                key: value
                for key, value in _description(job).items()
                if key not in ("Media", "Transcript", "MediaFormat", "MediaSampleRateHertz", "Tags")
            }
            for job in reversed(self.jobs.values())
            if wanted in (None, job.status) and part in job.name.lower()
        ]
        return _json({"Status": wanted, "TranscriptionJobSummaries": found})

    def _delete(self, body: JsonObject, region: str) -> Response:
        # Deleting a job that is not there is no error (API reference, read 2026-11-22).
        self.jobs.pop(str(body.get("TranscriptionJobName", "")), None)
        return _json({})

    # --- the work ----------------------------------------------------------------------------------------------------

    def _look(self, job: TranscriptionJob) -> None:
        """Let a job be finished if its time has come."""
        if job.is_finished:
            return
        age = self.clock.now() - job.created_at
        if job.looks < job.takes.polls or age < timedelta(seconds=job.takes.seconds):
            # Found queued once, and then at work.
            job.status = "QUEUED" if job.looks == 0 else "IN_PROGRESS"
            job.looks += 1
            return
        job.completed_at = self.clock.now()
        job.failure_reason = self._failure(job)
        job.status = "FAILED" if job.failure_reason else "COMPLETED"
        if job.failure_reason is None:
            self._write(job)

    def _failure(self, job: TranscriptionJob) -> str | None:
        """Why the recording cannot be transcribed; otherwise what was measured is kept in the job."""
        failed = first_of(job.fate, TranscriptionFailed)
        if failed is not None:
            return failed.reason
        media = self._media(job.media_uri)
        measured = None if media is None else measure(media)
        if measured is None:
            return "Unsupported media format."
        wanted, rate = job.request.get("MediaFormat"), job.request.get("MediaSampleRateHertz")
        faults = (
            (
                wanted is not None and wanted not in measured.formats,
                "The media format provided does not match the detected media format.",
            ),
            (
                rate is not None and rate != measured.sample_rate,
                "The sample rate provided does not match the detected sample rate.",
            ),
            (measured.channels > MOST_CHANNELS, "Invalid number of channels: number of channels too large."),
            (measured.seconds > LONGEST_SECONDS, "Invalid file size: file size too large."),
        )
        reason = next((reason for is_wrong, reason in faults if is_wrong), None)
        if reason is not None:
            return reason
        job.media_seconds, job.sample_rate = measured.seconds, measured.sample_rate
        job.media_format = str(wanted) if wanted else min(measured.formats)
        return None

    def _write(self, job: TranscriptionJob) -> None:
        spoken = first_of(job.fate, Spoken)
        text = spoken.text if spoken is not None else text_beside(job.media_uri)
        identified = _identified(job.request, spoken.language if spoken is not None else "en-US")
        job.language = identified or str(job.request["LanguageCode"])
        document = transcript(text, job_name=job.name, seconds=job.media_seconds, identified=identified)
        data = json.dumps(document).encode()
        bucket, key = _output(job)
        host = f"https://s3.{job.region}.amazonaws.com"
        if bucket is None:
            self.managed[job.name] = data
            job.transcript_uri = f"{host}/aws-transcribe-{job.region}-prod/{ACCOUNT}/{job.name}/asrOutput.json"
        else:
            self.objects.write(bucket, key, data)
            job.transcript_uri = f"{host}/{bucket}/{key}"
        seconds = max(job.media_seconds, LEAST_BILLED_SECONDS)
        self.bill.transcriptions.append(
            SpeechCharge(job_name=job.name, seconds=seconds, usd=seconds * USD_PER_SECOND, at=self.clock.now())
        )

    def _media(self, uri: str) -> bytes | None:
        found = MEDIA_URI.fullmatch(uri)
        return None if found is None else self.objects.read(found[1], found[2])


@dataclass(frozen=True, slots=True)
class Measured:
    """What a recording turned out to be."""

    seconds: float
    formats: frozenset[str]
    sample_rate: int
    channels: int


def measure(media: bytes) -> Measured | None:
    """What a recording is; None when it is no audio of a format that the service takes."""
    try:
        with av.open(io.BytesIO(media), "r") as container:
            formats = FORMATS.get(container.format.name)
            if formats is None or not container.streams.audio:
                return None
            stream = container.streams.audio[0]
            ends = (
                float((packet.pts + (packet.duration or 0)) * packet.time_base)
                for packet in container.demux(stream)
                if packet.pts is not None and packet.time_base is not None
            )
            return Measured(max(ends, default=0.0), formats, stream.sample_rate, stream.channels)
    except av.FFmpegError:
        return None


def text_beside(media_uri: str) -> str:
    """What is said in the sample of this name, or a text of two sentences."""
    text = SAMPLES / f"{PurePosixPath(media_uri).stem}.txt"
    return text.read_text(encoding="utf-8") if text.is_file() else DEFAULT_TEXT


def transcript(text: str, *, job_name: str, seconds: float, identified: str | None = None) -> JsonObject:
    """The service's transcript file for a text spread over `seconds`: numbers are strings, punctuation has no times.

    Without words everything is empty, as for a silent recording.
    """
    spread = _Spread.of(text, seconds)
    results: JsonObject = {
        "transcripts": [{"transcript": " ".join(text.split())}],
        "items": list(spread.items),
        "audio_segments": list(spread.segments),
    }
    if identified is not None:
        other = "de-DE" if identified != "de-DE" else "en-US"
        results = {
            "language_code": identified,
            "language_identification": [
                {"score": "0.9883", "code": identified},
                {"score": "0.0117", "code": other},
            ],
            **results,
        }
    return {"jobName": job_name, "accountId": ACCOUNT, "status": "COMPLETED", "results": results}


# How long a pause is after a mark, in letters.
PAUSES = {",": 3, ";": 3, ":": 3, ".": 8, "!": 8, "?": 8}
WORD = re.compile(r"[\w'\u2019-]+|[^\w\s]")  # U+2019: the apostrophe of typeset text
SENTENCE_ENDS = frozenset(".!?")


@dataclass
class _Spread:
    """The words of a text with times in proportion to their letters."""

    items: list[JsonObject] = field(default_factory=list)
    segments: list[JsonObject] = field(default_factory=list)

    @classmethod
    def of(cls, text: str, seconds: float) -> "_Spread":
        spread, tokens = cls(), WORD.findall(text)
        letters = sum(PAUSES.get(token, 0) if not _is_word(token) else len(token) + 1 for token in tokens)
        pace = seconds / max(1, letters + 1)
        at, sentence = pace, []
        for token in tokens:
            if _is_word(token):
                end = at + len(token) * pace
                spread._add(token, confidence=0.9 + len(token) % 10 / 100, times=(at, end))
                at = end + pace
            else:
                spread._add(token, confidence=0.0, times=None)
                at += PAUSES.get(token, 0) * pace
            sentence.append(token)
            if token in SENTENCE_ENDS:
                spread._close(len(sentence))
                sentence = []
        spread._close(len(sentence))
        return spread

    def _add(self, token: str, *, confidence: float, times: tuple[float, float] | None) -> None:
        item: JsonObject = {
            "id": len(self.items),
            "type": "punctuation" if times is None else "pronunciation",
            "alternatives": [{"confidence": f"{confidence:.4g}" if times else "0.0", "content": token}],
        }
        if times is not None:
            item |= {"start_time": _time(times[0]), "end_time": _time(times[1])}
        self.items.append(item)

    def _close(self, count: int) -> None:
        """End a segment of the last `count` items."""
        items = self.items[len(self.items) - count :]
        timed = [item for item in items if "start_time" in item]
        if not timed:
            return
        self.segments.append(
            {
                "id": len(self.segments),
                "transcript": _joined(items),
                "start_time": timed[0]["start_time"],
                "end_time": timed[-1]["end_time"],
                "items": [item["id"] for item in items],
            }
        )


def _is_word(token: str) -> bool:
    return any(letter.isalnum() for letter in token)


def _time(seconds: float) -> str:
    return f"{seconds:.3f}".rstrip("0").rstrip(".")


def _joined(items: Iterable[JsonObject]) -> str:
    text = ""
    for item in items:
        match item["alternatives"]:
            case [{"content": str(content)}]:
                text += content if item["type"] == "punctuation" or not text else f" {content}"
    return text


@cache
def _allowed(shape: str) -> frozenset[str]:
    """The values of an enumeration in botocore's own model of the service."""
    model = get_session().get_service_model("transcribe").shape_for(shape)
    assert isinstance(model, StringShape)
    return frozenset(model.enum)


def _order_fault(body: JsonObject) -> str | None:
    """What is wrong with a new job, as far as the service finds out before accepting it."""
    unknown = sorted(set(body) - KNOWN_PARAMETERS)
    languages = [key for key in ("LanguageCode", "IdentifyLanguage") if body.get(key)]
    options = body.get("LanguageOptions", [])
    key, bucket = body.get("OutputKey"), body.get("OutputBucketName")
    rate = body.get("MediaSampleRateHertz", 8000)
    name = str(body.get("TranscriptionJobName", ""))
    checks = (
        (not unknown, f"The simulator does not know {', '.join(unknown)}."),
        (
            JOB_NAME.fullmatch(name),
            f"Value '{name}' at 'transcriptionJobName' failed to satisfy constraint: ^[0-9a-zA-Z._-]+",
        ),
        (
            MEDIA_URI.fullmatch(_media_uri(body)),
            "The URI that you provided doesn't match the expected format s3://bucket/key.",
        ),
        (
            len(languages) == 1,
            "You must specify exactly one of LanguageCode, IdentifyLanguage or IdentifyMultipleLanguages.",
        ),
        (
            body.get("LanguageCode", "en-US") in _allowed("LanguageCode"),
            f"The language {body.get('LanguageCode')} is not supported.",
        ),
        (
            isinstance(options, list) and all(option in _allowed("LanguageCode") for option in options),
            "LanguageOptions holds a language that is not supported.",
        ),
        (not options or body.get("IdentifyLanguage"), "LanguageOptions needs IdentifyLanguage."),
        (body.get("MediaFormat", "mp3") in _allowed("MediaFormat"), "The MediaFormat is not supported."),
        (isinstance(rate, int) and 8000 <= rate <= 48_000, "MediaSampleRateHertz must be from 8000 to 48000."),
        (key is None or bucket is not None, "OutputKey needs OutputBucketName."),
        (key is None or OUTPUT_KEY.fullmatch(str(key)), "The OutputKey holds characters that are not allowed."),
    )
    return next((fault for is_right, fault in checks if not is_right), None)


def _media_uri(body: JsonObject) -> str:
    media = body.get("Media")
    return str(media.get("MediaFileUri", "")) if isinstance(media, dict) else ""


def _identified(request: JsonObject, language: str) -> str | None:
    """The language that was found, where it was asked for: one of the options, when there are any."""
    if not request.get("IdentifyLanguage"):
        return None
    options = request.get("LanguageOptions")
    if isinstance(options, list) and options and language not in options:
        return str(options[0])
    return language


def _output(job: TranscriptionJob) -> tuple[str | None, str]:
    bucket, key = job.request.get("OutputBucketName"), str(job.request.get("OutputKey", ""))
    if not key:
        key = f"{job.name}.json"
    elif not key.endswith(".json"):
        # What AWS makes of a key without the suffix: a folder.
        key = f"{key.rstrip('/')}/{job.name}.json"
    return (None if bucket is None else str(bucket)), key


def _description(job: TranscriptionJob) -> JsonObject:
    """The job as the service describes it; what it does not know yet is absent."""
    described: JsonObject = {
        "TranscriptionJobName": job.name,
        "TranscriptionJobStatus": job.status,
        "LanguageCode": job.language or job.request.get("LanguageCode"),
        "MediaSampleRateHertz": job.sample_rate or job.request.get("MediaSampleRateHertz"),
        "MediaFormat": job.media_format or job.request.get("MediaFormat"),
        "Media": {"MediaFileUri": job.media_uri},
        "Transcript": {"TranscriptFileUri": job.transcript_uri} if job.transcript_uri else {},
        "CreationTime": job.created_at.timestamp(),
        "StartTime": None if job.status == "QUEUED" else job.created_at.timestamp(),
        "CompletionTime": None if job.completed_at is None else job.completed_at.timestamp(),
        "FailureReason": job.failure_reason,
        "IdentifyLanguage": job.request.get("IdentifyLanguage"),
        "LanguageOptions": job.request.get("LanguageOptions"),
        "IdentifiedLanguageScore": 0.9883 if job.language and job.request.get("IdentifyLanguage") else None,
        "Tags": job.request.get("Tags"),
    }
    return {key: value for key, value in described.items() if value is not None}


PLACES: Mapping[str, Place] = {
    "StartTranscriptionJob": "transcribe.start",
    "GetTranscriptionJob": "transcribe.get",
}


def _operation(request: Request) -> str:
    return request.headers.get("X-Amz-Target", "").removeprefix("Transcribe.")


def _place(request: Request) -> Place | None:
    return PLACES.get(_operation(request))


def _about(request: Request) -> Subject:
    body = _object(request)
    return Subject(None, f"{body.get('TranscriptionJobName', '')}\n{_media_uri(body)}")


def _object(request: Request) -> JsonObject:
    """The JSON object of the body; an empty one where there is none."""
    try:
        body = json.loads(request.get_data(as_text=True) or "{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _json(body: JsonObject, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(body), status, dict(headers or {}), content_type="application/x-amz-json-1.1")


def _error(name: str, message: str = "", *, status: int | None = None) -> Response:
    usual_status, usual_message = MESSAGES.get(name, (400, name))
    return _json(
        {"__type": name, "Message": message or usual_message}, status or usual_status, {"x-amzn-ErrorType": name}
    )
