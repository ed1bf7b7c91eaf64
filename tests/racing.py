"""Many threads that do one thing at one moment."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from statemachine.errors import StateMachineError

AnswerT = TypeVar("AnswerT")

# Only racers that never reach the line take so long.
_PATIENCE_SECONDS = 60


def raced(pool: ThreadPoolExecutor, racers: int, run: Callable[[int], AnswerT]) -> list[AnswerT | StateMachineError]:
    """What `run` returned or raised for each racer, all of which began together; the pool has a thread for each."""
    line = threading.Barrier(racers, timeout=_PATIENCE_SECONDS)

    def race(number: int) -> AnswerT | StateMachineError:
        line.wait()
        try:
            return run(number)
        except StateMachineError as error:
            return error

    return list(pool.map(race, range(racers)))
