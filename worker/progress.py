"""How far a job is, how long it may still take, and whether something is wrong: pure arithmetic over the record.

Nothing is stored for it, and still the percent never falls, by construction:

- each phase owns a band, and the bands follow from the recording's length and the profile alone;
- within a band only finished work and time since the *first* start count, which no retry takes away;
- a failed job stands still at the moment of its failure.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from statemachine import NOT_ACCEPTED, Execution, JsonValue
from statemachine.record import Record
from worker.job import PROCESSING_STEPS, Job, SceneBeat, SceneTask
from worker.models import VideoModel

Basis = Literal["measured", "estimated"]
Pace = Literal["on_track", "finishing_soon", "longer_than_usual", "waiting_for_quota", "stalled"]

# The phases that have a band.  'reviewing' has none: it is a person's time, not ours.
BANDS = ("transcribing", "planning", "rendering", "assembling")

# Beats are cut near this length (`beats.PREFERRED_SECONDS`).
TYPICAL_SCENE_SECONDS = 6.0

# Due and nobody came: a sweep runs every minute, and a dispatch has a grace of 75 s.
STALLED_AFTER_DUE = timedelta(seconds=90)
STALLED_AFTER_DEADLINE = timedelta(seconds=20)

# At its median a piece of work shows this much of itself; the rest is approached ever more slowly, and never reached.
_SHOWN_AT_MEDIAN = 0.8

_SOON_SECONDS = 1.0

_History: TypeAlias = Mapping[str, Mapping[str, JsonValue]]


class Estimate(Record):
    """Seconds that something takes: in half of all cases, and in nine of ten."""

    p50_seconds: float
    p90_seconds: float


class Effort(Record):
    """How long a piece of work takes: `fixed`, and `per_second` of the recording or clip it is done on."""

    fixed: Estimate
    per_second: Estimate = Estimate(0.0, 0.0)

    def of(self, media_seconds: float) -> Estimate:
        """The time for `media_seconds` of material."""
        return Estimate(
            self.fixed.p50_seconds + self.per_second.p50_seconds * media_seconds,
            self.fixed.p90_seconds + self.per_second.p90_seconds * media_seconds,
        )


class Profile(Record):
    """What to expect of the parts that were chosen.  Parts are mixed with `dataclasses.replace`.

    Attributes:
        clip: of one clip, by its own length.
        concurrency: clips in the making at once.
        per_minute: submissions that the vendor accepts in a minute, or None where nothing limits them.
    """

    transcribing: Effort
    planning: Effort
    clip: Effort
    assembling: Effort
    concurrency: int
    per_minute: int | None = None


# The local parts, two processes drawing.  `python -m worker show` after one run on samples/narration_human_librivox.mp3
# (27.2 s) on 2 cores, 2026-11-22: 4.2 s recognising, 5.0 s drawing, 0.3 s assembling; nine of ten are guessed from runs
# on a busy machine.
LOCAL = Profile(
    transcribing=Effort(Estimate(1.0, 2.0), Estimate(0.15, 0.25)),
    planning=Effort(Estimate(0.2, 0.5)),
    clip=Effort(Estimate(0.2, 0.5), Estimate(0.35, 0.8)),
    assembling=Effort(Estimate(0.2, 1.0), Estimate(0.01, 0.03)),
    concurrency=2,
)


def vendor_profile(model: VideoModel, *, concurrency: int) -> Profile:
    """What to expect of Amazon Transcribe, a language model and `model`, with `concurrency` clips in the making.

    The clip's times are the model's own.  The others are first guesses (2026-11-22), to be replaced by what
    `processing_steps` measured: Transcribe rarely answers before 20 s, and assembling copies packets, so that moving
    the objects is most of it.
    """
    return Profile(
        transcribing=Effort(Estimate(20.0, 40.0), Estimate(0.25, 0.5)),
        planning=Effort(Estimate(15.0, 40.0)),
        clip=Effort(Estimate(model.p50.total_seconds(), model.p90.total_seconds())),
        assembling=Effort(Estimate(8.0, 20.0), Estimate(0.05, 0.1)),
        concurrency=concurrency,
        per_minute=model.per_minute,
    )


class TimeLeft(Record):
    """Seconds to the end: not less than `low_seconds` as a rule, seldom more than `high_seconds`."""

    low_seconds: float
    high_seconds: float


class StepProgress(Record):
    """One line of the list that a person watches.

    Attributes:
        status: 'waiting' (not begun), 'processing', 'completed', 'failed' or 'cancelled'.
        started_at: of the first start; a retry keeps it.
        attempt: the latest attempt that had something to report, 0 before that.
        error: `code`, `message` and `user_action` of the latest trouble, while it lasts.
    """

    id: str
    status: str
    started_at: datetime | None = None
    completed_at: datetime | None = None
    attempt: int = 0
    error: Mapping[str, JsonValue] | None = None


class Progress(Record):
    """How far a job is.

    Attributes:
        percent: 0..99 while processing or failed, 100 only when completed.
        basis: 'measured' where finished scenes are counted or nothing moves, 'estimated' where only time tells.
        step_index: of the present step, from 1.
        scenes_total: None before the scenes are planned.
        elapsed_seconds: since the start of the run, until now or its end.
        eta: None when nobody can know: unmeasured, at rest, at the end, stalled, or longer than usual.
    """

    percent: int
    basis: Basis
    step_index: int
    step_count: int
    scenes_done: int
    scenes_total: int | None
    elapsed_seconds: float
    eta: TimeLeft | None
    pace: Pace
    steps: tuple[StepProgress, ...]

    def as_json(self) -> dict[str, JsonValue]:
        """The form in which scripts and the API give it; the steps stand on their own there."""
        eta = self.eta
        return {
            "percent": self.percent,
            "basis": self.basis,
            "step_index": self.step_index,
            "step_count": self.step_count,
            "scenes_done": self.scenes_done,
            "scenes_total": self.scenes_total,
            "elapsed_seconds": round(self.elapsed_seconds),
            "eta_seconds": None if eta is None else {"low": round(eta.low_seconds), "high": round(eta.high_seconds)},
            "pace": self.pace,
        }


def progress(execution: Execution, job: Job, now: datetime, profile: Profile) -> Progress:
    """How far `execution` is at `now`.  The same arguments give the same answer, and a later `now` no lower percent."""
    history = _history(execution)
    is_over = execution.status in {"completed", "failed"}
    now = min(now, execution.entered_at) if is_over else now
    steps = _steps(job, history)
    present = _present_step(execution, steps)
    scenes_done = sum(task.clip_key is not None for task in job.tasks)
    eta, pace = _outlook(execution, job, now, profile)
    return Progress(
        percent=_percent(execution, job, history, now, profile),
        basis="measured" if is_over or _is_counted(execution.state, scenes_done) else "estimated",
        step_index=present + 1,
        step_count=len(steps),
        scenes_done=scenes_done,
        scenes_total=len(job.beats) or None,
        elapsed_seconds=_seconds(now - execution.started_at),
        eta=eta,
        pace=pace,
        steps=steps,
    )


# --- percent: bands from the recording, fractions from finished work and time ----------------------------------------


def _percent(execution: Execution, job: Job, history: _History, now: datetime, profile: Profile) -> int:
    if execution.status == "completed":
        return 100
    duration = job.recording.duration_seconds
    if duration is None:
        return 0
    bands = {phase: _expected(phase, duration, profile).p50_seconds for phase in BANDS}
    done = sum(bands[phase] * _fraction(phase, job, history, now, profile, bands[phase]) for phase in BANDS)
    return min(99, math.floor(100 * done / sum(bands.values())))


def _fraction(phase: str, job: Job, history: _History, now: datetime, profile: Profile, p50_seconds: float) -> float:
    """How much of a phase is behind us, 0..1.  Never falls: a state once completed is not entered again."""
    entry = history.get(phase)
    if entry is None:
        return 0.0
    if entry.get("status") == "completed":
        return 1.0
    if phase == "rendering":
        shares = [
            # All are ordered at once, but only so many are made at once: later ones wait for their turn.
            _scene_share(beat, task, now, profile, turn=1 + number // profile.concurrency)
            for number, (beat, task) in enumerate(zip(job.beats, job.tasks, strict=True))
        ]
        return sum(shares) / len(shares) if shares else 0.0
    started_at = _moment(entry.get("started_at"))
    return 0.0 if started_at is None else _curve(_seconds(now - started_at), p50_seconds)


def _scene_share(beat: SceneBeat, task: SceneTask, now: datetime, profile: Profile, *, turn: int) -> float:
    if task.clip_key is not None:
        return 1.0
    # Only what was accepted counts: an attempt that was not makes room for the next one and takes its time with it.
    accepted = [
        attempt.intended_at for attempt in task.attempts.values() if attempt.operation not in {None, NOT_ACCEPTED}
    ]
    if not accepted:
        return 0.0
    return _curve(_seconds(now - min(accepted)), turn * profile.clip.of(beat.seconds).p50_seconds)


def _curve(elapsed: float, p50_seconds: float) -> float:
    """0..1 (exclusive), growing with time: evenly up to the median, then ever more slowly."""
    passed = elapsed / max(p50_seconds, 1e-3)
    if passed <= 1:
        return _SHOWN_AT_MEDIAN * passed
    # 0.999: so that even at the end of time a finished scene is worth more than a running one.
    return min(0.999, 1 - (1 - _SHOWN_AT_MEDIAN) * math.exp(1 - passed))


def _expected(phase: str, duration: float, profile: Profile) -> Estimate:
    """What a phase takes by the recording's length alone, before its scenes are known."""
    if phase == "rendering":
        count = max(1, round(duration / TYPICAL_SCENE_SECONDS))
        return _rendering([profile.clip.of(duration / count)] * count, to_order=count, profile=profile)
    efforts = {"transcribing": profile.transcribing, "planning": profile.planning, "assembling": profile.assembling}
    return efforts[phase].of(duration)


def _rendering(clips: Sequence[Estimate], *, to_order: int, profile: Profile) -> Estimate:
    """How long `clips` take together: the slowest of them, all of them side by side, or the vendor's quota."""
    if not clips:
        return Estimate(0.0, 0.0)
    at_once = max(1, min(profile.concurrency, len(clips)))
    queue = 0.0
    if profile.per_minute:
        queue = 60.0 * max(0, to_order - profile.per_minute) / profile.per_minute

    def together(seconds: Sequence[float]) -> float:
        return max(max(seconds) + queue, sum(seconds) / at_once)

    return Estimate(together([c.p50_seconds for c in clips]), together([c.p90_seconds for c in clips]))


# --- time left and pace ----------------------------------------------------------------------------------------------


def _outlook(execution: Execution, job: Job, now: datetime, profile: Profile) -> tuple[TimeLeft | None, Pace]:
    if execution.state not in BANDS:
        return None, "on_track"  # at rest or at the end; or parked, in a state that only another version knows
    if _is_stalled(execution, now):
        return None, "stalled"
    is_queued = execution.waiting_for == "quota"
    if is_queued:
        now = min(now, execution.updated_at)  # frozen: while the vendor takes nothing, no time is gained
    duration = job.recording.duration_seconds
    if duration is None:
        return None, "waiting_for_quota" if is_queued else "on_track"
    elapsed = max(0.0, _seconds(now - execution.entered_at) - execution.freely_waited_seconds)
    left, is_late = _left_of_present(execution.state, job, now, elapsed, duration, profile)
    if is_late and not is_queued:
        return None, "longer_than_usual"
    later = [_left_later(phase, job, duration, profile) for phase in BANDS[BANDS.index(execution.state) + 1 :]]
    eta = TimeLeft(
        sum((estimate.p50_seconds for estimate in later), left.p50_seconds),
        sum((estimate.p90_seconds for estimate in later), left.p90_seconds),
    )
    if is_queued:
        return eta, "waiting_for_quota"
    return eta, "finishing_soon" if eta.low_seconds < _SOON_SECONDS else "on_track"


def _left_of_present(
    phase: str, job: Job, now: datetime, elapsed: float, duration: float, profile: Profile
) -> tuple[Estimate, bool]:
    """What is left of the phase at work, and whether it takes longer than nine of ten do."""
    if phase != "rendering":
        expected = _expected(phase, duration, profile)
        return _after(expected, elapsed), elapsed > expected.p90_seconds
    scenes = list(zip(job.beats, job.tasks, strict=True))
    whole = _rendering([profile.clip.of(beat.seconds) for beat, _ in scenes], to_order=len(scenes), profile=profile)
    missing = [(beat, task) for beat, task in scenes if task.clip_key is None]
    clips = []
    for beat, task in missing:
        attempt = task.open_attempt
        running = 0.0 if attempt is None else _seconds(now - attempt[1].intended_at)
        clips.append(_after(profile.clip.of(beat.seconds), running))
    to_order = sum(task.open_attempt is None for _, task in missing)
    return _rendering(clips, to_order=to_order, profile=profile), elapsed > whole.p90_seconds


def _left_later(phase: str, job: Job, duration: float, profile: Profile) -> Estimate:
    if phase == "rendering" and job.beats:
        clips = [profile.clip.of(beat.seconds) for beat in job.beats]
        return _rendering(clips, to_order=len(clips), profile=profile)
    return _expected(phase, duration, profile)


def _after(estimate: Estimate, elapsed: float) -> Estimate:
    return Estimate(max(0.0, estimate.p50_seconds - elapsed), max(0.0, estimate.p90_seconds - elapsed))


def _is_stalled(execution: Execution, now: datetime) -> bool:
    """Whether nobody works on it although somebody should.  A turn at work is believed until its lease ends."""
    if execution.lease is not None and not execution.lease.has_expired(now):
        return False
    is_overdue = execution.due_at is not None and now - execution.due_at > STALLED_AFTER_DUE
    is_late = execution.deadline_at is not None and now - execution.deadline_at > STALLED_AFTER_DEADLINE
    return is_overdue or is_late


# --- steps -----------------------------------------------------------------------------------------------------------


def _steps(job: Job, history: _History) -> tuple[StepProgress, ...]:
    names = list(BANDS)
    if job.options.review_before_render or "reviewing" in history:
        names.insert(names.index("rendering"), "reviewing")
    return tuple(_step(name, history.get(name)) for name in names)


def _step(name: str, entry: Mapping[str, JsonValue] | None) -> StepProgress:
    if entry is None:
        return StepProgress(name, "waiting")
    error, attempt = entry.get("error"), entry.get("attempt")
    return StepProgress(
        name,
        str(entry.get("status", "processing")),
        started_at=_moment(entry.get("started_at")),
        completed_at=_moment(entry.get("completed_at")),
        attempt=attempt if isinstance(attempt, int) else 0,
        error=error if isinstance(error, Mapping) else None,
    )


def _present_step(execution: Execution, steps: Sequence[StepProgress]) -> int:
    names = [step.id for step in steps]
    for name in (execution.state, execution.failed_in):
        if name in names:
            return names.index(name)
    begun = [index for index, step in enumerate(steps) if step.status != "waiting"]
    return begun[-1] if begun else 0


def _is_counted(state: str, scenes_done: int) -> bool:
    return state == "reviewing" or (state == "rendering" and scenes_done > 0)


def _history(execution: Execution) -> _History:
    stored = execution.data.get(PROCESSING_STEPS[0])
    if not isinstance(stored, Mapping):
        return {}
    return {name: entry for name, entry in stored.items() if isinstance(entry, Mapping)}


def _moment(stored: JsonValue) -> datetime | None:
    return datetime.fromisoformat(stored) if isinstance(stored, str) else None


def _seconds(span: timedelta) -> float:
    """Never negative: the record may have been written by a machine whose clock is ahead."""
    return max(0.0, span.total_seconds())
