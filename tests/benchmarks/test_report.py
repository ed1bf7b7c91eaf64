"""How measurements are told, kept and read again."""

import json
from pathlib import Path

import pytest

from benchmarks.report import Measurement, cells, failed_line, keep_results, machine, read_results, table


def a_line(name: str = "engine.turn_ms", value: float = 1.5, **more: object) -> dict[str, object]:
    line = Measurement(name, value, "ms", bound=2.0, beside={"runs": 50, "store": "memory"}).as_line()
    return {**line, **more}


@pytest.mark.parametrize(
    ("value", "bound", "at_least", "kept"),
    [
        (1.0, None, False, True),
        (1.0, 1.0, False, True),
        (1.1, 1.0, False, False),
        (1.0, 1.0, True, True),
        (0.9, 1.0, True, False),
    ],
)
def test_a_bound_is_kept_up_to_itself(value: float, bound: float | None, *, at_least: bool, kept: bool) -> None:
    assert Measurement("a.b", value, "ms", bound=bound, at_least=at_least).is_within_bound is kept


def test_a_line_says_what_was_measured_where_and_when() -> None:
    line = json.loads(Measurement("a.b", 1.23456789, "ms", bound=2.0).as_json())

    assert (line["name"], line["value"], line["bound"], line["ok"]) == ("a.b", 1.234568, 2.0, True)
    assert line["machine"] == machine()
    assert len(line["measured_on"]) == len("2026-11-22")


def test_the_table_has_a_row_for_each_line_and_folds_what_stands_beside() -> None:
    beside = {f"other_{number}": number for number in range(12)}

    printed = table([a_line(), a_line("engine.long", beside=beside)], width=110).splitlines()

    assert printed[0].split() == ["name", "value", "unit", "bound", "ok", "beside"]
    assert printed[1].split("  ")[0] == "engine.turn_ms"
    assert "≤ 2" in printed[1]
    assert "runs 50, store memory" in printed[1]
    assert len(printed) == 4
    assert all(len(line) <= 110 for line in printed)
    assert " ".join(line.strip() for line in printed[2:]).endswith(", ".join(f"other_{n} {n}" for n in range(12)))


@pytest.mark.parametrize(
    ("line", "column", "told"),
    [
        (a_line(bound=None), 4, ""),
        (a_line(ok=False), 4, "NO"),
        (a_line(at_least=True), 3, "≥ 2"),
        (a_line(value=12345.6), 1, "12,346"),
        (a_line(value=0.00123456), 1, "0.001235"),
        (a_line(value=3.0), 1, "3"),
        ({**a_line(), "value": None}, 1, ""),
    ],
)
def test_a_figure_is_told_as_it_is_read(line: dict[str, object], column: int, told: str) -> None:
    assert cells(line)[column] == told


def test_what_is_measured_again_takes_the_place_of_what_was_kept(tmp_path: Path) -> None:
    kept = tmp_path / "results.jsonl"
    keep_results(kept, [a_line("engine.one"), a_line("engine.two"), a_line("sweep.one")])

    keep_results(kept, [a_line("engine.one", 9.0)])

    assert [(line["name"], line["value"]) for line in read_results(kept)] == [("engine.one", 9.0), ("sweep.one", 1.5)]


def test_a_benchmark_that_failed_is_a_line_too() -> None:
    line = failed_line("peers", RuntimeError("the peers are not installed: make peers\nand more"))

    assert cells(line)[:3] == ("peers.failed", "", "RuntimeError: the peers are not installed: make peers")
    assert cells(line)[4] == "NO"


def test_nothing_was_kept_where_there_is_no_file(tmp_path: Path) -> None:
    assert read_results(tmp_path / "results.jsonl") == []
