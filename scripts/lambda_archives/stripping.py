"""Takes from native modules what only a debugger or a linker reads."""

import platform
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# GNU's names of the architectures.
TRIPLES = {"x86_64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
MACHINES = {"x86_64": ("x86_64", "amd64"), "arm64": ("aarch64", "arm64")}

# Already stripped: 0.3 of 74.6 MB would go (`strip --strip-unneeded` on PyAV 18.1.0's, 2026-11-22).
ALREADY_STRIPPED = "av.libs"


class StripperMissingError(Exception):
    """No program on this machine can strip this architecture's files."""

    def __init__(self, architecture: str) -> None:
        super().__init__(
            f"nothing on this machine can strip {architecture} files, so the media layer will be some 25 MiB larger, "
            f"over its budget: install LLVM's llvm-strip (Debian: apt-get install llvm), which strips for every "
            f"architecture, or binutils for {TRIPLES[architecture]}"
        )


@dataclass(frozen=True, slots=True)
class Stripper:
    """A program that strips.

    Attributes:
        version: what it says of itself: another one may write other bytes.
    """

    path: str
    version: str

    @classmethod
    def find(cls, architecture: str) -> "Stripper":
        """LLVM's, which strips for every architecture; else binutils for this one.

        Raises:
            StripperMissingError: there is none.
        """
        names = ["llvm-strip", f"{TRIPLES[architecture]}-strip"]
        if platform.system() == "Linux" and platform.machine() in MACHINES[architecture]:
            names.append("strip")
        path = next((found for name in names if (found := shutil.which(name))), None)
        if path is None:
            raise StripperMissingError(architecture)
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603  found above
        version = next(line.strip() for line in said.splitlines() if any(sign.isdigit() for sign in line))
        return cls(path, version)

    def strip(self, files: Iterable[Path]) -> None:
        """Strip in place."""
        for file in files:
            subprocess.run([self.path, "--strip-unneeded", str(file)], check=True)  # noqa: S603  as above
