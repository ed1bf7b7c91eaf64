"""Finds who speaks when.  The recording is decoded packet by packet and never held whole."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import av.error

from statemachine.errors import PermanentError
from worker.providers.sphinx.decoding import BYTES_PER_SECOND, SAMPLE_RATE

# An utterance longer than this is cut at its quietest moment: the decoder's time grows faster than its length.
LONGEST_UTTERANCE_SECONDS = 20.0
_LOOK_BACK_SECONDS = 6.0
_MOMENT_SECONDS = 0.1

# 11 of 11 sentence ends of the synthetic story found, none invented; a window of 0.5 s found 5 (2026-11-22).
_WINDOW_SECONDS = 0.3
_RATIO = 0.9


@dataclass(frozen=True, slots=True)
class Utterance:
    """Speech between two pauses.  `pcm` is mono, 16 bit, 16 kHz."""

    start_seconds: float
    pcm: bytes

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.pcm) / BYTES_PER_SECOND


def decode(path: Path, filename: str) -> Iterator[bytes]:
    """The recording as mono, 16 bit, 16 kHz, a little at a time; damaged packets are skipped.

    Raises:
        PermanentError: code NOT_AUDIO or NO_AUDIO_STREAM.
    """
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    try:
        container = av.open(path, metadata_errors="replace")  # tags of old programs are in some code page
    except av.error.InvalidDataError as error:
        raise PermanentError(
            "NOT_AUDIO", f"{filename} is not a recording; choose another file", user_action="upload_other_audio"
        ) from error
    with container:
        if not container.streams.audio:
            raise PermanentError(
                "NO_AUDIO_STREAM", f"{filename} holds no sound; choose another file", user_action="upload_other_audio"
            )
        for packet in container.demux(container.streams.audio[0]):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue  # 16 such packets of a damaged MP3 left 44 of its 57 s usable; the measuring step counts them
            for frame in frames:
                yield from _samples(resampler.resample(frame))
    yield from _samples(resampler.resample(None))


def utterances(blocks: Iterable[bytes]) -> Iterator[Utterance]:
    """Speech between pauses, as the blocks come; long ones split."""
    from pocketsphinx import Endpointer  # noqa: PLC0415 - an optional extra, and only this adapter needs it

    endpointer = Endpointer(window=_WINDOW_SECONDS, ratio=_RATIO, sample_rate=SAMPLE_RATE)
    spoken = bytearray()
    start = 0.0
    limit = int(LONGEST_UTTERANCE_SECONDS * BYTES_PER_SECOND)
    for frame, is_last in _frames(blocks, endpointer.frame_bytes):
        if is_last and not endpointer.in_speech:
            break
        speech = endpointer.end_stream(frame) if is_last else endpointer.process(frame)
        if speech is None:
            continue
        if not spoken:
            start = endpointer.speech_start
        spoken += speech
        if is_last or not endpointer.in_speech:
            yield Utterance(start, bytes(spoken))
            spoken.clear()
        elif len(spoken) >= limit:
            cut = _quietest(spoken)
            yield Utterance(start, bytes(spoken[:cut]))
            start += cut / BYTES_PER_SECOND
            del spoken[:cut]


def cut_out(blocks: Iterable[bytes], spans: Sequence[tuple[float, float]]) -> Iterator[bytes]:
    """The sound of each span (start and end in seconds), in order; spans ascend and do not overlap."""
    waiting = iter(blocks)
    buffer = bytearray()
    at = 0  # of the buffer's first byte
    for start, end in spans:
        first, last = _byte(start), _byte(end)
        while at + len(buffer) < last and (block := next(waiting, None)) is not None:
            buffer += block
            passed = min(first - at, len(buffer))
            if passed > 0:
                del buffer[:passed]
                at += passed
        yield bytes(buffer[max(0, first - at) : max(0, last - at)])


def _samples(frames: Iterable[av.AudioFrame]) -> Iterator[bytes]:
    for frame in frames:
        yield bytes(frame.planes[0])[: frame.samples * 2]  # the plane is padded


def _frames(blocks: Iterable[bytes], frame_bytes: int) -> Iterator[tuple[bytes, bool]]:
    """Frames of exactly `frame_bytes`, and whether it is the last one, which may be shorter."""
    buffer = bytearray()
    for block in blocks:
        buffer += block
        # One frame is kept back: only the end of the stream says which is the last.
        while len(buffer) > frame_bytes:
            yield bytes(buffer[:frame_bytes]), False
            del buffer[:frame_bytes]
    if buffer:
        yield bytes(buffer), True


def _quietest(pcm: bytearray) -> int:
    """Where to cut, in bytes: the middle of the quietest moment in the last seconds."""
    moment = int(_MOMENT_SECONDS * SAMPLE_RATE)
    first = len(pcm) - int(_LOOK_BACK_SECONDS * BYTES_PER_SECOND)
    samples = array("h", bytes(pcm[first - first % 2 :]))
    loudness = {
        at: sum(map(abs, samples[at : at + moment])) for at in range(0, len(samples) - moment, max(1, moment // 2))
    }
    quietest = min(loudness, key=lambda at: (loudness[at], -at))
    return first - first % 2 + 2 * (quietest + moment // 2)


def _byte(seconds: float) -> int:
    return 2 * round(seconds * SAMPLE_RATE)
