"""A slow hour: jobs through the deployed worker while everything around it fails, then what came of them.

The same region as `load`, with faults drawn from a seed, at one call in a hundred up to one in five: the process killed
before or after a call (a write, a dispatch, an order), writes throttled, answers lost, writes repeated by the SDK,
dispatches refused, lost or delivered twice, sweeps killed; and of the vendor 429, 503 before and after acceptance,
connections closed on an accepted order, polls that fail, clips filtered, broken, forgotten or never finished.  After
the hour all is well again; what still runs may come to its end, and a person retries once what failed.

Then the vendor's bill is held against the records.  Lost is a job that neither ended nor is due, or an order that no
record knows.  Paid twice is a scene with a second order while the first one was good, or could still have become good:
its clip was neither filtered nor broken nor never finished.  AI_VIDEO_SOAK_JOBS and AI_VIDEO_SOAK_SEED make another
hour.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from benchmarks._crowd import BEGINS, NEVER, Crowd, place_of, uneven
from benchmarks._region import Region
from benchmarks.report import Measurement
from statemachine import NOT_ACCEPTED
from statemachine.testing.crew import Crew
from tests.dynoxide import running_dynoxide
from tests.simulators.scenario import Filtered, OperationFailed
from tests.simulators.vendors import Vendors
from tests.simulators.veo import Operation
from worker.job import Job

JOBS = int(os.environ.get("AI_VIDEO_SOAK_JOBS", "40"))
SEED = os.environ.get("AI_VIDEO_SOAK_SEED", "soak")
SCENES = 3
PER_MINUTE = 50
HOUR = timedelta(hours=1)
CALM_FOR = timedelta(hours=6)

# What may happen to each call, and to one in how many of them.
FAULTS: Mapping[str, tuple[float, tuple[str, ...]]] = {
    "UpdateItem": (0.03, ("kill", "killed after", *3 * ("throttled", "repeated"), "answer lost")),
    "GetItem": (0.03, ("kill", *3 * ("throttled",), "answer lost")),
    "Query": (0.01, ("kill", *3 * ("throttled",))),
    "Invoke": (0.10, ("kill", "killed after", *2 * ("throttled", "lost", "twice"), "answer lost")),
    "submit": (0.20, ("kill", "killed after", *2 * ("429", "503", "503, accepted", "no answer, accepted"))),
    "poll": (0.10, ("kill", *9 * ("poll 503",))),
    "find": (0.02, ("kill",)),
    "fetch": (0.10, ("kill", *9 * ("unavailable",))),
    "clip": (0.15, ("filtered", "filtered", "failed", "failed", "forgotten", "never done")),
}


@dataclass(slots=True)
class DrawnFaults:
    """Faults by chance, as long as they are on."""

    chance: Random
    are_on: bool = True

    def at(self, call: str) -> str:
        """What happens to this call."""
        share, kinds = FAULTS[call]
        return self.chance.choice(kinds) if self.are_on and self.chance.random() < share else ""


@dataclass(slots=True)
class Verdict:
    """What came of it all, by job or order."""

    lost_jobs: list[str] = field(default_factory=list)
    unknown_orders: list[str] = field(default_factory=list)
    paid_twice: list[str] = field(default_factory=list)
    paid_again: Counter[str] = field(default_factory=Counter)
    without_reason: list[str] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)


def measure() -> Iterator[Measurement]:
    """Every figure of one slow hour."""
    users = {f"user{number}": JOBS // 5 for number in range(5)}
    faults = DrawnFaults(Random(f"{SEED}/faults"))  # noqa: S311  repeatable on purpose, and no secret
    with running_dynoxide() as url, Crew() as crew:
        region = Region(crew, now=BEGINS, chance=Random(SEED), faults=faults)  # noqa: S311  as above
        with Vendors(clock=region, quota_per_minute=PER_MINUTE) as vendors:
            crowd = Crowd(uneven(users), url=url, vendors=vendors, region=region, scenes=SCENES)
            try:
                crowd.start_all()
                crowd.run(until=BEGINS + HOUR, all_ended=False)
                faults.are_on = False
                after_the_hour = judged(crowd)
                crowd.run(until=BEGINS + HOUR + CALM_FOR)
                before_retry = judged(crowd)
                retried = crowd.retry_failed()
                crowd.run(until=region.now() + CALM_FOR)
                at_the_end = judged(crowd)
            finally:
                region.end()
                crowd.close()
            if vendors.journal.faults:
                raise RuntimeError(f"the simulator failed: {vendors.journal.faults[0]}")
            yield from _figures(crowd, after_the_hour, before_retry, at_the_end, retried=len(retried))


def _figures(
    crowd: Crowd, after_the_hour: Verdict, before_retry: Verdict, at_the_end: Verdict, *, retried: int
) -> Iterator[Measurement]:
    told = crowd.region.told
    yield Measurement(
        "soak.faults",
        sum(told.values()) - told["killed"],
        "faults in the hour",
        beside=dict(sorted(told.items())),
    )
    verdicts = {"after_the_hour": after_the_hour, "when_all_had_ended": before_retry, "after_a_retry": at_the_end}
    for what in ("lost_jobs", "unknown_orders", "paid_twice", "without_reason"):
        found = {when: list(getattr(verdict, what)) for when, verdict in verdicts.items()}
        yield Measurement(
            f"soak.{what}",
            max(map(len, found.values())),
            f"of {len(crowd.asked)} jobs, at any of three moments",
            bound=0,
            beside={when: ", ".join(names[:3]) for when, names in found.items() if names},
        )
    yield Measurement(
        "soak.completed_after_the_hour",
        after_the_hour.states["completed"],
        f"of {len(crowd.asked)}",
        beside={**after_the_hour.states, **after_the_hour.codes},
    )
    yield Measurement(
        "soak.completed_without_a_person",
        before_retry.states["completed"],
        f"of {len(crowd.asked)}",
        beside={**before_retry.states, **before_retry.codes},
    )
    yield Measurement(
        "soak.completed_after_one_retry",
        at_the_end.states["completed"],
        f"of {len(crowd.asked)}",
        beside={"retried": retried, **at_the_end.states, **at_the_end.codes},
    )
    clips = len(crowd.vendors.bill.clips)
    yield Measurement(
        "soak.orders_per_scene",
        clips / (len(crowd.asked) * SCENES),
        "accepted by the vendor",
        beside={"accepted": clips, "usd": round(crowd.vendors.bill.usd, 2), **at_the_end.paid_again},
    )
    yield Measurement(
        "soak.turns", crowd.turns, "turns", beside={**crowd.kinds, "cpu_seconds": round(crowd.cpu_seconds)}
    )


def judged(crowd: Crowd) -> Verdict:
    """Every record as it stands, against the bill."""
    verdict = Verdict()
    orders: defaultdict[str, list[Operation]] = defaultdict(list)
    for operation in crowd.vendors.google.veo.operations.values():
        orders[place_of(operation.storage_uri).job].append(operation)
    for asked in crowd.asked:
        execution = crowd.standing(asked)
        verdict.states[execution.state] += 1
        if execution.status == "processing" and execution.due_at is None:
            verdict.lost_jobs.append(asked.execution_id)
        if execution.state == "failed":
            if execution.failure is None or not execution.failure.code:
                verdict.without_reason.append(asked.execution_id)
            else:
                verdict.codes[execution.failure.code] += 1
        judge_orders(Job.model_validate(execution.data), orders.pop(asked.execution_id, []), verdict)
    verdict.unknown_orders += orders  # of jobs that nobody asked for
    return verdict


def judge_orders(job: Job, orders: list[Operation], verdict: Verdict) -> None:
    """Add to the verdict what is wrong with the orders of one job."""
    attempts = {attempt.intent_id: attempt for task in job.tasks for attempt in task.attempts.values()}
    by_scene: defaultdict[int, list[Operation]] = defaultdict(list)
    for order in orders:
        place = place_of(order.storage_uri)
        attempt = attempts.get(place.intent_id)
        if attempt is None or attempt.operation == NOT_ACCEPTED:
            verdict.unknown_orders.append(order.storage_uri)
        by_scene[place.scene].append(order)
    for scene, of_scene in by_scene.items():
        for order in of_scene[:-1]:
            why = _why_again(order)
            if why:
                verdict.paid_again[why] += 1
            else:
                verdict.paid_twice.append(f"{job.video_id} scene {scene}")


def _why_again(order: Operation) -> str:
    """Why its scene had to be ordered once more; '' when there was no reason."""
    if any(isinstance(effect, Filtered) for effect in order.fate):
        return "again_after_filtered"
    if any(isinstance(effect, OperationFailed) for effect in order.fate):
        return "again_after_failed"
    return "again_after_never_done" if order.takes.polls == NEVER else ""
