from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from statemachine import NOT_ACCEPTED, Advance, Fail, PermanentError, TransientError, Wait
from statemachine.errors import LeaseLostError
from tests.worker.fakes import FakeRenderer, planned_job_data
from tests.worker.steps.render_bench import Bench
from worker.edits import BeatEdit, retry_patch
from worker.job import Options
from worker.ports import AmbiguousSubmissionError, Clip, NotAcceptedError, OperationLost, Refused
from worker.steps.render import FETCH_TIME, LOST_LOOKS, POLL_ERRORS_LIMIT, QUOTA_PAUSE

FILTERED = Refused("CONTENT_FILTERED", "violence", is_retryable=True, category="violence")
BROKEN = Refused("PROVIDER_ERROR", "internal server issue", is_retryable=True)


def test_every_scene_is_ordered_once_and_brought_home() -> None:
    bench = Bench(FakeRenderer(polls=2), planned_job_data(scenes=9))

    outcome = bench.run()

    assert outcome == Advance("rendered")
    assert bench.scenes_billed == list(range(9))
    keys = [task.clip_key for task in bench.turn.job.tasks]
    assert all(key in bench.media.objects for key in keys if key)
    assert all(task.thumbnail_key in bench.media.objects for task in bench.turn.job.tasks)


def test_no_more_than_a_group_is_on_order_at_once() -> None:
    bench = Bench(FakeRenderer(polls=1, group_size=2), planned_job_data(scenes=5))

    bench.step()

    assert bench.scenes_billed == [0, 1]


def test_the_intent_is_stored_before_the_order_is_sent() -> None:
    bench = Bench(FakeRenderer(at_submit={1: RuntimeError("killed")}), planned_job_data(scenes=1))

    with pytest.raises(RuntimeError):
        bench.step()

    attempt = bench.turn.job.tasks[0].attempts["001"]
    assert (attempt.intent_id, attempt.operation) == ("intent-1", None)


def test_an_order_whose_answer_was_lost_is_found_and_not_repeated() -> None:
    bench = Bench(FakeRenderer(at_submit={1: AmbiguousSubmissionError("timeout")}), planned_job_data(scenes=1))

    outcome = bench.run()

    assert outcome == Advance("rendered")
    assert bench.scenes_billed == [0]


def test_an_order_that_never_arrived_is_watched_for_before_it_is_repeated() -> None:
    renderer = FakeRenderer(at_submit={1: AmbiguousSubmissionError("timeout")}, is_ambiguous_accepted=False)
    bench = Bench(renderer, planned_job_data(scenes=1))
    began = bench.turn.now

    bench.step()
    waiting = bench.step()
    outcome = bench.run()

    assert isinstance(waiting, Wait)
    assert waiting.waiting_for == "lost_answer"
    assert outcome == Advance("rendered")
    assert bench.scenes_billed == [0]
    assert bench.turn.now - began >= renderer.watch_for
    assert [a.outcome for a in bench.turn.job.tasks[0].attempts.values()] == ["ambiguous", "clip"]


def test_a_renderer_that_is_sure_needs_no_watch_and_no_attempt_for_an_order_never_sent() -> None:
    renderer = FakeRenderer(
        watch_for=timedelta(0), at_submit={1: AmbiguousSubmissionError("killed")}, is_ambiguous_accepted=False
    )
    bench = Bench(renderer, planned_job_data(scenes=1))

    bench.step()
    bench.step()

    assert bench.scenes_billed == [0]
    assert list(bench.turn.job.tasks[0].attempts) == ["001"]


def test_a_quota_is_waited_for_and_counts_toward_nothing() -> None:
    full = NotAcceptedError("PROVIDER_QUOTA", "429", is_retryable=True)
    bench = Bench(FakeRenderer(at_submit=dict.fromkeys(range(1, 21), full)), planned_job_data(scenes=1))

    first = bench.step()
    outcome = bench.run()

    assert isinstance(first, Wait)
    assert (first.waiting_for, first.delay) == ("quota", QUOTA_PAUSE)
    assert outcome == Advance("rendered")
    assert list(bench.turn.job.tasks[0].attempts) == ["001"]


def test_while_one_quota_is_waited_for_no_other_scene_is_ordered() -> None:
    full = NotAcceptedError("PROVIDER_QUOTA", "429", is_retryable=True, retry_after=timedelta(seconds=90))
    bench = Bench(FakeRenderer(at_submit={2: full}, polls=50, group_size=2), planned_job_data(scenes=4))

    bench.step()
    bench.step()

    assert len(bench.renderer.bill) == 1


def test_an_order_refused_for_good_fails_the_job_and_names_the_scene() -> None:
    gone = NotAcceptedError("MODEL_UNAVAILABLE", "404: not found", is_retryable=False)
    bench = Bench(FakeRenderer(at_submit={1: gone}), planned_job_data(scenes=1))

    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert (outcome.failure.code, outcome.failure.user_action) == ("MODEL_UNAVAILABLE", "contact_admin")
    assert outcome.failure.details["scene_index"] == 0


def test_a_failed_clip_is_ordered_three_times_and_not_more() -> None:
    bench = Bench(FakeRenderer(answers={1: [BROKEN, BROKEN, BROKEN]}))

    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert outcome.failure.code == "PROVIDER_ERROR"
    assert bench.scenes_billed == [0, 1, 1, 1, 2]


def test_every_attempt_of_a_scene_has_another_seed_and_all_scenes_begin_with_one() -> None:
    bench = Bench(FakeRenderer(answers={0: [FILTERED]}), planned_job_data(scenes=2))

    bench.run()

    first, second, again = bench.renderer.seeds
    assert first == second
    assert again != first


def test_scenes_on_order_are_brought_home_before_the_job_fails() -> None:
    refused = Refused("PROVIDER_ERROR", "no", is_retryable=False)
    renderer = FakeRenderer(answers={0: [refused]}, group_size=3)
    bench = Bench(renderer)

    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert [task.clip_key is not None for task in bench.turn.job.tasks] == [False, True, True]


def test_retry_pays_only_for_the_scene_that_failed() -> None:
    bench = Bench(FakeRenderer(answers={2: [FILTERED, FILTERED]}, group_size=8), planned_job_data(scenes=8))
    failed = bench.run()
    billed_before = bench.scenes_billed

    bench.turn.apply(retry_patch(bench.turn.job, [BeatEdit(scene_index=2, visual_prompt="a calm harbour")]))
    outcome = bench.run()

    assert isinstance(failed, Fail)
    assert failed.failure.user_action == "edit_scene"
    assert outcome == Advance("rendered")
    assert bench.scenes_billed == sorted([*billed_before, 2])
    assert bench.renderer.prompts[-1].startswith("a calm harbour")


def test_a_retry_without_an_edit_buys_one_more_attempt() -> None:
    bench = Bench(FakeRenderer(answers={0: [BROKEN] * 9}), planned_job_data(scenes=1))
    bench.run()

    bench.turn.apply(retry_patch(bench.turn.job, []))
    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert bench.scenes_billed == [0, 0, 0, 0]


def test_a_lost_operation_whose_clip_lies_under_its_prefix_is_not_ordered_again() -> None:
    bench = Bench(FakeRenderer(answers={0: [OperationLost()]}), planned_job_data(scenes=1))

    outcome = bench.run()

    assert outcome == Advance("rendered")
    assert bench.scenes_billed == [0]


class Emptied(FakeRenderer):
    """Its finished clips are not there when they are fetched, so often."""

    gone = 0

    def fetch(self, clip: Clip, destination: Path) -> None:
        if self.gone:
            self.gone -= 1
            raise PermanentError("CLIP_GONE", "no longer in the bucket")
        super().fetch(clip, destination)


def test_a_finished_clip_that_is_gone_for_good_is_ordered_again() -> None:
    """Of a job that is retried after the bucket's rule removed its clips, no look would ever bring one home."""
    renderer = Emptied()
    renderer.gone = LOST_LOOKS
    bench = Bench(renderer, planned_job_data(scenes=1))

    assert bench.run() == Advance("rendered")
    assert bench.scenes_billed == [0, 0]
    assert bench.turn.job.tasks[0].attempts["001"].outcome == "lost"


def test_a_finished_clip_that_is_missed_for_a_moment_is_not_ordered_again() -> None:
    renderer = Emptied()
    renderer.gone = LOST_LOOKS - 1
    bench = Bench(renderer, planned_job_data(scenes=1))

    assert bench.run() == Advance("rendered")
    assert bench.scenes_billed == [0]


def test_a_poll_that_fails_costs_no_attempt() -> None:
    bench = Bench(FakeRenderer(), planned_job_data(scenes=1))
    bench.step()
    bench.renderer.poll_error = TransientError("PROVIDER_UNAVAILABLE", "503")

    waited = [bench.step() for _ in range(POLL_ERRORS_LIMIT - 1)]
    bench.renderer.poll_error = None
    outcome = bench.run()

    assert all(isinstance(outcome, Wait) for outcome in waited)
    assert outcome == Advance("rendered")
    assert bench.scenes_billed == [0]


def test_polls_that_never_succeed_fail_the_scene_and_a_retry_looks_again_before_it_orders() -> None:
    bench = Bench(FakeRenderer(), planned_job_data(scenes=1))
    bench.step()
    bench.renderer.poll_error = TransientError("PROVIDER_UNAVAILABLE", "503")

    failed = bench.run()
    bench.renderer.poll_error = None
    bench.turn.apply(retry_patch(bench.turn.job, []))
    outcome = bench.run()

    assert isinstance(failed, Fail)
    assert outcome == Advance("rendered")
    assert bench.scenes_billed == [0]


def test_the_cost_limit_is_kept_with_everything_ever_submitted_counted() -> None:
    # A beat of 5 s orders 6 s at $0.10: $0.60 each.  The second attempt of scene 0 would pass the limit.
    data = planned_job_data(scenes=3, options=Options(max_cost_usd=1.8))
    bench = Bench(FakeRenderer(answers={0: [BROKEN]}), data)

    outcome = bench.run()

    assert isinstance(outcome, Fail)
    assert outcome.failure.code == "COST_LIMIT_REACHED"
    assert bench.scenes_billed == [0, 1, 2]


def test_a_raised_limit_lets_the_retry_go_on() -> None:
    data = planned_job_data(scenes=3, options=Options(max_cost_usd=1.8))
    bench = Bench(FakeRenderer(answers={0: [BROKEN]}), data)
    bench.run()

    bench.turn.apply(retry_patch(bench.turn.job, [], max_cost_usd=3.0))
    outcome = bench.run()

    assert outcome == Advance("rendered")
    assert bench.scenes_billed == [0, 0, 1, 2]


def test_once_the_job_is_cancelled_the_rest_of_a_group_is_not_sent() -> None:
    # One write is the intents' checkpoint; the first recorded fact learns of the cancel.
    bench = Bench(FakeRenderer(group_size=4), planned_job_data(scenes=4))
    bench.turn.writes_until_cancelled = 2
    bench.renderer.at_submit = {}

    with pytest.raises(LeaseLostError):
        bench.run()

    operations = [a.operation for task in bench.turn.job.tasks for a in task.attempts.values()]
    assert len(operations) == 4
    assert all(operations), "every submission is known, or known not to have been sent"
    assert len(bench.renderer.bill) == sum(operation != NOT_ACCEPTED for operation in operations)


def test_nothing_is_begun_that_the_turn_has_no_time_for() -> None:
    bench = Bench(FakeRenderer(), planned_job_data(scenes=1))
    bench.turn = replace(bench.turn, time_left=FETCH_TIME / 2)

    outcome = bench.step()

    assert outcome == Wait(timedelta(0))
    assert bench.renderer.bill == []


def test_a_finished_clip_is_remembered_before_the_next_one_is_looked_at() -> None:
    bench = Bench(FakeRenderer(), planned_job_data(scenes=2))
    bench.step()
    bench.turn.writes_until_cancelled = 1

    with pytest.raises(LeaseLostError):
        bench.step()

    assert [task.clip_key is not None for task in bench.turn.job.tasks] == [True, False]


def test_waiting_for_a_day_does_not_grow_the_record() -> None:
    full = NotAcceptedError("PROVIDER_QUOTA", "429", is_retryable=True)
    bench = Bench(FakeRenderer(at_submit=dict.fromkeys(range(1, 2000), full)), planned_job_data(scenes=1))

    for _ in range(1440):
        bench.step()

    assert len(bench.turn.job.tasks[0].attempts) == 1
