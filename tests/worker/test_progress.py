from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count, pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from statemachine import NOT_ACCEPTED, Engine, Event, Execution, Failure, JsonValue, PermanentError
from statemachine.errors import StateMachineError
from statemachine.execution import Lease, apply_patch
from statemachine.memory import MemoryDispatcher, MemoryStore
from tests.worker.fakes import (
    FAKE_MODEL,
    NOON,
    FakeAssembler,
    FakeMediaStore,
    FakePlanner,
    FakeRenderer,
    FakeTranscriber,
    job_data,
    planned_job_data,
    spoken,
)
from worker.beats import PREFERRED_SECONDS
from worker.edits import BeatEdit, retry_patch
from worker.job import Job, Options
from worker.pipeline import pipeline
from worker.ports import Clip, NotAcceptedError, OperationLost, Refused
from worker.progress import (
    BANDS,
    LOCAL,
    TYPICAL_SCENE_SECONDS,
    Profile,
    Progress,
    StepProgress,
    TimeLeft,
    progress,
    vendor_profile,
)
from worker.steps.render import RenderPorts

VENDOR = vendor_profile(FAKE_MODEL, concurrency=4)
FULL = NotAcceptedError("PROVIDER_QUOTA", "429", is_retryable=True)
DOWN = NotAcceptedError("PROVIDER_UNAVAILABLE", "no route", is_retryable=True)
FILTERED = Refused("CONTENT_FILTERED", "violence", is_retryable=True)
BROKEN = Refused("PROVIDER_ERROR", "internal server issue", is_retryable=True)


class MovedClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.moment = NOON

    def now(self) -> datetime:
        return self.moment

    def sleep(self, delay: timedelta) -> None:
        self.moment += delay


class WatchedJob:
    """One job on the real machine and engine, with fake parts; every look at its progress is kept."""

    def __init__(self, renderer: FakeRenderer, *, duration_seconds: float, options: Options, polls: int) -> None:
        self.clock = MovedClock()
        self.store = MemoryStore()
        media = FakeMediaStore()
        media.write(b"recording", "uploads/story.mp3")
        ids = count(1)
        parts = RenderPorts(
            renderer, FakeAssembler(duration_seconds=duration_seconds), media, lambda: f"intent-{next(ids)}"
        )
        machine = pipeline(
            transcriber=FakeTranscriber(spoken("the storm came in the night", seconds=duration_seconds), polls=polls),
            planner=FakePlanner(),
            parts=parts,
            longest_recording=timedelta(minutes=10),
            transcribing_turn=timedelta(minutes=3),
            rendering_turn=timedelta(minutes=2),
        )
        self.engine = Engine(machine, store=self.store, dispatcher=MemoryDispatcher(), clock=self.clock)
        self.seen: list[Progress] = []
        self.statuses: list[str] = []
        self.engine.start("job-1", job_data(options=options))
        self.look()

    @property
    def execution(self) -> Execution:
        return self.store.get("job-1")

    @property
    def job(self) -> Job:
        return Job.model_validate(self.execution.data)

    def look(self) -> Progress:
        self.statuses.append(self.execution.status)
        self.seen.append(progress(self.execution, self.job, self.clock.now(), VENDOR))
        return self.seen[-1]

    def do(self, action: str) -> None:
        if action == "turn":
            self.engine.run_turn(Event("job-1", self.execution.version))
        elif action == "killed_turn":
            self.store.lease(
                "job-1",
                version=self.execution.version,
                owner="killed",
                now=self.clock.now(),
                at_most=timedelta(seconds=10),
                margin=timedelta(0),
            )
        elif action == "retried":
            edits = [
                BeatEdit(scene_index=task.scene_index, visual_prompt="something milder")
                for task in self.job.tasks
                if task.error_code == "CONTENT_FILTERED" and task.open_attempt is None
            ]
            self.engine.signal("job-1", "retried", patch=retry_patch(self.job, edits))
        else:
            self.engine.signal("job-1", action)

    def run(self) -> None:
        """Until nothing is left to do, looking after every turn."""
        while (due_at := self.execution.due_at) is not None:
            self.clock.moment = max(self.clock.moment, due_at)
            self.do("turn")
            self.look()


ACTIONS = st.sampled_from(["turn"] * 8 + ["killed_turn", "cancelled", "retried", "retried", "approved"])
SPANS = st.sampled_from([0.0, 0.4, 1.0, 7.0, 15.0, 31.0, 61.0, 130.0, 700.0])
REFUSALS = st.lists(st.sampled_from([FILTERED, BROKEN]), max_size=4)


@settings(max_examples=60)
@given(
    duration_seconds=st.sampled_from([0.6, 9.0, 31.0, 118.0]),
    is_reviewed=st.booleans(),
    transcription_polls=st.integers(0, 3),
    renderer_polls=st.integers(0, 3),
    refusals=st.dictionaries(st.integers(0, 4), REFUSALS, max_size=3),
    not_accepted=st.dictionaries(st.integers(1, 8), st.sampled_from([FULL, DOWN]), max_size=5),
    events=st.lists(st.tuples(SPANS, ACTIONS), max_size=40),
)
def test_percent_never_falls_whatever_happens(  # noqa: PLR0913, PLR0917, RUF100 - one argument for each thing that varies
    duration_seconds: float,
    is_reviewed: bool,  # noqa: FBT001 - given by name, by hypothesis
    transcription_polls: int,
    renderer_polls: int,
    refusals: dict[int, list[Clip | Refused | OperationLost | None]],
    not_accepted: dict[int, Exception],
    events: list[tuple[float, str]],
) -> None:
    watched = WatchedJob(
        FakeRenderer(polls=renderer_polls, answers=refusals, at_submit=not_accepted),
        duration_seconds=duration_seconds,
        options=Options(review_before_render=is_reviewed),
        polls=transcription_polls,
    )

    for seconds, action in events:
        watched.clock.sleep(timedelta(seconds=seconds))
        watched.look()
        try:
            watched.do(action)
        except (StateMachineError, PermanentError):
            continue  # this state knows no such event, or a lease stands: nothing happened
        watched.look()
    watched.run()

    percents = [look.percent for look in watched.seen]
    assert all(before <= after for before, after in pairwise(percents))
    assert all(
        look.percent == 100 if status == "completed" else 0 <= look.percent <= 99
        for status, look in zip(watched.statuses, watched.seen, strict=True)
    )
    assert all(look.eta is None or 0 <= look.eta.low_seconds <= look.eta.high_seconds for look in watched.seen)
    assert all(1 <= look.step_index <= look.step_count for look in watched.seen)


def test_a_whole_job_ends_with_a_hundred() -> None:
    watched = a_watched_job(FakeRenderer(polls=2))

    watched.run()

    assert watched.execution.status == "completed"
    assert watched.look().percent == 100
    assert [step.status for step in watched.look().steps] == ["completed"] * 4


@settings(max_examples=50)
@given(done=st.sets(st.integers(0, 5)), more=st.integers(0, 5), elapsed=st.floats(0, 4000))
def test_another_finished_scene_never_lowers_the_percent(done: set[int], more: int, elapsed: float) -> None:
    assume(more not in done)
    ordered = dict.fromkeys(range(6), 0.0)
    now = NOON + timedelta(seconds=elapsed)

    before = looked_at(rendering(ordered, done=done), now)
    after = looked_at(rendering(ordered, done={*done, more}), now)

    assert after.percent >= before.percent
    assert after.scenes_done == before.scenes_done + 1


@settings(max_examples=50)
@given(later=st.floats(0, 3000), elapsed=st.floats(0, 3000))
def test_another_attempt_never_lowers_the_percent(later: float, elapsed: float) -> None:
    once = rendering({0: 0.0})
    twice = with_data(once, {("vertex_ai_tasks", "000", "attempts", "002"): an_attempt(later)})
    now = NOON + timedelta(seconds=elapsed)

    assert looked_at(twice, now).percent >= looked_at(once, now).percent


def test_the_same_record_at_the_same_moment_gives_the_same_answer() -> None:
    execution = rendering({0: 3.0, 1: 4.0}, done={2})

    answers = {repr(looked_at(execution, NOON + timedelta(seconds=40))) for _ in range(3)}

    assert len(answers) == 1


def test_before_the_recording_is_measured_nothing_is_claimed() -> None:
    look = looked_at(an_execution("transcribing", job_data()), NOON + timedelta(minutes=2))

    assert (look.percent, look.eta, look.scenes_total, look.basis) == (0, None, None, "estimated")


def test_an_order_that_was_not_accepted_counts_for_nothing() -> None:
    """It makes room for the next attempt, so time counted on it would be taken away again."""
    refused = with_data(
        rendering({}), {("vertex_ai_tasks", "000", "attempts", "001"): an_attempt(0.0, operation=NOT_ACCEPTED)}
    )

    assert looked_at(refused, NOON + timedelta(minutes=5)).percent == looked_at(rendering({}), NOON).percent


def test_scenes_that_are_ordered_together_but_made_by_twos_do_not_all_count_as_half_done() -> None:
    by_twos = replace(VENDOR, concurrency=2)
    now = NOON + timedelta(seconds=VENDOR.clip.fixed.p50_seconds)

    def percent(*ordered: int) -> int:
        execution = rendering(dict.fromkeys(ordered, 0.0))
        return progress(execution, Job.model_validate(execution.data), now, by_twos).percent

    nothing, two, six = percent(), percent(0, 1), percent(*range(6))
    assert two > nothing
    assert two < six < nothing + 2.2 * (two - nothing), "the third pair has hardly begun"


def test_a_failed_job_stands_still() -> None:
    failed = replace(
        rendering({0: 0.0}),
        state="failed",
        status="failed",
        failed_in="rendering",
        entered_at=NOON + timedelta(seconds=30),
        failure=Failure("PROVIDER_ERROR", "scene 1"),
        deadline_at=None,
        due_at=None,
    )

    soon, late = (looked_at(failed, NOON + timedelta(seconds=seconds)) for seconds in (31, 90_000))

    assert soon == late
    assert (soon.step_index, soon.elapsed_seconds, soon.eta) == (3, 30.0, None)


def test_time_left_counts_down_while_work_is_on_track() -> None:
    execution = rendering({0: 0.0, 1: 0.0, 2: 0.0, 3: 0.0})

    early, later = (looked_at(execution, NOON + timedelta(seconds=seconds)).eta for seconds in (0, 20))

    assert early is not None
    assert later is not None
    assert (later.low_seconds, later.high_seconds) == pytest.approx(
        (early.low_seconds - 20, early.high_seconds - 20), abs=0.01
    )


def test_a_new_attempt_raises_the_time_left() -> None:
    once = rendering({0: 0.0})
    ended = with_data(once, {("vertex_ai_tasks", "000", "attempts", "001", "outcome"): "failed"})
    twice = with_data(ended, {("vertex_ai_tasks", "000", "attempts", "002"): an_attempt(40.0)})
    now = NOON + timedelta(seconds=41)

    before, after = looked_at(once, now).eta, looked_at(twice, now).eta

    assert before is not None
    assert after is not None
    assert after.high_seconds > before.high_seconds


def test_a_narrow_quota_lengthens_the_time_left() -> None:
    narrow = replace(VENDOR, per_minute=1)
    execution = rendering({})
    job = Job.model_validate(execution.data)

    wide_eta, narrow_eta = (progress(execution, job, NOON, profile).eta for profile in (VENDOR, narrow))

    assert wide_eta is not None
    assert narrow_eta is not None
    assert narrow_eta.low_seconds >= wide_eta.low_seconds + 60


def test_time_left_is_frozen_while_the_vendor_takes_nothing() -> None:
    queued = replace(rendering({}), waiting_for="quota", due_at=NOON + timedelta(minutes=1))

    early, late = (looked_at(queued, NOON + timedelta(seconds=seconds)) for seconds in (1, 55))

    assert early.pace == late.pace == "waiting_for_quota"
    assert early.eta == late.eta
    assert isinstance(early.eta, TimeLeft)


def test_nothing_is_promised_once_it_takes_longer_than_usual() -> None:
    look = looked_at(rendering({0: 0.0}), NOON + timedelta(minutes=20))

    assert (look.pace, look.eta) == ("longer_than_usual", None)


def test_free_waits_do_not_make_a_job_late() -> None:
    waited = replace(rendering({}), freely_waited_seconds=1200.0)

    assert looked_at(waited, NOON + timedelta(minutes=20)).pace == "on_track"


def test_past_the_median_of_the_last_phase_it_finishes_soon() -> None:
    execution = an_execution("assembling", planned_job_data())

    assert looked_at(execution, NOON + timedelta(seconds=1)).pace == "on_track"
    assert looked_at(execution, NOON + timedelta(seconds=15)).pace == "finishing_soon"


@pytest.mark.parametrize(("seconds", "pace"), [(89, "on_track"), (91, "stalled")])
def test_due_and_nobody_came_is_stalled_after_90_seconds(seconds: int, pace: str) -> None:
    execution = replace(rendering({0: 0.0}), due_at=NOON)

    assert looked_at(execution, NOON + timedelta(seconds=seconds)).pace == pace


@pytest.mark.parametrize(("seconds", "pace"), [(19, "on_track"), (21, "stalled")])
def test_a_deadline_passed_is_stalled_after_20_seconds(seconds: int, pace: str) -> None:
    execution = replace(rendering({0: 0.0}), deadline_at=NOON)

    assert looked_at(execution, NOON + timedelta(seconds=seconds)).pace == pace


def test_a_turn_at_work_is_not_stalled() -> None:
    until = NOON + timedelta(minutes=2)
    execution = replace(rendering({0: 0.0}), due_at=NOON, deadline_at=NOON, lease=Lease("turn", until))

    assert looked_at(execution, until - timedelta(seconds=1)).pace == "on_track"
    assert looked_at(execution, until + timedelta(seconds=1)).pace == "stalled"


def test_a_job_that_waits_for_a_person_is_at_rest() -> None:
    watched = a_watched_job(FakeRenderer(), options=Options(review_before_render=True))

    watched.run()
    watched.clock.sleep(timedelta(days=3))
    look = watched.look()

    assert watched.execution.state == "reviewing"
    assert (look.pace, look.eta, look.basis) == ("on_track", None, "measured")
    assert (look.step_index, look.step_count) == (3, 5)


def test_a_state_that_only_another_version_knows_keeps_what_is_done() -> None:
    known = rendering({}, done={0, 1, 2, 3, 4, 5})

    parked = looked_at(replace(known, state="colouring"), NOON)

    assert parked.percent == looked_at(known, NOON).percent > 0
    assert parked.step_index == 3


def test_steps_tell_what_went_wrong_where() -> None:
    trouble: dict[str, JsonValue] = {"code": "PROVIDER_UNAVAILABLE", "message": "no route", "user_action": "retry"}
    execution = with_data(
        rendering({}),
        {("processing_steps", "rendering", "error"): trouble, ("processing_steps", "rendering", "attempt"): 2},
    )

    steps = looked_at(execution, NOON).steps

    assert steps[2] == StepProgress("rendering", "processing", started_at=NOON, attempt=2, error=trouble)
    assert steps[3] == StepProgress("assembling", "waiting")


def test_the_json_form_holds_what_a_page_needs() -> None:
    look = looked_at(rendering({0: 0.0}, done={1}), NOON + timedelta(seconds=10))

    assert look.as_json() == {
        "percent": look.percent,
        "basis": "measured",
        "step_index": 3,
        "step_count": 4,
        "scenes_done": 1,
        "scenes_total": 6,
        "elapsed_seconds": 10,
        "eta_seconds": {"low": 63, "high": 170},
        "pace": "on_track",
    }


def test_scenes_are_expected_as_long_as_beats_are_cut() -> None:
    assert TYPICAL_SCENE_SECONDS == PREFERRED_SECONDS


@pytest.mark.parametrize("profile", [LOCAL, VENDOR])
def test_nine_of_ten_never_takes_less_than_half_of_all(profile: Profile) -> None:
    for effort in (profile.transcribing, profile.planning, profile.clip, profile.assembling):
        for seconds in (0.5, 60.0, 600.0):
            assert 0 < effort.of(seconds).p50_seconds <= effort.of(seconds).p90_seconds


def a_watched_job(renderer: FakeRenderer, *, options: Options | None = None) -> WatchedJob:
    return WatchedJob(renderer, duration_seconds=30.0, options=options or Options(), polls=1)


def an_execution(state: str, data: Mapping[str, JsonValue]) -> Execution:
    """A job that entered `state` at noon, with everything before it done in no time."""
    done = BANDS[: BANDS.index(state)]
    history: dict[str, JsonValue] = {
        name: {"status": "completed", "started_at": NOON.isoformat(), "completed_at": NOON.isoformat()} for name in done
    }
    history[state] = {"status": "processing", "started_at": NOON.isoformat()}
    return Execution(
        execution_id="job-1",
        machine="ai-video",
        graph="",
        state=state,
        status="processing",
        run_id="run-1",
        started_at=NOON,
        entered_at=NOON,
        updated_at=NOON,
        data={**data, "processing_steps": history},
    )


def rendering(ordered: Mapping[int, float], *, done: set[int] | None = None) -> Execution:
    """Six scenes in the making; those `ordered` so many seconds after noon are on order, those `done` have a clip."""
    execution = an_execution("rendering", planned_job_data(scenes=6))
    for index, seconds in ordered.items():
        execution = with_data(execution, {("vertex_ai_tasks", f"{index:03d}", "attempts", "001"): an_attempt(seconds)})
    for index in done or ():
        execution = with_data(execution, {("vertex_ai_tasks", f"{index:03d}", "clip_key"): f"clip-{index}"})
    return execution


def an_attempt(seconds: float, *, operation: str = "operations/1") -> JsonValue:
    moment = (NOON + timedelta(seconds=seconds)).isoformat()
    return {
        "intent_id": f"intent-{seconds}",
        "prefix": "renders/",
        "beat_revision": 1,
        "model": "fake",
        "seconds": 6.0,
        "seed": 1,
        "price_usd": 0.6,
        "intended_at": moment,
        "watch_from": moment,
        "operation": operation,
    }


def with_data(execution: Execution, patch: Mapping[tuple[str, ...], JsonValue]) -> Execution:
    return replace(execution, data=apply_patch(execution.data, patch))


def looked_at(execution: Execution, now: datetime) -> Progress:
    return progress(execution, Job.model_validate(execution.data), now, VENDOR)
