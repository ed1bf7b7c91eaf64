"""How much longer a job takes than its vendors do, and how often they are asked: virtual time, real engine and steps.

The critical path is what nobody could shorten: transcription, planning, the slowest clip after the earliest moment at
which the quota let it be ordered, bringing it home, assembling.  Everything above it is waiting of our own making.
Beside it, on the same draws: looking every 30 s, and backing off from 1 s to 60 s by doubling.
"""

import math
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import accumulate, count, repeat
from pathlib import Path

from benchmarks.report import Measurement
from statemachine.clock import Clock
from statemachine.dispatcher import Event
from statemachine.engine import Engine, TurnResult
from statemachine.machine import Machine
from statemachine.memory import MemoryDispatcher, MemoryStore
from statemachine.store import Store
from statemachine.testing import VirtualClock
from tests.worker.fakes import (
    FakeAssembler,
    FakeMediaStore,
    FakePlanner,
    FakeRenderer,
    FakeTranscriber,
    job_data,
    spoken,
)
from worker import cadence
from worker.job import BeatSlot, Caption, Job, Options, Recording, Transcript
from worker.models import VEO_3_1_FAST, VideoModel
from worker.pipeline import pipeline
from worker.ports import Clip, ClipRequest, OperationLost, Refused, SceneClip, ScenePlan, SubmissionQuota, VideoFacts
from worker.providers.memory_quota import MemoryQuota
from worker.steps.render import RenderPorts

DRAWS = 200
SCENES = (8, 24)
QUOTAS = (10, 50)
RATIO_BOUND = 1.05
POLLS_BOUND = 6.0

# Recordings whose beats come to so many scenes: found by trying, and checked in every run.
SECONDS = {8: 48.0, 24: 146.0}

# Seconds of one call, eight of them at a time; and of what a turn does with a finished clip.
SUBMIT, POLL, FETCH = 0.6 / 8, 0.2 / 8, 0.5

# Wall seconds of the other steps (what the estimate shown to people takes them for).
PLANNING = 15.0
TRANSCRIBING_SPREAD = (0.8, 1.5)

# A row that is due is seen by the next query of the sweep, a second apart, if the index shows it by then; its turn
# begins some tenths later, on a cold function with its start.
INDEX_LAG = 0.3
DISPATCH = (0.05, 0.2)
COLD_CHANCE, COLD_START = 0.05, 1.5

Cadence = Callable[..., timedelta]


def measure() -> Iterator[Measurement]:
    """Ratio and polls for every number of scenes and quota."""
    for scenes in SCENES:
        for quota in QUOTAS:
            yield from _measured(scenes, quota)


def _measured(scenes: int, quota: int) -> Iterator[Measurement]:
    found = {name: [_job(scenes, quota, draw, way) for draw in range(DRAWS)] for name, way in WAYS.items()}
    ratios = {name: [run.ratio for run in runs] for name, runs in found.items()}
    polls = {name: statistics.mean(run.polls / scenes for run in runs) for name, runs in found.items()}
    others = [name for name in WAYS if name != "ours"]
    name = f"{scenes}_scenes_{quota}_a_minute"
    yield Measurement(
        f"latency.makespan_over_critical_path_{name}",
        statistics.mean(ratios["ours"]),
        "times",
        bound=RATIO_BOUND,
        beside={
            "worst": round(max(ratios["ours"]), 3),
            **{other: round(statistics.mean(ratios[other]), 3) for other in others},
            "critical_path_s": round(statistics.mean(run.critical_seconds for run in found["ours"]), 1),
            "turns": round(statistics.mean(run.turns for run in found["ours"]), 1),
            "draws": DRAWS,
        },
    )
    yield Measurement(
        f"latency.polls_per_scene_{name}",
        polls["ours"],
        "polls",
        bound=POLLS_BOUND,
        beside={other: round(polls[other], 2) for other in others},
    )


# --- ways to wait ----------------------------------------------------------------------------------------------------


def _every_30_seconds(age: timedelta, **_: object) -> timedelta:  # noqa: ARG001  every age alike
    return timedelta(seconds=30)


def _doubling(age: timedelta, **_: object) -> timedelta:
    """To the next of 1, 3, 7, 15, 31, 63, 123, 183, … seconds."""
    steps = accumulate([1, 2, 4, 8, 16, 32, *repeat(60, 20)])
    return next(timedelta(seconds=moment) - age for moment in steps if timedelta(seconds=moment - 0.5) > age)


WAYS: dict[str, Cadence] = {
    "ours": cadence.next_look,
    "every_30_s": _every_30_seconds,
    "doubling_to_60_s": _doubling,
}


@contextmanager
def _looking(way: Cadence) -> Iterator[None]:
    ours = cadence.next_look
    cadence.next_look = way
    try:
        yield
    finally:
        cadence.next_look = ours


# --- vendors that take their time ------------------------------------------------------------------------------------


def clip_seconds(chance: random.Random) -> float:
    """Log-normal through the median and the ninth decile of the model, never outside what was seen."""
    median, ninth = VEO_3_1_FAST.p50.total_seconds(), VEO_3_1_FAST.p90.total_seconds()
    spread = math.log(ninth / median) / 1.2816
    return min(max(chance.lognormvariate(math.log(median), spread), 11.0), VEO_3_1_FAST.slowest.total_seconds())


class SlowTranscriber(FakeTranscriber):
    """Has the transcript when so many seconds have gone by."""

    def __init__(self, transcript: Transcript, clock: Clock, seconds: float) -> None:
        super().__init__(transcript)
        self._clock, self._ready_at = clock, clock.now() + timedelta(seconds=seconds)

    def fetch(
        self,
        transcription_id: str,  # noqa: ARG002  the port's
        recording: Recording,  # noqa: ARG002  the port's
        *,
        time_left: timedelta,  # noqa: ARG002  the port's
    ) -> Transcript | None:
        return self.transcript if self._clock.now() >= self._ready_at else None


class SlowPlanner(FakePlanner):
    """Thinks for as long as a language model does, while its caller waits."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def plan(
        self, slots: Sequence[BeatSlot], *, transcript: Transcript, options: Options, time_left: timedelta
    ) -> ScenePlan:
        self._clock.sleep(timedelta(seconds=PLANNING))
        return super().plan(slots, transcript=transcript, options=options, time_left=time_left)


class SlowAssembler(FakeAssembler):
    """Takes its time over the recording's length."""

    def __init__(self, clock: Clock, *, duration_seconds: float) -> None:
        super().__init__(duration_seconds=duration_seconds)
        self._clock = clock

    def assemble(
        self, scenes: Sequence[SceneClip], *, audio: Path, captions: Sequence[Caption], destination: Path
    ) -> VideoFacts:
        self._clock.sleep(timedelta(seconds=_assembling(self.facts.duration_seconds)))
        return super().assemble(scenes, audio=audio, captions=captions, destination=destination)


class SlowRenderer(FakeRenderer):
    """Each scene's clip takes what was drawn for it."""

    def __init__(self, clock: VirtualClock, model: VideoModel, takes: Sequence[float]) -> None:
        super().__init__(
            model=model,
            group_size=100,
            poll_every=cadence.finest_look(model),
            first_poll_after=cadence.first_look(model),
        )
        self._clock, self._takes = clock, takes
        self._ready_at: dict[str, float] = {}
        self.polls_made = 0

    def submit(self, request: ClipRequest) -> str:
        self._clock.sleep(timedelta(seconds=SUBMIT))
        operation = super().submit(request)
        self._ready_at[operation] = _seconds(self._clock) + self._takes[request.scene_index]
        return operation

    def poll(self, operation: str) -> Clip | Refused | OperationLost | None:
        self._clock.sleep(timedelta(seconds=POLL))
        self.polls_made += 1
        return super().poll(operation) if _seconds(self._clock) >= self._ready_at[operation] else None

    def fetch(self, clip: Clip, destination: Path) -> None:
        self._clock.sleep(timedelta(seconds=FETCH))
        super().fetch(clip, destination)


# --- one job ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Run:
    """How long one job took, beside the shortest possible."""

    seconds: float
    critical_seconds: float
    polls: int
    turns: int

    @property
    def ratio(self) -> float:
        return self.seconds / self.critical_seconds


@dataclass(frozen=True, slots=True)
class Drawn:
    """One job's luck: how long its vendors take."""

    chance: random.Random
    audio_seconds: float
    clips: Sequence[float]
    transcribing: float

    @classmethod
    def of(cls, scenes: int, draw: int) -> "Drawn":
        """The same numbers give the same luck."""
        chance = random.Random(f"{scenes}/{draw}")  # noqa: S311  repeatable on purpose, and no secret
        takes, audio = [clip_seconds(chance) for _ in range(scenes)], SECONDS[scenes]
        return cls(chance, audio, takes, _transcribing(audio) * chance.uniform(*TRANSCRIBING_SPREAD))

    def machine(
        self,
        clock: VirtualClock,
        *,
        renderer: SlowRenderer,
        planner: FakePlanner,
        media: FakeMediaStore,
        quota: SubmissionQuota,
    ) -> Machine[Job]:
        """The pipeline with vendors that take so long."""
        media.write(b"a recording", "uploads/story.mp3")
        words = " ".join(f"the keeper lit lamp number {number} ." for number in range(round(self.audio_seconds / 4)))
        ids = count(1)
        return pipeline(
            transcriber=SlowTranscriber(spoken(words, seconds=self.audio_seconds), clock, self.transcribing),
            planner=planner,
            parts=RenderPorts(
                renderer,
                SlowAssembler(clock, duration_seconds=self.audio_seconds),
                media,
                lambda: f"intent-{next(ids):032x}",
                quota=quota,
                threads=1,  # the clock is one; what goes on side by side is in the seconds of a call
            ),
            longest_recording=timedelta(minutes=10),
            transcribing_turn=timedelta(minutes=3),
            rendering_turn=timedelta(minutes=2),
        )


def _job(scenes: int, quota: int, draw: int, way: Cadence) -> _Run:
    luck, clock = Drawn.of(scenes, draw), VirtualClock()
    renderer = SlowRenderer(clock, replace(VEO_3_1_FAST, per_minute=quota), luck.clips)
    machine = luck.machine(
        clock, renderer=renderer, planner=SlowPlanner(clock), media=FakeMediaStore(), quota=MemoryQuota()
    )
    began, turns = _seconds(clock), count()
    with _looking(way):
        job = driven(machine, clock, luck.chance, store=MemoryStore(), watch=lambda *_: next(turns))
    if len(job.beats) != scenes:
        audio = luck.audio_seconds
        raise RuntimeError(f"{audio} s of recording made {len(job.beats)} scenes, not {scenes}: correct SECONDS")
    critical = luck.transcribing + PLANNING + _rendering(luck.clips, quota) + _assembling(luck.audio_seconds)
    return _Run(_seconds(clock) - began, critical, renderer.polls_made, next(turns))


def driven(
    machine: Machine[Job],
    clock: VirtualClock,
    chance: random.Random,
    *,
    store: Store,
    watch: Callable[[TurnResult, float], object],
    execution_id: str = "job-1",
) -> Job:
    """Take turns until the job is done, waking it as sweep and Lambda would.

    `watch` is given each turn, and for how many seconds it held its invocation.
    """
    dispatcher = MemoryDispatcher()
    engine = Engine(machine, store=store, dispatcher=dispatcher, clock=clock)
    grid = chance.random()
    execution = engine.start(execution_id, job_data())
    while execution.due_at is not None:
        if not dispatcher.events:
            seen_at = _seconds(clock) + max(0.0, (execution.due_at - clock.now()).total_seconds())
            seen_at += chance.expovariate(1 / INDEX_LAG)
            tick = math.ceil(seen_at - grid) + grid
            clock.sleep(timedelta(seconds=tick - _seconds(clock)))
            dispatcher.dispatch(Event(execution.execution_id, execution.version))
        start = chance.uniform(*DISPATCH) + (COLD_START if chance.random() < COLD_CHANCE else 0.0)
        clock.sleep(timedelta(seconds=start))
        began = _seconds(clock)
        result = engine.run_turn(dispatcher.events.popleft(), time_left=timedelta(minutes=15))
        watch(result, _seconds(clock) - began)
        execution = store.get(execution_id)
    if execution.state != "completed":
        raise RuntimeError(f"the job ended in {execution.state}: {execution.failure}")
    return Job.model_validate(execution.data)


def _rendering(takes: Sequence[float], quota: int) -> float:
    """The earliest moment at which the last clip can be at home, if none is known beforehand to be slow."""
    return max(60.0 * (index // quota) + seconds for index, seconds in enumerate(takes)) + FETCH


def _transcribing(audio: float) -> float:
    return max(20.0, 0.25 * audio)


def _assembling(audio: float) -> float:
    return 8 + 0.3 * audio


def _seconds(clock: VirtualClock) -> float:
    return clock.now().timestamp()
