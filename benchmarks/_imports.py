"""How much processor time Python statements take in interpreters of their own."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path


def import_cpu_ms(
    statements: Mapping[str, str], *, runs: int, interpreters: Mapping[str, Path] | None = None
) -> dict[str, list[float]]:
    """CPU milliseconds of each named statement, `runs` times, each in a new interpreter, with bytecode at hand.

    `interpreters`: of the statements that are not this one's.

    They take turns, so that whatever else the machine does meets all of them.  One more run comes first and counts for
    nothing: it compiles.
    """
    taken_ms: dict[str, list[float]] = {name: [] for name in statements}
    with tempfile.TemporaryDirectory(prefix="import-benchmark-") as bytecode:
        for run in range(runs + 1):
            for name, statement in statements.items():
                cpu_ms = _cpu_ms(statement, bytecode, str((interpreters or {}).get(name, sys.executable)))
                if run:
                    taken_ms[name].append(cpu_ms)
    return taken_ms


def _cpu_ms(statement: str, bytecode: str, interpreter: str) -> float:
    code = f"import time; begun = time.process_time(); {statement}; print((time.process_time() - begun) * 1000)"
    # An environment that writes no bytecode would compile our modules in every run, and find the libraries' compiled.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPATH": str(Path(__file__).parent.parent), "PYTHONPYCACHEPREFIX": bytecode}
    result = subprocess.run(  # noqa: S603  our own interpreter and our own line
        [interpreter, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    return float(result.stdout.splitlines()[-1])
