"""Signed addresses: for how long they hold, so that asking twice gives the same ones.  Pure, and the port that signs.

An address is signed as of the beginning of a *window* and not as of now: within a window every answer has the same
addresses, and a client that holds an older answer may keep it.
"""

from datetime import datetime, timedelta
from typing import Protocol

from statemachine.record import Record

# Every answer's addresses are good for at least `LIFETIME`, unless the signing credentials end before.
WINDOW = timedelta(minutes=15)
LIFETIME = timedelta(minutes=45)


class SigningWindow(Record):
    """As of when addresses are signed, and when they end."""

    signed_at: datetime
    expires_at: datetime


def signing_window(now: datetime, *, credentials_end_at: datetime | None = None) -> SigningWindow:
    """The window that `now` lies in, shortened to the life of the credentials."""
    seconds = WINDOW.total_seconds()
    signed_at = datetime.fromtimestamp(now.timestamp() // seconds * seconds, tz=now.tzinfo)
    expires_at = signed_at + WINDOW + LIFETIME
    if credentials_end_at is not None:
        expires_at = min(expires_at, credentials_end_at)
    return SigningWindow(signed_at, expires_at)


class LinkSigner(Protocol):
    """Makes addresses by which a browser may fetch an object without being known to the bucket."""

    def window(self, now: datetime) -> SigningWindow:
        """The window in which addresses are signed at `now`."""

    def link(self, key: str, window: SigningWindow, *, download_as: str | None = None) -> str:
        """The address of an object; with `download_as`, one that a browser saves under this name."""
