"""Clocks that are moved by hand."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

from statemachine.clock import SystemClock

# Where virtual time begins unless told otherwise; any moment would do.
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class VirtualClock:
    """Time that passes only when somebody sleeps or advances it; see `statemachine.clock.Clock`."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now

    def now(self) -> datetime:
        """The present moment, aware, UTC."""
        return self._now

    def sleep(self, delay: timedelta) -> None:
        """Let `delay` pass at once; nothing passes when it is not positive."""
        self._now += max(delay, timedelta(0))

    def advance(self, delay: timedelta) -> None:
        """Let `delay` pass.

        Raises:
            ValueError: `delay` is negative; time does not go back.
        """
        if delay < timedelta(0):
            raise ValueError(f"time does not go back, by {delay}")
        self._now += delay


class Tickable(Protocol):
    """What `freezegun.freeze_time` hands out: frozen time that can be moved."""

    def tick(self, delta: timedelta) -> object:
        """Move frozen time on."""


class FrozenClock:
    """The machine's clock under `freezegun.freeze_time`; sleeping moves the frozen time.

    For code that asks `datetime.now` by itself (botocore, moto): everything then lives in the same frozen moment.
    """

    def __init__(self, frozen: Tickable) -> None:
        self._frozen = frozen
        self._system = SystemClock()

    def now(self) -> datetime:
        """The frozen moment, aware, UTC."""
        return self._system.now()

    def sleep(self, delay: timedelta) -> None:
        """Move frozen time on by `delay`; not at all when it is not positive."""
        self._frozen.tick(max(delay, timedelta(0)))
