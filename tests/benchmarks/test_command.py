"""`python -m benchmarks`: what it runs, prints, keeps and answers."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import __main__ as command
from benchmarks.report import Measurement, read_results


@pytest.fixture(autouse=True)
def two_benchmarks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One that measures, and one that cannot; results and page go to a folder of their own."""

    def measure() -> Iterator[Measurement]:
        yield Measurement("good.ms", 1.0, "ms", bound=2.0)

    def cannot() -> Iterator[Measurement]:
        yield Measurement("bad.ms", 1.0, "ms")
        raise RuntimeError("the disk is full")

    for name, function in (("good", measure), ("bad", cannot)):
        module = ModuleType(f"benchmarks.{name}")
        module.__dict__["measure"] = function
        monkeypatch.setitem(sys.modules, f"benchmarks.{name}", module)
        (tmp_path / f"{name}.py").write_text(f'"""The {name} one."""\n')
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(command, "names", lambda: ["bad", "good"])
    monkeypatch.setattr(command, "FOLDER", tmp_path)
    monkeypatch.setattr(command, "RESULTS", tmp_path / "results.jsonl")
    monkeypatch.setattr(command, "PAGE", tmp_path / "docs" / "benchmarks.md")


def test_figures_are_printed_as_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    code = command.main(["good"])

    (line,) = capsys.readouterr().out.splitlines()
    assert (code, json.loads(line)["name"]) == (0, "good.ms")


def test_one_that_fails_is_told_and_costs_the_others_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    code = command.main([])

    printed = capsys.readouterr()
    names = [json.loads(line)["name"] for line in printed.out.splitlines()]
    assert (code, names) == (1, ["bad.ms", "bad.failed", "good.ms"])
    assert "the disk is full" in printed.err
    assert "missed or failed: bad.failed" in printed.err


def test_a_table_is_printed_in_place_of_the_lines(capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["--table", "good"])

    printed = capsys.readouterr().out
    assert "good.ms" in printed
    assert "{" not in printed


def test_what_is_kept_becomes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["--keep", "good"])
    capsys.readouterr()

    command.main(["--page"])

    written = (tmp_path / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert [line["name"] for line in read_results(tmp_path / "results.jsonl")] == ["good.ms"]
    assert "The good one." in written
    assert capsys.readouterr().out == written


def test_nothing_is_run_where_a_name_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    code = command.main(["good", "better"])

    printed = capsys.readouterr()
    assert (code, printed.out) == (2, "")
    assert "no benchmark better; there are: bad, good" in printed.err
