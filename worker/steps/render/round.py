"""One turn's view of the job: what the record says, and what this turn has learnt since."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from statemachine import NOT_ACCEPTED, JsonValue, Path, PermanentError, Turn
from statemachine.execution import to_ms
from worker import cadence
from worker.job import (
    SCENE_BEATS,
    TASKS,
    ClipAttempt,
    Job,
    SceneBeat,
    SceneTask,
    WholePrompts,
    render_prefix,
    scene_key,
)
from worker.ports import ClipRequest
from worker.steps.render.parts import RenderPorts

log = logging.getLogger(__name__)

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


@dataclass(slots=True)
class Round:
    """What this turn works on.

    Attributes:
        beats, tasks: by scene, as they stand now.
        waits: when there is something to do again, from now.
        waiting_for: what the whole job waits for.
        out_of_time: something was left undone, because this turn has no time for it.
        patch: what need not be known before the turn is saved.
    """

    job: Job
    turn: Turn
    ports: RenderPorts
    beats: dict[int, SceneBeat]
    tasks: dict[int, SceneTask]
    waits: list[timedelta] = field(default_factory=list)
    waiting_for: str | None = None
    out_of_time: bool = False
    patch: dict[Path, JsonValue] = field(default_factory=dict)
    _plan: WholePrompts | None = None

    @classmethod
    def of(cls, job: Job, turn: Turn, ports: RenderPorts) -> "Round":
        """The round of a turn that begins."""
        return cls(
            job,
            turn,
            ports,
            {beat.scene_index: beat for beat in job.beats},
            {task.scene_index: task for task in job.tasks},
        )

    @property
    def running(self) -> list[SceneTask]:
        """The scenes whose clip is on order, and worth waiting for."""
        return [task for task in self.tasks.values() if task.open_attempt is not None and task.status != "failed"]

    @property
    def missing(self) -> list[SceneTask]:
        """The scenes whose clip has to be ordered."""
        return [
            task
            for task in self.tasks.values()
            if task.clip_key is None and task.open_attempt is None and task.status != "failed"
        ]

    @property
    def failed(self) -> list[SceneTask]:
        """The scenes that cannot go on."""
        return [task for task in self.tasks.values() if task.status == "failed"]

    def has_time_for(self, needed: timedelta) -> bool:
        """Whether something that takes so long may be begun; if not, the next turn begins it."""
        if self.turn.time_left < needed:
            self.out_of_time = True
        return not self.out_of_time

    def set_task(self, index: int, **changes: object) -> None:
        """Remember a change that is stored, or about to be."""
        self.tasks[index] = self.tasks[index].model_copy(update=changes)

    def set_attempt(self, index: int, key: str, **changes: object) -> None:
        """Remember a change of one attempt."""
        task = self.tasks[index]
        attempt = task.attempts[key].model_copy(update=changes)
        self.tasks[index] = task.model_copy(update={"attempts": {**task.attempts, key: attempt}})

    def look_again(self, index: int, key: str, *, at_least: timedelta = timedelta(0)) -> None:
        """Say when this attempt is worth the next look.  Not a write of its own: without it, it is looked at sooner."""
        attempt, renderer, now = self.tasks[index].attempts[key], self.ports.renderer, self.turn.now
        others = sum(task.clip_key is None and task.status != "failed" for task in self.tasks.values()) - 1
        wait = cadence.next_look(
            now - attempt.intended_at,
            # A renderer that is sure of itself works on this machine, and looks cost nothing there.
            others=max(0, others) if renderer.watch_for else 0,
            first=renderer.first_poll_after,
            finest=renderer.poll_every,
        )
        wait = max(wait, at_least)
        self.waits.append(wait)
        self.set_attempt(index, key, not_before=now + wait)
        self.patch[(*attempt_path(index, key), "not_before")] = to_ms(now + wait)

    def prompt(self, index: int) -> str:
        """What is to be seen in a scene, whole: the record may hold only its beginning.

        Its beginning must do where the plan is gone: it says what the scene is about.

        Raises:
            TransientError: the plan cannot be read for now.
        """
        beat, job = self.beats[index], self.job
        if not beat.is_cut or job.plan_key is None:
            return beat.visual_prompt
        if self._plan is None:
            try:
                with self.ports.media.open(job.plan_key) as stream:
                    self._plan = WholePrompts.model_validate_json(stream.read())
            except PermanentError as error:
                log.warning("the plan of %s is gone, prompts are used as the record has them: %s", job.video_id, error)
                self._plan = WholePrompts(prompts={})
        return self._plan.prompts.get(scene_key(index), beat.visual_prompt)

    def whereabouts(self, index: int, attempt: ClipAttempt) -> ClipRequest:
        """What finding an attempt's clip needs: its name and place, and no prompt, which may be out of reach."""
        return self._request(index, attempt, prompt="")

    def request(self, index: int, attempt: ClipAttempt) -> ClipRequest:
        """What is ordered by an attempt."""
        return self._request(index, attempt, prompt=f"{self.prompt(index)} {self.job.style_bible}".strip())

    def _request(self, index: int, attempt: ClipAttempt, *, prompt: str) -> ClipRequest:
        beat, job = self.beats[index], self.job
        return ClipRequest(
            intent_id=attempt.intent_id,
            prefix=render_prefix(job.prefix, index, attempt.intent_id),
            scene_index=index,
            scene_count=len(self.beats),
            prompt=prompt,
            negative_prompt=beat.negative_prompt,
            narration=beat.narration,
            seconds=attempt.seconds,
            beat_seconds=beat.seconds,
            start_seconds=beat.start_seconds,
            aspect_ratio=job.options.aspect_ratio,
            seed=attempt.seed,
            words_key=job.audio_transcription.full_json_s3_key,
        )

    def side_by_side(self, work: Callable[[ItemT], ResultT], items: Sequence[ItemT]) -> Iterable[ResultT]:
        """Do calls to the vendor at the same time; all are over when this returns."""
        if min(len(items), self.ports.threads) <= 1:
            return [work(item) for item in items]
        with ThreadPoolExecutor(min(len(items), self.ports.threads), thread_name_prefix="vendor") as threads:
            return list(threads.map(work, items))


def pauses(tasks: Iterable[SceneTask], now: datetime) -> Iterator[timedelta]:
    """How long the vendor, having refused an order, wants no other.  It is one quota for all scenes."""
    for task in tasks:
        for attempt in task.attempts.values():
            if attempt.operation == NOT_ACCEPTED and attempt.not_before is not None and attempt.not_before > now:
                yield attempt.not_before - now


def beat_path(index: int) -> Path:
    """Where a scene's beat stands."""
    return (*SCENE_BEATS, scene_key(index))


def task_path(index: int) -> Path:
    """Where a scene's task stands."""
    return (*TASKS, scene_key(index))


def attempt_path(index: int, key: str) -> Path:
    """Where one attempt stands."""
    return (*TASKS, scene_key(index), "attempts", key)
