"""The function as `make package` ships it."""

from pathlib import Path

from scripts.lambda_archives.build import build
from tests.lambda_runtime.function import Function, unpacked
from tests.lambda_runtime.pythons import python_of


def packaged_function(version: str, folder: Path) -> Function:
    """Build the archives for a Python version below `folder`, and unpack them as Lambda does."""
    archives = folder / "archives"
    build(archives, architecture="x86_64", python=version)
    return Function(
        "ai-video-worker",
        python_of(version),
        code=unpacked([archives / "function.zip"], folder / "task"),
        layers=unpacked([archives / f"layer-{layer}.zip" for layer in ("dependencies", "media")], folder / "opt"),
    )
