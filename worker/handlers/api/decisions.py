"""What POST and DELETE do: start, retry, approve, cancel.

Each reads the row once, decides, and writes once; whoever met another write in between looks again.  Everything that
can refuse comes before the write, and nothing is spent before it.
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import PurePosixPath
from urllib.parse import quote

from statemachine import Execution, JsonValue, Patch, Path, PermanentError, TransientError
from statemachine.errors import (
    BesideRefusedError,
    EventNotAllowedError,
    ExecutionExistsError,
    ExecutionNotFoundError,
    PatchError,
    StoreUnavailableError,
    VersionConflictError,
)
from statemachine.record import Record
from worker.edits import approve_patch, retry_patch
from worker.handlers.api.estimate import Estimate, estimate, estimate_rest
from worker.handlers.api.identity import Caller
from worker.handlers.api.parts import BUCKET_TIME, TABLE_TIME, ApiParts, Deadline
from worker.handlers.api.problems import KINDS, ProblemError
from worker.handlers.api.requests import OptionsRequest, VideoRequest
from worker.handlers.api.responses import DryRunView, ModelProfile, RecordingView
from worker.job import SCENE_BEATS, TASKS, Job, Options, Recording, committed_usd, new_job_data
from worker.limits import Booking, LimitError, Limits, RequestId, Usage, booked, released
from worker.models import VideoModel
from worker.rows import AudioHeader, Row, UsageChange

# How often a request that meets other writes looks again, and how long it waits before.  A thousand requests for one
# video are one write and 999 looks that find it.
TRIES = 6
_FIRST_PAUSE = timedelta(milliseconds=50)

# Shorter than this `transcribing` would refuse it.
SHORTEST_SECONDS = 1.0

# A patch of more paths than this is written scene by scene as whole maps: DynamoDB takes 4 KB of expression.
_MANY_PATHS = 100

_SAFE_IN_PREFIX = "-_."

# Each letter of a name may become twelve, and a whole key has 1,024 bytes.
_LONGEST_FOLDER = 199


class Decided(Record):
    """What became of a request.

    Attributes:
        status: of the answer.
        is_replay: nothing new was done.
    """

    status: int
    execution: Execution
    is_replay: bool = False


class Request(Record):
    """One request to change something."""

    parts: ApiParts
    caller: Caller
    body: VideoRequest
    key: str | None
    deadline: Deadline

    @property
    def request_id(self) -> RequestId | None:
        """What the `Idempotency-Key` makes of it."""
        if self.key is None:
            return None
        payload = self.body.model_dump_json(by_alias=True).encode()
        return RequestId.of(self.key, user_id=self.caller.user_id, video_id=self.body.video_id, payload=payload)


def decide(request: Request) -> Decided | DryRunView:
    """Do what is asked.

    Raises:
        ProblemError: it is refused, and nothing was written.
    """
    if request.body.action == "cancel":
        return cancel(request.parts, request.caller, request.body.video_id, request.deadline)
    attempt = _Starting(request) if request.body.action == "start" else _Signalling(request)
    pause = _FIRST_PAUSE
    for tries in range(TRIES):
        if tries:
            request.parts.clock.sleep(pause)
            pause *= 2
        request.deadline.check(TABLE_TIME)
        try:
            return attempt.decide()
        except (BesideRefusedError, ExecutionExistsError, StoreUnavailableError, VersionConflictError):
            # Somebody else wrote the video's row or the user's: what they wrote decides.
            if tries == TRIES - 1:
                raise
        except ExecutionNotFoundError as error:
            raise _no_video() from error  # deleted between our look and our write
    raise ProblemError("BUSY", "the video is being changed by others; try again")


def cancel(parts: ApiParts, caller: Caller, video_id: str, deadline: Deadline) -> Decided:
    """Stop a job; one at its end stays as it is.

    Raises:
        ProblemError: VIDEO_NOT_FOUND, JOB_NOT_FOUND.
    """
    for _ in range(TRIES):
        deadline.check(TABLE_TIME)
        row = found(parts.rows.find(video_id, user_id=caller.user_id))
        execution = job_on(row)
        if execution.status != "processing":
            return Decided(200, execution)
        try:
            cancelled = parts.engine_on(parts.rows.deciding(row), deadline).signal(row.execution_id, "cancelled")
        except EventNotAllowedError:
            continue  # it came to its end between our look and our write
        except ExecutionNotFoundError as error:
            raise _no_video() from error
        return Decided(202, cancelled)
    raise ProblemError("BUSY", "the video is being changed by others; try again")


def found(row: Row | None) -> Row:
    """The row.

    Raises:
        ProblemError: VIDEO_NOT_FOUND, the same for a video of somebody else and for none.
    """
    if row is None:
        raise _no_video()
    return row


def job_on(row: Row) -> Execution:
    """The job on a row.

    Raises:
        ProblemError: JOB_NOT_FOUND.
    """
    if row.execution is None:
        raise ProblemError("JOB_NOT_FOUND", "nobody has asked for an AI video of this recording; start one with POST")
    return row.execution


# --- start -----------------------------------------------------------------------------------------------------------


class _Checked(Record):
    """A recording that can be made into a video, and what it takes."""

    key: str
    header: AudioHeader
    estimate: Estimate | None


class _Starting:
    """A start.  The recording is checked once, however often the row has to be read again."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._parts = request.parts
        self._limits = request.parts.limits()
        request_id = request.request_id
        self._run_id = request_id.text if request_id else os.urandom(16).hex()
        self._options = _options(request.body.options, self._limits)
        self._checked: _Checked | None = None

    def decide(self) -> Decided | DryRunView:
        request, body = self._request, self._request.body
        row, usage = _look(request, self._limits)
        if not body.dry_run and (known := self._already_known(row)) is not None:
            return known
        self._refuse_standing(row)
        checked = self._check(row)
        change = self._booking(usage, checked, standing=row.execution)
        if body.dry_run:
            return self._dry_run(checked)
        data = new_job_data(
            video_id=body.video_id,
            run_id=self._run_id,
            prefix=f"ai-video/{_folder(body.video_id)}/{self._run_id}/",
            recording=Recording(key=checked.key, filename=PurePosixPath(checked.key).name),
            options=self._options,
            owner_id=row.owner_id,
        )
        engine = self._parts.engine_on(self._parts.rows.deciding(row, change=change), request.deadline)
        execution = engine.start(
            row.execution_id, data, run_id=self._run_id, replace_execution=row.execution is not None
        )
        return Decided(202, execution)

    def _already_known(self, row: Row) -> Decided | None:
        """The answer to a request that was made before: by its key, or by asking for what is being made already."""
        standing = row.execution
        if standing is None:
            return None
        if standing.run_id == self._run_id:
            # Ours: sent again by its client, or its answer was lost on the way to us.
            return Decided(202, standing, is_replay=self._request.key is not None)
        _refuse_reused(self._request, standing)
        job = Job.model_validate(standing.data)
        is_same = job.options == self._options and job.recording.key == self._key(row)
        if standing.status == "processing" and is_same:
            return Decided(202, standing, is_replay=True)
        return None

    def _refuse_standing(self, row: Row) -> None:
        standing = row.execution
        if standing is None:
            return
        if standing.status == "processing":
            raise ProblemError(
                "JOB_IN_PROGRESS",
                "a video of this recording is being made with other options; wait for it, or cancel it first",
                more={
                    "current": {
                        "phase": standing.state,
                        "options": Job.model_validate(standing.data).options.model_dump(mode="json"),
                    }
                },
            )
        if standing.status == "completed" and not self._request.body.force:
            raise ProblemError(
                "ALREADY_COMPLETED",
                "the video is finished, and making it anew costs as much again; send force: true to do so",
            )

    def _check(self, row: Row) -> _Checked:
        if self._checked is None:
            self._checked = self._checked_now(row)
        return self._checked

    def _checked_now(self, row: Row) -> _Checked:
        parts, options = self._parts, self._options
        _refuse_if_closed(parts, self._limits)
        if options.aspect_ratio not in parts.model.aspect_ratios:
            raise ProblemError(
                "INVALID_OPTION",
                f"{parts.model.name} makes no {options.aspect_ratio}; it can do {', '.join(parts.model.aspect_ratios)}",
            )
        key, deadline = self._key(row), self._request.deadline
        deadline.check(BUCKET_TIME)
        try:
            header = parts.probe(key, lambda: deadline.check(BUCKET_TIME))
            guess = self._estimate(header)
        except (PermanentError, TransientError) as error:
            raise _refused(error) from error
        except ValueError as error:
            raise _no_recording() from error  # no object can have such a key
        limit = options.max_cost_usd
        if guess is not None and limit is not None and guess.usd_low > limit + 1e-9:
            raise ProblemError(
                "COST_LIMIT_EXCEEDED",
                f"it would cost at least ${guess.usd_low:.2f}, and the limit is ${limit:.2f}; raise maxCostUsd, or "
                "choose a shorter recording",
                more={"estimate": guess.view().model_dump(mode="json"), "limit_usd": limit},
            )
        return _Checked(key, header, guess)

    def _estimate(self, header: AudioHeader) -> Estimate | None:
        seconds, longest = header.duration_seconds, self._parts.settings.longest_recording_seconds
        if seconds is None:
            return None
        if not header.is_guess and seconds > longest:
            raise PermanentError(
                "TOO_LONG", f"the recording lasts {seconds:.0f} s, and {longest:.0f} s are allowed; cut it"
            )
        if not header.is_guess and seconds < SHORTEST_SECONDS:
            raise PermanentError("TOO_SHORT", f"the recording lasts {seconds:.2f} s, too short for a video")
        if header.is_guess:
            seconds = min(max(seconds, SHORTEST_SECONDS), longest)
        parts = self._parts
        return estimate(seconds, options=self._options, model=parts.model, profile=parts.profile, now=parts.clock.now())

    def _key(self, row: Row) -> str:
        """The recording's key in the platform's bucket."""
        source = row.source
        bucket = f"s3://{self._parts.settings.bucket}/"
        if source is not None and source.startswith("s3://"):
            source = source.removeprefix(bucket) if source.startswith(bucket) else None
        if not source:
            raise _no_recording()
        return source

    def _booking(self, usage: Usage, checked: _Checked, *, standing: Execution | None) -> UsageChange | None:
        version = standing.version + 1 if standing else 1
        limit = self._options.max_cost_usd
        usd = limit or 0.0
        if checked.estimate is not None:
            usd = checked.estimate.usd_high if limit is None else min(limit, checked.estimate.usd_high)
        return _booked(self._request, self._limits, usage, Booking(self._run_id, version, usd), replaced=standing)

    def _dry_run(self, checked: _Checked) -> DryRunView:
        header = checked.header
        return DryRunView(
            video_id=self._request.body.video_id,
            action="start",
            estimate=None if checked.estimate is None else checked.estimate.view(),
            accrued_usd=0.0,
            limit_usd=self._options.max_cost_usd,
            recording=RecordingView(
                codec=header.codec,
                duration_seconds=header.duration_seconds,
                sample_rate=header.sample_rate,
                channels=header.channels,
            ),
            model_profile=_model_profile(self._parts.model),
        )


# --- retry and approve -----------------------------------------------------------------------------------------------


class _Signalling:
    """A retry or an approval."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._parts = request.parts
        self._limits = request.parts.limits()
        request_id = request.request_id
        self._signal_id = request_id.text if request_id else os.urandom(16).hex()

    def decide(self) -> Decided | DryRunView:
        request, body = self._request, self._request.body
        row, usage = _look(request, self._limits)
        execution = job_on(row)
        if not body.dry_run:
            if execution.last_signal == self._signal_id:
                # Ours: sent again by its client, or its answer was lost on the way to us.
                return Decided(202, execution, is_replay=request.key is not None)
            _refuse_reused(request, execution)
        event, state = ("retried", "failed") if body.action == "retry" else ("approved", "reviewing")
        if execution.state != state:
            raise _not_now(body.action, execution)
        _refuse_if_closed(self._parts, self._limits)
        job = Job.model_validate(execution.data)
        patch = self._patch(job)
        rest = self._rest(execution, job)
        change = self._booking(usage, execution, job, patch, rest)
        if body.dry_run:
            return self._dry_run(job, patch, rest)
        engine = self._parts.engine_on(self._parts.rows.deciding(row, change=change), request.deadline)
        try:
            signalled = engine.signal(
                row.execution_id,
                event,
                patch=_compact(patch, job, execution.data),
                expected_version=execution.version,
                signal_id=self._signal_id,
            )
        except EventNotAllowedError as error:
            raise _not_now(body.action, execution) from error
        except PatchError as error:
            raise ProblemError("EDIT_INVALID", "so many scenes cannot be changed at once; change fewer") from error
        return Decided(202, signalled)

    def _patch(self, job: Job) -> dict[Path, JsonValue]:
        body = self._request.body
        raised = body.options.max_cost_usd
        ceiling = self._limits.max_cost_usd
        if raised is not None and ceiling is not None:
            raised = min(raised, ceiling)
        try:
            if body.action == "retry":
                return retry_patch(job, body.scene_beats, max_cost_usd=raised)
            patch = approve_patch(job, body.scene_beats)
        except PermanentError as error:
            raise _refused(error) from error
        if raised is not None:
            patch["options", "max_cost_usd"] = raised
        return patch

    def _rest(self, execution: Execution, job: Job) -> Estimate | None:
        """What is still to be made."""
        parts = self._parts
        is_retry = self._request.body.action == "retry"
        state = execution.failed_in if is_retry else None
        return estimate_rest(
            execution,
            job,
            state=state or ("transcribing" if is_retry else "rendering"),
            model=parts.model,
            profile=parts.profile,
            now=parts.clock.now(),
        )

    def _booking(
        self, usage: Usage, execution: Execution, job: Job, patch: Patch, rest: Estimate | None
    ) -> UsageChange | None:
        """What is still to be paid, within the job's limit and the user's."""
        limit = _limit(job, patch)
        spent = committed_usd(job.vertex_ai_tasks.values())
        if rest is not None and limit is not None and spent + rest.usd_low > limit + 1e-9:
            raise ProblemError(
                "COST_LIMIT_EXCEEDED",
                f"${spent:.2f} are spent and ${rest.usd_low:.2f} are still to be paid; the limit is ${limit:.2f}: "
                "raise it with options.maxCostUsd",
                more={
                    "estimate": rest.view().model_dump(mode="json"),
                    "accrued_usd": round(spent, 4),
                    "remaining_usd": round(rest.usd_low, 4),
                    "limit_usd": limit,
                },
            )
        # Until there are scenes, the most that it may come to, as at the start; before it is measured, the limit alone.
        most = max(0.0, (limit or 0.0) - spent)
        if rest is not None:
            most = rest.usd_high if limit is None else min(most, rest.usd_high)
        return _booked(
            self._request, self._limits, usage, Booking(execution.run_id, execution.version + 1, most, spent)
        )

    def _dry_run(self, job: Job, patch: Patch, rest: Estimate | None) -> DryRunView:
        body = self._request.body
        return DryRunView(
            video_id=body.video_id,
            action="retry" if body.action == "retry" else "approve",
            estimate=None if rest is None else rest.view(),
            accrued_usd=round(committed_usd(job.vertex_ai_tasks.values()), 4),
            limit_usd=_limit(job, patch),
            recording=None,
            model_profile=_model_profile(self._parts.model),
        )


# --- small parts -----------------------------------------------------------------------------------------------------


def _look(request: Request, limits: Limits) -> tuple[Row, Usage]:
    """The row, and the user's control row where users are counted: one read."""
    rows, video_id, user_id = request.parts.rows, request.body.video_id, request.caller.user_id
    if not limits.counts_users:
        return found(rows.find(video_id, user_id=user_id)), Usage()
    row, usage = rows.find_with_usage(video_id, user_id=user_id)
    return found(row), usage


def _booked(
    request: Request, limits: Limits, usage: Usage, booking: Booking, *, replaced: Execution | None = None
) -> UsageChange | None:
    if not limits.counts_users:
        return None
    try:
        after = booked(
            usage if replaced is None else _without(usage, replaced),
            booking,
            now=request.parts.clock.now(),
            limits=limits,
        )
    except LimitError as error:
        is_busy = error.code == "TOO_MANY_JOBS"
        raise ProblemError(
            "TOO_MANY_JOBS" if is_busy else "DAILY_LIMIT_EXCEEDED",
            error.message,
            retry_after=error.retry_after,
            more={"limit": error.limit},
        ) from error
    return UsageChange(request.caller.user_id, usage, after)


def _without(usage: Usage, ended: Execution) -> Usage:
    """The usage without the place of a run that a start replaces: if its end was not told yet, it never will be."""
    spent = committed_usd(Job.model_validate(ended.data).vertex_ai_tasks.values())
    return released(usage, ended.run_id, version=ended.version, spent_usd=spent) or usage


def _options(asked: OptionsRequest, limits: Limits) -> Options:
    """What was asked for, within what the deployment allows."""
    wanted = Options.model_validate(asked.model_dump())
    ceiling = limits.max_cost_usd
    if ceiling is None or (wanted.max_cost_usd is not None and wanted.max_cost_usd <= ceiling):
        return wanted
    return wanted.model_copy(update={"max_cost_usd": ceiling})


def _limit(job: Job, patch: Patch) -> float | None:
    """The limit that holds once `patch` is written."""
    raised = patch.get(("options", "max_cost_usd"))
    return raised if isinstance(raised, int | float) else job.options.max_cost_usd


def _model_profile(model: VideoModel) -> ModelProfile:
    return ModelProfile(
        name=model.name,
        clip_seconds=model.clip_seconds,
        longest_seconds=model.longest_seconds,
        usd_per_second=model.usd_per_second,
        read_on=model.read_on.isoformat(),
    )


def _refuse_if_closed(parts: ApiParts, limits: Limits) -> None:
    if not limits.starts:
        raise ProblemError("STARTS_PAUSED", "the operator has switched off everything that costs money; try later")
    if parts.model.is_retired(parts.clock.now().date()):
        raise ProblemError(
            "MODEL_UNAVAILABLE", f"{parts.model.name} was retired on {parts.model.retired_on}; ask for another model"
        )
    parts.require_parts()


def _refuse_reused(request: Request, standing: Execution) -> None:
    request_id = request.request_id
    if request_id is None:
        return
    if any(request_id.is_reused_key(known) for known in (standing.run_id, standing.last_signal)):
        raise ProblemError(
            "IDEMPOTENCY_KEY_REUSED", "this Idempotency-Key was sent with another request; use a new one for each click"
        )


def _refused(error: PermanentError | TransientError) -> ProblemError:
    """What a part says of the recording or the scenes, as a problem; the words are ours."""
    if isinstance(error, TransientError):
        return ProblemError("STORAGE_UNAVAILABLE", "the recording cannot be read for now; try again")
    if error.code not in KINDS:
        raise error
    errors = error.details.get("scene_index")
    return ProblemError(error.code, error.message, more={} if errors is None else {"scene_index": errors})


def _no_video() -> ProblemError:
    return ProblemError("VIDEO_NOT_FOUND", "there is no such video, or it is not yours")


def _no_recording() -> ProblemError:
    return ProblemError(
        "OBJECT_MISSING", "the video's row names no recording in the platform's bucket; upload it again"
    )


def _not_now(action: str, execution: Execution) -> ProblemError:
    when = {"retry": "a job that failed", "approve": "a job that waits for its scenes to be approved"}
    return ProblemError(
        "INVALID_STATE",
        f"only {when[action]} can be sent {action}; this one is {execution.state}",
        more={"current": {"phase": execution.state, "revision": execution.revision}},
    )


def _compact(patch: dict[Path, JsonValue], job: Job, stored: Mapping[str, JsonValue]) -> Patch:
    """The same patch in fewer paths, where it has many.

    Nobody else writes beats, so their whole map may be set.  It is taken from the stored data and not from the job, so
    that fields of a newer version stay and what is kept elsewhere is not added.  Tasks are written by turns too, so of
    those only the values that change are set.
    """
    standing = stored.get(SCENE_BEATS[0])
    if len(patch) <= _MANY_PATHS or not isinstance(standing, Mapping):
        return patch
    beats = {key: dict(beat) if isinstance(beat, Mapping) else {} for key, beat in standing.items()}
    rest: dict[Path, JsonValue] = {}
    for path, value in patch.items():
        if path[:1] == SCENE_BEATS:
            beats[path[1]][path[2]] = value
        elif path[:1] != TASKS or getattr(job.vertex_ai_tasks[path[1]], path[2]) != value:
            rest[path] = value
    rest[SCENE_BEATS] = beats
    return rest


def _folder(video_id: str) -> str:
    """The video's id as one part of a key; '.' and '..' would name other folders.

    Two videos may share a part, which is escaped and cut: what tells their objects apart is the id of the run.
    """
    name = quote(video_id, safe=_SAFE_IN_PREFIX).replace("%", "_")[:_LONGEST_FOLDER]
    return name if name.strip(".") else f"_{name}"
