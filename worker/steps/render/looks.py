"""What runs already: look at it, bring home what is finished, find out about what nobody answered."""

import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from statemachine import NOT_ACCEPTED, JsonValue, PermanentError, TransientError
from statemachine import Path as DataPath
from worker.job import AMBIGUOUS, ClipAttempt, relative_key, scene_key, thumbnail_of
from worker.keys import content_key
from worker.ports import Clip, OperationLost, Refused
from worker.steps.render.parts import FETCH_TIME, FORMATS, LOST_LOOKS, SUBMIT_TIME, THUMBNAIL_WIDTH, TOGETHER
from worker.steps.render.refusals import (
    end_attempt,
    fail_scene,
    has_refused_words,
    note_failed_look,
    soften_refused_order,
)
from worker.steps.render.round import Round, attempt_path, task_path

OPERATION_LOST = "OPERATION_LOST"
CLIP_GONE = "CLIP_GONE"

Answer = Clip | Refused | OperationLost | TransientError | None


def look_after_all(now: Round) -> None:
    """Look at everything that is due; the calls side by side, what follows from them one after the other."""
    due: list[tuple[int, str, ClipAttempt]] = []
    for index, task in now.tasks.items():
        if task.clip_key is not None or task.status == "failed":
            continue
        if task.open_attempt is None:
            if has_refused_words(now, index):
                # An earlier turn ended before other words were found.
                soften_refused_order(now, index, None)
        elif (wait := _until_look(now, task.open_attempt[1])) > TOGETHER:
            now.waits.append(wait)
        else:
            due.append((index, *task.open_attempt))
    if not due or not now.has_time_for(FETCH_TIME):
        return
    known = [entry for entry in due if entry[2].operation is not None]
    answers = dict(
        zip((index for index, _, _ in known), now.side_by_side(lambda entry: _asked(now, entry[2]), known), strict=True)
    )
    for index, key, attempt in due:
        if not now.has_time_for(FETCH_TIME):
            return
        if attempt.operation is None:
            _reconcile(now, index, key, attempt)
        else:
            _follow(now, index, key, attempt, answers[index])


def _until_look(now: Round, attempt: ClipAttempt) -> timedelta:
    return timedelta(0) if attempt.not_before is None else attempt.not_before - now.turn.now


def _asked(now: Round, attempt: ClipAttempt) -> Answer:
    try:
        return now.ports.renderer.poll(attempt.operation or "")
    except TransientError as error:
        return error


def _follow(now: Round, index: int, key: str, attempt: ClipAttempt, answer: Answer) -> None:
    """Do what an answer asks for."""
    if isinstance(answer, TransientError):
        note_failed_look(now, index, answer)
        return
    if isinstance(answer, OperationLost):
        _look_for(now, index, key, attempt)
        return
    match answer:
        case None:
            _forget_failed_looks(now, index)
            _wait_on(now, index, key, attempt)
        case Clip():
            # Not forgotten here: a clip that is there and cannot be fetched is a failed look, however often it is seen.
            _bring_home(now, index, key, answer)
        case Refused():
            _forget_failed_looks(now, index)
            end_attempt(now, index, key, answer)


def _wait_on(now: Round, index: int, key: str, attempt: ClipAttempt) -> None:
    """It is being made, the vendor says.  Three times as long as the slowest took, nobody believes that any more."""
    watch_for, task = now.ports.renderer.watch_for, now.tasks[index]
    if not watch_for or now.turn.now < attempt.watch_from + watch_for:
        now.look_again(index, key)
    elif attempt.asked_again:
        # The first order may be paid for and may still arrive: only because a person retried is another one made.
        allowance = max(task.allowance, task.spent_attempts(now.beats[index].revision) + 1)
        now.turn.checkpoint({(*task_path(index), "allowance"): allowance})
        now.set_task(index, allowance=allowance)
        never = Refused("PROVIDER_ERROR", "the vendor never finished this clip", is_retryable=True)
        end_attempt(now, index, key, never, outcome="lost")
    else:
        minutes = watch_for // timedelta(minutes=1)
        message = f"the vendor has not finished it in {minutes} minutes; a retry looks once more, then orders it again"
        fail_scene(now, index, AMBIGUOUS, message)


def _forget_failed_looks(now: Round, index: int) -> None:
    if now.tasks[index].poll_errors:
        now.turn.checkpoint({(*task_path(index), "poll_errors"): 0, (*task_path(index), "error_code"): None})
        now.set_task(index, poll_errors=0, error_code=None)


def _look_for(now: Round, index: int, key: str, attempt: ClipAttempt) -> None:
    """The vendor does not know the operation; what it made may still lie, or appear, under the attempt's prefix."""
    task = now.tasks[index]
    looks = task.poll_errors + 1 if task.error_code == OPERATION_LOST else 1
    try:
        found = now.ports.renderer.find(now.whereabouts(index, attempt))
    except TransientError as error:
        note_failed_look(now, index, error)
        return
    except PermanentError as error:
        if error.code != AMBIGUOUS:
            raise  # the search itself failed, which says nothing about the clip; the attempt stays open
        found, never = None, error
        if looks >= LOST_LOOKS:
            end_attempt(now, index, key, Refused(never.code, never.message, is_retryable=False), outcome="lost")
            return
    if isinstance(found, Clip):
        _bring_home(now, index, key, found)
        return
    watch_for = now.ports.renderer.watch_for
    is_over = looks >= LOST_LOOKS and now.turn.now >= attempt.watch_from + watch_for
    if is_over or not watch_for:
        lost = Refused("PROVIDER_ERROR", "the vendor no longer knows this clip", is_retryable=True)
        end_attempt(now, index, key, lost, outcome="lost")
        return
    if looks <= LOST_LOOKS:
        path = task_path(index)
        now.turn.checkpoint({(*path, "poll_errors"): looks, (*path, "error_code"): OPERATION_LOST})
        now.set_task(index, poll_errors=looks, error_code=OPERATION_LOST)
    now.waiting_for = now.waiting_for or "lost_answer"
    now.look_again(index, key)


def _reconcile(now: Round, index: int, key: str, attempt: ClipAttempt) -> None:
    """An intent without an operation: find out whether the vendor took it, for as long as that can be found out."""
    renderer, turn = now.ports.renderer, now.turn
    path = attempt_path(index, key)
    try:
        found = renderer.find(now.whereabouts(index, attempt))
    except TransientError as error:
        note_failed_look(now, index, error)
        return
    except PermanentError as error:
        if error.code != AMBIGUOUS:
            raise  # as in _look_for: ended, it might be ordered and paid a second time
        if turn.now < attempt.watch_from + SUBMIT_TIME:
            # The turn that wrote the intent may still be running, and will record what became of it.
            now.waiting_for = now.waiting_for or "lost_answer"
            now.look_again(index, key)
            return
        # There is nowhere to look.  Only a person may decide to order, and perhaps pay, once more.
        end_attempt(now, index, key, Refused(error.code, error.message, is_retryable=False), outcome="ambiguous")
        return
    if isinstance(found, Clip):
        _bring_home(now, index, key, found)
    elif found is not None:
        turn.record_fact(path, intent_id=attempt.intent_id, operation=found)
        now.set_attempt(index, key, operation=found)
        now.look_again(index, key)
    elif not renderer.watch_for:
        # This renderer's `find` is sure: the order was never sent, and counts toward nothing.
        turn.record_fact(path, intent_id=attempt.intent_id, operation=NOT_ACCEPTED)
        now.set_attempt(index, key, operation=NOT_ACCEPTED, not_before=None)
    elif turn.now < attempt.watch_from + renderer.watch_for:
        # The vendor may have taken it and be at work.  The wait is free and moves the deadline.
        now.waiting_for = now.waiting_for or "lost_answer"
        now.look_again(index, key)
    else:
        lost = Refused("PROVIDER_ERROR", "nobody knows whether this clip was ordered", is_retryable=True)
        end_attempt(now, index, key, lost, outcome="ambiguous")


def _bring_home(now: Round, index: int, key: str, clip: Clip) -> None:
    """Fetch a finished clip, make it fit, store it, and remember it at once: it was paid for."""
    job, beat, media, assembler = now.job, now.beats[index], now.ports.media, now.ports.assembler
    with tempfile.TemporaryDirectory(dir=now.ports.work_folder) as name:
        folder = Path(name)
        raw, fitting, thumbnail = folder / "raw.mp4", folder / "clip.mp4", folder / "thumbnail.jpg"
        try:
            now.ports.renderer.fetch(clip, raw)
            kept = fitting if assembler.conform(raw, fitting, FORMATS[job.options.aspect_ratio]) else raw
            assembler.thumbnail(kept, thumbnail, at_seconds=beat.seconds / 2, width=THUMBNAIL_WIDTH)
        except TransientError as error:
            note_failed_look(now, index, error)
            return
        except PermanentError as error:
            if error.code == CLIP_GONE:
                _note_gone(now, index, key, error)
                return
            if error.code != "CLIP_BROKEN":
                raise
            end_attempt(now, index, key, Refused(error.code, error.message, is_retryable=True))
            return
        clip_key = content_key(kept, prefix=job.prefix, name=f"clips/{scene_key(index)}")
        media.upload(kept, clip_key)
        media.upload(thumbnail, thumbnail_of(clip_key))
    path, attempt_at = task_path(index), attempt_path(index, key)
    now.patch.pop((*attempt_at, "not_before"), None)
    now.turn.checkpoint(
        {
            (*path, "status"): "completed",
            (*path, "clip_key"): relative_key(clip_key, job.prefix),
            (*path, "clip_seconds"): now.tasks[index].attempts[key].seconds,
            **({(*path, "error_code"): None} if now.tasks[index].error_code else {}),
            **_kept(now.tasks[index].attempts[key], attempt_at),
        }
    )
    now.set_attempt(index, key, outcome="clip")
    now.set_task(index, status="completed", clip_key=clip_key, error_code=None)


def _note_gone(now: Round, index: int, key: str, error: PermanentError) -> None:
    """It was finished, and is not where the vendor says.  Believed after as many looks as a lost operation is."""
    task = now.tasks[index]
    looks = task.poll_errors + 1 if task.error_code == CLIP_GONE else 1
    if looks >= LOST_LOOKS:
        gone = Refused("PROVIDER_ERROR", error.message, is_retryable=True)
        end_attempt(now, index, key, gone, outcome="lost")
        return
    path = task_path(index)
    now.turn.checkpoint({(*path, "poll_errors"): looks, (*path, "error_code"): CLIP_GONE})
    now.set_task(index, poll_errors=looks, error_code=CLIP_GONE)
    now.look_again(index, key)


def _kept(attempt: ClipAttempt, path: DataPath) -> Mapping[DataPath, JsonValue]:
    """An attempt that has its clip: what is worth keeping, in the place of all that was known while it ran."""
    done = attempt.model_copy(update={"outcome": "clip"})
    if attempt.operation is None:
        # Found without its operation, which may still be recorded: that fact must not be written over.
        return {(*path, "outcome"): "clip"}
    return {path: done.as_kept()}
