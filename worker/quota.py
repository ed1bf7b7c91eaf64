"""Sharing a vendor's submissions per minute: pure arithmetic, no store and no clock.

The vendor counts submissions over a minute.  Jobs take tokens for what they are about to submit; who gets too few is
told when to come back.  Users take turns, one token each, whatever the number of their jobs; within a user, jobs are
served in the order in which they asked.  It is start-time fair queueing (Goyal, Vin, Cheng 1996): every token that is
wanted has the number of a turn, given once, when it is asked for.  So a place in the queue never moves forward unseen,
and no token stays unused while the job that it is meant for sleeps.

Nobody has to give anything back: a token is free again after a minute, and a job that does not return in time has lost
its place.  So a worker that dies costs nothing but its place.

The ledger is written whole with every take, so only so many jobs have a place in it.  One that finds no room is told
about when its turn would come, and is back between half of that time and all of it: before the queue has run dry, and
not with the others.  Order among jobs without a place is chance; between users the places themselves are shared.
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

# A little over a minute: a submission that is under way for long counts later at the vendor than here.
WINDOW_MS = 60_500

# A job that is this late for its place is not coming; the sweep wakes jobs within some seconds.
GRACE_MS = 10_000

# Places of one user, and of all.  Who has none finds room in twice as many: a few users with many jobs fill the first
# half at most.  A place is some 55 bytes, so the row stays below 55 KB, and DynamoDB's 1,000 write units a second for
# one partition are at least 18 takes a second.  (`python -m benchmarks load`, 2026-11-22)
MOST_PLACES_EACH = 100
MOST_PLACES = 500

# Jobs whose places are at one moment come one after the other, so that their writes do not meet.
STAGGER_MS = 200


@dataclass(frozen=True, slots=True)
class Taken:
    """Tokens that were taken together and are free again a window later.  `end`: the turn after their last."""

    owner: str
    at_ms: int
    count: int
    end: int


@dataclass(frozen=True, slots=True)
class Place:
    """A job that comes back at `at_ms` for `wanted` tokens, the first of them at `turn`, then one each turn."""

    owner: str
    at_ms: int
    wanted: int
    turn: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """What is known of one model's minute.

    Attributes:
        waiting: by job, in the order of asking, which decides between jobs at the same turn.
        turn: of the token that was granted last; who asks now begins there, and not at turns long past.
    """

    taken: tuple[Taken, ...] = ()
    waiting: Mapping[str, Place] = field(default_factory=dict)
    turn: int = 0

    def as_json(self) -> str:
        """For a store."""
        return json.dumps(
            {
                "taken": [[taken.owner, taken.at_ms, taken.count, taken.end] for taken in self.taken],
                "waiting": {
                    job: [place.owner, place.at_ms, place.wanted, place.turn] for job, place in self.waiting.items()
                },
                "turn": self.turn,
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> "Ledger":
        """The ledger that was written as `text`; an empty one if another version of the worker wrote it otherwise.

        Or if it is damaged.  That costs a minute of refusals by the vendor at most, and a row that nobody can read
        would cost every job.
        """
        try:
            stored = json.loads(text)
            ledger = cls(
                tuple(Taken(*entry) for entry in stored["taken"]),
                {job: Place(*entry) for job, entry in stored["waiting"].items()},
                stored["turn"],
            )
        except (ValueError, TypeError, LookupError, AttributeError):
            return cls()
        return ledger if ledger._is_sound() else cls()

    def _is_sound(self) -> bool:
        entries: tuple[Taken | Place, ...] = (*self.taken, *self.waiting.values())
        return type(self.turn) is int and all(
            type(getattr(entry, each.name)) is each.type for entry in entries for each in fields(entry)
        )


@dataclass(frozen=True, slots=True)
class Grant:
    """What a job gets: `count` tokens now, and, if it wanted more, a time to come back after."""

    count: int
    retry_after_ms: int


def take(ledger: Ledger, *, per_minute: int, owner: str, job: str, wanted: int, now_ms: int) -> tuple[Ledger, Grant]:
    """Take up to `wanted` tokens; the ledger as it stands afterwards, and what was granted.

    Where nothing came of it the ledger is the very same object: there is nothing to write.
    """
    given, ledger = ledger, _without_the_past(ledger, now_ms)
    own = ledger.waiting.get(job)
    first = own.turn if own else _next_turn(ledger, owner)
    free = max(0, per_minute - sum(taken.count for taken in ledger.taken))
    count = 0
    while count < wanted and count + _ahead(ledger, job, first + count) < free:
        count += 1

    taken, turn = ledger.taken, ledger.turn
    if count:
        taken = (*taken, Taken(owner, now_ms, count, first + count))
        turn = max(turn, first + count - 1)
    others = {name: place for name, place in ledger.waiting.items() if name != job}
    if count == wanted:
        return Ledger(taken, others, turn), Grant(count, 0)
    ahead = _ahead(ledger, job, first + count)
    at_ms = _free_at(taken, free - count, ahead + 1, per_minute=per_minute, now_ms=now_ms)
    if own is None and not _has_room(ledger, owner):
        grant = Grant(count, _some_time_before(at_ms - now_ms, job))
        return (Ledger(taken, others, turn) if count else given), grant
    for other_ms in sorted(place.at_ms for place in others.values()):
        if abs(other_ms - at_ms) < STAGGER_MS:
            at_ms = other_ms + STAGGER_MS
    # Put into its old place, if it has one: the order is that of asking.
    waiting = {**ledger.waiting, job: Place(owner, at_ms, wanted - count, first + count)}
    return Ledger(taken, waiting, turn), Grant(count, at_ms - now_ms)


def _next_turn(ledger: Ledger, owner: str) -> int:
    """The first turn of a job that asks for the first time: after everything that its user has asked for."""
    taken = [taken.end for taken in ledger.taken if taken.owner == owner]
    waiting = [place.turn + place.wanted for place in ledger.waiting.values() if place.owner == owner]
    return max([ledger.turn, *taken, *waiting])


def _ahead(ledger: Ledger, job: str, turn: int) -> int:
    """How many tokens the other jobs are to get before the one that `job` is to get at `turn`."""
    ahead, asked_before = 0, True
    for name, place in ledger.waiting.items():
        if name == job:
            asked_before = False
        else:
            ahead += max(0, min(place.wanted, turn - place.turn + asked_before))
    return ahead


def _has_room(ledger: Ledger, owner: str) -> bool:
    """Whether one more job of this user may have a place."""
    mine = sum(place.owner == owner for place in ledger.waiting.values())
    return mine < MOST_PLACES_EACH and len(ledger.waiting) < (MOST_PLACES if mine else 2 * MOST_PLACES)


def _some_time_before(delay_ms: int, job: str) -> int:
    """Between half of the delay and all of it, spread by job so that they do not come back together."""
    half = max(delay_ms // 2, STAGGER_MS)
    return half + zlib.crc32(job.encode()) % half


def _without_the_past(ledger: Ledger, now_ms: int) -> Ledger:
    return Ledger(
        tuple(taken for taken in ledger.taken if taken.at_ms + WINDOW_MS > now_ms),
        {job: place for job, place in ledger.waiting.items() if place.at_ms + GRACE_MS > now_ms},
        ledger.turn,
    )


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
