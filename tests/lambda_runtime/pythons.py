"""The Pythons of Lambda that this machine can be: environments with what Lambda brings (`make lambda-runtimes`)."""

from pathlib import Path

import pytest

from tests.lambda_runtime import sandbox

ROOT = Path(__file__).parents[2]
VERSIONS = ("3.12", "3.13")


def python_of(version: str) -> Path:
    """The interpreter of that environment."""
    return ROOT / f".venv-lambda-runtime-{version}" / "bin" / "python"


def skip_without(version: str) -> None:
    """Skip the test where its function could not run."""
    if (why := sandbox.missing()) is not None:
        pytest.skip(why)
    if not python_of(version).exists():
        pytest.skip(f"no environment of Lambda's for Python {version}: make lambda-runtimes (needs that Python)")
