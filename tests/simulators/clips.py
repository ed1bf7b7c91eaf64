"""Real MP4s in place of a video model's: each frame carries, as blocks of black and white, what it is.

The blocks are large enough to survive scaling and encoding again, so a test can ask any frame of a finished video
which order it came from.
"""

import io
import math
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import PictureType, VideoFrame
from av.video.plane import VideoPlane
from av.video.stream import VideoStream

from tests.media import tone

FRAMES_PER_SECOND = 24
BITS = 16  # in a row of blocks: the label's row, and below it the frame's
BANDS = 8  # a row of blocks is this part of the height; the picture lies below the two
BLACK, WHITE = 16, 235


@dataclass(frozen=True, slots=True)
class Mark:
    """What a frame says of itself: the label it was made with, and its place in its clip."""

    label: int
    frame: int


_one_at_a_time = Lock()


def clip(
    seconds: float, *, aspect_ratio: str, short_side: int, label: int, b_frames: int = 2, has_sound: bool = False
) -> bytes:
    """H.264 in MP4, 24 frames a second, made once per process for the same arguments.  `label` fits in 16 bits."""
    with _one_at_a_time:
        return _made(seconds, aspect_ratio, short_side, label, b_frames, has_sound)


def mark_of(frame: VideoFrame) -> Mark:
    """What a decoded frame of such a clip says of itself, also after scaling and encoding again."""
    picture = frame if frame.format.name == "yuv420p" else frame.reformat(format="yuv420p")
    luma = picture.planes[0]
    return Mark(*(_bits_read(luma, frame.width, row=int((band + 0.5) * frame.height / BANDS)) for band in (0, 1)))


def size_of(aspect_ratio: str, short_side: int) -> tuple[int, int]:
    """Width and height of a clip."""
    long_side = short_side * 16 // 9
    return (long_side, short_side) if aspect_ratio == "16:9" else (short_side, long_side)


@lru_cache(maxsize=64)
def _made(seconds: float, aspect_ratio: str, short_side: int, label: int, b_frames: int, has_sound: bool) -> bytes:  # noqa: FBT001 (private; the cache wants them in a row)
    width, height = size_of(aspect_ratio, short_side)
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        # The cheapest preset: 0.8 s of processor time for 8 s of 720p (measured
        # 2026-11-22; veryfast took 1.9 s).  `bf` gives it the B-frames that it leaves out.
        stream = output.add_stream(
            "libx264",
            rate=FRAMES_PER_SECOND,
            options={"preset": "ultrafast", "bf": str(b_frames), "b-adapt": "0", "g": str(FRAMES_PER_SECOND)},
        )
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        sound = output.add_stream("aac", rate=48000, layout="stereo") if has_sound else None
        for index in range(round(seconds * FRAMES_PER_SECOND)):
            output.mux(stream.encode(_drawn(width, height, Mark(label, index))))
        output.mux(stream.encode(None))
        if sound is not None:
            _add_sound(output, sound, seconds)
    return file.getvalue()


def _add_sound(output: av.container.OutputContainer, sound: AudioStream, seconds: float) -> None:
    for frame in tone(seconds, rate=48000, layout="stereo", frame_size=1024):
        assert isinstance(frame, AudioFrame)
        output.mux(sound.encode(frame))
    output.mux(sound.encode(None))


def _drawn(width: int, height: int, mark: Mark) -> VideoFrame:
    """The blocks, and below them a plain colour of the label's own through which a bar wanders."""
    frame = VideoFrame(width, height, "yuv420p")
    frame.pict_type = PictureType.NONE
    luma, *chroma = frame.planes
    bar = width // 16
    place = mark.frame * 8 % (width - bar)
    plain = b"\x60" * place + b"\xc0" * bar + b"\x60" * (width - bar - place)
    band = height // BANDS
    rows = [_bits_drawn(mark.label, width)] * band + [_bits_drawn(mark.frame, width)] * band
    _fill(luma, rows + [plain] * (height - len(rows)))
    for plane, wave in zip(chroma, (math.cos, math.sin), strict=True):
        tint = round(128 + 70 * wave(mark.label * 0.9))
        _fill(plane, [bytes([tint]) * (width // 2)] * (height // 2))
    return frame


def _fill(plane: VideoPlane, rows: list[bytes]) -> None:
    plane.update(b"".join(row.ljust(plane.line_size, b"\0") for row in rows))


def _bits_drawn(number: int, width: int) -> bytes:
    shades = bytes(WHITE if number >> bit & 1 else BLACK for bit in reversed(range(BITS)))
    return bytes(shades[column * BITS // width] for column in range(width))


def _bits_read(luma: VideoPlane, width: int, *, row: int) -> int:
    data = memoryview(luma)[row * luma.line_size :]
    middles = (int((block + 0.5) * width / BITS) for block in range(BITS))
    return int("".join("1" if data[middle] > (BLACK + WHITE) // 2 else "0" for middle in middles), 2)
