"""What one user may have running and spend in a day, and how repeated requests are recognised.  Pure.

The control row of a user keeps a *slot* for each running job and the day's spend.  A slot is booked with the write that
starts the job and ends with it; one whose end was never told expires.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta

from statemachine.errors import StateMachineError
from statemachine.record import Record

# Longer than any job that still lives: quota may delay each state by a day, but then an hour passes without a clip.
SLOT_LIFETIME = timedelta(hours=26)

# A client that was refused for its running jobs asks again after this: about as long as a short job takes.
BUSY_RETRY_AFTER = timedelta(seconds=60)

_DIGITS = 16


class LimitError(StateMachineError):
    """A user's limit stands against it.

    Attributes:
        code: TOO_MANY_JOBS (some of theirs has to end first) or DAILY_LIMIT (tomorrow, UTC).
        retry_after: when asking again may help.
    """

    def __init__(self, code: str, message: str, *, limit: float, retry_after: timedelta) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.limit = limit
        self.retry_after = retry_after


class Limits(Record):
    """What is allowed at this moment; None: no limit.

    Attributes:
        starts: the kill switch: whether anything that costs money may begin.
        max_cost_usd: of one job, whatever its owner allows.
        daily_usd, concurrent_jobs: of one user.
    """

    starts: bool = True
    max_cost_usd: float | None = None
    daily_usd: float | None = None
    concurrent_jobs: int | None = None

    @property
    def counts_users(self) -> bool:
        """Whether control rows are needed."""
        return self.daily_usd is not None or self.concurrent_jobs is not None


class Slot(Record):
    """A running job of a user.

    Attributes:
        version: of the execution when it was booked; a later booking of the same run is not released with this one.
        usd: counted against `day` for it.
        spent_before_usd: what the run had spent when it was booked (a retry books again).
    """

    expires_at: datetime
    version: int
    day: str
    usd: float
    spent_before_usd: float = 0.0


class Usage(Record):
    """What a user has running, and has spent on `day` (UTC).

    Attributes:
        revision: grows with every write; 0 while there is no control row.
    """

    day: str = ""
    spent_usd: float = 0.0
    slots: Mapping[str, Slot] = field(default_factory=dict)
    revision: int = 0


class Booking(Record):
    """What is asked of a user's limits for one run."""

    run_id: str
    version: int
    usd: float
    spent_before_usd: float = 0.0


def booked(usage: Usage, booking: Booking, *, now: datetime, limits: Limits) -> Usage:
    """The usage with a slot for the run.

    Raises:
        LimitError: the user has too much running, or would pass the day's limit.
    """
    today = day_of(now)
    spent = usage.spent_usd if usage.day == today else 0.0
    slots = {run_id: slot for run_id, slot in usage.slots.items() if slot.expires_at > now}
    mine = slots.pop(booking.run_id, None)
    if mine is not None and mine.day == today:
        spent -= mine.usd  # booked anew: a retry before the end of the first booking was told
    if limits.concurrent_jobs is not None and len(slots) >= limits.concurrent_jobs:
        raise LimitError(
            "TOO_MANY_JOBS",
            f"{len(slots)} of your videos are being made, and {limits.concurrent_jobs} may be at once; wait for one to "
            "end, or cancel it",
            limit=limits.concurrent_jobs,
            retry_after=BUSY_RETRY_AFTER,
        )
    if limits.daily_usd is not None and spent + booking.usd > limits.daily_usd + 1e-9:
        raise LimitError(
            "DAILY_LIMIT",
            f"this may cost ${booking.usd:.2f}, and ${max(0.0, limits.daily_usd - spent):.2f} of today's "
            f"${limits.daily_usd:.2f} are left; try again tomorrow (UTC)",
            limit=limits.daily_usd,
            retry_after=_until_tomorrow(now),
        )
    slot = Slot(now + SLOT_LIFETIME, booking.version, today, booking.usd, booking.spent_before_usd)
    slots[booking.run_id] = slot
    return Usage(today, spent + booking.usd, slots, usage.revision + 1)


def released(usage: Usage, run_id: str, *, version: int, spent_usd: float) -> Usage | None:
    """The usage without the run's slot, what was booked corrected to what the run has really spent.

    None when there is nothing to release: it was done before, or the run was booked anew after `version`.
    """
    slot = usage.slots.get(run_id)
    if slot is None or slot.version > version:
        return None
    slots = {other: kept for other, kept in usage.slots.items() if other != run_id}
    spent = usage.spent_usd
    if slot.day == usage.day:
        spent = max(0.0, spent - slot.usd + max(0.0, spent_usd - slot.spent_before_usd))
    return replace(usage, slots=slots, spent_usd=spent, revision=usage.revision + 1)


def day_of(now: datetime) -> str:
    """The day by which spending is counted: '2026-11-22', UTC."""
    return now.date().isoformat()


def _until_tomorrow(now: datetime) -> timedelta:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return midnight - now


class RequestId(Record):
    """The id of a run or decision that a request with an `Idempotency-Key` makes: 32 hexadecimal digits.

    The first half says whose key it is, the second what was asked for.  The record keeps it as `run_id` or
    `last_signal`, so nothing else has to be stored to recognise the request when it comes again.
    """

    text: str

    @classmethod
    def of(cls, key: str, *, user_id: str, video_id: str, payload: bytes) -> "RequestId":
        """`payload`: what was asked for, in one form however it was written."""
        return cls(_digest(user_id, video_id, key) + _digest(payload.decode()))

    def is_reused_key(self, known: str) -> bool:
        """Whether `known` was made with the same key for something else."""
        return known[:_DIGITS] == self.text[:_DIGITS] and known != self.text


def _digest(*parts: str) -> str:
    # The lengths stand between the parts, or ('ab', 'c') and ('a', 'bc') would be one.
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
