"""Writes a ZIP archive that depends on nothing but what is put into it."""

import hashlib
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# The earliest moment that a ZIP archive can name.
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
UNIX = 3


@dataclass(frozen=True, slots=True)
class Archive:
    """A written archive.

    Attributes:
        unzipped_bytes: what Lambda counts: the content of its files.
    """

    name: str
    sha256: str
    zipped_bytes: int
    unzipped_bytes: int
    files: int


def write(archive: Path, entries: Mapping[str, Path | str]) -> Archive:
    """Write files or texts under the names that they have inside: sorted, of one date and one mode."""
    unzipped = 0
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as zipped:
        for name, content in sorted(entries.items()):
            entry = zipfile.ZipInfo(name, ZIP_EPOCH)
            entry.create_system = UNIX  # else it tells which system wrote it
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            data = content.encode() if isinstance(content, str) else content.read_bytes()
            unzipped += len(data)
            zipped.writestr(entry, data)
    written = archive.read_bytes()
    return Archive(archive.name, hashlib.sha256(written).hexdigest(), len(written), unzipped, len(entries))
