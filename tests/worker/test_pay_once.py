"""Nothing is paid twice: the real step and engine, killed at every boundary, with the vendor's bill as witness.

The whole machine is explored in test_pipeline_explored.py.  Here it is rendering alone, with two scenes ordered in one
group, and the ways in which a vendor makes it hard.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count

import pytest

from statemachine import (
    BACK,
    NOT_ACCEPTED,
    Execution,
    Machine,
    RetryPolicy,
    Terminal,
    Transition,
    Working,
)
from statemachine.testing import Effects, Explorer, Scenario, Stepper, VirtualClock
from tests.simulators.fixtures import vendors
from tests.simulators.scenario import Filtered, Rule, Takes
from tests.simulators.vendors import Vendors
from tests.worker.explored import ExploredRenderer
from tests.worker.fakes import (
    FakeAssembler,
    FakeMediaStore,
    FakePlanner,
    FakeRenderer,
    FakeSoftener,
    FakeTranscriber,
    job_data,
    planned_job_data,
    spoken,
)
from worker.edits import BeatEdit, retry_patch
from worker.job import ClipAttempt, Job
from worker.models import VEO_3_1_FAST
from worker.pipeline import pipeline
from worker.ports import Clip, ClipRequest, NotAcceptedError, OperationLost, Refused
from worker.providers.google_credentials import from_key
from worker.providers.memory_quota import MemoryQuota
from worker.providers.veo import VeoRenderer, VertexProject
from worker.steps.render import RenderPorts, render

__all__ = ["vendors"]

FILTERED = Refused("CONTENT_FILTERED", "violence", is_retryable=True, category="violence")
BROKEN = Refused("PROVIDER_ERROR", "internal server issue", is_retryable=True)

RANDOM_SCHEDULES = 150

SECONDS = 48.0  # eight scenes

Answers = dict[int, list[Clip | Refused | OperationLost | None]]


class Vendor(ExploredRenderer):
    """Charges for what it accepts.  A clip lies under its prefix only after it was looked for `slow` times.

    An operation is asked about so many times, too, before it is done.
    """

    def __init__(self, effects: Effects, *, answers: Answers | None = None, slow: int = 1, **more: object) -> None:
        quota = NotAcceptedError("PROVIDER_QUOTA", "429", is_retryable=True)
        super().__init__(effects, not_accepted=quota, answers=answers or {}, polls=slow, group_size=2, **more)
        self._slow = slow
        self._finds: Counter[str] = Counter()

    def find(self, request: ClipRequest) -> str | Clip | None:
        def look() -> str | Clip | None:
            self._finds[request.intent_id] += 1
            found = FakeRenderer.find(self, request)
            return found if self._finds[request.intent_id] > self._slow else None

        return self._effects.call("find", look)


Check = Callable[[Vendor, Job], Sequence[str]]


def make_scenario(make_vendor: Callable[[Effects], Vendor], check: Check, *, scenes: int = 2) -> Scenario[Job]:
    """A new world: a planned job and its vendor."""
    effects = Effects()
    vendor, media, ids = make_vendor(effects), FakeMediaStore(), count(1)
    ports = RenderPorts(
        vendor,
        FakeAssembler(),
        media,
        lambda: f"intent-{next(ids)}",
        softener=FakeSoftener(),
        threads=1,  # one actor at a time is what makes a run repeatable
    )
    machine = Machine(
        "rendering",
        initial="rendering",
        states=[
            Working(
                "rendering",
                step=partial(render, ports=ports),
                deadline=timedelta(hours=2),
                max_turn=timedelta(minutes=2),
                retry=RetryPolicy(max_attempts=5),
            ),
            Terminal("completed"),
            Terminal("failed"),
        ],
        transitions=[
            Transition("rendered", "rendering", "completed"),
            Transition("failed", "rendering", "failed"),
            Transition("cancelled", "rendering", "failed"),
            Transition("retried", "failed", BACK),
        ],
        signals={"cancelled", "retried"},
        load=Job.model_validate,
    )

    def checked(execution: Execution | None, _: Effects) -> Sequence[str]:
        if execution is None:
            return ()
        job = Job.model_validate(execution.data)
        wrong = list(check(vendor, job))
        if execution.state == "completed":
            wrong += [f"scene {task.scene_index} has no clip" for task in job.tasks if not task.clip_key]
        return wrong

    return Scenario(
        machine,
        data=planned_job_data(scenes=scenes),
        effects=effects,
        signals={"cancelled": {}, "retried": {}},
        check=checked,
    )


def at_most(limits: dict[int, int], vendor: Vendor, job: Job) -> Sequence[str]:
    """No scene was paid for more often than its limit (1 where none is named)."""
    paid = Counter(scene for scene, _ in vendor.bill)
    return [f"scene {scene} was paid for {n} times" for scene, n in paid.items() if n > limits.get(scene, 1)]


def within_policy(vendor: Vendor, job: Job) -> Sequence[str]:
    """At most three accepted, or possibly accepted, submissions; and the record knows of every one that was."""
    wrong = []
    known = {attempt.intent_id for task in job.tasks for attempt in task.attempts.values()}
    for task in job.tasks:
        paid = sum(scene == task.scene_index for scene, _ in vendor.bill)
        counted = sum(_counts(attempt) for attempt in task.attempts.values())
        wrong += [f"scene {task.scene_index} was paid for {paid} times"] if paid > 3 else []
        wrong += [f"scene {task.scene_index} counts {counted} of {paid}"] if counted < paid else []
    return wrong + [f"{intent} is forgotten" for _, intent in vendor.bill if intent not in known]


def _counts(attempt: ClipAttempt) -> bool:
    return attempt.operation != NOT_ACCEPTED


def explorer(make_vendor: Callable[[Effects], Vendor], check: Check, *, scenes: int = 2) -> Explorer[Job]:
    """Tries that world under faults."""
    return Explorer(partial(make_scenario, make_vendor, check, scenes=scenes))


ONCE = partial(at_most, {})


def test_no_scene_of_a_group_is_paid_twice_after_any_single_fault() -> None:
    found = explorer(Vendor, ONCE).exhaust(faults=1)

    found.assert_sound()
    assert found.schedules > 120
    assert found.endings["completed"] > found.schedules / 2


def test_no_scene_is_paid_twice_after_two_faults() -> None:
    """A sample of the pairs: all of them, some minutes' work, were tried on 2026-11-22 (`exhaust(faults=2)`)."""
    found = explorer(Vendor, ONCE, scenes=1).sample(RANDOM_SCHEDULES, faults=2)

    found.assert_sound()


def test_no_scene_of_a_group_is_paid_twice_after_many_faults() -> None:
    found = explorer(Vendor, ONCE).sample(RANDOM_SCHEDULES)

    found.assert_sound()


def test_a_clip_that_turns_up_late_is_still_not_paid_twice() -> None:
    """The vendor is at work for as long as the watch allows; until then its prefix is empty."""
    found = explorer(partial(Vendor, slow=10), ONCE, scenes=1).exhaust(faults=1)

    found.assert_sound()


@pytest.mark.parametrize(
    "answers",
    [[FILTERED, FILTERED, FILTERED, FILTERED], [BROKEN, BROKEN, BROKEN, BROKEN], [FILTERED, BROKEN], [OperationLost()]],
    ids=["filtered", "broken", "mixed", "lost"],
)
def test_no_refusal_makes_a_scene_cost_more_than_three(answers: list[Clip | Refused | OperationLost | None]) -> None:
    """A retry by the person is among the faults: it buys one more, and only where words need not change."""
    make_vendor = partial(Vendor, answers={0: answers}, slow=0)

    found = explorer(make_vendor, partial(_bounded, retries=1), scenes=1).exhaust(faults=1)

    found.assert_sound()


def _bounded(vendor: Vendor, job: Job, *, retries: int) -> Sequence[str]:
    return [] if len(vendor.bill) <= 3 + retries else [f"paid for {len(vendor.bill)} times"]


def test_every_payment_is_on_the_record_and_counted() -> None:
    found = explorer(partial(Vendor, answers={0: [FILTERED, BROKEN]}), within_policy).exhaust(faults=1)

    found.assert_sound()


def test_where_nothing_can_be_found_only_a_person_pays_again() -> None:
    """One fault is a lost answer or a person's retry, never both: so nobody has asked for a second payment."""
    found = explorer(partial(Vendor, can_find=False), ONCE, scenes=1).exhaust(faults=1)

    found.assert_sound()
    assert found.endings["AMBIGUOUS"] > 0


def test_where_nothing_can_be_found_each_retry_pays_at_most_once_more() -> None:
    found = explorer(partial(Vendor, can_find=False), partial(at_most, {0: 2}), scenes=1).sample(RANDOM_SCHEDULES)

    found.assert_sound()


def test_a_vendor_that_takes_longer_than_the_watch_is_the_limit_of_the_claim() -> None:
    """And the proof that this exploration would see a scene that is paid twice."""
    found = explorer(partial(Vendor, slow=10_000), ONCE, scenes=1).exhaust(faults=1)

    assert found.findings
    assert found.findings[0].shortest.wrong == "scene 0 was paid for 2 times"


def test_a_renderer_that_wrongly_claims_to_be_sure_is_found_out() -> None:
    found = explorer(partial(Vendor, slow=3, watch_for=timedelta(0)), ONCE, scenes=1).exhaust(faults=1)

    assert found.findings


# --- the whole machine ------------------------------------------------------------------------------------------------


@pytest.fixture
def vendor_clock() -> VirtualClock:
    """A day on which the model is served."""
    return VirtualClock(datetime(2026, 11, 22, 12, tzinfo=UTC))


@pytest.fixture
def veo(vendors: Vendors, vendor_clock: VirtualClock) -> Iterator[VeoRenderer]:
    """The real renderer, with the vendor's SDK between it and the simulated vendor."""

    def key(*, refresh: bool) -> str:
        return json.dumps(vendors.google.service_account_info(vendors.url))

    renderer = VeoRenderer(
        VEO_3_1_FAST,
        place=VertexProject("proj-1", "us-central1", vendors.url, vendors.url),
        tokens=from_key(key),
        output_uri="gs://clips",
        clock=vendor_clock,
    )
    yield renderer
    renderer.close()


def test_scene_three_of_eight_is_filtered_until_a_person_edits_it_and_the_retry_pays_for_it_alone(
    vendors: Vendors, vendor_clock: VirtualClock, veo: VeoRenderer
) -> None:
    as_planned = Rule(place="veo.clip", containing="scene 2", effect=Filtered(support_codes=(61493863,)), times=None)
    vendors.scenario.add(as_planned, Rule(place="veo.clip", effect=Takes(seconds=50), times=None))
    media, ids = FakeMediaStore(), count(1)
    media.write(b"a recording", "uploads/story.mp3")
    machine = pipeline(
        transcriber=FakeTranscriber(spoken("the keeper lit the lamp . " * 12, seconds=SECONDS)),
        planner=FakePlanner(),
        parts=RenderPorts(
            veo,
            FakeAssembler(duration_seconds=SECONDS),
            media,
            lambda: f"intent-{next(ids)}",
            softener=FakeSoftener(),
            quota=MemoryQuota(),
        ),
        longest_recording=timedelta(minutes=10),
        transcribing_turn=timedelta(minutes=3),
        rendering_turn=timedelta(minutes=2),
    )
    stepper = Stepper(machine, clock=vendor_clock, execution_id="job-1", time_left=timedelta(minutes=15))
    stepper.start(job_data())

    failed = stepper.run()
    paid = len(vendors.bill.clips)
    job = Job.model_validate(failed.data)
    edit = BeatEdit(scene_index=2, visual_prompt="a calm harbour at dusk")
    stepper.signal("retried", patch=retry_patch(job, [edit]))
    done = stepper.run()

    assert len(job.beats) == 8
    assert failed.failure is not None
    assert (failed.failure.code, failed.failure.details["scene_index"]) == ("CONTENT_FILTERED", 2)
    assert Counter(charge.scene for charge in vendors.bill.clips[:paid]) == {**dict.fromkeys(range(8), 1), 2: 3}
    assert done.state == "completed"
    assert [charge.scene for charge in vendors.bill.clips[paid:]] == [2]
    assert [task.is_substitute for task in Job.model_validate(done.data).tasks] == [False] * 8
