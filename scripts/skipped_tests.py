"""List the tests that runs skipped, and fail on one that nobody allowed.

`python scripts/skipped_tests.py build/junit.xml --allow 'needs a display'`: prints every skipped test with its reason.
Exit code 0 when each reason matches an allowed pattern, 1 when one does not, 2 when a report cannot be read or
holds no test at all.  An expected failure (xfail) counts as skipped: it proves nothing either.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET


@dataclass(frozen=True, slots=True)
class SkippedTest:
    """A test that did not run, and the reason it gave."""

    name: str
    reason: str

    def is_allowed(self, patterns: Sequence[str]) -> bool:
        """Whether the reason matches one of the regular expressions."""
        return any(re.search(pattern, self.reason) for pattern in patterns)


def skipped_tests(suite: ET.Element) -> Iterator[SkippedTest]:
    """The skipped tests of a JUnit report, in its order."""
    for case in suite.iter("testcase"):
        for skipped in case.iter("skipped"):
            name = f"{case.get('classname', '')}::{case.get('name', '')}"
            yield SkippedTest(name=name, reason=skipped.get("message") or "no reason given")


def main(arguments: Sequence[str]) -> int:
    """Read every report; return the exit code, the worst of them."""
    parser = argparse.ArgumentParser(description="List skipped tests; fail on one that is not allowed.")
    parser.add_argument("reports", type=Path, nargs="+", help="JUnit XML, as pytest --junit-xml writes it")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="PATTERN", help="regular expression of a reason"
    )
    options = parser.parse_args(arguments)
    return max(judge(report, allowed=options.allow) for report in options.reports)


def judge(report: Path, *, allowed: Sequence[str]) -> int:
    """Print what one run skipped; the exit code that it deserves."""
    try:
        suite = ET.parse(report).getroot()  # noqa: S314  # written by our own pytest a moment ago
    except (OSError, ET.ParseError) as error:
        print(f"{report}: no report of a test run: {error}", file=sys.stderr)
        return 2
    tests = sum(1 for _ in suite.iter("testcase"))
    if tests == 0:
        print(f"{report}: no test ran", file=sys.stderr)
        return 2
    skipped = list(skipped_tests(suite))
    refused = [test for test in skipped if not test.is_allowed(allowed)]
    print(f"{report.name}: {tests} tests, {len(skipped)} skipped, {len(refused)} of them not allowed")
    for test in skipped:
        print(f"  {'NOT ALLOWED' if test in refused else 'allowed'}: {test.name}: {test.reason}")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
