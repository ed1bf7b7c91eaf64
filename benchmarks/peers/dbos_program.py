"""DBOS on a SQLite system database, in one process, connected to nothing: run by the interpreter of `.venv-peers`.

`DBOS.sleep` has no virtual time; it is asked for a millisecond, which it writes down and then really waits.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dbos import DBOS

from benchmarks.peers.contest import POLLS, STEPS, WAITS, Run, Task, contest

SLEEP_SECONDS = 0.001


def _step(number: int) -> int:
    return number


def _through_steps(length: int, waits: bool) -> str:  # noqa: FBT001  arguments of a workflow are positional
    for number in range(length):
        STEP(number)
        if waits:
            DBOS.sleep(SLEEP_SECONDS)
    return "done"


def _through_polls(length: int) -> str:
    for number in range(length + 1):
        if STEP(number) == length:
            return "done"
        DBOS.sleep(SLEEP_SECONDS)
    return "given up"


STEP = DBOS.step()(_step)
THROUGH_STEPS = DBOS.workflow()(_through_steps)
THROUGH_POLLS = DBOS.workflow()(_through_polls)


@contextmanager
def on_sqlite(folder: Path) -> Iterator[Run]:
    """Its default for one machine: SQLite's default journal, which syncs at every commit.  No key, so no Conductor."""
    DBOS(
        config={
            "name": "peers",
            "system_database_url": f"sqlite:///{folder / 'dbos.db'}",
            "log_level": "ERROR",
            "application_version": "1",
            "enable_otlp": False,
        }
    )
    DBOS.launch()
    try:
        yield _run
    finally:
        DBOS.destroy()


def _run(task: Task) -> None:
    polls = task.shape == "polls"
    result = THROUGH_POLLS(task.length) if polls else THROUGH_STEPS(task.length, task.shape == "waits")
    if result != "done":
        raise RuntimeError(f"{task} ended with {result}")


if __name__ == "__main__":
    contest("dbos_sqlite", on_sqlite, (*STEPS, *WAITS, POLLS))
