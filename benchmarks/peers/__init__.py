"""The engine beside what others would take: AWS's SDK for durable functions and DBOS.  Needs `make peers`.

Each runs the same trivial jobs on its own local runner, in processes of its own, in turn and on the same machine and
disk; medians over the rounds.  What that does and does not say:

- The three keep different promises.  This engine takes one step per invocation and writes twice for it (a lease, then
  the result), so that two deliveries of one event never both work, and it never replays.  The others run all steps in
  one invocation, write once for each, and have no lease between steps.  So per step this engine writes *more*; what
  that costs stands beside it.
- `sqlite`: this engine syncs every write to the disk (WAL, `synchronous=FULL`).  DBOS does too, with SQLite's default
  journal, which syncs several files for a commit; a Postgres, which DBOS recommends for production, would be faster
  there.  The durable functions' store on a file is WAL with `synchronous=NORMAL`, which does not sync a commit, and it
  writes the whole execution into one row each time.
- The durable functions' runner is a test runner: the real service keeps checkpoints elsewhere and sends them over the
  network.  It skips over waits but pauses for about a tenth of a second at every invocation, and works with several
  threads; so wall time is its own, and CPU time is the fairer figure.  What does carry over is the replay: after each
  wait the handler starts from the top and passes every finished step again, on Lambda in billed time.
- DBOS waits in a thread of a process that stays: nothing is replayed while it lives, and nothing may be shut down.  Its
  sleep has no virtual time; a millisecond each is in its figures.
- `orders_when_killed`: a step orders, paid, and the process dies before it can say so (of the durable functions the
  invocation hangs, and is given up); then somebody goes on.  Written plainly, every engine orders twice, this one
  included.  It orders once where its step writes the intent down first, as the worker's does; the others do where their
  author looks for the order in the same way, or, of the durable functions, where the step may run at most once and is
  not retried: then the job fails, and whether it was ordered is not known.
- This engine is driven in virtual time in one process; on Lambda each of its turns is an invocation, which costs some
  milliseconds that are not in these figures (`dynamodb`, `operations` and [costs](costs.md) say what it costs there).
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path

from benchmarks._imports import import_cpu_ms
from benchmarks.peers.contest import KILLED, POLLS, STEPS, WAITS, Task
from benchmarks.report import Measurement

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".venv-peers"
PEERS_PYTHON = PEERS / "bin" / "python"

ROUNDS = 3
IMPORTS = 7

# Interpreter, module and arguments of each contestant.
PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "statemachine_memory": (sys.executable, "-m", "benchmarks.peers.statemachine_program", "memory"),
    "statemachine_sqlite": (sys.executable, "-m", "benchmarks.peers.statemachine_program", "sqlite"),
    "aws_durable_memory": (str(PEERS_PYTHON), "-m", "benchmarks.peers.aws_durable_program", "memory"),
    "aws_durable_sqlite": (str(PEERS_PYTHON), "-m", "benchmarks.peers.aws_durable_program", "sqlite"),
    "dbos_sqlite": (str(PEERS_PYTHON), "-m", "benchmarks.peers.dbos_program"),
}
OURS = "statemachine_sqlite"

# Who is killed after ordering: interpreter and module, and each way to write the step.
KILLED_PROGRAMS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "statemachine": (sys.executable, "benchmarks.peers.statemachine_program", ("once", "plain")),
    "aws_durable": (
        str(PEERS_PYTHON),
        "benchmarks.peers.aws_durable_program",
        ("default", "at_most_once", "at_most_once_no_retry", "looks_first"),
    ),
    "dbos": (str(PEERS_PYTHON), "benchmarks.peers.dbos_program", ("plain", "looks_first")),
}

IMPORTED = {
    "statemachine": "import statemachine",
    "statemachine_on_dynamodb": (
        "import boto3, statemachine, statemachine.aws.dynamodb_store, statemachine.aws.lambda_dispatcher"
    ),
}
IMPORTED_BY_PEERS = {"aws_durable": "import aws_durable_execution_sdk_python", "dbos": "import dbos"}
VERSIONED = ("aws-durable-execution-sdk-python", "aws-durable-execution-sdk-python-testing", "dbos")

# By engine, task and figure.
_Figures = Mapping[tuple[str, Task, str], list[float]]


def measure() -> Iterator[Measurement]:
    """Steps, waits and polls of each engine, what it writes, and its import."""
    if not PEERS_PYTHON.exists():
        raise RuntimeError("the peers are not installed: make peers")
    yield Measurement("peers.rounds", ROUNDS, "rounds", beside=_versions())
    timed = _collected(rounds=ROUNDS)
    for task in STEPS:
        yield _each(timed, f"peers.step_ms_of_{task.length}", task, "wall_ms", per=task.length, unit="ms a step")
        yield _each(timed, f"peers.step_cpu_ms_of_{task.length}", task, "cpu_ms", per=task.length, unit="CPU ms a step")
    yield _growth(timed, "peers.step_growth", STEPS[0], STEPS[-1], unit="CPU of a step, 300 over 20")
    for task in WAITS:
        name = f"peers.step_and_wait_cpu_ms_of_{task.length}"
        yield _each(timed, name, task, "cpu_ms", per=task.length, unit="CPU ms a step and wait")
    yield _growth(timed, "peers.step_and_wait_growth", *WAITS, unit="CPU of a step and wait, 100 over 20")
    yield _each(timed, "peers.poll_loop_cpu_ms", POLLS, "cpu_ms", per=1, unit=f"CPU ms for {POLLS.length} polls")
    yield _each(timed, "peers.poll_loop_ms", POLLS, "wall_ms", per=1, unit=f"ms for {POLLS.length} polls")
    yield from _written(_collected(rounds=1, options=("--count",)))
    yield _orders_when_killed()
    yield _imports()


def _collected(*, rounds: int, options: tuple[str, ...] = ()) -> _Figures:
    """Run every program in turn, as often as there are rounds."""
    figures: defaultdict[tuple[str, Task, str], list[float]] = defaultdict(list)
    for round_ in range(rounds):
        for name, command in PROGRAMS.items():
            print(f"peers: {name}, round {round_ + 1} of {rounds} {' '.join(options)}", file=sys.stderr)
            for line in _run((*command, *options)).splitlines():
                told = json.loads(line)
                task = Task(told.pop("shape"), told.pop("length"))
                del told["engine"], told["python"]
                for figure, value in told.items():
                    figures[name, task, figure].append(value)
    return figures


def _each(figures: _Figures, name: str, task: Task, figure: str, *, per: int, unit: str) -> Measurement:
    """Ours on its file, and beside it whoever did the same."""
    values = _medians(figures, task, figure)
    return Measurement(
        name,
        values.pop(OURS) / per,
        unit,
        beside={other: round(value / per, 3) for other, value in values.items()},
    )


def _growth(figures: _Figures, name: str, short: Task, long: Task, *, unit: str) -> Measurement:
    """What the same costs in a long job, over what it costs in a short one."""
    shorts, longs = _medians(figures, short, "cpu_ms"), _medians(figures, long, "cpu_ms")
    ratios = {engine: longs[engine] / long.length / (shorts[engine] / short.length) for engine in longs}
    return Measurement(
        name, ratios.pop(OURS), unit, bound=1.5, beside={other: round(ratio, 2) for other, ratio in ratios.items()}
    )


def _written(counted: _Figures) -> Iterator[Measurement]:
    """Transactions and bytes that go into SQLite; what keeps its jobs in memory writes none and is left out."""
    long, longest, waits = STEPS[1], STEPS[-1], WAITS[0]
    for name, task, figure, unit, bound in (
        ("peers.writes_per_step", long, "transactions", "write transactions a step", 2.1),
        ("peers.writes_per_step_and_wait", waits, "transactions", "write transactions a step and wait", 4.1),
        ("peers.written_bytes_per_step_of_20", STEPS[0], "statement_bytes", "bytes of SQL a step", None),
        ("peers.written_bytes_per_step_of_300", longest, "statement_bytes", "bytes of SQL a step", None),
    ):
        values = {engine: value for engine, value in _medians(counted, task, figure).items() if value}
        yield Measurement(
            name,
            values.pop(OURS) / task.length,
            unit,
            bound=bound,
            beside={other: round(value / task.length, 2) for other, value in values.items()},
        )


def _medians(figures: _Figures, task: Task, figure: str) -> dict[str, float]:
    return {
        engine: statistics.median(figures[engine, task, figure])
        for engine in PROGRAMS
        if (engine, task, figure) in figures
    }


def _orders_when_killed() -> Measurement:
    """How often is ordered what is wanted once, when the process dies after the order."""
    told: dict[str, str] = {}
    for engine, (interpreter, module, variants) in KILLED_PROGRAMS.items():
        for variant in variants:
            orders, ended = _killed((interpreter, "-m", module, "killed"), variant)
            told[f"{engine}_{variant}"] = f"{orders}, {ended}"
    ours = told.pop("statemachine_once")
    if not ours.endswith("completed"):
        raise RuntimeError(f"our job ended with {ours}")
    return Measurement(
        "peers.orders_when_killed", int(ours.partition(",")[0]), "orders of one clip", bound=1, beside=told
    )


def _killed(command: tuple[str, ...], variant: str) -> tuple[int, str]:
    """Start a program again as often as it is killed; how often it ordered in all, and how the job ended."""
    with tempfile.TemporaryDirectory(prefix="peers-", ignore_cleanup_errors=True) as folder:
        said = _run((*command, folder, variant), expected=(0, KILLED)) or _run((*command, folder, variant))
    told = json.loads(said)
    return told["orders"], told["ended"]


def _imports() -> Measurement:
    """CPU time of a cold import with bytecode at hand: what every cold function pays first."""
    of_peers = dict.fromkeys(IMPORTED_BY_PEERS, PEERS_PYTHON)
    taken = import_cpu_ms({**IMPORTED, **IMPORTED_BY_PEERS}, runs=IMPORTS, interpreters=of_peers)
    medians = {name: statistics.median(each) for name, each in taken.items()}
    return Measurement(
        "peers.import_cpu_ms",
        medians.pop("statemachine"),
        "CPU ms",
        beside={name: round(value, 1) for name, value in medians.items()},
    )


def _versions() -> dict[str, str]:
    """What was measured; the peers' interpreter is the one that made their environment."""
    folder = next((PEERS / "lib").glob("python*/site-packages"))
    found = {each.metadata["Name"]: each.version for each in distributions(path=[str(folder)])}
    python = _run((str(PEERS_PYTHON), "-c", "import platform; print(platform.python_version())")).strip()
    return {**{name: found[name] for name in VERSIONED}, "python_of_the_peers": python}


def _run(command: tuple[str, ...], *, expected: tuple[int, ...] = (0,)) -> str:
    """What a program prints; its own complaint, if it ends with another code than is expected."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DBOS_")}
    done = subprocess.run(  # noqa: S603  our own modules
        command,
        cwd=ROOT,
        env={**inherited, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in expected:
        raise RuntimeError(f"{' '.join(command[1:])} failed:\n{done.stderr.strip()[-2000:]}")
    return done.stdout
