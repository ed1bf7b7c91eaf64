"""The one Lambda entry point: tells apart who calls, and hands over to that event's handler.

- a self-invocation, `{"execution_id": …, "version": …}`: one turn;
- the schedule, an EventBridge "Scheduled Event": a sweep;
- API Gateway, REST or HTTP API: a request of a person, answered by `worker.handlers.api`;
- anything else is logged and refused: an answer, not an exception, which Lambda would repeat for hours.
"""

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any, Protocol

from worker.engine_build import require_own_engine
from worker.garbage import nothing_collected

require_own_engine()

with nothing_collected():
    from statemachine.aws.lambda_dispatcher import event_from_payload
    from statemachine.errors import StoreError
    from worker import telemetry
    from worker.foundation import Foundation
    from worker.handlers.step import take_turn
    from worker.handlers.sweep import sweep
    from worker.settings import Settings


class Api(Protocol):
    """What this function uses of the API."""

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request, in the form that its gateway takes."""


class LambdaContext(Protocol):
    """What this function uses of Lambda's context object."""

    def get_remaining_time_in_millis(self) -> int:
        """Until Lambda ends the invocation."""


@cache
def foundation() -> Foundation:
    """What every event needs, built at the first one of this execution environment."""
    with nothing_collected():
        base = Foundation(Settings())
        base.prepare()
        return base


@cache
def worker() -> Any:  # noqa: ANN401  its type would load what a sweep does not need
    """The worker of this execution environment, built at its first turn or request."""
    base = foundation()
    with nothing_collected():
        # What a job is takes a tenth of the time of all libraries together, which a sweep must not pay.  (2026-11-22,
        # measured by `python -m benchmarks cold_import`)
        from worker.bootstrap import Worker  # noqa: PLC0415  as said

        return Worker(base.settings, clock=base.clock, clients=base.clients, on_spent=telemetry.record_spent)


@cache
def engine() -> Any:  # noqa: ANN401  as above
    """The engine of this execution environment, built at its first turn."""
    base = worker()
    with nothing_collected():
        return base.engine


@cache
def api() -> Api:
    """The API of this execution environment, built at its first request."""
    base = worker()
    with nothing_collected():
        # powertools' routing takes 0.15 s to import, which turns and sweeps must not pay.  (2026-11-22, measured by
        # `python -X importtime -c "import worker.handlers.api.routes"`)
        from worker.handlers.api.parts import ApiParts  # noqa: PLC0415  as said
        from worker.handlers.api.routes import Api as HttpApi  # noqa: PLC0415  as said

        return HttpApi(ApiParts.of(base))


def handler(event: object, context: LambdaContext) -> dict[str, Any]:
    """Answer one event; whoever may invoke the function may send any JSON."""
    try:
        return _answer(event, context)
    except StoreError as error:
        # The table is throttled or out of reach.  What was leased is due at its lease's end, and the sweep comes; an
        # exception here would only be one more alarm for the same fact.
        telemetry.logger().error("store", extra={"error": str(error)})
        telemetry.metrics().add_metric("StoreErrors", "Count", 1)
        return {"error": "store unavailable"}
    finally:
        telemetry.flush()


def _answer(payload: object, context: LambdaContext) -> dict[str, Any]:
    event: Mapping[str, Any] = payload if isinstance(payload, Mapping) else {}
    if (turn := event_from_payload(event)) is not None:
        # Built before the time is asked for.
        of_turns = engine()
        return dict(take_turn(turn, engine=of_turns, time_left=_time_left(context)))
    if is_schedule(event):
        sweeper, has_index = foundation().sweeper, bool(foundation().settings.due_index)
        return dict(sweep(sweeper=sweeper, time_left=_time_left(context), has_index=has_index))
    if is_api_request(event):
        return api().answer(event)
    # Names only: an unknown event may hold anything.
    telemetry.logger().error("unknown event", extra={"keys": sorted(str(key) for key in event)[:20]})
    telemetry.metrics().add_metric("UnknownEvents", "Count", 1)
    return {"error": "unknown event"}


def _time_left(context: LambdaContext) -> timedelta:
    """What Lambda leaves, asked after whatever was built cold: a turn's deadline counts from here."""
    return timedelta(milliseconds=context.get_remaining_time_in_millis())


def is_schedule(event: Mapping[str, Any]) -> bool:
    """Whether EventBridge's schedule calls."""
    return event.get("detail-type") == "Scheduled Event" and event.get("source") in ("aws.scheduler", "aws.events")


def is_api_request(event: Mapping[str, Any]) -> bool:
    """Whether API Gateway calls: a REST API (payload 1.0) or an HTTP API (payload 2.0)."""
    context = event.get("requestContext")
    return isinstance(context, Mapping) and ("httpMethod" in event or "http" in context)
