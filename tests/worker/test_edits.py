from typing import Any

import pytest

from statemachine import PermanentError
from tests.worker.fakes import planned_job_data
from worker.edits import MAX_PROMPTS_BYTES, BeatEdit, approve_patch, retry_patch
from worker.job import Job

EDIT = BeatEdit(scene_index=1, visual_prompt="a calm harbour at dawn")


def a_job(**task: Any) -> Job:  # noqa: ANN401  fields of scene 1's task
    data: dict[str, Any] = planned_job_data(scenes=3)
    data["vertex_ai_tasks"]["001"].update(task)
    return Job.model_validate(data)


ON_ORDER = {
    "intent_id": "i",
    "beat_revision": 1,
    "model": "fake",
    "seconds": 6,
    "seed": 1,
    "price_usd": 0.6,
    "intended_at": "2026-11-22T12:00:00Z",
    "watch_from": "2026-11-22T12:02:00Z",
    "operation": "operations/i",
}


def test_an_edit_is_a_new_revision_with_a_full_allowance() -> None:
    patch = approve_patch(a_job(allowance=1), [EDIT])

    assert patch == {
        ("scene_beats", "001", "visual_prompt"): "a calm harbour at dawn",
        ("scene_beats", "001", "is_cut"): False,
        ("scene_beats", "001", "revision"): 2,
        ("vertex_ai_tasks", "001", "error_code"): None,
        ("vertex_ai_tasks", "001", "allowance"): 3,
    }


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"clip_key": "clips/001.mp4"}, "scene 2 has its clip already"),
        ({"attempts": {"001": ON_ORDER}}, "the clip of scene 2 is on order"),
    ],
)
def test_a_scene_that_was_paid_for_cannot_change(task: dict[str, Any], message: str) -> None:
    with pytest.raises(PermanentError, match=message):
        approve_patch(a_job(**task), [EDIT])


def test_a_scene_that_does_not_exist_cannot_be_edited() -> None:
    with pytest.raises(PermanentError, match="there is no scene 8; there are 3"):
        approve_patch(a_job(), [BeatEdit(scene_index=7, visual_prompt="x")])


def test_the_longest_prompts_for_all_scenes_may_be_written() -> None:
    job = Job.model_validate(planned_job_data(scenes=75))

    patch = approve_patch(job, [BeatEdit(scene_index=index, visual_prompt="x" * 2000) for index in range(75)])

    assert patch["scene_beats", "074", "visual_prompt"] == "x" * 2000


def test_prompts_that_would_fill_the_row_are_refused() -> None:
    """What becomes of a job is written beside them; a row that is full could not even fail."""
    job = Job.model_validate(planned_job_data(scenes=75))
    edits = [BeatEdit(scene_index=index, visual_prompt="海" * 2000) for index in range(40)]

    with pytest.raises(PermanentError, match=f"at most {MAX_PROMPTS_BYTES:,} fit") as refused:
        approve_patch(job, edits)

    assert refused.value.code == "EDIT_INVALID"


def test_a_scene_cannot_be_edited_twice_at_once() -> None:
    with pytest.raises(PermanentError, match="scene 2 is edited twice"):
        approve_patch(a_job(), [EDIT, EDIT])


def test_a_filtered_scene_has_to_be_edited_before_it_is_paid_for_again() -> None:
    with pytest.raises(PermanentError) as raised:
        retry_patch(a_job(status="failed", error_code="CONTENT_FILTERED"), [])

    assert (raised.value.code, raised.value.details) == ("EDIT_NEEDED", {"scene_index": 1})


def test_a_retry_lets_a_failed_scene_wait_again_and_buys_one_more_order() -> None:
    ended = {**ON_ORDER, "outcome": "failed"}
    job = a_job(status="failed", error_code="PROVIDER_ERROR", attempts={f"00{i}": ended for i in (1, 2, 3)})

    patch = retry_patch(job, [])

    path = ("vertex_ai_tasks", "001")
    assert patch == {
        (*path, "allowance"): 4,
        (*path, "status"): "waiting",
    }


def test_a_scene_whose_clip_is_still_on_order_is_looked_at_again_and_not_ordered_again() -> None:
    job = a_job(status="failed", error_code="PROVIDER_UNAVAILABLE", attempts={"001": ON_ORDER})

    patch = retry_patch(job, [])

    assert patch["vertex_ai_tasks", "001", "status"] == "submitted"


def test_a_retry_may_raise_the_cost_limit() -> None:
    assert retry_patch(a_job(), [], max_cost_usd=9.5) == {("options", "max_cost_usd"): 9.5}
