"""A small job with everything that can go wrong with a paid vendor: for the explorer's own tests, and to copy from.

Two items are ordered, then looked at until both have arrived.  Ordering shows how to pay once: the intent is on the
record before the vendor is called, the answer is recorded whoever holds the lease by then, and an intent without an
answer is looked for, never ordered again, until the vendor can no longer have it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from statemachine.errors import TransientError
from statemachine.execution import NOT_ACCEPTED, Execution, JsonValue, Path, to_ms, value_at
from statemachine.machine import BACK, Machine, Terminal, Transition, Turn, Working
from statemachine.outcome import Advance, Outcome, Wait
from statemachine.testing.scenario import Effects, Scenario

ITEMS = ("bread", "salt")

# How long an order that nobody answered is looked for: far longer than any worker can be late with it.
WATCH = timedelta(minutes=15)
POLL_EVERY = timedelta(seconds=15)
MAX_TURN = timedelta(seconds=60)
POLLS_UNTIL_DELIVERY = 2

Order = Mapping[str, Any]


class UnansweredError(Exception):
    """The vendor may or may not have taken the order."""


class UnreachableError(Exception):
    """The vendor surely has not taken the order."""


@dataclass(slots=True)
class Grocer:
    """A fake vendor: takes orders, charges for each, delivers after some polls."""

    effects: Effects
    orders: dict[str, str] = field(default_factory=dict)
    polls: dict[str, int] = field(default_factory=dict)

    def order(self, path: Path, intent_id: str) -> str:
        """Order once more, whatever was ordered before; the name of the order."""

        def take() -> str:
            operation = f"order-{len(self.effects.log) + 1}"
            self.orders[intent_id] = operation
            self.effects.accepted(path, intent_id=intent_id, operation=operation)
            return operation

        return self.effects.call("order", take, unavailable=UnreachableError(), lost=UnansweredError())

    def find(self, intent_id: str) -> str | None:
        """The order made for an intent, if there is one."""
        return self.effects.call("find", lambda: self.orders.get(intent_id))

    def has_arrived(self, operation: str) -> bool:
        """Whether the goods are here."""

        def look() -> bool:
            self.polls[operation] = self.polls.get(operation, 0) + 1
            return self.polls[operation] >= POLLS_UNTIL_DELIVERY

        return self.effects.call("poll", look, lost=TransientError("GROCER_BUSY", "no answer from the grocer"))


def order(job: Mapping[str, Any], *, turn: Turn, grocer: Grocer) -> Outcome:
    """Order each item once."""
    for item in ITEMS:
        attempts: Mapping[str, Order] = job["orders"].get(item, {})
        latest = attempts[max(attempts)] if attempts else None
        if latest is not None and latest.get("operation") not in (None, NOT_ACCEPTED):
            continue
        if latest is not None and latest.get("operation") is None:
            path = ("orders", item, max(attempts))
            operation = grocer.find(latest["intent_id"])
            if operation is None and to_ms(turn.now) < latest["watch_until_ms"]:
                return Wait(timedelta(minutes=1), waiting_for="lost_answer")
            turn.record_fact(path, intent_id=latest["intent_id"], operation=operation or NOT_ACCEPTED)
            if operation is not None:
                continue
        if not _order_anew(item, len(attempts) + 1, turn, grocer):
            return Wait(timedelta(minutes=1), waiting_for="lost_answer")
    return Advance("ordered")


def _order_anew(item: str, number: int, turn: Turn, grocer: Grocer) -> bool:
    """Intent, order, fact; False when the answer was lost."""
    path = ("orders", item, f"{number:03d}")
    intent_id = f"{item}/{number}/{turn.attempt}"
    intent: JsonValue = {"intent_id": intent_id, "watch_until_ms": to_ms(turn.deadline + WATCH)}
    turn.checkpoint({path[:2]: {path[2]: intent}} if number == 1 else {path: intent})
    if turn.time_left <= timedelta(0):
        # Another worker may have the lease by now, and look for this very order.
        turn.record_fact(path, intent_id=intent_id, operation=NOT_ACCEPTED)
        raise TransientError("OUT_OF_TIME", "the turn was over before the order could be made")
    try:
        operation = grocer.order(path, intent_id)
    except UnreachableError as error:
        turn.record_fact(path, intent_id=intent_id, operation=NOT_ACCEPTED)
        raise TransientError("GROCER_UNREACHABLE", "the grocer cannot be reached") from error
    except UnansweredError:
        return False
    turn.record_fact(path, intent_id=intent_id, operation=operation)
    return True


def collect(job: Mapping[str, Any], *, turn: Turn, grocer: Grocer) -> Outcome:
    """Wait for what was ordered."""
    operations = [attempts[max(attempts)]["operation"] for attempts in job["orders"].values()]
    if all(grocer.has_arrived(operation) for operation in operations):
        return Advance("collected", {("collected_at_ms",): to_ms(turn.now)})
    return Wait(POLL_EVERY)


def make_scenario(
    *, may_be_deleted: bool = False, may_be_resumed: bool = False, has_after_work: bool = True
) -> Scenario[Mapping[str, Any]]:
    """A new world: a grocer, and the machine that buys from it."""
    effects = Effects()
    grocer = Grocer(effects)
    machine = Machine(
        "shopping",
        states=[
            Working("ordering", step=partial(order, grocer=grocer), deadline=timedelta(hours=2), max_turn=MAX_TURN),
            Working("collecting", step=partial(collect, grocer=grocer), deadline=timedelta(hours=2), max_turn=MAX_TURN),
            Terminal("completed"),
            Terminal("failed"),
        ],
        initial="ordering",
        transitions=[
            Transition("ordered", "ordering", "collecting"),
            Transition("collected", "collecting", "completed"),
            Transition("failed", ("ordering", "collecting"), "failed"),
            Transition("cancelled", ("ordering", "collecting"), "failed"),
            Transition("retried", "failed", BACK),
        ],
        signals={"cancelled", "retried"},
        load=_as_it_is,
    )
    return Scenario(
        machine,
        data={"orders": {}},
        effects=effects,
        signals={"cancelled": {}, "retried": {}},
        may_be_deleted=may_be_deleted,
        may_be_resumed=may_be_resumed,
        check=_check,
        after_work=(lambda execution, notices: None) if has_after_work else None,  # noqa: ARG005  nobody is told
    )


def _as_it_is(data: Mapping[str, JsonValue]) -> Mapping[str, Any]:
    return data


def _check(execution: Execution | None, effects: Effects) -> Sequence[str]:
    paid = [intent_id.partition("/")[0] for intent_id, _ in effects.log]
    wrong = [f"{item!r} was paid for {paid.count(item)} times" for item in ITEMS if paid.count(item) > 1]
    if execution is not None and execution.state == "completed":
        wrong += [f"{item!r} was never ordered" for item in ITEMS if item not in paid]
        wrong += [] if value_at(execution.data, ("collected_at_ms",)) else ["the patch of the last step is not stored"]
    return wrong
