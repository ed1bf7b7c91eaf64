from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from scripts.probe_video import Probe, faults, main, probe

SOUND_PROBE = Probe(
    video_codec="h264",
    audio_codec="aac",
    has_captions=True,
    width=1280,
    height=720,
    frames=240,
    frame_seconds=1 / 24,
    first_frame_seconds=0.0,
    last_frame_ends_seconds=10.0,
    audio_seconds=10.0,
    starts_playing_before_it_is_whole=True,
)


def write_video(path: Path, *, picture_seconds: float, sound_seconds: float, options: dict[str, str]) -> None:
    """A grey film of 24 frames a second under silence, in one MP4."""
    with av.open(path, "w", options=options) as container:
        video = container.add_stream("libx264", rate=24)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("aac", rate=48000, layout="mono")
        for number in range(round(picture_seconds * 24)):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([128]) * plane.buffer_size)
            frame.pts, frame.time_base = number, Fraction(1, 24)
            container.mux(video.encode(frame))
        for start in range(0, round(sound_seconds * 48000), 1024):
            silence = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            silence.planes[0].update(bytes(silence.planes[0].buffer_size))
            silence.sample_rate, silence.pts, silence.time_base = 48000, start, Fraction(1, 48000)
            container.mux(audio.encode(silence))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def test_sound_video_has_no_fault() -> None:
    assert faults(SOUND_PROBE, recording_seconds=10.03) == []


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (replace(SOUND_PROBE, video_codec="hevc"), "codecs are hevc and aac"),
        (replace(SOUND_PROBE, has_captions=False), "no caption track"),
        (replace(SOUND_PROBE, starts_playing_before_it_is_whole=False), "index comes after the media"),
        (replace(SOUND_PROBE, first_frame_seconds=0.5, frames=228), "first frame is shown only at 0.500 s"),
        (replace(SOUND_PROBE, last_frame_ends_seconds=9.5, frames=228), "picture ends at 9.500 s, the sound"),
        (replace(SOUND_PROBE, frames=200), "200 frames in 10.000 s"),
    ],
)
def test_each_fault_is_named(found: Probe, fault: str) -> None:
    named = faults(found, recording_seconds=10.0)

    assert len(named) == 1
    assert fault in named[0]


def test_sound_that_is_not_the_whole_recording_is_a_fault() -> None:
    assert faults(SOUND_PROBE, recording_seconds=12.0) == ["sound lasts 10.000 s, the recording 12.000 s"]


def test_probe_counts_what_can_be_decoded(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    write_video(path, picture_seconds=2, sound_seconds=2, options={"movflags": "faststart"})

    found = probe(path)

    assert (found.video_codec, found.audio_codec, found.width, found.height) == ("h264", "aac", 64, 48)
    assert found.frames == 48
    assert found.last_frame_ends_seconds == pytest.approx(2.0)
    assert found.audio_seconds == pytest.approx(2.0, abs=0.03)
    assert found.starts_playing_before_it_is_whole
    assert not found.has_captions


def test_index_at_the_end_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    write_video(path, picture_seconds=1, sound_seconds=1, options={})

    assert not probe(path).starts_playing_before_it_is_whole


@pytest.mark.parametrize("content", [b"", b"no film at all" * 100])
def test_file_that_is_no_video_fails_with_its_name(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(content)

    assert main([str(path), "--recording", str(path)]) == 1
    assert "film.mp4" in capsys.readouterr().err


def test_missing_video_fails_with_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.mp4"), "--recording", str(tmp_path / "none.mp3")]) == 1
    assert "none.mp4" in capsys.readouterr().err


def test_black_tail_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The picture stops a second before the sound: a player goes black."""
    path = tmp_path / "film.mp4"
    write_video(path, picture_seconds=1, sound_seconds=2, options={"movflags": "faststart"})

    assert main([str(path), "--recording", str(path)]) == 1
    assert "picture ends at 1.000 s, the sound at 2." in capsys.readouterr().err
