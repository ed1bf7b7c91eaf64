"""This project's engine, in virtual time, on the store that is named."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from benchmarks.engine import line, polling, turns_of
from benchmarks.peers.contest import POLLS, STEPS, WAITS, Run, Task, contest
from statemachine import Store
from statemachine.memory import MemoryStore
from statemachine.sqlite import SqliteStore


@contextmanager
def on_memory(_: Path) -> Iterator[Run]:
    """The store that forgets."""
    yield _runner(MemoryStore())


@contextmanager
def on_sqlite(folder: Path) -> Iterator[Run]:
    """The embedded store as it is for jobs that cost money: a write is on the disk before it is answered."""
    with SqliteStore(folder / "jobs.db") as store:
        yield _runner(store)


def _runner(store: Store) -> Run:
    ids = count()
    # A machine is built once for each process, not for each job.
    machines = {task: line(task.length, waits=task.shape == "waits") for task in (*STEPS, *WAITS)}
    machines[POLLS] = polling()

    def run(task: Task) -> None:
        for _ in turns_of(machines[task], store, f"job-{next(ids)}"):
            pass

    return run


if __name__ == "__main__":
    stores = {"memory": on_memory, "sqlite": on_sqlite}
    which = sys.argv.pop(1)
    contest(f"statemachine_{which}", stores[which], (*STEPS, *WAITS, POLLS))
