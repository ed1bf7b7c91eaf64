"""A renderer for the explorer: every call of it is an effect, at a boundary."""

from pathlib import Path

from statemachine import TransientError
from statemachine.execution import Path as DataPath
from statemachine.testing import Effects
from tests.worker.fakes import FakeRenderer
from worker.job import Job
from worker.ports import AmbiguousSubmissionError, Clip, ClipRequest, NotAcceptedError, OperationLost, Refused


class ExploredRenderer(FakeRenderer):
    """A vendor before whose every call the worker can be killed, and whose answers can be lost.

    What it accepts is money spent.  `not_accepted` is what it may say instead.
    """

    def __init__(self, effects: Effects, *, not_accepted: NotAcceptedError, **more: object) -> None:
        super().__init__(**more)  # type: ignore[arg-type]  # handed on
        self._effects = effects
        self._not_accepted = not_accepted

    def submit(self, request: ClipRequest) -> str:
        def take() -> str:
            operation = FakeRenderer.submit(self, request)
            self._effects.accepted(self._where(request), intent_id=request.intent_id, operation=operation)
            return operation

        lost = AmbiguousSubmissionError("no answer")
        return self._effects.call("submit", take, unavailable=self._not_accepted, lost=lost)

    def poll(self, operation: str) -> Clip | Refused | OperationLost | None:
        lost = TransientError("PROVIDER_UNAVAILABLE", "no answer")
        return self._effects.call("poll", lambda: FakeRenderer.poll(self, operation), lost=lost)

    def find(self, request: ClipRequest) -> str | Clip | None:
        return self._effects.call("find", lambda: FakeRenderer.find(self, request))

    def fetch(self, clip: Clip, destination: Path) -> None:
        self._effects.call("fetch", lambda: FakeRenderer.fetch(self, clip, destination))

    def _where(self, request: ClipRequest) -> DataPath:
        """Where the intent of an order stands on the record; nowhere is a finding of the explorer."""
        standing = self._effects.standing()
        for task in Job.model_validate(standing.data).tasks if standing else ():
            for key, attempt in task.attempts.items():
                if attempt.intent_id == request.intent_id:
                    return ("vertex_ai_tasks", f"{task.scene_index:03d}", "attempts", key)
        return ("nowhere",)
