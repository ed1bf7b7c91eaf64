"""The whole pipeline under faults at every boundary: no clip is paid for twice, and none that was paid for is lost.

The fakes behind the ports make every call as an effect of the explorer.  Orders are sent one at a time: the explorer
interleaves processes, and the threads of a group within one would not follow from its schedule.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from itertools import count

import pytest

from statemachine import Execution, TransientError
from statemachine.testing import Effects, Explorer, Scenario
from tests.worker.explored import ExploredRenderer
from tests.worker.fakes import (
    FakeAssembler,
    FakeMediaStore,
    FakePlanner,
    FakeTranscriber,
    job_data,
    spoken,
)
from worker.job import Job, Recording, Transcript
from worker.pipeline import pipeline
from worker.ports import NotAcceptedError
from worker.steps.render import RenderPorts

# A run of the pipeline takes some 20 ms, most of them in temporary folders; `make test` tries so many at random.
RANDOM_SCHEDULES = 60

ONE_SCENE, TWO_SCENES = 5.0, 10.0


class ExploredTranscriber(FakeTranscriber):
    """A transcriber at a boundary."""

    def __init__(self, effects: Effects, *, seconds: float) -> None:
        super().__init__(spoken("the keeper climbed the stairs and lit the lamp .", seconds=seconds))
        self._effects = effects

    def start(self, recording: Recording, *, job_id: str, language: str) -> str:
        return self._effects.call(
            "start transcription",
            lambda: FakeTranscriber.start(self, recording, job_id=job_id, language=language),
            lost=TransientError("PROVIDER_UNAVAILABLE", "no answer"),
        )

    def fetch(self, transcription_id: str, recording: Recording, *, time_left: timedelta) -> Transcript | None:
        return self._effects.call(
            "fetch transcript", lambda: FakeTranscriber.fetch(self, transcription_id, recording, time_left=time_left)
        )


def make_scenario(*, seconds: float) -> Scenario[Job]:
    """A new world: one recording, and everybody who makes a video of it."""
    effects = Effects()
    media = FakeMediaStore()
    media.write(b"a recording", "uploads/story.mp3")
    unreachable = NotAcceptedError("PROVIDER_UNAVAILABLE", "refused the connection", is_retryable=True)
    renderer = ExploredRenderer(effects, not_accepted=unreachable, group_size=1, polls=1)
    ids = count(1)

    def check(execution: Execution | None, _: Effects) -> Sequence[str]:
        paid = Counter(scene for scene, _intent in renderer.bill)
        wrong = [f"scene {scene} was paid for {times} times" for scene, times in paid.items() if times > 1]
        if execution is not None and execution.state == "completed":
            job = Job.model_validate(execution.data)
            wrong += [
                f"scene {task.scene_index} has no clip" for task in job.tasks if task.clip_key not in media.objects
            ]
            wrong += [] if job.final_video_url else ["there is no video"]
        return wrong

    return Scenario(
        pipeline(
            transcriber=ExploredTranscriber(effects, seconds=seconds),
            planner=FakePlanner(),
            parts=RenderPorts(renderer, FakeAssembler(duration_seconds=seconds), media, lambda: f"intent-{next(ids)}"),
            longest_recording=timedelta(minutes=10),
            transcribing_turn=timedelta(minutes=3),
            rendering_turn=timedelta(minutes=2),
        ),
        data=job_data(),
        effects=effects,
        signals={"cancelled": {}, "retried": {}},
        check=check,
    )


@pytest.mark.parametrize(("seconds", "scenes"), [(ONE_SCENE, 1), (TWO_SCENES, 2)])
def test_faultless_schedule_makes_the_video(seconds: float, scenes: int) -> None:
    scenario = make_scenario(seconds=seconds)

    run = Explorer(lambda: scenario).replay("-")

    assert (run.ending, run.wrong) == ("completed", None)
    assert len(scenario.effects.log) == scenes


def test_every_single_fault_at_every_boundary_is_survived() -> None:
    found = Explorer(partial(make_scenario, seconds=ONE_SCENE)).exhaust(faults=1)

    found.assert_sound()
    assert found.schedules > 150
    assert found.endings["completed"] > found.schedules / 2


def test_random_schedules_of_up_to_six_faults_are_survived() -> None:
    found = Explorer(partial(make_scenario, seconds=TWO_SCENES)).sample(RANDOM_SCHEDULES)

    found.assert_sound()
    assert found.endings["completed"] > RANDOM_SCHEDULES / 2


def test_vendor_whose_orders_cannot_be_found_again_is_paid_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is the limit of the claim, and the proof that this scenario would see it broken."""
    monkeypatch.setattr(ExploredRenderer, "find", lambda *_: None)

    found = Explorer(partial(make_scenario, seconds=ONE_SCENE)).exhaust(faults=1)

    assert [finding.shortest.wrong for finding in found.findings] == ["scene 0 was paid for 2 times"]
