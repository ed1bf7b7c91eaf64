"""What the API needs from outside, and how long one request may take."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from statemachine import Clock, Engine, Store
from worker.bootstrap import Worker
from worker.handlers.api.problems import ProblemError
from worker.job import Job
from worker.limits import Limits
from worker.links import LinkSigner
from worker.models import VideoModel
from worker.progress import Profile
from worker.rows import AudioHeader, Rows
from worker.settings import Settings

# A browser gives up after 30 s (API Gateway after 29); what has not been answered by then was done for nobody.
REQUEST_TIME = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class ApiParts:
    """The parts; what GET does not need is built when it is asked for.

    Attributes:
        engine_on: the engine on a store that knows what this request has read.
        probe: the header of the recording with this key; its second argument is called before each read.
    """

    settings: Settings
    clock: Clock
    rows: Rows
    model: VideoModel
    profile: Profile
    links: Callable[[], LinkSigner]
    limits: Callable[[], Limits]
    engine_on: Callable[[Store], Engine[Job]]
    probe: Callable[[str, Callable[[], None]], AudioHeader]

    @classmethod
    def of(cls, worker: Worker) -> "ApiParts":
        """The parts of a worker."""
        return cls(
            settings=worker.settings,
            clock=worker.clock,
            rows=worker.rows,
            model=worker.model,
            profile=worker.profile,
            links=lambda: worker.links,
            limits=lambda: worker.limits(),  # noqa: PLW0108  SSM's client is made when it is asked for
            engine_on=worker.engine_on,
            probe=worker.probe,
        )


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a request has to be answered."""

    clock: Clock
    ends_at: datetime

    @classmethod
    def of(cls, clock: Clock) -> "Deadline":
        """For a request that comes now."""
        return cls(clock, clock.now() + REQUEST_TIME)

    def check(self) -> None:
        """Refuse to begin anything more when the time is over.

        Raises:
            ProblemError: TIMED_OUT.
        """
        if self.clock.now() >= self.ends_at:
            raise ProblemError(
                "TIMED_OUT",
                f"the request was not done after {REQUEST_TIME.total_seconds():.0f} s; look at the job, then try again",
            )
