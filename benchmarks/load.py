"""A thousand jobs at once through the deployed worker, under one quota of 50 clips a minute.  Needs dynoxide.

One user asks for half of them, fifty others for ten each.  Real are machine, steps, engine, store, quota and sweep,
every call to DynamoDB (dynoxide) and every call to Vertex AI (the simulator, which refuses what passes its quota);
transcripts, plans and media are fakes that take as long.  Time is virtual: calls, clips and cold starts take what they
were seen to (`latency`), side by side, so that more than an hour takes minutes; only the figures of CPU and memory are
this machine's.  AI_VIDEO_LOAD_JOBS and AI_VIDEO_LOAD_SCENES make it larger.
"""

import os
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random

from benchmarks._crowd import BEGINS, Asked, Crowd, place_of, uneven
from benchmarks._region import Region
from benchmarks.report import Measurement
from statemachine.testing.crew import Crew
from tests.dynoxide import running_dynoxide
from tests.simulators.vendors import Vendors
from worker.quota import WINDOW_MS

JOBS = int(os.environ.get("AI_VIDEO_LOAD_JOBS", "1000"))
SCENES = int(os.environ.get("AI_VIDEO_LOAD_SCENES", "2"))
PER_MINUTE = 50
SMALL_USERS = 50
PATIENCE = timedelta(hours=24)


def measure() -> Iterator[Measurement]:
    """Every figure of one run."""
    small_jobs = max(1, JOBS // 2 // SMALL_USERS)
    asked = uneven({"big": JOBS - SMALL_USERS * small_jobs} | {f"small{n:02d}": small_jobs for n in range(SMALL_USERS)})
    with running_dynoxide() as url, Crew() as crew:
        region = Region(crew, now=BEGINS, chance=Random("load"))  # noqa: S311  repeatable on purpose, and no secret
        with Vendors(clock=region, quota_per_minute=PER_MINUTE) as vendors:
            crowd = Crowd(asked, url=url, vendors=vendors, region=region, scenes=SCENES)
            try:
                crowd.start_all()
                crowd.run(until=BEGINS + PATIENCE)
            finally:
                region.end()
                crowd.close()
            if vendors.journal.faults:
                raise RuntimeError(f"the simulator failed: {vendors.journal.faults[0]}")
            yield from _figures(crowd)


def _figures(crowd: Crowd) -> Iterator[Measurement]:
    states = Counter(crowd.standing(job).state for job in crowd.asked)
    yield Measurement(
        "load.jobs_not_completed",
        len(crowd.asked) - states["completed"],
        f"of {len(crowd.asked)}",
        bound=0,
        beside={"scenes_each": SCENES, "users": len({job.owner for job in crowd.asked}), **states},
    )
    yield from _of_the_quota(crowd)
    yield _lateness(crowd)
    yield _fairness(crowd)
    yield from _of_the_table(crowd)
    turns = crowd.turns
    yield Measurement(
        "load.most_invocations_at_once",
        crowd.region.busiest,
        "invocations",
        bound=1000,
        beside={"turns_per_job": round(turns / len(crowd.asked), 1), "sweeps": crowd.sweeps, **crowd.region.told},
    )
    first, last = crowd.megabytes[10], crowd.megabytes[100]
    yield Measurement(
        "load.memory_growth_mb",
        last - first,
        "MB resident, from a tenth of the jobs ended to all of them",
        bound=32,
        beside={"at_10_percent_mb": round(first, 1), "at_100_percent_mb": round(last, 1)},
    )
    yield Measurement(
        "load.cpu_ms_per_turn",
        crowd.cpu_seconds * 1000 / turns,
        "ms of this process, simulator and sweeps included",
        beside={"wall_ms": round(crowd.wall_seconds * 1000 / turns, 1), "turns": turns},
    )


def _of_the_quota(crowd: Crowd) -> Iterator[Measurement]:
    orders = sorted(charge.at for charge in crowd.vendors.bill.clips)
    # What the quota would let through at best, had the last order come as early as it could: full windows before it.
    windows = -(-len(orders) // PER_MINUTE) - 1
    took = (orders[-1] - orders[0]).total_seconds()
    yield Measurement(
        "load.share_of_the_quota_used",
        windows * 60 / took if windows else 1.0,
        "of 50 a minute, while jobs waited",
        bound=0.95,
        at_least=True,
        beside={
            "submissions": len(orders),
            "submissions_per_minute": round(len(orders) / (took / 60 + 1), 2),
            "minutes": round(took / 60, 1),
            "window_s": WINDOW_MS / 1000,
            "refused_by_the_vendor": crowd.renderer.calls["submit"] - len(orders),
        },
    )
    yield Measurement(
        "load.most_in_one_minute", _busiest(orders), "submissions in any 60 s", bound=PER_MINUTE, beside={"limit": 50}
    )


def _busiest(moments: Sequence[datetime]) -> int:
    """The most of them within any minute."""
    most, first = 0, 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= timedelta(minutes=1):
            first += 1
        most = max(most, last - first + 1)
    return most


def _lateness(crowd: Crowd) -> Measurement:
    late = crowd.wake_lateness
    percentiles = statistics.quantiles(late, n=100, method="inclusive")
    return Measurement(
        "load.wake_lateness_p99_seconds",
        percentiles[98],
        "s from due to the first line of the turn",
        bound=5.0,
        beside={
            "p50": round(percentiles[49], 2),
            "p90": round(percentiles[89], 2),
            "max": round(max(late), 2),
            "wakes": len(late),
        },
    )


def _fairness(crowd: Crowd) -> Measurement:
    owners = {job.execution_id: job.owner for job in crowd.asked}
    demand = {owner: jobs * SCENES for owner, jobs in Counter(owners.values()).items()}
    ordered = sorted((charge.at, owners[place_of(charge.prefix).job]) for charge in crowd.vendors.bill.clips)
    # Fairness is about who waits (Goyal, Vin, Cheng 1996, definition 1).  Nobody waited for the first minute's tokens:
    # they went to whoever came first, and half of those who came are the big user's.
    first_come = Counter(owner for _, owner in ordered[:PER_MINUTE])
    got, until = Counter[str](), BEGINS
    for at, owner in ordered[PER_MINUTE:]:
        got[owner] += 1
        until = at
        if got[owner] + first_come[owner] == demand[owner]:
            break  # until here everybody wanted more than they got
    ended = _last_ends(crowd.asked, crowd.ended_at)
    small = [minutes for owner, minutes in ended.items() if owner != "big"]
    fair_share = len(demand) * min(demand.values()) / PER_MINUTE
    return Measurement(
        "load.fairness_jain_index",
        jain(list({owner: got[owner] for owner in demand}.values())),
        "of clips per user, from when some wait until the first user has all of theirs",
        bound=0.98,
        at_least=True,
        beside={
            "least": min(got[owner] for owner in demand),
            "most": max(got.values()),
            "of_the_big_user": got["big"],
            "first_come_of_the_big_user": first_come["big"],
            "until_minute": round((until - BEGINS).total_seconds() / 60, 1),
            "small_users_first_done_minute": round(min(small), 1),
            "small_users_last_done_minute": round(max(small), 1),
            "their_orders_in_turns_minute": round(fair_share, 1),
            "big_user_done_minute": round(ended["big"], 1),
        },
    )


def jain(shares: Sequence[float]) -> float:
    """Jain's index: 1 when all shares are alike, 1/n when one has everything."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))


def _last_ends(asked: Sequence[Asked], ended_at: Mapping[str, datetime]) -> dict[str, float]:
    """Minutes until the last job of each user had ended."""
    ends: dict[str, float] = {}
    for job in asked:
        minutes = (ended_at[job.execution_id] - BEGINS).total_seconds() / 60
        ends[job.owner] = max(ends.get(job.owner, 0.0), minutes)
    return ends


def _of_the_table(crowd: Crowd) -> Iterator[Measurement]:
    jobs, quota, count = crowd.wire.of_jobs, crowd.wire.of_quota, len(crowd.asked)
    minutes = (max(crowd.ended_at.values()) - BEGINS).total_seconds() / 60
    yield Measurement(
        "load.write_units_per_job",
        (jobs.units + quota.units) / count,
        "write units",
        beside={
            "writes_of_the_row": round(jobs.writes / count, 1),
            "units_of_the_row": round(jobs.units / count, 1),
            "units_per_turn": round(jobs.units / crowd.turns, 1),
            "takes_of_the_quota": round(quota.writes / count, 2),
            "units_of_the_quota": round(quota.units / count, 1),
            "refused_writes": jobs.refused,
            "queries_per_minute": round(jobs.reads / minutes),
        },
    )
    yield Measurement(
        "load.quota_row_bytes",
        quota.largest_bytes,
        "bytes of the ledger at its longest",
        bound=64 * 1024,
        beside={
            "most_places": quota.most_places,
            "bytes_per_place": round(quota.largest_bytes / quota.most_places, 1),
            "busiest_minute_units_per_second": round(max(quota.units_by_minute.values()) / 60, 1),
            "units_per_take": round(quota.units / max(1, quota.writes), 1),
            "writes_that_met": quota.refused,
        },
    )
