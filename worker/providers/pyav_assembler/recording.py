"""What is in a recording, found by decoding all of it; and the recording as AAC in MP4."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

from statemachine.errors import PermanentError
from worker.ports import AudioFacts
from worker.providers.pyav_assembler.opening import TAG_ERRORS
from worker.providers.pyav_assembler.whole_files import whole_file

SHORTEST_SECONDS = 1.0
MOST_BAD_SHARE = 0.05
LEAST_DECODED_SHARE = 0.80
FULL_SCALE = 32768
# A claim that is the file's size over its bit rate, to this part, is FFmpeg's guess for want of a header.
GUESS_TOLERANCE = 0.01
# Programs that write WAV to a pipe put a number near 2 or 4 GiB where the size belongs.
UNKNOWN_WAV_BYTES = 0x7FFF_0000
# How far the copied stream's length may be from what was decoded: a copy that is further off would be out of step with
# the pictures.  Less than half a frame.
COPY_TOLERANCE_SECONDS = 0.02

AAC_RATES = {22050, 24000, 32000, 44100, 48000}
DEFAULT_AAC_RATE = 48000
MONO_BITS_PER_SECOND = 96_000
STEREO_BITS_PER_SECOND = 160_000
# FFmpeg's documentation of this coder: worse below 64 kbit/s, better and much faster above.
AAC_OPTIONS = {"aac_coder": "fast"}
MP4_OPTIONS = {"movflags": "+faststart"}


def measure(recording: Path) -> AudioFacts:
    """Decode the whole recording, packet by packet, in constant memory.

    Raises:
        PermanentError: codes EMPTY_FILE, NOT_AUDIO, NO_AUDIO_STREAM, TOO_SHORT, CORRUPT.
    """
    with _open(recording) as container:
        stream = _sound_of(container, recording)
        claimed = _claimed_by_wav(recording) or _claimed_seconds(container, stream)
        decoding = _Decoding(container, stream)
        loudness = _Peak()
        samples: Counter[int] = Counter()  # by rate, which spliced files change
        for frame in decoding.frames():
            samples[frame.sample_rate] += frame.samples
            loudness.hear(frame)
        facts = AudioFacts(
            duration_seconds=sum(number / rate for rate, number in samples.items()) - decoding.padding_seconds,
            claimed_seconds=claimed,
            bad_packets=decoding.bad_packets,
            packets=decoding.packets,
            peak=loudness.peak / FULL_SCALE,
            codec=stream.codec_context.codec.canonical_name,
            sample_rate=stream.codec_context.sample_rate,
            channels=stream.codec_context.channels,
        )
        expected = claimed
        if claimed is not None and _is_guess(container, stream, claimed):
            expected = _expected_by_bytes(facts.duration_seconds, decoding, container.size)
    _refuse_unusable(facts, recording, expected)
    return facts


def encode_audio(recording: Path, destination: Path) -> None:
    """Write the recording as AAC in MP4: copied bit for bit if it is sound AAC, else encoded once.

    Both have the measured duration; an edit list hides what an encoder adds in front.

    Raises:
        PermanentError: as `measure`.
        TransientError: code STORAGE_FULL or STORAGE_UNAVAILABLE.
    """
    facts = measure(recording)
    with whole_file(destination) as part:
        if facts.codec == "aac" and not facts.bad_packets:
            _copy(recording, part)
            if abs(_length_of(part) - facts.duration_seconds) <= COPY_TOLERANCE_SECONDS:
                return
            # Its timestamps have gaps, or it begins in the middle: as it stands it would run away from the words.
        _encode(recording, part, seconds=facts.duration_seconds)


def _open(recording: Path) -> InputContainer:
    if not recording.exists():
        raise PermanentError(
            "OBJECT_MISSING", f"there is no file {recording.name}: upload it again", user_action="upload_other_audio"
        )
    if recording.stat().st_size == 0:
        raise _refusal("EMPTY_FILE", f"{recording.name} is empty (0 bytes): upload the recording again")
    try:
        return av.open(recording, metadata_errors=TAG_ERRORS)
    except (av.FFmpegError, OSError) as error:
        raise _not_audio(recording) from error


def _sound_of(container: InputContainer, recording: Path) -> AudioStream:
    if not container.streams.audio:
        raise _refusal("NO_AUDIO_STREAM", f"{recording.name} has no sound in it: upload a file with a recording")
    stream = container.streams.audio[0]
    # Random bytes named .mp3 do open, as a stream of 0 channels at 0 Hz.  A codec without decoder has no context,
    # whatever the type says.
    context: AudioCodecContext | None = stream.codec_context
    if context is None or context.sample_rate <= 0 or context.channels <= 0:
        raise _not_audio(recording)
    return stream


def _claimed_seconds(container: InputContainer, stream: AudioStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    # WebM tells only the length of the whole, which a longer picture would make too long.
    if container.duration is not None and len(container.streams) == 1:
        return container.duration / av.time_base
    return None


def _is_guess(container: InputContainer, stream: AudioStream, claimed_seconds: float) -> bool:
    """Whether the claim is only size over bit rate: wrong by half for MP3 of varying bit rate without a header."""
    bit_rate = stream.codec_context.bit_rate
    if not bit_rate or container.size <= 0:
        return False
    guess = container.size * 8 / bit_rate
    return abs(claimed_seconds - guess) <= GUESS_TOLERANCE * guess


def _expected_by_bytes(decoded_seconds: float, decoding: "_Decoding", size_bytes: int) -> float | None:
    """How long the recording would be if all its bytes were as good as those that could be decoded."""
    sound_bytes = size_bytes - decoding.begins_at
    return decoded_seconds * sound_bytes / decoding.good_bytes if decoding.good_bytes else None


def _claimed_by_wav(recording: Path) -> float | None:
    """What the header of a WAV file says; FFmpeg reports what the file holds instead, and so hides that it is cut off.

    None if it is no WAV file or its writer did not know yet (it was written to a pipe).
    """
    bytes_per_second = 0
    with recording.open("rb") as file:
        riff = file.read(12)
        if riff[:4] != b"RIFF" or riff[8:] != b"WAVE":
            return None
        while len(chunk := file.read(8)) == 8:  # noqa: PLR2004 (a name and a size, 4 bytes each)
            size = int.from_bytes(chunk[4:], "little")
            if chunk[:4] == b"data":
                is_known = bytes_per_second > 0 and size < UNKNOWN_WAV_BYTES
                return size / bytes_per_second if is_known else None
            if chunk[:4] == b"fmt ":
                bytes_per_second = int.from_bytes(file.read(12)[8:], "little")
                size -= 12
            file.seek(size + size % 2, os.SEEK_CUR)
    return None


def _refuse_unusable(facts: AudioFacts, recording: Path, expected_seconds: float | None) -> None:
    decoded = facts.duration_seconds
    if facts.packets and facts.bad_packets == facts.packets:
        raise _not_audio(recording)
    if facts.bad_packets > MOST_BAD_SHARE * facts.packets:
        raise _refusal(
            "CORRUPT",
            f"{recording.name} is damaged ({facts.bad_packets} of {facts.packets} packets cannot be read):"
            " export the recording again and upload it",
        )
    if expected_seconds is not None and decoded < LEAST_DECODED_SHARE * expected_seconds:
        raise _refusal(
            "CORRUPT",
            f"{recording.name} is cut off or damaged ({decoded:.1f} of {expected_seconds:.1f} s can be read):"
            " upload the whole recording again",
        )
    if decoded < SHORTEST_SECONDS:
        raise _refusal(
            "TOO_SHORT",
            f"{recording.name} holds {decoded:.2f} s of sound: upload a recording of at least {SHORTEST_SECONDS:g} s",
        )


def _not_audio(recording: Path) -> PermanentError:
    return _refusal(
        "NOT_AUDIO", f"{recording.name} is not a recording that can be read: upload MP3, M4A, WAV, FLAC, OGG or a video"
    )


def _refusal(code: str, message: str) -> PermanentError:
    return PermanentError(code, message, user_action="upload_other_audio")


@dataclass(slots=True)
class _Decoding:
    """One pass over a stream that counts what it could not decode, and goes on."""

    container: InputContainer
    stream: AudioStream
    packets: int = 0
    bad_packets: int = 0
    good_bytes: int = 0
    begins_at: int = 0  # in the file; before it stand tags and cover pictures
    _last_packet_ticks: int = 0
    _last_frame_samples: int = 0

    @property
    def padding_seconds(self) -> float:
        """How much of the last frame is only there to fill it, once all frames are read.

        A packet of AAC always decodes to a whole frame; how much of the last one belongs to the recording is told by
        the packet's duration (the decoder does not apply it).
        """
        if not self._last_packet_ticks or self.stream.time_base is None:
            return 0.0
        decoded_seconds = self._last_frame_samples / self.stream.codec_context.sample_rate
        return max(0.0, decoded_seconds - float(self._last_packet_ticks * self.stream.time_base))

    def frames(self) -> Iterator[AudioFrame]:
        """Every frame that can be decoded."""
        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:  # the container is damaged from here on; there is no next packet to look for
                self.packets += 1
                self.bad_packets += 1
                return
            if packet is None:
                return
            is_flush = packet.dts is None and packet.size == 0
            if not self.packets:
                self.begins_at = packet.pos or 0
            self.packets += not is_flush
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self.bad_packets += not is_flush
                continue
            if not is_flush:
                self.good_bytes += packet.size
                self._last_packet_ticks = packet.duration or 0
            for frame in frames:
                self._last_frame_samples = frame.samples
                yield frame


class _Peak:
    """The largest sample heard, 0..32768."""

    def __init__(self) -> None:
        self.peak = 0
        self._to_16_bit = AudioResampler(format="s16")
        self._quiet = b""

    def hear(self, frame: AudioFrame) -> None:
        """Take a frame into account."""
        try:
            converted = self._to_16_bit.resample(frame)
        except ValueError:
            # A resampler refuses a second form, and spliced files change theirs on the way.
            self._to_16_bit = AudioResampler(format="s16")
            converted = self._to_16_bit.resample(frame)
        for part in converted:
            self._look_at(bytes(part.planes[0])[: part.samples * part.layout.nb_channels * 2])

    def _look_at(self, samples: bytes) -> None:
        # The high byte bounds a sample, and `translate` drops all the quiet ones at 1 ns each.  Only what may be louder
        # than all before is looked at as numbers; without this, 3 h of stereo would take a minute.
        if not samples[1::2].translate(None, self._quiet):
            return
        numbers = memoryview(samples).cast("h")
        highest, lowest = max(numbers), min(numbers)
        loudest = max(highest, -lowest)
        if loudest > self.peak:
            self.peak = loudest
            self._quiet = bytes(high for high in range(256) if _loudest_with(high) <= loudest)


def _loudest_with(high_byte: int) -> int:
    """The largest absolute value of a 16-bit sample with this high byte."""
    return high_byte << 8 | 0xFF if high_byte < 128 else (256 - high_byte) << 8  # noqa: PLR2004 (the sign bit)


def _copy(recording: Path, destination: Path) -> None:
    with (
        av.open(recording, metadata_errors=TAG_ERRORS) as container,
        av.open(destination, "w", format="mp4", container_options=MP4_OPTIONS) as output,
    ):
        stream = container.streams.audio[0]
        copied = output.add_stream_from_template(stream)
        late = max(0, stream.start_time or 0)
        for packet in container.demux(stream):
            if packet.dts is None or packet.pts is None:
                continue
            packet.pts -= late
            packet.dts -= late
            packet.stream = copied
            output.mux(packet)


def _length_of(audio: Path) -> float:
    """What the header of an MP4 that we wrote says."""
    with av.open(audio, metadata_errors=TAG_ERRORS) as container:
        stream = container.streams.audio[0]
        if stream.duration is None or stream.time_base is None:
            raise ValueError(f"{audio} has no duration")
        return float((stream.duration + (stream.start_time or 0)) * stream.time_base)


def _encode(recording: Path, destination: Path, *, seconds: float) -> None:
    with (
        av.open(recording, metadata_errors=TAG_ERRORS) as container,
        av.open(destination, "w", format="mp4", container_options=MP4_OPTIONS) as output,
    ):
        stream = container.streams.audio[0]
        is_mono = stream.codec_context.channels == 1
        source_rate = stream.codec_context.sample_rate
        rate = source_rate if source_rate in AAC_RATES else DEFAULT_AAC_RATE
        layout = "mono" if is_mono else "stereo"
        encoder = output.add_stream("aac", rate=rate, options=AAC_OPTIONS, layout=layout)
        encoder.codec_context.bit_rate = MONO_BITS_PER_SECOND if is_mono else STEREO_BITS_PER_SECOND
        encoder.codec_context.open()
        frames = _in_form(_Decoding(container, stream).frames(), layout, rate)
        for frame in _regrouped(frames, encoder.codec_context.frame_size, round(seconds * rate)):
            output.mux(encoder.encode(frame))
        output.mux(encoder.encode(None))


def _in_form(frames: Iterator[AudioFrame], layout: str, rate: int) -> Iterator[AudioFrame]:
    """The frames as the encoder wants their samples, also where a spliced file changes its own form."""
    resampler = AudioResampler("fltp", layout, rate)
    form: tuple[str, str, int] | None = None
    for frame in frames:
        # Timestamps of damaged or spliced files jump.  What was measured are the samples, without the jumps.
        frame.pts = None
        frame_form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if form not in {None, frame_form}:
            # A resampler takes one form only; one with nothing to do lets everything pass, and the encoder crashes.
            yield from resampler.resample(None)
            resampler = AudioResampler("fltp", layout, rate)
        form = frame_form
        yield from resampler.resample(frame)
    yield from resampler.resample(None)


def _regrouped(frames: Iterator[AudioFrame], frame_size: int, total: int) -> Iterator[AudioFrame]:
    """`total` samples in frames of the encoder's size, the last one shorter, with timestamps from 0 on."""
    fifo = AudioFifo()
    position = 0
    for frame in frames:
        frame.pts, frame.time_base = None, Fraction(1, frame.sample_rate)
        fifo.write(frame)
        while fifo.samples >= frame_size and total - position >= frame_size:
            yield _placed(fifo.read(frame_size), position)
            position += frame_size
    if fifo.samples and position < total:
        yield _placed(fifo.read(min(fifo.samples, total - position)), position)


def _placed(frame: AudioFrame | None, position: int) -> AudioFrame:
    if frame is None:
        raise ValueError("the queue held fewer samples than it said")
    frame.pts, frame.time_base = position, Fraction(1, frame.sample_rate)
    return frame
