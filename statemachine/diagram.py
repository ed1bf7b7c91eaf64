"""A machine as a Mermaid state diagram and as a Markdown table, for people.

Both follow from the declaration alone and come out the same every time, so that they can be checked in and compared.
"""

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from statemachine.execution import Execution
from statemachine.machine import BACK, Machine, Resting, Terminal, Working
from statemachine.retry import RetryPolicy

JobT = TypeVar("JobT")

# Fill, border and text are given together, so that the picture can be read on a dark page too.
STYLES = {
    "working": "fill:#dbeafe,stroke:#1d4ed8,color:#172554",
    "resting": "fill:#fef3c7,stroke:#b45309,color:#451a03,stroke-dasharray:5 3",
    "terminal": "fill:#e5e7eb,stroke:#374151,color:#111827,stroke-width:3px",
    "live": "fill:#16a34a,stroke:#14532d,color:#ffffff,stroke-width:4px",
    "broken": "fill:#fee2e2,stroke:#b91c1c,color:#450a0a,stroke-width:4px",
}

# Mermaid cannot draw a dashed transition between states; a signal is told apart by a word.
SIGNAL_MARK = "by hand"


def mermaid(machine: Machine[JobT], *, execution: Execution | None = None) -> str:
    """The machine as a `stateDiagram-v2`, ending in a newline.

    States that are not the end stand in one frame, named as the status, so that what leads from all of them to the
    failed state, and back, is one arrow each.  With an `execution`, its state is marked, and the one where it failed.
    """
    open_states = [name for name in machine.states if not machine.is_terminal(name)]
    frame = _frame_name(machine)
    lines = [
        "stateDiagram-v2",
        f"    [*] --> {_id(machine.initial)}",
        f'    state "{machine.working_status}" as {frame} {{',
    ]
    lines += [f"        {_drawn(name)}" for name in open_states]
    inside, outside = _arrows(machine, frame)
    lines += [f"        {line}" for line in inside]
    lines.append("    }")
    lines += [f"    {_drawn(name)}" for name in machine.states if machine.is_terminal(name)]
    lines += [f"    {line}" for line in outside]
    lines += [f"    {_id(name)} --> [*]" for name in machine.states if machine.is_terminal(name)]
    lines += _styled(machine, execution)
    return "\n".join(lines) + "\n"


def table(machine: Machine[JobT]) -> str:
    """The machine as a Markdown table with a row a state, ending in a newline."""
    rows = [
        ("State", "Kind", "Step", "Leaves on", "Deadline", "Longest turn", "Attempts", "Note"),
        ("---",) * 8,
        *(_row(machine, state) for state in machine.states.values()),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _arrows(machine: Machine[JobT], frame: str) -> tuple[list[str], list[str]]:
    """Arrows between two open states, and all others.  Events between the same two ends share one."""
    labels: dict[tuple[str, str], list[str]] = {}
    for transition in machine.transitions:
        label = f"{transition.event} ({SIGNAL_MARK})" if transition.event in machine.signals else transition.event
        if transition.target == BACK:
            ends = [(_id(source), frame) for source in transition.sources]
            label += ", to where it failed"
        elif _leads_from_all(machine, transition.sources, transition.target):
            ends = [(frame, _id(transition.target))]
        else:
            ends = [(_id(source), _id(transition.target)) for source in transition.sources]
        for end in ends:
            labels.setdefault(end, []).append(label)
    open_ids = {_id(name) for name in machine.states if not machine.is_terminal(name)}
    inside: list[str] = []
    outside: list[str] = []
    for (source, target), names in labels.items():
        line = f"{source} --> {target} : {', '.join(names)}"
        (inside if {source, target} <= open_ids else outside).append(line)
    return inside, outside


def _leads_from_all(machine: Machine[JobT], sources: tuple[str, ...], target: str) -> bool:
    """Whether it leads from everything at work to the failed state; a state at rest has nothing that could fail."""
    working = {name for name, state in machine.states.items() if isinstance(state, Working)}
    return target == machine.failed and len(working) > 1 and working <= set(sources)


def _styled(machine: Machine[JobT], execution: Execution | None) -> list[str]:
    kinds = {name: _kind(state) for name, state in machine.states.items()}
    if execution is not None:
        if execution.failed_in in kinds:
            kinds[execution.failed_in] = "broken"
        if execution.state in kinds:
            kinds[execution.state] = "live"
    lines = [f"    classDef {kind} {style}" for kind, style in STYLES.items() if kind in kinds.values()]
    for kind in STYLES:
        names = [_id(name) for name, of in kinds.items() if of == kind]
        if names:
            lines.append(f"    class {','.join(names)} {kind}")
    return lines


def _row(machine: Machine[JobT], state: Working[JobT] | Resting | Terminal) -> tuple[str, ...]:
    events = [f"{event} ({SIGNAL_MARK})" if event in machine.signals else event for event in machine.events(state.name)]
    leaves_on = ", ".join(events) or "-"
    if not isinstance(state, Working):
        return (state.name, _kind(state), "-", leaves_on, "-", "-", "-", _cell(state.note))
    deadline = _span(state.deadline) if isinstance(state.deadline, timedelta) else f"by job: `{_name(state.deadline)}`"
    return (
        state.name,
        _kind(state),
        f"`{_name(state.step)}`",
        leaves_on,
        deadline,
        _span(state.max_turn),
        _retries(state.retry),
        _cell(state.note),
    )


def _kind(state: Working[Any] | Resting | Terminal) -> str:
    return type(state).__name__.lower()


def _name(function: Callable[..., object]) -> str:
    """The function's own name, under whatever `functools.partial` has bound its ports with."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__)


def _retries(policy: RetryPolicy) -> str:
    if policy.max_attempts == 1:
        return "1"
    first, longest = _span(policy.first_delay), _span(policy.max_delay)
    return f"{policy.max_attempts}, after {first}, {policy.factor:g} times longer each, at most {longest}"


def _span(span: timedelta) -> str:
    """A span in its largest units: '1 h 30 min', '45 s', '0.5 s'."""
    seconds = span.total_seconds()
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count:g} {unit}")
    if seconds or not parts:
        parts.append(f"{seconds:g} s")
    return " ".join(parts)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _frame_name(machine: Machine[JobT]) -> str:
    """The frame's identifier; a state may be called like the status of the whole."""
    name = _id(machine.working_status)
    while name in {_id(state) for state in machine.states}:
        name += "_"
    return name


def _drawn(name: str) -> str:
    return f'state "{name}" as {_id(name)}'


def _id(name: str) -> str:
    """An identifier for Mermaid, where a name may hold only letters, digits and '_', and 'end' means something."""
    plain = "".join(character if character.isalnum() else "_" for character in name)
    return f"{plain}_" if plain in {"end", "state", "note", "class", "fork", "join", "choice"} else plain
