import heapq
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.quota import GRACE_MS, MOST_PLACES, MOST_PLACES_EACH, WINDOW_MS, Ledger, take

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Asker:
    """A job that asks at `at_ms` for `wanted` tokens and comes back when it is told to."""

    at_ms: int
    owner: str
    job: str
    wanted: int


@dataclass
class Outcome:
    """What came of all askers: when each had everything, and every grant as (moment, owner, count)."""

    done_ms: dict[str, int] = field(default_factory=dict)
    grants: list[tuple[int, str, int]] = field(default_factory=list)
    asked_ms: list[int] = field(default_factory=list)


def served(askers: Sequence[Asker], *, per_minute: int, late_ms: int = 300, until_ms: int = 4 * HOUR_MS) -> Outcome:
    """Let everybody ask, and come back `late_ms` after the time that they were told."""
    queue = [(asker.at_ms, number, asker) for number, asker in enumerate(askers)]
    heapq.heapify(queue)
    outcome, ledger, number = Outcome(), Ledger(), len(queue)
    while queue and queue[0][0] <= until_ms:
        now_ms, _, asker = heapq.heappop(queue)
        ledger, grant = take(
            ledger, per_minute=per_minute, owner=asker.owner, job=asker.job, wanted=asker.wanted, now_ms=now_ms
        )
        outcome.asked_ms.append(now_ms)
        outcome.grants.append((now_ms, asker.owner, grant.count))
        left = asker.wanted - grant.count
        if not left:
            outcome.done_ms[asker.job] = now_ms
            continue
        assert grant.retry_after_ms > 0
        number += 1
        later = now_ms + grant.retry_after_ms + late_ms
        heapq.heappush(queue, (later, number, Asker(later, asker.owner, asker.job, left)))
    return outcome


def test_a_lone_job_gets_the_whole_minute_at_once() -> None:
    outcome = served([Asker(0, "ada", "a", 24)], per_minute=10, late_ms=0)

    assert outcome.grants == [(0, "ada", 10), (WINDOW_MS, "ada", 10), (2 * WINDOW_MS, "ada", 4)]


def test_a_single_job_is_not_starved_by_another_users_thousand() -> None:
    crowd = [Asker(10 * number, "ada", f"a{number}", 8) for number in range(1000)]

    outcome = served([*crowd, Asker(60_000, "bob", "b", 8)], per_minute=10)

    assert outcome.done_ms["b"] <= 60_000 + 3 * WINDOW_MS


def test_two_users_share_equally_whatever_the_number_of_their_jobs() -> None:
    many = [Asker(10 * number, "ada", f"a{number}", 8) for number in range(200)]
    few = [Asker(10 * number, "bob", f"b{number}", 8) for number in range(40)]

    outcome = served([*many, *few], per_minute=10, until_ms=HOUR_MS // 2)

    got: Counter[str] = Counter()
    for _, owner, count in outcome.grants:
        got[owner] += count
    assert 0.8 < got["ada"] / got["bob"] < 1.25


def test_what_one_user_leaves_another_may_take() -> None:
    crowd = [Asker(number, "ada", f"a{number}", 8) for number in range(50)]

    outcome = served([*crowd, Asker(30_000, "bob", "b", 1)], per_minute=10, until_ms=HOUR_MS // 2)

    granted = sum(count for _, _, count in outcome.grants)
    assert granted >= 0.95 * 10 * (HOUR_MS // 2) / WINDOW_MS


@pytest.mark.parametrize(
    ("per_minute", "users", "jobs_each", "wanted"),
    [(1, 2, 1, 8), (1, 2, 4, 4), (2, 3, 2, 4), (5, 4, 2, 8), (50, 20, 5, 8), (50, 100, 10, 1)],
)
def test_no_token_stays_unused_while_a_job_waits(per_minute: int, users: int, jobs_each: int, wanted: int) -> None:
    askers = [
        Asker(10 * (user + users * job), f"user-{user}", f"{user}-{job}", wanted)
        for user in range(users)
        for job in range(jobs_each)
    ]

    outcome = served(askers, per_minute=per_minute)

    windows = math.ceil(users * jobs_each * wanted / per_minute) - 1
    assert max(outcome.done_ms.values()) <= 1.06 * windows * WINDOW_MS


def test_who_asks_last_is_not_behind_turns_that_are_over() -> None:
    """Ada took alone for an hour; that Bob did not must not give him the next hour alone."""
    hour = [Asker(number * WINDOW_MS, "ada", f"a{number}", 4) for number in range(60)]
    crowd = [Asker(HOUR_MS + number, owner, f"{owner}-{number}", 4) for owner in ("ada", "bob") for number in (1, 2)]

    outcome = served([*hour, *crowd], per_minute=4, until_ms=2 * HOUR_MS)

    got: Counter[str] = Counter()
    for moment, owner, count in outcome.grants:
        if moment >= HOUR_MS and got.total() < 8:
            got[owner] += count
    assert got == {"ada": 4, "bob": 4}


def test_jobs_of_one_user_are_served_in_the_order_in_which_they_asked() -> None:
    outcome = served([Asker(number, "ada", f"a{number:02d}", 3) for number in range(20)], per_minute=5)

    assert list(outcome.done_ms) == sorted(outcome.done_ms)


def test_a_thousand_waiting_jobs_do_not_storm() -> None:
    outcome = served([Asker(number, f"user-{number}", f"j{number}", 1) for number in range(1000)], per_minute=50)

    returns = [moment for moment in outcome.asked_ms if moment >= 1000]
    busiest = max(Counter(moment // 1000 for moment in returns).values())
    assert len(outcome.done_ms) == 1000
    assert busiest <= 10, "times a second"
    assert len(returns) <= 3 * 1000


def test_a_full_queue_turns_newcomers_away_and_has_nothing_to_write() -> None:
    ledger = with_waiting({"ada": MOST_PLACES_EACH})

    after, grant = take(ledger, per_minute=10, owner="ada", job="one too many", wanted=1, now_ms=1)

    assert after is ledger
    assert grant.count == 0
    # A hundred tokens stand before it, ten a minute, and one minute's are taken.
    assert 5 * WINDOW_MS <= grant.retry_after_ms <= 11 * WINDOW_MS


def test_jobs_that_were_turned_away_do_not_come_back_together() -> None:
    ledger = with_waiting({"ada": MOST_PLACES_EACH})

    grants = [take(ledger, per_minute=10, owner="ada", job=f"n{n}", wanted=1, now_ms=1)[1] for n in range(600)]

    busiest = max(Counter(grant.retry_after_ms // 1000 for grant in grants).values())
    assert busiest <= 10, "times a second"


def test_a_user_without_a_place_finds_one_where_others_find_none() -> None:
    ledger = with_waiting({f"user-{number}": MOST_PLACES_EACH for number in range(MOST_PLACES // MOST_PLACES_EACH)})
    ledger, _ = take(ledger, per_minute=10, owner="bob", job="b1", wanted=1, now_ms=1)

    after, _ = take(ledger, per_minute=10, owner="bob", job="b2", wanted=1, now_ms=2)

    assert "b1" in after.waiting
    assert "b2" not in after.waiting


def test_no_crowd_makes_the_ledger_longer_than_a_row_should_be() -> None:
    ledger = with_waiting({f"{number:012x}": 1 for number in range(3 * MOST_PLACES)})

    assert len(ledger.waiting) == 2 * MOST_PLACES
    assert len(ledger.as_json()) < 64 * 1024


def test_no_token_stays_unused_while_jobs_without_a_place_wait() -> None:
    crowd = [Asker(10 * number, "ada", f"a{number}", 4) for number in range(5 * MOST_PLACES_EACH)]

    outcome = served(crowd, per_minute=50)

    windows = math.ceil(len(crowd) * 4 / 50) - 1
    assert len(outcome.done_ms) == len(crowd)
    assert max(outcome.done_ms.values()) <= 1.06 * windows * WINDOW_MS


def test_small_users_are_served_in_turn_beside_a_crowd_that_has_no_places_left() -> None:
    crowd = [Asker(number, "ada", f"a{number}", 4) for number in range(10 * MOST_PLACES_EACH)]
    small = [Asker(10_000 + number, f"user-{number}", f"s{number}", 4) for number in range(50)]

    outcome = served([*crowd, *small], per_minute=50, until_ms=HOUR_MS)

    last = max(outcome.done_ms[asker.job] for asker in small)
    assert last <= 6 * WINDOW_MS, "51 users, four turns of 51 clips"


def with_waiting(users: dict[str, int]) -> Ledger:
    """A ledger whose minute is taken, with so many jobs waiting for each user."""
    ledger, _ = take(Ledger(), per_minute=10, owner="first", job="first", wanted=10, now_ms=0)
    for owner, jobs in users.items():
        for number in range(jobs):
            ledger, _ = take(ledger, per_minute=10, owner=owner, job=f"{owner}-{number}", wanted=1, now_ms=0)
    return ledger


def test_a_job_that_never_comes_back_loses_its_place_and_holds_nobody_up() -> None:
    ledger, _ = take(Ledger(), per_minute=10, owner="ada", job="a", wanted=10, now_ms=0)
    ledger, refused = take(ledger, per_minute=10, owner="bob", job="b", wanted=5, now_ms=0)
    too_late = refused.retry_after_ms + GRACE_MS

    after, grant = take(ledger, per_minute=10, owner="ada", job="c", wanted=10, now_ms=too_late)

    assert grant.count == 10
    assert after.waiting == {}


def test_a_newcomer_does_not_overtake_those_of_its_own_user_who_wait() -> None:
    ledger, _ = take(Ledger(), per_minute=10, owner="ada", job="a", wanted=10, now_ms=0)
    ledger, _ = take(ledger, per_minute=10, owner="ada", job="b", wanted=10, now_ms=1)

    _, grant = take(ledger, per_minute=10, owner="ada", job="c", wanted=1, now_ms=WINDOW_MS)

    assert grant.count == 0


def test_a_ledger_survives_being_stored() -> None:
    ledger, _ = take(Ledger(), per_minute=3, owner="ada", job="a", wanted=2, now_ms=0)
    ledger, _ = take(ledger, per_minute=3, owner="bob", job="b", wanted=2, now_ms=5)

    assert Ledger.from_json(ledger.as_json()) == ledger


def test_a_ledger_that_another_version_wrote_counts_as_empty() -> None:
    assert Ledger.from_json('{"taken": [["ada", 0, 10]], "waiting": {}, "next": 3}') == Ledger()


asks = st.lists(
    st.tuples(st.integers(0, 90_000), st.sampled_from("abc"), st.integers(0, 5), st.integers(1, 30)),
    min_size=1,
    max_size=40,
)


@given(asks=asks, per_minute=st.integers(1, 20))
def test_no_minute_ever_sees_more_than_its_tokens(asks: list[tuple[int, str, int, int]], per_minute: int) -> None:
    ledger, granted = Ledger(), list[tuple[int, int]]()
    now_ms = 0
    for wait, owner, job, wanted in asks:
        now_ms += wait
        ledger, grant = take(
            ledger, per_minute=per_minute, owner=owner, job=f"{owner}{job}", wanted=wanted, now_ms=now_ms
        )
        granted.append((now_ms, grant.count))
        assert 0 <= grant.count <= wanted
        assert (grant.retry_after_ms > 0) == (grant.count < wanted)
        assert sum(count for at_ms, count in granted if at_ms > now_ms - 60_000) <= per_minute


@given(
    wanted=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 9)), min_size=1, max_size=15),
    per_minute=st.integers(1, 20),
    late_ms=st.integers(0, 5_000),
)
def test_everybody_is_served_in_the_end(wanted: list[tuple[str, int]], per_minute: int, late_ms: int) -> None:
    askers = [Asker(number, owner, f"j{number}", count) for number, (owner, count) in enumerate(wanted)]

    outcome = served(askers, per_minute=per_minute, late_ms=late_ms, until_ms=24 * HOUR_MS)

    assert len(outcome.done_ms) == len(askers)
