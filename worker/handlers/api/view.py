"""The record of a job as the person who asked for it sees it.  Computed at every look; nothing of it is stored.

Left out for everybody but operators: vendors' names of things, vendors' own words, intents, prefixes and seeds.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from statemachine import NOT_ACCEPTED, Execution, Failure, JsonValue
from statemachine.errors import StoreCorruptError
from statemachine.record import Record
from worker.handlers.api import responses
from worker.handlers.api.estimate import estimate_begun, seconds_range
from worker.job import (
    PROCESSING_STEPS,
    Job,
    SceneBeat,
    SceneTask,
    committed_usd,
    price_usd,
    remaining_usd,
    scene_key,
)
from worker.links import LinkSigner, SigningWindow
from worker.models import VideoModel
from worker.progress import Profile, Progress, StepProgress, progress

# How soon to look again.  At first things move fast; a stalled job or one that waits for a person does not.
_POLL_AT_FIRST_SECONDS = 3
_AT_FIRST_SECONDS = 30
_POLL_SECONDS = 5
_POLL_AT_REST_SECONDS = 15

_ENDS = frozenset({"completed", "failed"})

# Failures whose message this project writes, for the person who reads it.  Others quote vendors: that is for operators.
_OWN_WORDS = frozenset(
    {
        "CANCELLED",
        "CORRUPT",
        "COST_LIMIT_REACHED",
        "DURATION_MISMATCH",
        "EMPTY_FILE",
        "NOT_AUDIO",
        "NO_AUDIO_STREAM",
        "OBJECT_MISSING",
        "SCENE_PLAN_INVALID",
        "STITCH_FAILED",
        "TOO_LONG",
        "TOO_SHORT",
    }
)
_WORDS = {
    "AMBIGUOUS": "A clip may have been ordered and is not there; a retry may pay for it once more.",
    "CONTENT_FILTERED": "The video model's content filter refused a scene; change its words, then retry.",
    "INPUT_UNSUPPORTED": "The recording cannot be transcribed; upload another one.",
    "MODEL_UNAVAILABLE": "The configured model is not available; its operator has to choose another.",
    "PROVIDER_EMPTY_RESULT": "The video model answered without a clip; retry.",
    "PROVIDER_ERROR": "The video model could not make a clip; retry.",
    "PROVIDER_QUOTA": "The video model takes no more orders for now; retry later.",
    "STEP_TIMEOUT": "It took longer than it may; retry.",
    "TRANSCRIPTION_FAILED": "The recording could not be transcribed; retry.",
}
_OTHER_WORDS = "Something went wrong; retry, and name the support id if it happens again."

# Of a filter that named no category.
_GENERAL = "general"

_STAGES: Mapping[str, responses.FilterStage] = {"prompt": "prompt", "output": "output", "audio": "audio"}

# Failures after which the same job cannot succeed: only a new one can.
_HOPELESS_ACTIONS = frozenset({"upload_other_audio", "none"})


class Look(Record):
    """A job at one moment, and who looks."""

    execution: Execution
    now: datetime
    model: VideoModel
    profile: Profile
    for_operator: bool = False
    may_act: bool = True

    @cached_property
    def job(self) -> Job:
        """What the record holds."""
        return Job.model_validate(self.execution.data)

    @cached_property
    def beats(self) -> tuple[SceneBeat, ...]:
        """The scenes in their order."""
        return self.job.beats

    @cached_property
    def tasks(self) -> tuple[SceneTask, ...]:
        """One for each scene, in the same order."""
        return self.job.tasks

    @cached_property
    def progress(self) -> Progress:
        """How far the job is."""
        return progress(self.execution, self.job, self.now, self.profile)

    @property
    def poll_after_seconds(self) -> int | None:
        """When it is worth while to look again; None at the end."""
        return None if self.execution.status in _ENDS else self._poll_seconds

    @property
    def _poll_seconds(self) -> int:
        if self.execution.state == "reviewing" or self.progress.pace == "stalled":
            return _POLL_AT_REST_SECONDS
        return _POLL_AT_FIRST_SECONDS if self.progress.elapsed_seconds < _AT_FIRST_SECONDS else _POLL_SECONDS

    @property
    def actions(self) -> tuple[responses.OfferedAction, ...]:
        """What the caller may do now."""
        execution = self.execution
        if not self.may_act:
            return ()
        if execution.status == "completed":
            return ("regenerate",)
        if execution.status == "failed":
            is_hopeless = execution.failure is not None and execution.failure.user_action in _HOPELESS_ACTIONS
            return ("regenerate",) if is_hopeless else ("retry", "regenerate")
        return ("approve", "cancel") if execution.state == "reviewing" else ("cancel",)

    def etag(self, window: SigningWindow) -> str:
        """Changes with everything that a person would see change.  Weak: seconds that pass do not change it."""
        seen = (
            self.execution.run_id,
            self.execution.revision,
            self.execution.state,
            self.progress.percent,
            self.progress.pace,
            self.actions,
            window.expires_at,
            self.for_operator,
        )
        return f'W/"{self.execution.revision}-{hashlib.sha256(repr(seen).encode()).hexdigest()[:16]}"'

    def view(self, signer: LinkSigner, window: SigningWindow) -> responses.AnyJob:
        """The body of an answer."""
        execution, job = self.execution, self.job

        def link(key: str | None) -> str | None:
            return None if key is None else signer.link(key, window)

        # Read by the models in one go: to make each part by itself takes three times as long, and scenes are many.
        known: dict[str, Any] = {
            "video_id": job.video_id,
            "progress": _progress_view(self.progress),
            "steps": tuple(_step_view(step) for step in self.progress.steps),
            "scenes": self._scenes(link),
            "cost": self._cost(),
            "warnings": tuple(_warnings(job)),
            "actions": self.actions,
            "revision": execution.revision,
            "created_at": execution.started_at,
            "updated_at": execution.updated_at,
            "operator": _operator_view(execution, job) if self.for_operator else None,
        }
        data, media = self._generation_data(), self._media(link)
        expire_at = window.expires_at if _has_media(job) else None
        match execution.status:
            case "completed":
                video_key = job.media.video_key
                if video_key is None:
                    raise StoreCorruptError(f"execution {execution.execution_id!r} is completed and names no video")
                url = signer.link(video_key, window)
                saved = signer.link(video_key, window, download_as=_filename(job))
                return responses.CompletedJob(
                    **known,
                    ai_generation_data=responses.CompletedData(**data, final_video_url=url),
                    media=responses.CompletedMedia(**media, video_url=url, download_url=saved),
                    urls_expire_at=window.expires_at,
                )
            case "failed":
                return responses.FailedJob(
                    **known,
                    ai_generation_data=responses.GenerationData(**data, final_video_url=None),
                    media=responses.MediaView(**media, video_url=None, download_url=None),
                    error=_error_view(execution),
                    urls_expire_at=expire_at,
                )
            case _:
                return responses.ProcessingJob(
                    **known,
                    phase=execution.state,
                    ai_generation_data=responses.GenerationData(**data, final_video_url=None),
                    media=responses.MediaView(**media, video_url=None, download_url=None),
                    urls_expire_at=expire_at,
                    poll_after_seconds=self._poll_seconds,
                )

    def _media(self, link: Callable[[str | None], str | None]) -> dict[str, Any]:
        """What lies in the bucket beside the clips and the video itself."""
        job = self.job
        return {
            "poster_url": link(job.media.poster_key),
            "captions_url": link(job.media.captions_key),
            "transcript_url": link(job.audio_transcription.full_json_s3_key),
            "prompts_url": link(job.plan_key),
            "duration_seconds": job.media.duration_seconds,
        }

    def _scenes(self, link: Callable[[str | None], str | None]) -> list[dict[str, Any]]:
        """The scenes, each a `responses.SceneView` in the making."""
        is_at_rest = self.execution.state in {"reviewing", "failed"}
        return [
            {
                **_seen_in(beat),
                "status": task.status,
                "attempt": task.spent_attempts(beat.revision),
                "max_attempts": task.allowance,
                "price_usd": round(price_usd(beat, self.model), 4),
                "is_substitute": task.is_substitute,
                "is_editable": is_at_rest and task.clip_key is None and task.open_attempt is None,
                "thumbnail_url": link(task.thumbnail_key),
                "preview_url": link(task.clip_key),
                "error": None if task.error_code is None else _short_error(task.error_code),
            }
            for beat, task in zip(self.beats, self.tasks, strict=True)
        ]

    def _cost(self) -> responses.CostView:
        job, model = self.job, self.model
        accrued = committed_usd(job.vertex_ai_tasks.values())
        estimated: float | None = None
        if job.scene_beats:
            estimated = accrued + remaining_usd(job, model)
        elif (guess := estimate_begun(job, model=model, profile=self.profile, now=self.now)) is not None:
            estimated = guess.usd_high
        return responses.CostView(
            estimated_usd=None if estimated is None else round(estimated, 4),
            is_exact=bool(job.scene_beats),
            accrued_usd=round(accrued, 4),
            limit_usd=job.options.max_cost_usd,
            as_of=model.read_on.isoformat(),
        )

    def _generation_data(self) -> dict[str, Any]:
        """`ai_generation_data` without the address of the video."""
        job, found = self.job, self.job.audio_transcription
        history = self.execution.data.get(PROCESSING_STEPS[0])
        return {
            "audio_transcription": found,
            "scene_beats": {scene_key(beat.scene_index): _seen_in(beat) for beat in self.beats},
            "vertex_ai_tasks": {scene_key(task.scene_index): _priced(task) for task in self.tasks},
            "processing_steps": {
                name: _step_data(entry)
                for name, entry in (history.items() if isinstance(history, Mapping) else ())
                if isinstance(entry, Mapping)
            },
            "title": job.title,
            "options": job.options.model_dump(mode="json"),
        }


def _progress_view(now: Progress) -> responses.ProgressView:
    return responses.ProgressView(
        percent=now.percent,
        basis=now.basis,
        step_index=now.step_index,
        step_count=now.step_count,
        scenes_done=now.scenes_done,
        scenes_total=now.scenes_total,
        elapsed_seconds=round(now.elapsed_seconds),
        eta_seconds=seconds_range(now.eta),
        pace=now.pace,
    )


def _step_view(step: StepProgress) -> responses.StepView:
    return responses.StepView.model_validate(
        {
            "id": step.id,
            "status": step.status,
            "message_code": f"step.{step.id}.{step.status}",
            "started_at": step.started_at,
            "completed_at": step.completed_at,
            "attempt": step.attempt,
            "error": _stored_error(step.error),
        }
    )


def _error_view(execution: Execution) -> responses.ErrorView:
    failure = execution.failure or Failure("INTERNAL", "")  # of a row that somebody has written by hand
    details = failure.details
    is_filtered, is_limit = failure.code == "CONTENT_FILTERED", failure.code == "COST_LIMIT_REACHED"
    scene_index, category, stage = details.get("scene_index"), details.get("category"), details.get("stage")
    return responses.ErrorView(
        code=failure.code,
        message=_message(failure.code, failure.message),
        step=failure.state or execution.failed_in or execution.state,
        scene_index=scene_index if isinstance(scene_index, int) else None,
        attempt=failure.attempt,
        retryable=failure.is_retryable,
        user_action=failure.user_action,
        category=(category if isinstance(category, str) else _GENERAL) if is_filtered else None,
        stage=_STAGES.get(str(stage)) if is_filtered else None,
        estimate_usd=_usd(details.get("price_usd")) if is_limit else None,
        limit_usd=_usd(details.get("limit_usd")) if is_limit else None,
        support_id=f"{execution.run_id[:12]}-{execution.version}",
        occurred_at=failure.occurred_at,
    )


def _usd(stored: JsonValue) -> float | None:
    return stored if isinstance(stored, int | float) else None


def _seen_in(beat: SceneBeat) -> dict[str, Any]:
    """A `responses.BeatData` in the making."""
    return {
        "scene_index": beat.scene_index,
        "start_seconds": beat.start_seconds,
        "end_seconds": beat.end_seconds,
        "narration": beat.narration,
        "visual_prompt": beat.visual_prompt,
        "is_cut": beat.is_cut,
        "is_adjusted": beat.is_adjusted,
        "negative_prompt": beat.negative_prompt,
        "revision": beat.revision,
    }


def _priced(task: SceneTask) -> SceneTask:
    """The task with the price of every attempt as it counts: what was not accepted costs nothing."""
    if not any(attempt.operation == NOT_ACCEPTED for attempt in task.attempts.values()):
        return task
    attempts = {
        key: attempt.model_copy(update={"price_usd": 0.0}) if attempt.operation == NOT_ACCEPTED else attempt
        for key, attempt in task.attempts.items()
    }
    return task.model_copy(update={"attempts": attempts})


def _step_data(entry: Mapping[str, JsonValue]) -> responses.StepData:
    known = {name: entry.get(name) for name in ("started_at", "completed_at", "deadline_at")}
    attempt = entry.get("attempt")
    return responses.StepData.model_validate(
        {
            **known,
            "status": str(entry.get("status", "processing")),
            "attempt": attempt if isinstance(attempt, int) else 0,
            "error": _stored_error(entry.get("error")),
        }
    )


def _operator_view(execution: Execution, job: Job) -> responses.OperatorView:
    tasks = execution.data.get("vertex_ai_tasks")
    return responses.OperatorView(
        execution_id=execution.execution_id,
        owner_id=job.owner_id,
        run_id=execution.run_id,
        state=execution.state,
        version=execution.version,
        attempt=execution.attempt,
        crashes=execution.crashes,
        turns=execution.turns,
        due_at=execution.due_at,
        deadline_at=execution.deadline_at,
        waiting_for=execution.waiting_for,
        failure=_raw(execution.failure),
        last_error=_raw(execution.last_error),
        transcription_id=job.audio_transcription.transcription_id,
        vertex_ai_tasks=tasks if isinstance(tasks, Mapping) else {},
    )


def _raw(failure: Failure | None) -> Mapping[str, JsonValue] | None:
    return None if failure is None else failure.as_json()


def _warnings(job: Job) -> Iterable[responses.WarningView]:
    for code, message in sorted(job.warnings.items()):
        yield responses.WarningView(code=code, message=message)


def _stored_error(stored: JsonValue) -> responses.ShortError | None:
    if not isinstance(stored, Mapping):
        return None
    code = str(stored.get("code", "INTERNAL"))
    return responses.ShortError(
        code=code,
        message=_message(code, str(stored.get("message", ""))),
        user_action=str(stored.get("user_action", "retry")),
    )


def _short_error(code: str) -> responses.ShortError:
    actions = {"CONTENT_FILTERED": "edit_scene", "COST_LIMIT_REACHED": "raise_limit"}
    return responses.ShortError(code=code, message=_message(code, ""), user_action=actions.get(code, "retry"))


def _message(code: str, own: str) -> str:
    if code in _OWN_WORDS and own:
        return own
    return _WORDS.get(code, _OTHER_WORDS)


def _has_media(job: Job) -> bool:
    return (
        job.media.video_key is not None
        or job.audio_transcription.full_json_s3_key is not None
        or job.plan_key is not None
        or any(task.clip_key or task.thumbnail_key for task in job.tasks)
    )


def _filename(job: Job) -> str:
    title = "".join(c if c.isalnum() or c in " -_" else " " for c in job.title)
    return f"{' '.join(title.split())[:80] or 'video'}.mp4"
