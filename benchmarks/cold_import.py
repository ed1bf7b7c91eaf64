"""What a cold function pays before its first line, and before its first turn, beside the libraries that it needs.

What a job is and how one is made is imported at the first turn, because a sweep needs none of it and a request another
part; so a turn has a bound of its own.  A request also needs powertools' routing, which is most of its figure.  All of
them find their bytecode at hand.  The function collects no garbage while it imports (`worker.garbage`) and the bare
libraries do, which is why it may take less than they.
"""

import statistics
from collections.abc import Iterator, Mapping

from benchmarks._imports import import_cpu_ms
from benchmarks.report import Measurement

RUNS = 15

LIBRARIES = "import boto3, aws_lambda_powertools.metrics, transitions, pydantic, pydantic_settings"
FIRST_EVENT = "import os; os.environ['AWS_DEFAULT_REGION'] = 'eu-central-1'; from worker import lambda_function"
STATEMENTS = {
    "libraries": LIBRARIES,
    "boto3": "import boto3",
    "function": "import worker.lambda_function",
    # As at the first event of each kind, which needs the table's client too.
    "libraries_and_table": f"{LIBRARIES}; boto3.client('dynamodb', region_name='eu-central-1')",
    "turn": f"{FIRST_EVENT}; lambda_function.worker().machine",
    "request": f"{FIRST_EVENT}; lambda_function.worker(); import worker.handlers.api.routes",
}


def measure() -> Iterator[Measurement]:
    """Import in fresh interpreters, in turns; the best of many over the libraries' best, medians beside it."""
    taken_ms = import_cpu_ms(STATEMENTS, runs=RUNS)
    yield _over("libraries", "cold_import.over_bare_libraries", taken_ms, "function", bound=1.25)
    both = "libraries_and_table"
    yield _over(both, "cold_import.with_first_turn_over_bare_libraries", taken_ms, "turn", bound=1.35)
    yield _over(both, "cold_import.with_first_request_over_bare_libraries", taken_ms, "request", bound=None)


def _over(bare: str, name: str, taken_ms: Mapping[str, list[float]], what: str, *, bound: float | None) -> Measurement:
    ratios = [ours / theirs for ours, theirs in zip(taken_ms[what], taken_ms[bare], strict=True)]
    return Measurement(
        name,
        min(taken_ms[what]) / min(taken_ms[bare]),
        "times",
        bound=bound,
        beside={
            "median_times": round(statistics.median(ratios), 3),
            **{f"{each}_ms": round(min(taken_ms[each]), 1) for each in (what, bare, "boto3")},
            "runs": RUNS,
        },
    )
