"""Sharing a vendor's submissions per minute: pure arithmetic, no store and no clock.

The vendor counts submissions over a minute.  Jobs take tokens for what they are about to submit; who gets too few is
told when to come back.  Users take turns, whatever the number of their jobs: a user may always take an equal share, and
more only as long as the others leave it.  Within a user, jobs are served in the order in which they asked.

Nobody has to give anything back: a token is free again after a minute, and a job that does not return in time has lost
its place.  So a worker that dies costs nothing but its place.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

# A little over a minute: a submission that is under way for long counts later at the vendor than here.
WINDOW_MS = 60_500

# A job that is this late for its place is not coming; the sweep wakes jobs within some seconds.
GRACE_MS = 10_000

# Jobs whose places are at one moment come one after the other, so that their writes do not meet.
STAGGER_MS = 200


@dataclass(frozen=True, slots=True)
class Taken:
    """Tokens that were taken together and are free again a window later."""

    owner: str
    at_ms: int
    count: int


@dataclass(frozen=True, slots=True)
class Place:
    """A job that comes back at `at_ms` for `wanted` tokens.  `ordinal`: its place in the order of asking."""

    owner: str
    at_ms: int
    wanted: int
    ordinal: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """What is known of one model's minute: who took, and who waits (by job)."""

    taken: tuple[Taken, ...] = ()
    waiting: Mapping[str, Place] = field(default_factory=dict)
    next_ordinal: int = 0

    def as_json(self) -> str:
        """For a store."""
        return json.dumps(
            {
                "taken": [[taken.owner, taken.at_ms, taken.count] for taken in self.taken],
                "waiting": {
                    job: [place.owner, place.at_ms, place.wanted, place.ordinal] for job, place in self.waiting.items()
                },
                "next": self.next_ordinal,
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> "Ledger":
        """The ledger that was written as `text`."""
        stored = json.loads(text)
        return cls(
            tuple(Taken(*entry) for entry in stored["taken"]),
            {job: Place(*entry) for job, entry in stored["waiting"].items()},
            stored["next"],
        )


@dataclass(frozen=True, slots=True)
class Grant:
    """What a job gets: `count` tokens now, and, if it wanted more, a time to come back after."""

    count: int
    retry_after_ms: int


def take(ledger: Ledger, *, per_minute: int, owner: str, job: str, wanted: int, now_ms: int) -> tuple[Ledger, Grant]:
    """Take up to `wanted` tokens; the ledger as it stands afterwards, and what was granted."""
    ledger = _without_the_past(ledger, now_ms)
    own = ledger.waiting.get(job)
    ordinal = own.ordinal if own else ledger.next_ordinal
    waiting = {name: place for name, place in ledger.waiting.items() if name != job}
    ahead = sum(place.wanted for place in waiting.values() if place.owner == owner and place.ordinal < ordinal)
    rivals = _wanted_by_owner(place for place in waiting.values() if place.owner != owner)

    free = max(0, per_minute - sum(taken.count for taken in ledger.taken))
    share = max(1, per_minute // (len(rivals) + 1))
    mine = sum(taken.count for taken in ledger.taken if taken.owner == owner)
    fair = min(free, share - mine) - ahead
    left_over = free - ahead - sum(min(pending, share) for pending in rivals.values())
    count = max(0, min(wanted, max(fair, left_over)))

    taken = (*ledger.taken, Taken(owner, now_ms, count)) if count else ledger.taken
    short = wanted - count
    after = Ledger(taken, waiting, max(ledger.next_ordinal, ordinal + 1))
    if not short:
        return after, Grant(count, 0)
    # Before it is this job's turn again, its user's earlier jobs get what they want, and every other user as much.
    turns = ahead + sum(min(pending, ahead + 1) for pending in rivals.values()) + 1
    at_ms = _free_at(taken, free - count, turns, per_minute=per_minute, now_ms=now_ms)
    for other_ms in sorted(place.at_ms for place in waiting.values()):
        if abs(other_ms - at_ms) < STAGGER_MS:
            at_ms = other_ms + STAGGER_MS
    place = Place(owner, at_ms, short, ordinal)
    return Ledger(taken, {**waiting, job: place}, after.next_ordinal), Grant(count, at_ms - now_ms)


def _without_the_past(ledger: Ledger, now_ms: int) -> Ledger:
    return Ledger(
        tuple(taken for taken in ledger.taken if taken.at_ms + WINDOW_MS > now_ms),
        {job: place for job, place in ledger.waiting.items() if place.at_ms + GRACE_MS > now_ms},
        ledger.next_ordinal,
    )


def _wanted_by_owner(places: Iterable[Place]) -> dict[str, int]:
    wanted: dict[str, int] = {}
    for place in places:
        wanted[place.owner] = wanted.get(place.owner, 0) + place.wanted
    return wanted


def _free_at(taken: Iterable[Taken], free: int, tokens: int, *, per_minute: int, now_ms: int) -> int:
    """When so many tokens will have become free, if everyone takes them the moment they are."""
    expiries = sorted((entry.at_ms + WINDOW_MS, entry.count) for entry in taken)
    # What is free now and kept for others is taken, and free again, within the next window.
    kept = per_minute - sum(count for _, count in expiries)
    if kept > 0:
        expiries.append((now_ms + WINDOW_MS, kept))
    rounds, rest = divmod(max(0, tokens - max(0, free) - 1), per_minute)
    for at_ms, count in expiries:
        if rest < count:
            return at_ms + rounds * WINDOW_MS
        rest -= count
    raise AssertionError("the tokens of a window are those of a minute")  # pragma: no cover  the sum is per_minute
