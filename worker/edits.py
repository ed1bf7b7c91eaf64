"""What a person may change in a job at rest: scenes in review, and scenes that failed.  Pure: job in, patch out.

Only scenes without a clip may change; what was paid for is kept.
"""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from statemachine import JsonValue, Path, PermanentError
from worker.job import AMBIGUOUS, SCENE_BEATS, TASKS, Job, SceneBeat, SceneTask, scene_key

# No control characters but tab and line feed; of what is to be seen, at least one that can be seen.
_TEXT = r"[^\x00-\x08\x0b-\x1f\x7f]*"
_SEEN = rf"^{_TEXT}[^\s\x00-\x1f\x7f]{_TEXT}$"

# DynamoDB takes a row of 400 KB.  The longest job's is some 64 KB (`python -m benchmarks dynamodb`); what people write
# has to leave room for what becomes of it, and for the platform's attributes: a row that is full could not even fail.
MAX_PROMPTS_BYTES = 200_000


class BeatEdit(BaseModel):
    """A person's new words for one scene.  As of a planner, a prompt of nothing but spaces is not taken."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    scene_index: int = Field(ge=0, le=9999)
    visual_prompt: str = Field(min_length=1, max_length=2000, pattern=_SEEN)
    negative_prompt: str | None = Field(default=None, max_length=500, pattern=rf"^{_TEXT}$")


def approve_patch(job: Job, edits: Sequence[BeatEdit]) -> dict[Path, JsonValue]:
    """The patch of an approval: the edited prompts.

    Raises:
        PermanentError: code EDIT_INVALID.
    """
    return _edited(job, edits)


def retry_patch(job: Job, edits: Sequence[BeatEdit], *, max_cost_usd: float | None = None) -> dict[Path, JsonValue]:
    """The patch of a retry: failed scenes wait again, edited ones as a new revision.

    A scene that a content filter refused has to be edited: the same words would be paid for and refused again.  Every
    other failed scene gets one more submission by this retry; one whose clip was never finished only
    if it is not there when it is looked for once more.

    Raises:
        PermanentError: code EDIT_INVALID or EDIT_NEEDED.
    """
    patch = _edited(job, edits)
    edited = {edit.scene_index for edit in edits}
    for beat, task in zip(job.beats, job.tasks, strict=True):
        if task.status != "failed":
            continue
        path = (*TASKS, scene_key(task.scene_index))
        if task.open_attempt is not None and task.error_code == AMBIGUOUS:
            patch[*path, "attempts", task.open_attempt[0], "asked_again"] = True
        if task.scene_index not in edited:
            if task.error_code == "CONTENT_FILTERED":
                raise PermanentError(
                    "EDIT_NEEDED",
                    f"scene {task.scene_index + 1} was refused by the content filter; edit its prompt, then retry",
                    user_action="edit_scene",
                    details={"scene_index": task.scene_index},
                )
            if task.open_attempt is None:
                patch[*path, "allowance"] = max(task.allowance, task.spent_attempts(beat.revision) + 1)
        # As few paths as can be: one write takes some two hundred, and after an outage all 75 scenes may have failed.
        patch[*path, "status"] = "waiting" if task.open_attempt is None else "submitted"
    if max_cost_usd is not None:
        patch["options", "max_cost_usd"] = max_cost_usd
    return patch


def _edited(job: Job, edits: Sequence[BeatEdit]) -> dict[Path, JsonValue]:
    tasks = {task.scene_index: task for task in job.tasks}
    beats = {beat.scene_index: beat for beat in job.beats}
    patch: dict[Path, JsonValue] = {}
    for edit in edits:
        _check(edit, edits, tasks)
        beat = beats[edit.scene_index]
        path = (*SCENE_BEATS, scene_key(edit.scene_index))
        patch[*path, "visual_prompt"] = edit.visual_prompt
        patch[*path, "is_cut"] = False
        if beat.is_adjusted:
            patch[*path, "is_adjusted"] = False
        patch[*TASKS, scene_key(edit.scene_index), "error_code"] = None
        if edit.negative_prompt is not None:
            patch[*path, "negative_prompt"] = edit.negative_prompt
        patch[*path, "revision"] = beat.revision + 1
        patch[*TASKS, scene_key(edit.scene_index), "allowance"] = SceneTask(scene_index=0).allowance
        beats[edit.scene_index] = _reworded(beat, edit)
    size = sum(len(f"{beat.visual_prompt}{beat.negative_prompt}".encode()) for beat in beats.values())
    if edits and size > MAX_PROMPTS_BYTES:
        raise PermanentError(
            "EDIT_INVALID",
            f"the scenes' prompts would take {size:,} bytes together; at most {MAX_PROMPTS_BYTES:,} fit, shorten some",
        )
    return patch


def _reworded(beat: SceneBeat, edit: BeatEdit) -> SceneBeat:
    negative = beat.negative_prompt if edit.negative_prompt is None else edit.negative_prompt
    return beat.model_copy(update={"visual_prompt": edit.visual_prompt, "negative_prompt": negative})


def _check(edit: BeatEdit, edits: Sequence[BeatEdit], tasks: Mapping[int, SceneTask]) -> None:
    number = edit.scene_index + 1
    if edit.scene_index not in tasks:
        raise PermanentError("EDIT_INVALID", f"there is no scene {number}; there are {len(tasks)}")
    if sum(other.scene_index == edit.scene_index for other in edits) > 1:
        raise PermanentError("EDIT_INVALID", f"scene {number} is edited twice")
    task = tasks[edit.scene_index]
    if task.clip_key is not None:
        raise PermanentError("EDIT_INVALID", f"scene {number} has its clip already; only scenes without one may change")
    if task.open_attempt is not None:
        raise PermanentError("EDIT_INVALID", f"the clip of scene {number} is on order; it cannot change now")
