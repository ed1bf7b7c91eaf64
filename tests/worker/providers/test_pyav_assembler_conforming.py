from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.video.frame import VideoFrame

from statemachine.errors import PermanentError, TransientError
from tests.media import boxes_of, room_for, shown_frames, write_clip, write_sound
from worker.ports import VideoFormat
from worker.providers.pyav_assembler import PyAvAssembler

TARGET = VideoFormat(96, 64)


@pytest.fixture
def assembler() -> PyAvAssembler:
    return PyAvAssembler()


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    folder = tmp_path / "result"
    folder.mkdir()
    return folder / "clip.mp4"


FITTING: dict[str, dict[str, object]] = {
    "plain": {},
    "B-frames": {"b_frames": 3},
    "with sound": {"with_sound": True},
    "time base of MPEG": {"muxer": {"video_track_timescale": "90000"}},
    "time base in milliseconds": {"muxer": {"video_track_timescale": "1000"}},
    "header in front": {"muxer": {"movflags": "+faststart"}},
    "Main profile": {"encoder": {"profile": "main"}},
}


@pytest.mark.parametrize("clip", FITTING.values(), ids=FITTING)
def test_a_clip_that_fits_is_not_encoded_again(
    assembler: PyAvAssembler, tmp_path: Path, destination: Path, clip: dict[str, object]
) -> None:
    source = write_clip(tmp_path / "clip.mp4", **clip)  # type: ignore[arg-type]  # names and types as in the table

    assert not assembler.conform(source, destination, TARGET)
    assert list(destination.parent.iterdir()) == []


DIFFERENT: dict[str, dict[str, object]] = {
    "larger": {"width": 192, "height": 128},
    "upright": {"width": 64, "height": 96},
    "30 fps": {"rate": 30, "frames": 60},
    "23.976 fps": {"rate": Fraction(24000, 1001)},
    "12 fps": {"rate": 12, "frames": 24},
    "H.265": {"codec": "libx265", "encoder": {"x265-params": "log-level=none"}},
    "4:4:4": {"pixels": "yuv444p"},
    "10 bit": {"pixels": "yuv420p10le"},
    "full range": {"pixels": "yuvj420p"},
    "Matroska": {"container": "matroska"},
    "MPEG-TS": {"container": "mpegts"},
    "wide pixels": {"sample_aspect_ratio": Fraction(4, 3)},
    "lying on its side": {"rotation": 90},
}


@pytest.mark.parametrize("clip", DIFFERENT.values(), ids=DIFFERENT)
def test_a_clip_that_differs_is_brought_into_the_format(
    assembler: PyAvAssembler, tmp_path: Path, destination: Path, clip: dict[str, object]
) -> None:
    source = write_clip(tmp_path / "clip.mp4", **clip)  # type: ignore[arg-type]  # names and types as in the table

    assert assembler.conform(source, destination, TARGET)

    assert not assembler.conform(destination, tmp_path / "again.mp4", TARGET)
    shown = shown_frames(destination)
    assert [frame.place for frame in shown] == list(range(len(shown)))
    assert len(shown) == pytest.approx(48, abs=1)
    with av.open(destination) as container:
        assert [stream.type for stream in container.streams] == ["video"]
    assert boxes_of(destination).index("moov") < boxes_of(destination).index("mdat")


def test_conformed_clips_have_no_b_frames(assembler: PyAvAssembler, tmp_path: Path, destination: Path) -> None:
    """They can then end after any frame."""
    source = write_clip(tmp_path / "clip.mp4", width=192, height=128, b_frames=3)

    assembler.conform(source, destination, TARGET)

    with av.open(destination) as container:
        times = [(packet.dts, packet.pts) for packet in container.demux(video=0) if packet.size]
    assert all(dts == pts for dts, pts in times)


def brightness(frame: VideoFrame, x: int, y: int) -> int:
    """Luma of one pixel: 16 is black, 235 white."""
    plane = frame.planes[0]
    return bytes(plane)[y * plane.line_size + x]


def first_frame(clip: Path) -> VideoFrame:
    with av.open(clip) as container:
        return next(container.decode(video=0))


def write_half_white(path: Path, *, width: int, height: int, rotation: float = 0) -> Path:
    """A clip whose upper half is white and whose lower half is grey."""
    with av.open(path, "w") as output:
        stream = output.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if rotation:
            stream.set_display_rotation(rotation)
        for _ in range(24):
            frame = VideoFrame(width, height, "yuv420p")
            line = frame.planes[0].line_size
            frame.planes[0].update(b"\xeb" * (line * height // 2) + b"\x80" * (line * (height - height // 2)))
            for plane in frame.planes[1:]:
                plane.update(b"\x80" * plane.buffer_size)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def test_a_clip_of_another_shape_keeps_its_shape_between_black_bars(
    assembler: PyAvAssembler, tmp_path: Path, destination: Path
) -> None:
    assembler.conform(write_half_white(tmp_path / "clip.mp4", width=64, height=128), destination, TARGET)

    frame = first_frame(destination)
    assert brightness(frame, 8, 10) == pytest.approx(16, abs=3)  # 32 of 96 columns hold the picture
    assert brightness(frame, 48, 10) == pytest.approx(235, abs=3)
    assert brightness(frame, 48, 54) == pytest.approx(128, abs=3)
    assert brightness(frame, 87, 10) == pytest.approx(16, abs=3)


@pytest.mark.parametrize(
    ("rotation", "white", "grey"),
    [(90, (35, 32), (60, 32)), (-90, (60, 32), (35, 32)), (180, (48, 54), (48, 10))],
    ids=["a quarter to the left", "a quarter to the right", "upside down"],
)
def test_a_clip_that_says_how_to_turn_it_is_turned(
    assembler: PyAvAssembler,
    tmp_path: Path,
    destination: Path,
    rotation: float,
    white: tuple[int, int],
    grey: tuple[int, int],
) -> None:
    source = write_half_white(tmp_path / "clip.mp4", width=96, height=64, rotation=rotation)

    assembler.conform(source, destination, TARGET)

    frame = first_frame(destination)
    assert brightness(frame, *white) == pytest.approx(235, abs=6)
    assert brightness(frame, *grey) == pytest.approx(128, abs=6)


def test_a_clip_that_was_cut_off_is_encoded_as_far_as_it_goes(
    assembler: PyAvAssembler, tmp_path: Path, destination: Path
) -> None:
    whole = write_clip(tmp_path / "whole.mp4", frames=96, muxer={"movflags": "+faststart"})
    part = tmp_path / "part.mp4"
    part.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])

    assert assembler.conform(part, destination, TARGET)

    assert 48 < len(shown_frames(destination)) < 90
    assert not assembler.conform(destination, tmp_path / "again.mp4", TARGET)


def test_a_clip_with_a_hole_in_its_frames_is_filled(
    assembler: PyAvAssembler, tmp_path: Path, destination: Path
) -> None:
    """Copied, the hole would shift everything behind it."""
    source = tmp_path / "hole.mp4"
    with av.open(write_clip(tmp_path / "whole.mp4", encoder={"g": "1"})) as whole, av.open(source, "w") as output:
        stream = whole.streams.video[0]
        copied = output.add_stream_from_template(stream)
        for number, packet in enumerate(whole.demux(stream)):
            if packet.size and not 10 <= number < 14:
                packet.stream = copied
                output.mux(packet)

    assert assembler.conform(source, destination, TARGET)

    assert [frame.place for frame in shown_frames(destination)] == list(range(48))


@pytest.mark.parametrize("kind", ["empty", "text", "sound only", "header without frames", "missing"])
def test_a_clip_without_a_picture_is_refused_by_name(
    assembler: PyAvAssembler, tmp_path: Path, destination: Path, kind: str
) -> None:
    clip = tmp_path / "broken.mp4"
    if kind == "empty":
        clip.write_bytes(b"")
    elif kind == "text":
        clip.write_bytes(b"<html>502 Bad Gateway</html>")
    elif kind == "sound only":
        write_sound(clip, seconds=2, codec="aac")
    elif kind == "header without frames":
        whole = write_clip(clip, muxer={"movflags": "+faststart"}).read_bytes()
        clip.write_bytes(whole[: whole.index(b"mdat") + 4])

    with pytest.raises(PermanentError, match=r"broken\.mp4") as caught:
        assembler.conform(clip, destination, TARGET)

    assert caught.value.code == "CLIP_BROKEN"
    assert list(destination.parent.iterdir()) == []


def test_a_full_disk_is_told_and_leaves_nothing(assembler: PyAvAssembler, tmp_path: Path, destination: Path) -> None:
    source = write_clip(tmp_path / "clip.mp4", width=192, height=128)

    with room_for(4096), pytest.raises(TransientError, match=r"clip\.mp4") as caught:
        assembler.conform(source, destination, TARGET)

    assert caught.value.code == "STORAGE_FULL"
    assert list(destination.parent.iterdir()) == []
