"""The page that is made of kept lines."""

from pathlib import Path

import pytest

from benchmarks.page import page
from benchmarks.report import Measurement


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "engine.py").write_text('"""What a turn costs."""\n\nimport not_installed_here\n')
    (tmp_path / "peers").mkdir()
    (tmp_path / "peers" / "__init__.py").write_text('"""Beside others."""\n')
    return tmp_path


def test_each_benchmark_has_a_section_that_says_what_it_measures_and_where(folder: Path) -> None:
    lines = [Measurement("engine.turn_ms", 1.0, "ms").as_line(), Measurement("peers.step_ms", 2.0, "a|b").as_line()]

    written = page(lines, folder)

    assert "## engine\n\nWhat a turn costs.\n\n`python -m benchmarks engine` on " in written
    assert f"{lines[0]['machine']}; {lines[0]['measured_on']}" in written
    assert "| engine.turn_ms | 1 | ms |  |  |  |" in written
    assert "## peers\n\nBeside others." in written
    assert "| a\\|b |" in written
    assert "Every bound was kept." in written


def test_a_missed_bound_is_named_first(folder: Path) -> None:
    written = page([Measurement("engine.turn_ms", 3.0, "ms", bound=2.0).as_line()], folder)

    assert "Missed: `engine.turn_ms`." in written
    assert "| 3 | ms | ≤ 2 | NO |" in written


def test_a_benchmark_that_does_not_say_what_it_measures_has_no_place(folder: Path) -> None:
    (folder / "engine.py").write_text("RUNS = 1\n")

    with pytest.raises(ValueError, match=r"engine\.py does not say"):
        page([Measurement("engine.turn_ms", 3.0, "ms").as_line()], folder)
