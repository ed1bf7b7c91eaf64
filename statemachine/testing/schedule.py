"""Schedules: which choice is made at each boundary, so that an execution can be run again exactly as it went."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

# Boundaries over which the faults of a random schedule are spread, on average.
RANDOM_SPREAD = 60


class Chooser(Protocol):
    """Decides at every boundary.  Choice 0 is always 'nothing goes wrong, the nearest thing happens next'."""

    def choose(self, position: int, count: int) -> int:
        """One of `count` choices at boundary number `position`; `count` is at least 2."""


@dataclass(frozen=True, slots=True)
class Deviations:
    """Choice 0 everywhere but at the named boundaries: (position, choice), in order of position.

    Written '17:2,31:1'; '-' without any.
    """

    choices: tuple[tuple[int, int], ...] = ()

    def __str__(self) -> str:
        return ",".join(f"{position}:{choice}" for position, choice in self.choices) or "-"

    def chooser(self) -> Chooser:
        """A chooser that goes exactly this way."""
        return _Deviating(dict(self.choices))

    def but(self, position: int, choice: int) -> "Deviations":
        """The same way with one deviation more, after the last."""
        return Deviations((*self.choices, (position, choice)))

    def without(self, index: int) -> "Deviations":
        """The same way without the deviation at `index`."""
        return Deviations(self.choices[:index] + self.choices[index + 1 :])


@dataclass(frozen=True, slots=True)
class Seed:
    """At most `faults` deviations, at boundaries that follow from `number` alone.  Written 'seed-42/6'."""

    number: int
    faults: int = 6

    def __str__(self) -> str:
        return f"seed-{self.number}/{self.faults}"

    def chooser(self) -> Chooser:
        """A chooser that goes exactly this way."""
        return _Random(self.number, self.faults)


Schedule = Deviations | Seed


def parse(text: str) -> Schedule:
    """The schedule that was printed as `text`.

    Raises:
        ValueError: it is no schedule.
    """
    try:
        if text.startswith("seed-"):
            number, _, faults = text.removeprefix("seed-").partition("/")
            return Seed(int(number), int(faults))
        if text == "-":
            return Deviations()
        pairs = [pair.split(":") for pair in text.split(",")]
        return Deviations(tuple((int(position), int(choice)) for position, choice in pairs))
    except ValueError as error:
        raise ValueError(f"not a schedule: {text!r}; it reads like '17:2,31:1', '-' or 'seed-42/6'") from error


def deviations_of(choices: Sequence[tuple[int, int]]) -> Deviations:
    """What a run chose, (choice, count) a boundary, as deviations: the same run without its seed."""
    return Deviations(tuple((position, choice) for position, (choice, _) in enumerate(choices) if choice))


class _Deviating:
    def __init__(self, choices: dict[int, int]) -> None:
        self._choices = choices

    def choose(self, position: int, count: int) -> int:
        # With an earlier deviation left out, a boundary may offer less than it did.
        return min(self._choices.get(position, 0), count - 1)


class _Random:
    def __init__(self, number: int, faults: int) -> None:
        self._random = random.Random(number)  # noqa: S311  replayable on purpose, and no secret
        self._left = self._random.randint(1, faults)
        self._chance = self._left / RANDOM_SPREAD

    def choose(self, position: int, count: int) -> int:  # noqa: ARG002  the order of the draws is the position
        if not self._left or self._random.random() >= self._chance:
            return 0
        self._left -= 1
        return self._random.randrange(1, count)
