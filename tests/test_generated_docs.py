"""What is generated from the code and checked in says what the code says."""

from pathlib import Path

from typer.testing import CliRunner

from benchmarks import __main__ as benchmarks
from benchmarks.page import page
from benchmarks.report import read_results
from worker.__main__ import app

DOCS = Path(__file__).parents[1] / "docs"


def test_the_state_machine_in_the_docs_is_the_one_that_runs() -> None:
    result = CliRunner().invoke(app, ["graph"])

    assert result.exit_code == 0
    assert (DOCS / "state-machine.md").read_text(encoding="utf-8") == result.stdout, "generate it anew: make docs"


def test_the_costs_in_the_docs_are_those_that_the_cost_model_says() -> None:
    result = CliRunner().invoke(app, ["estimate", "--document"])

    assert result.exit_code == 0
    assert (DOCS / "costs.md").read_text(encoding="utf-8") == result.stdout, "generate it anew: make docs"


def test_the_benchmarks_in_the_docs_are_the_figures_that_were_kept() -> None:
    """Nobody writes a figure by hand: the page is what the kept lines say."""
    kept = read_results(benchmarks.RESULTS)

    assert kept
    assert benchmarks.PAGE.read_text(encoding="utf-8") == page(kept, benchmarks.FOLDER), "generate it anew: make docs"
