"""What follows from a clip that was not made: another attempt, other words, or a person.

A content filter is partly a matter of chance and partly of words.  So the prompt is tried as written, then with another
seed, and the last of the scene's submissions is of softened words; where the vendor says that chance has no part in it
(`Refused.is_retryable`), the words are softened at once.  What is refused then is for a person to rewrite.
"""

import logging
from datetime import timedelta

from statemachine import NOT_ACCEPTED, JsonValue, Patch, Path, PermanentError, TransientError
from statemachine.execution import to_ms
from worker.job import SceneTask
from worker.ports import Refused
from worker.steps.render.parts import POLL_ERRORS_LIMIT, QUOTA_PAUSE, SOFTEN_TIME
from worker.steps.render.round import Round, attempt_path, beat_path, task_path

log = logging.getLogger(__name__)

CONTENT_FILTERED = "CONTENT_FILTERED"
PROVIDER_QUOTA = "PROVIDER_QUOTA"

# The category of a filter that named none.
GENERAL = "general"

# Submissions of a beat as a person wrote it.  Softened words get what is left of them, and always less.
FULL_ALLOWANCE = SceneTask(scene_index=0).allowance


def end_attempt(now: Round, index: int, key: str, refused: Refused, *, outcome: str | None = None) -> None:
    """The attempt is over without a clip.  Another may follow, within the scene's allowance."""
    task = now.tasks[index]
    spent = task.spent_attempts(now.beats[index].revision)
    left = task.allowance - spent
    is_filtered = refused.code == CONTENT_FILTERED
    if is_filtered and left > 0 and _wants_softening(task, left, refused):
        if not now.has_time_for(SOFTEN_TIME):
            return  # the vendor says the same again when it is asked in the next turn
        softened = _softened(now, index, refused.category)
        if softened is None:
            return
        if softened:
            patch = _attempt_over(now, index, key, refused, outcome)
            _rewrite(now, index, softened, patch, allowance=left)
            return
    is_over = left <= 0 or not refused.is_retryable or (is_filtered and _may_not_chance(task, left))
    patch = _attempt_over(now, index, key, refused, outcome)
    if is_over:
        patch |= _failure(now, index, refused.code, refused.message)
    else:
        patch[(*task_path(index), "status")] = "waiting"
        now.set_task(index, status="waiting")
        if not is_filtered:
            # The vendor has trouble: twice as long after every failure.  Asking a filter again needs no pause.
            pause = now.ports.renderer.first_poll_after * 2 ** (spent - 1)
            not_before = now.turn.now + pause
            patch[(*attempt_path(index, key), "not_before")] = to_ms(not_before)
            now.set_attempt(index, key, not_before=not_before)
    now.turn.checkpoint(patch)


def soften_refused_order(now: Round, index: int, category: str | None) -> None:
    """The words of an order were refused before it was accepted: nothing was spent, and the same words are no use."""
    if not now.has_time_for(SOFTEN_TIME):
        return
    softened = _softened(now, index, category)
    if softened is None:
        return
    if softened:
        _rewrite(now, index, softened, {}, allowance=now.tasks[index].allowance)
    else:
        fail_scene(now, index, CONTENT_FILTERED, "the content filter refused these words; edit the scene, then retry")


def has_refused_words(now: Round, index: int) -> bool:
    """Whether the vendor refused this scene's present words before accepting them."""
    task = now.tasks[index]
    last = task.attempts[max(task.attempts)] if task.attempts else None
    return (
        last is not None
        and (last.operation, last.error_code) == (NOT_ACCEPTED, CONTENT_FILTERED)
        and last.beat_revision == now.beats[index].revision
    )


def can_soften(now: Round, index: int) -> bool:
    """Whether other words may be tried without asking a person: once for every version that a person wrote."""
    return now.ports.softener is not None and now.tasks[index].allowance >= FULL_ALLOWANCE


def note_failed_look(now: Round, index: int, error: TransientError) -> None:
    """A look that failed has its own budget and never counts against the work; the operation stays known."""
    task = now.tasks[index]
    errors = task.poll_errors + 1
    update: dict[str, JsonValue] = {"poll_errors": errors, "error_code": error.code}
    if errors >= POLL_ERRORS_LIMIT:
        # The attempt stays open: a person's retry looks again before anything is ordered.
        update = {"poll_errors": 0, "status": "failed", "error_code": error.code, "error_message": error.message}
    now.turn.checkpoint({(*task_path(index), name): value for name, value in update.items()})
    now.set_task(index, **update)
    if errors < POLL_ERRORS_LIMIT and task.open_attempt is not None:
        now.look_again(index, task.open_attempt[0], at_least=error.retry_after or timedelta(0))
    else:
        now.waits.append(max(error.retry_after or timedelta(0), now.ports.renderer.poll_every))


def fail_scene(now: Round, index: int, code: str, message: str, patch: Patch | None = None) -> None:
    """Store that this scene cannot go on, and why; `patch` is written with it."""
    now.turn.checkpoint({**(patch or {}), **_failure(now, index, code, message)})


def filter_facts(task: SceneTask) -> dict[str, JsonValue]:
    """What a content filter said of a scene: the `category`, and at which `stage`.

    The stage is 'prompt' where the order was refused, and 'output' where it was accepted and no film came of it.
    """
    filtered = [attempt for _, attempt in sorted(task.attempts.items()) if attempt.error_code == CONTENT_FILTERED]
    if not filtered:
        return {"category": GENERAL}
    last = filtered[-1]
    return {
        "category": last.filter_category or GENERAL,
        "stage": "prompt" if last.operation == NOT_ACCEPTED else "output",
    }


def _wants_softening(task: SceneTask, left: int, refused: Refused) -> bool:
    """The last submission that the scene is allowed, or the first after a refusal that chance has no part in."""
    return task.allowance >= FULL_ALLOWANCE and (left == 1 or not refused.is_retryable)


def _may_not_chance(task: SceneTask, left: int) -> bool:
    """Whether the same words must not be tried once more: they were softened, or should have been by now."""
    return task.allowance < FULL_ALLOWANCE or left == 1


def _softened(now: Round, index: int, category: str | None) -> str | None:
    """Softer words; '' when there are none, None when it has to be asked again later."""
    if now.ports.softener is None or not can_soften(now, index):
        return ""
    try:
        softened = now.ports.softener.soften(now.prompt(index), category).strip()
    except TransientError as error:
        if error.code == PROVIDER_QUOTA:
            _wait_for_softener(now, index, error.retry_after or QUOTA_PAUSE)
        else:
            note_failed_look(now, index, error)
        return None
    except PermanentError as error:
        log.warning("scene %d cannot be softened, so a person is asked: %s", index, error)
        return ""
    return "" if softened == now.prompt(index) else softened


def _wait_for_softener(now: Round, index: int, delay: timedelta) -> None:
    """The language model has a quota of its own; waiting for it says nothing about the clip."""
    if open_attempt := now.tasks[index].open_attempt:
        now.look_again(index, open_attempt[0], at_least=delay)
    else:
        now.waits.append(delay)
    if all(task.scene_index == index for task in now.running):
        now.waiting_for = "quota"


def _rewrite(now: Round, index: int, softened: str, patch: dict[Path, JsonValue], *, allowance: int) -> None:
    """Keep softer words as a new revision of the beat, marked as such.  One write with what led to them."""
    # Less than the full allowance, by which it is known that these words are not a person's.
    left = min(allowance, FULL_ALLOWANCE - 1)
    revision = now.beats[index].revision + 1
    beat, task = beat_path(index), task_path(index)
    now.turn.checkpoint(
        {
            **patch,
            (*beat, "visual_prompt"): softened,
            (*beat, "revision"): revision,
            (*beat, "is_cut"): False,
            (*beat, "is_adjusted"): True,
            (*task, "allowance"): left,
            (*task, "status"): "waiting",
        }
    )
    now.beats[index] = now.beats[index].model_copy(
        update={"visual_prompt": softened, "is_cut": False, "revision": revision}
    )
    now.set_task(index, allowance=left, status="waiting")


def _attempt_over(now: Round, index: int, key: str, refused: Refused, outcome: str | None) -> dict[Path, JsonValue]:
    """The patch by which an attempt ends, remembered in this round."""
    outcome = outcome or ("filtered" if refused.code == CONTENT_FILTERED else "failed")
    ended_at = now.turn.now
    now.set_attempt(
        index,
        key,
        outcome=outcome,
        ended_at=ended_at,
        not_before=None,
        error_code=refused.code,
        error_message=refused.message,
        filter_category=refused.category,
    )
    path = attempt_path(index, key)
    now.patch.pop((*path, "not_before"), None)
    patch: dict[Path, JsonValue] = {
        (*path, "outcome"): outcome,
        (*path, "ended_at"): to_ms(ended_at),
        (*path, "not_before"): None,
        (*path, "error_code"): refused.code,
        (*path, "error_message"): refused.message,
    }
    if refused.category is not None:
        patch[(*path, "filter_category")] = refused.category
    return patch


def _failure(now: Round, index: int, code: str, message: str) -> dict[Path, JsonValue]:
    now.set_task(index, status="failed", error_code=code, error_message=message)
    path = task_path(index)
    return {(*path, "status"): "failed", (*path, "error_code"): code, (*path, "error_message"): message}
