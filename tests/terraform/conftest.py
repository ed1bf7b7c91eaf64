"""What stands in this folder and runs Terraform for minutes is left to whoever names it."""

from pathlib import Path

import pytest

SLOW = "test_apply.py"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the tests that apply to `make terraform-apply-test` and `make e2e`, which name the folder."""
    is_named = any("terraform" in Path(argument.partition("::")[0]).parts for argument in config.args)
    return True if collection_path.name == SLOW and not is_named else None
