from datetime import timedelta

import pytest

from statemachine.execution import Failure
from statemachine.outcome import FREE_WAITS, Advance, Fail, Wait


@pytest.mark.parametrize("reason", sorted(FREE_WAITS))
def test_a_wait_that_is_nobodys_fault_is_free(reason: str) -> None:
    assert Wait(timedelta(seconds=15), waiting_for=reason).is_free


@pytest.mark.parametrize("reason", [None, "clips", "retry", ""])
def test_any_other_wait_uses_up_the_deadline(reason: str | None) -> None:
    assert not Wait(timedelta(seconds=15), waiting_for=reason).is_free


def test_an_answer_without_a_patch_changes_nothing() -> None:
    answers = (Advance("done"), Wait(timedelta(0)), Fail(Failure("BROKEN", "it broke")))

    assert [dict(answer.patch) for answer in answers] == [{}, {}, {}]


def test_answers_are_compared_by_value_and_cannot_be_changed() -> None:
    assert Advance("done", {("a",): 1}) == Advance("done", {("a",): 1})
    assert Advance("done") != Advance("failed")
    with pytest.raises(AttributeError):
        Advance("done").event = "changed"  # type: ignore[misc]  # frozen
