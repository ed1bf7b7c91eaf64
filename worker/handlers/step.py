"""A self-invocation: take one turn of one execution."""

from datetime import timedelta
from typing import TypeVar

from statemachine import Engine, Event
from worker import telemetry

JobT = TypeVar("JobT")


def take_turn(event: Event, *, engine: Engine[JobT], time_left: timedelta) -> dict[str, str | int]:
    """Run the turn, and say what became of it.

    A store that fails is not an error of this invocation: the execution is due, and Lambda must not repeat it.
    """
    result = engine.run_turn(event, time_left=time_left)
    telemetry.record_turn(result)
    return {"execution_id": event.execution_id, "version": event.version, "turn": result.kind}
