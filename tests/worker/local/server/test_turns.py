"""Threads that wait for each other by events: nothing sleeps, and every wait ends when what it waits for happens."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from statemachine import Advance, Event, Execution, Outcome, Patch, SystemClock, TransientError, Turn, Wait
from statemachine.engine import Engine
from statemachine.memory import MemoryStore
from tests.statemachine.machines import Job, Script, a_machine
from worker.local.server import turns as turns_module
from worker.local.server.turns import TurnQueue, Turns

# Only a test that fails waits so long.
PATIENCE = 20.0


class Watched(MemoryStore):
    """Says when an execution has come to its end."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: dict[str, threading.Event] = {}

    def save(self, execution: Execution, *, owner: str, patch: Patch) -> None:
        super().save(execution, owner=owner, patch=patch)
        if execution.status != "processing":
            self.end_of(execution.execution_id).set()

    def end_of(self, execution_id: str) -> threading.Event:
        return self.ends.setdefault(execution_id, threading.Event())


class Works:
    """Turns over a store in memory."""

    def __init__(self, draft: Script) -> None:
        self.store = Watched()
        self.queue = TurnQueue()
        self.engine = Engine(a_machine(draft=draft), store=self.store, dispatcher=self.queue, clock=SystemClock())
        self.children_ended = threading.Event()

    def engine_of(self, execution: Execution) -> Engine[Job]:
        if execution.execution_id == "broken":
            raise RuntimeError("nobody foresaw this")
        return self.engine

    @contextmanager
    def running(self, *, at_once: int = 2) -> Iterator[Turns]:
        turns = Turns(
            engine=self.engine,
            queue=self.queue,
            engine_of=self.engine_of,
            end_children=self.children_ended.set,
            at_once=at_once,
        )
        turns.start()
        try:
            yield turns
        finally:
            turns.stop()

    def ends(self, *execution_ids: str) -> bool:
        return all(self.store.end_of(execution_id).wait(PATIENCE) for execution_id in execution_ids)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "FINISH_WITHIN", timedelta(seconds=0.05))
    monkeypatch.setattr(turns_module, "SWEEP_EVERY", timedelta(seconds=0.01))


def test_the_queue_gives_out_in_order_and_each_event_once() -> None:
    """What is due is found again and again until its turn has begun."""
    queue = TurnQueue()
    for event in (Event("a", 1), Event("b", 1), Event("a", 1), Event("a", 2)):
        queue.dispatch(event)

    assert [queue.take() for _ in range(3)] == [Event("a", 1), Event("b", 1), Event("a", 2)]


def test_a_closed_queue_gives_out_nothing() -> None:
    queue = TurnQueue()
    queue.dispatch(Event("a", 1))

    queue.close()

    assert queue.take() is None


def test_closing_wakes_who_waits() -> None:
    queue = TurnQueue()
    taken: list[Event | None] = []
    waiting = threading.Thread(target=lambda: taken.append(queue.take()))
    waiting.start()

    queue.close()
    waiting.join(PATIENCE)

    assert taken == [None]


def test_an_execution_that_starts_comes_to_its_end() -> None:
    works = Works(Script(Advance("drafted")))

    with works.running():
        works.engine.start("job", {})
        assert works.ends("job")

    assert works.store.get("job").state == "completed"


def test_what_waits_is_woken_when_it_is_due() -> None:
    works = Works(Script(Wait(timedelta(milliseconds=20)), Advance("drafted")))

    with works.running():
        works.engine.start("job", {})
        assert works.ends("job")


def test_what_an_earlier_server_was_asked_for_is_done_at_the_start() -> None:
    """The dispatch was lost with its process; the grace of 75 s is meant for Lambda's queue."""
    works = Works(Script(Advance("drafted")))
    works.engine.start("job", {})
    works.queue.events.clear()

    with works.running():
        assert works.ends("job")


def test_two_jobs_make_progress_at_once() -> None:
    both = threading.Barrier(2)

    def together(_job: Job, _turn: Turn) -> Outcome:
        both.wait(PATIENCE)
        return Advance("drafted")

    works = Works(Script(together))

    with works.running():
        works.engine.start("one", {})
        works.engine.start("two", {})
        assert works.ends("one", "two")


def test_a_turn_that_breaks_leaves_its_thread_to_the_next(caplog: pytest.LogCaptureFixture) -> None:
    works = Works(Script(Advance("drafted")))

    with works.running(at_once=1):
        works.engine.start("broken", {})
        works.engine.start("job", {})
        assert works.ends("job")

    assert "a turn of broken" in caplog.text


def test_stopping_lets_no_further_turn_begin() -> None:
    works = Works(Script(Advance("drafted")))

    with works.running():
        pass
    works.engine.start("job", {})

    assert works.store.get("job").state == "drafting"


def test_stopping_interrupts_a_long_turn_and_it_is_due_at_once() -> None:
    """Its child processes are ended; that is no attempt of the job's, and the next server need not wait."""
    begun = threading.Event()

    def long(_job: Job, _turn: Turn) -> Outcome:
        begun.set()
        works.children_ended.wait(PATIENCE)
        raise TransientError("RECOGNISER_DIED", "it was stopped")

    works = Works(Script(long))

    with works.running():
        works.engine.start("job", {})
        assert begun.wait(PATIENCE)

    left = works.store.get("job")
    assert left.lease is None
    assert left.due_at is not None
    assert left.due_at <= SystemClock().now()
    assert left.attempt == 0


def test_stopping_does_not_wait_for_a_turn_that_hangs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(turns_module, "GIVE_UP_WITHIN", timedelta(seconds=0.05))
    begun, let_go = threading.Event(), threading.Event()

    def hangs(_job: Job, _turn: Turn) -> Outcome:
        begun.set()
        let_go.wait(PATIENCE)
        return Advance("drafted")

    works = Works(Script(hangs))

    with works.running():
        works.engine.start("job", {})
        assert begun.wait(PATIENCE)
    left = works.store.get("job")
    let_go.set()

    assert left.lease is not None
    assert "job is taken up when its lease ends" in caplog.text
