"""How long to wait before the next attempt, or whether to give up: pure arithmetic."""

import binascii
from datetime import timedelta

from statemachine.record import Record


class RetryPolicy(Record):
    """Exponential back-off with a limit.

    Attributes:
        max_attempts: how many turns in a row may fail before the execution does; at least 1.
        first_delay: before the second attempt.
        factor: each further delay is so many times longer, up to `max_delay`.
        jitter: share of the delay that is spread, 0..1: 0.2 means between 80 % and 120 %.
    """

    max_attempts: int = 4
    first_delay: timedelta = timedelta(seconds=5)
    factor: float = 2.0
    max_delay: timedelta = timedelta(minutes=5)
    jitter: float = 0.2

    def __post_init__(self) -> None:
        if self.max_attempts < 1 or self.factor < 1 or not 0 <= self.jitter <= 1 or self.first_delay < timedelta(0):
            raise ValueError(f"not a retry policy: {self}")

    def delay(self, attempt: int, *, key: str = "") -> timedelta | None:
        """How long to wait after attempt number `attempt` (from 1) failed; None to give up.

        The spread follows from `key` and `attempt`, so that executions that fail together do not return together
        and the same call always gives the same answer.
        """
        if attempt >= self.max_attempts:
            return None
        # The exponent is bounded: 2.0 ** 1100 is an OverflowError, and no delay grows past `max_delay` anyway.
        plain = self.first_delay.total_seconds() * self.factor ** min(max(attempt - 1, 0), 64)
        plain = min(plain, self.max_delay.total_seconds())
        # A checksum spreads as well as a digest does, and costs nothing to import; hashlib takes 3 ms of a cold start.
        spread = binascii.crc32(f"{key}/{attempt}".encode()) / 0xFFFFFFFF * 2 - 1
        return timedelta(seconds=plain * (1 + self.jitter * spread))
