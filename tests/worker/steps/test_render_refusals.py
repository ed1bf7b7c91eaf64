"""The filter policy: as written, another seed, softened words, a person."""

from datetime import timedelta

import pytest

from statemachine import Advance, Fail, PermanentError, TransientError, Wait
from tests.worker.fakes import FakeRenderer, FakeSoftener, planned_job_data
from tests.worker.steps.render_bench import Bench
from worker.ports import NotAcceptedError, Refused

CHANCE = Refused("CONTENT_FILTERED", "violence", is_retryable=True, category="violence")
NAMED = Refused("CONTENT_FILTERED", "celebrity", is_retryable=False, category="celebrity")
BROKEN = Refused("PROVIDER_ERROR", "internal server issue", is_retryable=True)
REFUSED_ORDER = NotAcceptedError("CONTENT_FILTERED", "the prompt", is_retryable=False, category="hate")


def bench_of(*answers: Refused, softener: FakeSoftener | None = None) -> Bench:
    return Bench(FakeRenderer(answers={0: list(answers)}), planned_job_data(scenes=1), softener=softener)


def test_the_third_submission_is_of_softened_words() -> None:
    softener = FakeSoftener()
    bench = bench_of(CHANCE, CHANCE, softener=softener)

    outcome = bench.run()

    assert outcome == Advance("rendered")
    assert bench.renderer.prompts == ["scene 0", "scene 0", "gentle scene 0"]
    assert softener.asked == [("scene 0", "violence")]


def test_softened_words_are_kept_as_a_revision_that_is_marked() -> None:
    bench = bench_of(CHANCE, CHANCE, softener=FakeSoftener())

    bench.run()

    (beat,) = bench.turn.job.beats
    assert (beat.visual_prompt, beat.revision) == ("gentle scene 0", 2)
    assert bench.stored("scene_beats", "000", "is_adjusted") is True
    assert bench.stored("vertex_ai_tasks", "000", "attempts", "001", "filter_category") == "violence"


def test_a_softener_whose_quota_is_used_up_is_waited_for_as_long_as_it_takes() -> None:
    """An hour of refusals, more looks than may fail, is no fault of the scene's."""
    busy = [TransientError("PROVIDER_QUOTA", "later", retry_after=timedelta(minutes=2)) for _ in range(30)]
    bench = bench_of(CHANCE, CHANCE, softener=FakeSoftener(*busy))

    outcomes = [bench.step() for _ in range(60)]

    assert Advance("rendered") in outcomes
    waits = [outcome for outcome in outcomes if isinstance(outcome, Wait) and outcome.waiting_for == "quota"]
    assert [wait.delay for wait in waits] == [timedelta(minutes=2)] * 30


def test_after_three_refusals_a_person_is_asked() -> None:
    bench = bench_of(CHANCE, CHANCE, CHANCE, softener=FakeSoftener())

    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert (outcome.failure.code, outcome.failure.user_action) == ("CONTENT_FILTERED", "edit_scene")
    assert bench.scenes_billed == [0, 0, 0]


@pytest.mark.parametrize(("named", "told"), [("violence", "violence"), (None, "general")])
def test_a_scene_whose_film_was_refused_tells_the_category_and_that_there_was_film(
    named: str | None, told: str
) -> None:
    bench = bench_of(*[Refused("CONTENT_FILTERED", "it", is_retryable=True, category=named)] * 3)

    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert (outcome.failure.details["category"], outcome.failure.details["stage"]) == (told, "output")


@pytest.mark.parametrize("softener", [None, FakeSoftener(PermanentError("EDIT_NEEDED", "no other words"))])
def test_a_scene_whose_order_was_refused_tells_the_category_and_that_it_was_the_words(
    softener: FakeSoftener | None,
) -> None:
    bench = Bench(FakeRenderer(at_submit={1: REFUSED_ORDER}), planned_job_data(scenes=1), softener=softener)

    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert (outcome.failure.details["category"], outcome.failure.details["stage"]) == ("hate", "prompt")
    assert bench.scenes_billed == []


def test_only_a_filter_has_a_category() -> None:
    outcome = bench_of(*[BROKEN] * 3).run()

    assert isinstance(outcome, Fail)
    assert not {"category", "stage"} & set(outcome.failure.details)


def test_nobody_who_softens_means_a_person_is_asked_after_two() -> None:
    bench = bench_of(CHANCE, CHANCE)

    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert bench.scenes_billed == [0, 0]


def test_what_chance_has_no_part_in_is_softened_at_once() -> None:
    bench = bench_of(NAMED, softener=FakeSoftener())

    outcome = bench.run()

    assert outcome == Advance("rendered")
    assert bench.renderer.prompts == ["scene 0", "gentle scene 0"]


@pytest.mark.parametrize("again", [CHANCE, NAMED])
def test_softened_words_that_are_refused_are_not_tried_again(again: Refused) -> None:
    bench = bench_of(NAMED, again, softener=FakeSoftener())

    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert bench.scenes_billed == [0, 0]


def test_without_anybody_who_softens_a_name_is_refused_once() -> None:
    bench = bench_of(NAMED)

    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert bench.scenes_billed == [0]


@pytest.mark.parametrize(
    "answers",
    [
        (CHANCE, BROKEN, CHANCE),
        (BROKEN, CHANCE, BROKEN),
        (BROKEN, BROKEN, CHANCE),
        (NAMED, BROKEN, BROKEN),
        (CHANCE, CHANCE, BROKEN),
    ],
)
def test_no_more_than_three_are_submitted_whatever_the_causes(answers: tuple[Refused, ...]) -> None:
    """Softening makes a new revision, and a new revision must not bring a new allowance."""
    bench = bench_of(*answers, *[BROKEN] * 5, softener=FakeSoftener())

    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert len(bench.renderer.bill) == 3


def test_a_persons_words_bring_the_full_allowance_back() -> None:
    bench = bench_of(CHANCE, CHANCE, CHANCE, CHANCE, CHANCE, softener=FakeSoftener())
    bench.run()

    bench.edit(0, "a calm harbour")
    outcome = bench.run()

    assert outcome == Advance("rendered")
    assert bench.renderer.prompts[3:] == ["a calm harbour", "a calm harbour", "gentle a calm harbour"]


def test_whoever_cannot_soften_leaves_it_to_a_person() -> None:
    bench = bench_of(CHANCE, CHANCE, softener=FakeSoftener(PermanentError("CONTENT_FILTERED", "I will not")))

    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert outcome.failure.code == "CONTENT_FILTERED"
    assert bench.scenes_billed == [0, 0]


def test_a_softener_that_is_busy_is_asked_again_and_nothing_is_spent_meanwhile() -> None:
    busy = TransientError("PLANNER_BUSY", "503")
    softener = FakeSoftener(busy, busy)
    bench = bench_of(CHANCE, CHANCE, softener=softener)

    outcome = bench.run()

    assert outcome == Advance("rendered")
    assert len(softener.asked) == 3
    assert bench.scenes_billed == [0, 0, 0]


def test_words_refused_before_acceptance_are_softened_and_cost_no_submission() -> None:
    renderer = FakeRenderer(at_submit={1: REFUSED_ORDER})
    softener = FakeSoftener()
    bench = Bench(renderer, planned_job_data(scenes=1), softener=softener)

    outcome = bench.run()

    assert outcome == Advance("rendered")
    assert renderer.prompts == ["gentle scene 0"]
    assert softener.asked == [("scene 0", "hate")]


def test_words_refused_before_acceptance_twice_are_for_a_person() -> None:
    renderer = FakeRenderer(at_submit={1: REFUSED_ORDER, 2: REFUSED_ORDER})
    bench = Bench(renderer, planned_job_data(scenes=1), softener=FakeSoftener())

    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert outcome.failure.user_action == "edit_scene"
    assert renderer.bill == []


def test_a_softener_that_was_busy_after_a_refused_order_is_asked_in_a_later_turn() -> None:
    renderer = FakeRenderer(at_submit={1: REFUSED_ORDER})
    softener = FakeSoftener(TransientError("PLANNER_BUSY", "503"))
    bench = Bench(renderer, planned_job_data(scenes=1), softener=softener)

    outcome = bench.run()

    assert outcome == Advance("rendered")
    assert renderer.prompts == ["gentle scene 0"]


def test_after_a_failure_of_the_vendor_the_next_order_waits_longer_each_time() -> None:
    bench = bench_of(BROKEN, BROKEN)
    began = bench.turn.now

    outcomes = [bench.step() for _ in range(3)]
    bench.run()

    assert all(isinstance(outcome, Wait) for outcome in outcomes)
    first, second = bench.renderer.first_poll_after, bench.renderer.first_poll_after * 2
    assert bench.turn.now - began >= first + second
