from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from statemachine.errors import EventNotAllowedError, MachineDefinitionError
from statemachine.machine import BACK, Machine, Resting, Terminal, Transition, Working
from statemachine.outcome import Advance
from tests.statemachine.machines import Job, Script, a_machine, as_it_is

STATES = ("drafting", "reviewing", "printing", "completed", "failed")
EVENTS = ("drafted", "review_asked", "approved", "printed", "failed", "cancelled", "retried")

# Every event that a state knows, and where it leads; whatever is not here is refused.  `retried` is for an execution
# that failed in `printing`.
LEADS_TO = {
    ("drafting", "drafted"): "printing",
    ("drafting", "review_asked"): "reviewing",
    ("drafting", "failed"): "failed",
    ("drafting", "cancelled"): "failed",
    ("reviewing", "approved"): "printing",
    ("reviewing", "cancelled"): "failed",
    ("printing", "printed"): "completed",
    ("printing", "failed"): "failed",
    ("printing", "cancelled"): "failed",
    ("failed", "retried"): "printing",
}


def working(name: str, *, deadline: timedelta = timedelta(1), max_turn: timedelta = timedelta(1)) -> Working[Job]:
    return Working(name, step=Script(Advance("done")), deadline=deadline, max_turn=max_turn)


def declared(
    *,
    states: Sequence[Working[Job] | Resting | Terminal] = (working("a"), Terminal("completed"), Terminal("failed")),
    transitions: Sequence[Transition] = (Transition("done", "a", "completed"), Transition("failed", "a", "failed")),
    signals: Sequence[str] = (),
    initial: str = "a",
    name: str = "m",
) -> Machine[Job]:
    return Machine(name, states=states, initial=initial, transitions=transitions, signals=signals, load=as_it_is)


def plus(*more: Transition) -> tuple[Transition, ...]:
    return (Transition("done", "a", "completed"), Transition("failed", "a", "failed"), *more)


def states_plus(*more: Working[Job] | Resting | Terminal) -> tuple[Working[Job] | Resting | Terminal, ...]:
    return (working("a"), Terminal("completed"), Terminal("failed"), *more)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS)
def test_event_leads_where_it_is_declared_and_nowhere_else(state: str, event: str) -> None:
    machine = a_machine()

    if (state, event) in LEADS_TO:
        assert machine.fire(event, state, failed_in="printing") == LEADS_TO[state, event]
    else:
        with pytest.raises(EventNotAllowedError) as caught:
            machine.fire(event, state, failed_in="printing")
        assert caught.value.allowed == tuple(known for known in EVENTS if (state, known) in LEADS_TO)


@pytest.mark.parametrize("state", ["drafting", "reviewing", "printing"])
def test_retry_leads_back_to_the_state_that_failed(state: str) -> None:
    assert a_machine().fire("retried", "failed", failed_in=state) == state


@pytest.mark.parametrize("failed_in", [None, "completed", "unknown"])
def test_retry_of_what_did_not_fail_in_a_known_state_is_refused(failed_in: str | None) -> None:
    with pytest.raises(EventNotAllowedError, match="'retried' is not allowed in state 'failed'"):
        a_machine().fire("retried", "failed", failed_in=failed_in)


def test_event_asked_for_twice_gets_the_same_answer() -> None:
    machine = a_machine()

    assert [machine.fire("drafted", "drafting") for _ in range(2)] == ["printing", "printing"]


def test_machine_grows_by_nothing_however_often_it_is_fired() -> None:
    """`transitions` would keep every model that was added to it."""
    machine: Any = a_machine()

    for number in range(100):
        with pytest.raises(EventNotAllowedError):
            machine.fire(f"unknown-{number}", "drafting")
        machine.fire("drafted", "drafting")

    assert len(machine._fired) == 1  # noqa: SLF001  what could grow is nobody's business but the machine's


def test_status_is_the_end_s_own_name_and_one_word_before() -> None:
    machine = a_machine()

    assert [machine.status(state) for state in STATES] == ["processing"] * 3 + ["completed", "failed"]


def test_unknown_state_is_none_and_no_end() -> None:
    machine = a_machine()

    assert machine.state("unknown") is None
    assert not machine.is_terminal("unknown")
    assert machine.events("unknown") == ()


def test_graph_is_the_same_for_the_same_declaration() -> None:
    assert a_machine().graph == a_machine(max_turn=timedelta(seconds=5), deadline=timedelta(days=1)).graph


@pytest.mark.parametrize(
    "other",
    [
        declared(name="other"),
        declared(signals=["done"]),
        declared(transitions=plus(Transition("skipped", "a", "completed"))),
        declared(states=states_plus(Terminal("b")), transitions=plus(Transition("left", "a", "b"))),
        declared(
            states=states_plus(Resting("b")),
            transitions=plus(Transition("paused", "a", "b"), Transition("resumed", "b", "a")),
            signals=["resumed"],
        ),
    ],
    ids=["name", "signals", "transition", "state", "kind"],
)
def test_graph_changes_with_the_declaration(other: Machine[Job]) -> None:
    assert other.graph != declared().graph


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"initial": "b"}, "the initial state 'b' is not declared"),
        ({"initial": "completed"}, "the initial state 'completed' is terminal"),
        ({"states": [working("a"), Terminal("completed")]}, "the failed state 'failed' is not declared as terminal"),
        ({"transitions": plus(Transition("x", "a", "b"))}, "event 'x' names an unknown state 'b'"),
        ({"transitions": plus(Transition("x", "b", "a"))}, "event 'x' names an unknown state 'b'"),
        ({"signals": ["x"]}, "signal 'x' has no transition"),
        ({"states": states_plus(working("a"))}, "state 'a' is declared twice"),
        (
            {"transitions": plus(Transition("done", "a", "failed"))},
            "event 'done' leads from 'a' to both 'completed' and 'failed'",
        ),
        (
            {"transitions": plus(Transition("x", "completed", "a"))},
            "event 'x' leaves the terminal state 'completed' unasked",
        ),
        (
            {"transitions": plus(Transition("x", "completed", BACK)), "signals": ["x"]},
            "event 'x' leads back from 'completed', where nothing failed",
        ),
        ({"transitions": [Transition("done", "a", "completed")]}, "working state 'a' has no way to fail"),
        (
            {"transitions": plus(), "signals": ["failed"]},
            "working state 'a' has no way to fail",
        ),
        (
            {"states": [working("a", deadline=timedelta(0)), Terminal("completed"), Terminal("failed")]},
            "working state 'a' has no deadline",
        ),
        (
            {"states": [working("a", max_turn=timedelta(0)), Terminal("completed"), Terminal("failed")]},
            "working state 'a' has no time for a turn",
        ),
        (
            {
                "states": states_plus(Resting("b")),
                "transitions": plus(Transition("x", "a", "b"), Transition("y", "b", "a")),
            },
            "resting state 'b' has no step to fire 'y'",
        ),
        ({"states": states_plus(Terminal("b"))}, "state 'b' is unreachable"),
        (
            {
                "states": states_plus(working("b")),
                "transitions": plus(Transition("x", "a", "b"), Transition("failed", "b", "failed")),
            },
            "state 'b' is a dead end: no terminal state but 'failed' can be reached from it",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unsound_declaration_is_refused(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(MachineDefinitionError) as caught:
        declared(**changes)

    assert fault in caught.value.faults


def test_every_fault_is_named_not_only_the_first() -> None:
    with pytest.raises(MachineDefinitionError) as caught:
        declared(states=states_plus(Terminal("b"), Resting("c")))

    assert caught.value.faults == [
        "state 'b' is unreachable",
        "state 'c' is unreachable",
        "state 'c' is a dead end: no terminal state but 'failed' can be reached from it",
    ]
    assert "'b' is unreachable; state 'c'" in str(caught.value)
