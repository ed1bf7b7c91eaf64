"""What may be wrong with a request, as problem details (RFC 9457): a stable `code`, what is wrong, what to do."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from statemachine import JsonValue
from statemachine.record import Record
from worker.handlers.api.responses import EstimateView

CONTENT_TYPE = "application/problem+json"


class Kind(Record):
    """What all problems of one code have in common."""

    status: int
    title: str
    user_action: str


KINDS: Mapping[str, Kind] = {
    # The request itself.
    "BAD_JSON": Kind(400, "The body is not JSON", "fix_request"),
    "INVALID_REQUEST": Kind(400, "The request is not as documented", "fix_request"),
    "UNAUTHENTICATED": Kind(401, "Nobody is signed in", "sign_in"),
    "NOT_FOUND": Kind(404, "There is nothing here", "fix_request"),
    "METHOD_NOT_ALLOWED": Kind(405, "This method is not served here", "fix_request"),
    "BODY_TOO_LARGE": Kind(413, "The body is too large", "fix_request"),
    "INVALID_OPTION": Kind(422, "An option cannot be used", "fix_request"),
    "IDEMPOTENCY_KEY_REUSED": Kind(422, "The Idempotency-Key was used for another request", "fix_request"),
    # The video, and the job on it.
    "VIDEO_NOT_FOUND": Kind(404, "No such video", "fix_request"),
    "JOB_NOT_FOUND": Kind(404, "No AI video was asked for", "start"),
    "JOB_IN_PROGRESS": Kind(409, "Another video is being made of this recording", "wait"),
    "ALREADY_COMPLETED": Kind(409, "The video is finished", "force"),
    "INVALID_STATE": Kind(409, "The job is not in a state for this", "refresh"),
    "CHANGED_MEANWHILE": Kind(409, "The job has moved on", "refresh"),
    "EDIT_INVALID": Kind(422, "A scene cannot be changed like this", "edit_scene"),
    "EDIT_NEEDED": Kind(422, "A scene has to be changed first", "edit_scene"),
    # The recording.
    "OBJECT_MISSING": Kind(422, "The recording is missing", "upload_other_audio"),
    "EMPTY_FILE": Kind(422, "The recording is empty", "upload_other_audio"),
    "NOT_AUDIO": Kind(422, "The file is no recording", "upload_other_audio"),
    "NO_AUDIO_STREAM": Kind(422, "The file has no sound", "upload_other_audio"),
    "TOO_SHORT": Kind(422, "The recording is too short", "upload_other_audio"),
    "TOO_LONG": Kind(422, "The recording is too long", "upload_other_audio"),
    # Money and quotas.
    "COST_LIMIT_EXCEEDED": Kind(422, "It would cost more than is allowed", "raise_limit"),
    "DAILY_LIMIT_EXCEEDED": Kind(422, "It would pass the limit of the day", "wait"),
    "TOO_MANY_JOBS": Kind(429, "Too many videos are being made at once", "wait"),
    # Faults of this service, and what its operators have switched off.
    "INTERNAL": Kind(500, "Something went wrong here", "contact_admin"),
    "STARTS_PAUSED": Kind(503, "Starting is switched off for now", "wait"),
    "MODEL_UNAVAILABLE": Kind(503, "The video model is not available", "contact_admin"),
    "LIMITS_UNREADABLE": Kind(503, "Starting is switched off for now", "contact_admin"),
    "PART_UNAVAILABLE": Kind(503, "This deployment is not complete", "contact_admin"),
    "STORE_UNAVAILABLE": Kind(503, "The data cannot be reached for now", "wait"),
    "STORAGE_UNAVAILABLE": Kind(503, "The recording cannot be read for now", "wait"),
    "BUSY": Kind(503, "Too much happens at once", "wait"),
    "TIMED_OUT": Kind(503, "It took too long", "wait"),
}

# Said with problems that pass by themselves.
RETRY_AFTER = timedelta(seconds=5)
_PASSING = {"STARTS_PAUSED", "STORE_UNAVAILABLE", "STORAGE_UNAVAILABLE", "BUSY", "TIMED_OUT"}


class FieldError(BaseModel):
    """What is wrong with one field; `field` is a path with dots, as in the body."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    field: str
    code: str = Field(description="Stable: MISSING, UNKNOWN_FIELD, WRONG_TYPE, NOT_ALLOWED, OUT_OF_RANGE, …")
    message: str


class CurrentJob(BaseModel):
    """What stands in the way of a request."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    phase: str
    options: Annotated[Mapping[str, Any] | None, Field(description="JOB_IN_PROGRESS: what was asked for.")] = None
    revision: Annotated[int | None, Field(description="INVALID_STATE: of the job.")] = None


class ProblemBody(BaseModel):
    """A refusal (RFC 9457).  The members after `support_id` stand where a `code` has them; others may follow."""

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)

    type: Annotated[str, Field(description="A URI that names the kind of problem.")]
    title: str
    status: int
    detail: Annotated[str, Field(description="What is wrong this time, for a person.")]
    code: Annotated[str, Field(description="Stable; switch on it.", examples=["JOB_IN_PROGRESS"])]
    user_action: Annotated[str, Field(description="A code of what the person may do.", examples=["raise_limit"])]
    errors: tuple[FieldError, ...] = ()
    retry_after_seconds: int | None = None
    support_id: str | None = None
    estimate: Annotated[
        EstimateView | None, Field(description="COST_LIMIT_EXCEEDED: what it would cost; of a job begun, the rest.")
    ] = None
    accrued_usd: Annotated[
        float | None, Field(description="COST_LIMIT_EXCEEDED, of a job begun: what it has cost.")
    ] = None
    remaining_usd: Annotated[
        float | None, Field(description="COST_LIMIT_EXCEEDED, of a job begun: what is still to be paid.")
    ] = None
    limit_usd: Annotated[float | None, Field(description="COST_LIMIT_EXCEEDED: the limit that it met.")] = None
    limit: Annotated[float | None, Field(description="DAILY_LIMIT_EXCEEDED: US dollars; TOO_MANY_JOBS: how many.")] = (
        None
    )
    scene_index: Annotated[int | None, Field(description="EDIT_NEEDED: the scene that has to be changed.")] = None
    current: Annotated[CurrentJob | None, Field(description="JOB_IN_PROGRESS and INVALID_STATE: the job as it is.")] = (
        None
    )


class ProblemError(Exception):
    """The request is answered with a problem.

    Attributes:
        more: members beside the standard ones: `current`, `estimate`, `limit_usd`, …
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        retry_after: timedelta | None = None,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, JsonValue] | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        if retry_after is None and code in _PASSING:
            retry_after = RETRY_AFTER
        self.retry_after = retry_after
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, round(retry_after.total_seconds())))
        self.more = dict(more or {})

    @property
    def status(self) -> int:
        """Of the answer."""
        return KINDS[self.code].status

    def as_json(self) -> dict[str, JsonValue]:
        """The body."""
        kind = KINDS[self.code]
        body: dict[str, JsonValue] = {
            "type": problem_type(self.code),
            "title": kind.title,
            "status": kind.status,
            "detail": self.detail,
            "code": self.code,
            "user_action": kind.user_action,
        }
        if self.errors:
            body["errors"] = [error.model_dump() for error in self.errors]
        if self.retry_after is not None:
            body["retry_after_seconds"] = max(1, round(self.retry_after.total_seconds()))
        return {**body, **self.more}


def problem_type(code: str) -> str:
    """The URI that names a kind of problem; it leads nowhere."""
    return f"urn:ai-video:problem:{code.lower().replace('_', '-')}"
