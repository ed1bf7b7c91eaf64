"""Whole builds of the Lambda archives: the same bytes twice, what is in them and what not.  Needs a package index."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from scripts.lambda_archives.stripping import is_loadable

ROOT = Path(__file__).parents[2]
NAMES = ("function.zip", "layer-dependencies.zip", "layer-media.zip")


def built(into: Path, **environment: str) -> dict[str, Any]:
    """The manifest of a build by the command that people type, for the interpreter that runs this test."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = [sys.executable, str(ROOT / "scripts" / "package.py"), "--into", str(into), "--python", version]
    done = subprocess.run(  # noqa: S603  our own script
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    manifest: dict[str, Any] = json.loads((into / "manifest.json").read_text())
    return manifest


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    built(folder)
    return folder


def names(archive: Path) -> set[str]:
    with zipfile.ZipFile(archive) as zipped:
        return set(zipped.namelist())


def test_two_builds_have_the_same_bytes(package: Path, tmp_path: Path) -> None:
    """The second under another umask, in another time zone, temporary folder and language, with hashes at random."""
    (tmp_path / "elsewhere").mkdir()
    before = os.umask(0o077)
    try:
        again = built(
            tmp_path / "again",
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


def test_native_modules_can_be_loaded_and_the_licences_of_all_are_told(package: Path) -> None:
    with zipfile.ZipFile(package / "layer-media.zip") as media:
        native = [name for name in media.namelist() if ".so" in name]
        assert [name for name in native if not is_loadable(media.read(name))] == []
        told = media.read("licenses/media.txt").decode()
    with zipfile.ZipFile(package / "layer-dependencies.zip") as dependencies:
        all_of_them = dependencies.read("licenses/dependencies.txt").decode()

    assert "libx264" in told
    assert "GNU General Public License" in told
    distributions = [name for name in names(package / "layer-dependencies.zip") if name.endswith(".dist-info/METADATA")]
    assert len(distributions) == all_of_them.partition("=====")[0].strip().count("\n") + 1
