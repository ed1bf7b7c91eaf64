"""What every engine is asked to do, how that is timed, and what it writes: the same lines in every interpreter.

A program of this package runs its engine through `contest` and prints one JSON object a line.  Nothing here needs more
than the standard library, because the peers live in an environment of their own.
"""

import argparse
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn
from unittest import mock

Shape = Literal["steps", "waits", "polls"]


@dataclass(frozen=True, slots=True)
class Task:
    """One job: `length` trivial steps one after another, the same with a wait after each, or so many polls of one."""

    shape: Shape
    length: int


STEPS = tuple(Task("steps", length) for length in (20, 100, 300))
WAITS = tuple(Task("waits", length) for length in (20, 100))
POLLS = Task("polls", 20)

# A job is run again until so much time has gone by: a single short one tells of the neighbours.
LONG_ENOUGH_SECONDS = 0.5

# Runs one job from its start to its end, and raises if it did not end well.
Run = Callable[[Task], None]
# Given a folder of its own, makes an engine ready to run jobs.
Engine = Callable[[Path], AbstractContextManager[Run]]


@dataclass(slots=True)
class Tally:
    """What went into SQLite: transactions that wrote, statements that did, and how long those were."""

    transactions: int = 0
    statements: int = 0
    statement_bytes: int = 0

    def watch(self, connection: sqlite3.Connection) -> None:
        """Count what this connection writes from now on."""
        is_open = has_written = False

        def seen(statement: str) -> None:
            nonlocal is_open, has_written
            verb = statement.lstrip().split(" ", 1)[0].rstrip(";").upper()
            if verb == "BEGIN":
                is_open, has_written = True, False
            elif verb in {"COMMIT", "END"}:
                self.transactions += has_written
                is_open = has_written = False
            elif verb == "ROLLBACK":
                is_open = has_written = False
            elif verb in {"INSERT", "UPDATE", "DELETE", "REPLACE"}:
                self.statements += 1
                self.statement_bytes += len(statement.encode())
                if is_open:
                    has_written = True
                else:
                    self.transactions += 1

        connection.set_trace_callback(seen)


@contextmanager
def tallied() -> Iterator[Tally]:
    """Count what every connection writes that is opened meanwhile."""
    tally, connect = Tally(), sqlite3.connect

    def watched(*arguments: Any, **named: Any) -> sqlite3.Connection:  # noqa: ANN401  whatever sqlite3 takes
        connection: sqlite3.Connection = connect(*arguments, **named)
        tally.watch(connection)
        return connection

    # SQLAlchemy asks the inner module.
    with mock.patch.object(sqlite3, "connect", watched), mock.patch.object(sqlite3.dbapi2, "connect", watched):
        yield tally


# The exit code of a program that was killed, and is to be started again.
KILLED = 9


@dataclass(frozen=True, slots=True)
class Vendor:
    """Takes paid orders, and keeps them in a file: whoever orders may be killed, and somebody else orders again."""

    file: Path

    @property
    def orders(self) -> list[str]:
        """The names under which something was ordered, in order."""
        return self.file.read_text(encoding="utf-8").split() if self.file.exists() else []

    def order(self, name: str) -> str:
        """Order it, paid, whatever was ordered before."""
        with self.file.open("a", encoding="utf-8") as file:
            file.write(name + "\n")
        return f"operation of {name}"

    def find(self, name: str) -> str | None:
        """The operation that was ordered under this name."""
        return f"operation of {name}" if name in self.orders else None


def die() -> NoReturn:
    """End as a killed process does: nothing is written any more, and nothing is cleaned up."""
    os._exit(KILLED)


def tell_orders(vendor: Vendor, ended: str) -> None:
    """Say how often was ordered what was wanted once, and what came of the job."""
    print(json.dumps({"orders": len(vendor.orders), "ended": ended}), flush=True)


def contest(name: str, engine: Engine, tasks: tuple[Task, ...]) -> None:
    """Do what the command line asks: time each task, after a warm-up, or with `--count` tell what it writes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", action="store_true")
    counting: bool = parser.parse_args().count
    # A peer's threads may still close its files when its runner has returned.
    with tempfile.TemporaryDirectory(prefix="peers-", ignore_cleanup_errors=True) as folder:
        if counting:
            _count(name, engine, tasks, Path(folder))
        else:
            _time(name, engine, tasks, Path(folder))


def _time(name: str, engine: Engine, tasks: tuple[Task, ...], folder: Path) -> None:
    with engine(folder) as run:
        run(STEPS[0])
        for task in tasks:
            begun, begun_cpu, runs = time.perf_counter(), time.process_time(), 0
            while time.perf_counter() - begun < LONG_ENOUGH_SECONDS:
                run(task)
                runs += 1
            cpu, wall = time.process_time() - begun_cpu, time.perf_counter() - begun
            _tell(name, task, wall_ms=wall / runs * 1000, cpu_ms=cpu / runs * 1000)


def _count(name: str, engine: Engine, tasks: tuple[Task, ...], folder: Path) -> None:
    with tallied() as tally, engine(folder) as run:
        for task in tasks:
            before = asdict(tally)
            run(task)
            after = asdict(tally)
            _tell(name, task, **{what: after[what] - before[what] for what in before})


def _tell(name: str, task: Task, **figures: float) -> None:
    print(json.dumps({"engine": name, **asdict(task), **figures, "python": sys.version.split()[0]}), flush=True)
