"""Recordings, clips and transcripts of strangers: facts about them, or one of the port's errors; never a crash.

FFmpeg runs in this process, so a fault of its own would end the process; on the day that one is found, this test dies
with it, which is loud enough.
"""

import struct
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from statemachine.errors import PermanentError
from tests.fuzz.documents import damaged, fuzzed
from tests.media import write_clip, write_sound
from tests.worker.fakes import FakeMediaStore
from worker.ports import VideoFormat
from worker.providers.pyav_assembler import PyAvAssembler
from worker.providers.pyav_probe import probe
from worker.providers.sphinx.supplied import has_times, read_transcript

FORMAT = VideoFormat(320, 180)

VTT = (
    b"WEBVTT\n\n1\n00:00:01.000 --> 00:00:02.500 align:start\n<v Ada>Hello, <i>world</i>!\n\n"
    b"00:03.000 --> 00:04.000\nBye &amp; bye\n"
)
SRT = (
    "1\r\n00:00:01,000 --> 00:00:02,500\r\n{\\an8}Grüße, 1811 Mr. Smith\r\n\r\n"
    "2\r\n00:00:03,000 --> 00:00:04,000\r\n—\r\n"
)

CODECS = {"wav": "pcm_s16le", "mp3": "libmp3lame", "m4a": "aac", "ogg": "libopus", "flac": "flac"}


@cache
def file_of(kind: str) -> bytes:
    """A second of a sound, or of a film, in this form."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"file.{kind}"
        if kind == "mp4":
            write_clip(path)
        else:
            write_sound(path, seconds=1.5, codec=CODECS[kind], rate=48_000)
        return path.read_bytes()


def with_tags(wav: bytes, title: bytes) -> bytes:
    """The sound with a title as old programs write it: in whatever code page they had."""
    info = b"INFO" + b"INAM" + struct.pack("<I", len(title)) + title
    at = wav.index(b"data")
    content = bytearray(wav[:at] + b"LIST" + struct.pack("<I", len(info)) + info + wav[at:])
    content[4:8] = struct.pack("<I", len(content) - 8)
    return bytes(content)


def probed(content: bytes) -> None:
    media = FakeMediaStore()
    media.objects["recording"] = content
    header = probe(media, "recording")
    assert header.sample_rate > 0
    assert header.duration_seconds is None or header.duration_seconds > 0


def measured_and_encoded(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        recording, encoded = Path(folder) / "recording", Path(folder) / "audio.m4a"
        recording.write_bytes(content)
        facts = PyAvAssembler().measure(recording)
        assert facts.duration_seconds > 0
        PyAvAssembler().encode_audio(recording, encoded)
        with av.open(encoded) as container:
            assert container.streams.audio


def conformed(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        clip, destination = Path(folder) / "clip.mp4", Path(folder) / "conformed.mp4"
        clip.write_bytes(content)
        is_written = PyAvAssembler().conform(clip, destination, FORMAT)
        assert destination.exists() == is_written


@pytest.mark.parametrize("look", [probed, measured_and_encoded])
def test_a_title_in_an_old_code_page_keeps_nobody_from_their_video(look: Callable[[bytes], None]) -> None:
    """PyAV takes tags for UTF-8, and by itself refuses the whole file for one letter that is not."""
    look(with_tags(file_of("wav"), b"\xe9t\xe9!"))


@pytest.mark.parametrize("kind", sorted(CODECS))
def test_the_undamaged_files_are_read(kind: str) -> None:
    probed(file_of(kind))
    measured_and_encoded(file_of(kind))


@given(st.sampled_from([*sorted(CODECS), "mp4"]).flatmap(lambda kind: damaged(file_of(kind))))
@fuzzed
def test_a_damaged_recording_has_a_header_or_is_refused(content: bytes) -> None:
    _or_refused(probed, content)


@given(st.sampled_from(sorted(CODECS)).flatmap(lambda kind: damaged(file_of(kind))))
@fuzzed
def test_a_damaged_recording_is_measured_and_encoded_or_refused(content: bytes) -> None:
    _or_refused(measured_and_encoded, content)


@given(damaged(file_of("mp4")))
@fuzzed
def test_a_damaged_clip_is_conformed_or_refused(content: bytes) -> None:
    _or_refused(conformed, content)


@given(
    data=damaged(VTT) | damaged(SRT.encode()) | damaged(SRT.encode("utf-16")) | st.binary(max_size=300),
    name=st.sampled_from(["a.vtt", "a.srt", "a.txt", "A.VTT"]),
)
@example(data=b"9" * 400 + b":00:00.000 --> 00:01.000\nhello", name="a.vtt")
@example(data=b"9" * 5000 + b":00:00.000 --> 00:01.000\nhello", name="a.srt")
@example(data=b"9" * 5000, name="a.txt")
@example(data=b"00:00.000 --> 00:01.000\n" + b"<" * 60_000, name="a.vtt")  # took 9 s
@example(data=b"00:00.000 --> 00:01.000\n" + b"{\\" * 30_000, name="a.srt")
@fuzzed
def test_whatever_lies_beside_a_recording_is_read_as_a_transcript(data: bytes, name: str) -> None:
    cues = read_transcript(data, name)

    assert all(cue.tokens and all(token.spoken for token in cue.tokens) for cue in cues)
    assert has_times(cues, 1.0) in {True, False}


def _or_refused(look: Callable[[bytes], None], content: bytes) -> None:
    with suppress(PermanentError):
        look(content)
