"""ServedWorker: `LocalWorker` for several jobs at once, with the rows and signed addresses that requests need."""

import threading
from contextlib import suppress
from datetime import timedelta
from functools import cached_property

from statemachine import Clock, Engine, Execution, PermanentError
from worker.bootstrap import Worker
from worker.job import Job, Recording, Transcript
from worker.links import LinkSigner
from worker.local import parts
from worker.local.server.turns import TurnQueue
from worker.local.worker import LocalWorker
from worker.ports import Transcriber
from worker.providers.signed_links import SignedLinks
from worker.providers.sqlite_rows import RowStore, SqliteRows
from worker.settings import Settings


class ServedWorker(LocalWorker):
    """The worker behind the server.

    Args:
        base: the worker whose file of jobs and queue this one shares, for jobs begun with other parts.
    """

    def __init__(self, settings: Settings, *, clock: Clock | None = None, base: "ServedWorker | None" = None) -> None:
        super().__init__(settings, clock=clock)
        self._base = base
        self._others: dict[Settings, ServedWorker] = {}
        self._making = threading.Lock()

    # Users are counted here as behind the function, and who is to be told of an end is told.
    after_work = Worker.after_work

    @cached_property
    def store(self) -> RowStore:
        """The file of jobs, with the rows of videos."""
        if self._base is not None:
            return self._base.store
        store = RowStore(self._folder(".") / "jobs.sqlite3")
        self._closing.callback(store.close)
        return store

    @cached_property
    def rows(self) -> SqliteRows:
        """The rows of videos."""
        return SqliteRows(self.store, kept=parts.as_data(self.settings))

    def links_at(self, origin: str, secret: bytes) -> LinkSigner:
        """Signs addresses of objects: on this server, or in the bucket when they lie there."""
        return self.links if self.settings.media == "s3" else SignedLinks(origin=origin, secret=secret)

    @cached_property
    def dispatcher(self) -> TurnQueue:
        """The turns that were asked for."""
        return TurnQueue() if self._base is None else self._base.dispatcher

    @cached_property
    def transcriber(self) -> Transcriber:
        """As `LocalWorker`; the offline recogniser hears one recording at a time, with every child that it has."""
        transcriber = super().transcriber
        return OneAtATime(transcriber) if self.settings.transcriber == "sphinx" else transcriber

    def engine_of(self, execution: Execution) -> Engine[Job]:
        """The engine with the parts that this job was begun with."""
        settings = parts.of_job(execution, self.settings)
        if settings == self.settings:
            return self.engine
        with self._making:
            if settings not in self._others:
                other = ServedWorker(settings, clock=self.clock, base=self)
                self._closing.callback(other.close)
                other.build()
                self._others[settings] = other
            return self._others[settings].engine

    def build(self) -> None:
        """Build what several threads will use: two that build a part at once would each have their own.

        A part that cannot be built is no error here: the first turn that needs it fails, and says why.
        """
        for name in ("transcriber", "planner", "renderer"):
            with suppress(PermanentError):
                getattr(self, name)
        for name in ("assembler", "media", "rows", "limits", "engine", "_recognising", "_drawing"):
            getattr(self, name)

    def end_children(self) -> None:
        """End the child processes of every turn at work."""
        self._kill_children()
        for other in self._others.values():
            other.end_children()


class OneAtATime:
    """A transcriber that ends its child processes after each recording, and so has time for one only."""

    def __init__(self, transcriber: Transcriber) -> None:
        self._transcriber = transcriber
        self._is_free = threading.Lock()

    def start(self, recording: Recording, *, job_id: str, language: str) -> str:
        """See `Transcriber`."""
        return self._transcriber.start(recording, job_id=job_id, language=language)

    def fetch(self, transcription_id: str, recording: Recording, *, time_left: timedelta) -> Transcript | None:
        """None while another recording is heard."""
        if not self._is_free.acquire(blocking=False):
            return None
        try:
            return self._transcriber.fetch(transcription_id, recording, time_left=time_left)
        finally:
            self._is_free.release()
