from pathlib import Path

import av
import pytest
from av.video.frame import VideoFrame

from statemachine.errors import PermanentError, TransientError
from tests.media import write_clip
from worker.providers.pyav_assembler import PyAvAssembler


@pytest.fixture
def assembler() -> PyAvAssembler:
    return PyAvAssembler()


def write_brightening(path: Path) -> Path:
    """Four seconds, each as a whole brighter than the one before: luma 40, 90, 140, 190."""
    with av.open(path, "w") as output:
        stream = output.add_stream("libx264", rate=24, options={"g": "96"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(96):
            frame = VideoFrame(96, 64, "yuv420p")
            for plane, value in zip(frame.planes, (40 + 50 * (number // 24), 128, 128), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def brightness(jpeg: Path) -> int:
    """Of the middle of the picture, 0 to 255."""
    with av.open(jpeg) as container:
        frame = next(container.decode(video=0))
    plane = frame.planes[0]
    return bytes(plane)[frame.height // 2 * plane.line_size + frame.width // 2]


def full_range(luma: int) -> float:
    return (luma - 16) * 255 / 219


@pytest.mark.parametrize(
    ("at_seconds", "luma"), [(0.0, 40), (0.99, 40), (1.01, 90), (2.5, 140), (3.99, 190), (99.0, 190), (-1.0, 40)]
)
def test_the_frame_shown_at_that_moment_is_written(
    assembler: PyAvAssembler, tmp_path: Path, at_seconds: float, luma: int
) -> None:
    """Past the end it is the last frame."""
    clip = write_brightening(tmp_path / "clip.mp4")

    assembler.thumbnail(clip, tmp_path / "still.jpg", at_seconds=at_seconds, width=96)

    assert brightness(tmp_path / "still.jpg") == pytest.approx(full_range(luma), abs=4)


def test_it_is_a_jpeg_of_the_asked_width_and_the_clip_s_shape(assembler: PyAvAssembler, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", width=192, height=108)

    assembler.thumbnail(clip, tmp_path / "still.jpg", at_seconds=1.0, width=96)

    assert (tmp_path / "still.jpg").read_bytes()[:3] == b"\xff\xd8\xff"
    with av.open(tmp_path / "still.jpg") as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (96, 54)


def test_a_clip_that_cannot_be_decoded_is_refused(assembler: PyAvAssembler, tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "clip.mp4", muxer={"movflags": "+faststart"})
    content = whole.read_bytes()
    whole.write_bytes(content[: content.index(b"mdat") + 4])

    with pytest.raises(PermanentError, match=r"clip\.mp4") as caught:
        assembler.thumbnail(whole, tmp_path / "still.jpg", at_seconds=1.0, width=96)

    assert caught.value.code == "CLIP_BROKEN"
    assert list(tmp_path.iterdir()) == [whole]


def test_a_folder_that_is_not_there_is_told(assembler: PyAvAssembler, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")

    with pytest.raises(TransientError, match=r"still\.jpg") as caught:
        assembler.thumbnail(clip, tmp_path / "nowhere" / "still.jpg", at_seconds=1.0, width=96)

    assert caught.value.code == "STORAGE_UNAVAILABLE"
