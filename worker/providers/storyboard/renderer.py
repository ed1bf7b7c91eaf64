"""`StoryboardRenderer`: clips drawn by child processes; an operation is a few files in a folder.

    {operation}.json       the request, written before anything else
    {operation}.words      the words spoken in the scene
    {operation}.lock       held (flock) by the process that draws, whoever's child it is; a byte for every beginning
    {operation}.error      why drawing failed
    {operation}.mp4        the clip; it appears whole or not at all
    {scene}.failed         which operation first failed at what this scene asks for

Nothing is kept in memory that matters: whoever polls after a kill finds a clip, a drawing under way, or neither,
and then starts one.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

from pydantic import TypeAdapter

from statemachine.errors import PermanentError, TransientError
from worker.job import Transcript, Word
from worker.models import STORYBOARD, VideoModel
from worker.ports import Clip, ClipRequest, MediaStore, NotAcceptedError, OperationLost, Refused
from worker.processes import ChildProcessDiedError, WorkerPool
from worker.providers.storyboard import film

DRAWING_FAILED = "DRAWING_FAILED"

_REQUEST = TypeAdapter(ClipRequest)
_WORDS = TypeAdapter(tuple[Word, ...])


class StoryboardRenderer:
    """Draws clips in the children of `pool`; implements `worker.ports.ClipRenderer`.

    Several processes may share one folder: the lock of a drawing tells them that somebody is at it.

    Args:
        folder: for requests and clips; made when it is not there.
        media: holds the transcripts that `ClipRequest.words_key` names.
        pool: its children draw.  A drawing that exceeds `time_limit` is ended by ending them all; what its siblings
            drew then starts anew at the next poll.
        time_limit: for one clip, from when its child begins.
    """

    def __init__(
        self,
        folder: Path,
        *,
        media: MediaStore,
        pool: WorkerPool,
        time_limit: timedelta = STORYBOARD.slowest,
        group_size: int = 16,
        poll_every: timedelta = timedelta(seconds=0.4),
        first_poll_after: timedelta = timedelta(seconds=1),
    ) -> None:
        self._folder = folder
        self._media = media
        self._pool = pool
        self._time_limit = time_limit
        self._group_size = group_size
        self._poll_every = poll_every
        self._first_poll_after = first_poll_after
        self._drawings: dict[str, Future[None]] = {}  # those of this process

    @property
    def model(self) -> VideoModel:
        """Draws any length up to a beat's, for nothing."""
        return STORYBOARD

    @property
    def group_size(self) -> int:
        """Enough to keep the children busy over several polls."""
        return self._group_size

    @property
    def poll_every(self) -> timedelta:
        """Looking costs a few calls to the file system."""
        return self._poll_every

    @property
    def first_poll_after(self) -> timedelta:
        """The shortest scene takes about that long."""
        return self._first_poll_after

    @property
    def watch_for(self) -> timedelta:
        """Nothing can turn up late: a request is either a file, or was never written."""
        return timedelta(0)

    def submit(self, request: ClipRequest) -> str:
        """Write the request and start drawing; a second submission of an intent is the same operation."""
        operation = _operation_of(request.intent_id)
        files = _Files(self._folder, operation)
        try:
            words = self._words_of(request)
            self._folder.mkdir(parents=True, exist_ok=True)
            if not files.request.exists():
                # The words first: a request that is there can always be drawn.
                _write_whole(files.words, _WORDS.dump_json(words))
                _write_whole(files.request, json.dumps(asdict(request)).encode())
        except OSError as error:
            raise NotAcceptedError(
                "STORAGE_UNAVAILABLE",
                f"cannot write the request for scene {request.scene_index} in {self._folder}: {error.strerror}",
                is_retryable=True,
            ) from error
        except TransientError as error:
            raise NotAcceptedError(error.code, error.message, is_retryable=True) from error
        except PermanentError as error:
            raise NotAcceptedError(error.code, error.message, is_retryable=False) from error
        self._draw(operation, files)
        return operation

    def poll(self, operation: str) -> Clip | Refused | OperationLost | None:  # noqa: PLR0911 - an answer each
        """What became of an operation; starts drawing it again where nobody does."""
        files = _Files(self._folder, operation)
        if files.clip.exists():
            self._drawings.pop(operation, None)
            return Clip(str(files.clip))
        if not files.request.exists():
            return OperationLost()
        drawing = self._drawings.get(operation)
        if drawing is not None and drawing.done():
            del self._drawings[operation]
            error = drawing.exception()
            # A child that crashes takes its siblings and the queue with it, so a drawing is blamed at its second crash.
            if isinstance(error, ChildProcessDiedError) and not error.was_killed and files.beginnings() > 1:
                return self._refuse(files, str(error))
            drawing = None
        if refusal := self._recorded_refusal(files):
            return refusal
        started = files.drawing_since()
        if started is not None:
            if time.time() - started <= self._time_limit.total_seconds():
                return None
            if drawing is not None:
                self._pool.kill()
            # Else it is another process's child, and not ours to end.
            return self._refuse(files, f"it took longer than {self._time_limit.total_seconds():.0f} s")
        if drawing is None:
            self._draw(operation, files)
        return None

    def find(self, request: ClipRequest) -> str | Clip | None:
        """By the files of the request's intent alone, so it is right after any crash."""
        operation = _operation_of(request.intent_id)
        files = _Files(self._folder, operation)
        if files.clip.exists():
            return Clip(str(files.clip))
        return operation if files.request.exists() else None

    def fetch(self, clip: Clip, destination: Path) -> None:
        """Link or copy the clip."""
        try:
            destination.parent.mkdir(parents=True, exist_ok=True)
            # A clip is never written to again, so another name for it is as good as a copy.
            with suppress(OSError):
                os.link(clip.location, destination)
                return
            shutil.copyfile(clip.location, destination)
        except OSError as error:
            destination.unlink(missing_ok=True)
            raise TransientError(
                "STORAGE_UNAVAILABLE", f"cannot bring {Path(clip.location).name} to {destination}: {error.strerror}"
            ) from error

    def _draw(self, operation: str, files: "_Files") -> None:
        if operation not in self._drawings and not files.clip.exists():
            self._drawings[operation] = self._pool.submit(draw, str(files.folder), operation)

    def _words_of(self, request: ClipRequest) -> tuple[Word, ...]:
        """The words to be shown, with times in the recording; spread evenly where nobody timed them."""
        if request.words_key is None:
            return ()
        size = self._media.size(request.words_key)
        end = request.start_seconds + request.beat_seconds
        if size is not None:
            transcript = Transcript.model_validate_json(self._media.read_range(request.words_key, 0, size))
            inside = tuple(
                word
                for word in transcript.words
                if request.start_seconds <= (word.start_seconds + word.end_seconds) / 2 < end
            )
            if inside or not request.narration:
                return inside
        return _evenly(request.narration, request.start_seconds, request.beat_seconds)

    def _recorded_refusal(self, files: "_Files") -> Refused | None:
        """The answer that was recorded, by a child or an earlier poll.

        A first failure may be bad luck.  What fails again at the same scene would fail always: drawing is
        deterministic but for its seed.
        """
        if not files.error.exists():
            return None
        request = _REQUEST.validate_json(files.request.read_bytes())
        first = files.folder / f"{_scene_of(request)}.failed"
        if not first.exists():
            _write_whole(first, files.stem.encode())
        is_first = first.read_text(encoding="utf-8") == files.stem
        return Refused(DRAWING_FAILED, files.error.read_text(encoding="utf-8"), is_retryable=is_first)

    def _refuse(self, files: "_Files", reason: str) -> Refused | None:
        """Record why there will be no clip, so that the answer stays the same."""
        _write_whole(files.error, f"the scene could not be drawn: {reason}".encode())
        return self._recorded_refusal(files)


def draw(folder: str, operation: str) -> None:
    """Draw one requested clip; runs in a child process.

    Returns at once when the clip is there or another process is drawing it.  An error of drawing is recorded beside
    the request, for whoever polls.
    """
    files = _Files(Path(folder), operation)
    with files.drawing() as is_ours:
        if not is_ours or files.clip.exists() or files.error.exists():
            return
        try:
            request = _REQUEST.validate_json(files.request.read_bytes())
            words = _WORDS.validate_json(files.words.read_bytes())
            _draw_clip(request, words, files.clip)
        except Exception as error:  # noqa: BLE001 - the edge of the child: whatever went wrong must reach the poll
            _write_whole(files.error, f"the scene could not be drawn: {type(error).__name__}: {error}".encode())


def _draw_clip(request: ClipRequest, words: tuple[Word, ...], destination: Path) -> None:
    with _appearing_whole(destination) as path:
        film.encode(film.frames(request, words), path, aspect_ratio=request.aspect_ratio)


class _Files:
    """Where the parts of one operation lie."""

    def __init__(self, folder: Path, operation: str) -> None:
        self.folder = folder
        # An operation comes back from storage; it must not name a file elsewhere.
        self.stem = stem = operation if operation == Path(operation).name else _operation_of(operation)
        self.request = folder / f"{stem}.json"
        self.words = folder / f"{stem}.words"
        self.lock = folder / f"{stem}.lock"
        self.error = folder / f"{stem}.error"
        self.clip = folder / f"{stem}.mp4"

    @contextmanager
    def drawing(self) -> Iterator[bool]:
        """Hold the lock while drawing; False when another process holds it.  The system frees it when we die."""
        with self.lock.open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            # One more beginning; and the file's time now says since when, for the time limit.
            lock.write(".")
            lock.flush()
            yield True

    def beginnings(self) -> int:
        """How many times somebody began to draw."""
        return self.lock.stat().st_size if self.lock.exists() else 0

    def drawing_since(self) -> float | None:
        """When the drawing that is under way began, or None when nobody draws."""
        try:
            with self.lock.open("r") as lock:
                try:
                    # Shared, so that two who look do not take each other for the one who draws.
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return os.fstat(lock.fileno()).st_mtime
        except FileNotFoundError:
            pass
        return None


def _operation_of(intent_id: str) -> str:
    """The same name for the same intent, safe as a file's name whatever the intent is called."""
    return f"storyboard-{hashlib.sha256(intent_id.encode()).hexdigest()[:32]}"


def _scene_of(request: ClipRequest) -> str:
    """The same name for requests that ask for the same picture, whatever the attempt."""
    asked = replace(request, intent_id="", prefix="", seed=0)
    return f"scene-{hashlib.sha256(json.dumps(asdict(asked)).encode()).hexdigest()[:32]}"


def _evenly(narration: str, start_seconds: float, seconds: float) -> tuple[Word, ...]:
    texts = narration.split()
    step = seconds * 0.9 / max(1, len(texts))
    return tuple(
        Word(text=text, start_seconds=start_seconds + index * step, end_seconds=start_seconds + (index + 1) * step)
        for index, text in enumerate(texts)
    )


def _write_whole(path: Path, data: bytes) -> None:
    with _appearing_whole(path) as part:
        part.write_bytes(data)


@contextmanager
def _appearing_whole(path: Path) -> Iterator[Path]:
    """A file to write to that gets its name when it is complete and on the disk; nothing stays after an error."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        part.unlink(missing_ok=True)
