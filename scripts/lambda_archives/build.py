"""Build the archives that the Lambda function runs from: two layers of dependencies and the function's own code.

    python scripts/package.py [--architecture x86_64|arm64] [--python 3.13] [--into build/package]

No Docker: wheels for Lambda's platform are installed by uv from the hashed lock, trimmed, stripped, compiled to the
bytecode of the function's Python, and zipped with sorted names, one date and fixed modes, so that the same input gives
the same bytes.  Beside the archives stands manifest.json: sizes, hashes, what was removed and why, what built it.

Exit code 1: an archive is over Lambda's limit or its budget.  2: something to build with is missing, or a wheel
holds what nobody has looked at.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts.lambda_archives import archive, licences
from scripts.lambda_archives.archive import Archive
from scripts.lambda_archives.compiling import compile_modules
from scripts.lambda_archives.installing import PLATFORMS, ROOT, install
from scripts.lambda_archives.interpreters import Interpreter, InterpreterMissingError, find
from scripts.lambda_archives.reaching import reached
from scripts.lambda_archives.stripping import ALREADY_STRIPPED, NotStrippableError, strip
from scripts.lambda_archives.trimming import FROM_LAYERS, kept, removed
from worker import engine_build

MIB = 1024 * 1024

# What stands in the media layer; everything else of the lock stands in the other one.
MEDIA = ("av/", "av.libs/", "av-")

# The project's packages, engine first, and the module of what Lambda is told to call.
OWN = ("statemachine", "worker")
ENTRY = "worker.lambda_function"

# Where the project's own engine stands, see `_in_function`.
ENGINE_LAYER = "layer-dependencies.zip"

# Where Lambda unpacks layers and function: what tracebacks show.
LAYER_ROOT = "/opt/python"
FUNCTION_ROOT = "/var/task"


@dataclass(frozen=True, slots=True)
class Budget:
    """A size and what it may be."""

    name: str
    value: int
    bound: int
    at_least: bool = False

    @property
    def is_kept(self) -> bool:
        """Whether the size is as it may be."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound


# Lambda's: 250 MB for function and layers unzipped, 50 MB for an archive that is uploaded and not fetched from S3, both
# in powers of two.  (AWS Lambda quotas page, read 2026-11-22)
UNZIPPED_LIMIT = 250 * MIB
UPLOAD_LIMIT = 50 * MIB


def budgets(archives: Mapping[str, Archive]) -> list[Budget]:
    """Everything that a build is measured by: Lambda's limits first."""
    dependencies, media, function = (
        archives[f"{name}.zip"] for name in ("layer-dependencies", "layer-media", "function")
    )
    total = sum(one.unzipped_bytes for one in archives.values())
    return [
        Budget("unzipped", total, UNZIPPED_LIMIT),
        *(Budget(f"upload.{one.name}", one.zipped_bytes, UPLOAD_LIMIT) for one in archives.values()),
        Budget("dependencies_unzipped", dependencies.unzipped_bytes, 75 * MIB),
        Budget("media_unzipped", media.unzipped_bytes, 85 * MIB),
        Budget("function_zipped", function.zipped_bytes, 300_000),
        Budget("spare", UNZIPPED_LIMIT - total, 70 * MIB, at_least=True),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Build, print the sizes against limits and budgets, and return the exit code."""
    options = _options(arguments)
    try:
        manifest = build(
            options.into,
            architecture=options.architecture,
            python=options.python,
            with_bytecode=options.bytecode,
        )
    except InterpreterMissingError as error:
        print(f"package: {error}; or pass --no-bytecode, which ships sources alone", file=sys.stderr)
        return 2
    except (licences.UnknownLibraryError, NotStrippableError) as error:
        print(f"package: {error}", file=sys.stderr)
        return 2
    for one in manifest["archives"]:
        print(f"{one['name']:24}{_mib(one['unzipped_bytes'])} unzipped{_mib(one['zipped_bytes'])} zipped")
    for budget in manifest["budgets"]:
        word = "at least" if budget["at_least"] else "at most"
        verdict = "ok" if budget["ok"] else "MISSED"
        print(f"{budget['name']:32}{_mib(budget['value'])}, {word}{_mib(budget['bound'])}: {verdict}")
    print(f"{options.into / 'manifest.json'}: hashes, and what was removed and why")
    return 0 if all(budget["ok"] for budget in manifest["budgets"]) else 1


def build(into: Path, *, architecture: str, python: str, with_bytecode: bool = True) -> dict[str, Any]:
    """Build the three archives and their manifest in `into`; return the manifest.

    Raises:
        InterpreterMissingError: bytecode is wanted, and nothing here compiles it.
        UnknownLibraryError: see `licences.bundled`.
        NotStrippableError: see `stripping.strip`.
    """
    compiler = find(python) if with_bytecode else None
    own = reached(ROOT, entry=ENTRY, packages=OWN)
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        installed, compiled = Path(folder, "installed"), Path(folder, "compiled")
        install(installed, architecture=architecture, python=python)
        taken = list(removed(installed, FROM_LAYERS))
        shipped = sorted(kept(installed, _files(installed), FROM_LAYERS))
        strip(path for path in shipped if path.suffix == ".so")
        contents = {
            f"layer-{layer}.zip": {
                **_in_layer(installed, paths, compiled / layer, compiler=compiler),
                f"licenses/{layer}.txt": _licences(paths, installed / ALREADY_STRIPPED),
            }
            for layer, paths in _layers(installed, shipped).items()
        }
        engine, worker = ([path for path in own if path.relative_to(ROOT).parts[0] == package] for package in OWN)
        contents[ENGINE_LAYER] |= {
            **_in_layer(ROOT, engine, compiled / "engine", compiler=compiler),
            f"python/{OWN[0]}/{engine_build.BUILD}": _digest(engine),
        }
        contents["function.zip"] = {
            **_in_function(worker, compiled / "function", compiler=compiler),
            f"{OWN[1]}/{engine_build.NEEDED}": _digest(engine),
            "LICENSE": ROOT / "LICENSE",
        }
        archives = {name: archive.write(into / name, entries) for name, entries in contents.items()}
    manifest = {
        "architecture": architecture,
        "python": python,
        "archives": [asdict(one) for one in archives.values()],
        "budgets": [{**asdict(one), "ok": one.is_kept} for one in budgets(archives)],
        # What else decides about the bytes, beside the lock and the source.
        "made_with": {
            "bytecode_of": compiler.version if compiler else None,
            "zlib": zlib.ZLIB_RUNTIME_VERSION,
        },
        "removed": taken,
    }
    (into / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest


def _digest(paths: Iterable[Path]) -> str:
    """Another one for every other content, and the same for the same; see `worker.engine_build`."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT).as_posix()}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", choices=sorted(PLATFORMS), default="x86_64")
    parser.add_argument("--python", default="3.13", help="3.12 or later: PyAV needs Amazon Linux 2023")
    parser.add_argument("--into", type=Path, default=ROOT / "build" / "package")
    parser.add_argument(
        "--no-bytecode",
        dest="bytecode",
        action="store_false",
        help="ship sources alone, where no interpreter of that version is at hand; every cold start pays for it",
    )
    return parser.parse_args(arguments)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _layers(installed: Path, paths: Iterable[Path]) -> dict[str, list[Path]]:
    layers: dict[str, list[Path]] = {"dependencies": [], "media": []}
    for path in paths:
        is_media = path.relative_to(installed).as_posix().startswith(MEDIA)
        layers["media" if is_media else "dependencies"].append(path)
    return layers


def _licences(paths: Iterable[Path], libraries: Path) -> str:
    """The licences of what is shipped of these files, with those of the libraries where they are among them."""
    folders = {path.parent for path in paths if path.parent.suffix == ".dist-info" and path.name == "METADATA"}
    text = licences.collected(list(licences.distributions(folders)))
    if any(path.parent == libraries for path in paths):
        text += f"\n{licences.RULE}\n{licences.bundled(libraries)}"
    return text


def _modules(root: Path, paths: Iterable[Path]) -> list[Path]:
    """What Python imports, as paths below `root`; a file of authors may also end in `.py`."""
    relative = [path.relative_to(root) for path in paths if path.suffix == ".py"]
    return [path for path in relative if not path.parts[0].endswith(".dist-info")]


def _in_layer(root: Path, paths: list[Path], into: Path, *, compiler: Interpreter | None) -> dict[str, Path | str]:
    """Files of a layer, with bytecode where Python looks for it beside sources.

    Sources stay: a traceback through a library shows its lines.
    """
    entries: dict[str, Path | str] = {f"python/{path.relative_to(root).as_posix()}": path for path in paths}
    if compiler is not None:
        names = {
            path: path.parent / "__pycache__" / f"{path.stem}.{compiler.tag}.pyc" for path in _modules(root, paths)
        }
        jobs = [(root / path, into / name, f"{LAYER_ROOT}/{path.as_posix()}") for path, name in names.items()]
        compile_modules(jobs, interpreter=compiler)
        entries |= {f"python/{name.as_posix()}": into / name for name in names.values()}
    return entries


def _in_function(paths: list[Path], into: Path, *, compiler: Interpreter | None) -> dict[str, Path | str]:
    """The worker: bytecode in the sources' place.

    Sources and bytecode of both packages would be 735 kB zipped, over the budget; sources alone would cost every cold
    start their compilation.  So the engine stands in a layer, as what the worker depends on, and a traceback through
    the worker names file, line and function without showing the line.  (docs/packaging.md has the figures.)
    """
    entries: dict[str, Path | str] = {path.relative_to(ROOT).as_posix(): path for path in paths}
    if compiler is not None:
        modules = _modules(ROOT, paths)
        jobs = [(ROOT / path, into / f"{path}c", f"{FUNCTION_ROOT}/{path.as_posix()}") for path in modules]
        compile_modules(jobs, interpreter=compiler, is_small=True)
        for path in modules:
            del entries[path.as_posix()]
            entries[f"{path.as_posix()}c"] = into / f"{path}c"
    return entries


def _mib(size: int) -> str:
    return f"{size / MIB:8.2f} MiB"
