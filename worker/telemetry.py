"""Structured logs and metrics of turns and sweeps, as CloudWatch reads them from standard output.

Metrics are in the embedded metric format, namespace `AiVideo`; alarms are built on their names, so they are part of
the interface.  Nothing logged holds a prompt, a transcript or a secret.
"""

import os
from functools import cache

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit

from statemachine import TurnResult
from statemachine.sweeper import SweepReport

NAMESPACE = "AiVideo"

# By the kind of a turn.
TURN_METRICS = {
    "waiting": "Waits",
    "retrying": "Retries",
    "advanced": "Advances",
    "ignored": "IgnoredEvents",
    "lost": "LostTurns",
    "parked": "ParkedTurns",
}


@cache
def service() -> str:
    """The name under which logs and metrics stand: the installation's own, where the environment has one."""
    # powertools' own variable; two installations in one account must not share their alarms.
    return os.environ.get("POWERTOOLS_SERVICE_NAME") or "ai-video-worker"


@cache
def logger() -> Logger:
    """The one logger; JSON lines on standard output."""
    return Logger(service=service())


@cache
def metrics() -> Metrics:
    """The metrics of this invocation; `flush` prints them."""
    return Metrics(namespace=NAMESPACE, service=service())


def record_turn(result: TurnResult) -> None:
    """Log one turn and count it."""
    execution = result.execution
    fields = {
        "execution_id": result.event.execution_id,
        "version": result.event.version,
        "state": result.state,
        "attempt": result.attempt,
        "turn": result.kind,
        "reason": result.reason,
        "step_seconds": round(result.step_seconds, 3),
    }
    if execution is not None:
        fields |= {"next_state": execution.state, "next_version": execution.version, "run_id": execution.run_id}
    level = {"failed": logger().error, "parked": logger().error, "retrying": logger().warning}
    level.get(result.kind, logger().info)("turn", extra=fields)
    metrics().add_metric("Turns", MetricUnit.Count, 1)
    if result.kind in TURN_METRICS:
        metrics().add_metric(TURN_METRICS[result.kind], MetricUnit.Count, 1)
    if result.kind == "finished" and result.reason:
        metrics().add_metric("AfterWorkGivenUp", MetricUnit.Count, 1)
    if result.step_seconds:
        _single("StepSeconds", MetricUnit.Seconds, result.step_seconds, State=result.state)
    if result.kind == "failed" and execution is not None and execution.failure is not None:
        metrics().add_metric("Failures", MetricUnit.Count, 1)
        _single("FailuresByCode", MetricUnit.Count, 1, Code=execution.failure.code)


def record_spent(usd: float) -> None:
    """Count what was ordered from the vendor; an alarm stands on the day's sum."""
    metrics().add_metric("SpentUsd", MetricUnit.NoUnit, usd)


def record_sweep(report: SweepReport) -> None:
    """Log one sweep and count it."""
    logger().info(
        "sweep",
        extra={
            "dispatched": report.dispatched,
            "failed": report.failed,
            "oldest_lateness_seconds": round(report.oldest_lateness.total_seconds(), 3),
            "queries": report.queries,
            "failed_queries": report.failed_queries,
            "seconds": round(report.seconds, 3),
        },
    )
    metrics().add_metric("Sweeps", MetricUnit.Count, 1)
    metrics().add_metric("SweepDispatched", MetricUnit.Count, report.dispatched)
    metrics().add_metric("SweepFailures", MetricUnit.Count, report.failed + report.failed_queries)
    metrics().add_metric("OldestDueSeconds", MetricUnit.Seconds, report.oldest_lateness.total_seconds())
    # A sweep that cannot ask what is due finds nothing late; were this not counted, no alarm would ring.
    if report.failed_queries:
        metrics().add_metric("StoreErrors", MetricUnit.Count, 1)


def flush() -> None:
    """Print the metrics of this invocation, if there are any."""
    if metrics().metric_set:
        metrics().flush_metrics()


def _single(name: str, unit: MetricUnit, value: float, **dimension: str) -> None:
    """A metric under one more dimension, in a line of its own: dimensions hold for a whole line."""
    with single_metric(name=name, unit=unit, value=value, namespace=NAMESPACE) as metric:
        metric.add_dimension(name="service", value=service())
        for dimension_name, dimension_value in dimension.items():
            metric.add_dimension(name=dimension_name, value=dimension_value)
