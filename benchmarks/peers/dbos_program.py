"""DBOS on a SQLite system database, in one process, connected to nothing: run by the interpreter of `.venv-peers`.

`DBOS.sleep` has no virtual time; it is asked for a millisecond, which it writes down and then really waits.
`killed FOLDER VARIANT` is another contest: a process that is killed after it has ordered, and one that recovers its
workflow.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dbos import DBOS, SetWorkflowID

from benchmarks.peers.contest import POLLS, STEPS, WAITS, Run, Task, Vendor, contest, die, tell_orders

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


def _order(file: str, looks_first: bool) -> str:  # noqa: FBT001  arguments of a step are positional
    vendor = Vendor(Path(file))
    found = vendor.find("job-1") if looks_first else None
    if found is not None:
        return found
    operation = vendor.order("job-1")
    if len(vendor.orders) == 1:
        die()
    return operation


def _ordering(file: str, looks_first: bool) -> str:  # noqa: FBT001  as above
    ORDER(file, looks_first)
    return "completed"


ORDER = DBOS.step()(_order)
ORDERING = DBOS.workflow()(_ordering)
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


def killed(folder: Path, variant: str) -> None:
    """Begin a job, or recover it, and say how it ended."""
    vendor = Vendor(folder / "orders")
    later = vendor.file.exists()
    with on_sqlite(folder):  # what was pending is recovered at the launch
        if later:
            ended = DBOS.retrieve_workflow("job-1").get_result()
        else:
            with SetWorkflowID("job-1"):
                ended = ORDERING(str(vendor.file), variant == "looks_first")
    tell_orders(vendor, ended)


if __name__ == "__main__":
    if sys.argv[1:2] == ["killed"]:
        killed(Path(sys.argv[2]), sys.argv[3])
        sys.exit()
    contest("dbos_sqlite", on_sqlite, (*STEPS, *WAITS, POLLS))
