"""Clips, recording and captions to one MP4, packet by packet: nothing is decoded, nothing encoded.

Each clip ends where its boundary is, counted in frames from the beginning of the video, so that an error never adds
up.  With B-frames a clip cannot end just anywhere: packets stand in decoding order, and a frame may lean on one that is
shown later.  It can end after k packets if these hold exactly its first k frames.  (FFmpeg's concat demuxer cuts by
decoding time instead: 1 to 3 frames too many at 7 of 10 cuts, some shown twice; measured 2026-11.)

Memory does not grow with the number of clips: one is open at a time, and a few packets of it are held.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Discard, Stream
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream

from statemachine.errors import PermanentError
from worker.job import Caption
from worker.models import FRAMES_PER_SECOND
from worker.ports import SceneClip, VideoFacts
from worker.providers.pyav_assembler.h264 import DecoderConfiguration, read_configuration
from worker.providers.pyav_assembler.opening import TAG_ERRORS, clip_broken, open_clip, picture_of
from worker.providers.pyav_assembler.whole_files import whole_file

# A packet and the number of its frame in the clip.  (Quoted: the class takes no parameter at run time.)
Numbered: TypeAlias = "tuple[int, Packet[Stream]]"

TICKS_PER_FRAME = 512
TIMESCALE = FRAMES_PER_SECOND * TICKS_PER_FRAME
TIME_BASE = Fraction(1, TIMESCALE)
FRAME_SECONDS = 1 / FRAMES_PER_SECOND
# A time in whole milliseconds is up to 0.012 of a frame beside its place; 23.976 fps is after one second.
GRID_TOLERANCE = 0.02
# A scene may be shown this much longer than planned rather than stand still for longer than that before its boundary.
MOST_SURPLUS_FRAMES = 2

MP4_OPTIONS = {
    "movflags": "+faststart",
    "video_track_timescale": str(TIMESCALE),
    # The muxer holds packets back until every track has one: without captions for minutes, that would be many.
    "max_interleave_delta": "1000000",
    # Half seconds of each track together: a third less header than packet by packet.
    "chunk_duration": "500000",
}
CAPTION_TIME_BASE = Fraction(1, 1000)
# What the MP4 header says about how captions look; the encoder's own default, which it reads from an ASS script.
CAPTION_STYLE = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def assemble(scenes: Sequence[SceneClip], *, audio: Path, captions: Sequence[Caption], destination: Path) -> VideoFacts:
    """Join the scenes under the recording.

    Every scene but the first begins at its `start_seconds`, to the frame where the clip before it has no B-frames, else
    at most 2 frames late.  A clip that is shorter than its scene stands still at its last frame.

    Raises:
        ValueError: there is no scene, or the audio is not AAC.
        PermanentError: codes CLIP_BROKEN, CLIP_MISMATCH, DURATION_MISMATCH.
        TransientError: code STORAGE_FULL or STORAGE_UNAVAILABLE.
    """
    if not scenes:
        raise ValueError("a video needs at least one scene")
    clips = _survey(scenes)
    boundaries = [_frame_at(scene.start_seconds) for scene in scenes[1:]] + [_frame_at(scenes[-1].end_seconds)]
    with (
        _open_sound(audio) as recording,
        whole_file(destination) as part,
    ):
        with av.open(part, "w", format="mp4", container_options=MP4_OPTIONS) as output:
            film = _Film(output, clips, recording.streams.audio[0], captions)
            for clip, boundary in zip(clips, boundaries, strict=True):
                film.show(clip, until=boundary, is_last=clip is clips[-1])
            film.finish()
        facts = probe(part)
        _refuse_mismatch(facts, film, destination)
    return facts


def probe(video: Path) -> VideoFacts:
    """What the header of an assembled video says."""
    with av.open(video, options={"codec_whitelist": "none"}, metadata_errors=TAG_ERRORS) as container:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        return VideoFacts(
            duration_seconds=(container.duration or 0) / av.time_base,
            video_seconds=_seconds_of(picture),
            audio_seconds=_seconds_of(sound),
            width=picture.width,
            height=picture.height,
            frame_count=picture.frames,
            size_bytes=container.size,
        )


def _refuse_mismatch(facts: VideoFacts, film: "_Film", destination: Path) -> None:
    """Nothing that was not checked leaves the assembler."""
    if abs(facts.video_seconds - facts.audio_seconds) > FRAME_SECONDS:
        raise PermanentError(
            "DURATION_MISMATCH",
            f"in {destination.name} the pictures last {facts.video_seconds:.3f} s and the recording"
            f" {facts.audio_seconds:.3f} s: the scenes do not cover the recording",
            user_action="contact_admin",
            details={"video_seconds": facts.video_seconds, "audio_seconds": facts.audio_seconds},
        )
    if facts.frame_count != film.frames_written:
        raise PermanentError(
            "DURATION_MISMATCH",
            f"{destination.name} holds {facts.frame_count} frames ({facts.video_seconds:.3f} s) of the"
            f" {film.frames_written} written for {facts.audio_seconds:.3f} s of recording",
            user_action="contact_admin",
        )


def _seconds_of(stream: VideoStream | AudioStream) -> float:
    if stream.duration is None or stream.time_base is None:
        return 0.0
    return float(stream.duration * stream.time_base)


def _frame_at(seconds: float) -> int:
    return round(seconds * FRAMES_PER_SECOND)


@dataclass(frozen=True, slots=True)
class _ClipHeader:
    """What a clip's header says: enough to know whether it can stand beside the others."""

    path: Path
    width: int
    height: int
    frames: int
    reorder_depth: int
    configuration: DecoderConfiguration

    @property
    def form(self) -> str:
        return f"{self.width}x{self.height} H.264"


def _survey(scenes: Sequence[SceneClip]) -> list[_ClipHeader]:
    """The header of every clip, so that a clip that does not fit is found before a byte is written."""
    clips = [_read_header(scene.path) for scene in scenes]
    for clip in clips:
        if clip.form != clips[0].form:
            raise _mismatch(clip.path, f"it is {clip.form} and the first clip {clips[0].form}")
    return clips


def _read_header(path: Path) -> _ClipHeader:
    with open_clip(path, header_only=True) as container:
        stream = picture_of(container, path)
        context = stream.codec_context
        if "mp4" not in container.format.name or context.name != "h264":
            raise _mismatch(path, f"it is {context.name} in {container.format.name}")
        try:
            configuration = read_configuration(context.extradata)
        except ValueError as error:
            raise clip_broken(path, str(error)) from error
        if not configuration.is_playable:
            raise _mismatch(path, f"it is H.264 {stream.profile}, not 8 bit 4:2:0")
        return _ClipHeader(path, stream.width, stream.height, stream.frames, context.reorder_depth, configuration)


def _mismatch(path: Path, why: str) -> PermanentError:
    return PermanentError(
        "CLIP_MISMATCH",
        f"clip {path.name} has not been brought into the video's format ({why}): conform it first",
        user_action="contact_admin",
    )


def _open_sound(audio: Path) -> InputContainer:
    container = av.open(audio, metadata_errors=TAG_ERRORS)
    if not container.streams.audio or container.streams.audio[0].codec_context.codec.canonical_name != "aac":
        container.close()
        raise ValueError(f"{audio.name} is not the recording as AAC")
    return container


class _Film:
    """The video being written: where it stands, and what of sound and captions is due."""

    def __init__(
        self, output: OutputContainer, clips: Sequence[_ClipHeader], sound: AudioStream, captions: Sequence[Caption]
    ) -> None:
        self.frames_written = 0
        self._output = output
        self._next_frame = 0
        # Parameter sets stand in the header once for all, unless clips differ: then before every frame at which a
        # player may begin to read.  The header announces the most demanding clip.
        self._sets_differ = len({clip.configuration.parameter_sets for clip in clips}) > 1
        lead = max(clips, key=lambda clip: clip.configuration.rank)
        with open_clip(lead.path, header_only=True) as template:
            self._picture = output.add_stream_from_template(picture_of(template, lead.path), opaque=True)
        self._picture.time_base = TIME_BASE
        self._depth = max(clip.reorder_depth for clip in clips)
        self._places = deque(range(-self._depth, 0), maxlen=self._depth + 1)
        self._due_sound = _copied(sound, output.add_stream_from_template(sound))
        self._next_sound = next(self._due_sound, None)
        if captions:
            # All at once: they are small, and the muxer need not wait for the next.
            output.mux(list(_caption_packets(captions, _add_caption_track(output))))

    def show(self, clip: _ClipHeader, *, until: int, is_last: bool) -> None:
        """Append the clip, to be shown from where the film stands to the frame `until`."""
        wanted = until - self._next_frame
        begin = self._next_frame
        held: list[Numbered] = []
        with open_clip(clip.path, header_only=True) as container:
            for group in _until_cut(_closed_groups(clip, container), wanted, MOST_SURPLUS_FRAMES * (not is_last)):
                self._write(clip, held, begin)
                held = group
        self._write(clip, held, begin, end=until if is_last else None)
        self._next_frame = max(until, self._next_frame)

    def finish(self) -> None:
        """Write what is left of the sound."""
        self._write_sound(float("inf"))

    def _write(self, clip: _ClipHeader, group: Sequence[Numbered], begin: int, end: int | None = None) -> None:
        """Write a group of whole frames; with `end`, nothing follows, and the last one is shown until then."""
        last_shown = begin + max((index for index, _ in group), default=0)
        left = len(group)
        for index, source in group:
            packet = source
            if self._sets_differ and source.is_keyframe:
                packet = Packet(clip.configuration.parameter_sets + bytes(source))
                packet.is_keyframe = True
            shown_at, decoded_at = begin + index, self._next_place()
            left -= 1
            frames = 1
            if end is not None and shown_at == last_shown:
                frames = end - shown_at
            elif end is not None and not left:
                # The frame decoded last is not the one shown last: it fills up what decoding lacks to the same length.
                frames = end - self._depth - decoded_at
            packet.stream = self._picture
            packet.time_base = TIME_BASE
            packet.pts = shown_at * TICKS_PER_FRAME
            packet.dts = decoded_at * TICKS_PER_FRAME
            packet.duration = frames * TICKS_PER_FRAME
            self._write_sound(decoded_at * FRAME_SECONDS)
            self._output.mux_one(packet)
            self.frames_written += 1

    def _next_place(self) -> int:
        """When the next packet is decoded: when the frame `depth` places before it is shown."""
        self._places.append(self._next_frame)
        self._next_frame += 1
        return self._places[0]

    def _write_sound(self, until_seconds: float) -> None:
        """Sound goes beside the pictures in the file, so that a player need not jump."""
        while self._next_sound is not None and self._next_sound[0] <= until_seconds:
            self._output.mux_one(self._next_sound[1])
            self._next_sound = next(self._due_sound, None)


def _closed_groups(clip: _ClipHeader, container: InputContainer) -> Iterator[list[Numbered]]:
    """Packets with the number of their frame, in the smallest groups after which the clip may end.

    Raises:
        PermanentError: code CLIP_BROKEN, the file is damaged or ends early; CLIP_MISMATCH, its frames do not come at
            the video's rate.
    """
    group: list[Numbered] = []
    seen: set[int] = set()
    closed = 0
    for index, packet in _numbered(clip, container):
        if index < closed or index in seen:
            raise _mismatch(clip.path, f"two frames stand at number {index}")
        group.append((index, packet))
        seen.add(index)
        if max(seen) == closed + len(group) - 1:
            yield group
            closed += len(group)
            group, seen = [], set()
    if group:
        raise _mismatch(clip.path, f"there is a gap in its frames after number {closed}")
    if closed < max(1, clip.frames):
        raise clip_broken(clip.path, f"it ends after {closed} of {clip.frames} frames")


def _numbered(clip: _ClipHeader, container: InputContainer) -> Iterator[Numbered]:
    stream = picture_of(container, clip.path)
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    if stream.time_base is None:
        raise clip_broken(clip.path, "it has no time base")
    frames_per_tick = float(stream.time_base * FRAMES_PER_SECOND)
    first: int | None = None
    for packet in _readable(clip.path, container, stream.index):
        if packet.pts is None or packet.is_corrupt:
            raise clip_broken(clip.path, "a packet of it is incomplete")
        if first is None:
            if not packet.is_keyframe:
                raise clip_broken(clip.path, "it does not begin with a whole picture")
            first = packet.pts
        exact = (packet.pts - first) * frames_per_tick
        index = round(exact)
        if packet.is_discard or index < 0 or abs(exact - index) > GRID_TOLERANCE:
            raise _mismatch(clip.path, f"its frames do not come at {FRAMES_PER_SECOND} a second")
        yield index, packet


def _readable(path: Path, container: InputContainer, stream: int) -> Iterator["Packet[Stream]"]:
    try:
        for packet in container.demux(stream):
            if packet.size:  # the last one is empty: it tells decoders to give what they hold
                yield packet
    except av.FFmpegError as error:
        raise clip_broken(path, str(error.strerror)) from error


def _until_cut(groups: Iterable[list[Numbered]], wanted: int, most_surplus: int) -> Iterator[list[Numbered]]:
    """The groups up to `wanted` frames, or as near to it as a clip can end."""
    shown = 0
    for group in groups:
        missing, surplus = wanted - shown, shown + len(group) - wanted
        if surplus > 0 and (surplus > most_surplus or surplus >= missing):
            return
        yield group
        shown += len(group)
        if shown >= wanted:
            return


def _copied(source: AudioStream, target: AudioStream) -> Iterator[tuple[float, "Packet[AudioStream]"]]:
    """The recording's packets as they are, with the second at which each begins."""
    container = source.container
    if not isinstance(container, InputContainer):
        raise TypeError("the sound is copied from a file that was opened to read")
    for packet in container.demux(source):
        if packet.size and packet.dts is not None:
            begins = float(packet.dts * packet.time_base)
            packet.stream = target
            yield begins, packet


def _add_caption_track(output: OutputContainer) -> SubtitleStream:
    track = output.add_stream("mov_text")
    if not isinstance(track, SubtitleStream):
        raise TypeError("mov_text is a subtitle codec")
    track.codec_context.subtitle_header = CAPTION_STYLE
    track.time_base = CAPTION_TIME_BASE
    return track


def _caption_packets(captions: Sequence[Caption], track: SubtitleStream) -> Iterator["Packet[Stream]"]:
    """One packet for each caption and each gap: in MP4 the track has no holes."""
    moments = [round(moment * 1000) for caption in captions for moment in (caption.start_seconds, caption.end_seconds)]
    texts = [text for caption in captions for text in (caption.text, "")]
    for (begin, end), text in zip(pairwise([0, *moments]), ["", *texts[:-1]], strict=True):
        if end <= begin:
            continue
        encoded = text.encode()
        packet = Packet(len(encoded).to_bytes(2, "big") + encoded)
        packet.time_base = CAPTION_TIME_BASE
        packet.pts = packet.dts = begin
        packet.duration = end - begin
        packet.is_keyframe = True
        packet.stream = track
        yield packet
