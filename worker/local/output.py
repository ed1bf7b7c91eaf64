"""Where the finished video goes: looked at before the work begins, and written whole or not at all."""

import errno
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from statemachine import PermanentError, TransientError
from worker.job import Job
from worker.ports import MediaStore

CAPTIONS_SUFFIX = ".vtt"

# What may lie beside `x.mp3` and holds its words, the best first.
TRANSCRIPT_SUFFIXES = (".vtt", ".srt", ".txt")

# The first line of captions that were written beside a video (WebVTT allows text there), so that a second run takes
# them neither for a transcript that somebody wrote nor for one that must not be replaced.
_HEADER = b"WEBVTT"
_OWN_HEADER = b"WEBVTT made by ai-video-worker"

# Of every MP4: the type of its first box, after four bytes of length (ISO/IEC 14496-12).
_MP4_TYPE = b"ftyp"

# What a folder must take for the work to begin.  A video is larger, but nobody knows yet by how much.
_PROBE_BYTES = 64 * 1024

# The disk is full, the person's share of it is, or a file may not be that large there.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True)
class Output:
    """The file that a person asked for; captions go beside it, under the same name with `.vtt`."""

    video: Path

    @property
    def captions(self) -> Path:
        """The captions' own file: players find it by its name."""
        return self.video.with_suffix(CAPTIONS_SUFFIX)

    def check(self, *, recording: Path | None = None, with_captions: bool = True) -> None:
        """Refuse what could not be written, or would replace a person's own file, before hours are spent on it.

        `recording` is what the video is made of, where it is known.

        Raises:
            PermanentError: codes OUTPUT_UNUSABLE, FILE_UNREADABLE.
            TransientError: code OUTPUT_FULL.
        """
        try:
            self._check_name()
            if recording is not None:
                self._check_against(recording)
            self._check_replaced(with_captions=with_captions)
            with tempfile.TemporaryFile(dir=self.video.parent) as probe:
                probe.write(bytes(_PROBE_BYTES))
                probe.flush()
                os.fsync(probe.fileno())
        except OSError as error:
            raise self._refusal(error) from error

    def write(self, job: Job, media: MediaStore) -> None:
        """Copy the finished video, and its captions if there are any, to where they were asked for.

        Both are whole on the disk before either gets its name.

        Raises:
            PermanentError: codes OUTPUT_UNUSABLE, FILE_UNREADABLE.
            TransientError: code OUTPUT_FULL.
        """
        wanted = [
            (job.media.captions_key, self.captions, _OWN_HEADER),
            (job.media.video_key, self.video, b""),
        ]
        try:
            with ExitStack() as stack:
                written = [
                    (stack.enter_context(_written_beside(key, path, media, header=header)), path)
                    for key, path, header in wanted
                    if key
                ]
                # Once more: hours may have passed since `check`.
                self._check_replaced(with_captions=bool(job.media.captions_key))
                for temporary, path in written:
                    temporary.replace(path)
            _flush_folder(self.video.parent)
        except OSError as error:
            raise self._refusal(error) from error

    def _check_name(self) -> None:
        video = self.video
        if video.is_dir():
            raise _unusable(f"{video} is a folder; name a file, for instance {video / 'video.mp4'}")
        if video.exists() and not video.is_file():
            raise _unusable(f"{video} is no ordinary file; choose another name with -o")
        if video.suffix.lower() == CAPTIONS_SUFFIX:
            raise _unusable(f"{video} is the name of the captions; let the video's end in .mp4")
        if not video.parent.is_dir():
            raise _unusable(f"there is no folder {video.parent} for {video.name}; make it, or choose another with -o")

    def _check_against(self, recording: Path) -> None:
        if _are_one_file(self.video, recording):
            raise _unusable(f"{self.video} is the recording itself, and would be replaced; choose another name with -o")
        for transcript in transcripts_beside(recording):
            if _are_one_file(self.video, transcript):
                raise _unusable(
                    f"{self.video} is the recording's transcript, and would be replaced; choose another name with -o"
                )

    def _check_replaced(self, *, with_captions: bool) -> None:
        """What stands there may be replaced if it is a video, and captions if they are ours."""
        if self.video.is_file() and not _is_video(self.video):
            raise _unusable(
                f"{self.video} is no MP4 video, and would be replaced; choose another name with -o, or remove it"
            )
        if with_captions and self.captions.exists() and not is_own_captions(self.captions):
            raise _unusable(
                f"the captions would replace {self.captions}, which was not written by this program; choose another "
                "name with -o, move that file away, or begin with --no-captions"
            )

    def _refusal(self, error: OSError) -> PermanentError | TransientError:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            return TransientError(
                "OUTPUT_FULL",
                f"{self.video} does not fit there ({reason}); free some space, or choose another place with -o",
            )
        return _unusable(f"cannot write {self.video} ({reason}); check the folder's permissions, or choose another")


def transcripts_beside(recording: Path) -> list[Path]:
    """Where a transcript of this recording would lie, the best first; not the recording itself."""
    places = (recording.parent / f"{recording.stem}{suffix}" for suffix in TRANSCRIPT_SUFFIXES)
    return [place for place in places if place != recording]


def is_own_captions(path: Path) -> bool:
    """Whether this file was written by `Output.write`, and is nobody's transcript.

    Raises:
        PermanentError: code FILE_UNREADABLE.
    """
    try:
        with path.open("rb") as file:
            return file.read(len(_OWN_HEADER)) == _OWN_HEADER
    except OSError as error:
        raise PermanentError(
            "FILE_UNREADABLE",
            f"cannot read {path} ({error.strerror}); check its permissions, or move it away",
            user_action="none",
        ) from error


@contextmanager
def _written_beside(key: str, path: Path, media: MediaStore, *, header: bytes) -> Iterator[Path]:
    """The object as a finished file in `path`'s folder, so that renaming it is one step; gone unless renamed.

    `header`, if any, takes the place of the plain WebVTT one.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with media.open(key) as stored, temporary.open("xb") as file:
            if header:
                file.write(header + stored.read().removeprefix(_HEADER))
            shutil.copyfileobj(stored, file, 1024 * 1024)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Make the new names survive a power cut too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_video(path: Path) -> bool:
    """Whether this is an MP4, or an empty file, as `mktemp` leaves one."""
    with path.open("rb") as file:
        start = file.read(8)
    return not start or start[4:] == _MP4_TYPE


def _are_one_file(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)


def _unusable(message: str) -> PermanentError:
    return PermanentError("OUTPUT_UNUSABLE", message, user_action="choose_other_output")
