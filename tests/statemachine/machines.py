"""A small machine whose steps answer what a test tells them."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from statemachine.execution import JsonValue
from statemachine.machine import BACK, Machine, Resting, Terminal, Transition, Turn, Working
from statemachine.outcome import Advance, Outcome
from statemachine.retry import RetryPolicy

Job = Mapping[str, Any]
Answer = Outcome | BaseException | Callable[[Job, Turn], Outcome]

MAX_TURN = timedelta(seconds=60)
DEADLINE = timedelta(hours=1)
RETRY = RetryPolicy(max_attempts=3, first_delay=timedelta(seconds=10), jitter=0)


class Script:
    """A step that gives its answers in order, the last one for ever.  An exception is raised, a function called."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.attempts: list[int] = []

    def __call__(self, job: Job, *, turn: Turn) -> Outcome:
        """Answer."""
        self.attempts.append(turn.attempt)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer(job, turn) if callable(answer) else answer


def a_machine(
    *,
    draft: Script | None = None,
    print_: Script | None = None,
    deadline: timedelta | Callable[[Job], timedelta] = DEADLINE,
    retry: RetryPolicy = RETRY,
    max_turn: timedelta = MAX_TURN,
    name: str = "letters",
) -> Machine[Job]:
    """From `drafting` (by `reviewing`) and `printing` to `completed`; each can fail, be cancelled and be retried."""
    return Machine(
        name,
        states=[
            Working(
                "drafting", step=draft or Script(Advance("drafted")), deadline=deadline, max_turn=max_turn, retry=retry
            ),
            Resting("reviewing"),
            Working(
                "printing", step=print_ or Script(Advance("printed")), deadline=deadline, max_turn=max_turn, retry=retry
            ),
            Terminal("completed"),
            Terminal("failed"),
        ],
        initial="drafting",
        transitions=[
            Transition("drafted", "drafting", "printing"),
            Transition("review_asked", "drafting", "reviewing"),
            Transition("approved", "reviewing", "printing"),
            Transition("printed", "printing", "completed"),
            Transition("failed", ("drafting", "printing"), "failed"),
            Transition("cancelled", ("drafting", "reviewing", "printing"), "failed"),
            Transition("retried", "failed", BACK),
        ],
        signals={"approved", "cancelled", "retried"},
        load=as_it_is,
    )


def as_it_is(data: Mapping[str, JsonValue]) -> Job:
    """Data, read as it is stored."""
    return data
