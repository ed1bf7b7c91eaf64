"""Build the archives that the Lambda function runs from: two layers of dependencies and the function's own code.

    python scripts/package.py [--architecture x86_64|arm64] [--python 3.13] [--into build/package]

No Docker: wheels for Lambda's platform are installed by uv from the hashed lock, and zipped with sorted names, one
date and fixed modes, so the same input gives the same bytes.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "lambda.txt"

# Amazon Linux 2023 has glibc 2.34; PyAV's wheels need 2.28.  (PyAV 18.1.0's wheel tags, read 2026-11-22)
PLATFORMS = {"x86_64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}

# What stands in the media layer; everything else of the lock stands in the other one.
MEDIA = ("av", "av.libs")

# What the function never runs: the command line and the parts that work on one machine only.
LEFT_OUT = (
    "worker/__main__.py",
    "worker/local/",
    "worker/processes.py",
    "worker/providers/sphinx/",
    "worker/providers/storyboard/",
    "worker/providers/directory_media_store.py",
    "statemachine/sqlite.py",
    "statemachine/testing/",
)

# Lambda: 250 MB for function and layers unzipped.  (AWS Lambda quotas page, read 2026-11-22)
LIMIT_BYTES = 262_144_000

# The earliest moment that a ZIP archive can name.
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def main() -> int:
    """Build the archives and print one JSON line for each."""
    options = _options()
    into: Path = options.into
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        installed = Path(folder)
        _install(installed, architecture=options.architecture, python=options.python)
        media = [path for path in _files(installed) if path.relative_to(installed).parts[0] in MEDIA]
        others = sorted(set(_files(installed)) - set(media))
        sizes = [
            _archive(into / "layer-dependencies.zip", others, root=installed, prefix="python/"),
            _archive(into / "layer-media.zip", media, root=installed, prefix="python/"),
        ]
    sizes.append(_archive(into / "function.zip", _own_code(), root=ROOT, prefix=""))
    spare = LIMIT_BYTES - sum(sizes)
    print(json.dumps({"unzipped_bytes": sum(sizes), "limit_bytes": LIMIT_BYTES, "spare_bytes": spare}))
    if spare < 0:
        print(f"the archives are {-spare} bytes over Lambda's limit", file=sys.stderr)
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", choices=sorted(PLATFORMS), default="x86_64")
    parser.add_argument("--python", default="3.13", help="3.12 or later: PyAV needs Amazon Linux 2023")
    parser.add_argument("--into", type=Path, default=ROOT / "build" / "package")
    return parser.parse_args()


def _install(target: Path, *, architecture: str, python: str) -> None:
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    platform = ["--python-platform", PLATFORMS[architecture], "--python-version", python, "--only-binary", ":all:"]
    plain = ["--no-compile-bytecode", "--no-installer-metadata", "--link-mode", "copy", "--quiet"]
    command = [uv, "pip", "install", "--target", str(target), "--require-hashes", *platform, *plain, "-r", str(LOCK)]
    subprocess.run(command, check=True)  # noqa: S603  our own command on our own lock


def _files(folder: Path) -> list[Path]:
    """What is shipped of an installed tree: no bytecode of this interpreter, no scripts, no tests, no stubs."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not {"__pycache__", "bin", "tests"} & set(path.relative_to(folder).parts)
        and path.suffix not in (".pyi", ".pxd", ".pyx")
        and path.name not in ("RECORD", ".lock")
    )


def _own_code() -> list[Path]:
    packages = ("statemachine", "worker")
    return [
        path
        for package in packages
        for path in _files(ROOT / package)
        if not path.relative_to(ROOT).as_posix().startswith(LEFT_OUT)
    ]


def _archive(archive: Path, files: Iterable[Path], *, root: Path, prefix: str) -> int:
    """Write the files to `archive`; return what they measure unzipped, in bytes."""
    unzipped = 0
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as zipped:
        for path in files:
            entry = zipfile.ZipInfo(prefix + path.relative_to(root).as_posix(), ZIP_EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            content = path.read_bytes()
            unzipped += len(content)
            zipped.writestr(entry, content)
    print(json.dumps({"archive": archive.name, "zipped_bytes": archive.stat().st_size, "unzipped_bytes": unzipped}))
    return unzipped


if __name__ == "__main__":
    sys.exit(main())
