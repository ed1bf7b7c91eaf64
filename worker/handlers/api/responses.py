"""What is answered: the models of every body, from which the OpenAPI document is made."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from worker.progress import Basis, Pace

Status = Literal["processing", "completed", "failed"]
OfferedAction = Literal["cancel", "retry", "approve", "regenerate"]


class ResponseModel(BaseModel):
    """Part of an answer."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", defer_build=True, populate_by_name=True, serialize_by_alias=True
    )


class SecondsRange(ResponseModel):
    """Not less than `low` as a rule, seldom more than `high`."""

    low: int
    high: int


class UsdRange(ResponseModel):
    """What something costs, in US dollars."""

    low: float
    high: float
    currency: Literal["USD"] = "USD"
    as_of: Annotated[str, Field(description="The day on which the price was read.")]


class ProgressView(ResponseModel):
    """How far a job is."""

    percent: Annotated[int, Field(ge=0, le=100, description="Never falls within a run; 100 only when completed.")]
    basis: Basis
    step_index: int
    step_count: int
    scenes_done: int
    scenes_total: int | None
    elapsed_seconds: int
    eta_seconds: SecondsRange | None
    pace: Pace


class ShortError(ResponseModel):
    """What went wrong with a step or a scene."""

    code: str
    message: str
    user_action: str


class StepView(ResponseModel):
    """One line of the list that a person watches, in order."""

    id: str
    status: Literal["waiting", "processing", "completed", "failed", "cancelled"]
    message_code: str
    started_at: datetime | None
    completed_at: datetime | None
    attempt: int
    error: ShortError | None


class SceneView(ResponseModel):
    """One scene: what is said and seen in it, and how far its clip is."""

    scene_index: int
    start_seconds: float
    end_seconds: float
    narration: str
    visual_prompt: str
    is_cut: Annotated[bool, Field(description="Only the prompt's beginning stands here; see `media.prompts_url`.")]
    is_adjusted: Annotated[bool, Field(description="Other words than planned, because a filter refused those.")]
    negative_prompt: str
    revision: int
    status: Literal["waiting", "submitted", "completed", "failed"]
    attempt: Annotated[int, Field(description="Orders for the present words that were accepted, or may have been.")]
    max_attempts: int
    price_usd: Annotated[float, Field(description="Of one clip.")]
    is_substitute: bool
    is_editable: Annotated[bool, Field(description="Whether `sceneBeats` may change it now.")]
    thumbnail_url: str | None
    preview_url: str | None
    error: ShortError | None


class MediaView(ResponseModel):
    """Signed addresses, good until `urls_expire_at`."""

    video_url: str | None
    download_url: Annotated[str | None, Field(description="The same video, to be saved.")]
    poster_url: str | None
    captions_url: str | None
    transcript_url: Annotated[str | None, Field(description="The whole transcript with word times, JSON.")]
    prompts_url: Annotated[str | None, Field(description="Every scene's whole prompt as planned, JSON.")]
    duration_seconds: float | None


class CostView(ResponseModel):
    """What the job costs."""

    estimated_usd: Annotated[float | None, Field(description="Of the whole; null before the recording is measured.")]
    is_exact: Annotated[bool, Field(description="True once the scenes are planned, if no clip is made twice.")]
    accrued_usd: Annotated[float, Field(description="Every order that was, or may have been, accepted; full price.")]
    limit_usd: float | None
    currency: Literal["USD"] = "USD"
    as_of: str
    disclaimer: Literal["estimate"] = "estimate"


class WarningView(ResponseModel):
    """What a person should know of a job that goes on, or has succeeded, all the same."""

    code: str
    message: str


class ErrorView(ResponseModel):
    """Why a job failed.  It always has a code, a step and something to do."""

    code: str
    message: str
    step: str
    scene_index: int | None
    attempt: int
    retryable: bool
    user_action: str
    category: Annotated[str | None, Field(description="Of a content filter.")]
    support_id: str
    occurred_at: datetime | None


class TranscriptionData(ResponseModel):
    """`audio_transcription` as stored."""

    language: str | None
    duration_seconds: float | None
    mode: Literal["speech", "instrumental"] | None
    source: str | None
    text: str | None
    is_truncated: bool
    word_count: int | None
    full_json_s3_key: str | None


class BeatData(ResponseModel):
    """An entry of `scene_beats` as stored."""

    scene_index: int
    start_seconds: float
    end_seconds: float
    narration: str
    visual_prompt: str
    is_cut: Annotated[bool, Field(description="Only the prompt's beginning stands here; see `media.prompts_url`.")]
    is_adjusted: Annotated[bool, Field(description="Other words than planned, because a filter refused those.")]
    negative_prompt: str
    revision: int


class AttemptData(ResponseModel):
    """One order of a clip, without what only operators see."""

    beat_revision: int
    model: str
    seconds: float
    price_usd: float
    intended_at: datetime
    submitted_at: datetime | None
    ended_at: datetime | None
    outcome: Literal["clip", "filtered", "failed", "lost", "ambiguous"] | None
    error_code: str | None


class TaskData(ResponseModel):
    """An entry of `vertex_ai_tasks`, without what only operators see."""

    scene_index: int
    status: Literal["waiting", "submitted", "completed", "failed"]
    attempts: Mapping[str, AttemptData]
    clip_key: str | None
    clip_seconds: float | None
    thumbnail_key: str | None
    is_substitute: bool
    error_code: str | None


class StepData(ResponseModel):
    """An entry of `processing_steps`."""

    status: str
    started_at: datetime | None
    completed_at: datetime | None
    deadline_at: datetime | None
    attempt: int
    error: ShortError | None


class GenerationData(ResponseModel):
    """`ai_generation_data` in the stored shape: maps by scene ('000', '001', …) and by step."""

    audio_transcription: TranscriptionData
    scene_beats: Mapping[str, BeatData]
    vertex_ai_tasks: Mapping[str, TaskData]
    processing_steps: Mapping[str, StepData]
    final_video_url: Annotated[str | None, Field(description="Signed; the row itself holds an s3:// address.")]
    title: str
    options: Mapping[str, Any]


class OperatorView(ResponseModel):
    """What only operators see: vendors' names of things, and the engine's view of the job."""

    execution_id: str
    owner_id: str
    run_id: str
    state: str
    version: int
    attempt: int
    crashes: int
    turns: int
    due_at: datetime | None
    deadline_at: datetime | None
    waiting_for: str | None
    failure: Mapping[str, Any] | None
    last_error: Mapping[str, Any] | None
    transcription_id: str | None
    vertex_ai_tasks: Mapping[str, Any]


class JobView(ResponseModel):
    """A job: the answer to GET, and to every POST and DELETE that was accepted."""

    video_id: Annotated[str, Field(alias="videoId")]
    ai_project_type: Literal["ai_generated"] = "ai_generated"
    ai_generation_status: Status
    phase: Annotated[
        str,
        Field(
            description="transcribing, planning, reviewing, rendering, assembling, completed or failed",
            examples=["rendering"],
        ),
    ]
    progress: ProgressView
    steps: tuple[StepView, ...]
    scenes: tuple[SceneView, ...]
    ai_generation_data: GenerationData
    media: MediaView
    cost: CostView
    warnings: tuple[WarningView, ...]
    error: ErrorView | None
    actions: Annotated[tuple[OfferedAction, ...], Field(description="What the caller may do now.")]
    urls_expire_at: datetime | None
    poll_after_seconds: Annotated[int | None, Field(description="As Retry-After; null at the end.")]
    revision: Annotated[int, Field(description="Grows with everything that is written.")]
    created_at: datetime
    updated_at: datetime
    operator: OperatorView | None = None


class EstimateView(ResponseModel):
    """What a video of the recording takes."""

    scenes: int
    clip_seconds: SecondsRange
    cost_usd: UsdRange
    eta_seconds: SecondsRange | None


class ModelProfile(ResponseModel):
    """The video model that would be used."""

    name: str
    clip_seconds: tuple[int, ...]
    longest_seconds: float
    usd_per_second: float
    read_on: str


class RecordingView(ResponseModel):
    """What the recording's header says."""

    codec: str
    duration_seconds: float | None
    sample_rate: int
    channels: int


class DryRunView(ResponseModel):
    """The answer to a dry run: nothing was written or spent."""

    video_id: Annotated[str, Field(alias="videoId")]
    dry_run: Literal[True] = True
    estimate: Annotated[
        EstimateView | None, Field(description="Null where the header does not say how long the recording is.")
    ]
    limit_usd: float | None
    recording: RecordingView
    model_profile: ModelProfile
