"""Installs the locked dependencies as they are for Lambda's platform, whatever this machine is."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements" / "lambda.txt"

# Amazon Linux 2023 has glibc 2.34; PyAV's wheels need 2.28.  (PyAV 18.1.0's wheel tags, read 2026-11-22)
PLATFORMS = {"x86_64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}


def uv() -> str:
    """The project's own uv, or the person's."""
    return shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"


def install(target: Path, *, architecture: str, python: str) -> None:
    """Install the lock's wheels, hashes verified, into `target`."""
    platform = ["--python-platform", PLATFORMS[architecture], "--python-version", python, "--only-binary", ":all:"]
    plain = ["--no-compile-bytecode", "--no-installer-metadata", "--link-mode", "copy", "--quiet"]
    command = [uv(), "pip", "install", "--target", str(target), "--require-hashes", *platform, *plain, "-r", str(LOCK)]
    subprocess.run(command, check=True)  # noqa: S603  our own command on our own lock
