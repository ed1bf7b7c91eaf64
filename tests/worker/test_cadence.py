from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from worker.cadence import LONGEST_LOOK, finest_look, first_look, next_look
from worker.models import VEO_3_1_FAST

FIRST, FINEST = first_look(VEO_3_1_FAST), finest_look(VEO_3_1_FAST)

ages = st.timedeltas(timedelta(0), timedelta(minutes=20))


def looks(takes: timedelta, *, others: int) -> list[timedelta]:
    """The ages at which a clip is looked at, up to the first look that finds it finished."""
    age, seen = timedelta(0), list[timedelta]()
    while age < takes:
        age += next_look(age, others=others, first=FIRST, finest=FINEST)
        seen.append(age)
    return seen


def test_the_first_look_comes_between_the_fastest_clip_and_the_median() -> None:
    assert timedelta(seconds=11) < FIRST < VEO_3_1_FAST.p50
    assert looks(timedelta(seconds=1), others=5) == [FIRST]


def test_the_last_clip_is_seen_soon_after_it_is_finished() -> None:
    takes = VEO_3_1_FAST.p90

    late = looks(takes, others=0)[-1] - takes

    assert late <= takes * 0.05


def test_one_of_many_is_looked_at_seldom() -> None:
    assert len(looks(VEO_3_1_FAST.p90, others=20)) <= 6


@given(age=ages, others=st.integers(0, 80))
def test_the_more_are_being_made_the_longer_the_wait(age: timedelta, others: int) -> None:
    alone, among_others, among_more = (
        next_look(age, others=count, first=FIRST, finest=FINEST) for count in (0, others, others + 1)
    )

    assert alone <= among_others <= among_more


@given(age=ages, others=st.integers(0, 80))
def test_no_wait_is_shorter_than_the_finest_or_longer_than_a_minute(age: timedelta, others: int) -> None:
    wait = next_look(age, others=others, first=FIRST, finest=FINEST)

    assert wait > timedelta(0)
    assert age + wait >= FIRST
    if age >= FIRST:
        assert FINEST <= wait <= max(FINEST, LONGEST_LOOK)
