"""Threads of which exactly one works at any moment: each hands over to the next, so a run can be repeated exactly."""

import threading
from collections.abc import Callable
from typing import Self


class Killed(BaseException):
    """The worker's process is gone.  A BaseException, so that no `except Exception` of a step survives it."""


class Crew:
    """Threads for actors, kept for the next run.  Close it, or use it in a `with` block."""

    def __init__(self) -> None:
        self._idle: list[Hand] = []
        self._all: list[Hand] = []

    def take(self) -> "Hand":
        """A thread that has nothing to do."""
        if self._idle:
            return self._idle.pop()
        hand = Hand()
        self._all.append(hand)
        return hand

    def give_back(self, hand: "Hand") -> None:
        """The thread has nothing to do any more."""
        self._idle.append(hand)

    def close(self) -> None:
        """End the threads."""
        for hand in self._all:
            hand.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Hand:
    """A thread that works only while it is resumed.  Locks, because they hand over faster than anything above them."""

    def __init__(self) -> None:
        self._mine, self._caller = threading.Lock(), threading.Lock()
        self._mine.acquire()
        self._caller.acquire()
        self._work: Callable[[], None] = _nothing
        self._is_ended = False
        self.is_idle = True
        self._thread = threading.Thread(target=self._loop, name="simulated", daemon=True)
        self._thread.start()

    def give(self, work: Callable[[], None]) -> None:
        """What to do when it is resumed."""
        self._work, self.is_idle = work, False

    def resume(self) -> None:
        """Let it work until it pauses or is done."""
        self._mine.release()
        self._caller.acquire()

    def pause(self) -> None:
        """From inside: hand over to whoever resumed it, and wait."""
        self._caller.release()
        self._mine.acquire()

    def end(self) -> None:
        """Let an idle thread end."""
        self._is_ended = True
        self._mine.release()
        self._thread.join()

    def _loop(self) -> None:
        while True:
            self._mine.acquire()
            if self._is_ended:
                return
            self._work()
            self.is_idle = True
            self._caller.release()


def _nothing() -> None:
    """What a thread does that was given nothing to do."""
