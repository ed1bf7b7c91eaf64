"""Runner: brings a recording in and drives its job to the end, in this process.

Several runners, in several processes, may drive the same job: the lease lets one of them run each turn, the others
watch and take over when its owner is gone.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from statemachine import Event, Execution, PermanentError
from statemachine.errors import ExecutionNotFoundError, LeaseHeldError, StoreError
from worker.beats import cut_beats
from worker.job import Options, Recording, new_job_data
from worker.local import parts
from worker.local.output import is_own_captions, transcripts_beside
from worker.local.worker import LocalWorker
from worker.providers.directory_media_store import DirectoryMediaStore

# How often an idle runner looks at the job, so that whoever watches sees time pass.
LOOK_EVERY = timedelta(milliseconds=200)


class Runner:
    """Drives jobs of one `LocalWorker`."""

    def __init__(self, worker: LocalWorker) -> None:
        self._worker = worker
        self._to_revive = worker.to_revive

    def begin(self, recording: Path, *, options: Options) -> str:
        """Import a recording, with the transcript beside it if there is one, start its job and return the job's id.

        Nothing is kept unless the recording can be used, its price stays within the limit, and the job stands.

        Raises:
            PermanentError: those of `LocalWorker.require_parts`, and codes FILE_MISSING, FILE_UNREADABLE, EMPTY_FILE,
                NOT_AUDIO, NO_AUDIO_STREAM, TOO_SHORT, TOO_LONG, CORRUPT, COST_LIMIT_EXCEEDED.
            TransientError: codes STORAGE_FULL, STORAGE_UNAVAILABLE.
            StoreError: the job could not be stored.
        """
        worker = self._worker
        worker.require_parts()
        _check_readable(recording)
        self._check_size(recording, worker.assembler.measure(recording).duration_seconds, options)
        transcript = _transcript_beside(recording)
        job_id, run_id = uuid.uuid4().hex[:12], uuid.uuid4().hex
        folder = f"uploads/{job_id}/"
        key = f"{folder}recording{recording.suffix.lower()}"
        transcript_key = f"{folder}transcript{transcript.suffix.lower()}" if transcript else None
        source = Recording(key=key, filename=recording.name, transcript_key=transcript_key)
        data = new_job_data(
            video_id=job_id,
            run_id=run_id,
            prefix=f"ai-video/{job_id}/{run_id}/",
            recording=source,
            options=options,
        )
        kept = source.model_dump(mode="json", exclude_none=True)
        with self._kept_if_begun(job_id):
            self._import(recording, key)
            if transcript and transcript_key:
                self._import(transcript, transcript_key)
            worker.engine.start(
                job_id,
                {**data, **parts.as_data(worker.settings), "recording": {**kept, "path": str(recording.absolute())}},
                run_id=run_id,
            )
        return job_id

    def _check_size(self, recording: Path, seconds: float, options: Options) -> None:
        """Refuse now what planning would refuse, after a transcription that takes long and may cost."""
        longest, model = self._worker.settings.longest_recording.total_seconds(), self._worker.model
        if seconds > longest:
            raise PermanentError(
                "TOO_LONG",
                f"{recording} lasts {seconds:.0f} s, and {longest:.0f} s are allowed; cut it, or raise "
                "AI_VIDEO_LONGEST_RECORDING_SECONDS",
                user_action="upload_other_audio",
            )
        cut_beats((), seconds, longest_seconds=model.longest_seconds, max_scenes=options.max_scenes)
        # The clips are at least as long as the recording; planning knows the rest.
        least, limit = seconds * model.usd_per_second, options.max_cost_usd
        if limit is not None and least > limit + 1e-9:
            raise PermanentError(
                "COST_LIMIT_EXCEEDED",
                f"{model.name} costs at least ${least:.2f} for {seconds:.0f} s, and the limit is ${limit:.2f}; raise "
                "--max-cost (and AI_VIDEO_MAX_COST_USD, which it cannot pass), or cut the recording",
                user_action="raise_limit",
            )

    def _import(self, path: Path, key: str) -> None:
        try:
            self._worker.media.upload(path, key)
        except OSError as error:
            raise _unreadable(path, error) from error

    @contextmanager
    def _kept_if_begun(self, job_id: str) -> Iterator[None]:
        """Remove what was imported if it becomes no job.  In a bucket it stays: `MediaStore` deletes nothing."""
        try:
            yield
        except BaseException:
            media = self._worker.media
            try:
                self._worker.store.get(job_id)
            except ExecutionNotFoundError:
                if isinstance(media, DirectoryMediaStore):
                    for key in list(media.keys(f"uploads/{job_id}/")):
                        media.discard(key)
            except StoreError:
                pass  # whether the job was stored is unknown, and a stored job needs them
            raise

    def resume(self, job_id: str) -> None:
        """Forget attempts and crashes and ask for a turn now; a turn at work elsewhere is left alone.

        Raises:
            ExecutionNotFoundError: no such job.
        """
        try:
            self._worker.engine.resume(job_id)
        except LeaseHeldError:
            # Somebody works on it, or was killed a moment ago.  `run` watches, and takes over when the lease ends.
            self._to_revive.add(job_id)

    def run(self, job_id: str, *, watch: Callable[[Execution], None] = lambda _: None) -> Execution:
        """Drive the job until it has come to its end or waits for a person; return it as stored then.

        `watch` is called after every turn and several times a second in between.  KeyboardInterrupt passes through:
        the job can be resumed.
        """
        worker = self._worker
        while True:
            while worker.dispatcher.events:
                worker.engine.run_turn(worker.dispatcher.events.popleft())
                watch(worker.store.get(job_id))
            execution = worker.store.get(job_id)
            watch(execution)
            if execution.due_at is None:
                return execution
            left = execution.due_at - worker.clock.now()
            if left <= timedelta(0) and job_id in self._to_revive:
                # The limit on crashes is for revival that nobody watches; here a person asked for it.
                self._to_revive.discard(job_id)
                self.resume(job_id)
            elif left <= timedelta(0):
                worker.dispatcher.dispatch(Event(job_id, execution.version))
            else:
                worker.clock.sleep(min(left, LOOK_EVERY))


def source_of(execution: Execution) -> Path | None:
    """Where the recording lay when the job was begun on this machine; None for a job that does not say."""
    recording = execution.data.get("recording")
    path = recording.get("path") if isinstance(recording, Mapping) else None
    return Path(path) if isinstance(path, str) else None


def _check_readable(recording: Path) -> None:
    try:
        if not recording.exists():
            raise PermanentError("FILE_MISSING", f"there is no file {recording}; check the name", user_action="none")
        if not recording.is_file():
            raise PermanentError("FILE_UNREADABLE", f"{recording} is no file; name a recording", user_action="none")
        with recording.open("rb"):
            pass
    except OSError as error:
        raise _unreadable(recording, error) from error


def _transcript_beside(recording: Path) -> Path | None:
    # The captions of an earlier run may lie there too; taken for a transcript, they would caption themselves.
    found = (path for path in transcripts_beside(recording) if path.is_file() and not is_own_captions(path))
    return next(found, None)


def _unreadable(path: Path, error: OSError) -> PermanentError:
    return PermanentError(
        "FILE_UNREADABLE", f"cannot read {path} ({error.strerror}); check its permissions", user_action="none"
    )
