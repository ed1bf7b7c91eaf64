from datetime import UTC, datetime, timedelta

import pytest
from freezegun import freeze_time

from statemachine.aws import DynamoStore
from statemachine.dispatcher import Event
from statemachine.errors import PermanentError
from statemachine.memory import MemoryStore
from statemachine.outcome import Advance, Wait
from statemachine.testing import FrozenClock, Stepper, StuckError, VirtualClock
from statemachine.testing.clock import NOON
from tests import dynamodb_tables
from tests.mocked_aws import mock_aws
from tests.statemachine.machines import Script, a_machine

WAITS_ONCE = (Wait(timedelta(seconds=15)), Advance("drafted"))


def test_step_runs_one_turn_of_the_real_engine() -> None:
    stepper = Stepper(a_machine())
    stepper.start({"to": "Ada"})

    result = stepper.step()

    assert (result.kind, result.state, stepper.state) == ("advanced", "drafting", "printing")
    assert stepper.data["to"] == "Ada"


def test_time_stands_still_until_it_is_advanced() -> None:
    stepper = Stepper(a_machine(draft=Script(*WAITS_ONCE)))
    stepper.start({})
    stepper.step()

    with pytest.raises(StuckError, match=r"'drafting' at version 2, due in 0:00:15"):
        stepper.step()
    stepper.advance(timedelta(seconds=15))

    assert stepper.step().kind == "advanced"


def test_run_until_lets_time_pass_where_the_execution_waits() -> None:
    stepper = Stepper(a_machine(draft=Script(*WAITS_ONCE)))
    stepper.start({})

    execution = stepper.run_until("printing")

    assert execution.state == "printing"
    assert stepper.clock.now() == NOON + timedelta(seconds=15)


def test_run_until_a_state_that_is_never_reached_says_why() -> None:
    stepper = Stepper(a_machine(draft=Script(PermanentError("NO_INK", "the well is dry"))))
    stepper.start({})

    with pytest.raises(StuckError, match=r"never came to printing: .* 'failed' .* failed with NO_INK: the well is dry"):
        stepper.run_until("printing")


def test_run_until_gives_up_on_an_execution_that_goes_in_circles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("statemachine.testing.stepper.MOST_TURNS", 5)
    stepper = Stepper(a_machine(draft=Script(Wait(timedelta(0)))))
    stepper.start({})

    with pytest.raises(StuckError, match="5 turns did not lead to printing"):
        stepper.run_until("printing")
    with pytest.raises(StuckError, match="5 turns did not lead to an end"):
        stepper.run()


def test_run_ends_where_a_person_must_act() -> None:
    stepper = Stepper(a_machine(draft=Script(Advance("review_asked"))))
    stepper.start({})

    assert stepper.run().state == "reviewing"


def test_signal_leads_on_from_there() -> None:
    stepper = Stepper(a_machine(draft=Script(Advance("review_asked"))))
    stepper.start({})
    stepper.run()

    stepper.signal("approved", patch={("by",): "Ada"})

    assert stepper.run().state == "completed"
    assert stepper.data["by"] == "Ada"


def test_event_delivered_twice_is_ignored_the_second_time() -> None:
    stepper = Stepper(a_machine())
    stepper.start({})

    first, second = stepper.deliver_twice()

    assert (first.kind, second.kind) == ("advanced", "ignored")


def test_dropped_event_is_made_up_for_by_the_sweep() -> None:
    stepper = Stepper(a_machine())
    stepper.start({})

    lost = stepper.drop()
    stepper.advance(timedelta(seconds=75))

    assert lost == Event("execution-1", 1)
    assert stepper.sweep().dispatched == 1
    assert stepper.events == (lost,)
    assert stepper.step().kind == "advanced"


def test_dropped_event_that_comes_far_too_late_does_nothing() -> None:
    stepper = Stepper(a_machine())
    stepper.start({})
    lost = stepper.drop()
    stepper.run()

    assert stepper.deliver(lost).kind == "ignored"
    assert stepper.state == "completed"


def test_nothing_to_drop_is_told() -> None:
    stepper = Stepper(a_machine())
    stepper.start({})
    stepper.drop()

    with pytest.raises(StuckError, match="no event waits"):
        stepper.drop()


def test_replacing_a_finished_execution_starts_anew() -> None:
    stepper = Stepper(a_machine())
    stepper.start({"n": 1})
    stepper.run()

    stepper.start({"n": 2}, replace_execution=True)

    assert (stepper.state, stepper.data["n"]) == ("drafting", 2)


def test_stepper_works_on_any_store_and_under_any_id() -> None:
    store = MemoryStore()
    stepper = Stepper(a_machine(), store=store, execution_id="letter-7", time_left=timedelta(seconds=100))
    stepper.start({})
    stepper.run()

    assert store.get("letter-7").state == "completed"


def test_stepper_moves_frozen_time() -> None:
    """Libraries that ask the time by themselves then live in the same moment as the engine."""
    with freeze_time("2026-05-01 10:00:00") as frozen:
        stepper = Stepper(a_machine(draft=Script(*WAITS_ONCE)), clock=FrozenClock(frozen))
        stepper.start({})

        stepper.run()

        assert stepper.execution.updated_at == datetime(2026, 5, 1, 10, 0, 15, tzinfo=UTC)
        assert datetime.now(UTC) == datetime(2026, 5, 1, 10, 0, 15, tzinfo=UTC)


def test_stepper_steps_a_row_of_dynamodb_under_moto_and_frozen_time() -> None:
    with mock_aws(), freeze_time("2026-05-01 10:00:00") as frozen:
        client = dynamodb_tables.client_of(None)
        layout = dynamodb_tables.created(client, dynamodb_tables.ONE_PART)
        stepper = Stepper(
            a_machine(draft=Script(*WAITS_ONCE)),
            store=DynamoStore(client, layout=layout),
            clock=FrozenClock(frozen),
            execution_id=dynamodb_tables.with_row(client, layout),
        )
        stepper.start({"to": "Ada"})
        stepper.drop()

        ended = stepper.run()

        assert (ended.state, ended.data["to"]) == ("completed", "Ada")
        assert ended.updated_at == datetime(2026, 5, 1, 10, 1, 30, tzinfo=UTC)


def test_frozen_clock_does_not_go_back() -> None:
    with freeze_time("2026-05-01 10:00:00") as frozen:
        clock = FrozenClock(frozen)

        clock.sleep(timedelta(seconds=-5))

        assert clock.now() == datetime(2026, 5, 1, 10, tzinfo=UTC)


def test_virtual_clock_does_not_go_back() -> None:
    clock = VirtualClock()

    clock.sleep(timedelta(seconds=-5))
    with pytest.raises(ValueError, match="time does not go back"):
        clock.advance(timedelta(seconds=-5))

    assert clock.now() == NOON
