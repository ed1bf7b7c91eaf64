"""What a review found: each of these once cost money, or a clip that was paid for."""

from pathlib import Path

import pytest

from statemachine import Advance, Fail, TransientError, Wait
from tests.worker.fakes import FakeRenderer, planned_job_data
from tests.worker.steps.render_bench import Bench
from worker.edits import retry_patch
from worker.job import Job, Options, committed_usd, scene_key
from worker.ports import AmbiguousSubmissionError, Clip, NotAcceptedError, Refused

# One UpdateItem of DynamoStore takes this many paths; its expression is limited to 4 KB.
PATHS_OF_ONE_WRITE = 200


class Unfetchable(FakeRenderer):
    """Its clips are finished and cannot be downloaded."""

    def fetch(self, clip: Clip, destination: Path) -> None:
        raise TransientError("PROVIDER_UNAVAILABLE", "403: storage.objects.get")


def test_a_retry_after_an_outage_of_75_scenes_fits_into_one_write() -> None:
    data = planned_job_data(scenes=75)
    tasks = data["vertex_ai_tasks"]
    assert isinstance(tasks, dict)
    for key in tasks:
        tasks[key] = {"status": "failed", "error_code": "PROVIDER_UNAVAILABLE", "attempts": {}}

    patch = retry_patch(Job.model_validate(data), [])

    assert len(patch) <= PATHS_OF_ONE_WRITE


def test_a_clip_that_can_never_be_fetched_fails_its_scene_with_the_reason() -> None:
    bench = Bench(Unfetchable(), planned_job_data(scenes=1))

    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert (outcome.failure.code, "403" in outcome.failure.message) == ("PROVIDER_UNAVAILABLE", True)
    assert bench.turn.job.tasks[0].open_attempt is not None, "a retry fetches it, and orders nothing"
    assert bench.scenes_billed == [0]


def test_an_order_that_is_found_out_after_it_was_given_up_is_polled_and_not_paid_again() -> None:
    renderer = FakeRenderer(at_submit={1: AmbiguousSubmissionError("timeout")}, is_ambiguous_accepted=False)
    bench = Bench(renderer, planned_job_data(scenes=1))
    bench.step()
    attempt_at = ("vertex_ai_tasks", "000", "attempts", "001")
    bench.turn.apply({(*attempt_at, "outcome"): "ambiguous", ("vertex_ai_tasks", "000", "status"): "failed"})

    bench.turn.record_fact(attempt_at, intent_id="intent-1", operation="operations/late")
    bench.turn.apply(retry_patch(bench.turn.job, []))
    outcome = bench.step()

    assert isinstance(outcome, Wait)
    assert renderer.bill == [], "nothing is ordered while the late operation is known"


def test_what_the_limit_still_covers_is_made_before_the_job_stops() -> None:
    # A beat of 5 s orders 6 s at $0.10: $0.60 each; two of four are covered.
    bench = Bench(FakeRenderer(group_size=4), planned_job_data(scenes=4, options=Options(max_cost_usd=1.3)))

    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert outcome.failure.code == "COST_LIMIT_REACHED"
    assert bench.scenes_billed == [0, 1]


def test_a_limit_that_stops_the_job_is_told_with_the_least_that_would_not() -> None:
    """Four scenes at $0.60, and the first of them once more, because its clip was broken."""
    broken = Refused("PROVIDER_ERROR", "internal server issue", is_retryable=True)
    renderer = FakeRenderer(answers={0: [broken]})
    bench = Bench(renderer, planned_job_data(scenes=4, options=Options(max_cost_usd=2.4)))
    stopped = bench.run()
    assert isinstance(stopped, Fail)
    price = stopped.failure.details["price_usd"]
    assert isinstance(price, float)

    bench.turn.apply(retry_patch(bench.turn.job, [], max_cost_usd=price))
    outcome = bench.run()

    assert price == pytest.approx(3.0)
    assert stopped.failure.details["limit_usd"] == 2.4
    assert outcome == Advance("rendered")


def test_a_plan_that_is_gone_costs_no_attempt_and_no_clip() -> None:
    data = planned_job_data(scenes=1)
    beats = data["scene_beats"]
    assert isinstance(beats, dict)
    data["plan_key"] = "ai-video/job-1/run-1/plan-gone.json"
    beats[scene_key(0)] = {**beats[scene_key(0)], "is_cut": True}
    bench = Bench(FakeRenderer(), data)

    outcome = bench.run()

    assert outcome == Advance("rendered")
    assert bench.renderer.prompts == ["scene 0"]


def test_what_is_ordered_is_told_in_dollars_and_what_was_refused_is_not() -> None:
    """An alarm stands on the day's sum; an order whose answer was lost may have been accepted, so it counts."""
    renderer = FakeRenderer(
        at_submit={
            1: AmbiguousSubmissionError("timeout"),
            2: NotAcceptedError("PROVIDER_QUOTA", "later", is_retryable=True),
        }
    )
    bench = Bench(renderer, planned_job_data(scenes=3))

    outcome = bench.run()

    assert isinstance(outcome, Advance)
    assert sum(bench.spent_usd) == pytest.approx(committed_usd(bench.turn.job.vertex_ai_tasks.values()))
    assert sum(bench.spent_usd) > 0
