"""`rendering`: one clip per scene, written around the one call that costs money.

For each scene and attempt: the intent (a unique id and a prefix of its own) is checkpointed, the submission is made,
the operation's name is recorded as a fact.  Whoever dies in between leaves an intent without an operation; it is
looked for (`ClipRenderer.find`), never simply ordered again.

One turn looks at everything that runs, brings home what is finished, and orders what is missing, in this order: a
finished clip is never lost, and the answers decide what may be ordered.
"""

import logging
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from statemachine import NOT_ACCEPTED, Advance, Fail, Failure, JsonValue, Outcome, TransientError, Turn, Wait
from worker.job import TASKS, ClipAttempt, Job, SceneBeat, SceneTask, committed_usd, scene_key
from worker.keys import content_key
from worker.models import AspectRatio
from worker.ports import (
    AmbiguousSubmissionError,
    Clip,
    ClipRenderer,
    ClipRequest,
    MediaStore,
    NotAcceptedError,
    OperationLost,
    Refused,
    VideoAssembler,
    VideoFormat,
)

log = logging.getLogger(__name__)

FORMATS: dict[AspectRatio, VideoFormat] = {"16:9": VideoFormat(1280, 720), "9:16": VideoFormat(720, 1280)}
THUMBNAIL_WIDTH = 320

# Bringing one clip home: download, conform (2.4 s for the slowest kind measured), upload.  Not begun with less left.
FETCH_TIME = timedelta(seconds=20)

# Submitting a group; the SDK's own timeout is 30 s.  Not begun with less left, so that no order follows the lease.
SUBMIT_TIME = timedelta(seconds=35)

# A minute's quota frees within a minute; the vendor says no better.  (Vertex AI quotas page, read 2026-11-22)
QUOTA_PAUSE = timedelta(seconds=60)

# Looks in a row that may fail before the scene does; they cost nothing and say nothing about the work.
POLL_ERRORS_LIMIT = 20

# A vendor that refuses connections, or an order with the promise that nothing was accepted, is asked again after this.
UNREACHABLE_PAUSE = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class RenderPorts:
    """What rendering needs from outside."""

    renderer: ClipRenderer
    assembler: VideoAssembler
    media: MediaStore
    new_id: Callable[[], str]
    work_folder: Path | None = None


@dataclass(slots=True)
class _Round:
    """What this turn has learnt: the tasks as they stand now, and when to look again."""

    tasks: dict[int, SceneTask]
    waits: list[timedelta] = field(default_factory=list)
    waiting_for: str | None = None
    out_of_time: bool = False


def render(job: Job, *, turn: Turn, ports: RenderPorts) -> Outcome:
    """Poll, collect and order clips until every scene has one."""
    seen = _Round({task.scene_index: task for task in job.tasks})
    for beat in job.beats:
        _look_after(job, beat, seen, turn, ports)
    failed = [task for task in seen.tasks.values() if task.status == "failed"]
    if not failed and not seen.out_of_time:
        _order_missing(job, seen, turn, ports)
        failed = [task for task in seen.tasks.values() if task.status == "failed"]
    if all(task.clip_key is not None for task in seen.tasks.values()):
        return Advance("rendered")
    if seen.out_of_time:
        return Wait(timedelta(0))
    if failed and not _running(seen):
        return Fail(_failure_of(failed))
    return Wait(min(seen.waits, default=ports.renderer.poll_every), waiting_for=seen.waiting_for)


# --- what runs already -----------------------------------------------------------------------------------------------


def _look_after(job: Job, beat: SceneBeat, seen: _Round, turn: Turn, ports: RenderPorts) -> None:
    """Poll one scene's open attempt, or look for it when nobody knows whether it was accepted."""
    task = seen.tasks[beat.scene_index]
    if task.clip_key is not None or task.open_attempt is None or task.status == "failed":
        return
    if turn.time_left < FETCH_TIME:
        seen.out_of_time = True
        return
    key, attempt = task.open_attempt
    if attempt.operation is None:
        _reconcile(job, beat, key, attempt, seen, turn, ports)
        return
    try:
        answer = _ask(_request(job, beat, attempt), attempt.operation, ports.renderer)
    except TransientError as error:
        _note_poll_error(task, error, seen, turn, ports)
        return
    if task.poll_errors:
        task = task.model_copy(update={"poll_errors": 0})
        seen.tasks[beat.scene_index] = task
        turn.checkpoint({(*_task_path(beat.scene_index), "poll_errors"): 0})
    match answer:
        case None:
            seen.waits.append(_until_next_poll(attempt, turn, ports.renderer))
        case Clip():
            _bring_home(job, beat, key, answer, seen, turn, ports)
        case Refused():
            _end_attempt(beat, key, answer, seen, turn)
        case OperationLost():
            lost = Refused("PROVIDER_ERROR", "the vendor no longer knows this clip", is_retryable=True)
            _end_attempt(beat, key, lost, seen, turn, outcome="lost")


def _ask(request: ClipRequest, operation: str, renderer: ClipRenderer) -> Clip | Refused | OperationLost | None:
    answer = renderer.poll(operation)
    if isinstance(answer, OperationLost):
        # The vendor forgot the operation; what it made may still lie under the attempt's own prefix.
        found = renderer.find(request)
        return found if isinstance(found, Clip) else answer
    return answer


def _reconcile(
    job: Job, beat: SceneBeat, key: str, attempt: ClipAttempt, seen: _Round, turn: Turn, ports: RenderPorts
) -> None:
    """An intent without an operation: find out whether the vendor took it, for as long as that can be found out."""
    index = beat.scene_index
    try:
        found = ports.renderer.find(_request(job, beat, attempt))
    except TransientError as error:
        _note_poll_error(seen.tasks[index], error, seen, turn, ports)
        return
    if isinstance(found, Clip):
        _bring_home(job, beat, key, found, seen, turn, ports)
    elif found is not None:
        turn.record_fact(_attempt_path(index, key), intent_id=attempt.intent_id, operation=found)
        _replace_attempt(seen, index, key, operation=found)
        seen.waits.append(ports.renderer.poll_every)
    elif not ports.renderer.watch_for:
        # This renderer's `find` is sure: the order was never sent, and counts toward nothing.
        turn.record_fact(_attempt_path(index, key), intent_id=attempt.intent_id, operation=NOT_ACCEPTED)
        _replace_attempt(seen, index, key, operation=NOT_ACCEPTED)
    elif turn.now < attempt.watch_from + ports.renderer.watch_for:
        # The vendor may have taken it and be at work.  The wait is free and moves the deadline.
        seen.waits.append(ports.renderer.poll_every)
        seen.waiting_for = seen.waiting_for or "lost_answer"
    else:
        lost = Refused("PROVIDER_ERROR", "nobody knows whether this clip was ordered", is_retryable=True)
        _end_attempt(beat, key, lost, seen, turn, outcome="lost")


def _note_poll_error(task: SceneTask, error: TransientError, seen: _Round, turn: Turn, ports: RenderPorts) -> None:
    """A look that failed has its own budget and never counts against the work; the operation stays known."""
    errors = task.poll_errors + 1
    update: dict[str, str | int] = {"poll_errors": errors}
    if errors >= POLL_ERRORS_LIMIT:
        # The attempt stays open: a person's retry looks again before anything is ordered.
        update = {"poll_errors": 0, "status": "failed", "error_code": error.code, "error_message": error.message}
    turn.checkpoint({(*_task_path(task.scene_index), name): value for name, value in update.items()})
    seen.tasks[task.scene_index] = task.model_copy(update=update)
    seen.waits.append(max(error.retry_after or timedelta(0), ports.renderer.poll_every))


def _bring_home(job: Job, beat: SceneBeat, key: str, clip: Clip, seen: _Round, turn: Turn, ports: RenderPorts) -> None:
    """Fetch a finished clip, make it fit, store it, and remember it at once: it was paid for."""
    index, media, assembler = beat.scene_index, ports.media, ports.assembler
    with tempfile.TemporaryDirectory(dir=ports.work_folder) as name:
        folder = Path(name)
        raw, fitting, thumbnail = folder / "raw.mp4", folder / "clip.mp4", folder / "thumbnail.jpg"
        try:
            ports.renderer.fetch(clip, raw)
        except TransientError as error:
            _note_poll_error(seen.tasks[index], error, seen, turn, ports)
            return
        kept = fitting if assembler.conform(raw, fitting, FORMATS[job.options.aspect_ratio]) else raw
        assembler.thumbnail(kept, thumbnail, at_seconds=beat.seconds / 2, width=THUMBNAIL_WIDTH)
        clip_key = content_key(kept, prefix=job.prefix, name=f"clips/{scene_key(index)}")
        thumbnail_key = content_key(thumbnail, prefix=job.prefix, name=f"thumbnails/{scene_key(index)}")
        media.upload(kept, clip_key)
        media.upload(thumbnail, thumbnail_key)
    now = turn.now
    path, attempt_path = _task_path(index), _attempt_path(index, key)
    turn.checkpoint(
        {
            (*path, "status"): "completed",
            (*path, "clip_key"): clip_key,
            (*path, "thumbnail_key"): thumbnail_key,
            (*path, "clip_seconds"): seen.tasks[index].attempts[key].seconds,
            (*attempt_path, "outcome"): "clip",
            (*attempt_path, "ended_at"): _iso(now),
        }
    )
    _replace_attempt(seen, index, key, outcome="clip", ended_at=now)
    seen.tasks[index] = seen.tasks[index].model_copy(update={"status": "completed", "clip_key": clip_key})


def _end_attempt(
    beat: SceneBeat, key: str, refused: Refused, seen: _Round, turn: Turn, *, outcome: str | None = None
) -> None:
    """The attempt is over without a clip.  Another may follow, within the scene's allowance."""
    index, now = beat.scene_index, turn.now
    outcome = outcome or ("filtered" if refused.code == "CONTENT_FILTERED" else "failed")
    path, attempt_path = _task_path(index), _attempt_path(index, key)
    patch: dict[tuple[str, ...], JsonValue] = {
        (*attempt_path, "outcome"): outcome,
        (*attempt_path, "ended_at"): _iso(now),
        (*attempt_path, "error_code"): refused.code,
        (*attempt_path, "error_message"): refused.message,
    }
    _replace_attempt(
        seen, index, key, outcome=outcome, ended_at=now, error_code=refused.code, error_message=refused.message
    )
    task = seen.tasks[index]
    is_over = not refused.is_retryable or task.spent_attempts(beat.revision) >= task.allowance
    status = "failed" if is_over else "waiting"
    patch[*path, "status"] = status
    update: dict[str, object] = {"status": status}
    if is_over:
        patch[*path, "error_code"], patch[*path, "error_message"] = refused.code, refused.message
        update |= {"error_code": refused.code, "error_message": refused.message}
    turn.checkpoint(patch)
    seen.tasks[index] = task.model_copy(update=update)


# --- what is missing -------------------------------------------------------------------------------------------------


def _order_missing(job: Job, seen: _Round, turn: Turn, ports: RenderPorts) -> None:
    """Order a group of the missing clips: intents first, in one checkpoint, then the submissions."""
    missing = [
        beat
        for beat in job.beats
        if seen.tasks[beat.scene_index].clip_key is None and seen.tasks[beat.scene_index].open_attempt is None
    ]
    paused = _pause(seen, turn.now)
    if missing and paused:
        seen.waits.append(paused)
        if not _running(seen):
            seen.waiting_for = "quota"
        return
    group = missing[: max(0, ports.renderer.group_size - len(_running(seen)))]
    if not group:
        return
    if turn.time_left < SUBMIT_TIME:
        seen.out_of_time = True
        return
    if not _is_affordable(job, group, seen, ports.renderer):
        return
    intended = [_intend(job, beat, seen.tasks[beat.scene_index], turn, ports) for beat in group]
    turn.checkpoint(
        {
            **{
                _attempt_path(i.beat.scene_index, i.key): i.attempt.model_dump(mode="json", exclude_none=True)
                for i in intended
            },
            **{(*_task_path(i.beat.scene_index), "status"): "submitted" for i in intended},
        }
    )
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=len(intended), thread_name_prefix="submit") as threads:
        results = list(threads.map(lambda intent: _submit(job, intent, stop, turn, ports.renderer), intended))
    for intent, result in zip(intended, results, strict=True):
        _note_submission(intent, result, seen, turn, ports)


@dataclass(frozen=True, slots=True)
class _Intent:
    """One clip about to be ordered."""

    beat: SceneBeat
    key: str
    attempt: ClipAttempt


def _intend(job: Job, beat: SceneBeat, task: SceneTask, turn: Turn, ports: RenderPorts) -> _Intent:
    model = ports.renderer.model
    seconds = model.ordered_seconds(beat.seconds)
    intent_id = ports.new_id()
    # An attempt that was not accepted counts toward nothing and makes room: a day of waiting for quota must not grow
    # the record.
    ordinal = sum(attempt.operation != NOT_ACCEPTED for attempt in task.attempts.values()) + 1
    attempt = ClipAttempt(
        intent_id=intent_id,
        prefix=f"{job.prefix}renders/{scene_key(beat.scene_index)}/{intent_id}/",
        beat_revision=beat.revision,
        model=model.name,
        seconds=seconds,
        # One seed for all scenes keeps their look together; another attempt gets another, since filters are partly
        # a matter of chance.
        seed=_seed(job.run_id) + task.spent_attempts(beat.revision),
        price_usd=seconds * model.usd_per_second,
        intended_at=turn.now,
        watch_from=turn.deadline,
    )
    return _Intent(beat, f"{ordinal:03d}", attempt)


def _submit(
    job: Job, intent: _Intent, stop: threading.Event, turn: Turn, renderer: ClipRenderer
) -> "str | NotAcceptedError | None":
    """Order one clip and record what became of it.  None: nobody knows."""
    path, intent_id = _attempt_path(intent.beat.scene_index, intent.key), intent.attempt.intent_id
    result: str | NotAcceptedError | None
    if stop.is_set() or turn.time_left <= timedelta(0):
        result = NotAcceptedError("PROVIDER_UNAVAILABLE", "not sent: the turn is over", is_retryable=True)
    else:
        try:
            result = renderer.submit(_request(job, intent.beat, intent.attempt))
        except NotAcceptedError as error:
            result = error
        except AmbiguousSubmissionError as error:
            log.warning("scene %d: %s; it will be looked for", intent.beat.scene_index, error)
            return None
    operation = result if isinstance(result, str) else NOT_ACCEPTED
    if not turn.record_fact(path, intent_id=intent_id, operation=operation):
        stop.set()  # cancelled, or overtaken: what is not sent yet must not be
    return result


def _note_submission(
    intent: _Intent, result: "str | NotAcceptedError | None", seen: _Round, turn: Turn, ports: RenderPorts
) -> None:
    index = intent.beat.scene_index
    task = seen.tasks[index]
    attempt = intent.attempt.model_copy(
        update={"operation": NOT_ACCEPTED if isinstance(result, NotAcceptedError) else result}
    )
    seen.tasks[index] = task.model_copy(update={"attempts": {**task.attempts, intent.key: attempt}})
    if not isinstance(result, NotAcceptedError):
        seen.waits.append(ports.renderer.first_poll_after)
        return
    if result.is_retryable:
        pause = QUOTA_PAUSE if result.code == "PROVIDER_QUOTA" else UNREACHABLE_PAUSE
        pause = max(result.retry_after or pause, timedelta(seconds=1))
        not_before = turn.now + pause
        turn.checkpoint(
            {
                (*_task_path(index), "status"): "waiting",
                (*_attempt_path(index, intent.key), "not_before"): _iso(not_before),
                (*_attempt_path(index, intent.key), "error_code"): result.code,
            }
        )
        _replace_attempt(seen, index, intent.key, not_before=not_before, error_code=result.code)
        seen.waits.append(pause)
        if result.code == "PROVIDER_QUOTA" and not _running(seen):
            seen.waiting_for = "quota"
        return
    path = _task_path(index)
    turn.checkpoint(
        {
            (*path, "status"): "failed",
            (*path, "error_code"): result.code,
            (*path, "error_message"): result.message,
        }
    )
    seen.tasks[index] = seen.tasks[index].model_copy(
        update={"status": "failed", "error_code": result.code, "error_message": result.message}
    )


def _is_affordable(job: Job, group: Sequence[SceneBeat], seen: _Round, renderer: ClipRenderer) -> bool:
    """Whether the group keeps the cost limit, with everything ever submitted counted at full price."""
    limit = job.options.max_cost_usd
    model = renderer.model
    if limit is None:
        return True
    committed = committed_usd(seen.tasks.values())
    price = sum(model.ordered_seconds(beat.seconds) * model.usd_per_second for beat in group)
    if committed + price <= limit + 1e-9:
        return True
    for beat in group:
        seen.tasks[beat.scene_index] = seen.tasks[beat.scene_index].model_copy(
            update={
                "status": "failed",
                "error_code": "COST_LIMIT_REACHED",
                "error_message": f"${committed:.2f} are spent, ${price:.2f} more would pass the limit of ${limit:.2f}",
            }
        )
    return False


# --- small parts -----------------------------------------------------------------------------------------------------


def _running(seen: _Round) -> list[SceneTask]:
    """The scenes whose clip is on order, and worth waiting for."""
    return [task for task in seen.tasks.values() if task.open_attempt is not None and task.status != "failed"]


def _pause(seen: _Round, now: datetime) -> timedelta | None:
    """How long the vendor wants to hear nothing, or None.  It is one quota for all scenes."""
    until = [
        attempt.not_before
        for task in seen.tasks.values()
        for attempt in task.attempts.values()
        if attempt.not_before is not None and attempt.not_before > now
    ]
    return max(until) - now if until else None


def _request(job: Job, beat: SceneBeat, attempt: ClipAttempt) -> ClipRequest:
    return ClipRequest(
        intent_id=attempt.intent_id,
        prefix=attempt.prefix,
        scene_index=beat.scene_index,
        scene_count=len(job.scene_beats),
        prompt=f"{beat.visual_prompt} {job.style_bible}".strip(),
        negative_prompt=beat.negative_prompt,
        narration=beat.narration,
        seconds=attempt.seconds,
        beat_seconds=beat.seconds,
        start_seconds=beat.start_seconds,
        aspect_ratio=job.options.aspect_ratio,
        seed=attempt.seed,
        words_key=job.audio_transcription.full_json_s3_key,
    )


def _until_next_poll(attempt: ClipAttempt, turn: Turn, renderer: ClipRenderer) -> timedelta:
    first = attempt.intended_at + renderer.first_poll_after - turn.now
    return max(first, renderer.poll_every)


def _failure_of(failed: Sequence[SceneTask]) -> Failure:
    first = failed[0]
    code = first.error_code or "PROVIDER_ERROR"
    where = ", ".join(str(task.scene_index + 1) for task in failed)
    actions = {
        "CONTENT_FILTERED": "edit_scene",
        "COST_LIMIT_REACHED": "raise_limit",
        "MODEL_UNAVAILABLE": "contact_admin",
    }
    return Failure(
        code,
        f"scene {where}: {first.error_message}",
        user_action=actions.get(code, "retry"),
        is_retryable=code != "MODEL_UNAVAILABLE",
        details={"scene_index": first.scene_index, "scene_indexes": [task.scene_index for task in failed]},
    )


def _replace_attempt(seen: _Round, index: int, key: str, **changes: object) -> None:
    task = seen.tasks[index]
    attempt = task.attempts[key].model_copy(update=changes)
    seen.tasks[index] = task.model_copy(update={"attempts": {**task.attempts, key: attempt}})


def _task_path(index: int) -> tuple[str, ...]:
    return (*TASKS, scene_key(index))


def _attempt_path(index: int, key: str) -> tuple[str, ...]:
    return (*TASKS, scene_key(index), "attempts", key)


def _seed(run_id: str) -> int:
    """A seed in 0..2^31-1 that stays the same for the whole run."""
    return int.from_bytes(run_id.encode()[-4:].rjust(4, b"0"), "big") % 2**31


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
