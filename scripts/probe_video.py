"""Decode a finished video from end to end and say what is wrong with it.

`python scripts/probe_video.py out/demo.mp4 --recording samples/x.mp3`: reads nothing of the worker's own record, so
that it cannot repeat the worker's mistakes.  Prints what it found as one JSON object; exit code 1 with one line for
each fault.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import av

# A decoder of MP3 keeps or drops the codec's own delay and padding, up to two of its frames of 1,152 samples.
AUDIO_TOLERANCE_SECONDS = 0.11


@dataclass(frozen=True, slots=True)
class Probe:
    """What decoding found; times in seconds from the beginning of the file."""

    video_codec: str
    audio_codec: str
    has_captions: bool
    width: int
    height: int
    frames: int
    frame_seconds: float
    first_frame_seconds: float
    last_frame_ends_seconds: float
    audio_seconds: float
    starts_playing_before_it_is_whole: bool


def probe(path: Path) -> Probe:
    """Decode every frame of picture and sound.

    Raises:
        av.error.FFmpegError: it is no media file, or is damaged.
        ValueError: it has no picture or no sound.
    """
    with av.open(path) as container:
        if not container.streams.video or not container.streams.audio:
            msg = f"{path} has {len(container.streams.video)} video and {len(container.streams.audio)} audio streams"
            raise ValueError(msg)
        video = container.streams.video[0]
        times = [frame.time for frame in container.decode(video)]
        if not times or not video.average_rate:
            msg = f"{path}: not one frame could be decoded"
            raise ValueError(msg)
        frame_seconds = float(1 / video.average_rate)
        return Probe(
            video_codec=video.codec_context.name,
            audio_codec=container.streams.audio[0].codec_context.name,
            has_captions=bool(container.streams.subtitles),
            width=video.width,
            height=video.height,
            frames=len(times),
            frame_seconds=frame_seconds,
            first_frame_seconds=min(times),
            last_frame_ends_seconds=max(times) + frame_seconds,
            audio_seconds=audio_seconds(path),
            starts_playing_before_it_is_whole=index_comes_first(path),
        )


def audio_seconds(path: Path) -> float:
    """How much sound can be decoded; headers are not believed."""
    with av.open(path) as container:
        return sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))


def index_comes_first(path: Path) -> bool:
    """Whether the MP4's index (`moov`) stands before its media (`mdat`), so that a player need not load it all."""
    with path.open("rb") as file:
        while header := file.read(8):
            size, kind = int.from_bytes(header[:4], "big"), header[4:]
            if kind in {b"moov", b"mdat"}:
                return kind == b"moov"
            if size == 1:  # the real size follows as 64 bits
                size, header_bytes = int.from_bytes(file.read(8), "big"), 16
            else:
                header_bytes = 8
            if size < header_bytes:
                return False
            file.seek(size - header_bytes, 1)
    return False


def faults(found: Probe, *, recording_seconds: float) -> list[str]:
    """What is wrong with a video that should show one picture or another during the whole recording."""
    wrong = []
    if (found.video_codec, found.audio_codec) != ("h264", "aac"):
        wrong.append(f"codecs are {found.video_codec} and {found.audio_codec}, not h264 and aac")
    if not found.has_captions:
        wrong.append("there is no caption track")
    if not found.starts_playing_before_it_is_whole:
        wrong.append("the index comes after the media: it cannot be played while it loads")
    if found.first_frame_seconds > found.frame_seconds:
        wrong.append(f"the first frame is shown only at {found.first_frame_seconds:.3f} s")
    if abs(found.audio_seconds - recording_seconds) > AUDIO_TOLERANCE_SECONDS:
        wrong.append(f"sound lasts {found.audio_seconds:.3f} s, the recording {recording_seconds:.3f} s")
    if abs(found.last_frame_ends_seconds - found.audio_seconds) > AUDIO_TOLERANCE_SECONDS:
        wrong.append(
            f"the picture ends at {found.last_frame_ends_seconds:.3f} s, the sound at {found.audio_seconds:.3f} s"
        )
    shown = found.last_frame_ends_seconds - found.first_frame_seconds
    if abs(found.frames * found.frame_seconds - shown) > 2 * found.frame_seconds:
        wrong.append(f"{found.frames} frames in {shown:.3f} s: some are missing")
    return wrong


def main(arguments: Sequence[str]) -> int:
    """Probe one file; return the exit code."""
    parser = argparse.ArgumentParser(description="Decode a finished video and say what is wrong with it.")
    parser.add_argument("video", type=Path)
    parser.add_argument("--recording", type=Path, required=True, help="the recording that it was made from")
    options = parser.parse_args(arguments)
    try:
        found = probe(options.video)
        recording_seconds = audio_seconds(options.recording)
    except (OSError, ValueError, av.error.FFmpegError) as error:
        print(f"{options.video}: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"video": str(options.video), "recording_seconds": recording_seconds, **asdict(found)}))
    wrong = faults(found, recording_seconds=recording_seconds)
    for fault in wrong:
        print(f"{options.video}: {fault}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
