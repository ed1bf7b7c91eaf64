"""What a video of a recording takes, before anything is known but the recording's length.  Pure."""

from datetime import datetime

from statemachine import Execution
from statemachine.record import Record
from worker.handlers.api.responses import EstimateView, SecondsRange, UsdRange
from worker.job import Job, Options, Recording, remaining_usd
from worker.models import VideoModel
from worker.progress import Profile, TimeLeft, progress

# More scenes than any recording is cut into.
_ANY_NUMBER = 10_000


class Estimate(Record):
    """From the least that it can be to the most: where the cuts fall decides between them."""

    scenes: int
    clip_seconds_low: float
    clip_seconds_high: float
    usd_low: float
    usd_high: float
    eta: TimeLeft | None
    as_of: str

    def view(self) -> EstimateView:
        """The form in which it is answered."""
        return EstimateView(
            scenes=self.scenes,
            clip_seconds=SecondsRange(low=round(self.clip_seconds_low), high=round(self.clip_seconds_high)),
            cost_usd=UsdRange(low=round(self.usd_low, 4), high=round(self.usd_high, 4), as_of=self.as_of),
            eta_seconds=seconds_range(self.eta),
        )


def estimate(
    duration_seconds: float, *, options: Options, model: VideoModel, profile: Profile, now: datetime
) -> Estimate:
    """The estimate for a recording of this length, by the rule that cuts it into scenes.

    Raises:
        PermanentError: code TOO_LONG, the scenes that are allowed do not cover it.
    """
    # A look at a job that has its scenes, which is most looks, needs no prices.
    from worker.costs import clips  # noqa: PLC0415  as said

    made = clips(duration_seconds, model=model, max_scenes=options.max_scenes)
    return Estimate(
        scenes=made.scenes,
        clip_seconds_low=made.seconds_low,
        clip_seconds_high=made.seconds_high,
        usd_low=made.usd_low,
        usd_high=made.usd_high,
        eta=_eta(duration_seconds, options, profile, now),
        as_of=model.read_on.isoformat(),
    )


def estimate_begun(job: Job, *, model: VideoModel, profile: Profile, now: datetime) -> Estimate | None:
    """The estimate for a job without scenes yet; None before its recording is measured.

    More scenes than are allowed are counted here, not refused: that is for whoever cuts them.
    """
    seconds = job.recording.duration_seconds
    if seconds is None:
        return None
    options = job.options.model_copy(update={"max_scenes": _ANY_NUMBER})
    return estimate(seconds, options=options, model=model, profile=profile, now=now)


def estimate_rest(
    execution: Execution, job: Job, *, state: str, model: VideoModel, profile: Profile, now: datetime
) -> Estimate | None:
    """What going on in `state` takes: the clips that are neither there nor on order, at their exact price.

    None before the recording is measured.
    """
    if not job.scene_beats:
        return estimate_begun(job, model=model, profile=profile, now=now)
    missing = [
        beat
        for beat, task in zip(job.beats, job.tasks, strict=True)
        if task.clip_key is None and task.open_attempt is None
    ]
    seconds = sum(model.ordered_seconds(min(beat.seconds, model.longest_seconds)) for beat in missing)
    usd = remaining_usd(job, model)
    going_on = execution.changed(
        state=state,
        status="processing",
        entered_at=now,
        updated_at=now,
        lease=None,
        deadline_at=None,
        due_at=None,
        waiting_for=None,
        freely_waited_seconds=0.0,
    )
    return Estimate(
        scenes=len(missing),
        clip_seconds_low=seconds,
        clip_seconds_high=seconds,
        usd_low=usd,
        usd_high=usd,
        eta=progress(going_on, job, now, profile).eta,
        as_of=model.read_on.isoformat(),
    )


def seconds_range(eta: TimeLeft | None) -> SecondsRange | None:
    """The form in which a time left is answered."""
    return None if eta is None else SecondsRange(low=round(eta.low_seconds), high=round(eta.high_seconds))


def _eta(duration_seconds: float, options: Options, profile: Profile, now: datetime) -> TimeLeft | None:
    """What the job would say in its first moment."""
    job = Job(
        video_id="",
        run_id="",
        prefix="",
        recording=Recording(key="", filename="", duration_seconds=duration_seconds),
        options=options,
    )
    begun = Execution(
        execution_id="",
        machine="",
        graph="",
        state="transcribing",
        status="processing",
        run_id="",
        started_at=now,
        entered_at=now,
        updated_at=now,
    )
    return progress(begun, job, now, profile).eta
