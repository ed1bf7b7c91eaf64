"""Whole builds of the Lambda archives: the same bytes twice, what is in them and what not.  Needs a package index."""

import json
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
# Of whom the native modules are, as they say.  (elf(5): EM_X86_64, EM_AARCH64)
MACHINES = {"x86_64": 62, "arm64": 183}
NAMES = ("function.zip", "layer-dependencies.zip", "layer-media.zip")


def built(into: Path, architecture: str, **environment: str) -> dict[str, Any]:
    """The manifest of a build by the command that people type, for the interpreter that runs this test.

    It ends well, so every limit and budget is kept.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    chosen = ["--architecture", architecture, "--python", version]
    command = [sys.executable, str(ROOT / "scripts" / "package.py"), "--into", str(into), *chosen]
    done = subprocess.run(  # noqa: S603  our own script
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    manifest: dict[str, Any] = json.loads((into / "manifest.json").read_text())
    return manifest


@pytest.fixture(scope="module", params=sorted(MACHINES))
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def package(architecture: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    built(folder, architecture)
    return folder


def names(archive: Path) -> set[str]:
    with zipfile.ZipFile(archive) as zipped:
        return set(zipped.namelist())


def test_two_builds_have_the_same_bytes(package: Path, architecture: str, tmp_path: Path) -> None:
    """The second under another umask, in another time zone, temporary folder and language, with hashes at random."""
    (tmp_path / "elsewhere").mkdir()
    before = os.umask(0o077)
    try:
        again = built(
            tmp_path / "again",
            architecture,
            TMPDIR=str(tmp_path / "elsewhere"),
            TZ="Pacific/Kiritimati",
            LC_ALL="C",
            PYTHONHASHSEED="random",
        )
    finally:
        os.umask(before)

    assert again == json.loads((package / "manifest.json").read_text())
    for name in NAMES:
        assert (tmp_path / "again" / name).read_bytes() == (package / name).read_bytes()


def test_every_removal_takes_something(package: Path) -> None:
    """One that takes nothing any more is a line that misleads."""
    removed = json.loads((package / "manifest.json").read_text())["removed"]

    assert [entry["patterns"] for entry in removed if not entry["files"]] == []


def test_nothing_of_google_cloud_aiplatform_and_nothing_of_boto3_is_inside(package: Path) -> None:
    inside = {name for archive in NAMES for name in names(package / archive)}

    assert [name for name in inside if "aiplatform" in name or name.startswith("python/google/cloud/")] == []
    assert [name for name in inside if name.startswith(("python/boto3/", "python/botocore/"))] == []


def test_layer_and_function_say_of_which_build_the_engine_is(package: Path) -> None:
    with (
        zipfile.ZipFile(package / "layer-dependencies.zip") as layer,
        zipfile.ZipFile(package / "function.zip") as ours,
    ):
        build = layer.read("python/statemachine/BUILD")
        needed = ours.read("worker/ENGINE_BUILD")

    assert build == needed != b""


def test_every_module_has_its_bytecode(package: Path) -> None:
    tag = sys.implementation.cache_tag
    for archive in ("layer-dependencies.zip", "layer-media.zip"):
        inside = names(package / archive)
        modules = {Path(name) for name in inside if name.endswith(".py") and ".dist-info/" not in name}
        assert modules
        expected = {(path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc").as_posix() for path in modules}
        assert expected - inside == set()
    function = names(package / "function.zip")
    assert {"worker/lambda_function.pyc", "LICENSE"} <= function
    assert [name for name in function if name.endswith(".py")] == []


@pytest.mark.parametrize("layer", ["dependencies", "media"])
def test_native_modules_are_of_the_architecture(package: Path, architecture: str, layer: str) -> None:
    with zipfile.ZipFile(package / f"layer-{layer}.zip") as archive:
        native = [archive.read(name) for name in archive.namelist() if ".so" in name]

    assert {struct.unpack_from("<H", content, 18)[0] for content in native} == {MACHINES[architecture]}


def test_licences_of_all_are_told(package: Path) -> None:
    with zipfile.ZipFile(package / "layer-media.zip") as media:
        told = media.read("licenses/media.txt").decode()
    with zipfile.ZipFile(package / "layer-dependencies.zip") as dependencies:
        all_of_them = dependencies.read("licenses/dependencies.txt").decode()

    assert "libx264" in told
    assert "GNU General Public License" in told
    distributions = [name for name in names(package / "layer-dependencies.zip") if name.endswith(".dist-info/METADATA")]
    assert len(distributions) == all_of_them.partition("=====")[0].strip().count("\n") + 1
