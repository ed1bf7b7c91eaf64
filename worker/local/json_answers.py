"""What a job looks like to a script: the objects that `--json` prints."""

from collections.abc import Mapping
from datetime import datetime

from statemachine import Failure, JsonValue, StateMachineError
from statemachine.errors import StepError
from worker.job import Job
from worker.local.terminal import Look, usd


def summary_json(look: Look) -> dict[str, JsonValue]:
    """A job in a list."""
    execution, job = look.execution, look.job
    return {
        "id": execution.execution_id,
        "status": execution.status,
        "phase": execution.state,
        "percent": look.progress.percent,
        "pace": look.progress.pace,
        "recording": job.recording.filename,
        "title": job.title,
        "video": job.final_video_url,
        "price_usd": usd(look.price_usd),
        "limit_usd": job.options.max_cost_usd,
        "duration_seconds": job.media.duration_seconds,
        "error": failure_json(execution.failure),
        "started_at": _iso(execution.started_at),
        "updated_at": _iso(execution.updated_at),
    }


def details_json(look: Look) -> dict[str, JsonValue]:
    """All that `show` tells of a job."""
    execution, job = look.execution, look.job
    steps: list[JsonValue] = [
        {
            "id": step.id,
            "status": step.status,
            "started_at": _iso(step.started_at),
            "completed_at": _iso(step.completed_at),
            "attempt": step.attempt,
            "error": step.error,
        }
        for step in look.progress.steps
    ]
    return {
        **summary_json(look),
        "failed_in": execution.failed_in,
        "attempt": execution.attempt,
        "retries": execution.retries,
        "progress": look.progress.as_json(),
        "steps": steps,
        "scenes": scenes_json(job),
        "options": job.options.model_dump(mode="json"),
        "warnings": dict(job.warnings),
        "deadline_at": _iso(execution.deadline_at),
        "due_at": _iso(execution.due_at),
        "revision": execution.revision,
    }


def scenes_json(job: Job) -> list[JsonValue]:
    """The scenes with their clips and every attempt at them."""
    return [
        {
            **beat.model_dump(mode="json"),
            "status": task.status,
            "submissions": task.spent_attempts(beat.revision),
            "clip_key": task.clip_key,
            "attempts": {key: attempt.model_dump(mode="json") for key, attempt in task.attempts.items()},
            "error_code": task.error_code,
            "error_message": task.error_message,
        }
        for beat, task in zip(job.beats, job.tasks, strict=True)
    ]


def failure_json(failure: Failure | None) -> Mapping[str, JsonValue] | None:
    """Why a job failed; None where it has not."""
    if failure is None:
        return None
    return {
        "code": failure.code,
        "message": failure.message,
        "user_action": failure.user_action,
        "is_retryable": failure.is_retryable,
        "step": failure.state,
        "attempt": failure.attempt,
        "details": dict(failure.details),
        "occurred_at": _iso(failure.occurred_at),
    }


def error_json(error: StateMachineError) -> dict[str, JsonValue]:
    """An error as `--json` tells it."""
    if isinstance(error, StepError):
        return {"code": error.code, "message": error.message, "user_action": error.user_action}
    return {"code": type(error).__name__, "message": str(error), "user_action": "retry"}


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")
