"""What is known about one video being made: the shape of `ai_generation_data`, as frozen models.

The engine stores this as JSON and gives every step a `Job` read from it; a step answers with a patch of paths.
Unknown fields are ignored, so that a row written by a newer version does not stop an older one (a roll-back).
Moments are aware UTC, spans are seconds, keys are keys in the media store.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_serializer, model_validator

from statemachine import NOT_ACCEPTED, JsonValue
from statemachine.execution import to_ms
from statemachine.record import Record
from worker.models import AspectRatio, VideoModel

SpeechMode = Literal["speech", "instrumental"]
SceneStatus = Literal["waiting", "submitted", "completed", "failed"]

# For moments that are no longer kept.
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

# The paths that more than one step writes.  (The five names are the platform's.)
TRANSCRIPTION = ("audio_transcription",)
SCENE_BEATS = ("scene_beats",)
TASKS = ("vertex_ai_tasks",)

# The error of a scene whose clip may have been paid for, and is not there: only a person may have it ordered again.
AMBIGUOUS = "AMBIGUOUS"
PROCESSING_STEPS = ("processing_steps",)
FINAL_VIDEO_URL = ("final_video_url",)
MEDIA = ("media",)
WARNINGS = ("warnings",)


class StoredModel(BaseModel):
    """Part of a stored job: frozen, and tolerant of fields that a newer version wrote."""

    # Built at first use: a sweep on a cold function reads no job, and these models take longer to build than to import.
    # An error names the place and not what stands there: it may be what somebody said, and is logged.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True, hide_input_in_errors=True)


class Word(StoredModel):
    """One spoken word.  `end_seconds` >= `start_seconds`; confidence is 0..1, or None where nobody measured it."""

    text: str
    start_seconds: float
    end_seconds: float
    confidence: float | None = None


class Segment(StoredModel):
    """Words between two pauses: a sentence, or what served as one."""

    start_seconds: float
    end_seconds: float
    text: str


class Transcript(StoredModel):
    """What was said, with times.  Instrumental when nothing intelligible was: then there are no words."""

    language: str
    duration_seconds: float
    mode: SpeechMode
    source: str  # who found the words: 'recognised', 'aligned', 'supplied', 'transcribe'
    words: tuple[Word, ...] = ()
    segments: tuple[Segment, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The whole text, segment after segment."""
        return " ".join(segment.text for segment in self.segments)


class Caption(Record):
    """What stands on the screen at once: one or two lines, divided by a line feed."""

    start_seconds: float
    end_seconds: float
    text: str


class Options(StoredModel):
    """What the person asked for."""

    aspect_ratio: AspectRatio = "16:9"
    style: str = "cinematic"
    language: str = "auto"
    max_scenes: int = 75
    review_before_render: bool = False
    on_scene_failure: Literal["fail", "substitute"] = "fail"
    max_cost_usd: float | None = None
    captions: bool = True


class Recording(StoredModel):
    """The uploaded recording, as found in the media store.  The duration is measured, never a header's claim."""

    key: str
    filename: str
    duration_seconds: float | None = None
    transcript_key: str | None = None  # a transcript that lay beside the recording


class TranscriptionState(StoredModel):
    """`audio_transcription`: how far the transcription is, and afterwards what it found (words by key)."""

    transcription_id: str | None = None
    ordinal: int = 1  # grows only after the vendor reported a failed job
    failed_looks: int = 0  # in a row
    language: str | None = None
    duration_seconds: float | None = None
    mode: SpeechMode | None = None
    source: str | None = None
    text: str | None = None  # capped; the whole is in `full_json_s3_key`
    is_truncated: bool = False
    word_count: int | None = None
    full_json_s3_key: str | None = None


class BeatSlot(Record):
    """A place in the recording that becomes one scene: its times and the words spoken in it."""

    scene_index: int
    start_seconds: float
    end_seconds: float
    narration: str


class SceneBeat(StoredModel):
    """One scene: what is said in it and what is to be seen.  Beats cover the recording without gap or overlap.

    The record keeps the beginning of a long prompt (`is_cut`); the whole stands in the job's plan, see `plan_key`.
    """

    scene_index: int
    start_seconds: float
    end_seconds: float
    narration: str
    visual_prompt: str
    negative_prompt: str = ""
    is_cut: bool = False
    is_adjusted: bool = False  # softened after a content filter refused it
    revision: int = 1  # grows when a person or the filter policy rewrites the prompt

    @property
    def seconds(self) -> float:
        """How long the scene lasts."""
        return self.end_seconds - self.start_seconds


class WholePrompts(StoredModel):
    """The object at `plan_key`: what is to be seen in every scene, by its key, as the planner said it."""

    prompts: Mapping[str, str]


class ClipAttempt(StoredModel):
    """One intent to make a clip, and what became of it.

    Written before the vendor is called.  `operation` is the vendor's name for the accepted work, `not_accepted` when
    it was refused or never sent, and absent while nobody knows.  Moments are stored as epoch milliseconds: there are
    many of them, and every write costs the whole item.
    """

    intent_id: str
    beat_revision: int = 1
    model: str = ""
    seconds: float  # ordered, at least the beat's length
    price_usd: float
    seed: int = 0
    intended_at: datetime = LONG_AGO
    watch_from: datetime = (
        LONG_AGO  # deadline of the turn that wrote the intent: an unknown submission is watched from here
    )
    operation: str | None = None
    not_before: datetime | None = None  # the next look while it runs; the next order after it was refused or failed
    submitted_at: datetime | None = None
    ended_at: datetime | None = None
    # 'lost': the vendor forgot it.  'ambiguous': nobody ever knew whether it was accepted.
    outcome: Literal["clip", "filtered", "failed", "lost", "ambiguous"] | None = None
    error_code: str | None = None
    error_message: str | None = None
    filter_category: str | None = None  # what the vendor's filter objected to, where it said so
    asked_again: bool = False  # it was never finished, and a person retried: if it is still not there, order another

    @field_serializer(
        "intended_at", "watch_from", "not_before", "submitted_at", "ended_at", when_used="json-unless-none"
    )
    def _as_milliseconds(self, moment: datetime) -> int:
        return to_ms(moment)

    def as_kept(self) -> dict[str, JsonValue]:
        """What is kept of an attempt whose clip has come home: what it was, and what it cost."""
        kept = {"intent_id", "beat_revision", "seconds", "price_usd", "operation", "intended_at", "outcome"}
        return self.model_dump(mode="json", include=kept, exclude_defaults=True)


class SceneTask(StoredModel):
    """`vertex_ai_tasks` of one scene: its attempts and, once there is one, its clip."""

    scene_index: int
    status: SceneStatus = "waiting"
    allowance: int = 3  # submissions for the present revision of the beat; a person's retry buys one more
    attempts: Mapping[str, ClipAttempt] = Field(default_factory=dict)  # '001', '002', …
    poll_errors: int = 0  # in a row
    clip_key: str | None = None
    clip_seconds: float | None = None
    thumbnail_key: str | None = None
    is_substitute: bool = False
    error_code: str | None = None
    error_message: str | None = None

    @property
    def open_attempt(self) -> tuple[str, ClipAttempt] | None:
        """The attempt that was intended and has not ended, with its key; the latest, where several stand.

        One that was given up as ambiguous is open again when its operation was recorded after all: it was paid for.
        """
        for key in sorted(self.attempts, reverse=True):
            attempt = self.attempts[key]
            was_found_out = attempt.outcome == "ambiguous" and attempt.operation is not None
            if (attempt.outcome is None or was_found_out) and attempt.operation != NOT_ACCEPTED:
                return key, attempt
        return None

    def spent_attempts(self, beat_revision: int) -> int:
        """Submissions for this revision of the beat that were accepted, or may have been."""
        return sum(
            attempt.beat_revision == beat_revision and attempt.operation != NOT_ACCEPTED
            for attempt in self.attempts.values()
        )


class MediaKeys(StoredModel):
    """`media`: objects that belong to the job beside the clips."""

    audio_key: str | None = None  # the recording as AAC in MP4, made once
    video_key: str | None = None
    captions_key: str | None = None
    poster_key: str | None = None
    duration_seconds: float | None = None  # of the finished video


class Job(StoredModel):
    """Everything that a step may know about the video it works on."""

    video_id: str
    run_id: str
    prefix: str  # of every object of this run: `ai-video/{video_id}/{run_id}/`
    owner_id: str = ""  # whose job it is; empty on one machine
    recording: Recording
    options: Options = Field(default_factory=Options)
    audio_transcription: TranscriptionState = Field(default_factory=TranscriptionState)
    scene_beats: Mapping[str, SceneBeat] = Field(default_factory=dict)
    vertex_ai_tasks: Mapping[str, SceneTask] = Field(default_factory=dict)
    media: MediaKeys = Field(default_factory=MediaKeys)
    final_video_url: str | None = None
    plan_key: str | None = None  # of an object with every scene's whole prompt, as planned
    negative_prompt: str = ""  # of every scene that has none of its own
    style_bible: str = ""
    title: str = ""
    warnings: Mapping[str, str] = Field(default_factory=dict)  # code → what a person should know

    @model_validator(mode="before")
    @classmethod
    def _written_out(cls, stored: object) -> object:
        """Add what the record leaves out because it follows from something else that stands there."""
        if not isinstance(stored, Mapping):
            return stored
        prefix, negative = str(stored.get("prefix", "")), stored.get("negative_prompt", "")
        beats, tasks = stored.get("scene_beats"), stored.get("vertex_ai_tasks")
        written_out = dict(stored)
        if isinstance(beats, Mapping):
            written_out["scene_beats"] = {
                key: {"scene_index": int(key), "negative_prompt": negative, **beat}
                if isinstance(beat, Mapping)
                else beat
                for key, beat in beats.items()
            }
        if isinstance(tasks, Mapping):
            written_out["vertex_ai_tasks"] = {
                key: {"scene_index": int(key), **task, **_whole_keys(task, prefix)}
                if isinstance(task, Mapping)
                else task
                for key, task in tasks.items()
            }
        return written_out

    @property
    def beats(self) -> tuple[SceneBeat, ...]:
        """The scenes in the order of the recording."""
        return tuple(self.scene_beats[key] for key in sorted(self.scene_beats))

    @property
    def tasks(self) -> tuple[SceneTask, ...]:
        """One task for each scene, in order; a scene nobody worked on yet has a waiting one."""
        begun = self.vertex_ai_tasks
        return tuple(
            begun.get(scene_key(beat.scene_index)) or SceneTask(scene_index=beat.scene_index) for beat in self.beats
        )


def committed_usd(tasks: Iterable[SceneTask]) -> float:
    """What every submission that was accepted, or may have been, costs at full price."""
    return sum(
        attempt.price_usd for task in tasks for attempt in task.attempts.values() if attempt.operation != NOT_ACCEPTED
    )


def price_usd(beat: SceneBeat, model: VideoModel) -> float:
    """What one clip for this scene costs."""
    # A beat that another model planned may be longer than any clip of this one; rendering will say so.
    seconds = min(beat.seconds, model.longest_seconds)
    return model.ordered_seconds(seconds) * model.usd_per_second


def remaining_usd(job: Job, model: VideoModel) -> float:
    """What the clips cost that are neither there nor on order."""
    return sum(
        price_usd(beat, model)
        for beat, task in zip(job.beats, job.tasks, strict=True)
        if task.clip_key is None and task.open_attempt is None
    )


def render_prefix(job_prefix: str, index: int, intent_id: str) -> str:
    """Of the objects that one attempt alone may write."""
    return f"{job_prefix}renders/{scene_key(index)}/{intent_id}/"


def relative_key(key: str, job_prefix: str) -> str:
    """A key as the record keeps it: without what all keys of the job begin with."""
    return key.removeprefix(job_prefix)


def thumbnail_of(clip_key: str) -> str:
    """The key of a clip's thumbnail: it follows from the clip, as its picture does."""
    return clip_key.replace("clips/", "thumbnails/").removesuffix(".mp4") + ".jpg"


def _whole_keys(task: Mapping[str, object], prefix: str) -> dict[str, str]:
    clip_key = task.get("clip_key")
    if not isinstance(clip_key, str):
        return {}
    clip_key = prefix + clip_key.removeprefix(prefix)
    return {"clip_key": clip_key, "thumbnail_key": thumbnail_of(clip_key)}


def scene_key(index: int) -> str:
    """The key of a scene in `scene_beats` and `vertex_ai_tasks`: '000' for the first."""
    return f"{index:03d}"


def new_job_data(
    *, video_id: str, run_id: str, prefix: str, recording: Recording, options: Options, owner_id: str = ""
) -> dict[str, JsonValue]:
    """The data of a job that begins: every parent stands, so that later patches set leaves."""
    return {
        "video_id": video_id,
        "run_id": run_id,
        "prefix": prefix,
        "owner_id": owner_id,
        "recording": recording.model_dump(mode="json", exclude_none=True),
        "options": options.model_dump(mode="json", exclude_none=True),
        "audio_transcription": {},
        "scene_beats": {},
        "vertex_ai_tasks": {},
        "processing_steps": {},
        "final_video_url": None,
        "media": {},
        "warnings": {},
    }
