"""Runner: brings a recording in and drives its job to the end, in this process.

Several runners, in several processes, may drive the same job: the lease lets one of them run each turn, the others
watch and take over when its owner is gone.
"""

import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from statemachine import Event, Execution, PermanentError
from statemachine.errors import LeaseHeldError
from worker.job import Options, Recording, new_job_data
from worker.local import parts
from worker.local.output import is_own_captions
from worker.local.worker import LocalWorker

# How often an idle runner looks at the job, so that whoever watches sees time pass.
LOOK_EVERY = timedelta(milliseconds=200)

# What may lie beside `x.mp3` and holds its words, the best first.
TRANSCRIPT_SUFFIXES = (".vtt", ".srt", ".txt")


class Runner:
    """Drives jobs of one `LocalWorker`."""

    def __init__(self, worker: LocalWorker) -> None:
        self._worker = worker
        self._to_revive = worker.to_revive

    def begin(self, recording: Path, *, options: Options) -> str:
        """Import a recording, with the transcript beside it if there is one, start its job and return the job's id.

        Nothing is stored unless the recording can be used and the chosen parts are there.

        Raises:
            PermanentError: those of `LocalWorker.require_parts`, and codes FILE_MISSING, FILE_UNREADABLE, EMPTY_FILE,
                NOT_AUDIO, NO_AUDIO_STREAM, TOO_SHORT, TOO_LONG, CORRUPT.
            TransientError: code STORAGE_FULL.
        """
        worker = self._worker
        worker.require_parts()
        _check_readable(recording)
        facts = worker.assembler.measure(recording)
        longest = worker.settings.longest_recording.total_seconds()
        if facts.duration_seconds > longest:
            raise PermanentError(
                "TOO_LONG",
                f"{recording} lasts {facts.duration_seconds:.0f} s, and {longest:.0f} s are allowed; cut it, or raise "
                "AI_VIDEO_LONGEST_RECORDING_SECONDS",
                user_action="upload_other_audio",
            )
        job_id, run_id = uuid.uuid4().hex[:12], uuid.uuid4().hex
        folder = f"uploads/{job_id}/"
        key = f"{folder}recording{recording.suffix.lower()}"
        worker.media.upload(recording, key)
        transcript = _transcript_beside(recording)
        transcript_key = None
        if transcript is not None:
            transcript_key = f"{folder}transcript{transcript.suffix.lower()}"
            worker.media.upload(transcript, transcript_key)
        worker.engine.start(
            job_id,
            {
                **new_job_data(
                    video_id=job_id,
                    run_id=run_id,
                    prefix=f"ai-video/{job_id}/{run_id}/",
                    recording=Recording(key=key, filename=recording.name, transcript_key=transcript_key),
                    options=options,
                ),
                **parts.as_data(worker.settings),
            },
            run_id=run_id,
        )
        return job_id

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


def _check_readable(recording: Path) -> None:
    if not recording.exists():
        raise PermanentError("FILE_MISSING", f"there is no file {recording}; check the name", user_action="none")
    if not recording.is_file():
        raise PermanentError("FILE_UNREADABLE", f"{recording} is no file; name a recording", user_action="none")
    try:
        with recording.open("rb"):
            pass
    except OSError as error:
        raise PermanentError(
            "FILE_UNREADABLE", f"cannot read {recording} ({error.strerror}); check its permissions", user_action="none"
        ) from error


def _transcript_beside(recording: Path) -> Path | None:
    candidates = (recording.with_suffix(suffix) for suffix in TRANSCRIPT_SUFFIXES)
    # The captions of an earlier run may lie there too; taken for a transcript, they would caption themselves.
    return next(
        (path for path in candidates if path.is_file() and path != recording and not is_own_captions(path)), None
    )
