"""Small clips and recordings, made on the fly with PyAV, and ways to look into a finished file."""

import resource
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from hashlib import md5
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

FRAMES_PER_SECOND = 24


def write_clip(  # noqa: PLR0913 (one clip differs from the next in any of these)
    path: Path,
    *,
    frames: int = 48,
    width: int = 96,
    height: int = 64,
    rate: Fraction | int = FRAMES_PER_SECOND,
    b_frames: int = 0,
    look: int = 0,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    container: str = "mp4",
    muxer: Mapping[str, str] | None = None,
    encoder: Mapping[str, str] | None = None,
    rotation: float = 0,
    sample_aspect_ratio: Fraction | None = None,
    with_sound: bool = False,
) -> Path:
    """A clip in which every frame differs from every other, also from those of a clip of another `look`."""
    options = {"preset": "ultrafast", "g": "48", "bf": str(b_frames), "b-adapt": "0"}
    if b_frames:
        options["preset"] = "veryfast"  # ultrafast has none
    with av.open(path, "w", format=container, container_options=dict(muxer or {})) as output:
        stream = output.add_stream(
            codec, rate=rate, options={**options, **(encoder or {})} if codec == "libx264" else dict(encoder or {})
        )
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        if sample_aspect_ratio is not None:
            stream.codec_context.sample_aspect_ratio = sample_aspect_ratio
        if rotation:
            stream.set_display_rotation(rotation)
        sound = output.add_stream("aac", rate=44100, layout="mono") if with_sound else None
        for frame in pictures(frames, width=width, height=height, rate=rate, look=look, pixels=pixels):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if sound is not None:
            _encode_sound(
                sound, output, tone(float(frames / Fraction(rate)), rate=44100, layout="mono", frame_size=1024)
            )
    return path


def pictures(
    count: int, *, width: int, height: int, rate: Fraction | int, look: int, pixels: str = "yuv420p"
) -> Iterator[VideoFrame]:
    """FFmpeg's moving test picture, its colours turned by `look`."""
    graph = Graph()
    graph.link_nodes(
        graph.add("testsrc2", f"size={width}x{height}:rate={rate}"),
        graph.add("hue", f"h={look * 41 % 360}"),
        graph.add("trim", f"end_frame={count}"),
        graph.add("format", pixels),
        graph.add("buffersink"),
    ).configure()
    for frame in _pulled(graph):
        assert isinstance(frame, VideoFrame)
        frame.pict_type = PictureType.NONE
        yield frame


def write_sound(
    path: Path,
    *,
    seconds: float,
    codec: str = "pcm_s16le",
    container: str | None = None,
    rate: int = 44100,
    layout: str = "mono",
    loudness: float = 0.5,
    encoder: Mapping[str, str] | None = None,
) -> Path:
    """A tone with a slow beat, so that no second of it is like another."""
    with av.open(path, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout, options=dict(encoder or {}))
        assert isinstance(stream, AudioStream)
        stream.codec_context.open()
        frames = tone(
            seconds,
            rate=rate,
            layout=layout,
            frame_size=stream.codec_context.frame_size or 1024,
            loudness=loudness,
            samples=stream.codec_context.format.name,
        )
        _encode_sound(stream, output, frames)
    return path


def tone(
    seconds: float, *, rate: int, layout: str, frame_size: int, loudness: float = 0.5, samples: str = "fltp"
) -> Iterator[AudioFrame]:
    """A tone of 220 Hz, swelling and fading every 0.7 s."""
    graph = Graph()
    wave: FilterContext = graph.add(
        "aevalsrc", f"exprs='{loudness}*sin(2*PI*220*t)*(0.6+0.4*sin(2*PI*t/0.7))':s={rate}:d={seconds}"
    )
    graph.link_nodes(
        wave,
        graph.add("aformat", f"sample_fmts={samples}:channel_layouts={layout}"),
        graph.add("asetnsamples", f"n={frame_size}:p=0"),
        graph.add("abuffersink"),
    ).configure()
    for frame in _pulled(graph):
        assert isinstance(frame, AudioFrame)
        yield frame


def _encode_sound(stream: AudioStream, output: av.container.OutputContainer, frames: Iterator[AudioFrame]) -> None:
    for frame in frames:
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def _pulled(graph: Graph) -> Iterator[VideoFrame | AudioFrame]:
    while True:
        try:
            yield graph.pull()
        except EOFError:
            return


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame as a player shows it: its place on the 24 fps grid and what is on it."""

    place: int
    picture: str


def shown_frames(video: Path) -> list[Shown]:
    """Every frame of a file, decoded."""
    with av.open(video) as container:
        return [
            Shown(round(frame.time * FRAMES_PER_SECOND), md5(b"".join(map(bytes, frame.planes))).hexdigest())  # noqa: S324 (compares pictures, guards nothing)
            for frame in container.decode(video=0)
        ]


def packets_of(path: Path, kind: str) -> list[bytes]:
    """The payload of every packet of the first stream of a kind ('audio', 'video', 'subtitle')."""
    with av.open(path) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        return [bytes(packet) for packet in container.demux(stream) if packet.size]


def boxes_of(path: Path) -> list[str]:
    """The names of an MP4's top-level boxes, in the order of the file."""
    names, data, position = [], path.read_bytes(), 0
    while position < len(data):
        names.append(data[position + 4 : position + 8].decode("ascii"))
        position += int.from_bytes(data[position : position + 4], "big")
    return names


@contextmanager
def room_for(size_bytes: int) -> Iterator[None]:
    """The system refuses to let a file grow beyond `size_bytes`, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
