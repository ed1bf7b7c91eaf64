"""The only place that asks the time."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits.  Tests give one that they move by hand."""

    def now(self) -> datetime:
        """The present moment, aware, UTC."""

    def sleep(self, delay: timedelta) -> None:
        """Return after `delay`; at once when it is not positive."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present moment, aware, UTC."""
        return datetime.now(UTC)

    def sleep(self, delay: timedelta) -> None:
        """Return after `delay`; at once when it is not positive."""
        time.sleep(max(0.0, delay.total_seconds()))
