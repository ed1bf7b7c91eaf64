"""Finds an interpreter of a Python version: `python -m scripts.lambda_archives.interpreters 3.13` prints its path.

Exit code 3: there is none.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.lambda_archives.installing import uv


class InterpreterMissingError(Exception):
    """No interpreter of this version is on this machine."""

    def __init__(self, version: str) -> None:
        super().__init__(
            f"no Python {version} on this machine: install one where it is found (`uv python install {version}`, "
            f"`pyenv install {version}`, or on PATH)"
        )


@dataclass(frozen=True, slots=True)
class Interpreter:
    """An interpreter on this machine.

    Attributes:
        version: whole, as `3.13.0`: another patch version may compile to other bytes.
        tag: of its files in `__pycache__`, as `cpython-313`.
    """

    path: str
    version: str
    tag: str


def find(version: str) -> Interpreter:
    """One of this minor version.

    Raises:
        InterpreterMissingError: there is none.
    """
    tell = "import platform, sys; print(platform.python_version(), sys.implementation.cache_tag)"
    for path in _candidates(version):
        told = subprocess.run([path, "-I", "-c", tell], capture_output=True, text=True, check=False)  # noqa: S603  what is on this machine
        if told.returncode == 0 and told.stdout.startswith(f"{version}."):
            whole, tag = told.stdout.split()
            return Interpreter(path, whole, tag)
    raise InterpreterMissingError(version)


def _candidates(version: str) -> Iterator[str]:
    """What uv finds, then pyenv's folder, as scripts/set_up.sh: a shim on PATH runs only what is active."""
    asked = [uv(), "python", "find", "--no-python-downloads", "--no-config", version]
    yield from subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines()  # noqa: S603  our own tool
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(str(path) for path in pyenv.glob(f"versions/{version}.*/bin/python3"))


def main(arguments: list[str]) -> int:
    """Print the path of the interpreter that is asked for."""
    try:
        print(find(arguments[0]).path)
    except InterpreterMissingError as error:
        print(error, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
