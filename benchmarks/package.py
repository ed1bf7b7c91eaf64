"""What the Lambda archives measure, against Lambda's limits and their own budgets: what `make package` prints.

Built anew for x86_64, without Docker.  The figures are bytes, so the machine does not matter.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.report import Measurement
from scripts.lambda_archives.build import MIB, build

PYTHON, ARCHITECTURE = "3.13", "x86_64"


def measure() -> Iterator[Measurement]:
    """Build once and tell every size that has a bound."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = build(Path(folder), architecture=ARCHITECTURE, python=PYTHON)
    for budget in manifest["budgets"]:
        yield Measurement(
            f"package.{budget['name']}",
            round(budget["value"] / MIB, 3),
            "MiB",
            bound=round(budget["bound"] / MIB, 3),
            at_least=budget["at_least"],
            beside={"python": PYTHON, "architecture": ARCHITECTURE},
        )
