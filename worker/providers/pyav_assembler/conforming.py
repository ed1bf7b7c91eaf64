"""A clip in the video's one format.

Vendors deliver what they like: another size, rate or time base, sound that is not wanted, HEVC, pictures on their side.
Copied as they are, such clips make a file that plays wrongly without any error (36 s of clips became 161 s; measured
2026-11).  So each clip is compared with the target once, when it arrives, and encoded anew only if it differs.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.filter import Graph
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from worker.ports import VideoFormat
from worker.providers.pyav_assembler.h264 import read_configuration
from worker.providers.pyav_assembler.opening import clip_broken, decodable_frames, open_clip, picture_of
from worker.providers.pyav_assembler.whole_files import whole_file

TICKS_PER_FRAME = 512
# As in joining: what rounding to milliseconds does to a frame's place, and 23.976 fps exceeds after a second.
GRID_TOLERANCE = 0.02
# No B-frames: the clip can then end after any frame.  A key frame every 2 s: seeking in the video lands well.
ENCODER_OPTIONS = {"preset": "veryfast", "crf": "20", "bf": "0", "g": "48"}
UPRIGHT: dict[int, tuple[tuple[str, str], ...]] = {
    0: (),
    90: (("transpose", "cclock"),),
    -90: (("transpose", "clock"),),
    180: (("hflip", ""), ("vflip", "")),
    -180: (("hflip", ""), ("vflip", "")),
}


def conform(clip: Path, destination: Path, target: VideoFormat) -> bool:
    """Write `clip` in the target format; False, writing nothing, when it already fits.

    The picture is scaled to fit and the rest is black; sound is left out.  Frames that cannot be decoded are left out.

    Raises:
        PermanentError: code CLIP_BROKEN.
        TransientError: code STORAGE_FULL or STORAGE_UNAVAILABLE.
    """
    if _fits(clip, target):
        return False
    with open_clip(clip) as container:
        stream = picture_of(container, clip)
        frames = in_format(decodable_frames(container, stream), stream.sample_aspect_ratio or Fraction(1), target)
        first = next(frames, None)
        if first is None:
            raise clip_broken(clip, "no frame of it can be decoded")
        with whole_file(destination) as part:
            write_frames(first, frames, part, target)
    return True


def _fits(clip: Path, target: VideoFormat) -> bool:
    with open_clip(clip) as container:
        stream = picture_of(container, clip)
        return _header_fits(container, stream, target) and _packets_fit(container, stream, target)


def _header_fits(container: InputContainer, stream: VideoStream, target: VideoFormat) -> bool:
    context = stream.codec_context
    if "mp4" not in container.format.name or context.name != "h264":
        return False
    try:
        is_playable = read_configuration(context.extradata).is_playable
    except ValueError:
        return False
    return (
        is_playable
        and (stream.width, stream.height) == (target.width, target.height)
        and stream.pix_fmt == "yuv420p"
        and stream.sample_aspect_ratio in {None, Fraction(0), Fraction(1)}
        and stream.color_range in {ColorRange.UNSPECIFIED, ColorRange.MPEG}
    )


def _packets_fit(container: InputContainer, stream: VideoStream, target: VideoFormat) -> bool:
    """Whether every frame is there, whole and in its place, and the key frames decode to upright pictures.

    To decode every frame would tell little more (a download is cut off, seldom altered) and cost 20 times as much.
    """
    stream.codec_context.skip_frame = "NONKEY"
    places: list[int] = []
    first: int | None = None
    try:
        for packet in container.demux(stream):
            # The decoder may keep frames until the last packet, the empty one.
            if any(frame.rotation or frame.interlaced_frame for frame in packet.decode()):
                return False
            if not packet.size:
                continue
            if packet.pts is None or packet.is_corrupt or packet.is_discard:
                return False
            if first is None:
                first = packet.pts
            place = float((packet.pts - first) * packet.time_base * target.frames_per_second)
            if abs(place - round(place)) > GRID_TOLERANCE:
                return False
            places.append(round(place))
    except av.FFmpegError:
        return False
    return 0 < len(places) == stream.frames and sorted(places) == list(range(len(places)))


def in_format(frames: Iterator[VideoFrame], sample_aspect_ratio: Fraction, target: VideoFormat) -> Iterator[VideoFrame]:
    """The frames upright, scaled, padded and at the target's rate, as long as they have the form of the first."""
    graph: Graph | None = None
    form: tuple[int, int, str, int] | None = None
    for frame in frames:
        frame_form = (frame.width, frame.height, frame.format.name, frame.rotation)
        if graph is None:
            graph, form = _graph(frame, sample_aspect_ratio, target), frame_form
        if frame_form == form:
            graph.vpush(frame)
            yield from _ready(graph)
    if graph is not None:
        graph.vpush(None)
        yield from _ready(graph)


def _graph(frame: VideoFrame, sample_aspect_ratio: Fraction, target: VideoFormat) -> Graph:
    size = f"{target.width}:{target.height}"
    graph = Graph()
    graph.link_nodes(
        graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base),
        # Square pixels first: everything after this counts in them.
        graph.add("scale", f"{round(frame.width * sample_aspect_ratio)}:{frame.height}"),
        graph.add("setsar", "1"),
        *(graph.add(name, arguments) for name, arguments in UPRIGHT.get(frame.rotation, ())),
        graph.add("yadif", "deint=interlaced"),
        graph.add("setpts", "PTS-STARTPTS"),
        graph.add("scale", f"{size}:force_original_aspect_ratio=decrease:force_divisible_by=2:out_range=limited"),
        graph.add("pad", f"{size}:(ow-iw)/2:(oh-ih)/2"),
        graph.add("setsar", "1"),
        graph.add("fps", str(target.frames_per_second)),
        graph.add("format", "yuv420p"),
        graph.add("buffersink"),
    ).configure()
    return graph


def _ready(graph: Graph) -> Iterator[VideoFrame]:
    while True:
        try:
            yield graph.vpull()
        except (BlockingIOError, EOFError):  # wants another frame, or has given its last
            return


def write_frames(first: VideoFrame, others: Iterator[VideoFrame], destination: Path, target: VideoFormat) -> None:
    """Encode frames that are in the target format already."""
    rate = target.frames_per_second
    options = {"movflags": "+faststart", "video_track_timescale": str(rate * TICKS_PER_FRAME)}
    with av.open(destination, "w", format="mp4", container_options=options) as output:
        stream = output.add_stream("libx264", rate=rate, options=ENCODER_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = target.width, target.height, "yuv420p"
        stream.time_base = Fraction(1, rate)
        output.mux(_encoded(stream, first))
        for frame in others:
            output.mux(_encoded(stream, frame))
        output.mux(stream.encode(None))


def _encoded(stream: VideoStream, frame: VideoFrame) -> list["Packet[VideoStream]"]:
    frame.pict_type = PictureType.NONE  # the encoder decides; a decoded frame still names its source's type
    return stream.encode(frame)
