"""One scene as a clip: frames drawn one after the other and encoded in the same thread.

There is no second thread to wait for, so an error in drawing ends the drawing and nothing hangs.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from random import Random

import av
from av.video.frame import VideoFrame

from worker.job import Word
from worker.models import FRAMES_PER_SECOND, AspectRatio
from worker.ports import ClipRequest
from worker.providers.storyboard.caption import Captioning, Mark
from worker.providers.storyboard.planes import Canvas
from worker.providers.storyboard.scenery import build
from worker.providers.storyboard.stage import Layer
from worker.providers.storyboard.vocabulary import read_scene

SIZES: dict[AspectRatio, tuple[int, int]] = {"16:9": (1280, 720), "9:16": (720, 1280)}
FADE_SECONDS = 0.35

# What the assembler's clips are: no B-frames, so that every frame is a place to cut; a key frame every two seconds.
# `aq-mode` 3 spends more on dark flat parts, where bands would show.  The rest suits flat drawings: about a
# quarter less work than plain `veryfast`, for files 5 % larger.  (five kinds of scene, 2026-11-22)
_ENCODER = {
    "preset": "veryfast",
    "crf": "22",
    "bf": "0",
    "g": "48",
    "threads": "1",
    "profile": "high",
    "x264-params": "aq-mode=3:subme=1:ref=1:trellis=0",
}
_BT709 = 1  # ITU-T H.273: primaries, transfer and matrix of HD
_VIDEO_RANGE = 1  # FFmpeg's AVCOL_RANGE_MPEG: 16..235


def frame_count(beat_seconds: float) -> int:
    """How many frames a beat has: beats lie on the grid of frames."""
    return max(1, round(beat_seconds * FRAMES_PER_SECOND))


def frames(request: ClipRequest, words: Sequence[Word], *, is_preview: bool = True) -> Iterator[Canvas]:
    """The pictures of a scene in order.  The canvas is the same one every time: use it before the next.

    `words` carry their times in the recording.  Neighbouring scenes are composed to opposite sides.  A preview says
    that it is one; only what stands for no scene of a job is none.
    """
    width, height = SIZES[request.aspect_ratio]
    random = Random(f"{request.seed}")  # noqa: S311 - scenery, not secrets
    count = frame_count(request.beat_seconds)
    stage = build(
        read_scene(request.prompt, request.narration, random),
        width=width,
        height=height,
        seconds=count / FRAMES_PER_SECOND,
        random=random,
        scene_index=request.scene_index,
    )
    overlays: list[Layer] = [Captioning(words, width=width, height=height, scene_starts=request.start_seconds)]
    if is_preview:
        mark = f"PREVIEW · scene {request.scene_index + 1}/{request.scene_count}"
        overlays.append(Mark(mark, width=width, height=height))
    canvas = _canvas_for_frames(width, height)
    fading = min(FADE_SECONDS * FRAMES_PER_SECOND, count / 4)
    for index in range(count):
        moment = index / FRAMES_PER_SECOND
        canvas.copy_from(stage.backdrop)
        for layer in stage.layers:
            layer.draw(canvas, moment)
        for overlay in overlays:
            overlay.draw(canvas, moment)
        # By the length of the beat, not of the clip: what is trimmed off would take the fade with it.
        share = min(1.0, (index + 0.5) / fading, (count - index - 0.5) / fading)
        yield canvas if share >= 1.0 else canvas.faded(share * share * (3 - 2 * share))
    # Stage and layers know each other, and the collector counts objects, not the megabytes in them: left to it,
    # a child grows by some 5 MB a clip.
    stage.layers.clear()


def encode(pictures: Iterator[Canvas], destination: Path, *, aspect_ratio: AspectRatio) -> None:
    """Write the pictures to `destination` as MP4 (H.264, 24 frames a second, no sound)."""
    width, height = SIZES[aspect_ratio]
    with av.open(str(destination), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options=dict(_ENCODER))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, FRAMES_PER_SECOND)
        context.color_range = _VIDEO_RANGE
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        for index, picture in enumerate(pictures):
            frame = VideoFrame(width, height, "yuv420p")
            for plane, image in zip(frame.planes, (picture.y, picture.u, picture.v), strict=True):
                plane.update(image.tobytes())
            frame.pts = index
            frame.time_base = context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _canvas_for_frames(width: int, height: int) -> Canvas:
    """A canvas whose rows are as long in memory as the encoder's, so that planes are handed over as they are."""
    y, u, _ = VideoFrame(width, height, "yuv420p").planes
    return Canvas.blank(width, height, row=y.line_size, colour_row=u.line_size)
