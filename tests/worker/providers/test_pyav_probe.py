from pathlib import Path

import pytest

from statemachine import PermanentError, TransientError
from tests.media import write_clip, write_sound
from tests.worker.fakes import FakeMediaStore
from worker.providers.pyav_probe import BLOCK_BYTES, MOST_BYTES, probe

SAMPLES = Path(__file__).parents[3] / "samples"


class CountingStore(FakeMediaStore):
    """Counts what is read."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.objects["sound"] = content
        self.ranges: list[tuple[int, int]] = []
        self.trouble: Exception | None = None

    def read_range(self, key: str, start: int, end: int) -> bytes:
        self.ranges.append((start, end))
        if self.trouble is not None:
            raise self.trouble
        return super().read_range(key, start, end)

    @property
    def bytes_read(self) -> int:
        return sum(end - start for start, end in self.ranges)


def refused(store: CountingStore) -> str:
    with pytest.raises(PermanentError) as error:
        probe(store, "sound")
    assert error.value.user_action == "upload_other_audio"
    return error.value.code


def test_the_header_of_an_mp3_says_how_long_it_is() -> None:
    store = CountingStore((SAMPLES / "narration_human_librivox.mp3").read_bytes())

    header = probe(store, "sound")

    assert header.codec == "mp3"
    assert header.duration_seconds == pytest.approx(27.2, abs=0.2)
    assert header.channels in {1, 2}


@pytest.mark.parametrize(
    ("name", "codec"), [("sound.wav", "pcm_s16le"), ("sound.flac", "flac"), ("sound.m4a", "aac"), ("sound.ogg", "flac")]
)
def test_the_usual_containers_say_how_long_they_are(tmp_path: Path, name: str, codec: str) -> None:
    content = write_sound(tmp_path / name, codec=codec, seconds=5.0).read_bytes()

    header = probe(CountingStore(content), "sound")

    assert header.codec == codec
    assert header.duration_seconds == pytest.approx(5.0, abs=0.1)


def test_a_long_recording_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    write_sound(path, codec="pcm_s16le", seconds=120.0)
    content = path.read_bytes()
    store = CountingStore(content)

    header = probe(store, "sound")

    assert header.duration_seconds == pytest.approx(120.0, abs=0.1)
    assert len(content) > 40 * BLOCK_BYTES
    assert store.bytes_read <= 4 * BLOCK_BYTES


def test_every_read_asks_first_whether_there_is_time() -> None:
    class TimeIsOverError(Exception):
        pass

    def is_over() -> None:
        raise TimeIsOverError

    with pytest.raises(TimeIsOverError):
        probe(CountingStore(b"RIFF" + b"x" * 1000), "sound", before_each_read=is_over)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "EMPTY_FILE"),
        (b"a" * 100_000, "NOT_AUDIO"),
        (b"<html><body>Not found</body></html>" * 100, "NOT_AUDIO"),
        (bytes(range(256)) * 4000, "NOT_AUDIO"),
        (b"RIFF\xff\xff\xff\xffWAVEfmt ", "NOT_AUDIO"),
        (b"\x00\x00\x00\x20ftypisom" + b"\0" * 5000, "NOT_AUDIO"),
    ],
)
def test_what_is_no_recording_is_refused(content: bytes, code: str) -> None:
    assert refused(CountingStore(content)) == code


def test_an_object_that_is_not_there_is_told_as_such() -> None:
    store = CountingStore(b"")
    store.objects.clear()

    assert refused(store) == "OBJECT_MISSING"


def test_a_film_without_sound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path)

    assert refused(CountingStore(path.read_bytes())) == "NO_AUDIO_STREAM"


def test_a_bucket_that_cannot_be_reached_is_not_taken_for_a_broken_file() -> None:
    store = CountingStore((SAMPLES / "narration_human_librivox.mp3").read_bytes())
    store.trouble = TransientError("STORAGE_UNAVAILABLE", "later")

    with pytest.raises(TransientError):
        probe(store, "sound")


def test_looking_for_a_header_ends_somewhere() -> None:
    store = CountingStore(b"\0" * (3 * MOST_BYTES))

    refused(store)

    assert store.bytes_read <= MOST_BYTES + BLOCK_BYTES
