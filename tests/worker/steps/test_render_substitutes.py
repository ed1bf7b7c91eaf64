"""Stills in place of clips that could not be made."""

from dataclasses import replace

import pytest

from statemachine import Advance, Fail
from tests.worker.fakes import FakeRenderer, planned_job_data
from tests.worker.steps.render_bench import Bench
from worker.job import Options
from worker.ports import NotAcceptedError, Refused
from worker.steps.render import SUBMIT_TIME

FILTERED = Refused("CONTENT_FILTERED", "celebrity", is_retryable=False, category="celebrity")
BROKEN = Refused("PROVIDER_ERROR", "no", is_retryable=False)
SUBSTITUTE = Options(on_scene_failure="substitute")


def bench_of(answers: dict[int, Refused], *, scenes: int = 4, options: Options = SUBSTITUTE) -> Bench:
    renderer = FakeRenderer(answers={scene: [answer] for scene, answer in answers.items()}, group_size=2)
    return Bench(renderer, planned_job_data(scenes=scenes, options=options))


def test_a_scene_that_failed_shows_the_last_picture_of_the_one_before() -> None:
    bench = bench_of({2: FILTERED})

    outcome = bench.run()

    assert outcome == Advance("rendered")
    tasks = bench.turn.job.tasks
    assert [task.is_substitute for task in tasks] == [False, False, True, False]
    still, neighbour = tasks[2].clip_key, tasks[1].clip_key
    assert still is not None
    assert neighbour is not None
    assert bench.media.objects[still] == b"5 s of the frame at 5 s of " + bench.media.objects[neighbour]
    assert tasks[2].thumbnail_key in bench.media.objects


def test_the_first_scene_shows_the_first_picture_of_the_next() -> None:
    bench = bench_of({0: BROKEN})

    bench.run()

    still = bench.turn.job.tasks[0].clip_key
    assert still is not None
    assert bench.media.objects[still].startswith(b"5 s of the frame at 0 s of ")


def test_who_looks_at_the_job_is_told_which_scenes_are_stills() -> None:
    bench = bench_of({1: FILTERED, 3: BROKEN}, scenes=5)

    bench.run()

    assert bench.turn.job.warnings["SCENE_SUBSTITUTED"].endswith("scene 2, 4")


def test_a_still_is_never_drawn_from_a_still() -> None:
    bench = bench_of({0: FILTERED, 1: FILTERED, 2: FILTERED})

    outcome = bench.run()

    assert outcome == Advance("rendered")
    source = bench.turn.job.tasks[3].clip_key
    assert source is not None
    stills = [bench.media.objects[task.clip_key] for task in bench.turn.job.tasks[:3] if task.clip_key]
    assert all(still.endswith(b" of " + bench.media.objects[source]) for still in stills)


def test_the_other_scenes_are_still_ordered_after_one_has_failed() -> None:
    bench = bench_of({0: FILTERED}, scenes=7)

    bench.run()

    assert bench.scenes_billed == list(range(7))


def test_where_no_scene_has_a_clip_there_is_nothing_to_draw_from() -> None:
    bench = bench_of({0: FILTERED, 1: FILTERED}, scenes=2)

    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert outcome.failure.details["scene_indexes"] == [0, 1]


def test_a_model_that_is_gone_is_not_hidden_behind_stills() -> None:
    bench = bench_of({})
    gone = NotAcceptedError("MODEL_UNAVAILABLE", "404", is_retryable=False)
    bench.renderer.at_submit = {3: gone}

    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert outcome.failure.code == "MODEL_UNAVAILABLE"


@pytest.mark.parametrize("limit", [1.3])
def test_an_exhausted_limit_is_not_hidden_behind_stills(limit: float) -> None:
    bench = bench_of({}, options=Options(on_scene_failure="substitute", max_cost_usd=limit))

    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert outcome.failure.code == "COST_LIMIT_REACHED"


def test_without_that_wish_a_failed_scene_fails_the_job() -> None:
    bench = bench_of({1: FILTERED}, options=Options())

    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert not any(task.is_substitute for task in bench.turn.job.tasks)


def test_stills_that_a_turn_has_no_time_for_are_drawn_by_the_next() -> None:
    bench = bench_of({1: FILTERED}, scenes=2)
    bench.step()
    bench.step()
    bench.turn = replace(bench.turn, time_left=SUBMIT_TIME)

    assert bench.run() == Advance("rendered")
