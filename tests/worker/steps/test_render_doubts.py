"""Operations that nobody knows, and orders that nobody can look for."""

from datetime import timedelta

import pytest

from statemachine import Advance, Fail, PermanentError, Wait
from tests.worker.fakes import FakeRenderer, planned_job_data
from tests.worker.steps.render_bench import Bench
from worker.edits import retry_patch
from worker.ports import AmbiguousSubmissionError
from worker.steps.render import LOST_LOOKS

LOST_ANSWER = AmbiguousSubmissionError("timeout")


def test_an_operation_that_is_unknown_for_a_moment_is_believed_in() -> None:
    bench = Bench(FakeRenderer(forgotten=LOST_LOOKS - 1), planned_job_data(scenes=1))

    outcome = bench.run()

    assert outcome == Advance("rendered")
    assert bench.scenes_billed == [0]


def test_a_forgotten_operation_is_watched_for_before_another_is_ordered() -> None:
    bench = Bench(FakeRenderer(forgotten=1000), planned_job_data(scenes=1))
    began = bench.turn.now
    bench.step()

    while len(bench.renderer.bill) == 1:
        outcome = bench.step()
        assert isinstance(outcome, Wait)

    assert bench.turn.now - began >= bench.renderer.watch_for


def test_an_operation_that_comes_back_from_oblivion_is_not_ordered_again() -> None:
    bench = Bench(FakeRenderer(forgotten=20), planned_job_data(scenes=1))

    outcome = bench.run()

    assert outcome == Advance("rendered")
    assert bench.scenes_billed == [0]


def test_where_nothing_can_be_found_a_lost_answer_fails_the_scene_and_is_not_repeated() -> None:
    bench = Bench(FakeRenderer(at_submit={1: LOST_ANSWER}, can_find=False), planned_job_data(scenes=1))

    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert (outcome.failure.code, outcome.failure.user_action) == ("AMBIGUOUS", "retry")
    assert bench.scenes_billed == [0]


def test_a_persons_retry_may_pay_once_more_for_what_nobody_could_find() -> None:
    renderer = FakeRenderer(at_submit={1: LOST_ANSWER, 2: LOST_ANSWER}, can_find=False)
    bench = Bench(renderer, planned_job_data(scenes=1))
    bench.run()

    bench.turn.apply(retry_patch(bench.turn.job, []))
    again = bench.run()
    paid_after_one_retry = list(bench.scenes_billed)
    bench.turn.apply(retry_patch(bench.turn.job, []))
    outcome = bench.run()

    assert isinstance(again, Fail)
    assert paid_after_one_retry == [0, 0]
    assert outcome == Advance("rendered")
    assert bench.scenes_billed == [0, 0, 0]


def test_a_clip_that_is_never_finished_fails_its_scene_and_is_not_ordered_again_unasked() -> None:
    bench = Bench(FakeRenderer(polls=10_000), planned_job_data(scenes=1))
    began = bench.turn.now

    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert (outcome.failure.code, outcome.failure.user_action) == ("AMBIGUOUS", "retry")
    assert bench.turn.now - began >= bench.renderer.watch_for
    assert bench.scenes_billed == [0]


def test_a_persons_retry_orders_another_for_a_clip_that_is_never_finished() -> None:
    bench = Bench(FakeRenderer(polls=10_000), planned_job_data(scenes=1))
    bench.run()

    bench.turn.apply(retry_patch(bench.turn.job, []))
    bench.renderer.polls = 1
    bench.renderer.stuck = {bench.renderer.polled[0]}
    outcome = bench.run()

    assert outcome == Advance("rendered")
    assert bench.scenes_billed == [0, 0]
    assert bench.stored("vertex_ai_tasks", "000", "attempts", "001", "outcome") == "lost"


def test_a_retry_for_another_reason_is_no_leave_to_pay_twice_for_a_clip_that_is_never_finished() -> None:
    bench = Bench(FakeRenderer(polls=10_000), planned_job_data(scenes=1))
    bench.step()

    bench.turn.apply(retry_patch(bench.turn.job, []))
    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert bench.scenes_billed == [0]


def test_a_clip_that_was_finished_after_all_is_taken_by_the_retry_and_not_ordered_again() -> None:
    bench = Bench(FakeRenderer(polls=10_000), planned_job_data(scenes=1))
    bench.run()

    bench.turn.apply(retry_patch(bench.turn.job, []))
    bench.renderer.polls = 0
    outcome = bench.run()

    assert outcome == Advance("rendered")
    assert bench.scenes_billed == [0]


def test_where_nothing_can_be_found_a_forgotten_operation_fails_the_scene() -> None:
    bench = Bench(FakeRenderer(forgotten=1000, can_find=False), planned_job_data(scenes=1))

    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert outcome.failure.code == "AMBIGUOUS"
    assert len(bench.renderer.polled) == LOST_LOOKS


@pytest.mark.parametrize("forgotten", [0, 1000], ids=["answer_lost", "operation_forgotten"])
def test_credentials_that_are_refused_while_looking_end_no_attempt(forgotten: int) -> None:
    """Whoever could not look knows nothing about the clip: ended, it would be ordered again by a person's retry."""
    refused = PermanentError("PROVIDER_UNAUTHORIZED", "the key was taken back", user_action="contact_admin")
    at_submit: dict[int, Exception] = {} if forgotten else {1: LOST_ANSWER}
    bench = Bench(FakeRenderer(at_submit=at_submit, forgotten=forgotten), planned_job_data(scenes=1))
    bench.step()
    bench.renderer.find_error = refused

    with pytest.raises(PermanentError):
        bench.step()
    bench.renderer.find_error = None
    bench.renderer.forgotten = 0
    outcome = bench.run()

    assert outcome == Advance("rendered")
    assert bench.scenes_billed == [0]


def test_a_clip_is_not_looked_at_before_it_is_worth_while() -> None:
    bench = Bench(FakeRenderer(polls=1), planned_job_data(scenes=1))

    first = bench.step()
    bench.turn.now -= timedelta(seconds=20)  # somebody woke the job too early
    early = bench.step()

    assert isinstance(first, Wait)
    assert isinstance(early, Wait)
    assert bench.renderer.polled == []
