"""A tick of the schedule: wake what is due."""

from datetime import timedelta

from statemachine.sweeper import Sweeper
from worker import telemetry


def sweep(*, sweeper: Sweeper, time_left: timedelta, has_index: bool) -> dict[str, int]:
    """Sweep for as long as anything is active, or, on a table without the due index, once."""
    report = sweeper.sweep(time_left=time_left) if has_index else sweeper.sweep_once()
    telemetry.record_sweep(report)
    return {"dispatched": report.dispatched, "failed": report.failed}
