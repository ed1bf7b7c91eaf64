from pathlib import Path

import pytest

from scripts.skipped_tests import main

REPORT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite tests="3">
<testcase classname="tests.test_a" name="test_runs" />
<testcase classname="tests.test_a" name="test_needs_a_display">
<skipped type="pytest.skip" message="needs a display" /></testcase>
<testcase classname="tests.test_b" name="test_known_fault"><skipped type="pytest.xfail" message="bug 7" /></testcase>
</testsuite></testsuites>
"""


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "junit.xml"
    path.write_text(REPORT)
    return path


def test_every_skip_is_named_with_its_reason(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(report), "--allow", "display", "--allow", "bug"])

    assert capsys.readouterr().out.splitlines() == [
        "junit.xml: 3 tests, 2 skipped, 0 of them not allowed",
        "  allowed: tests.test_a::test_needs_a_display: needs a display",
        "  allowed: tests.test_b::test_known_fault: bug 7",
    ]


def test_skips_that_are_all_allowed_pass(report: Path) -> None:
    assert main([str(report), "--allow", "needs a display", "--allow", r"bug \d"]) == 0


def test_one_skip_that_nobody_allowed_fails(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main([str(report), "--allow", "needs a display"])

    assert code == 1
    assert "NOT ALLOWED: tests.test_b::test_known_fault: bug 7" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "<testsuites", "<testsuites />"])
def test_report_without_a_test_is_no_proof(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that collected nothing has skipped everything."""
    path = tmp_path / "junit.xml"
    path.write_text(content)

    assert main([str(path)]) == 2
    assert str(path) in capsys.readouterr().err


def test_one_report_that_fails_is_enough(report: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The end-to-end tests report apart from the others; neither answers for the other."""
    clean = tmp_path / "clean.xml"
    clean.write_text('<testsuite><testcase classname="tests.e2e" name="test_runs" /></testsuite>')

    codes = [main([str(one), str(other)]) for one, other in ((clean, report), (report, clean), (clean, clean))]

    assert codes == [1, 1, 0]
    assert "clean.xml: 1 tests, 0 skipped" in capsys.readouterr().out


def test_missing_report_is_no_proof(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.xml")]) == 2
    assert "none.xml" in capsys.readouterr().err
