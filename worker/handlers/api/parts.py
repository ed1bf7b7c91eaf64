"""What the API needs from outside, and how long one request may take.

A request is answered within `ANSWER_TIME`, whatever it meets: every client that it uses gives up by itself, and a call
begins only while the longest that it may take fits.  (A test holds these spans against the clients' own settings: so
many tries of connecting and reading, and the SDK's pauses of up to 1, 2, 4, … s between them.)
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from statemachine import Clock, Engine, Store
from statemachine.errors import DispatchError
from statemachine.record import Record
from worker.bootstrap import Worker
from worker.handlers.api.problems import ProblemError
from worker.job import Job
from worker.limits import Limits
from worker.links import LinkSigner
from worker.models import VideoModel
from worker.progress import Profile
from worker.rows import AudioHeader, Rows
from worker.settings import Settings

# After this nothing begins any more.
REQUEST_TIME = timedelta(seconds=20)

# After this everything is over.  API Gateway gives up after 29 s; what has not been answered by then was done for
# nobody.  (API Gateway quotas page, read 2026-11-22)
ANSWER_TIME = timedelta(seconds=25)

# The longest that one call may take.
TABLE_TIME = timedelta(seconds=15)  # three tries of 1 + 3 s
BUCKET_TIME = timedelta(seconds=11)  # two of 1 + 4 s
DISPATCH_TIME = timedelta(seconds=9)  # two of 1 + 3 s
LIMITS_TIME = timedelta(seconds=7)  # two of 1 + 2 s


class ApiParts(Record):
    """The parts; what GET does not need is built when it is asked for.

    Attributes:
        engine_on: the engine on a store that knows what this request has read, for as long as the request may take.
        probe: the header of the recording with this key; its second argument is called before each read.
        require_parts: raises PermanentError where a job could only fail in its first turn: it must not begin.
    """

    settings: Settings
    clock: Clock
    rows: Rows
    model: VideoModel
    profile: Profile
    links: Callable[[], LinkSigner]
    limits: Callable[[], Limits]
    engine_on: Callable[[Store, "Deadline"], Engine[Job]]
    probe: Callable[[str, Callable[[], None]], AudioHeader]
    require_parts: Callable[[], None]

    @classmethod
    def of(cls, worker: Worker) -> "ApiParts":
        """The parts of a worker."""

        def engine_on(store: Store, deadline: Deadline) -> Engine[Job]:
            return Engine(
                worker.machine,
                store=deadline.hurrying_store(store),
                dispatcher=deadline.hurrying_dispatcher(worker.dispatcher),
                clock=worker.clock,
                after_work=worker.after_work,
            )

        return cls(
            settings=worker.settings,
            clock=worker.clock,
            rows=worker.rows,
            model=worker.model,
            profile=worker.profile,
            links=lambda: worker.links,
            limits=lambda: worker.limits(),  # noqa: PLW0108  SSM's client is made when it is asked for
            engine_on=engine_on,
            probe=worker.probe,
            require_parts=worker.require_parts,
        )


class Deadline(Record):
    """When a request has to be answered."""

    clock: Clock
    began_at: datetime

    @classmethod
    def of(cls, clock: Clock) -> "Deadline":
        """For a request that comes now."""
        return cls(clock, clock.now())

    def has_time_for(self, longest: timedelta) -> bool:
        """Whether a call that may take so long may begin."""
        passed = self.clock.now() - self.began_at
        return passed < REQUEST_TIME and passed + longest <= ANSWER_TIME

    def check(self, longest: timedelta = timedelta(0)) -> None:
        """Refuse to begin anything that may take so long when there is no time for it.

        Raises:
            ProblemError: TIMED_OUT.
        """
        if not self.has_time_for(longest):
            raise ProblemError("TIMED_OUT", "it takes too long for now; look at the job, then try again")

    def hurrying_store(self, store: Store) -> Any:  # noqa: ANN401  a store, as far as an engine can tell
        """The store, each of whose calls begins only while there is time for it; see `check`."""
        return _Hurrying(store, lambda: self.check(TABLE_TIME))

    def hurrying_dispatcher(self, dispatcher: Any) -> Any:  # noqa: ANN401  a dispatcher, as above
        """The dispatcher; what it has no time for is due all the same, and the sweeper comes."""

        def check() -> None:
            if not self.has_time_for(DISPATCH_TIME):
                raise DispatchError("the request has no time left for it")

        return _Hurrying(dispatcher, check)


class _Hurrying:
    """Stands for a part, and asks for the time before each call."""

    def __init__(self, part: Any, check: Callable[[], None]) -> None:  # noqa: ANN401  a part of any kind
        self._part = part
        self._check = check

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever the part has
        self._check()
        return getattr(self._part, name)
