"""Leases on one machine: short, renewed while a step runs, ended at its longest time."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from statemachine.engine import Engine
from statemachine.errors import StoreUnavailableError
from statemachine.execution import Execution, Lease
from statemachine.machine import Turn
from statemachine.memory import MemoryDispatcher, MemoryStore
from statemachine.outcome import Advance, Outcome
from statemachine.testing import Stepper, VirtualClock
from statemachine.testing.clock import NOON
from statemachine.turn import Renewal
from tests.statemachine.machines import Job, Script, a_machine

LEASE = timedelta(seconds=10)
# Real time between two looks of the renewing thread; the time that it sees is virtual.
EVERY = timedelta(milliseconds=1)
# A test that has to wait longer than this has failed.
PATIENCE_SECONDS = 10.0


class Renewed(MemoryStore):
    """A memory store that tells when a lease was renewed, and can fail to."""

    def __init__(self) -> None:
        super().__init__()
        self.renewals: list[datetime] = []
        self.errors: list[Exception] = []
        self.has_renewed = threading.Semaphore(0)

    def renew(self, execution_id: str, *, owner: str, expires_at: datetime) -> None:
        """Renew, or fail."""
        if self.errors:
            raise self.errors.pop(0)
        super().renew(execution_id, owner=owner, expires_at=expires_at)
        self.renewals.append(expires_at)
        self.has_renewed.release()


class Bench:
    """An execution on one machine, whose first step is the test's own."""

    def __init__(self, work: Callable[[Turn], None], **engine: Any) -> None:  # noqa: ANN401  whatever Engine takes
        self.overruns: list[str] = []
        self.has_overrun = threading.Semaphore(0)
        self.store = Renewed()

        def step(job: Job, turn: Turn) -> Outcome:
            work(turn)
            return Advance("review_asked")

        self.stepper = Stepper(
            a_machine(draft=Script(step)),
            store=self.store,
            renewal=Renewal(lease=LEASE, every=EVERY, on_overrun=self._overrun),
            **engine,
        )
        self.stepper.start({})

    def _overrun(self) -> None:
        self.overruns.append(threading.current_thread().name)
        self.has_overrun.release()

    def lease(self) -> Lease:
        """The lease that stands."""
        lease = self.store.get("execution-1").lease
        assert lease is not None
        return lease


def test_lease_is_short_and_renewed_while_the_step_runs() -> None:
    seen: list[Execution] = []

    def work(turn: Turn) -> None:
        seen.append(bench.store.get("execution-1"))
        bench.stepper.advance(timedelta(seconds=9))
        # The first renewal may have begun before time moved; the second has not.
        for _ in range(2):
            assert bench.store.has_renewed.acquire(timeout=PATIENCE_SECONDS)
        seen.append(bench.store.get("execution-1"))

    bench = Bench(work)

    assert bench.stepper.step().kind == "advanced"

    assert [execution.lease and execution.lease.expires_at for execution in seen] == [
        NOON + LEASE,
        NOON + timedelta(seconds=9) + LEASE,
    ]
    assert [execution.due_at for execution in seen] == [NOON + LEASE, NOON + timedelta(seconds=9) + LEASE]
    assert bench.overruns == []


def test_step_sees_its_longest_time_and_not_the_lease() -> None:
    deadlines: list[datetime] = []

    Bench(lambda turn: deadlines.append(turn.deadline)).stepper.step()

    assert deadlines == [NOON + timedelta(seconds=60)]


def test_renewal_ends_at_the_longest_time_and_the_children_are_ended(caplog: pytest.LogCaptureFixture) -> None:
    def work(turn: Turn) -> None:
        assert bench.store.has_renewed.acquire(timeout=PATIENCE_SECONDS)
        bench.stepper.advance(timedelta(seconds=60))
        assert bench.has_overrun.acquire(timeout=PATIENCE_SECONDS)

    bench = Bench(work)

    bench.stepper.step()

    assert bench.overruns == ["lease-renewal"]
    assert max(bench.store.renewals) < NOON + timedelta(seconds=60) + LEASE
    assert "is over its time" in caplog.text


def test_children_of_a_cancelled_turn_are_ended_at_once() -> None:
    """Nobody wants what they are making."""

    def work(turn: Turn) -> None:
        bench.stepper.signal("cancelled")
        assert bench.has_overrun.acquire(timeout=PATIENCE_SECONDS)

    bench = Bench(work)

    assert bench.stepper.step().kind == "lost"
    assert (len(bench.overruns), bench.stepper.state) == (1, "failed")


def test_children_of_a_deleted_execution_are_ended_too() -> None:
    def work(turn: Turn) -> None:
        bench.store.delete("execution-1")
        assert bench.has_overrun.acquire(timeout=PATIENCE_SECONDS)

    bench = Bench(work)

    assert bench.stepper.step().kind == "lost"


def test_renewal_that_fails_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    def work(turn: Turn) -> None:
        assert bench.store.has_renewed.acquire(timeout=PATIENCE_SECONDS)

    bench = Bench(work)
    bench.store.errors = [StoreUnavailableError("locked"), StoreUnavailableError("locked")]

    assert bench.stepper.step().kind == "advanced"
    assert "not renewed: locked" in caplog.text
    assert bench.overruns == []


def test_nothing_is_renewed_after_the_step() -> None:
    def work(turn: Turn) -> None:
        assert bench.store.has_renewed.acquire(timeout=PATIENCE_SECONDS)

    bench = Bench(work)

    bench.stepper.step()

    assert [thread for thread in threading.enumerate() if thread.name == "lease-renewal"] == []
    assert bench.stepper.execution.lease is None


def test_execution_of_a_killed_process_is_free_again_when_its_lease_ends() -> None:
    """Within 12 s: a lease of 10, and the look a second later."""

    class ProcessGone(BaseException):
        pass

    def die(turn: Turn) -> None:
        raise ProcessGone

    bench = Bench(die)
    with pytest.raises(ProcessGone):
        bench.stepper.step()
    bench.stepper.advance(bench.lease().expires_at - bench.stepper.clock.now())

    assert bench.stepper.clock.now() - NOON <= timedelta(seconds=12)
    assert bench.stepper.sweep().dispatched == 1


def test_after_work_is_renewed_like_a_step() -> None:
    def tell(execution: Execution, notices: object) -> None:
        assert bench.store.has_renewed.acquire(timeout=PATIENCE_SECONDS)

    bench = Bench(lambda turn: None, after_work=tell)
    bench.stepper.signal("cancelled")

    result = bench.stepper.run()

    assert (result.state, result.due_at) == ("failed", None)
    assert bench.store.renewals


def test_overrun_of_a_renewal_that_names_nothing_to_end_just_ends() -> None:
    ended = threading.Semaphore(0)
    clock, store, dispatcher = VirtualClock(), Renewed(), MemoryDispatcher()

    def step(job: Job, turn: Turn) -> Outcome:
        clock.advance(timedelta(seconds=60))
        thread = next(thread for thread in threading.enumerate() if thread.name == "lease-renewal")
        thread.join(PATIENCE_SECONDS)
        if not thread.is_alive():
            ended.release()
        return Advance("drafted")

    engine = Engine(
        a_machine(draft=Script(step)), store=store, dispatcher=dispatcher, clock=clock, renewal=Renewal(every=EVERY)
    )
    engine.start("execution-1", {})

    assert engine.run_turn(dispatcher.events.popleft()).kind == "advanced"
    assert ended.acquire(blocking=False)


def test_turn_that_a_person_stops_leaves_its_execution_free_at_once() -> None:
    def stopped(turn: Turn) -> None:
        bench.stepper.advance(timedelta(seconds=1))
        raise KeyboardInterrupt

    bench = Bench(stopped)

    with pytest.raises(KeyboardInterrupt):
        bench.stepper.step()

    assert bench.lease().has_expired(NOON + timedelta(seconds=1))
    assert bench.stepper.execution.due_at == NOON + timedelta(seconds=1)
