"""What the engine itself costs: a turn on each store, whether that grows with the job, its import, its memory.

The machine has trivial steps, so everything that is measured is the engine's.  Wall time is the figure, the process's
own CPU time stands beside it: on a machine that is busy with other things the first one moves and the second does not.
"""

import gc
import os
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import FileIO
from itertools import chain, pairwise
from pathlib import Path

from benchmarks._imports import import_cpu_ms
from benchmarks.report import Measurement
from statemachine import (
    BACK,
    Advance,
    Engine,
    Event,
    JsonValue,
    Machine,
    Outcome,
    Store,
    Terminal,
    Transition,
    Turn,
    Wait,
    Working,
)
from statemachine.memory import MemoryDispatcher, MemoryStore
from statemachine.sqlite import SqliteStore

Data = Mapping[str, JsonValue]

RUNS = 50
SHORT, LONG = 20, 300
POLLS = 20
WARM_TURNS = 10_000
IMPORTS = 21
SQLITE_PAIRS = 8

# About what one commit of a turn appends to the write-ahead log: four pages of 4 KB and their headers.
WAL_APPEND = b"\0" * 4 * (4096 + 24)


@dataclass(slots=True)
class VirtualClock:
    """Stands still until it is told to sleep."""

    moment: datetime = field(default_factory=lambda: datetime(2026, 11, 22, tzinfo=UTC))

    def now(self) -> datetime:
        """The moment at which it stands."""
        return self.moment

    def sleep(self, delay: timedelta) -> None:
        """Be `delay` later, at once."""
        self.moment += delay


def measure() -> Iterator[Measurement]:
    """Every figure of the engine."""
    yield from _memory()
    yield from _sqlite()
    yield _import()
    yield _polling()
    yield _growth()


def _memory() -> Iterator[Measurement]:
    jobs = [_job(_SHORT, MemoryStore()) for _ in range(RUNS + 1)][1:]
    yield Measurement(
        "engine.memory_ms_per_turn",
        statistics.median(job.mean_ms for job in jobs),
        "ms",
        bound=0.1,
        beside={
            "states": SHORT,
            "runs": RUNS,
            "cpu_ms": statistics.median(job.cpu_ms for job in jobs),
            "best_ms": min(job.mean_ms for job in jobs),
        },
    )
    yield _flatness("engine.memory_flatness", MemoryStore, pairs=RUNS)


def _sqlite() -> Iterator[Measurement]:
    with tempfile.TemporaryDirectory(prefix="engine-benchmark-") as directory:
        jobs, syncs = [], []
        for number in range(RUNS + 1):
            with (
                SqliteStore(Path(directory, f"{number}.db")) as store,
                Path(directory, f"{number}.log").open("wb", buffering=0) as log,
            ):
                # Two fsyncs of our own after each turn's two: a shared disk is fast now and slow then, and so both meet
                # the same.  Means, because a median of such a mixture jumps between its two halves.
                both = [(turn, _fsync_ms(log) + _fsync_ms(log)) for turn in turns_of(_SHORT, store, "job")]
            jobs.append(_Job.of(turn for turn, _ in both))
            syncs.append(statistics.fmean(sync for _, sync in both))
        over = [job.mean_ms - sync for job, sync in zip(jobs, syncs, strict=True)][1:]
        yield Measurement(
            "engine.sqlite_ms_per_turn",
            statistics.median(over),
            "ms over two fsyncs",
            bound=1.0,
            beside={
                "states": SHORT,
                "runs": RUNS,
                "raw_ms": statistics.median(job.mean_ms for job in jobs[1:]),
                "fsync_ms": statistics.median(syncs[1:]) / 2,
                "cpu_ms": statistics.median(job.cpu_ms for job in jobs[1:]),
            },
        )
        with SqliteStore(Path(directory, "flatness.db")) as store:
            yield _flatness("engine.sqlite_flatness", lambda: store, pairs=SQLITE_PAIRS)


def _flatness(name: str, store: Callable[[], Store], *, pairs: int) -> Measurement:
    """What a turn costs on a long machine, over what it costs on a short one.

    The two take turns one by one, so that whatever else the machine and its disk do meets both; of each the median
    turn, so that a slow fsync counts as one turn.
    """
    short, long = [], []
    for pair in range(pairs + 1):
        gc.collect()  # what earlier pairs left is not this one's
        kept = store()
        jobs = (turns_of(_SHORT, kept, f"short-{pair}-{number}") for number in range(LONG // SHORT))
        taken = list(zip(chain.from_iterable(jobs), turns_of(_LONG, kept, f"long-{pair}"), strict=True))
        short.append(_Job.of(turn for turn, _ in taken))
        long.append(_Job.of(turn for _, turn in taken))
    both = list(zip(short, long, strict=True))[1:]  # the first pair warms up
    return Measurement(
        name,
        statistics.median(b.median_ms / a.median_ms for a, b in both),
        f"ratio of a turn, {LONG} over {SHORT} states",
        bound=1.10,
        beside={
            "pairs": pairs,
            "short_ms": statistics.median(a.median_ms for a, _ in both),
            "long_ms": statistics.median(b.median_ms for _, b in both),
            "cpu_ratio": statistics.median(b.cpu_ms / a.cpu_ms for a, b in both),
        },
    )


def _import() -> Measurement:
    """What the engine adds to its one dependency, each in processes of its own and with bytecode at hand.

    CPU time, because an import from warm files waits for nothing but the processor; and the best of many, in turns,
    because whoever else wants that (its caches, its clock rate) only ever adds: on two busy cores the median of the
    same code moved between 10 and 18 ms, the best between 8.3 and 9.4.  (2026-11-22; the medians stand beside it)
    """
    taken_ms = import_cpu_ms({"transitions": "import transitions", "statemachine": "import statemachine"}, runs=IMPORTS)
    return Measurement(
        "engine.import_ms_over_transitions",
        min(taken_ms["statemachine"]) - min(taken_ms["transitions"]),
        "ms of CPU",
        bound=12.0,
        beside={
            **{f"{what}_ms": statistics.median(each) for what, each in taken_ms.items()},
            "medians_ms": statistics.median(taken_ms["statemachine"]) - statistics.median(taken_ms["transitions"]),
            "processes": 2 * IMPORTS,
        },
    )


def polling() -> Machine[Data]:
    """A machine of one state that polls."""
    return Machine(
        "polling",
        states=[
            Working("polling", step=_poll, deadline=timedelta(hours=1), max_turn=timedelta(seconds=30)),
            Terminal("completed"),
            Terminal("failed"),
        ],
        initial="polling",
        transitions=[Transition("done", "polling", "completed"), Transition("failed", "polling", "failed")],
        signals=(),
        load=_whole,
    )


def _polling() -> Measurement:
    """A job that polls, in virtual time: nothing sleeps, so only the engine is left."""
    machine = polling()
    jobs, walls = [], []
    for _ in range(RUNS + 1):
        begun = time.perf_counter()
        jobs.append(_job(machine, MemoryStore()))
        walls.append((time.perf_counter() - begun) * 1000)
    return Measurement(
        "engine.poll_job_ms",
        statistics.median(walls[1:]),
        "ms",
        bound=10.0,
        beside={
            "polls": POLLS,
            "turns": jobs[-1].count,
            "runs": RUNS,
            "turn_cpu_ms": statistics.median(job.cpu_ms for job in jobs[1:]),
        },
    )


def _growth() -> Measurement:
    """Memory that stays after warm turns of one process, as of a function that never grows cold."""
    store = MemoryStore()

    def turns(at_least: int) -> int:
        done = 0
        while done < at_least:
            done += _job(_SHORT, store).count
            store.delete("job")
        gc.collect()
        return done

    turns(WARM_TURNS // 10)
    tracemalloc.start()
    turns(WARM_TURNS // 10)  # what is made once for each process, made while somebody looks
    before, _ = tracemalloc.get_traced_memory()
    done = turns(WARM_TURNS)
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return Measurement(
        "engine.memory_growth_kb",
        (after - before) / 1024,
        "KB",
        bound=8.0,  # a model left in `transitions` at each turn would be 60,000
        beside={"turns": done, "peak_kb": (peak - before) / 1024},
    )


# --- the machines, and how they are run ---------------------------------------------------------------------------


def line(states: int, *, waits: bool = False) -> Machine[Data]:
    """A machine that goes through its states one after another; with `waits`, each waits for a second first."""
    names = [f"state_{number:03d}" for number in range(states)]
    return Machine(
        "line",
        states=[
            *(
                Working(
                    name,
                    step=_wait_once if waits else _advance,
                    deadline=timedelta(hours=1),
                    max_turn=timedelta(minutes=1),
                )
                for name in names
            ),
            Terminal("completed"),
            Terminal("failed"),
        ],
        initial=names[0],
        transitions=[
            *(Transition("done", name, after) for name, after in pairwise([*names, "completed"])),
            Transition("failed", names, "failed"),
            Transition("retried", "failed", BACK),
        ],
        signals={"retried"},
        load=_whole,
    )


def _whole(data: Data) -> Data:
    """The job as the engine gives it: reading it is the steps' own cost."""
    return data


def _advance(job: Data, *, turn: Turn) -> Outcome:  # noqa: ARG001  a trivial step looks at nothing
    return Advance("done")


def _wait_once(job: Data, *, turn: Turn) -> Outcome:  # noqa: ARG001  a trivial step looks at nothing
    """Wait in every second turn, and go on in the others."""
    if job["waits"]:
        return Advance("done", patch={("waits",): 0})
    return Wait(timedelta(seconds=1), patch={("waits",): 1})


def _poll(job: Data, *, turn: Turn) -> Outcome:
    """Wait for 15 s, as often as it takes."""
    polls = job["polls"]
    if polls == POLLS:
        return Advance("done")
    return Wait(timedelta(seconds=15), patch={("polls",): int(str(polls)) + 1}, waiting_for=f"poll at {turn.now}")


@dataclass(frozen=True, slots=True)
class Taken:
    """What one turn took, in milliseconds."""

    wall_ms: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class _Job:
    """What the turns of one job (or of several) took, in milliseconds."""

    count: int
    mean_ms: float
    median_ms: float
    cpu_ms: float

    @classmethod
    def of(cls, turns: Iterable[Taken]) -> "_Job":
        """Look at the turns together."""
        taken = list(turns)
        walls = [turn.wall_ms for turn in taken]
        cpu_ms = statistics.median(turn.cpu_ms for turn in taken)
        return cls(len(taken), statistics.fmean(walls), statistics.median(walls), cpu_ms)


def _job(machine: Machine[Data], store: Store) -> _Job:
    """Run a new job to its end."""
    return _Job.of(turns_of(machine, store, "job"))


def turns_of(machine: Machine[Data], store: Store, execution_id: str) -> Iterator[Taken]:
    """Run a new job to its end, in virtual time: what is due is given its turn at once."""
    clock, dispatcher = VirtualClock(), MemoryDispatcher()
    engine = Engine(machine, store=store, dispatcher=dispatcher, clock=clock)
    engine.start(execution_id, {"polls": 0, "waits": 0})
    while True:
        event = dispatcher.events.popleft()
        begun, begun_cpu = time.perf_counter(), time.process_time()
        result = engine.run_turn(event)
        cpu, wall = time.process_time() - begun_cpu, time.perf_counter() - begun
        yield Taken(wall * 1000, cpu * 1000)
        saved = result.execution
        if saved is None:
            raise RuntimeError(f"a turn of {execution_id} was {result.kind}: {result.reason}")
        if saved.due_at is None:
            break
        if not dispatcher.events:  # it waits: be the sweeper that comes in time
            clock.moment = saved.due_at
            dispatcher.dispatch(Event(execution_id, saved.version))
    if saved.state != "completed":
        raise RuntimeError(f"{execution_id} ended as {saved.state}: {saved.failure}")


def _fsync_ms(log: FileIO) -> float:
    """What it takes to bring as much as a turn's commit to the disk, without any database."""
    log.write(WAL_APPEND)
    begun = time.perf_counter()
    os.fsync(log.fileno())
    return (time.perf_counter() - begun) * 1000


_SHORT, _LONG = line(SHORT), line(LONG)
