"""One thing done to many jobs, several at a time."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from worker.providers.dynamodb_jobs import FoundJob


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one job."""

    kind: Literal["done", "skipped", "failed"]
    what: str
    execution_id: str
    text: str


def side_by_side(do: Callable[[FoundJob], Done], jobs: Iterable[FoundJob], at_once: int) -> Iterator[Done]:
    """At most `at_once` at a time, in order; the next ones are looked for while these are done."""
    with ThreadPoolExecutor(at_once, thread_name_prefix="operate") as threads:
        waiting = []
        for job in jobs:
            waiting.append(threads.submit(do, job))
            if len(waiting) >= 2 * at_once:
                yield waiting.pop(0).result()
        for each in waiting:
            yield each.result()
