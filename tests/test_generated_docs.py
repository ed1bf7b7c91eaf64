"""What is generated from the code and checked in says what the code says."""

from pathlib import Path

from typer.testing import CliRunner

from worker.__main__ import app

DOCS = Path(__file__).parents[1] / "docs"


def test_the_state_machine_in_the_docs_is_the_one_that_runs() -> None:
    result = CliRunner().invoke(app, ["graph"])

    assert result.exit_code == 0
    assert (DOCS / "state-machine.md").read_text(encoding="utf-8") == result.stdout, "generate it anew: make docs"
