"""Metrics that alarms stand on."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from statemachine import Event, TurnResult
from statemachine.sweeper import SweepReport
from worker import telemetry

EVENT = Event("job-1", 3)


def begin_anew() -> None:
    for part in (telemetry.service, telemetry.logger, telemetry.metrics):
        part.cache_clear()


@pytest.fixture(autouse=True)
def _new_process() -> Iterator[None]:
    begin_anew()
    yield
    begin_anew()


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The metrics of one invocation, as CloudWatch reads them."""
    telemetry.flush()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (found,) = [line for line in lines if "_aws" in line]
    return dict(found)


@pytest.mark.parametrize(
    ("result", "metric"),
    [
        (TurnResult("parked", EVENT, None, "rendering", 1, "machine knows no state"), "ParkedTurns"),
        (TurnResult("finished", EVENT, None, "completed", 9, "after-work failed: no such bus"), "AfterWorkGivenUp"),
        (TurnResult("retrying", EVENT, None, "rendering", 1, "busy"), "Retries"),
        (TurnResult("lost", EVENT), "LostTurns"),
    ],
)
def test_a_turn_that_somebody_has_to_look_at_is_counted(
    result: TurnResult, metric: str, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.record_turn(result)

    assert printed(capsys)[metric] == [1.0]


def test_after_work_that_was_done_is_not_counted_as_given_up(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.record_turn(TurnResult("finished", EVENT, None, "completed", 1))

    assert "AfterWorkGivenUp" not in printed(capsys)


@pytest.mark.parametrize(("failed_queries", "errors"), [(0, []), (3, [1.0])])
def test_a_sweep_that_could_not_ask_what_is_due_counts_once_as_refused_by_the_table(
    failed_queries: int, errors: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """It found nothing late, so that the alarm on what is overdue stays silent."""
    telemetry.record_sweep(
        SweepReport(
            dispatched=0,
            failed=0,
            oldest_lateness=timedelta(0),
            queries=59,
            failed_queries=failed_queries,
            seconds=59.0,
        )
    )

    assert printed(capsys).get("StoreErrors", []) == errors


def test_orders_of_one_invocation_are_summed_in_dollars(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.record_spent(1.28)
    telemetry.record_spent(0.64)

    assert sum(printed(capsys)["SpentUsd"]) == pytest.approx(1.92)


@pytest.mark.parametrize(("named", "service"), [("team-b-ai-video", "team-b-ai-video"), ("", "ai-video-worker")])
def test_metrics_stand_under_the_name_of_the_installation(
    named: str, service: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two installations in one account must not raise each other's alarms."""
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", named)
    begin_anew()

    telemetry.record_spent(1.0)

    assert printed(capsys)["service"] == service
