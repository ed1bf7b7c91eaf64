"""A directory as media store: one file for each object."""

import errno
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import unquote

from statemachine.errors import PermanentError, TransientError

# Unfinished writes stand here until they are renamed.  A key never becomes this name: see `_file_name`.
INCOMING = ".incoming"

# What a killed write left behind is removed after a day; no write lasts that long.
ABANDONED_AFTER_SECONDS = 24 * 3600.0

# Longest name of a file on ext4, XFS, APFS and btrfs, in bytes.
_LONGEST_NAME_BYTES = 255

_FULL = {errno.ENOSPC, errno.EDQUOT}
_MISSING = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class DirectoryMediaStore:
    """Keeps objects as files under `root`, each under a name that a person recognises.

    An object is written beside the others, flushed to the disk and then renamed, so neither a kill nor a power cut
    leaves a part of one under its key.  `local_copy` gives the stored file itself.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def upload(self, path: Path, key: str) -> None:
        """Copy the file at `path`; see `MediaStore`."""
        self._store(key, lambda temporary: _copy(path, temporary))

    def write(self, data: bytes, key: str) -> None:
        """See `MediaStore`."""
        self._store(key, lambda temporary: temporary.write(data))

    @contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        """The stored file itself: nothing is copied, so it must not be changed."""
        path = self._path(key)
        if not path.is_file():
            raise self._missing(key)
        yield path

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """See `MediaStore`."""
        with self._opened(key) as stream:
            yield stream

    def read_range(self, key: str, start: int, end: int) -> bytes:
        """See `MediaStore`."""
        if start < 0 or end < start:
            raise ValueError(f"bytes {start} to {end} are no range")
        with self._opened(key) as stream:
            stream.seek(start)
            return stream.read(end - start)

    def size(self, key: str) -> int | None:
        """See `MediaStore`."""
        path = self._path(key)
        return path.stat().st_size if path.is_file() else None

    def keys(self, prefix: str) -> Iterator[str]:
        """See `MediaStore`; in the order of the keys, whatever the order of the folders."""
        *folders, _ = prefix.split("/")
        for part in folders:
            _check_part(part, prefix)
        top = self._root.joinpath(*map(_file_name, folders))
        found = []
        for folder, names, files in os.walk(top):
            if Path(folder) == self._root and INCOMING in names:
                names.remove(INCOMING)
            relative = PurePosixPath(Path(folder).relative_to(self._root).as_posix())
            found += [unquote(str(relative / file)) for file in files]
        yield from sorted(key for key in found if key.startswith(prefix))

    def discard(self, key: str) -> None:
        """Remove an object that nothing refers to; none there is no error.

        Raises:
            TransientError: code STORAGE_UNAVAILABLE.
        """
        path = self._path(key)
        try:
            path.unlink(missing_ok=True)
            if path.parent.is_dir() and not any(path.parent.iterdir()):
                path.parent.rmdir()
        except OSError as error:
            raise self._storage_error(error, key) from error

    def uri(self, key: str) -> str:
        """`file:///…`, percent-encoded."""
        return self._path(key).as_uri()

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        for part in parts:
            _check_part(part, key)
        return self._root.joinpath(*map(_file_name, parts))

    def _opened(self, key: str) -> BinaryIO:
        try:
            return self._path(key).open("rb")
        except _MISSING as error:
            raise self._missing(key) from error

    def _missing(self, key: str) -> PermanentError:
        return PermanentError("OBJECT_MISSING", f"{key} is not in {self._root}; was it moved or deleted?")

    def _store(self, key: str, fill: Callable[[BinaryIO], object]) -> None:
        """Fill a temporary file, then give it its name.  Whatever goes wrong, nothing of it stays."""
        path = self._path(key)
        incoming = self._root / INCOMING
        temporary = incoming / uuid.uuid4().hex
        try:
            incoming.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(incoming)
            _make_folders(path.parent)
            try:
                with temporary.open("xb") as stream:
                    fill(stream)
                    stream.flush()
                    os.fsync(stream.fileno())
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
            _flush_folder(path.parent)
        except _SourceError as error:
            raise error.reason from None
        except OSError as error:
            raise self._storage_error(error, key) from error

    def _storage_error(self, error: OSError, key: str) -> Exception:
        if error.errno in _FULL:
            return TransientError(
                "STORAGE_FULL",
                f"no space left in {self._root} for {key}; free some space there, or choose another folder, "
                "then try again",
                user_action="free_space",
            )
        if isinstance(error, IsADirectoryError | NotADirectoryError | FileExistsError):
            return ValueError(f"{key!r} names a folder of other keys, or lies below an object, in {self._root}")
        return TransientError(
            "STORAGE_UNAVAILABLE",
            f"{key} cannot be written in {self._root}: {error.strerror or error}; check the folder's permissions",
            user_action="contact_admin",
        )


class _SourceError(Exception):
    """The file to be uploaded cannot be read: not the store's fault."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _copy(path: Path, destination: BinaryIO) -> None:
    try:
        source = path.open("rb")
    except OSError as error:
        raise _SourceError(error) from error
    with source:
        shutil.copyfileobj(source, destination, 1 << 20)


def _check_part(part: str, key: str) -> None:
    if part in {"", ".", ".."} or "\0" in part:
        raise ValueError(f"{key!r} is no key: it is relative, without empty parts, '.' or '..'")
    if len(_file_name(part).encode()) > _LONGEST_NAME_BYTES:
        raise ValueError(f"{key!r} is no key here: a part of it is longer than {_LONGEST_NAME_BYTES} bytes")


def _file_name(part: str) -> str:
    """One part of a key as the name of a file: letters of any script and spaces as they are.

    Escaped (as %XX) is what file systems treat in a way of their own, and a leading dot, which hides a file.
    """
    escaped = "".join(
        f"%{ord(character):02X}" if character in '%\\:*?"<>|\x7f' or character < " " else character
        for character in part
    )
    return f"%2E{escaped[1:]}" if escaped.startswith(".") else escaped


def _make_folders(folder: Path) -> None:
    """Make what is missing of a folder's path, each name on the disk before anything is put below it."""
    if not folder.is_dir():
        _make_folders(folder.parent)
        folder.mkdir(exist_ok=True)
        _flush_folder(folder.parent)


def _flush_folder(folder: Path) -> None:
    """Put a folder's names on the disk: a rename that is only in memory does not survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_abandoned(incoming: Path) -> None:
    oldest = time.time() - ABANDONED_AFTER_SECONDS  # compared with the file system's own times, not with a job's
    for file in incoming.iterdir():
        try:
            if file.stat().st_mtime < oldest:
                file.unlink(missing_ok=True)
        except FileNotFoundError:
            continue  # its writer has just renamed it
