from pathlib import Path

import av
import pytest

from statemachine import PermanentError
from tests.media import shown_frames, write_clip
from worker.ports import VideoFormat
from worker.providers.pyav_assembler import PyAvAssembler

TARGET = VideoFormat(width=96, height=64)


def test_a_still_clip_lasts_as_long_as_asked_and_needs_no_conforming(tmp_path: Path) -> None:
    source, still = write_clip(tmp_path / "clip.mp4"), tmp_path / "still.mp4"

    PyAvAssembler().still_clip(source, still, at_seconds=1.0, seconds=2.5, target=TARGET)

    assert [frame.place for frame in shown_frames(still)] == list(range(60))
    assert PyAvAssembler().conform(still, tmp_path / "again.mp4", TARGET) is False


@pytest.mark.parametrize(("at_seconds", "place"), [(0.0, 0), (1.0, 24), (99.0, 47)])
def test_a_still_clip_shows_the_frame_that_was_asked_for(tmp_path: Path, at_seconds: float, place: int) -> None:
    source = write_clip(tmp_path / "clip.mp4")
    still, wanted, shown = tmp_path / "still.mp4", tmp_path / "wanted.jpg", tmp_path / "shown.jpg"
    assembler = PyAvAssembler()

    assembler.still_clip(source, still, at_seconds=at_seconds, seconds=0.5, target=TARGET)

    assembler.thumbnail(source, wanted, at_seconds=place / 24, width=96)
    assembler.thumbnail(still, shown, at_seconds=0.25, width=96)
    assert difference(wanted, shown) < 0.05
    other = tmp_path / "other.jpg"
    assembler.thumbnail(source, other, at_seconds=((place + 24) % 48) / 24, width=96)
    assert difference(other, shown) > difference(wanted, shown)


def test_a_clip_that_cannot_be_decoded_gives_no_still(tmp_path: Path) -> None:
    broken = tmp_path / "clip.mp4"
    broken.write_bytes(b"no film")

    with pytest.raises(PermanentError) as caught:
        PyAvAssembler().still_clip(broken, tmp_path / "still.mp4", at_seconds=0, seconds=1, target=TARGET)

    assert caught.value.code == "CLIP_BROKEN"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4"]


def difference(one: Path, other: Path) -> float:
    """How much the luma of two pictures of one size differs, 0 to 1."""
    planes = []
    for path in (one, other):
        with av.open(path) as container:
            frame = next(container.decode(video=0))
            planes.append(bytes(frame.reformat(format="gray").planes[0]))
    total: int = sum(abs(a - b) for a, b in zip(*planes, strict=True))
    return total / len(planes[0]) / 255
