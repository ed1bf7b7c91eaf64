"""What stands in this folder and runs Terraform for minutes is left to whoever names it."""

import zipfile
from pathlib import Path

import pytest

SLOW = {"test_apply.py", "test_own_stage.py"}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the tests that apply to `make terraform-apply-test` and `make e2e`, which name the folder."""
    is_named = any("terraform" in Path(argument.partition("::")[0]).parts for argument in config.args)
    return True if collection_path.name in SLOW and not is_named else None


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Archives with hardly anything in them, for where nothing runs."""
    folder = tmp_path_factory.mktemp("package")
    for name in ("function", "layer-dependencies", "layer-media"):
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
            archive.writestr(zipfile.ZipInfo("worker/lambda_function.py"), f"# {name}\n")
    return folder
