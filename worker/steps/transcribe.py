"""`transcribing`: measure the recording, encode it to AAC once, and have it turned into timed text."""

import logging
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from statemachine import Advance, JsonValue, Outcome, PermanentError, TransientError, Turn, Wait
from worker.job import MEDIA, TRANSCRIPTION, WARNINGS, Job, Transcript
from worker.keys import content_key, content_key_of_bytes
from worker.ports import AudioFacts, MediaStore, Transcriber, VideoAssembler

log = logging.getLogger(__name__)

# How long between two looks at a running transcription.
POLL_EVERY = timedelta(seconds=8)

# Looks in a row that may fail before the state does; they cost nothing and say nothing about the transcription.
LOOKS_LIMIT = 20

# Of a vendor who cannot be asked for now.  A recogniser on this machine fails otherwise, and at the work itself.
OUT_OF_SIGHT = frozenset({"PROVIDER_QUOTA", "PROVIDER_UNAVAILABLE"})

# A full quota is asked again after this, where the vendor does not say when.
QUOTA_PAUSE = timedelta(minutes=1)

# The record keeps this much of the text; the whole stands in the media store.
TEXT_LIMIT = 2000

# Below this peak (of 1.0) nothing can be heard: -60 dB.
SILENT_PEAK = 0.001


class TranscriptionFailedError(PermanentError):
    """The vendor ended this transcription without a transcript, or lost it: the same id never brings one."""


def transcribe(
    job: Job,
    *,
    turn: Turn,
    transcriber: Transcriber,
    assembler: VideoAssembler,
    media: MediaStore,
    longest: timedelta,
    work_folder: Path | None = None,
) -> Outcome:
    """Start or join the transcription, encode the audio meanwhile, fetch the transcript when it is there."""
    if job.recording.duration_seconds is None:
        job = _measured(job, turn, assembler, media, longest)
    state = job.audio_transcription
    job_id = f"{job.video_id}-{job.run_id}-{state.ordinal}"
    transcription_id = state.transcription_id
    if transcription_id is None:
        try:
            transcription_id = transcriber.start(job.recording, job_id=job_id, language=job.options.language)
        except TransientError as error:
            if error.code == "PROVIDER_QUOTA":  # so many transcriptions run already; nobody's fault, and no attempt
                return Wait(error.retry_after or QUOTA_PAUSE, waiting_for="quota")
            raise
    patch: dict[tuple[str, ...], JsonValue] = {(*TRANSCRIPTION, "transcription_id"): transcription_id}
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="audio") as beside:
        encoding = None
        if job.media.audio_key is None:
            encoding = beside.submit(_encode, job, assembler, media, work_folder)
        try:
            look = _look(transcriber, transcription_id, job, turn.time_left)
        except TranscriptionFailedError:
            # A person's retry must begin another one.  Only here does the ordinal grow: whatever else fails, the
            # transcription may be under way and paid for, and is joined.
            turn.checkpoint(
                {(*TRANSCRIPTION, "ordinal"): state.ordinal + 1, (*TRANSCRIPTION, "transcription_id"): None}
            )
            raise
        if encoding is not None:
            patch[*MEDIA, "audio_key"] = encoding.result()
    if look.failed_in_a_row != state.failed_looks:
        patch[*TRANSCRIPTION, "failed_looks"] = look.failed_in_a_row
    if look.transcript is None:
        return Wait(look.again_after, patch)
    return Advance("transcribed", {**patch, **_stored(look.transcript, job, media)})


def _measured(job: Job, turn: Turn, assembler: VideoAssembler, media: MediaStore, longest: timedelta) -> Job:
    with media.local_copy(job.recording.key) as recording:
        facts = assembler.measure(recording)
    # Headers lie about the duration, so this is checked again here, before anything costs money.
    _check_length(facts, job.recording.filename, longest)
    found: dict[tuple[str, ...], JsonValue] = {("recording", "duration_seconds"): facts.duration_seconds}
    if facts.peak < SILENT_PEAK:
        found[(*WARNINGS, "INPUT_SILENT")] = "The recording is silent."
    turn.checkpoint(found)
    return job.model_copy(
        update={"recording": job.recording.model_copy(update={"duration_seconds": facts.duration_seconds})}
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """What one look at the transcription found: the transcript, or when to look again."""

    transcript: Transcript | None
    again_after: timedelta = POLL_EVERY
    failed_in_a_row: int = 0


def _look(transcriber: Transcriber, transcription_id: str, job: Job, time_left: timedelta) -> _Look:
    try:
        return _Look(transcriber.fetch(transcription_id, job.recording, time_left=time_left))
    except TransientError as error:
        failed = job.audio_transcription.failed_looks + 1
        if error.code not in OUT_OF_SIGHT or failed >= LOOKS_LIMIT:
            raise
        log.warning("look %d at the transcription of %s failed: %s", failed, job.video_id, error)
        return _Look(None, max(error.retry_after or POLL_EVERY, POLL_EVERY), failed)


def _check_length(facts: AudioFacts, filename: str, longest: timedelta) -> None:
    if facts.duration_seconds > longest.total_seconds():
        raise PermanentError(
            "TOO_LONG",
            f"{filename} lasts {facts.duration_seconds:.0f} s, and {longest.total_seconds():.0f} s are allowed; "
            "cut it, or ask for a higher limit",
            user_action="upload_other_audio",
            details={"duration_seconds": facts.duration_seconds},
        )


def _encode(job: Job, assembler: VideoAssembler, media: MediaStore, work_folder: Path | None) -> str:
    with tempfile.TemporaryDirectory(dir=work_folder) as folder:
        encoded = Path(folder) / "audio.m4a"
        with media.local_copy(job.recording.key) as recording:
            assembler.encode_audio(recording, encoded)
        key = content_key(encoded, prefix=job.prefix, name="audio")
        media.upload(encoded, key)
    return key


def _stored(transcript: Transcript, job: Job, media: MediaStore) -> dict[tuple[str, ...], JsonValue]:
    content = transcript.model_dump_json().encode()
    key = content_key_of_bytes(content, prefix=job.prefix, name="transcript", suffix=".json")
    media.write(content, key)
    text = transcript.text
    patch: dict[tuple[str, ...], JsonValue] = {
        (*TRANSCRIPTION, "language"): transcript.language,
        (*TRANSCRIPTION, "duration_seconds"): transcript.duration_seconds,
        (*TRANSCRIPTION, "mode"): transcript.mode,
        (*TRANSCRIPTION, "source"): transcript.source,
        (*TRANSCRIPTION, "text"): text[:TEXT_LIMIT],
        (*TRANSCRIPTION, "is_truncated"): len(text) > TEXT_LIMIT,
        (*TRANSCRIPTION, "word_count"): len(transcript.words),
        (*TRANSCRIPTION, "full_json_s3_key"): key,
    }
    for warning in transcript.warnings:
        code, _, message = warning.partition(": ")
        patch[*WARNINGS, code] = message or code
    return patch
