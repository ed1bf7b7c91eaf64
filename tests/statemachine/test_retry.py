from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.retry import RetryPolicy

SECOND = timedelta(seconds=1)

policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 2000),
    first_delay=st.timedeltas(timedelta(0), timedelta(minutes=1)),
    factor=st.floats(1, 10),
    max_delay=st.timedeltas(SECOND, timedelta(hours=1)),
    jitter=st.floats(0, 1),
)


def test_the_delay_grows_by_its_factor_up_to_its_limit() -> None:
    policy = RetryPolicy(max_attempts=6, first_delay=5 * SECOND, factor=2, max_delay=30 * SECOND, jitter=0)

    delays = [policy.delay(attempt) for attempt in range(1, 6)]

    assert delays == [5 * SECOND, 10 * SECOND, 20 * SECOND, 30 * SECOND, 30 * SECOND]


def test_the_last_attempt_has_no_delay_after_it() -> None:
    policy = RetryPolicy(max_attempts=3)

    assert policy.delay(2) is not None
    assert policy.delay(3) is None
    assert policy.delay(4) is None


def test_one_attempt_means_none_again() -> None:
    assert RetryPolicy(max_attempts=1).delay(1) is None


@given(policies, st.integers(0, 1999), st.text(max_size=8))
def test_a_delay_stays_within_its_spread(policy: RetryPolicy, attempt: int, key: str) -> None:
    delay = policy.delay(attempt, key=key)

    if attempt >= policy.max_attempts:
        assert delay is None
    else:
        assert delay is not None
        longest = policy.max_delay.total_seconds() * (1 + policy.jitter)
        assert 0 <= delay.total_seconds() <= longest + 1e-6


@given(policies, st.integers(1, 1999), st.text(max_size=8))
def test_the_same_question_has_the_same_answer(policy: RetryPolicy, attempt: int, key: str) -> None:
    assert policy.delay(attempt, key=key) == policy.delay(attempt, key=key)


def test_executions_that_fail_together_do_not_return_together() -> None:
    """A thousand jobs refused in one second would be refused again in one second."""
    policy = RetryPolicy(first_delay=100 * SECOND, jitter=0.2)

    delays = [policy.delay(1, key=f"job-{number}") for number in range(1000)]

    seconds = [delay.total_seconds() for delay in delays if delay is not None]
    tenths = [sum(80 + 4 * tenth <= each < 84 + 4 * tenth for each in seconds) for tenth in range(10)]
    assert len(set(seconds)) > 990
    assert min(tenths) > 60
    assert max(tenths) < 140


def test_an_attempt_far_beyond_any_sense_is_no_overflow() -> None:
    policy = RetryPolicy(max_attempts=10_000, factor=10, jitter=0)

    assert policy.delay(9_999) == policy.max_delay


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_attempts": 0},
        {"factor": 0.5},
        {"jitter": -0.1},
        {"jitter": 1.1},
        {"first_delay": timedelta(seconds=-1)},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="not a retry policy"):
        RetryPolicy(**wrong)  # type: ignore[arg-type]  # wrong on purpose
