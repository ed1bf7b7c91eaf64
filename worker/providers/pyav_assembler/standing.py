"""A frame that stands still for some seconds, in place of a clip that could not be made."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from av.video.frame import VideoFrame

from worker.ports import VideoFormat
from worker.providers.pyav_assembler.conforming import in_format, write_frames
from worker.providers.pyav_assembler.opening import clip_broken, open_clip, picture_of
from worker.providers.pyav_assembler.stills import frame_at
from worker.providers.pyav_assembler.whole_files import whole_file


def still_clip(source: Path, destination: Path, *, at_seconds: float, seconds: float, target: VideoFormat) -> None:
    """Write the frame of `source` at `at_seconds`, shown for `seconds`, in the target format.

    Raises:
        PermanentError: code CLIP_BROKEN, nothing can be decoded.
        TransientError: code STORAGE_FULL or STORAGE_UNAVAILABLE.
    """
    with open_clip(source) as container:
        stream = picture_of(container, source)
        found = frame_at(container, stream, at_seconds)
        if found is None:
            raise clip_broken(source, "no frame of it can be decoded")
        frame = next(in_format(iter([found]), stream.sample_aspect_ratio or Fraction(1), target))
    frame.pts, frame.time_base = 0, Fraction(1, target.frames_per_second)
    count = max(1, round(seconds * target.frames_per_second))
    with whole_file(destination) as part:
        write_frames(frame, _again(frame, count - 1), part, target)


def _again(frame: VideoFrame, times: int) -> Iterator[VideoFrame]:
    for place in range(1, times + 1):
        frame.pts = place
        yield frame
