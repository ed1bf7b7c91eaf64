"""What every media store does, whatever it keeps its objects in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from statemachine.errors import PermanentError
from tests.s3_buckets import moto_bucket
from worker.ports import MediaStore
from worker.providers.directory_media_store import DirectoryMediaStore
from worker.providers.s3_media_store import S3MediaStore

BAD_KEYS = ["", "/etc/passwd", "../out", "a/../../out", "a//b", "a/", "./a", "a/.", "a\0b"]
AWKWARD_KEYS = [
    "recordings/Łódź – szósta próba.mp3",  # noqa: RUF001 - a dash is what people type
    "recordings/声 と 音.wav",
    "a b/c+d&e=f.txt",
    "100%/50%25.txt",
    ".hidden/.file",
    ".incoming/clip.mp4",
    'what?/"quoted": <yes>|*.txt',
    "back\\slash.txt",
]


@pytest.fixture(params=["directory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MediaStore]:
    if request.param == "directory":
        yield DirectoryMediaStore(tmp_path / "media")
        return
    with moto_bucket("media") as client:
        yield S3MediaStore(client, "media", folder=tmp_path)


def test_what_was_written_is_read_back(store: MediaStore) -> None:
    store.write(b"words", "run/transcript.json")

    with store.open("run/transcript.json") as stream:
        assert stream.read() == b"words"


def test_what_was_uploaded_is_read_back(store: MediaStore, tmp_path: Path) -> None:
    recording = tmp_path / "recording.mp3"
    recording.write_bytes(bytes(range(256)) * 20_000)

    store.upload(recording, "run/recording.mp3")

    with store.local_copy("run/recording.mp3") as copy:
        assert copy.read_bytes() == recording.read_bytes()


def test_uploading_leaves_the_source_alone(store: MediaStore, tmp_path: Path) -> None:
    recording = tmp_path / "recording.mp3"
    recording.write_bytes(b"sound")

    store.upload(recording, "recording.mp3")
    store.write(b"other", "recording.mp3")

    assert recording.read_bytes() == b"sound"


def test_a_missing_source_is_told_as_it_is(store: MediaStore, tmp_path: Path) -> None:
    """The store is not to blame, so nobody is told to retry or to free space."""
    with pytest.raises(FileNotFoundError):
        store.upload(tmp_path / "nowhere.mp3", "recording.mp3")

    assert store.size("recording.mp3") is None


def test_writing_again_replaces_the_object(store: MediaStore) -> None:
    store.write(b"first, and longer", "key")

    store.write(b"second", "key")

    assert store.size("key") == len(b"second")
    assert store.read_range("key", 0, 100) == b"second"


def test_a_stream_begins_at_the_first_byte_every_time(store: MediaStore) -> None:
    store.write(b"0123456789", "key")

    with store.open("key") as one, store.open("key") as other:
        assert one.read(3) == b"012"
        assert other.read(3) == b"012"
        assert one.read(3) == b"345"


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, 10, b"0123456789"), (2, 5, b"234"), (8, 100, b"89"), (4, 4, b""), (10, 12, b""), (50, 60, b"")],
)
def test_a_range_goes_from_its_start_to_before_its_end(
    store: MediaStore, start: int, end: int, expected: bytes
) -> None:
    store.write(b"0123456789", "key")

    assert store.read_range("key", start, end) == expected


@pytest.mark.parametrize(("start", "end"), [(-1, 4), (5, 2)])
def test_what_is_no_range_is_refused(store: MediaStore, start: int, end: int) -> None:
    store.write(b"0123456789", "key")

    with pytest.raises(ValueError, match="range"):
        store.read_range("key", start, end)


def test_an_empty_object_is_an_object(store: MediaStore) -> None:
    store.write(b"", "empty")

    assert store.size("empty") == 0
    assert list(store.keys("")) == ["empty"]


def test_a_missing_object_has_no_size(store: MediaStore) -> None:
    store.write(b"x", "folder/key")

    assert store.size("missing") is None
    assert store.size("folder") is None


def test_reading_a_missing_object_fails_for_good(store: MediaStore) -> None:
    store.write(b"x", "folder/key")

    for key in ("missing", "folder", "folder/key/below"):
        with pytest.raises(PermanentError) as opened, store.open(key):
            pass
        with pytest.raises(PermanentError) as copied, store.local_copy(key):
            pass
        with pytest.raises(PermanentError) as ranged:
            store.read_range(key, 0, 1)
        assert {opened.value.code, copied.value.code, ranged.value.code} == {"OBJECT_MISSING"}
        assert key in opened.value.message


def test_keys_come_in_order_and_only_those_with_the_prefix(store: MediaStore) -> None:
    for key in ("run/b.txt", "run/a/z.txt", "run/a.txt", "run-2/a.txt", "other"):
        store.write(b"x", key)

    assert list(store.keys("run/")) == ["run/a.txt", "run/a/z.txt", "run/b.txt"]
    assert list(store.keys("run/a")) == ["run/a.txt", "run/a/z.txt"]
    assert list(store.keys("run")) == ["run-2/a.txt", "run/a.txt", "run/a/z.txt", "run/b.txt"]
    assert list(store.keys("nothing/")) == []


def test_every_name_survives_the_round_trip(store: MediaStore) -> None:
    for key in AWKWARD_KEYS:
        store.write(key.encode(), key)

    assert list(store.keys("")) == sorted(AWKWARD_KEYS)
    for key in AWKWARD_KEYS:
        assert store.read_range(key, 0, 1000) == key.encode()


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_key_that_climbs_out_is_refused_everywhere(store: MediaStore, tmp_path: Path, key: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")

    with pytest.raises(ValueError, match="no key"):
        store.write(b"x", key)
    with pytest.raises(ValueError, match="no key"):
        store.upload(source, key)
    with pytest.raises(ValueError, match="no key"), store.open(key):
        pass
    with pytest.raises(ValueError, match="no key"), store.local_copy(key):
        pass
    with pytest.raises(ValueError, match="no key"):
        store.read_range(key, 0, 1)
    with pytest.raises(ValueError, match="no key"):
        store.size(key)
    with pytest.raises(ValueError, match="no key"):
        store.uri(key)


@pytest.mark.parametrize("prefix", ["../", "/etc/", "a/../../"])
def test_a_prefix_that_climbs_out_is_refused(store: MediaStore, prefix: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        list(store.keys(prefix))


def test_addresses_of_different_keys_differ(store: MediaStore) -> None:
    assert len({store.uri(key) for key in AWKWARD_KEYS}) == len(AWKWARD_KEYS)
