"""`Transcriber` on Amazon Transcribe: a job of the service for each transcription, its result under a key of our own.

What is sent and read: Amazon Transcribe API reference and botocore 1.44.5's model of it, read 2026-11-22.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
)
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from statemachine.errors import PermanentError, StepError, TransientError
from worker.job import Recording, Segment, Transcript, Word
from worker.ports import MediaStore
from worker.steps.transcribe import TranscriptionFailedError

# Below the worker's own prefix, and apart from the folders of jobs, which begin with the id of a video.
OUTPUT_PREFIX = "ai-video/transcribe/"

# Tells the worker's jobs from others in the same account; the value is the job's id, as far as a tag may hold it.
JOB_TAG = "ai-video-job"

# So much of the job's id stays readable in the name.  The digest keeps two ids apart that differ in the rest, or in
# characters that a name may not have; together they stay within the 200 characters of a name.
_READABLE_CHARACTERS = 160
_DIGEST_CHARACTERS = 32

_OUTPUT_KEY = re.compile(r"[a-zA-Z0-9\-_.!*'()/]+")

# 250 jobs may run at once in an account; one of them ends within a minute or so.  (Quotas page, read 2026-11-22)
_BUSY_PAUSE = timedelta(seconds=60)

_BUSY = frozenset({"LimitExceededException", "ThrottlingException", "Throttling", "TooManyRequestsException"})
_DOWN = frozenset(
    {
        "InternalFailureException",
        "InternalFailure",
        "ServiceUnavailableException",
        "ServiceUnavailable",
        "RequestTimeout",
        "RequestTimeoutException",
        # The role's credentials are renewed by the SDK.
        "ExpiredTokenException",
    }
)
_NOT_CONFIGURED = (NoCredentialsError, PartialCredentialsError, NoRegionError)

# The service's model names NotFoundException; other servers of the protocol answer a bad request with these words.
_NOT_FOUND = "couldn't be found"
_NOT_ACCESSIBLE = "can't be accessed"

# Every reason the service's model lists, and what the person may do.  All are final for this recording.
FAILURE_REMEDIES: Mapping[str, str] = {
    "Unsupported media format": "save it as MP3, M4A, WAV, FLAC, Ogg, AMR or WebM",
    "The media format provided does not match the detected media format": "save it anew, with the ending of its format",
    "Invalid sample rate for audio file": "save it with 8,000 to 48,000 samples a second",
    "The sample rate provided does not match the detected sample rate": "save it anew",
    "Invalid file size: file size too large": "make it smaller than 2 GB and shorter than 4 hours",
    "Invalid number of channels: number of channels too large": "save it with one or two channels",
}

# Where a language is spoken in several countries and none is named.
_USUAL_CODES: Mapping[str, str] = {
    "ar": "ar-SA",
    "ckb": "ckb-IQ",
    "cy": "cy-GB",
    "de": "de-DE",
    "en": "en-US",
    "es": "es-US",
    "et": "et-EE",
    "fr": "fr-FR",
    "pt": "pt-BR",
    "sw": "sw-KE",
    "zh": "zh-CN",
    "zh-hans": "zh-CN",
    "zh-hant": "zh-TW",
}
# The service's word for a language that is also called otherwise.  (IANA language subtag registry, read 2026-11-22)
_OTHER_NAMES: Mapping[str, str] = {"nb": "no", "nn": "no", "iw": "he", "in": "id", "jw": "jv", "fil": "tl"}

# Written without spaces between words.
_UNSPACED = frozenset({"zh", "ja", "th", "km", "my"})

# In transcripts without segments, a sentence ends with a full stop or before such a pause.
_SENTENCE_END = re.compile(r"[.!?…。！？]$")  # noqa: RUF001 - full-width marks are meant
_SENTENCE_PAUSE_SECONDS = 1.0


class TranscribeClient(Protocol):
    """What this transcriber uses of boto3's client; `transcribe_client` makes one."""

    @property
    def meta(self) -> Any:  # noqa: ANN401  boto3 makes its clients at run time
        """The service's own model, among others."""

    def start_transcription_job(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as above
        """Begin a job."""

    def get_transcription_job(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as above
        """Ask how a job stands."""


def transcribe_client(*, region_name: str | None = None, endpoint_url: str | None = None) -> TranscribeClient:
    """A client that tries a few times; credentials and region come from the environment.

    Trying again is safe also for a start whose answer was lost: the second one finds the job of the first.
    """
    return boto3.client(
        "transcribe",
        region_name=region_name,
        endpoint_url=endpoint_url,
        config=Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3}),
    )


class AwsTranscriber:
    """Has recordings in S3 transcribed by Amazon Transcribe.

    The format of a recording is left for the service to detect: a name with the wrong ending, which people's files
    have, would end the job that the bytes alone would not.

    Args:
        client: see `transcribe_client`.
        media: holds the recordings, and is where the transcripts appear.
        bucket: the bucket that `media` keeps its objects in.
        prefix: of the transcripts' keys.
    """

    def __init__(
        self, client: TranscribeClient, *, media: MediaStore, bucket: str, prefix: str = OUTPUT_PREFIX
    ) -> None:
        if not _OUTPUT_KEY.fullmatch(prefix) or not prefix.endswith("/"):
            raise ValueError(f"{prefix!r} is no prefix of an output key: letters, digits, -_.!*'() and a final '/'")
        self._client = client
        self._media = media
        self._bucket = bucket
        self._prefix = prefix

    def start(self, recording: Recording, *, job_id: str, language: str) -> str:
        """The job's name, which follows from `job_id` alone.

        Raises:
            TransientError: code PROVIDER_QUOTA, PROVIDER_UNAVAILABLE.
            PermanentError: code OBJECT_MISSING, LANGUAGE_UNSUPPORTED, PART_UNAVAILABLE (the recording is not in S3),
                PROVIDER_ERROR (refused; or another recording's job has this name).
        """
        name = _job_name(job_id)
        uri = self._media.uri(recording.key)
        if not uri.startswith("s3://"):
            raise PermanentError(
                "PART_UNAVAILABLE",
                "Amazon Transcribe reads recordings in S3 only; set AI_VIDEO_MEDIA=s3, or another AI_VIDEO_TRANSCRIBER",
                user_action="contact_admin",
            )
        try:
            self._client.start_transcription_job(
                TranscriptionJobName=name,
                Media={"MediaFileUri": uri},
                OutputBucketName=self._bucket,
                OutputKey=self._output_key(name),
                Tags=[{"Key": JOB_TAG, "Value": _readable(job_id)}],
                **self._language(language),
            )
        except ParamValidationError:
            raise  # a mistake of this code: trying again cannot help, so it is not translated
        except ClientError as error:
            if _code(error) != "ConflictException":
                raise _translated(error, f"transcribing {recording.filename}") from error
            self._join(name, uri, recording)
        except BotoCoreError as error:
            raise _translated(error, f"transcribing {recording.filename}") from error
        return name

    def fetch(self, transcription_id: str, recording: Recording, *, time_left: timedelta) -> Transcript | None:  # noqa: ARG002 - the port's; one look takes milliseconds
        """The transcript under our own key, once the service says that it is there.

        Raises:
            TransientError: code PROVIDER_QUOTA, PROVIDER_UNAVAILABLE.
            TranscriptionFailedError: code INPUT_UNSUPPORTED (this recording never will be), TRANSCRIPTION_FAILED.
            PermanentError: code PROVIDER_ERROR.
        """
        key = self._output_key(transcription_id)
        job = self._look(transcription_id, recording)
        if job is None:
            # The service forgets a job after 90 days; what it wrote is still ours.
            if self._media.size(key) is None:
                raise _lost(f"Amazon Transcribe no longer knows the transcription of {recording.filename}")
            return self._read(key, None, recording)
        if job.status == "FAILED":
            raise _failure(job.failure_reason or "", recording)
        return self._read(key, job.language_code, recording) if job.status == "COMPLETED" else None

    def _join(self, name: str, uri: str, recording: Recording) -> None:
        """Somebody started a job of this name.  It is ours if it transcribes the same recording."""
        job = self._look(name, recording)
        if job is None:
            raise TransientError("PROVIDER_UNAVAILABLE", f"the transcription {name} vanished while it was looked at")
        if job.media.uri != uri:
            raise PermanentError(
                "PROVIDER_ERROR",
                f"the transcription job {name} belongs to another recording ({job.media.uri}); delete it, then retry",
                user_action="contact_admin",
            )

    def _look(self, name: str, recording: Recording) -> "_JobAnswer | None":
        """How the job stands, or None when there is none."""
        try:
            answer = self._client.get_transcription_job(TranscriptionJobName=name)
        except ParamValidationError:
            raise  # as in `start`
        except ClientError as error:
            if _code(error) == "NotFoundException" or _NOT_FOUND in _message(error):
                return None
            raise _translated(error, f"looking for the transcript of {recording.filename}") from error
        except BotoCoreError as error:
            raise _translated(error, f"looking for the transcript of {recording.filename}") from error
        return _JobAnswer.model_validate(answer["TranscriptionJob"])

    def _read(self, key: str, language: str | None, recording: Recording) -> Transcript:
        try:
            with self._media.open(key) as stream:
                answer = _TranscriptFile.model_validate_json(stream.read())
        except PermanentError as error:
            if error.code != "OBJECT_MISSING":
                raise
            raise _lost(f"the transcript of {recording.filename} is no longer at {key}") from error
        except ValidationError as error:
            # Without the input: a log is no place for what somebody said.
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise _lost(f"the transcript at {key} cannot be read: {where}: {first['msg']}") from None
        return _transcript(answer.results, language, recording)

    def _output_key(self, name: str) -> str:
        # The service makes a folder of a key without this ending.
        return f"{self._prefix}{name}.json"

    def _language(self, asked: str) -> dict[str, Any]:
        """What is said about the language: nothing but that it is to be found out, or the service's code of it."""
        if asked.strip().lower() in {"", "auto"}:
            return {"IdentifyLanguage": True}
        # boto3's own model knows what the service can do; a list here would age.
        supported: Sequence[str] = self._client.meta.service_model.shape_for("LanguageCode").enum
        return {"LanguageCode": _language_code(asked, supported)}


class _Media(BaseModel):
    uri: str = Field(default="", alias="MediaFileUri")


class _JobAnswer(BaseModel):
    """What the service tells of a job, as far as it matters here."""

    model_config = ConfigDict(extra="ignore")

    status: Literal["QUEUED", "IN_PROGRESS", "FAILED", "COMPLETED"] = Field(alias="TranscriptionJobStatus")
    media: _Media = Field(alias="Media")
    language_code: str | None = Field(default=None, alias="LanguageCode")
    failure_reason: str | None = Field(default=None, alias="FailureReason")


class _Part(BaseModel):
    """Part of a transcript file.  Every number is a string there; the mode that reads strings is pydantic's own."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class _Alternative(_Part):
    content: str
    confidence: float | None = None


class _Item(_Part):
    type: Literal["pronunciation", "punctuation"]
    alternatives: list[_Alternative] = Field(min_length=1)
    start_time: float | None = None
    end_time: float | None = None


class _AudioSegment(_Part):
    transcript: str
    start_time: float
    end_time: float


class _Results(_Part):
    items: list[_Item] = Field(default_factory=list)
    audio_segments: list[_AudioSegment] | None = None  # absent in files of before 2024
    language_code: str | None = None  # only where it was identified


class _TranscriptFile(_Part):
    results: _Results


def _job_name(job_id: str) -> str:
    digest = hashlib.sha256(job_id.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{_readable(job_id)}-{digest}"


def _readable(job_id: str) -> str:
    return re.sub(r"[^0-9a-zA-Z._-]", "_", job_id)[:_READABLE_CHARACTERS]


def _language_code(asked: str, supported: Sequence[str]) -> str:
    """The service's code for a BCP 47 tag, in whatever case and with whatever separator.

    Raises:
        PermanentError: code LANGUAGE_UNSUPPORTED.
    """
    subtags = asked.strip().lower().replace("_", "-").split("-")
    language = _OTHER_NAMES.get(subtags[0], subtags[0])
    tag = "-".join((language, *subtags[1:]))
    by_tag = {code.lower(): code for code in supported}
    candidates = [code for code in supported if code.lower().split("-")[0] == language]
    # A script beside a country says nothing new ('zh-Hans-CN').
    without_script = "-".join((language, *(subtag for subtag in subtags[1:] if len(subtag) == 2)))  # noqa: PLR2004 - countries have two letters
    for known in (tag, without_script):
        if known in by_tag:
            return by_tag[known]
    if tag in _USUAL_CODES:
        return _USUAL_CODES[tag]
    if len(subtags) == 1 and len(candidates) == 1:
        return candidates[0]
    choices = ", ".join(candidates) if candidates else "another language"
    raise PermanentError(
        "LANGUAGE_UNSUPPORTED",
        f"Amazon Transcribe does not know the language {asked!r}; choose {choices}, or 'auto'",
        user_action="choose_other_language",
    )


def _transcript(results: _Results, language: str | None, recording: Recording) -> Transcript:
    words = _words(results.items, recording)
    language = results.language_code or language or "und"
    if not words:
        return Transcript(
            language=language,
            duration_seconds=_duration(recording, words),
            mode="instrumental",
            source="transcribe",
            warnings=(f"INPUT_NO_SPEECH: no speech was heard in {recording.filename}; the scenes are cut by time.",),
        )
    duration = _duration(recording, words)
    if results.audio_segments:
        segments = [
            Segment(
                start_seconds=min(segment.start_time, duration),
                end_seconds=min(max(segment.start_time, segment.end_time), duration),
                text=segment.transcript.strip(),
            )
            for segment in results.audio_segments
            if segment.transcript.strip()
        ]
    else:
        segments = _sentences(words, "" if language.split("-")[0] in _UNSPACED else " ")
    return Transcript(
        language=language,
        duration_seconds=duration,
        mode="speech",
        source="transcribe",
        words=tuple(words),
        segments=tuple(segments),
    )


def _words(items: Sequence[_Item], recording: Recording) -> list[Word]:
    """The words with their marks: a mark has no times of its own and belongs to the word before it."""
    words: list[Word] = []
    opening = ""
    end_of_recording = recording.duration_seconds or float("inf")
    for item in items:
        best = item.alternatives[0]
        if item.type == "punctuation":
            if words:
                words[-1] = words[-1].model_copy(update={"text": words[-1].text + best.content})
            else:
                opening += best.content
            continue
        if item.start_time is None or item.end_time is None:
            raise _lost(f"the transcript of {recording.filename} holds a word without times")
        if not best.content.strip():
            continue
        start = min(max(0.0, item.start_time), end_of_recording)
        words.append(
            Word(
                text=opening + best.content,
                start_seconds=start,
                end_seconds=min(max(start, item.end_time), end_of_recording),
                confidence=None if best.confidence is None else min(max(0.0, best.confidence), 1.0),
            )
        )
        opening = ""
    return words


def _sentences(words: Sequence[Word], space: str) -> list[Segment]:
    segments: list[Segment] = []
    sentence: list[Word] = []
    for index, word in enumerate(words):
        sentence.append(word)
        following = words[index + 1] if index + 1 < len(words) else None
        is_end = (
            following is None
            or _SENTENCE_END.search(word.text)
            or following.start_seconds - word.end_seconds >= _SENTENCE_PAUSE_SECONDS
        )
        if is_end:
            segments.append(
                Segment(
                    start_seconds=sentence[0].start_seconds,
                    end_seconds=word.end_seconds,
                    text=space.join(part.text for part in sentence),
                )
            )
            sentence = []
    return segments


def _duration(recording: Recording, words: Sequence[Word]) -> float:
    """As measured: the service tells a length neither in the job nor in the file."""
    if recording.duration_seconds is not None:
        return recording.duration_seconds
    return max((word.end_seconds for word in words), default=0.0)


def _failure(reason: str, recording: Recording) -> TranscriptionFailedError:
    remedy = FAILURE_REMEDIES.get(reason.strip().rstrip("."))
    if remedy is None:
        return _lost(f"Amazon Transcribe could not transcribe {recording.filename}: {reason or 'it gave no reason'}")
    return TranscriptionFailedError(
        "INPUT_UNSUPPORTED",
        f"{recording.filename} cannot be transcribed ({reason}); {remedy}",
        user_action="upload_other_audio",
    )


def _lost(message: str) -> TranscriptionFailedError:
    return TranscriptionFailedError("TRANSCRIPTION_FAILED", f"{message}; retry to have it transcribed anew")


def _translated(error: ClientError | BotoCoreError, doing: str) -> StepError:
    """An error of the service or of the way to it, as the port's."""
    if isinstance(error, ClientError):
        return _refused(error, doing)
    if isinstance(error, _NOT_CONFIGURED):
        return PermanentError(
            "PROVIDER_ERROR",
            f"{doing} needs an AWS account: {error}",
            user_action="contact_admin",
        )
    return TransientError("PROVIDER_UNAVAILABLE", f"{doing}: Amazon Transcribe cannot be reached: {error}")


def _refused(error: ClientError, doing: str) -> StepError:
    code, message = _code(error), _message(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _BUSY:
        return TransientError(
            "PROVIDER_QUOTA",
            f"{doing}: Amazon Transcribe is at its limit ({code})",
            user_action="wait",
            retry_after=_BUSY_PAUSE if code == "LimitExceededException" else None,
        )
    if code in _DOWN or status >= 500:  # noqa: PLR2004 - HTTP: the server's fault
        return TransientError("PROVIDER_UNAVAILABLE", f"{doing}: Amazon Transcribe failed for now ({code})")
    if _NOT_ACCESSIBLE in message:
        return PermanentError(
            "OBJECT_MISSING",
            f"{doing}: Amazon Transcribe cannot read the recording; is it in the bucket, and may the role read it?",
            user_action="contact_admin",
        )
    return PermanentError(
        "PROVIDER_ERROR",
        f"{doing}: Amazon Transcribe refused ({code}: {message}); check the role's permissions for Transcribe and S3",
        user_action="contact_admin",
    )


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def _message(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Message", "")
