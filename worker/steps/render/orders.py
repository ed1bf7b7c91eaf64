"""What is missing: order it in small groups, the intents first."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate

from statemachine import NOT_ACCEPTED, JsonValue, Path, TransientError
from statemachine.execution import to_ms
from worker.job import ClipAttempt, SceneBeat, committed_usd, price_usd
from worker.ports import AmbiguousSubmissionError, ClipRequest, Granted, NotAcceptedError
from worker.steps.render.parts import QUOTA_PAUSE, SUBMIT_GROUP, SUBMIT_TIME, UNREACHABLE_PAUSE
from worker.steps.render.refusals import (
    CONTENT_FILTERED,
    can_soften,
    fail_scene,
    has_refused_words,
    soften_refused_order,
)
from worker.steps.render.round import Round, attempt_path, pauses, task_path

log = logging.getLogger(__name__)

COST_LIMIT_REACHED = "COST_LIMIT_REACHED"


@dataclass(frozen=True, slots=True)
class Intent:
    """One clip about to be ordered."""

    index: int
    key: str
    attempt: ClipAttempt
    request: ClipRequest


def order_missing(now: Round) -> None:
    """Order what is missing, group after group, until the vendor, the quota, the money or the time is at its end."""
    while not now.out_of_time:
        group = _affordable(now, _next_group(now))
        if not group or not now.has_time_for(SUBMIT_TIME):
            return
        granted = _granted(now, len(group))
        if granted.retry_after:
            _wait_for_quota(now, granted.retry_after)
        if not now.has_time_for(SUBMIT_TIME):
            return  # taking tokens took long; they are free again after a minute
        _order(now, group[: granted.count])
        if granted.count < len(group):
            return


def least_limit_usd(now: Round) -> float:
    """What the whole comes to, with everything ever submitted at full price: the least limit that lets it go on."""
    model = now.ports.renderer.model
    missing = [task for task in now.tasks.values() if task.clip_key is None and task.open_attempt is None]
    still = sum(price_usd(now.beats[task.scene_index], model) for task in missing)
    return round(committed_usd(now.tasks.values()) + still, 4)


def _next_group(now: Round) -> list[SceneBeat]:
    missing, waits = [], []
    for task in now.missing:
        if has_refused_words(now, task.scene_index):
            continue  # other words are being looked for
        last = task.attempts[max(task.attempts)] if task.attempts else None
        ended = last is not None and last.outcome is not None
        if last is not None and ended and last.not_before is not None and last.not_before > now.turn.now:
            waits.append(last.not_before - now.turn.now)
        else:
            missing.append(now.beats[task.scene_index])
    now.waits += waits
    pause = max(pauses(now.tasks.values(), now.turn.now), default=None)
    if missing and pause is not None:
        _wait_for_quota(now, pause)
        return []
    room = now.ports.renderer.group_size - len(now.running)
    return missing[: max(0, min(room, SUBMIT_GROUP))]


def _granted(now: Round, wanted: int) -> Granted:
    quota, job = now.ports.quota, now.job
    if quota is None:
        return Granted(wanted, timedelta(0))
    model = now.ports.renderer.model
    try:
        return quota.take(model, owner_id=job.owner_id, job_id=now.turn.execution_id, wanted=wanted, now=now.turn.now)
    except TransientError as error:
        # Not knowing whether there is room is waiting for it, and no fault of the job's.
        log.warning("the quota of %s could not be asked: %s", model.name, error)
        return Granted(0, error.retry_after or UNREACHABLE_PAUSE)


def _wait_for_quota(now: Round, delay: timedelta) -> None:
    now.waits.append(delay)
    if not now.running:
        now.waiting_for = "quota"


def _order(now: Round, group: Sequence[SceneBeat]) -> None:
    if not group:
        return
    intents = [_intent(now, beat) for beat in group]
    now.turn.checkpoint(
        {
            **{attempt_path(i.index, i.key): i.attempt.model_dump(mode="json", exclude_none=True) for i in intents},
            **{(*task_path(i.index), "status"): "submitted" for i in intents},
        }
    )
    stop = threading.Event()
    results = now.side_by_side(lambda intent: _submit(now, intent, stop), intents)
    for intent, result in zip(intents, results, strict=True):
        _note_submission(now, intent, result)
    spent = [
        intent.attempt.price_usd
        for intent, result in zip(intents, results, strict=True)
        if not isinstance(result, NotAcceptedError)
    ]
    if spent:
        now.ports.on_spent(sum(spent))


def _intent(now: Round, beat: SceneBeat) -> Intent:
    task, model, job = now.tasks[beat.scene_index], now.ports.renderer.model, now.job
    seconds = model.ordered_seconds(beat.seconds)
    intent_id = now.ports.new_id()
    # An attempt that was not accepted counts toward nothing and makes room: a day of waiting for quota must not grow
    # the record.
    ordinal = sum(attempt.operation != NOT_ACCEPTED for attempt in task.attempts.values()) + 1
    attempt = ClipAttempt(
        intent_id=intent_id,
        beat_revision=beat.revision,
        model=model.name,
        seconds=seconds,
        # One seed for all scenes keeps their look together; another attempt gets another, since filters are partly
        # a matter of chance.
        seed=_seed(job.run_id) + task.spent_attempts(beat.revision),
        price_usd=seconds * model.usd_per_second,
        intended_at=now.turn.now,
        watch_from=now.turn.deadline,
    )
    # The whole request, before the intent is written: what cannot be read now must not leave an intent behind.
    return Intent(beat.scene_index, f"{ordinal:03d}", attempt, now.request(beat.scene_index, attempt))


def _submit(now: Round, intent: Intent, stop: threading.Event) -> str | NotAcceptedError | None:
    """Order one clip and record what became of it.  None: nobody knows."""
    path, intent_id = attempt_path(intent.index, intent.key), intent.attempt.intent_id
    result: str | NotAcceptedError | None
    if stop.is_set() or now.turn.time_left <= timedelta(0):
        result = NotAcceptedError("PROVIDER_UNAVAILABLE", "not sent: the turn is over", is_retryable=True)
    else:
        try:
            result = now.ports.renderer.submit(intent.request)
        except NotAcceptedError as error:
            result = error
        except AmbiguousSubmissionError as error:
            log.warning("scene %d: %s; it will be looked for", intent.index, error)
            return None
    operation = result if isinstance(result, str) else NOT_ACCEPTED
    if not now.turn.record_fact(path, intent_id=intent_id, operation=operation):
        stop.set()  # cancelled, or overtaken: what is not sent yet must not be
    return result


def _note_submission(now: Round, intent: Intent, result: str | NotAcceptedError | None) -> None:
    index, key = intent.index, intent.key
    operation = NOT_ACCEPTED if isinstance(result, NotAcceptedError) else result
    attempt = intent.attempt.model_copy(update={"operation": operation})
    now.set_task(index, status="submitted", attempts={**now.tasks[index].attempts, key: attempt})
    if not isinstance(result, NotAcceptedError):
        now.look_again(index, key)
        return
    if result.is_retryable:
        _pause(now, intent, result)
        return
    facts = {"error_code": result.code} | ({"filter_category": result.category} if result.category else {})
    patch: dict[Path, JsonValue] = {(*attempt_path(index, key), name): value for name, value in facts.items()}
    now.set_attempt(index, key, **facts)
    if result.code == CONTENT_FILTERED and can_soften(now, index):
        now.turn.checkpoint({**patch, (*task_path(index), "status"): "waiting"})
        now.set_task(index, status="waiting")
        soften_refused_order(now, index, result.category)
    else:
        fail_scene(now, index, result.code, result.message, patch)


def _pause(now: Round, intent: Intent, refused: NotAcceptedError) -> None:
    """Not now: the vendor is busy or cannot be reached."""
    index, key = intent.index, intent.key
    pause = QUOTA_PAUSE if refused.code == "PROVIDER_QUOTA" else UNREACHABLE_PAUSE
    pause = max(refused.retry_after or pause, timedelta(seconds=1))
    not_before = now.turn.now + pause
    now.turn.checkpoint(
        {
            (*task_path(index), "status"): "waiting",
            (*attempt_path(index, key), "not_before"): to_ms(not_before),
            (*attempt_path(index, key), "error_code"): refused.code,
        }
    )
    now.set_task(index, status="waiting")
    now.set_attempt(index, key, not_before=not_before, error_code=refused.code)
    now.waits.append(pause)
    if refused.code == "PROVIDER_QUOTA" and not now.running:
        now.waiting_for = "quota"


def _affordable(now: Round, group: list[SceneBeat]) -> list[SceneBeat]:
    """As much of the group as keeps the cost limit, with everything ever submitted counted at full price."""
    limit, model = now.job.options.max_cost_usd, now.ports.renderer.model
    if limit is None:
        return group
    committed = committed_usd(now.tasks.values())
    prices = [model.ordered_seconds(beat.seconds) * model.usd_per_second for beat in group]
    kept = [beat for beat, sum_ in zip(group, accumulate(prices), strict=True) if committed + sum_ <= limit + 1e-9]
    for beat in [] if kept else group:
        # Not stored: a retry with a higher limit simply goes on.
        now.set_task(
            beat.scene_index,
            status="failed",
            error_code=COST_LIMIT_REACHED,
            error_message=f"${committed:.2f} are spent, ${prices[0]:.2f} more would pass the limit of ${limit:.2f}",
        )
    return kept


def _seed(run_id: str) -> int:
    """A seed in 0..2^31-1 that stays the same for the whole run."""
    return int.from_bytes(run_id.encode()[-4:].rjust(4, b"0"), "big") % 2**31
