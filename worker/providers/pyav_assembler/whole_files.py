"""A file appears under its name whole, or not at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from statemachine.errors import TransientError

# What the kernel says when there is no room: disk full, quota used up, file larger than allowed.
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def whole_file(destination: Path) -> Iterator[Path]:
    """A path beside `destination` to write to; it takes the destination's name when the block ends well.

    The bytes are on the disk before the name is.  On any error the destination is as it was and nothing else is left.

    Raises:
        TransientError: code STORAGE_FULL or STORAGE_UNAVAILABLE, for every OSError of the block.
    """
    # A name of its own: two processes may be making the same file, and the later one simply wins.
    part = destination.with_name(f".{uuid4().hex}.part")
    try:
        yield part
        _sync(part)
        part.replace(destination)
        _sync(destination.parent)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise TransientError(
                "STORAGE_FULL", f"there is no room for {destination.name}: free some disk space and retry"
            ) from error
        raise TransientError(
            "STORAGE_UNAVAILABLE",
            f"{destination.name} cannot be written ({error.strerror}): check its folder and retry",
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
