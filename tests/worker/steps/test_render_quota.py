"""Sharing the vendor's minute, as the step sees it."""

from dataclasses import replace
from datetime import timedelta

from statemachine import Advance, TransientError, Wait
from tests.worker.fakes import FAKE_MODEL, NOON, FakeRenderer, planned_job_data
from tests.worker.steps.render_bench import Bench
from worker.models import VideoModel
from worker.ports import Granted, NotAcceptedError
from worker.providers.memory_quota import MemoryQuota

NARROW = replace(FAKE_MODEL, per_minute=3)


class UnreachableQuota:
    """Cannot be asked for a while."""

    def __init__(self, times: int) -> None:
        self.times = times

    def take(self, model: VideoModel, *, owner_id: str, job_id: str, wanted: int, now: object) -> Granted:
        if self.times:
            self.times -= 1
            raise TransientError("QUOTA_BUSY", "too many")
        return Granted(wanted, timedelta(0))


def bench_of(scenes: int, quota: MemoryQuota | UnreachableQuota) -> Bench:
    renderer = FakeRenderer(model=NARROW, group_size=100, polls=1)
    return Bench(renderer, planned_job_data(scenes=scenes), quota=quota)


def test_no_more_is_ordered_than_the_minute_has_room_for() -> None:
    bench = bench_of(8, MemoryQuota())

    bench.step()

    assert bench.scenes_billed == [0, 1, 2]


def test_what_found_no_room_is_ordered_when_there_is_room_again() -> None:
    bench = bench_of(8, MemoryQuota())
    began = bench.turn.now

    outcome = bench.run()

    assert outcome == Advance("rendered")
    assert bench.scenes_billed == list(range(8))
    assert bench.turn.now - began >= timedelta(minutes=2)


def test_a_job_with_nothing_on_order_waits_for_quota_and_holds_no_intent() -> None:
    quota = MemoryQuota()
    quota.take(NARROW, owner_id="somebody", job_id="other", wanted=3, now=NOON)
    bench = bench_of(2, quota)

    outcome = bench.step()

    assert isinstance(outcome, Wait)
    assert outcome.waiting_for == "quota"
    assert timedelta(seconds=60) <= outcome.delay <= timedelta(seconds=62)
    assert all(not task.attempts for task in bench.turn.job.tasks)


def test_a_429_that_comes_all_the_same_is_waited_for() -> None:
    bench = bench_of(2, MemoryQuota())
    bench.renderer.at_submit = {1: NotAcceptedError("PROVIDER_QUOTA", "429", is_retryable=True)}
    bench.ports = replace(bench.ports, threads=1)

    outcome = bench.run()

    assert outcome == Advance("rendered")
    assert bench.scenes_billed == [0, 1]


def test_a_quota_that_cannot_be_asked_costs_no_attempt_and_orders_nothing() -> None:
    bench = bench_of(1, UnreachableQuota(times=1))

    first = bench.step()
    billed = list(bench.renderer.bill)
    outcome = bench.run()

    assert isinstance(first, Wait)
    assert first.waiting_for == "quota"
    assert billed == []
    assert outcome == Advance("rendered")
