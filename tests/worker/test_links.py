from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from worker.links import LIFETIME, WINDOW, signing_window

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  bounds


def test_addresses_are_the_same_within_a_window_and_others_after_it() -> None:
    assert signing_window(NOON) == signing_window(NOON + WINDOW - timedelta(microseconds=1))
    assert signing_window(NOON) != signing_window(NOON + WINDOW)


@given(MOMENTS)
def test_an_address_is_good_for_its_lifetime_whenever_it_is_given(now: datetime) -> None:
    window = signing_window(now)

    assert window.signed_at <= now
    assert window.expires_at - now > LIFETIME


@given(MOMENTS, st.timedeltas(timedelta(seconds=1), timedelta(hours=12)))
def test_no_address_outlives_the_credentials(now: datetime, left: timedelta) -> None:
    assert signing_window(now, credentials_end_at=now + left).expires_at <= now + left
