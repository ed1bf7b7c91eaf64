"""LocalWorker: the worker in one process that takes its own turns, with parts that need no account."""

import os
import shutil
import time
import uuid
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from statemachine import Clock, Engine, PermanentError, Renewal
from statemachine.engine import AfterWorkDoer
from statemachine.memory import MemoryDispatcher
from statemachine.sqlite import SqliteStore
from worker.bootstrap import Worker
from worker.job import Job
from worker.pipeline import LONGEST_TURN
from worker.ports import ClipRenderer, MediaStore, SubmissionQuota, Transcriber
from worker.processes import WorkerPool
from worker.progress import Profile
from worker.providers.directory_media_store import DirectoryMediaStore
from worker.settings import Settings

# A folder that a killed process left behind is nobody's after this.
STALE_AFTER = timedelta(days=1)


class LocalWorker(Worker):
    """The worker on one machine: everything is kept below `settings.home`, and leases are short and renewed."""

    # Recognising and drawing happen within a turn here.
    transcribing_turn = LONGEST_TURN
    rendering_turn = LONGEST_TURN

    @cached_property
    def dispatcher(self) -> MemoryDispatcher:
        """The turns that this process has asked of itself."""
        return MemoryDispatcher()

    @cached_property
    def to_revive(self) -> set[str]:
        """Jobs that a person asked to go on with while the lease of another worker still stood."""
        return set()

    @cached_property
    def store(self) -> SqliteStore:
        """The file of jobs.

        Raises:
            PermanentError: code HOME_UNUSABLE.
            StoreError: the file is damaged, foreign, or cannot be opened.
        """
        store = SqliteStore(self._folder(".") / "jobs.sqlite3")
        self._closing.callback(store.close)
        return store

    @cached_property
    def media(self) -> MediaStore:
        """A folder of objects, or the platform's bucket."""
        if self.settings.media == "s3":
            return super().media
        return DirectoryMediaStore(self._folder("media"))

    @property
    def _media_of_requests(self) -> MediaStore:
        return self.media

    @cached_property
    def transcriber(self) -> Transcriber:
        """The offline recogniser, or a vendor."""
        if self.settings.transcriber == "sphinx":
            from worker.providers.sphinx.transcriber import SphinxTranscriber

            return SphinxTranscriber(media=self.media, pool=self._recognising, clock=self.clock)
        return super().transcriber

    @cached_property
    def renderer(self) -> ClipRenderer:
        """The storyboard, or a vendor."""
        if self.settings.renderer == "storyboard":
            from worker.providers.storyboard.renderer import StoryboardRenderer

            return StoryboardRenderer(self._folder("renders"), media=self.media, pool=self._drawing)
        return super().renderer

    @cached_property
    def quota(self) -> SubmissionQuota | None:
        """How the jobs of this process take turns at the model's quota; there is no table to keep it in."""
        if not self.settings.shares_quota or self.model.per_minute is None:
            return None
        from worker.providers.memory_quota import MemoryQuota

        return MemoryQuota()

    @property
    def profile(self) -> Profile:
        """What to expect of the chosen parts; the storyboard draws in as many processes as there may be."""
        profile = super().profile
        if self.settings.renderer != "storyboard":
            return profile
        return replace(profile, concurrency=self.settings.child_processes)

    def require_parts(self) -> None:
        """As `Worker`; whether vendors accept what is set, `worker doctor` asks them.

        Raises:
            PermanentError: also code HOME_UNUSABLE.
        """
        settings = self.settings
        if settings.transcriber == "aws" and settings.media != "s3":
            raise PermanentError(
                "PART_UNAVAILABLE",
                "Amazon Transcribe reads recordings in S3 only: set AI_VIDEO_MEDIA=s3 and AI_VIDEO_BUCKET, or choose "
                "--transcriber sphinx",
                user_action="contact_admin",
            )
        if settings.media == "s3" or settings.secret_id:
            from worker.providers.aws_account import require_account

            require_account()
        if settings.planner == "openai" and not settings.secret_id:
            openai_key_of_environment()
        super().require_parts()

    def openai_key(self) -> str:
        """The key of OpenAI's API, for whoever looks at the account.

        Raises:
            TransientError, PermanentError: it is not set, or the secret cannot be read.
        """
        if self.settings.secret_id:
            return str(self._secrets.openai_key())
        return openai_key_of_environment()

    def google_token(self) -> str:
        """An access token as the renderer uses it.

        Raises:
            TransientError, PermanentError: the credentials are not set or not accepted.
        """
        return str(self._google.token())

    @cached_property
    def after_work(self) -> AfterWorkDoer | None:
        """Nothing: whoever types a command is not counted, and waits for the end."""
        return None

    @cached_property
    def engine(self) -> Engine[Job]:
        """Runs the pipeline; a killed process leaves its job free within the lease of 10 s."""
        return Engine(
            self.machine,
            store=self.store,
            dispatcher=self.dispatcher,
            clock=self.clock,
            renewal=Renewal(on_overrun=self._kill_children),
            after_work=self.after_work,
        )

    @cached_property
    def _recognising(self) -> WorkerPool:
        """The child processes that recognise.  They are ended after each recording: drawing needs their memory."""
        return self._a_pool()

    @cached_property
    def _drawing(self) -> WorkerPool:
        """The child processes that draw."""
        return self._a_pool()

    def _a_pool(self) -> WorkerPool:
        pool = WorkerPool(processes=self.settings.child_processes)
        self._closing.callback(pool.kill)
        return pool

    def _kill_children(self) -> None:
        self._recognising.kill()
        self._drawing.kill()

    @cached_property
    def work_folder(self) -> Path:
        """Beside the media, so that a finished file is moved there and not copied."""
        folder = self._folder("tmp")
        _remove_stale(folder)
        return folder

    def _folder(self, name: str) -> Path:
        folder = (self.settings.home.expanduser() / name).absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".writable-{uuid.uuid4().hex[:8]}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise PermanentError(
                "HOME_UNUSABLE",
                f"cannot write to {folder} ({error.strerror}); choose another folder with --home or AI_VIDEO_HOME",
                user_action="choose_other_home",
            ) from error
        return folder


def openai_key_of_environment() -> str:
    """The SDK's own variable.

    Raises:
        PermanentError: code SETTING_MISSING.
    """
    key = os.environ.get("OPENAI_API_KEY")
    if not key:
        raise PermanentError(
            "SETTING_MISSING",
            "OPENAI_API_KEY is not set: the key of the OpenAI API; set it, or choose --planner rules",
            user_action="contact_admin",
        )
    return key


def build_local(settings: Settings, *, clock: Clock | None = None) -> LocalWorker:
    """The worker on this machine, its file of jobs opened.

    Raises:
        PermanentError: code HOME_UNUSABLE, the folder cannot be made or written.
        StoreError: the file of jobs is damaged, foreign, or cannot be opened.
    """
    worker = LocalWorker(settings, clock=clock)
    worker.store  # noqa: B018  a damaged file or an unusable home is told now, not in mid-job
    return worker


def _remove_stale(folder: Path) -> None:
    """Working folders of processes that were killed; a live one is younger than its turn."""
    limit = time.time() - STALE_AFTER.total_seconds()
    for left in folder.iterdir():
        if left.stat().st_mtime < limit:
            shutil.rmtree(left, ignore_errors=True)
