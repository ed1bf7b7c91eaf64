"""This project's engine, in virtual time, on the store that is named.

`killed FOLDER VARIANT` is another contest: a process that is killed after it has ordered, and one that goes on.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.engine import line, polling, turns_of
from benchmarks.peers.contest import POLLS, STEPS, WAITS, Run, Task, Vendor, contest, die, tell_orders
from statemachine import Advance, Engine, Machine, Store, Terminal, Transition, Turn, Working
from statemachine.memory import MemoryDispatcher, MemoryStore
from statemachine.sqlite import SqliteStore
from statemachine.sweeper import Sweeper
from statemachine.testing import VirtualClock


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


# --- killed after the order -----------------------------------------------------------------------------------------

_JOB = "job-1"


def _order_plainly(_: Mapping[str, Any], *, turn: Turn, vendor: Vendor) -> Advance:  # noqa: ARG001  a step gets one
    """As a step of the other engines is written: the work is done, and its result is what it answers."""
    operation = _ordered(vendor)
    return Advance("ordered", {("clip",): {"operation": operation}})


def _order_once(job: Mapping[str, Any], *, turn: Turn, vendor: Vendor) -> Advance:
    """Write down what is about to be paid, look for it, order, write down the answer.

    Enough for a process that is killed.  One that stalls needs more care: `statemachine.testing.sample` has it.
    """
    clip = job.get("clip")
    if clip is None:
        clip = {"intent_id": _JOB}
        turn.checkpoint({("clip",): clip})
    if "operation" not in clip:
        operation = vendor.find(_JOB) or _ordered(vendor)
        turn.record_fact(("clip",), intent_id=_JOB, operation=operation)
    return Advance("ordered")


def _ordered(vendor: Vendor) -> str:
    operation = vendor.order(_JOB)
    if len(vendor.orders) == 1:
        die()
    return operation


VARIANTS = {"plain": _order_plainly, "once": _order_once}


def killed(folder: Path, variant: str) -> None:
    """Begin a job, or go on with it an hour later, and say how it ended."""
    vendor, later = Vendor(folder / "orders"), (folder / "jobs.db").exists()
    machine = Machine(
        "ordering",
        initial="ordering",
        states=[
            Working(
                "ordering",
                step=partial(VARIANTS[variant], vendor=vendor),
                deadline=timedelta(days=1),
                max_turn=timedelta(minutes=1),
            ),
            Terminal("completed"),
            Terminal("failed"),
        ],
        transitions=[
            Transition("ordered", "ordering", "completed"),
            Transition("failed", "ordering", "failed"),
            Transition("cancelled", "ordering", "failed"),
        ],
        signals={"cancelled"},
        load=dict,
    )
    clock, dispatcher = VirtualClock(), MemoryDispatcher()
    with SqliteStore(folder / "jobs.db") as store:
        engine = Engine(machine, store=store, dispatcher=dispatcher, clock=clock)
        if later:
            clock.advance(timedelta(hours=1))  # the lease of whoever was killed has ended
            Sweeper(store=store, dispatcher=dispatcher, clock=clock).sweep()
        else:
            engine.start(_JOB, {})
        dispatcher.deliver(engine.run_turn)
        tell_orders(vendor, store.get(_JOB).state)


if __name__ == "__main__":
    if sys.argv[1] == "killed":
        killed(Path(sys.argv[2]), sys.argv[3])
        sys.exit()
    stores = {"memory": on_memory, "sqlite": on_sqlite}
    which = sys.argv.pop(1)
    contest(f"statemachine_{which}", stores[which], (*STEPS, *WAITS, POLLS))
