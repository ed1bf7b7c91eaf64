"""A still from a neighbouring scene in place of a clip that could not be made, where the person wanted that."""

import tempfile
from pathlib import Path

from statemachine import JsonValue
from statemachine import Path as DataPath
from worker.job import WARNINGS, SceneTask, relative_key, scene_key, thumbnail_of
from worker.keys import content_key
from worker.steps.render.parts import FETCH_TIME, FORMATS, THUMBNAIL_WIDTH
from worker.steps.render.round import Round, task_path

SCENE_SUBSTITUTED = "SCENE_SUBSTITUTED"

# What another attempt, or another day, need not change.  A missing model, an exhausted limit or an operation that is
# still open are a person's to settle, and no still hides them.
SUBSTITUTABLE = frozenset({"CONTENT_FILTERED", "PROVIDER_ERROR", "PROVIDER_EMPTY_RESULT", "CLIP_BROKEN"})


def may_substitute(now: Round) -> bool:
    """Whether every scene that failed so far may have a still in place of its clip."""
    return now.job.options.on_scene_failure == "substitute" and all(
        task.error_code in SUBSTITUTABLE and task.open_attempt is None for task in now.failed
    )


def substitute_failed(now: Round) -> None:
    """Give every failed scene a still of its nearest neighbour; nothing, where no scene has a clip of its own."""
    drawn = [task for task in now.tasks.values() if task.clip_key is not None and not task.is_substitute]
    if not drawn:
        return
    for task in now.failed:
        if not now.has_time_for(FETCH_TIME):
            return
        # The earlier one, where two are equally near: its last picture goes on standing.
        nearest = min(drawn, key=lambda other: (abs(other.scene_index - task.scene_index), other.scene_index))
        _substitute(now, task.scene_index, nearest)


def _substitute(now: Round, index: int, neighbour: SceneTask) -> None:
    job, beat, assembler, media = now.job, now.beats[index], now.ports.assembler, now.ports.media
    is_before = neighbour.scene_index < index
    at_seconds = now.beats[neighbour.scene_index].seconds if is_before else 0.0
    with tempfile.TemporaryDirectory(dir=now.ports.work_folder) as name:
        still, thumbnail = Path(name) / "still.mp4", Path(name) / "thumbnail.jpg"
        with media.local_copy(_clip_key(neighbour)) as source:
            assembler.still_clip(
                source,
                still,
                at_seconds=at_seconds,
                seconds=beat.seconds,
                target=FORMATS[job.options.aspect_ratio],
            )
        assembler.thumbnail(still, thumbnail, at_seconds=0.0, width=THUMBNAIL_WIDTH)
        clip_key = content_key(still, prefix=job.prefix, name=f"clips/{scene_key(index)}")
        media.upload(still, clip_key)
        media.upload(thumbnail, thumbnail_of(clip_key))
    path = task_path(index)
    now.set_task(index, status="completed", clip_key=clip_key, is_substitute=True)
    patch: dict[DataPath, JsonValue] = {
        (*path, "status"): "completed",
        (*path, "clip_key"): relative_key(clip_key, job.prefix),
        (*path, "clip_seconds"): beat.seconds,
        (*path, "is_substitute"): True,
        (*WARNINGS, SCENE_SUBSTITUTED): _warning(now),
    }
    now.turn.checkpoint(patch)


def _clip_key(task: SceneTask) -> str:
    if task.clip_key is None:
        raise AssertionError("a neighbour is chosen among scenes with a clip")  # pragma: no cover
    return task.clip_key


def _warning(now: Round) -> str:
    scenes = [str(task.scene_index + 1) for task in now.tasks.values() if task.is_substitute]
    return f"shown as a still of a neighbouring scene, because no clip could be made: scene {', '.join(scenes)}"
