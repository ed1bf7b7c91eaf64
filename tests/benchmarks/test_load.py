"""The region in virtual time, and the judgement of bill and records: what the figures of load and soak rest on."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random

import pytest

from benchmarks._crowd import place_of, uneven
from benchmarks._region import CONCURRENCY, EVENT_AGE, Region
from benchmarks.load import jain
from benchmarks.soak import Verdict, judge_orders
from statemachine import JsonValue
from statemachine.testing.crew import Crew
from tests.simulators.scenario import Effect, Filtered, Takes
from tests.simulators.veo import Operation
from tests.worker.fakes import planned_job_data
from worker.job import Job

BEGINS = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Killing:
    """Kills at every call of one kind."""

    def at(self, call: str) -> str:
        return "kill" if call == "deadly" else ""


@pytest.fixture
def region() -> Iterator[Region]:
    with Crew() as crew:
        region = Region(crew, now=BEGINS, chance=Random(1), faults=Killing())  # noqa: S311  repeatable on purpose
        yield region
        region.end()


def test_invocations_that_wait_pass_time_side_by_side(region: Region) -> None:
    ended: list[float] = []

    def work(seconds: float) -> None:
        region.sleep(timedelta(seconds=seconds))
        ended.append((region.now() - BEGINS).total_seconds())

    for seconds in (5, 1, 3):
        region.after(timedelta(0), partial(work, seconds))
    region.run(until=BEGINS + timedelta(seconds=4))

    assert ended == [1, 3]
    assert region.now() == BEGINS + timedelta(seconds=4)


def test_a_killed_invocation_reaches_the_world_no_more(region: Region) -> None:
    reached: list[str] = []

    def work() -> None:
        try:
            region.boundary("deadly", takes=timedelta(0))
        finally:
            region.boundary("cleaning up", takes=timedelta(0))
            reached.append("cleaned up")

    region.after(timedelta(0), work)
    region.run(until=BEGINS + timedelta(minutes=1))

    assert reached == []
    assert region.told == {"deadly: kill": 1, "killed": 1}


def test_an_error_of_an_invocation_ends_the_run(region: Region) -> None:
    def work() -> None:
        raise ValueError("a bug")

    region.after(timedelta(0), work)

    with pytest.raises(ValueError, match="a bug"):
        region.run(until=BEGINS + timedelta(minutes=1))


def test_events_beyond_the_accounts_concurrency_wait_and_then_expire(region: Region) -> None:
    begun: list[datetime] = []

    def work() -> None:
        begun.append(region.now())
        region.sleep(EVENT_AGE * 2)

    for _ in range(CONCURRENCY + 1):
        region.invoke(work)
    region.run(until=BEGINS + EVENT_AGE * 2)

    assert len(begun) == region.busiest == CONCURRENCY
    assert region.told["expired"] == 1


def test_every_user_asks_in_turn() -> None:
    asked = uneven({"ada": 2, "bob": 1})

    assert [(job.execution_id, job.owner) for job in asked] == [
        ("ada-0000", "ada"),
        ("bob-0000", "bob"),
        ("ada-0001", "ada"),
    ]


def test_jains_index_is_one_for_equal_shares_and_a_share_for_one_winner() -> None:
    assert jain([3, 3, 3]) == pytest.approx(1)
    assert jain([9, 0, 0]) == pytest.approx(1 / 3)


def test_an_order_says_what_it_was_for() -> None:
    place = place_of("gs://clips/ai-video/ada-0001/run/renders/002/00ab/")

    assert (place.job, place.scene, place.intent_id) == ("ada-0001", 2, "00ab")


def test_a_second_order_beside_a_good_one_is_paid_twice() -> None:
    verdict = judged(an_order("one"), an_order("two"))

    assert verdict.paid_twice == ["job-1 scene 0"]


@pytest.mark.parametrize("fate", [Filtered(), Takes(polls=1_000_000_000)], ids=["filtered", "never_done"])
def test_a_second_order_after_one_that_came_to_nothing_is_not(fate: Effect) -> None:
    verdict = judged(an_order("one", fate), an_order("two"))

    assert verdict.paid_twice == []
    assert verdict.paid_again.total() == 1


def test_an_order_that_no_record_knows_is_told() -> None:
    verdict = judged(an_order("three"))

    assert verdict.unknown_orders == ["gs://clips/ai-video/job-1/run/renders/000/three/"]


def judged(*orders: Operation) -> Verdict:
    """The verdict over one job, whose record knows of the intents `one` and `two`."""
    attempts: dict[str, JsonValue] = {
        f"{number:03d}": {"intent_id": name, "seconds": 8, "price_usd": 0.64, "operation": f"operations/{name}"}
        for number, name in enumerate(("one", "two"), 1)
    }
    data = planned_job_data(scenes=1)
    data["vertex_ai_tasks"] = {"000": {"scene_index": 0, "status": "submitted", "attempts": attempts}}
    verdict = Verdict()
    judge_orders(Job.model_validate(data), list(orders), verdict)
    return verdict


def an_order(intent_id: str, *fate: Effect) -> Operation:
    """An order that the vendor accepted."""
    return Operation(
        name=f"operations/{intent_id}",
        ordinal=1,
        attempt=1,
        scene=0,
        prompt="scene 0",
        storage_uri=f"gs://clips/ai-video/job-1/run/renders/000/{intent_id}/",
        seconds=8,
        samples=1,
        aspect_ratio="16:9",
        short_side=180,
        has_sound=False,
        accepted_at=BEGINS,
        takes=next((effect for effect in fate if isinstance(effect, Takes)), Takes()),
        fate=list(fate),
    )
