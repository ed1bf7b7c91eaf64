"""Composition root: builds the worker from its settings, once per process."""

import shutil
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from statemachine import Clock, Engine, PermanentError, Renewal, SystemClock
from statemachine.memory import MemoryDispatcher
from statemachine.sqlite import SqliteStore
from worker.job import Job
from worker.models import VideoModel
from worker.pipeline import LONGEST_TURN, pipeline
from worker.ports import VideoAssembler
from worker.processes import WorkerPool
from worker.providers.directory_media_store import DirectoryMediaStore
from worker.providers.pyav_assembler import PyAvAssembler
from worker.providers.rule_planner import RulePlanner
from worker.providers.sphinx_transcriber import SphinxTranscriber
from worker.providers.storyboard import StoryboardRenderer
from worker.settings import Settings
from worker.steps.render import RenderPorts

# A folder that a killed process left behind is nobody's after this.
STALE_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LocalWorker:
    """The worker on one machine.  Close it, or use it as a context manager: it owns child processes and a file."""

    settings: Settings
    engine: Engine[Job]
    store: SqliteStore
    dispatcher: MemoryDispatcher
    media: DirectoryMediaStore
    assembler: VideoAssembler
    model: VideoModel
    clock: Clock
    pool: WorkerPool

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child processes and close the store.  What is unfinished can be resumed."""
        self.pool.kill()
        self.store.close()


def build_local(settings: Settings, *, clock: Clock | None = None) -> LocalWorker:
    """The worker with its embedded parts, everything kept below `settings.home`.

    Raises:
        PermanentError: code HOME_UNUSABLE, the folder cannot be made or written.
        StoreError: the file of jobs is damaged, foreign, or cannot be opened.
    """
    clock = clock or SystemClock()
    home = settings.home.expanduser().absolute()
    work_folder = _made(home / "tmp")
    _remove_stale(work_folder)
    pool = WorkerPool(processes=settings.drawing_processes)
    media = DirectoryMediaStore(_made(home / "media"))
    assembler = PyAvAssembler()
    renderer = StoryboardRenderer(_made(home / "renders"), media=media, pool=pool)
    store = SqliteStore(home / "jobs.sqlite3")
    dispatcher = MemoryDispatcher()
    machine = pipeline(
        transcriber=SphinxTranscriber(media=media, pool=pool),
        planner=RulePlanner(),
        parts=RenderPorts(
            renderer=renderer,
            assembler=assembler,
            media=media,
            new_id=lambda: uuid.uuid4().hex,
            work_folder=work_folder,
        ),
        longest_recording=settings.longest_recording,
        transcribing_turn=LONGEST_TURN,
        rendering_turn=LONGEST_TURN,
    )
    engine = Engine(machine, store=store, dispatcher=dispatcher, clock=clock, renewal=Renewal(on_overrun=pool.kill))
    return LocalWorker(
        settings=settings,
        engine=engine,
        store=store,
        dispatcher=dispatcher,
        media=media,
        assembler=assembler,
        model=renderer.model,
        clock=clock,
        pool=pool,
    )


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise PermanentError(
            "HOME_UNUSABLE",
            f"cannot write to {folder} ({error.strerror}); choose another folder with --home or AI_VIDEO_HOME",
            user_action="choose_other_home",
        ) from error
    return folder


def _remove_stale(folder: Path) -> None:
    """Working folders of processes that were killed; a live one is younger than its turn."""
    limit = time.time() - STALE_AFTER.total_seconds()
    for left in folder.iterdir():
        if left.stat().st_mtime < limit:
            shutil.rmtree(left, ignore_errors=True)
