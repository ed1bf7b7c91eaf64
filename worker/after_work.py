"""What is left to do when a job has come to its end: give back its owner's slot, tell whoever wants to know.

The engine calls it at least once for every end, and again for a day while it raises.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from statemachine import Execution, JsonValue
from statemachine.errors import StoreUnavailableError, UnfinishedAfterWorkError
from statemachine.execution import Notice
from worker.job import Job, committed_usd
from worker.limits import released
from worker.rows import Rows, UsageChange, UsageChangedError

# How often a control row that others write at the same time is tried; then the engine tries later.
RELEASE_TRIES = 5


class CompletionError(BaseModel):
    """Why the job failed."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    code: str
    user_action: str


class CompletionBody(BaseModel):
    """What is sent when a job comes to its end; `Completion.as_json` makes it.

    The last four stand only with the latest end of a job: an earlier one, told late, has its status and no more.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    id: str
    type: Literal["ai_video.completed", "ai_video.failed"]
    occurred_at: datetime
    video_id: Annotated[str, Field(alias="videoId")]
    status: Literal["completed", "failed"]
    owner_id: str
    run_id: str | None = None
    duration_seconds: float | None = None
    final_video_url: Annotated[str | None, Field(description="An s3:// address.")] = None
    error: CompletionError | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """That a job came to its end.

    Attributes:
        notice_id: the same however often this is sent.
        kind: 'ai_video.completed' or 'ai_video.failed'.
        details: what else is known: of the job's last end everything, of an earlier one its id and status.
    """

    notice_id: str
    kind: str
    occurred_at: datetime
    details: dict[str, JsonValue]

    def as_json(self) -> dict[str, JsonValue]:
        """The form in which it is sent."""
        return {
            "id": self.notice_id,
            "type": self.kind,
            "occurred_at": self.occurred_at.isoformat(timespec="milliseconds"),
            **self.details,
        }


class Notifier(Protocol):
    """Tells others that a job came to its end."""

    @property
    def name(self) -> str:
        """Which of a worker's notifiers it is, in every version of the worker."""

    def send(self, completion: Completion) -> None:
        """Send it; the same one may be sent again.

        Raises:
            TransientError: it was not taken; send it again later.
        """


class AfterWork:
    """Releases the slot and tells every notifier; each is tried, whatever becomes of the others.

    While one of them refuses, the others are not told again what they have taken: a person may read it as mail.
    """

    def __init__(self, *, rows: Rows | None, notifiers: Sequence[Notifier]) -> None:
        self._rows = rows
        self._notifiers = notifiers

    def __call__(self, execution: Execution, notices: tuple[Notice, ...]) -> None:
        """What `statemachine.Engine` calls.  A slot is released before anything is sent, and whatever is sent.

        Raises:
            UnfinishedAfterWorkError: the slot was not released, or not everybody took every notice.
        """
        job = Job.model_validate(execution.data)
        done = set(execution.after_work.done if execution.after_work else ())
        failures: list[Exception] = []
        if self._rows is not None and job.owner_id:
            with _kept_in(failures):
                self._release(self._rows, execution, job)
        for notifier in self._notifiers:
            with _kept_in(failures):
                for notice in notices:
                    part = f"{notifier.name} {notice.notice_id}"
                    if part not in done:
                        notifier.send(completion_of(notice, execution, job))
                        done.add(part)
        if failures:
            raise UnfinishedAfterWorkError(done, failures) from failures[0]

    def _release(self, rows: Rows, execution: Execution, job: Job) -> None:
        for _ in range(RELEASE_TRIES):
            before = rows.usage(job.owner_id)
            after = released(
                before,
                execution.run_id,
                version=execution.version,
                spent_usd=committed_usd(job.vertex_ai_tasks.values()),
            )
            if after is None:
                return
            try:
                rows.change_usage(UsageChange(job.owner_id, before, after))
            except UsageChangedError:
                continue
            return
        raise StoreUnavailableError(f"the slot of {execution.execution_id!r} met {RELEASE_TRIES} other writes in a row")


@contextmanager
def _kept_in(failures: list[Exception]) -> Iterator[None]:
    """What fails in the block is kept, and what follows it is done all the same."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  a notifier may raise anything
        failures.append(error)


def completion_of(notice: Notice, execution: Execution, job: Job) -> Completion:
    """What is told of one end."""
    details: dict[str, JsonValue] = {"videoId": job.video_id, "status": notice.status, "owner_id": job.owner_id}
    if execution.after_work is not None and notice == execution.after_work.notices[-1]:
        failure = execution.failure
        details |= {
            "run_id": execution.run_id,
            "duration_seconds": job.media.duration_seconds,
            "final_video_url": job.final_video_url,
            "error": None if failure is None else {"code": failure.code, "user_action": failure.user_action},
        }
    return Completion(notice.notice_id, f"ai_video.{notice.status}", notice.occurred_at, details)
