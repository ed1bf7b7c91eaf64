"""The whole machine with fakes behind its ports, one turn at a time under virtual time."""

from datetime import timedelta
from itertools import count

import pytest

from statemachine import Execution, Failure
from statemachine.errors import EventNotAllowedError, LeaseHeldError
from statemachine.testing import Stepper
from tests.worker.fakes import (
    FakeAssembler,
    FakeMediaStore,
    FakePlanner,
    FakeRenderer,
    FakeTranscriber,
    job_data,
    spoken,
)
from worker.edits import BeatEdit, approve_patch, retry_patch
from worker.job import Job, Options
from worker.pipeline import pipeline
from worker.ports import Refused
from worker.steps.render import RenderPorts

STORY = spoken("the keeper climbed the stairs and lit the lamp . " * 6, seconds=40.0)
FILTERED = Refused("CONTENT_FILTERED", "violence", is_retryable=True, category="violence")


class World:
    """One job and everybody it speaks to."""

    def __init__(self, renderer: FakeRenderer | None = None, *, options: Options | None = None) -> None:
        self.media = FakeMediaStore()
        self.media.write(b"a recording", "uploads/story.mp3")
        self.renderer = renderer or FakeRenderer(polls=2)
        self.transcriber = FakeTranscriber(STORY, polls=2)
        self.planner = FakePlanner()
        ids = count(1)
        machine = pipeline(
            transcriber=self.transcriber,
            planner=self.planner,
            parts=RenderPorts(
                self.renderer, FakeAssembler(duration_seconds=40.0), self.media, lambda: f"intent-{next(ids)}"
            ),
            longest_recording=timedelta(minutes=10),
            transcribing_turn=timedelta(minutes=3),
            rendering_turn=timedelta(minutes=2),
        )
        self.stepper = Stepper(machine, execution_id="job-1", time_left=timedelta(minutes=15))
        self.stepper.start(job_data(options=options))

    @property
    def job(self) -> Job:
        return Job.model_validate(self.stepper.data)

    @property
    def failure(self) -> Failure:
        failure = self.stepper.execution.failure
        assert failure is not None
        return failure

    def states_passed(self) -> list[str]:
        """Step to the end; every state in which the execution was seen."""
        seen = [self.stepper.state]
        while self.stepper.execution.due_at is not None:
            if not self.stepper.events:
                self.stepper.advance(max(self._until_due(), timedelta(0)))
            self.stepper.step()
            if seen[-1] != self.stepper.state:
                seen.append(self.stepper.state)
        return seen

    def _until_due(self) -> timedelta:
        execution: Execution = self.stepper.execution
        assert execution.due_at is not None
        return execution.due_at - self.stepper.clock.now()


def test_a_recording_becomes_a_video_state_by_state() -> None:
    world = World()

    assert world.states_passed() == ["transcribing", "planning", "rendering", "assembling", "completed"]
    assert world.job.final_video_url is not None
    assert world.stepper.execution.status == "completed"
    assert sorted(scene for scene, _ in world.renderer.bill) == list(range(len(world.job.beats)))


def test_the_record_holds_the_five_parts_that_the_platform_knows() -> None:
    world = World()

    world.stepper.run()

    parts = {"audio_transcription", "scene_beats", "vertex_ai_tasks", "processing_steps", "final_video_url"}
    assert parts <= set(world.stepper.data)


def test_every_step_leaves_its_history() -> None:
    world = World()

    world.stepper.run()

    history = world.stepper.data["processing_steps"]
    assert isinstance(history, dict)
    assert {name: entry["status"] for name, entry in history.items()} == dict.fromkeys(
        ["transcribing", "planning", "rendering", "assembling"], "completed"
    )
    assert all(entry["started_at"] <= entry["completed_at"] for entry in history.values())


def test_a_review_waits_for_a_person_and_renders_what_the_person_wrote() -> None:
    world = World(options=Options(review_before_render=True))
    waiting = world.stepper.run()

    edit = BeatEdit(scene_index=1, visual_prompt="a calm harbour")
    world.stepper.signal("approved", patch=approve_patch(world.job, [edit]), expected_version=waiting.version)
    done = world.stepper.run()

    assert (waiting.state, waiting.due_at) == ("reviewing", None)
    assert done.state == "completed"
    assert any(prompt.startswith("a calm harbour") for prompt in world.renderer.prompts)


def test_a_filtered_scene_fails_the_job_and_a_retry_pays_for_that_scene_alone() -> None:
    world = World(FakeRenderer(answers={3: [FILTERED] * 2}))
    world.stepper.run()
    paid = len(world.renderer.bill)
    failure = world.failure

    edit = BeatEdit(scene_index=3, visual_prompt="a calm harbour")
    world.stepper.signal("retried", patch=retry_patch(world.job, [edit]))
    done = world.stepper.run()

    assert (failure.code, failure.state, failure.user_action) == ("CONTENT_FILTERED", "rendering", "edit_scene")
    assert failure.details["scene_index"] == 3
    assert done.state == "completed"
    assert [scene for scene, _ in world.renderer.bill[paid:]] == [3]
    assert world.planner.plans == 1


def test_a_retry_goes_back_to_the_state_that_failed_with_everything_kept() -> None:
    world = World(FakeRenderer(answers={0: [FILTERED] * 3}))
    world.stepper.run()
    beats = world.job.beats

    edit = BeatEdit(scene_index=0, visual_prompt="a calm harbour")
    retried = world.stepper.signal("retried", patch=retry_patch(world.job, [edit]))

    assert retried.state == "rendering"
    assert world.job.beats[1:] == beats[1:]
    assert world.transcriber.started == ["job-1-run-1-1"]


@pytest.mark.parametrize("state", ["transcribing", "planning", "rendering", "assembling"])
def test_a_cancel_ends_every_working_state_and_can_be_taken_back(state: str) -> None:
    world = World()
    world.stepper.run_until(state)

    cancelled = world.stepper.signal("cancelled")
    billed = len(world.renderer.bill)
    world.stepper.advance(timedelta(hours=1))
    world.stepper.sweep()
    while world.stepper.events:
        world.stepper.step()
    still = world.stepper.state
    billed_after = len(world.renderer.bill)
    world.stepper.signal("retried", patch=retry_patch(world.job, []))
    done = world.stepper.run()

    assert (cancelled.state, world_code(cancelled)) == ("failed", "CANCELLED")
    assert (still, billed_after) == ("failed", billed)
    assert done.state == "completed"


def world_code(execution: Execution) -> str:
    assert execution.failure is not None
    return execution.failure.code


def test_a_job_that_is_done_can_be_neither_approved_nor_retried() -> None:
    world = World()
    world.stepper.run()

    for event in ("approved", "retried", "cancelled"):
        with pytest.raises(EventNotAllowedError):
            world.stepper.signal(event)


def test_resuming_a_job_that_is_being_worked_on_is_refused() -> None:
    world = World()
    execution = world.stepper.execution
    world.stepper.store.lease(
        "job-1",
        version=execution.version,
        owner="somebody",
        now=world.stepper.clock.now(),
        at_most=timedelta(minutes=1),
        margin=timedelta(0),
    )

    with pytest.raises(LeaseHeldError):
        world.stepper.engine.resume("job-1")


def test_the_time_for_rendering_grows_with_the_number_of_scenes() -> None:
    world = World()
    world.stepper.run_until("rendering")

    execution = world.stepper.execution
    assert execution.deadline_at is not None
    scenes = len(world.job.beats)
    assert execution.deadline_at - execution.entered_at == timedelta(minutes=30 + 6 * scenes)
