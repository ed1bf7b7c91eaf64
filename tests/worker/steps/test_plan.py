from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from statemachine import Advance, PermanentError, TransientError, Wait
from tests.worker.fakes import FAKE_MODEL, FakeMediaStore, FakePlanner, FakeTurn, job_data, spoken
from worker.job import BeatSlot, Options, Transcript, WholePrompts
from worker.ports import ScenePlan
from worker.steps.plan import PROMPT_LIMIT, plan

SPOKEN = spoken("the old lighthouse stood alone on the edge of the sea", seconds=20.0)


def a_turn(*, options: Options | None = None) -> FakeTurn:
    data = job_data(options=options)
    data["recording"] = {"key": "uploads/story.mp3", "filename": "story.mp3", "duration_seconds": 20.0}
    data["audio_transcription"] = {"full_json_s3_key": "transcript.json"}
    return FakeTurn(data)


def media() -> FakeMediaStore:
    store = FakeMediaStore()
    store.write(SPOKEN.model_dump_json().encode(), "transcript.json")
    return store


def test_beats_cover_the_recording_and_every_scene_gets_a_task() -> None:
    turn = a_turn()

    outcome = plan(turn.job, turn=turn, planner=FakePlanner(), media=media(), model=FAKE_MODEL)
    assert isinstance(outcome, Advance)
    turn.apply(outcome.patch)

    beats = turn.job.beats
    assert (beats[0].start_seconds, beats[-1].end_seconds) == (0.0, 20.0)
    assert all(one.end_seconds == other.start_seconds for one, other in pairwise(beats))
    assert [task.status for task in turn.job.tasks] == ["waiting"] * len(beats)
    assert (turn.job.title, turn.job.style_bible) == ("A story", "in watercolour")


@pytest.mark.parametrize(("review", "event"), [(False, "planned"), (True, "drafted")])
def test_a_review_is_made_when_it_was_asked_for(review: bool, event: str) -> None:  # noqa: FBT001  a parametrised fact
    turn = a_turn(options=Options(review_before_render=review))

    outcome = plan(turn.job, turn=turn, planner=FakePlanner(), media=media(), model=FAKE_MODEL)

    assert isinstance(outcome, Advance)
    assert outcome.event == event


def test_scenes_that_cost_more_than_the_limit_are_refused_with_both_figures_before_anybody_plans_them() -> None:
    turn, planner = a_turn(options=Options(max_cost_usd=0.5)), FakePlanner()

    with pytest.raises(PermanentError, match=r"cost \$\d\.\d\d, and the limit is \$0.50") as raised:
        plan(turn.job, turn=turn, planner=planner, media=media(), model=FAKE_MODEL)

    assert planner.plans == 0
    assert (raised.value.code, raised.value.user_action) == ("COST_LIMIT_REACHED", "raise_limit")
    assert raised.value.details == {"price_usd": pytest.approx(2.2), "limit_usd": 0.5}


def test_a_plan_that_costs_exactly_the_limit_is_not_refused_for_a_rounding() -> None:
    """Clips of 8, 8 and 6 s at $0.10 add up to 2.2000000000000002."""
    turn = a_turn(options=Options(max_cost_usd=2.2))

    outcome = plan(turn.job, turn=turn, planner=FakePlanner(), media=media(), model=FAKE_MODEL)

    assert isinstance(outcome, Advance)


class WrongPlanner(FakePlanner):
    """Moves, loses or empties a scene."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def plan(
        self, slots: Sequence[BeatSlot], *, transcript: Transcript, options: Options, time_left: timedelta
    ) -> ScenePlan:
        right = super().plan(slots, transcript=transcript, options=options, time_left=time_left)
        first, *others = right.beats
        changed = {
            "moved": [first.model_copy(update={"end_seconds": first.end_seconds + 1}), *others],
            "lost": others,
            "emptied": [first.model_copy(update={"visual_prompt": " "}), *others],
        }
        return replace(right, beats=tuple(changed[self.fault]))


@pytest.mark.parametrize("fault", ["moved", "lost", "emptied"])
def test_a_planner_that_changes_the_grid_or_leaves_a_scene_empty_is_refused(fault: str) -> None:
    turn = a_turn()

    with pytest.raises(PermanentError) as raised:
        plan(turn.job, turn=turn, planner=WrongPlanner(fault), media=media(), model=FAKE_MODEL)

    assert raised.value.code == "SCENE_PLAN_INVALID"


def test_a_job_without_a_transcript_cannot_be_planned() -> None:
    turn = FakeTurn(job_data())

    with pytest.raises(PermanentError, match="never measured or transcribed"):
        plan(turn.job, turn=turn, planner=FakePlanner(), media=media(), model=FAKE_MODEL)


class BusyPlanner(FakePlanner):
    """Has no quota left."""

    def plan(
        self, slots: Sequence[BeatSlot], *, transcript: Transcript, options: Options, time_left: timedelta
    ) -> ScenePlan:
        raise TransientError("PROVIDER_QUOTA", "429", retry_after=timedelta(seconds=20))


def test_a_full_quota_is_waited_for_and_no_attempt() -> None:
    turn = a_turn()

    outcome = plan(turn.job, turn=turn, planner=BusyPlanner(), media=media(), model=FAKE_MODEL)

    assert outcome == Wait(timedelta(seconds=20), waiting_for="quota")


def test_a_long_prompt_is_cut_in_the_record_and_whole_in_the_plan() -> None:
    class Wordy(FakePlanner):
        """Says more than a record holds."""

        def plan(
            self, slots: Sequence[BeatSlot], *, transcript: Transcript, options: Options, time_left: timedelta
        ) -> ScenePlan:
            right = super().plan(slots, transcript=transcript, options=options, time_left=time_left)
            wordy = (
                beat.model_copy(update={"visual_prompt": "a lighthouse in the storm, " * 20}) for beat in right.beats
            )
            return replace(right, beats=tuple(wordy))

    turn, store = a_turn(), media()

    outcome = plan(turn.job, turn=turn, planner=Wordy(), media=store, model=FAKE_MODEL)
    assert isinstance(outcome, Advance)
    turn.apply(outcome.patch)

    beat = turn.job.beats[0]
    assert beat.is_cut
    assert len(beat.visual_prompt) <= PROMPT_LIMIT
    whole = WholePrompts.model_validate_json(store.objects[turn.job.plan_key or ""])
    assert whole.prompts["000"] == "a lighthouse in the storm, " * 20
