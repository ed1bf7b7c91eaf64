"""The examples of docs/extending.md, run as they stand there."""

import re
from pathlib import Path
from typing import Any

import pytest

from statemachine.testing import VirtualClock
from tests.dynamodb_tables import client_of, created
from tests.mocked_aws import mock_aws

PAGE = Path(__file__).parent.parent / "docs" / "extending.md"


class Context:
    """An invocation of the function on the page."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def test_examples_of_the_page_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page whose examples do not run is worse than none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("statemachine.SystemClock", VirtualClock)  # a page need not wait
    text = PAGE.read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    names: dict[str, Any] = {"__name__": "extending_page"}

    with mock_aws():
        for block in blocks:
            # A line of the page, in the traceback of an example that fails.
            line = text[: text.index(block)].count("\n")
            exec(compile("\n" * line + block, str(PAGE), "exec"), names)  # noqa: S102  our own page, and running it is the test
        created(client_of(None), names["layout"])
        client_of(None).put_item(TableName="reports", Item={"month": {"S": "2026-10"}})
        started = names["engine"].start("2026-10", {"month": "2026-10"}, run_id="run-1")
        answer = names["handler"]({"execution_id": "2026-10", "version": 1}, Context())

    assert len(blocks) == 5
    assert started.version == 1
    assert answer == "advanced"


def test_the_other_workload_is_some_forty_lines() -> None:
    block = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)[0]

    assert len([line for line in block.splitlines() if line.strip()]) <= 50
