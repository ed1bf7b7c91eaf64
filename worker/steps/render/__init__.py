"""`rendering`: one clip per scene, written around the one call that costs money.

For each scene and attempt: the intent (a unique id and a prefix of its own) is checkpointed, the submission is made,
the operation's name is recorded as a fact.  Whoever dies in between leaves an intent without an operation; it is
looked for (`ClipRenderer.find`), never simply ordered again.

One turn looks at everything that is due, brings home what is finished, and orders what is missing, in this order: a
finished clip is never lost, and the answers decide what may be ordered.

- `parts`: what rendering needs, and the times it keeps
- `round`: one turn's view of the job
- `looks`: what runs already
- `refusals`: what follows from a clip that was not made; the filter policy
- `orders`: what is missing
- `substitutes`: stills in place of clips
"""

from datetime import timedelta

from statemachine import Advance, Fail, Failure, JsonValue, Outcome, Turn, Wait
from worker.job import Job
from worker.steps.render.looks import look_after_all
from worker.steps.render.orders import COST_LIMIT_REACHED, least_limit_usd, order_missing
from worker.steps.render.parts import FETCH_TIME, LOST_LOOKS, POLL_ERRORS_LIMIT, QUOTA_PAUSE, SUBMIT_TIME, RenderPorts
from worker.steps.render.refusals import CONTENT_FILTERED, filter_facts
from worker.steps.render.round import Round
from worker.steps.render.substitutes import may_substitute, substitute_failed

__all__ = ["FETCH_TIME", "LOST_LOOKS", "POLL_ERRORS_LIMIT", "QUOTA_PAUSE", "SUBMIT_TIME", "RenderPorts", "render"]

USER_ACTIONS = {
    CONTENT_FILTERED: "edit_scene",
    COST_LIMIT_REACHED: "raise_limit",
    "MODEL_UNAVAILABLE": "contact_admin",
    "PROVIDER_UNAUTHORIZED": "contact_admin",
}


def render(job: Job, *, turn: Turn, ports: RenderPorts) -> Outcome:
    """Look, collect and order clips until every scene has one."""
    now = Round.of(job, turn, ports)
    look_after_all(now)
    # After a failure nothing more is spent, unless a still may stand in for it.
    if not now.failed or may_substitute(now):
        order_missing(now)
    if now.failed and not now.running and not now.missing and may_substitute(now):
        substitute_failed(now)
    if all(task.clip_key is not None for task in now.tasks.values()):
        return Advance("rendered", now.patch)
    if now.out_of_time:
        return Wait(timedelta(0), now.patch)
    if now.failed and not now.running and not (now.missing and may_substitute(now)):
        return Fail(_failure_of(now), now.patch)
    delay = min(now.waits, default=ports.renderer.poll_every)
    return Wait(delay, now.patch, waiting_for=now.waiting_for)


def _failure_of(now: Round) -> Failure:
    failed = now.failed
    first = failed[0]
    code = first.error_code or "PROVIDER_ERROR"
    where = ", ".join(str(task.scene_index + 1) for task in failed)
    details: dict[str, JsonValue] = {
        "scene_index": first.scene_index,
        "scene_indexes": [task.scene_index for task in failed],
    }
    if code == CONTENT_FILTERED:
        details |= filter_facts(first)
    elif code == COST_LIMIT_REACHED:
        details |= {"price_usd": least_limit_usd(now), "limit_usd": now.job.options.max_cost_usd}
    return Failure(
        code,
        f"scene {where}: {first.error_message}",
        user_action=USER_ACTIONS.get(code, "retry"),
        is_retryable=code != "MODEL_UNAVAILABLE",
        details=details,
    )
