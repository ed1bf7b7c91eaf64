import functools
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from statemachine.diagram import mermaid, table
from statemachine.errors import PermanentError
from statemachine.execution import JsonValue
from statemachine.machine import Machine, Resting, Terminal, Transition, Turn, Working
from statemachine.outcome import Advance, Outcome
from statemachine.retry import RetryPolicy
from statemachine.testing import Stepper
from tests.statemachine.machines import Job, Script, a_machine, as_it_is

DIAGRAM = """\
stateDiagram-v2
    [*] --> drafting
    state "processing" as processing {
        state "drafting" as drafting
        state "reviewing" as reviewing
        state "printing" as printing
        drafting --> printing : drafted
        drafting --> reviewing : review_asked
        reviewing --> printing : approved (by hand)
    }
    state "completed" as completed
    state "failed" as failed
    printing --> completed : printed
    processing --> failed : failed, cancelled (by hand)
    failed --> processing : retried (by hand), to where it failed
    completed --> [*]
    failed --> [*]
    classDef working fill:#dbeafe,stroke:#1d4ed8,color:#172554
    classDef resting fill:#fef3c7,stroke:#b45309,color:#451a03,stroke-dasharray:5 3
    classDef terminal fill:#e5e7eb,stroke:#374151,color:#111827,stroke-width:3px
    class drafting,printing working
    class reviewing resting
    class completed,failed terminal
"""


def type_letter(job: Job, *, turn: Turn, paper: str) -> Outcome:
    return Advance("typed", {("paper",): paper})


def by_length(job: Mapping[str, Any]) -> timedelta:
    return timedelta(minutes=len(job))


def awkward() -> Machine[Mapping[str, JsonValue]]:
    """Names that Mermaid would stumble over, and one working state only."""
    return Machine(
        "awkward",
        states=[
            Working(
                "processing",
                step=functools.partial(functools.partial(type_letter), paper="A4"),
                deadline=by_length,
                max_turn=timedelta(minutes=1, seconds=30),
                retry=RetryPolicy(max_attempts=1),
                note="types | and\nprints",
            ),
            Resting("waiting for you"),
            Terminal("end"),
            Terminal("failed"),
        ],
        initial="processing",
        transitions=[
            Transition("typed", "processing", "waiting for you"),
            Transition("signed", "waiting for you", "end"),
            Transition("failed", "processing", "failed"),
        ],
        signals={"signed"},
        load=as_it_is,
    )


def test_diagram_shows_every_state_and_event_once() -> None:
    assert mermaid(a_machine()) == DIAGRAM


def test_diagram_marks_the_live_state() -> None:
    stepper = Stepper(a_machine())
    stepper.start({})
    stepper.run_until("printing")

    lines = mermaid(stepper.engine.machine, execution=stepper.execution).splitlines()

    assert "    class printing live" in lines
    assert "    class drafting working" in lines
    assert any(line.startswith("    classDef live ") for line in lines)


def test_diagram_marks_where_it_failed() -> None:
    stepper = Stepper(a_machine(print_=Script(PermanentError("NO_PAPER", "the tray is empty"))))
    stepper.start({})
    stepper.run()

    lines = mermaid(stepper.engine.machine, execution=stepper.execution).splitlines()

    assert "    class failed live" in lines
    assert "    class printing broken" in lines


def test_diagram_of_an_execution_that_the_machine_does_not_know_marks_nothing() -> None:
    stepper = Stepper(a_machine())
    stepper.start({})

    assert "live" not in mermaid(awkward(), execution=stepper.execution)


def test_diagram_gives_awkward_names_a_plain_identifier() -> None:
    lines = mermaid(awkward()).splitlines()

    assert '    state "processing" as processing_ {' in lines
    assert '        state "waiting for you" as waiting_for_you' in lines
    assert '    state "end" as end_' in lines
    assert "    waiting_for_you --> end_ : signed (by hand)" in lines
    assert "    processing --> failed : failed" in lines


def test_table_tells_of_each_state_what_a_person_asks() -> None:
    rows = [line.strip("| ").split(" | ") for line in table(a_machine()).splitlines()]

    assert rows[0] == ["State", "Kind", "Step", "Leaves on", "Deadline", "Longest turn", "Attempts", "Note"]
    assert rows[2][:7] == [
        "drafting",
        "working",
        "`Script`",
        "drafted, review_asked, failed, cancelled (by hand)",
        "1 h",
        "1 min",
        "3, after 10 s, 2 times longer each, at most 5 min",
    ]
    assert rows[3][:4] == ["reviewing", "resting", "-", "approved (by hand), cancelled (by hand)"]
    assert rows[5][:4] == ["completed", "terminal", "-", "-"]
    assert len(rows) == 2 + 5


def test_table_names_functions_under_what_is_bound_to_them_and_escapes_notes() -> None:
    row = table(awkward()).splitlines()[2]

    assert row == (
        "| processing | working | `type_letter` | typed, failed | by job: `by_length` | 1 min 30 s | 1 "
        "| types \\| and prints |"
    )
