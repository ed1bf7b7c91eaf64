import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "set_up.sh"
# All that the script may take for granted beside a Python.
TOOLS = ("sh", "dirname", "sort", "head", "cut", "id", "rm")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A clone on a machine that has the tools of POSIX and nothing else; `bin` is all of its PATH."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (tmp_path / "bin" / tool).symlink_to(found)
    return tmp_path


def add_interpreter(folder: Path, name: str, *, version: str, rank: int, lacks: str = "-") -> Path:
    """An interpreter that describes itself so, and does nothing else."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(
        f'#!/bin/sh\n[ "$1" = -c ] || exit 9\nprintf "%s\\t%s\\t%s\\t%s\\n" {rank} {version} {lacks} "{path}"\n'
    )
    path.chmod(0o755)
    return path


def set_up(machine: Path, *, path: str = "bin", **environment: str) -> subprocess.CompletedProcess[str]:
    folders = os.pathsep.join(str(machine / folder) for folder in path.split())
    return subprocess.run(  # noqa: S603  # our own script
        [str(machine / "scripts" / "set_up.sh")],
        env={"PATH": folders, "HOME": str(machine), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_machine_without_python_is_told_what_to_install(machine: Path) -> None:
    result = set_up(machine)

    assert result.returncode == 1
    assert "no Python 3.11 or later that runs was found on PATH" in result.stderr
    assert "apt-get install python3 python3-venv" in result.stderr


def test_chosen_interpreter_that_does_not_run_is_named(machine: Path) -> None:
    result = set_up(machine, PYTHON="python3.13")

    assert result.returncode == 1
    assert "PYTHON=python3.13 does not run" in result.stderr


@pytest.mark.parametrize(
    ("lacks", "missing", "packages"),
    [
        ("compiler", "there is no C compiler", "apt-get install build-essential"),
        ("compiler,headers", "there is no Python.h", "apt-get install build-essential python3.12-dev"),
        ("ensurepip", "it has no ensurepip", "apt-get install python3.12-venv"),
    ],
)
def test_what_an_interpreter_lacks_is_named_with_its_package(
    lacks: str, missing: str, packages: str, machine: Path
) -> None:
    add_interpreter(machine / "bin", "python3.12", version="3.12", rank=12, lacks=lacks)

    result = set_up(machine)

    assert result.returncode == 1
    assert missing in result.stderr
    assert packages in result.stderr
    assert not (machine / ".venv").exists()


def test_interpreter_with_wheels_is_preferred(machine: Path) -> None:
    add_interpreter(machine / "bin", "python3.12", version="3.12", rank=2)
    add_interpreter(machine / "bin", "python3.13", version="3.13", rank=1)

    result = set_up(machine)

    assert f"making .venv with Python 3.13 ({machine}/bin/python3.13)" in result.stderr


def test_shim_that_fails_does_not_hide_the_interpreter_behind_it(machine: Path) -> None:
    """A version manager puts a command on PATH for every version it knows of, also for those that are not activated."""
    (machine / "shims").mkdir()
    shim = machine / "shims" / "python3.11"
    shim.write_text("#!/bin/sh\necho 'command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    add_interpreter(machine / "bin", "python3.11", version="3.11", rank=0)

    result = set_up(machine, path="shims bin")

    assert f"making .venv with Python 3.11 ({machine}/bin/python3.11)" in result.stderr


def test_version_chooses_its_best_interpreter_and_the_environment_beside_the_first(machine: Path) -> None:
    add_interpreter(machine / "bin", "python3.11", version="3.11", rank=0)
    add_interpreter(machine / "bin", "python3.13", version="3.13", rank=1)

    result = set_up(machine, PYTHON="3.13", VENV=".venv-3.13")

    assert f"making .venv-3.13 with Python 3.13 ({machine}/bin/python3.13)" in result.stderr


def test_version_that_is_not_on_the_machine_has_an_exit_code_of_its_own(machine: Path) -> None:
    """`make test-all` passes over it; a set-up that fails is another matter."""
    add_interpreter(machine / "bin", "python3.11", version="3.11", rank=0)

    result = set_up(machine, PYTHON="3.12", VENV=".venv-3.12")

    assert result.returncode == 3
    assert "no Python 3.12 that runs was found" in result.stderr


def test_environment_is_made_nowhere_but_in_a_folder_of_its_own(machine: Path) -> None:
    """What does not serve is removed first."""
    (machine / "worker").mkdir()
    add_interpreter(machine / "bin", "python3.11", version="3.11", rank=0)

    result = set_up(machine, VENV="worker")

    assert result.returncode == 2
    assert (machine / "worker").is_dir()


def test_environment_that_cannot_be_made_fails_the_set_up(machine: Path) -> None:
    """The stamp, by which make knows that nothing is to be done, is written only after exit code 0."""
    add_interpreter(machine / "bin", "python3.11", version="3.11", rank=0)

    assert set_up(machine).returncode == 9
