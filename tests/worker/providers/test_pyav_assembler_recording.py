import wave
from collections.abc import Callable
from pathlib import Path
from random import Random

import av
import pytest

from statemachine.errors import PermanentError, TransientError
from tests.media import boxes_of, packets_of, room_for, write_clip, write_sound
from worker.providers.pyav_assembler import PyAvAssembler


@pytest.fixture
def assembler() -> PyAvAssembler:
    return PyAvAssembler()


@pytest.mark.parametrize(
    ("name", "codec", "rate", "layout"),
    [
        ("a.wav", "pcm_s16le", 44100, "mono"),
        ("a.wav", "pcm_mulaw", 8000, "mono"),
        ("a.mp3", "mp3", 44100, "stereo"),
        ("a.flac", "flac", 96000, "5.1"),
        ("a.webm", "libopus", 48000, "mono"),
        ("a.m4a", "aac", 22050, "stereo"),
        ("a.aac", "aac", 44100, "mono"),
    ],
)
def test_the_duration_is_that_of_what_can_be_decoded(
    assembler: PyAvAssembler, tmp_path: Path, name: str, codec: str, rate: int, layout: str
) -> None:
    facts = assembler.measure(write_sound(tmp_path / name, seconds=2.3, codec=codec, rate=rate, layout=layout))

    # Raw AAC has no place to say what its encoder added in front and behind; everything else has.
    slack = 3 * 1024 / rate if name == "a.aac" else 0.002
    assert facts.duration_seconds == pytest.approx(2.3, abs=slack)
    assert facts.bad_packets == 0
    assert (facts.sample_rate, facts.channels) == (rate, {"mono": 1, "stereo": 2, "5.1": 6}[layout])


@pytest.mark.parametrize("loudness", [0.0, 0.003, 0.25, 0.9])
def test_the_peak_is_the_loudest_sample(assembler: PyAvAssembler, tmp_path: Path, loudness: float) -> None:
    facts = assembler.measure(write_sound(tmp_path / "a.wav", seconds=2, loudness=loudness))

    assert facts.peak == pytest.approx(loudness, abs=0.002)


def test_the_sound_of_a_video_is_measured(assembler: PyAvAssembler, tmp_path: Path) -> None:
    facts = assembler.measure(write_clip(tmp_path / "a.mp4", frames=48, with_sound=True))

    assert facts.codec == "aac"
    assert facts.duration_seconds == pytest.approx(2.0, abs=0.001)


def test_a_name_with_spaces_and_foreign_letters_is_read(assembler: PyAvAssembler, tmp_path: Path) -> None:
    facts = assembler.measure(write_sound(tmp_path / "Über mañana 日本 #1%.wav", seconds=1.5))

    assert facts.duration_seconds == pytest.approx(1.5)


def noise(size_bytes: int) -> bytes:
    """Bytes that mean nothing, the same every time."""
    return Random(size_bytes).randbytes(size_bytes)  # noqa: S311 (guards nothing)


def cut_off(source: Path, *, keep: float) -> Path:
    """The first part of a file, under another name."""
    part = source.with_name(f"cut off{source.suffix}")
    part.write_bytes(source.read_bytes()[: round(source.stat().st_size * keep)])
    return part


def damaged(source: Path, *, share: float) -> Path:
    """A file in whose middle bytes were overwritten with noise."""
    content = bytearray(source.read_bytes())
    begin, length = len(content) // 3, round(len(content) * share)
    content[begin : begin + length] = noise(length)
    bad = source.with_name(f"damaged{source.suffix}")
    bad.write_bytes(content)
    return bad


def wav_without_sound(path: Path) -> Path:
    """What a recorder leaves that was stopped at once."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 44100, 0, "NONE", ""))
    return path


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


REFUSED: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "empty": ("EMPTY_FILE", lambda folder: written(folder / "a.mp3", b"")),
    "text": ("NOT_AUDIO", lambda folder: written(folder / "a.mp3", b"Dear diary, today I recorded nothing. " * 50)),
    "S3 error": ("NOT_AUDIO", lambda folder: written(folder / "a.mp3", b"<Error><Code>AccessDenied</Code></Error>")),
    "noise named mp3": ("NOT_AUDIO", lambda folder: written(folder / "a.mp3", noise(200_000))),
    "zip named mp3": (
        "NOT_AUDIO",
        lambda folder: written(folder / "a.mp3", b"PK\x03\x04" + noise(90_000)),
    ),
    "m4a without its header": (
        "NOT_AUDIO",
        lambda folder: cut_off(write_sound(folder / "a.m4a", seconds=3, codec="aac"), keep=0.6),
    ),
    "video without sound": ("NO_AUDIO_STREAM", lambda folder: write_clip(folder / "a.mp4")),
    "0.2 s": ("TOO_SHORT", lambda folder: write_sound(folder / "a.wav", seconds=0.2)),
    "WAV of only a header": ("TOO_SHORT", lambda folder: wav_without_sound(folder / "a.wav")),
    "WAV cut off": ("CORRUPT", lambda folder: cut_off(write_sound(folder / "a.wav", seconds=5), keep=0.5)),
    "MP3 cut off": (
        "CORRUPT",
        lambda folder: cut_off(write_sound(folder / "a.mp3", seconds=20, codec="mp3"), keep=0.5),
    ),
    "MP3 damaged": (
        "CORRUPT",
        lambda folder: damaged(write_sound(folder / "a.mp3", seconds=20, codec="mp3"), share=0.4),
    ),
    "AAC damaged": (
        "CORRUPT",
        lambda folder: damaged(write_sound(folder / "a.m4a", seconds=20, codec="aac"), share=0.3),
    ),
}


@pytest.mark.parametrize(("code", "make"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused_by_name_and_with_a_remedy(
    assembler: PyAvAssembler, tmp_path: Path, code: str, make: Callable[[Path], Path]
) -> None:
    recording = make(tmp_path)

    with pytest.raises(PermanentError) as caught:
        assembler.measure(recording)

    assert caught.value.code == code
    assert recording.name in caught.value.message
    assert "upload" in caught.value.message
    assert caught.value.user_action == "upload_other_audio"


def test_a_wav_written_to_a_pipe_has_no_claim(assembler: PyAvAssembler, tmp_path: Path) -> None:
    """Its writer could not go back to fill in the size."""
    whole = write_sound(tmp_path / "a.wav", seconds=2).read_bytes()
    size_at = whole.index(b"data") + 4
    piped = written(tmp_path / "piped.wav", whole[:size_at] + b"\xff\xff\xff\xff" + whole[size_at + 4 :])

    facts = assembler.measure(piped)

    assert facts.duration_seconds == pytest.approx(2.0)


def test_a_cover_picture_does_not_count_as_sound_that_is_missing(assembler: PyAvAssembler, tmp_path: Path) -> None:
    mp3 = write_sound(tmp_path / "a.mp3", seconds=3, codec="mp3", encoder={"write_xing": "0"})
    tag_bytes = 200_000
    tag = b"ID3\x04\x00\x00" + bytes((tag_bytes >> shift) & 0x7F for shift in (21, 14, 7, 0)) + bytes(tag_bytes)
    recording = written(tmp_path / "tagged.mp3", tag + mp3.read_bytes())

    facts = assembler.measure(recording)

    assert facts.duration_seconds == pytest.approx(3, abs=0.1)


def test_a_missing_recording_is_refused_by_name(assembler: PyAvAssembler, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"gone\.mp3") as caught:
        assembler.measure(tmp_path / "gone.mp3")

    assert caught.value.code == "OBJECT_MISSING"


def test_a_little_damage_is_counted_and_left_out(assembler: PyAvAssembler, tmp_path: Path) -> None:
    recording = damaged(write_sound(tmp_path / "a.m4a", seconds=20, codec="aac"), share=0.02)

    facts = assembler.measure(recording)

    assert 0 < facts.bad_packets < 0.05 * facts.packets
    assert 18 < facts.duration_seconds < 20


def test_mp3_of_varying_bit_rate_without_a_header_is_not_taken_for_cut_off(
    assembler: PyAvAssembler, tmp_path: Path
) -> None:
    """FFmpeg guesses its length from the first bit rate, here three times too long."""
    quiet = write_sound(tmp_path / "q.mp3", seconds=2, codec="mp3", encoder={"b": "32k", "write_xing": "0"})
    loud = write_sound(tmp_path / "l.mp3", seconds=6, codec="mp3", encoder={"b": "128k"})
    frames = packets_of(quiet, "audio")[1:] + packets_of(loud, "audio")[1:]
    recording = written(tmp_path / "vbr.mp3", b"".join(frames))

    facts = assembler.measure(recording)

    assert facts.claimed_seconds is not None
    assert facts.duration_seconds < 0.8 * facts.claimed_seconds
    assert facts.duration_seconds == pytest.approx(8, abs=0.2)


@pytest.mark.parametrize(
    ("name", "codec", "rate", "layout", "expected"),
    [
        ("a.wav", "pcm_s16le", 44100, "mono", (44100, 1)),
        ("a.wav", "pcm_mulaw", 8000, "mono", (48000, 1)),
        ("a.mp3", "mp3", 44100, "stereo", (44100, 2)),
        ("a.flac", "flac", 96000, "5.1", (48000, 2)),
        ("a.webm", "libopus", 48000, "stereo", (48000, 2)),
    ],
)
def test_a_recording_is_encoded_at_its_own_length(
    assembler: PyAvAssembler,
    tmp_path: Path,
    name: str,
    codec: str,
    rate: int,
    layout: str,
    expected: tuple[int, int],
) -> None:
    recording = write_sound(tmp_path / name, seconds=2.345, codec=codec, rate=rate, layout=layout)
    audio = tmp_path / "result.m4a"

    assembler.encode_audio(recording, audio)

    facts = assembler.measure(audio)
    assert facts.codec == "aac"
    assert (facts.sample_rate, facts.channels) == expected
    assert facts.duration_seconds == pytest.approx(assembler.measure(recording).duration_seconds, abs=0.001)
    assert facts.claimed_seconds == pytest.approx(facts.duration_seconds, abs=0.001)


def test_the_encoder_s_priming_is_hidden(assembler: PyAvAssembler, tmp_path: Path) -> None:
    """The edit list makes the sound begin at 0, so that it does not lag the pictures by 1024 samples."""
    recording = write_sound(tmp_path / "a.wav", seconds=2)

    assembler.encode_audio(recording, tmp_path / "result.m4a")

    with av.open(tmp_path / "result.m4a") as container:
        first = next(container.decode(audio=0))
    assert container.format.name.startswith("mov,mp4")
    assert first.time == 0.0


def test_aac_is_copied_bit_for_bit(assembler: PyAvAssembler, tmp_path: Path) -> None:
    recording = write_sound(tmp_path / "a.m4a", seconds=2.3, codec="aac", layout="stereo")

    assembler.encode_audio(recording, tmp_path / "result.m4a")

    assert packets_of(tmp_path / "result.m4a", "audio") == packets_of(recording, "audio")
    assert assembler.measure(tmp_path / "result.m4a").duration_seconds == pytest.approx(2.3, abs=0.001)


def test_raw_aac_is_copied_without_its_packets_headers(assembler: PyAvAssembler, tmp_path: Path) -> None:
    recording = write_sound(tmp_path / "a.aac", seconds=2.3, codec="aac", container="adts")

    assembler.encode_audio(recording, tmp_path / "result.m4a")

    adts_header_bytes = 7
    assert packets_of(tmp_path / "result.m4a", "audio") == [
        packet[adts_header_bytes:] for packet in packets_of(recording, "audio")
    ]


def test_the_sound_of_a_video_is_copied_without_the_pictures(assembler: PyAvAssembler, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "a.mp4", with_sound=True)

    assembler.encode_audio(video, tmp_path / "result.m4a")

    with av.open(tmp_path / "result.m4a") as container:
        assert [stream.type for stream in container.streams] == ["audio"]
    assert packets_of(tmp_path / "result.m4a", "audio") == packets_of(video, "audio")


def test_damaged_aac_is_encoded_anew_at_the_measured_length(assembler: PyAvAssembler, tmp_path: Path) -> None:
    """Copied, its bad packets would still take up time, and the words would come later than was measured."""
    recording = damaged(write_sound(tmp_path / "a.m4a", seconds=20, codec="aac"), share=0.02)

    assembler.encode_audio(recording, tmp_path / "result.m4a")

    measured = assembler.measure(recording)
    result = assembler.measure(tmp_path / "result.m4a")
    assert result.bad_packets == 0
    assert result.duration_seconds == pytest.approx(measured.duration_seconds, abs=0.001)


def spliced(folder: Path) -> Path:
    """An MP3 that goes from 44.1 kHz stereo to 22.05 kHz mono after two seconds."""
    stereo = write_sound(folder / "s.mp3", seconds=2, codec="mp3", layout="stereo", encoder={"write_xing": "0"})
    mono = write_sound(folder / "m.mp3", seconds=3, codec="mp3", rate=22050, encoder={"write_xing": "0"})
    return written(folder / "spliced.mp3", b"".join(packets_of(stereo, "audio") + packets_of(mono, "audio")))


def test_a_recording_that_changes_its_form_on_the_way_is_measured_whole(
    assembler: PyAvAssembler, tmp_path: Path
) -> None:
    facts = assembler.measure(spliced(tmp_path))

    assert facts.duration_seconds == pytest.approx(5, abs=0.2)


def test_a_recording_that_changes_its_form_on_the_way_is_encoded_whole(
    assembler: PyAvAssembler, tmp_path: Path
) -> None:
    recording = spliced(tmp_path)

    assembler.encode_audio(recording, tmp_path / "result.m4a")

    measured = assembler.measure(recording)
    assert assembler.measure(tmp_path / "result.m4a").duration_seconds == pytest.approx(
        measured.duration_seconds, abs=0.002
    )


def test_encoded_audio_has_its_header_in_front(assembler: PyAvAssembler, tmp_path: Path) -> None:
    assembler.encode_audio(write_sound(tmp_path / "a.wav", seconds=2), tmp_path / "result.m4a")

    boxes = boxes_of(tmp_path / "result.m4a")
    assert boxes.index("moov") < boxes.index("mdat")


def test_a_refused_recording_leaves_nothing(assembler: PyAvAssembler, tmp_path: Path) -> None:
    recording = written(tmp_path / "a.mp3", b"no sound")

    with pytest.raises(PermanentError):
        assembler.encode_audio(recording, tmp_path / "result.m4a")

    assert list(tmp_path.iterdir()) == [recording]


def test_a_full_disk_is_told_and_leaves_nothing(assembler: PyAvAssembler, tmp_path: Path) -> None:
    recording = write_sound(tmp_path / "a.wav", seconds=10)

    with room_for(16384), pytest.raises(TransientError, match=r"result\.m4a") as caught:
        assembler.encode_audio(recording, tmp_path / "result.m4a")

    assert caught.value.code == "STORAGE_FULL"
    assert list(tmp_path.iterdir()) == [recording]


def test_a_folder_that_cannot_be_written_is_told(assembler: PyAvAssembler, tmp_path: Path) -> None:
    recording = write_sound(tmp_path / "a.wav", seconds=2)

    with pytest.raises(TransientError, match=r"result\.m4a") as caught:
        assembler.encode_audio(recording, tmp_path / "no such folder" / "result.m4a")

    assert caught.value.code == "STORAGE_UNAVAILABLE"
