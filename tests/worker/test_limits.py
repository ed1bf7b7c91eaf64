from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.limits import SLOT_LIFETIME, Booking, LimitError, Limits, RequestId, Slot, Usage, booked, released

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LIMITS = Limits(daily_usd=10.0, concurrent_jobs=2)


def a_booking(run_id: str = "run-1", *, usd: float = 2.0, version: int = 1, spent_before: float = 0.0) -> Booking:
    return Booking(run_id, version, usd, spent_before)


def test_a_booking_takes_a_slot_and_counts_its_price() -> None:
    usage = booked(Usage(), a_booking(), now=NOON, limits=LIMITS)

    assert usage.slots == {"run-1": Slot(NOON + SLOT_LIFETIME, 1, "2026-11-22", 2.0)}
    assert (usage.day, usage.spent_usd, usage.revision) == ("2026-11-22", 2.0, 1)


def test_no_more_jobs_than_allowed_are_booked() -> None:
    usage = booked(Usage(), a_booking("run-1"), now=NOON, limits=LIMITS)
    usage = booked(usage, a_booking("run-2"), now=NOON, limits=LIMITS)

    with pytest.raises(LimitError) as refused:
        booked(usage, a_booking("run-3"), now=NOON, limits=LIMITS)

    assert refused.value.code == "TOO_MANY_JOBS"


def test_no_more_than_the_days_limit_is_booked() -> None:
    usage = booked(Usage(), a_booking(usd=9.0), now=NOON, limits=LIMITS)

    with pytest.raises(LimitError) as refused:
        booked(usage, a_booking("run-2", usd=1.01), now=NOON, limits=LIMITS)

    assert refused.value.code == "DAILY_LIMIT"
    assert refused.value.retry_after == timedelta(hours=12)


def test_a_run_that_is_booked_anew_counts_once() -> None:
    """A retry may come before the end of the first try was told."""
    limits = Limits(daily_usd=3.0, concurrent_jobs=1)
    usage = booked(Usage(), a_booking(usd=2.0), now=NOON, limits=limits)

    usage = booked(usage, a_booking(usd=3.0, version=9), now=NOON, limits=limits)

    assert (len(usage.slots), usage.spent_usd) == (1, 3.0)


def test_a_new_day_begins_with_nothing_spent() -> None:
    usage = booked(Usage(), a_booking(usd=9.0), now=NOON, limits=LIMITS)

    usage = booked(usage, a_booking("run-2", usd=9.0), now=NOON + timedelta(days=1), limits=LIMITS)

    assert usage.spent_usd == 9.0
    assert set(usage.slots) == {"run-1", "run-2"}


def test_a_release_corrects_the_booking_to_what_was_spent() -> None:
    usage = booked(Usage(), a_booking(usd=2.0), now=NOON, limits=LIMITS)

    after = released(usage, "run-1", version=5, spent_usd=1.4)

    assert after is not None
    assert after.slots == {}
    assert after.spent_usd == pytest.approx(1.4)
    assert after.revision == 2


def test_a_release_after_a_retry_counts_only_what_came_after_it() -> None:
    usage = booked(Usage(), a_booking(usd=1.0, version=6, spent_before=4.0), now=NOON, limits=LIMITS)

    after = released(usage, "run-1", version=9, spent_usd=4.7)

    assert after is not None
    assert after.spent_usd == pytest.approx(0.7)


def test_releasing_again_changes_nothing() -> None:
    """The end of a job is told at least once."""
    usage = booked(Usage(), a_booking(), now=NOON, limits=LIMITS)
    after = released(usage, "run-1", version=5, spent_usd=1.0)

    assert after is not None
    assert released(after, "run-1", version=5, spent_usd=1.0) is None


def test_a_late_release_leaves_the_slot_of_a_retry() -> None:
    usage = booked(Usage(), a_booking(version=6), now=NOON, limits=LIMITS)

    assert released(usage, "run-1", version=5, spent_usd=1.0) is None


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.floats(0, 6), st.booleans(), st.integers(0, 30)),
        min_size=1,
        max_size=40,
    )
)
def test_whatever_comes_no_limit_is_passed(steps: list[tuple[str, float, bool, int]]) -> None:
    usage, now = Usage(), NOON
    for version, (run_id, usd, is_end, hours) in enumerate(steps, start=1):
        now += timedelta(hours=hours)
        if is_end:
            usage = released(usage, run_id, version=version, spent_usd=usd / 2) or usage
            continue
        try:
            usage = booked(usage, Booking(run_id, version, usd), now=now, limits=LIMITS)
        except LimitError:
            continue
        assert len(usage.slots) <= 2
        assert usage.spent_usd <= 10.0 + 1e-6
        assert all(slot.expires_at > now for slot in usage.slots.values())


def an_id(key: str = "k", user: str = "u", video: str = "v", payload: bytes = b"{}") -> RequestId:
    return RequestId.of(key, user_id=user, video_id=video, payload=payload)


def test_the_same_request_has_the_same_id() -> None:
    assert an_id() == an_id()
    assert not an_id().is_reused_key(an_id().text)
    assert len(an_id().text) == 32


def test_another_payload_under_the_same_key_is_a_reused_key() -> None:
    assert an_id(payload=b'{"force":true}').is_reused_key(an_id().text)


@pytest.mark.parametrize("other", [an_id("k2"), an_id(user="u2"), an_id(video="v2"), an_id("ku", user="")])
def test_another_key_user_or_video_has_nothing_to_do_with_it(other: RequestId) -> None:
    assert other != an_id()
    assert not other.is_reused_key(an_id().text)
