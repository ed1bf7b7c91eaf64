"""What a review found: each of these once cost money, or a clip that was paid for."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from statemachine import NOT_ACCEPTED, Advance, Fail, PermanentError, TransientError, Wait
from statemachine.errors import LeaseLostError
from tests.worker.fakes import FakeAssembler, FakeRenderer, planned_job_data
from tests.worker.steps.render_bench import Bench
from worker.edits import retry_patch
from worker.job import TASKS, Job, Options, committed_usd, scene_key
from worker.models import VideoModel
from worker.ports import (
    AmbiguousSubmissionError,
    Clip,
    ClipRequest,
    Granted,
    NotAcceptedError,
    Refused,
    VideoFormat,
)
from worker.steps.render import SUBMIT_TIME

# One UpdateItem of DynamoStore takes this many paths; its expression is limited to 4 KB.
PATHS_OF_ONE_WRITE = 200


def one_after_the_other(renderer: FakeRenderer, *, scenes: int) -> Bench:
    """A group whose orders go out one by one, so that the first can tell for the others."""
    bench = Bench(renderer, planned_job_data(scenes=scenes))
    bench.ports = replace(bench.ports, threads=1)
    return bench


def test_what_is_not_sent_yet_when_the_job_is_cancelled_is_not_paid() -> None:
    bench = one_after_the_other(FakeRenderer(group_size=4), scenes=4)
    bench.turn.writes_until_cancelled = 2  # the intents, and the first fact, which learns of the cancel

    with pytest.raises(LeaseLostError):
        bench.run()

    attempts = [attempt for task in bench.turn.job.tasks for attempt in task.attempts.values()]
    assert bench.scenes_billed == [0]
    assert [attempt.operation for attempt in attempts][1:] == [NOT_ACCEPTED] * 3


class Slow(FakeRenderer):
    """Takes all the time that the turn has for one order."""

    bench: Bench

    def submit(self, request: ClipRequest) -> str:
        self.bench.turn.time_left = timedelta(0)
        return super().submit(request)


def test_no_order_is_sent_after_the_end_of_the_turn() -> None:
    """Somebody else may hold the lease then, and order the same."""
    renderer = Slow(group_size=2)
    renderer.bench = bench = one_after_the_other(renderer, scenes=2)

    bench.step()

    assert bench.scenes_billed == [0]
    assert bench.turn.job.tasks[1].attempts["001"].operation == NOT_ACCEPTED


class SlowQuota:
    """Takes nearly all the time that the turn has."""

    bench: Bench

    def take(self, model: VideoModel, *, owner_id: str, job_id: str, wanted: int, now: object) -> Granted:
        self.bench.turn.time_left = SUBMIT_TIME / 2
        return Granted(wanted, timedelta(0))


def test_no_order_is_begun_where_asking_for_the_quota_took_its_time() -> None:
    quota = SlowQuota()
    quota.bench = bench = Bench(FakeRenderer(), planned_job_data(scenes=1), quota=quota)

    outcome = bench.step()

    assert outcome == Wait(timedelta(0))
    assert bench.renderer.bill == []
    assert bench.turn.job.tasks[0].attempts == {}


class LateFact(FakeRenderer):
    """Its clip is found while whoever ordered it is still writing down what the vendor answered."""

    bench: Bench

    def find(self, request: ClipRequest) -> str | Clip | None:
        path = (*TASKS, "000", "attempts", "001")
        self.bench.turn.record_fact(path, intent_id=request.intent_id, operation="operation-late")
        return Clip("operation-late")


def test_a_fact_that_comes_while_its_clip_is_found_is_kept() -> None:
    renderer = LateFact(at_submit={1: AmbiguousSubmissionError("timeout")})
    renderer.bench = bench = Bench(renderer, planned_job_data(scenes=1))

    assert bench.run() == Advance("rendered")
    assert bench.turn.job.tasks[0].attempts["001"].operation == "operation-late"


class Unreadable(FakeAssembler):
    """Cannot read the first clip that it is given."""

    clips = 0

    def conform(self, clip: Path, destination: Path, target: VideoFormat) -> bool:
        self.clips += 1
        if self.clips == 1:
            raise PermanentError("CLIP_BROKEN", "it ends in the middle of a picture")
        return super().conform(clip, destination, target)


def test_a_clip_that_arrives_broken_is_ordered_once_more_and_does_not_fail_the_job() -> None:
    bench = Bench(FakeRenderer(), planned_job_data(scenes=1))
    bench.ports = replace(bench.ports, assembler=Unreadable())

    assert bench.run() == Advance("rendered")
    assert bench.scenes_billed == [0, 0]
    assert bench.turn.job.tasks[0].attempts["001"].error_code == "CLIP_BROKEN"


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
