"""A bench on which one job's rendering is stepped by hand."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import count

from statemachine import JsonValue, Outcome, Wait
from statemachine.execution import value_at
from tests.worker.fakes import FakeAssembler, FakeMediaStore, FakeRenderer, FakeTurn, planned_job_data
from worker.edits import BeatEdit, retry_patch
from worker.ports import Softener, SubmissionQuota
from worker.steps.render import RenderPorts, render


class Bench:
    """One job, stepped by hand: time moves by what the step asked for."""

    def __init__(
        self,
        renderer: FakeRenderer,
        data: Mapping[str, JsonValue] | None = None,
        *,
        softener: Softener | None = None,
        quota: SubmissionQuota | None = None,
    ) -> None:
        self.renderer = renderer
        self.media = FakeMediaStore()
        self.turn = FakeTurn(dict(data or planned_job_data()))
        ids = count(1)
        self.spent_usd: list[float] = []
        self.ports = RenderPorts(
            renderer,
            FakeAssembler(),
            self.media,
            lambda: f"intent-{next(ids)}",
            softener=softener,
            quota=quota,
            on_spent=self.spent_usd.append,
        )

    def step(self) -> Outcome:
        outcome = render(self.turn.job, turn=self.turn, ports=self.ports)
        self.turn.apply(outcome.patch)
        if isinstance(outcome, Wait):
            self.turn = replace(self.turn, now=self.turn.now + max(outcome.delay, timedelta(seconds=1)))
        return outcome

    def stored(self, *path: str) -> JsonValue:
        """What stands at a path of the record, also where the worker's own models do not look."""
        assert isinstance(self.turn.data, dict)
        return value_at(self.turn.data, path)

    def edit(self, index: int, prompt: str) -> None:
        """What a person does after a refusal: other words, and a retry."""
        self.turn.apply(retry_patch(self.turn.job, [BeatEdit(scene_index=index, visual_prompt=prompt)]))

    def run(self, *, turns: int = 200) -> Outcome:
        for _ in range(turns):
            outcome = self.step()
            if not isinstance(outcome, Wait):
                return outcome
        raise AssertionError(f"still waiting after {turns} turns")

    @property
    def scenes_billed(self) -> list[int]:
        return sorted(scene for scene, _ in self.renderer.bill)
