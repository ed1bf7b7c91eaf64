"""What a hundred thousand waiting jobs would meet, on paper: each limit, and how much of it they would take.

Jobs of eight scenes wait for a quota of 50 clips a minute, and all belong to one user (the case in which most of them
come back for nothing) or to a user each.  What one job or turn needs is what `load` measured and what `operations`
counted (their kept lines); the rest is the code's own constants.  AWS's limits are those of its quota pages, read
2026-11-22, for an account that has asked for no more.  A figure above 1 is a limit that breaks; docs/load.md says
which comes first, and what to turn.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.report import Measurement, read_results
from statemachine.engine import FREE_WAIT_LIMIT
from statemachine.sweeper import BATCH
from worker.foundation import SWEEP_THREADS
from worker.quota import MOST_PLACES, MOST_PLACES_EACH, STAGGER_MS, WINDOW_MS
from worker.settings import Settings

RESULTS = Path(__file__).parent / "results.jsonl"

JOBS = 100_000
SCENES = 8
PER_MINUTE = 50

# (Amazon DynamoDB developer guide, "Quotas" and "Partitions"; AWS Lambda quotas page; both read 2026-11-22)
ITEM_BYTES = 400 * 1024
PARTITION_WRITE_UNITS, PARTITION_READ_UNITS = 1000, 3000
NEW_TABLE_WRITE_UNITS = 4000
LAMBDA_CONCURRENCY = 1000

PLANNING_SECONDS = 15.0  # as `latency` takes it; a planning turn holds its invocation
SHORT_TURN_SECONDS = 0.5  # a turn that only asks for its turn: three calls, and now and then a cold start
DISPATCH_SECONDS = 0.020
INDEX_UNITS_OF_A_WRITE = 2  # the old entry removed, the new one made


def measure() -> Iterator[Measurement]:
    """Each limit, in the order in which the jobs would meet them."""
    kept = {str(line["name"]): line for line in read_results(RESULTS)}
    yield _share(
        "invocations_of_a_burst",
        JOBS,
        LAMBDA_CONCURRENCY,
        "planned at once",
        jobs_per_second_sustained=LAMBDA_CONCURRENCY / PLANNING_SECONDS,
        minutes_of_full_concurrency=JOBS * PLANNING_SECONDS / LAMBDA_CONCURRENCY / 60,
    )
    hours = JOBS * SCENES / PER_MINUTE / 60
    yield _share(
        "hours_of_waiting",
        hours,
        FREE_WAIT_LIMIT.total_seconds() / 3600,
        "hours until the last job has its clips",
        most_jobs=FREE_WAIT_LIMIT.total_seconds() / 60 * PER_MINUTE / SCENES,
        quota_that_would_do=JOBS * SCENES / (FREE_WAIT_LIMIT.total_seconds() / 60),
    )
    place = _beside(kept, "load.quota_row_bytes", "bytes_per_place")
    # Without places it would grow with every waiting job; with them it is at its longest whatever their number.
    yield _share("ledger_bytes_without_places", JOBS * place, ITEM_BYTES, "bytes", with_places=2 * MOST_PLACES * place)
    returns = {
        # As many tokens stand before a newcomer as its user's places want; it is back after three quarters of that.
        "one_user": (JOBS - MOST_PLACES_EACH) / _mean_wait(MOST_PLACES_EACH * SCENES),
        # One token of every place stands before it, since users take turns.
        "a_user_each": (JOBS - 2 * MOST_PLACES) / _mean_wait(2 * MOST_PLACES),
    }
    rows = {"one_user": MOST_PLACES_EACH * place, "a_user_each": 2 * MOST_PLACES * place}
    for users, per_second in returns.items():
        yield from _of_returns(users, per_second, rows[users], kept)


def _of_returns(
    users: str, per_second: float, row_bytes: float, kept: Mapping[str, Mapping[str, object]]
) -> Iterator[Measurement]:
    """What jobs without a place cost, coming back `per_second` to a row of so many bytes."""
    yield _share(
        f"{users}_reads_of_the_row",
        per_second * row_bytes / 4096,
        PARTITION_READ_UNITS,
        "read units a second",
        returns_per_second=per_second,
        row_bytes=row_bytes,
    )
    takes = min(1000 / STAGGER_MS, per_second)
    yield _share(
        f"{users}_writes_of_the_row",
        takes * row_bytes / 1024,
        PARTITION_WRITE_UNITS,
        "write units a second",
        takes_per_second=takes,
        is_of_number=False,  # returns are apart and the row has its length, however many wait
    )
    shards = Settings.model_fields["due_shards"].default
    yield _share(
        f"{users}_writes_of_an_index_shard",
        per_second * 2 * INDEX_UNITS_OF_A_WRITE / shards,
        PARTITION_WRITE_UNITS,
        "write units a second",
        shards=shards,
    )
    units = _beside(kept, "load.write_units_per_job", "units_per_turn")
    yield _share(
        f"{users}_writes_of_a_new_table",
        per_second * units,
        NEW_TABLE_WRITE_UNITS,
        "write units a second",
        units_per_turn=units,
        usd_a_day=per_second * units * 86400 * 0.625 / 1e6,
    )
    yield _share(
        f"{users}_dispatches_of_the_sweep",
        per_second,
        min(SWEEP_THREADS / DISPATCH_SECONDS, BATCH),
        "a second",
        threads=SWEEP_THREADS,
    )
    yield _share(f"{users}_invocations", per_second * SHORT_TURN_SECONDS, LAMBDA_CONCURRENCY, "at once")


def _mean_wait(tokens_before: float) -> float:
    """Seconds between two returns of a job without a place: from half of what it is told to all of it."""
    return 0.75 * tokens_before / PER_MINUTE * WINDOW_MS / 1000


def _share(
    name: str, needed: float, limit: float, unit: str, *, is_of_number: bool = True, **beside: float
) -> Measurement:
    """`is_of_number`: whether more jobs need more of it."""
    if is_of_number:
        beside["most_jobs"] = JOBS * limit / needed
    told = {key: round(value, 1) for key, value in {"needed": needed, "limit": limit, **beside}.items()}
    return Measurement(f"paper.{name}", needed / limit, f"of the limit ({unit})", beside=told)


def _beside(kept: Mapping[str, Mapping[str, object]], name: str, key: str) -> float:
    """What stood beside a figure of `load` when it was last kept."""
    line = kept.get(name)
    if line is None:
        raise RuntimeError(f"{name} was never kept: make bench NAMES=load")
    beside = line["beside"]
    if not isinstance(beside, Mapping):
        raise TypeError(f"{name} has nothing beside it")
    return float(beside[key])
