"""The crash explorer over jobs that pay a vendor: how many schedules, how fast, and what it finds (nothing).

The small job is `statemachine.testing.sample`: two orders, two polls, an end with after-work; a person may cancel it,
retry it and ask for a turn, and the owner may delete its record, at any boundary.  The other is the worker's own
pipeline with two scenes, as tests/worker/test_pipeline_explored.py sets it up: a person may cancel and retry it.
"""

import logging
import time
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.report import Measurement
from statemachine.testing import Exploration, Explorer, sample
from tests.worker import test_pipeline_explored as explored

RANDOM_SCHEDULES = 10_000
RANDOM_FAULTS = 6
DEPTH = 2

# One schedule of the whole pipeline takes some 20 ms of a processor (2026-11-22, 2 cores: 50 per CPU second of
# `explore.pipeline_rate`), so these are done in less than 3 minutes; 10,000 would not be.
PIPELINE_SCHEDULES = 5_000

# A developer runs some hundreds of them at every change, and sixty of the pipeline.
FAST_ENOUGH = 100
PIPELINE_FAST_ENOUGH = 10


def measure() -> Iterator[Measurement]:
    """Random schedules with everything that may happen, every schedule with up to two faults, and the pipeline."""
    # Each fault is a warning in the log of the engine; a hundred thousand of them would be what is measured.
    logging.disable(logging.CRITICAL)
    try:
        everything = partial(sample.make_scenario, may_be_deleted=True, may_be_resumed=True)
        yield from _explored(
            "random",
            lambda: Explorer(everything).sample(RANDOM_SCHEDULES, faults=RANDOM_FAULTS),
            faults=RANDOM_FAULTS,
            fast_enough=FAST_ENOUGH,
        )
        yield from _explored(
            "exhaustive",
            lambda: Explorer(sample.make_scenario).exhaust(faults=DEPTH),
            faults=DEPTH,
            fast_enough=FAST_ENOUGH,
        )
        two_scenes = partial(explored.make_scenario, seconds=explored.TWO_SCENES)
        yield from _explored(
            "pipeline",
            lambda: Explorer(two_scenes).sample(PIPELINE_SCHEDULES, faults=RANDOM_FAULTS),
            faults=RANDOM_FAULTS,
            fast_enough=PIPELINE_FAST_ENOUGH,
        )
    finally:
        logging.disable(logging.NOTSET)


def _explored(
    name: str, explore: Callable[[], Exploration], *, faults: int, fast_enough: float
) -> Iterator[Measurement]:
    started, started_cpu = time.perf_counter(), time.process_time()
    found = explore()
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - started_cpu
    endings = ", ".join(f"{ending} {count}" for ending, count in found.endings.most_common())
    yield Measurement(
        f"explore.{name}_findings",
        len(found.findings),
        "schedules under which something happened that never may",
        bound=0,
        beside={
            "schedules": found.schedules,
            "faults": faults,
            "boundaries": found.boundaries,
            "longest": found.longest,
            "endings": endings,
            "finding": str(found.findings[0]) if found.findings else "",
        },
    )
    yield Measurement(
        f"explore.{name}_rate",
        found.schedules / seconds,
        "schedules/s",
        bound=fast_enough,
        at_least=True,
        beside={"seconds": round(seconds, 2), "per_cpu_second": round(found.schedules / cpu_seconds, 1)},
    )
