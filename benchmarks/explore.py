"""The crash explorer over a small job that pays a vendor: how many schedules, how fast, and what it finds (nothing).

The job is `statemachine.testing.sample`: two orders, two polls, an end with after-work; a person may cancel it, retry
it and ask for a turn, and the owner may delete its record, at any boundary.
"""

import logging
import time
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.report import Measurement
from statemachine.testing import Exploration, Explorer, sample

RANDOM_SCHEDULES = 10_000
RANDOM_FAULTS = 6
DEPTH = 2

# A developer runs some hundreds of them at every change.
FAST_ENOUGH = 100


def measure() -> Iterator[Measurement]:
    """Random schedules with everything that may happen, and every schedule with up to two faults."""
    # Each fault is a warning in the log of the engine; a hundred thousand of them would be what is measured.
    logging.disable(logging.CRITICAL)
    try:
        everything = partial(sample.make_scenario, may_be_deleted=True, may_be_resumed=True)
        yield from _explored("random", lambda: Explorer(everything).sample(RANDOM_SCHEDULES, faults=RANDOM_FAULTS))
        yield from _explored("exhaustive", lambda: Explorer(sample.make_scenario).exhaust(faults=DEPTH))
    finally:
        logging.disable(logging.NOTSET)


def _explored(name: str, explore: Callable[[], Exploration]) -> Iterator[Measurement]:
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
            "faults": RANDOM_FAULTS if name == "random" else DEPTH,
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
        bound=FAST_ENOUGH,
        at_least=True,
        beside={"seconds": round(seconds, 2), "per_cpu_second": round(found.schedules / cpu_seconds, 1)},
    )
