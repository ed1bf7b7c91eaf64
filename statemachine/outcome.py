"""What a step may answer: three types, and a `match` over them is complete."""

from collections.abc import Mapping
from dataclasses import field
from datetime import timedelta

from statemachine.execution import Failure, JsonValue, Path
from statemachine.record import Record

# Waits that are nobody's fault: they cost no attempt, no deadline (up to a day in a state) and no turn of the run.
# 'quota': the vendor takes no more for now.  'lost_answer': watching for work whose submission was never answered.
FREE_WAITS = frozenset({"quota", "lost_answer"})


class Advance(Record):
    """The work of this state is done: fire `event` and remember `patch`."""

    event: str
    patch: Mapping[Path, JsonValue] = field(default_factory=dict)


class Wait(Record):
    """Nothing to do for now: run this same state again after `delay`, holding no compute meanwhile.

    `waiting_for` is kept in the record for whoever watches.  One of `FREE_WAITS` also moves the deadline by `delay`.
    """

    delay: timedelta
    patch: Mapping[Path, JsonValue] = field(default_factory=dict)
    waiting_for: str | None = None

    @property
    def is_free(self) -> bool:
        """Whether this wait moves the deadline instead of consuming it."""
        return self.waiting_for in FREE_WAITS


class Fail(Record):
    """The execution cannot succeed: stop, and show `failure` to whoever asked for it."""

    failure: Failure
    patch: Mapping[Path, JsonValue] = field(default_factory=dict)


Outcome = Advance | Wait | Fail
