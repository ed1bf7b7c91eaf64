"""What `import statemachine` loads: it is paid at every cold start, before anybody knows what will be done."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules that a fresh interpreter has loaded after importing the engine, and nothing else."""
    result = subprocess.run(
        [sys.executable, "-c", "import sys, statemachine; print(*sys.modules)"],
        check=True,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    return set(result.stdout.split())


def test_the_engine_and_its_one_dependency_are_loaded(loaded: set[str]) -> None:
    """Or the tests below would pass on an empty list."""
    assert {"statemachine.engine", "statemachine.machine", "transitions"} <= loaded


@pytest.mark.parametrize("module", ["sqlite3", "boto3", "botocore", "pydantic", "hashlib", "uuid", "json", "asyncio"])
def test_no_library_is_loaded_that_not_every_user_needs(loaded: set[str], module: str) -> None:
    assert module not in loaded


@pytest.mark.parametrize("part", ["sqlite", "memory", "aws", "diagram", "testing"])
def test_no_part_of_the_engine_is_loaded_that_its_user_chooses(loaded: set[str], part: str) -> None:
    assert f"statemachine.{part}" not in loaded


def test_nothing_of_the_worker_is_loaded(loaded: set[str]) -> None:
    assert not {module for module in loaded if module.partition(".")[0] == "worker"}
