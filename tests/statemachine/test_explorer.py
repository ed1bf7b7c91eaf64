"""The explorer finds nothing in the real engine, and finds every bug that is planted in it."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import pytest

from statemachine.engine import Engine
from statemachine.errors import LeaseHeldError, LeaseLostError
from statemachine.execution import Execution, JsonValue, Patch, Path, to_ms
from statemachine.machine import Machine, Turn
from statemachine.memory import MemoryStore
from statemachine.outcome import Advance, Outcome, Wait
from statemachine.store import DueRow
from statemachine.sweeper import Sweeper
from statemachine.testing import Effects, Explorer, Run, Scenario, sample
from statemachine.testing.schedule import Deviations, Seed, parse
from tests.statemachine.machines import Job, Script, a_machine

JobT = TypeVar("JobT")

# What `make test` tries; `python -m benchmarks explore` tries 10,000.
RANDOM_SCHEDULES = 300


# --- the real engine ------------------------------------------------------------------------------------------------


def test_every_single_fault_at_every_boundary_is_survived() -> None:
    found = Explorer(sample.make_scenario).exhaust(faults=1)

    found.assert_sound()
    assert found.schedules > 150
    assert found.endings.keys() == {"completed", "CANCELLED", "no record"}


def test_random_schedules_of_up_to_six_faults_are_survived() -> None:
    make = partial(sample.make_scenario, may_be_deleted=True, may_be_resumed=True)

    found = Explorer(make).sample(RANDOM_SCHEDULES)

    found.assert_sound()
    assert found.schedules == RANDOM_SCHEDULES
    assert found.endings["completed"] > RANDOM_SCHEDULES / 2


def test_person_who_asks_for_a_turn_at_any_boundary_spoils_nothing() -> None:
    Explorer(partial(sample.make_scenario, may_be_resumed=True)).exhaust(faults=1).assert_sound()


def test_record_deleted_at_any_boundary_is_never_brought_back() -> None:
    found = Explorer(partial(sample.make_scenario, may_be_deleted=True)).exhaust(faults=1)

    found.assert_sound()
    assert found.endings["no record"] > 20


def test_sweep_that_stays_is_interleaved_with_workers_and_with_the_next_one() -> None:
    found = Explorer(sample.make_scenario, whole_sweeps=True).sample(50, faults=12)

    found.assert_sound()
    assert found.endings["completed"] > 25


def test_execution_without_after_work_survives_every_single_fault() -> None:
    found = Explorer(partial(sample.make_scenario, has_after_work=False)).exhaust(faults=1)

    found.assert_sound()


def test_person_in_the_middle_survives_every_single_fault() -> None:
    def make() -> Scenario[Job]:
        return Scenario(
            a_machine(draft=Script(Advance("review_asked"))),
            data={},
            effects=Effects(),
            signals={"approved": {("by",): "Ada"}, "cancelled": {}, "retried": {}},
        )

    found = Explorer(make).exhaust(faults=1)

    found.assert_sound()
    assert found.endings.keys() >= {"reviewing", "completed", "CANCELLED"}


def test_faultless_schedule_completes_the_job() -> None:
    run = Explorer(sample.make_scenario).replay("-")

    assert (run.ending, run.wrong) == ("completed", None)
    assert all(choice == 0 for choice, _ in run.choices)


# --- the same, with a bug in it -------------------------------------------------------------------------------------


class SavesWithoutFence(MemoryStore):
    """Whoever saves the next version may."""

    def save(self, execution: Execution, *, owner: str, patch: Patch) -> None:
        lease = self.get(execution.execution_id).lease
        super().save(execution, owner=lease.owner if lease else owner, patch=patch)


class CheckpointsWithoutFence(MemoryStore):
    """Whoever wants to write a checkpoint may."""

    def checkpoint(self, execution_id: str, *, owner: str, patch: Patch) -> None:
        lease = self.get(execution_id).lease
        super().checkpoint(execution_id, owner=lease.owner if lease else owner, patch=patch)


class LeasesForEver(MemoryStore):
    """A lease ends only with a save."""

    def lease(
        self, execution_id: str, *, version: int, owner: str, now: datetime, at_most: timedelta, margin: timedelta
    ) -> Execution:
        lease = self.get(execution_id).lease
        if lease is not None and lease.owner != owner:
            raise LeaseHeldError(execution_id, expires_at=lease.expires_at)
        return super().lease(execution_id, version=version, owner=owner, now=now, at_most=at_most, margin=margin)


class LeasesToEverybody(MemoryStore):
    """A lease does not keep the next one away."""

    def lease(
        self, execution_id: str, *, version: int, owner: str, now: datetime, at_most: timedelta, margin: timedelta
    ) -> Execution:
        lease = self.get(execution_id).lease
        now = now if lease is None or lease.owner == owner else max(now, lease.expires_at)
        return super().lease(execution_id, version=version, owner=owner, now=now, at_most=at_most, margin=margin)


class CountsAfterTheRun(MemoryStore):
    """Attempts are counted by the save, so a turn that dies was none."""

    def lease(
        self, execution_id: str, *, version: int, owner: str, now: datetime, at_most: timedelta, margin: timedelta
    ) -> Execution:
        leased = super().lease(execution_id, version=version, owner=owner, now=now, at_most=at_most, margin=margin)
        self._executions[execution_id] = leased.changed(attempt=leased.attempt - 1, unsaved_turns=0)
        return leased


class FencesFacts(MemoryStore):
    """A paid fact is refused when the lease is gone."""

    def record_fact(self, execution_id: str, *, path: Path, intent_id: str, operation: str, owner: str) -> bool:
        lease = self.get(execution_id).lease
        if lease is None or lease.owner != owner:
            raise LeaseLostError(execution_id)
        return super().record_fact(execution_id, path=path, intent_id=intent_id, operation=operation, owner=owner)


class DispatchesBeforeSaving(Engine[JobT]):
    """The next turn is asked for before there is one."""

    def _concluded(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  the private signature is not the point
        concluded = super()._concluded(*args, **kwargs)
        if concluded.dispatch:
            self._dispatch(concluded.execution)
        return concluded


class TrustsTheDispatch(Engine[JobT]):
    """What was dispatched will surely come: no due time."""

    def _scheduled(self, execution: Execution, now: datetime) -> tuple[Execution, bool]:
        scheduled, dispatch = super()._scheduled(execution, now)
        return (scheduled.changed(due_at=None) if dispatch else scheduled), dispatch


class TakesUpAgain(Engine[JobT]):
    """A turn at the end of an execution sends it back to work."""

    def _do_after_work(self, execution: Execution, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as above
        again = execution.changed(state=self.machine.initial, version=execution.version + 1, lease=None)
        lease = execution.lease
        self.store.save(again, owner=lease.owner if lease else "", patch={})
        return super()._do_after_work(execution, *args, **kwargs)


class IgnoresLeasedRows(Sweeper):
    """A leased row is somebody else's business."""

    def _due(self, *args: Any, **kwargs: Any) -> list[DueRow] | None:  # noqa: ANN401  as above
        rows = super()._due(*args, **kwargs)
        return rows and [row for row in rows if self._store.get(row.execution_id).lease is None]


def order_before_checkpoint(item: str, number: int, turn: Turn, grocer: sample.Grocer) -> bool:
    """The intent is written down when there is already something to write about."""
    path = ("orders", item, f"{number:03d}")
    intent_id = f"{item}/{number}/{turn.attempt}"
    operation = grocer.order(path, intent_id)
    intent: JsonValue = {"intent_id": intent_id, "watch_until_ms": to_ms(turn.deadline), "operation": operation}
    turn.checkpoint({path[:2]: {path[2]: intent}} if number == 1 else {path: intent})
    return True


def order_again_at_once(job: Mapping[str, Any], *, turn: Turn, grocer: sample.Grocer) -> Outcome:
    """An intent without an answer is taken for one that never arrived."""
    for item in sample.ITEMS:
        attempts = job["orders"].get(item, {})
        known = [attempt for attempt in attempts.values() if attempt.get("operation")]
        if not known and not sample._order_anew(item, len(attempts) + 1, turn, grocer):  # noqa: SLF001  the planted step is the sample's, less its care
            return Wait(timedelta(minutes=1))
    return Advance("ordered")


PARTS: dict[str, tuple[Callable[[], Explorer[Any]], str]] = {
    "save without fence": (
        lambda: Explorer(sample.make_scenario, store=SavesWithoutFence),
        "save wrote under a lease that was not its own",
    ),
    "checkpoint without fence": (
        lambda: Explorer(sample.make_scenario, store=CheckpointsWithoutFence),
        "checkpoint wrote under a lease that was not its own",
    ),
    "lease never expiring": (
        lambda: Explorer(sample.make_scenario, store=LeasesForEver),
        "and nobody comes",
    ),
    "lease given while one stands": (
        lambda: Explorer(sample.make_scenario, store=LeasesToEverybody),
        "a lease was taken that stood until",
    ),
    "attempt counted after the run": (
        lambda: Explorer(sample.make_scenario, store=CountsAfterTheRun),
        "'ordering' works on an attempt that is not counted yet",
    ),
    "fenced fact": (
        lambda: Explorer(sample.make_scenario, store=FencesFacts),
        "was refused and is lost",
    ),
    "dispatch before save": (
        lambda: Explorer(sample.make_scenario, engine=DispatchesBeforeSaving),
        "was dispatched before it was saved",
    ),
    "no due time after a dispatch": (
        lambda: Explorer(sample.make_scenario, engine=TrustsTheDispatch),
        "with work to do and no due time",
    ),
    "end left unasked": (
        lambda: Explorer(sample.make_scenario, engine=TakesUpAgain),
        "save left the end 'completed' for 'ordering'",
    ),
    "sweep ignoring leased rows": (
        lambda: Explorer(sample.make_scenario, sweeper=IgnoresLeasedRows),
        "and nobody comes",
    ),
}

# A stale worker has to meet a second one in the middle of its turn: two things go wrong, or nobody sees the bug.
TAKE_TWO_FAULTS = {"save without fence", "checkpoint without fence", "lease given while one stands"}

STEPS: dict[str, tuple[str, Callable[..., Any], str]] = {
    "checkpoint after the effect": ("_order_anew", order_before_checkpoint, "paid for"),
    "ordering again what nobody answered": ("order", order_again_at_once, "'bread' was paid for 2 times"),
}


@pytest.mark.parametrize("bug", sorted(PARTS.keys() - TAKE_TWO_FAULTS))
def test_planted_bug_is_found_by_one_fault_and_the_same_schedule_passes_without_it(bug: str) -> None:
    make, sentence = PARTS[bug]

    found = make().exhaust(faults=1)

    assert [sentence in str(finding.shortest.wrong) for finding in found.findings] == [True]
    finding = found.findings[0]
    sound = Explorer(sample.make_scenario)
    assert sound.replay(finding.schedule).wrong is None
    assert sound.replay(finding.shortest.deviations).wrong is None


@pytest.mark.parametrize("bug", STEPS)
def test_bug_planted_in_a_step_is_found_and_the_same_schedule_passes_without_it(
    bug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, planted, sentence = STEPS[bug]

    with monkeypatch.context() as patch:
        patch.setattr(sample, name, planted)
        found = Explorer(sample.make_scenario).exhaust(faults=1)

    assert [sentence in str(finding.shortest.wrong) for finding in found.findings] == [True]
    assert Explorer(sample.make_scenario).replay(found.findings[0].schedule).wrong is None


@pytest.mark.parametrize("bug", PARTS)
def test_planted_bug_is_found_by_random_schedules_and_the_same_seed_passes_without_it(bug: str) -> None:
    make, sentence = PARTS[bug]

    found = make().sample(RANDOM_SCHEDULES)

    assert [sentence in str(finding.shortest.wrong) for finding in found.findings] == [True]
    assert Explorer(sample.make_scenario).replay(found.findings[0].schedule).wrong is None


# --- findings -------------------------------------------------------------------------------------------------------


def test_finding_is_printed_with_a_schedule_that_replays_it() -> None:
    explorer = PARTS["save without fence"][0]()

    with pytest.raises(AssertionError, match="save wrote under a lease that was not its own") as caught:
        explorer.sample(RANDOM_SCHEDULES).assert_sound()

    printed = str(caught.value)
    schedule = printed.partition("replay '")[2].partition("'")[0]
    again = explorer.replay(schedule)
    assert again.wrong == printed.partition("\n")[0]
    assert "\n".join(again.trace) in printed
    assert any("stall" in line for line in again.trace)


def test_shortest_schedule_keeps_only_what_the_fault_needs() -> None:
    explorer = PARTS["save without fence"][0]()

    shortest = explorer.sample(RANDOM_SCHEDULES).findings[0].shortest.deviations

    assert len(shortest.choices) == 2
    assert [explorer.replay(shortest.without(index)).wrong for index in range(2)] == [None, None]


def test_random_run_is_the_same_when_run_again() -> None:
    explorer = Explorer(sample.make_scenario)

    def without_seed(run: Run) -> tuple[object, ...]:
        return run.ending, run.choices

    runs = [explorer.replay("seed-7/6"), explorer.replay("seed-7/6")]

    assert without_seed(runs[0]) == without_seed(runs[1])
    assert without_seed(explorer.replay(runs[0].deviations)) == without_seed(runs[0])


def test_exploration_goes_on_to_as_many_findings_as_asked_for() -> None:
    found = PARTS["end left unasked"][0]().sample(RANDOM_SCHEDULES, findings=3)

    assert len(found.findings) == 3
    assert found.schedules < RANDOM_SCHEDULES


def test_exploring_nothing_is_no_proof() -> None:
    with pytest.raises(AssertionError, match="no schedule was tried"):
        Explorer(sample.make_scenario).sample(0).assert_sound()


def test_exception_that_leaves_the_engine_is_a_finding() -> None:
    class Raises(Engine[JobT]):
        def _retry_or_fail(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  the private signature is not the point
            raise ZeroDivisionError("planted")

    found = Explorer(sample.make_scenario, engine=Raises).exhaust(faults=1)

    assert "raised ZeroDivisionError: planted" in str(found.findings[0])


def test_own_check_of_a_scenario_is_a_finding() -> None:
    def make() -> Scenario[Job]:
        return Scenario(a_machine(), data={}, effects=Effects(), check=lambda _, __: ["the letter is not signed"])

    assert Explorer(make).replay("-").wrong == "the letter is not signed"


def test_execution_that_never_ends_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("statemachine.testing.simulation.MOST_BOUNDARIES", 50)

    def make() -> Scenario[Job]:
        return Scenario(a_machine(draft=Script(Wait(timedelta(0)))), data={}, effects=Effects())

    assert Explorer(make).replay("-").wrong == "50 boundaries, and no end"


def test_killed_worker_does_nothing_more_however_hard_it_tries() -> None:
    """A step's `finally` runs while the simulated process is gone; what it calls must not happen."""
    effects = Effects()
    done: list[str] = []

    def holds_on(job: Job, *, turn: Turn) -> Outcome:
        try:
            effects.call("work", lambda: done.append("work"))
        finally:
            effects.call("clean up", lambda: done.append("clean up"))
        return Advance("drafted")

    def make() -> Scenario[Job]:
        done.clear()
        return Scenario(a_machine(draft=Script(lambda job, turn: holds_on(job, turn=turn))), data={}, effects=effects)

    explorer = Explorer(make)
    position = [line.endswith(" work") for line in _trace_of(explorer)].index(True)

    run = explorer.replay(Deviations(((position, 1),)))

    assert run.ending == "completed"
    assert done == ["work", "clean up"]


def _trace_of(explorer: Explorer[Any]) -> tuple[str, ...]:
    """The trace of the faultless run, which only a run that is wrong carries."""
    simulate = explorer._make_scenario  # noqa: SLF001  to make the run wrong at its very end

    def make() -> Scenario[Any]:
        scenario = simulate()
        return Scenario(scenario.machine, scenario.data, scenario.effects, check=lambda _, __: ["told"])

    return Explorer(make).replay("-").trace


def test_call_from_outside_of_a_step_is_told() -> None:
    """A check that asks a vendor would be a boundary that nobody stands at."""

    def make() -> Scenario[Job]:
        effects = Effects()
        return Scenario(
            a_machine(), data={}, effects=effects, check=lambda _, __: [effects.call("ask", lambda: "nothing")]
        )

    with pytest.raises(RuntimeError, match="nobody is at work"):
        Explorer(make).replay("-")


def test_lease_renewed_under_every_single_fault_stays_sound() -> None:
    class Renews(Engine[JobT]):
        def _run_step(self, state: Any, execution: Execution, owner: str, time_left: Any) -> Any:  # noqa: ANN401  as above
            assert execution.lease is not None
            self.store.renew(
                execution.execution_id, owner=owner, expires_at=execution.lease.expires_at + timedelta(seconds=1)
            )
            return super()._run_step(state, execution, owner, time_left)

    found = Explorer(sample.make_scenario, engine=Renews).exhaust(faults=1)

    found.assert_sound()
    assert found.longest > 133


def test_effects_outside_of_an_exploration_just_happen() -> None:
    """A scenario's vendors can be used in plain tests too."""
    effects = Effects()

    assert effects.call("work", lambda: 7, lost=RuntimeError()) == 7
    effects.accepted(("a",), intent_id="i", operation="o")
    assert effects.log == [("i", "o")]


# --- schedules ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", [Deviations(), Deviations(((3, 1), (17, 2))), Seed(42, 6)], ids=str)
def test_schedule_is_read_back_from_what_is_printed(schedule: Deviations | Seed) -> None:
    assert parse(str(schedule)) == schedule


@pytest.mark.parametrize("text", ["", "3", "3:x", "seed-", "seed-1"])
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a schedule: .* it reads like"):
        parse(text)


def test_explorer_takes_any_engine_that_is_made_like_the_real_one() -> None:
    made: list[Machine[Any]] = []

    def engine(machine: Machine[Any], **parts: Any) -> Engine[Any]:  # noqa: ANN401  handed on as they are
        made.append(machine)
        return Engine(machine, history_path=None, **parts)

    Explorer(sample.make_scenario, engine=engine).exhaust(faults=0).assert_sound()

    assert [machine.name for machine in made] == ["shopping"]
