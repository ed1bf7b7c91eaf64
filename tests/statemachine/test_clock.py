from datetime import UTC, timedelta

import pytest

from statemachine.clock import SystemClock


def test_the_present_moment_is_aware_and_in_utc() -> None:
    assert SystemClock().now().tzinfo is UTC


def test_the_present_moment_does_not_stand_still_or_run_back() -> None:
    clock = SystemClock()

    moments = [clock.now() for _ in range(100)]

    assert moments == sorted(moments)


@pytest.mark.parametrize(
    ("delay", "slept"), [(timedelta(seconds=1.5), 1.5), (timedelta(0), 0.0), (timedelta(seconds=-3), 0.0)]
)
def test_sleeping_takes_the_delay_and_nothing_when_it_has_passed(
    monkeypatch: pytest.MonkeyPatch, delay: timedelta, slept: float
) -> None:
    """`time.sleep` refuses a negative number, and a due time may well lie in the past."""
    asked: list[float] = []
    monkeypatch.setattr("time.sleep", asked.append)

    SystemClock().sleep(delay)

    assert asked == [slept]
