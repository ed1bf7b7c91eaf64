"""What a cold function pays before its first line, beside the bare imports of the libraries that it needs."""

import statistics
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.report import Measurement

RUNS = 15
BARE = "import boto3, aws_lambda_powertools, aws_lambda_powertools.metrics, transitions, pydantic, pydantic_settings"


def measure() -> Iterator[Measurement]:
    """Import the function in fresh interpreters, alternating with the bare libraries; medians of CPU time."""
    whole, bare, client = [], [], []
    for _ in range(RUNS):
        bare.append(_cpu_ms(BARE))
        whole.append(_cpu_ms("import worker.lambda_function"))
        client.append(_cpu_ms("import boto3"))
    value, libraries = statistics.median(whole), statistics.median(bare)
    yield Measurement(
        "cold_import.over_bare_libraries",
        value / libraries,
        "times",
        bound=1.25,
        beside={
            "worker.lambda_function_ms": round(value, 1),
            "bare_libraries_ms": round(libraries, 1),
            "boto3_alone_ms": round(statistics.median(client), 1),
            "runs": RUNS,
        },
    )


def _cpu_ms(code: str) -> float:
    """CPU time of `code` in a new interpreter: wall time on a shared machine says more about the neighbours."""
    timed = f"import time; begun = time.process_time(); {code}; print((time.process_time() - begun) * 1000)"
    done = subprocess.run([sys.executable, "-c", timed], check=True, capture_output=True, text=True)  # noqa: S603  fixed texts
    return float(done.stdout)
