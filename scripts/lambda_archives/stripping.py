"""Takes from native modules what only a debugger or a linker reads."""

import platform
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# GNU's names of the architectures, and the names that a machine gives itself.
TRIPLES = {"x86_64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
MACHINES = {"x86_64": ("x86_64", "amd64"), "arm64": ("aarch64", "arm64")}

# Already stripped: 0.3 of 74.6 MB would go (`strip --strip-unneeded` on PyAV 18.1.0's, 2026-11-22).
ALREADY_STRIPPED = "av.libs"

# Of a 64-bit ELF file: where its table of segments stands, and what a segment is that gets loaded.  (elf(5))
_TABLE_AT, _COUNT_AT, _LOADED = 32, 54, 1


class StripperMissingError(Exception):
    """No program on this machine can strip this architecture's files."""

    def __init__(self, architecture: str, failed: list[str]) -> None:
        broken = f" ({', '.join(failed)} writes files that cannot be loaded)" if failed else ""
        super().__init__(
            f"nothing on this machine strips {architecture} files{broken}, so the media layer is some 25 MiB larger, "
            f"over its budget: install binutils for {TRIPLES[architecture]} "
            f"(Debian: apt-get install binutils-{TRIPLES[architecture].replace('_', '-')})"
        )


@dataclass(frozen=True, slots=True)
class Stripper:
    """A program that strips.

    Attributes:
        version: what it says of itself: another one may write other bytes.
    """

    path: str
    version: str

    def strip(self, file: Path, into: Path) -> None:
        """Write what is left of `file`."""
        subprocess.run([self.path, "--strip-unneeded", "-o", str(into), str(file)], check=True)  # noqa: S603  found on this machine


def strip(files: Iterable[Path], *, architecture: str) -> str:
    """Strip in place with the first program that does it well; its version.

    Raises:
        StripperMissingError: there is none; the files are as they were.
    """
    paths, failed = list(files), []
    for stripper in strippers(architecture):
        with tempfile.TemporaryDirectory() as folder:
            stripped = [Path(folder, str(number)) for number in range(len(paths))]
            for file, into in zip(paths, stripped, strict=True):
                stripper.strip(file, into)
            # LLVM 14 moves the segments that auditwheel has added off their pages: the loader refuses such a file.
            if all(is_loadable(file.read_bytes()) for file in stripped):
                for file, into in zip(paths, stripped, strict=True):
                    shutil.copyfile(into, file)
                return stripper.version
        failed.append(stripper.version)
    raise StripperMissingError(architecture, failed)


def strippers(architecture: str) -> Iterator[Stripper]:
    """Those on this machine: binutils' for the architecture, then LLVM's, which take every architecture."""
    names = [f"{TRIPLES[architecture]}-strip"]
    if platform.system() == "Linux" and platform.machine() in MACHINES[architecture]:
        names.append("strip")
    for name in [*names, "llvm-strip"]:
        if (path := shutil.which(name)) is not None:
            said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603  found on this machine
            yield Stripper(path, next(line.strip() for line in said.splitlines() if any(map(str.isdigit, line))))


def is_loadable(elf: bytes) -> bool:
    """Whether each segment to load stands in the file as it will stand on its page: what the loader asks first."""
    (at,) = struct.unpack_from("<Q", elf, _TABLE_AT)
    size, count = struct.unpack_from("<HH", elf, _COUNT_AT)
    segments = (struct.unpack_from("<IIQQQQQQ", elf, at + number * size) for number in range(count))
    return all(
        (offset - address) % max(alignment, 1) == 0
        for kind, _, offset, address, _, _, _, alignment in segments
        if kind == _LOADED
    )
