"""A frame as JPEG, drawn by FFmpeg's own MJPEG encoder."""

from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from worker.providers.pyav_assembler.opening import clip_broken, decodable_frames, open_clip, picture_of
from worker.providers.pyav_assembler.whole_files import whole_file

# JPEG quality on FFmpeg's scale from 2 (best) to 31.  A 720p poster at 3 is about 100 KB.
QUALITY = 3
TIME_BASE = Fraction(1, 1000)  # the encoder wants one; a JPEG has no time


def thumbnail(clip: Path, destination: Path, *, at_seconds: float, width: int) -> None:
    """Write the frame that is shown at `at_seconds`, `width` pixels wide, or the last frame if the clip is shorter.

    Raises:
        PermanentError: code CLIP_BROKEN, nothing can be decoded.
    """
    with open_clip(clip) as container:
        frame = frame_at(container, picture_of(container, clip), at_seconds)
    if frame is None:
        raise clip_broken(clip, "no frame of it can be decoded")
    jpeg = _jpeg(frame, width)
    with whole_file(destination) as part:
        part.write_bytes(jpeg)


def frame_at(container: InputContainer, stream: VideoStream, at_seconds: float) -> VideoFrame | None:
    """The frame that is shown at `at_seconds`, or the last one; None when nothing can be decoded."""
    container.seek(round(max(0.0, at_seconds) * av.time_base))
    shown = None
    for frame in decodable_frames(container, stream):
        if shown is not None and frame.time > at_seconds:
            break
        shown = frame
    return shown


def _jpeg(frame: VideoFrame, width: int) -> bytes:
    graph = Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    scale = graph.add("scale", f"{width}:-2:out_range=full")
    pixels = graph.add("format", "yuvj420p")
    graph.link_nodes(source, scale, pixels, graph.add("buffersink")).configure()
    graph.vpush(frame)
    small = graph.vpull()
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = small.width, small.height, "yuvj420p"
    encoder.time_base = TIME_BASE
    encoder.qmin = encoder.qmax = QUALITY
    return b"".join(bytes(packet) for packet in [*encoder.encode(small), *encoder.encode(None)])
