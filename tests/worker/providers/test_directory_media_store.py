import errno
import os
from pathlib import Path

import pytest

from statemachine.errors import TransientError
from worker.providers.directory_media_store import ABANDONED_AFTER_SECONDS, INCOMING, DirectoryMediaStore


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "media"


@pytest.fixture
def store(root: Path) -> DirectoryMediaStore:
    return DirectoryMediaStore(root)


def fail_on_flush(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """The disk takes the bytes and fails when they must be safe: the last moment before the rename."""

    def fsync(_: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", fsync)


def files_under(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_local_copy_is_the_stored_file_itself(store: DirectoryMediaStore, root: Path) -> None:
    store.write(b"sound", "run/recording.mp3")

    with store.local_copy("run/recording.mp3") as copy:
        assert copy == root / "run" / "recording.mp3"
    assert copy.exists()


def test_a_person_recognises_the_file_by_its_name(store: DirectoryMediaStore, root: Path) -> None:
    store.write(b"sound", "run/Łódź nocą.mp3")

    assert files_under(root) == ["run/Łódź nocą.mp3"]


def test_an_address_leads_to_the_file(store: DirectoryMediaStore, root: Path) -> None:
    store.write(b"x", "run/my video.mp4")

    assert store.uri("run/my video.mp4") == (root / "run" / "my video.mp4").as_uri()
    assert store.uri("run/my video.mp4").startswith("file:///")


def test_a_full_disk_is_said_with_the_folder_and_the_remedy(
    store: DirectoryMediaStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_on_flush(monkeypatch, OSError(errno.ENOSPC, "No space left on device"))

    with pytest.raises(TransientError) as failed:
        store.write(b"x" * 100, "key")

    assert failed.value.code == "STORAGE_FULL"
    assert str(root) in failed.value.message
    assert "free some space" in failed.value.message


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "full"), OSError(errno.EIO, "broken"), KeyboardInterrupt()], ids=repr
)
def test_a_failed_write_leaves_the_old_object_and_nothing_else(
    store: DirectoryMediaStore, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    store.write(b"old", "run/key")
    source = tmp_path / "source"
    source.write_bytes(b"new and longer")
    fail_on_flush(monkeypatch, error)

    with pytest.raises((TransientError, KeyboardInterrupt)):
        store.upload(source, "run/key")

    assert files_under(root) == ["run/key"]
    assert store.read_range("run/key", 0, 100) == b"old"


def test_another_fault_of_the_disk_is_not_called_full(
    store: DirectoryMediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_on_flush(monkeypatch, OSError(errno.EROFS, "Read-only file system"))

    with pytest.raises(TransientError) as failed:
        store.write(b"x", "key")

    assert failed.value.code == "STORAGE_UNAVAILABLE"
    assert "Read-only file system" in failed.value.message


def test_a_half_written_object_has_no_key(store: DirectoryMediaStore, root: Path) -> None:
    """A kill in mid-write leaves a file in the folder of incoming ones: nobody may take it for an object."""
    store.write(b"x", "key")
    (root / INCOMING / "half").write_bytes(b"ha")

    assert list(store.keys("")) == ["key"]
    assert store.size(f"{INCOMING}/half") is None


def test_what_a_kill_left_is_removed_a_day_later(store: DirectoryMediaStore, root: Path) -> None:
    store.write(b"x", "key")
    left, recent = root / INCOMING / "left", root / INCOMING / "recent"
    for path in (left, recent):
        path.write_bytes(b"half")
    written_at = left.stat().st_mtime - ABANDONED_AFTER_SECONDS - 60
    os.utime(left, (written_at, written_at))

    store.write(b"y", "key")

    assert not left.exists()
    assert recent.exists()


def test_an_object_cannot_be_a_folder_as_well(store: DirectoryMediaStore) -> None:
    store.write(b"x", "run/key")

    for key in ("run", "run/key/below"):
        with pytest.raises(ValueError, match="folder"):
            store.write(b"x", key)


def test_a_name_longer_than_the_file_system_allows_is_refused(store: DirectoryMediaStore) -> None:
    with pytest.raises(ValueError, match="255 bytes"):
        store.write(b"x", "ł" * 128)


def test_a_root_that_is_a_file_is_not_taken_for_a_folder(tmp_path: Path) -> None:
    root = tmp_path / "media"
    root.write_bytes(b"not a folder")

    with pytest.raises(ValueError, match="folder"):
        DirectoryMediaStore(root).write(b"x", "key")

    assert root.read_bytes() == b"not a folder"


def test_an_address_is_plain_ascii(store: DirectoryMediaStore) -> None:
    """A file's address is percent-encoded; a browser would stop at the first space."""
    assert store.uri("recordings/Łódź, a b.mp3").endswith("/recordings/%C5%81%C3%B3d%C5%BA%2C%20a%20b.mp3")


def test_a_discarded_object_is_gone_and_the_others_stay(store: DirectoryMediaStore, root: Path) -> None:
    store.write(b"one", "uploads/1/recording.mp3")
    store.write(b"two", "uploads/1/transcript.txt")
    store.write(b"three", "uploads/2/recording.mp3")

    for key in ("uploads/1/recording.mp3", "uploads/1/transcript.txt", "uploads/1/transcript.txt"):
        store.discard(key)

    assert list(store.keys("")) == ["uploads/2/recording.mp3"]
    assert not (root / "uploads" / "1").exists()
