"""What is answered: the models of every body, from which the OpenAPI document is made."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, RootModel

from worker.progress import Basis, Pace

FilterStage = Literal["prompt", "output", "audio"]
EstimatedAction = Literal["start", "retry", "approve"]
OfferedAction = Literal["cancel", "retry", "approve", "regenerate"]


class ResponseModel(BaseModel):
    """Part of an answer."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        defer_build=True,
        populate_by_name=True,
        serialize_by_alias=True,
        # Whatever has a default is answered all the same.
        json_schema_serialization_defaults_required=True,
    )


class StoredPart(ResponseModel):
    """Part of a record, taken from the model with these fields in `worker.job`; what else stands there is not told."""

    model_config = ConfigDict(from_attributes=True)


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


class CompletedMedia(MediaView):
    """Signed addresses of a finished video and of what belongs to it."""

    video_url: str
    download_url: Annotated[str, Field(description="The same video, to be saved.")]


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
    category: Annotated[
        str | None,
        Field(
            description="Of a content filter, for wording only, `general` where it named none; null for other codes.",
            examples=["violence"],
        ),
    ]
    stage: Annotated[
        FilterStage | None,
        Field(
            description="What a content filter refused: the words, before the order was accepted (`prompt`), or what "
            "was made of them (`output`, `audio`); null where that is not known, and for other codes."
        ),
    ]
    estimate_usd: Annotated[
        float | None,
        Field(description="With COST_LIMIT_REACHED: what the job comes to, the least that `maxCostUsd` has to be."),
    ]
    limit_usd: Annotated[float | None, Field(description="With COST_LIMIT_REACHED: the limit that it met.")]
    support_id: str
    occurred_at: datetime | None


class TranscriptionData(StoredPart):
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


class AttemptData(StoredPart):
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


class TaskData(StoredPart):
    """An entry of `vertex_ai_tasks`, without what only operators see."""

    scene_index: int
    status: Literal["waiting", "submitted", "completed", "failed"]
    attempts: dict[str, AttemptData]
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
    scene_beats: dict[str, BeatData]
    vertex_ai_tasks: dict[str, TaskData]
    processing_steps: dict[str, StepData]
    final_video_url: Annotated[str | None, Field(description="Signed; the row itself holds an s3:// address.")]
    title: str
    options: dict[str, Any]


class CompletedData(GenerationData):
    """`ai_generation_data` of a finished video."""

    final_video_url: Annotated[str, Field(description="Signed; the row itself holds an s3:// address.")]


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


class JobBase(ResponseModel):
    """What every job has, whatever became of it."""

    video_id: Annotated[str, Field(alias="videoId")]
    ai_project_type: Literal["ai_generated"] = "ai_generated"
    ai_generation_status: Literal["processing", "completed", "failed"]
    phase: str
    progress: ProgressView
    steps: tuple[StepView, ...]
    scenes: tuple[SceneView, ...]
    ai_generation_data: GenerationData
    media: MediaView
    cost: CostView
    warnings: tuple[WarningView, ...]
    error: ErrorView | None
    actions: Annotated[tuple[OfferedAction, ...], Field(description="What the caller may do now.")]
    urls_expire_at: Annotated[datetime | None, Field(description="Null while there are no addresses.")]
    poll_after_seconds: Annotated[int | None, Field(description="As Retry-After; null at the end.")]
    revision: Annotated[int, Field(description="Grows with everything that is written.")]
    created_at: datetime
    updated_at: datetime
    operator: Annotated[OperatorView | None, Field(description="For operators only.")] = None


class ProcessingJob(JobBase):
    """A job at work, or one that waits for its scenes to be approved."""

    ai_generation_status: Literal["processing"] = "processing"
    phase: Annotated[
        str,
        Field(
            description="transcribing, planning, reviewing, rendering or assembling; a newer version may know others",
            examples=["rendering"],
        ),
    ]
    error: None = None
    poll_after_seconds: Annotated[int, Field(description="As Retry-After.")]


class CompletedJob(JobBase):
    """A job whose video is finished."""

    ai_generation_status: Literal["completed"] = "completed"
    phase: Literal["completed"] = "completed"
    ai_generation_data: CompletedData
    media: CompletedMedia
    error: None = None
    urls_expire_at: datetime
    poll_after_seconds: None = None


class FailedJob(JobBase):
    """A job that failed or was cancelled; `error` says why, and what to do."""

    ai_generation_status: Literal["failed"] = "failed"
    phase: Literal["failed"] = "failed"
    error: ErrorView
    poll_after_seconds: None = None


AnyJob: TypeAlias = ProcessingJob | CompletedJob | FailedJob


BodyT = TypeVar("BodyT")


class OneOf(RootModel[BodyT], Generic[BodyT]):
    """One of several bodies.

    Documented, and never answered by itself; pydantic would build `RootModel[…]`, and all bodies in it, at import.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)


class JobView(OneOf[Annotated[AnyJob, Field(discriminator="ai_generation_status")]]):
    """A job: the answer to GET, and to every POST and DELETE that was accepted.  Switch on `ai_generation_status`."""


class EstimateView(ResponseModel):
    """What a video of the recording takes; of one that was begun, only what is missing."""

    scenes: Annotated[int, Field(description="Clips to be made.")]
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
    """The answer to a dry run: what the action would cost now.  Nothing was written or spent."""

    video_id: Annotated[str, Field(alias="videoId")]
    dry_run: Literal[True] = True
    action: EstimatedAction
    estimate: Annotated[
        EstimateView | None, Field(description="Null where nobody knows yet how long the recording is.")
    ]
    accrued_usd: Annotated[float, Field(description="What the job has cost so far, beside the estimate.")]
    limit_usd: Annotated[float | None, Field(description="That would hold for the whole job.")]
    recording: Annotated[
        RecordingView | None, Field(description="Null for `retry` and `approve`: it was looked at before.")
    ]
    model_profile: ModelProfile
