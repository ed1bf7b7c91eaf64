"""The example bodies in `tests/fixtures/api`: made by the API itself, shared by the document and by the page's tests.

`python -m tests.worker.handlers.api.examples` makes them anew.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.worker.handlers.api.desk import VIDEO, Desk
from worker.after_work import AfterWork, Completion
from worker.ports import Clip, Refused

FOLDER = Path(__file__).parents[3] / "fixtures" / "api"

START = {"videoId": VIDEO, "options": {"style": "watercolour", "maxCostUsd": 10.0}}
REVIEW = {"videoId": VIDEO, "options": {"reviewBeforeRender": True, "maxCostUsd": 10.0}}
EDITS = [{"scene_index": 1, "visual_prompt": "A calm sea at dawn, seen from the lighthouse"}]
APPROVAL = {"videoId": VIDEO, "action": "approve", "sceneBeats": EDITS}
RETRY = {"videoId": VIDEO, "action": "retry", "sceneBeats": EDITS, "options": {"maxCostUsd": 12.0}}
DRY_RUN = {"videoId": VIDEO, "dryRun": True, "options": {"aspectRatio": "9:16"}}
DRY_RUN_RETRY = {**RETRY, "dryRun": True}
# Enough for the least that the recording may cost, and less than its scenes do.
TOO_LITTLE = {"videoId": VIDEO, "options": {"maxCostUsd": 2.1}}


def examples() -> Mapping[str, Any]:
    """Every example, by the name of its file."""
    return {
        **{name: make(Desk()) for name, make in JOBS.items()},
        "dry_run": Desk().post(DRY_RUN).body,
        "dry_run_retry": _dry_run_of_a_retry(Desk()),
        "request_start": START,
        "request_dry_run": DRY_RUN,
        "request_dry_run_retry": DRY_RUN_RETRY,
        "request_approve": APPROVAL,
        "request_retry": RETRY,
        **dict(_problems()),
        **dict(_completions()),
    }


def _started(desk: Desk, body: Mapping[str, Any] = START) -> Desk:
    # With a key the run's id follows from the request, and the example is the same every time.
    answer = desk.post(body, headers={"Idempotency-Key": "an-example"})
    assert answer.status == 202, answer.text
    return desk


def _transcribing(desk: Desk) -> Any:  # noqa: ANN401  any JSON
    return _started(desk).get().body


def _rendering(desk: Desk) -> Any:  # noqa: ANN401  any JSON
    desk.renderer.answers[2] = [None, Clip("late")]
    _started(desk).run(turns=4)
    return desk.get().body


def _reviewing(desk: Desk) -> Any:  # noqa: ANN401  any JSON
    _started(desk, REVIEW).run()
    return desk.get().body


def _completed(desk: Desk) -> Any:  # noqa: ANN401  any JSON
    _started(desk).run()
    return desk.get().body


def _filtered(desk: Desk) -> Any:  # noqa: ANN401  any JSON
    refused = Refused("CONTENT_FILTERED", "support codes: 61493863", is_retryable=False, category="violence")
    desk.renderer.answers[1] = [refused]
    _started(desk).run()
    return desk.get().body


def _limited(desk: Desk) -> Any:  # noqa: ANN401  any JSON
    _started(desk, TOO_LITTLE).run()
    return desk.get().body


def _dry_run_of_a_retry(desk: Desk) -> Any:  # noqa: ANN401  any JSON
    _filtered(desk)
    return desk.post(DRY_RUN_RETRY).body


def _cancelled(desk: Desk) -> Any:  # noqa: ANN401  any JSON
    _started(desk).run(turns=2)
    return desk.delete().body


JOBS: Mapping[str, Callable[[Desk], Any]] = {
    "started": _transcribing,
    "rendering": _rendering,
    "reviewing": _reviewing,
    "completed": _completed,
    "failed_filtered": _filtered,
    "failed_cost_limit": _limited,
    "cancelled": _cancelled,
}


def _problems() -> Iterator[tuple[str, Any]]:
    yield "problem_unauthenticated", Desk().get(user=None).body
    yield "problem_video_not_found", Desk().get("video-9").body
    yield "problem_job_not_found", Desk().get().body
    yield "problem_invalid_request", Desk().post({"videoId": VIDEO, "dryrun": True}).body
    yield "problem_invalid_option", Desk().post({"videoId": VIDEO, "options": {"aspectRatio": "4:3"}}).body
    yield "problem_job_in_progress", _started(Desk()).post({"videoId": VIDEO}).body
    yield "problem_cost_limit_exceeded", Desk().post({"videoId": VIDEO, "options": {"maxCostUsd": 1.0}}).body


def _completions() -> Iterator[tuple[str, Any]]:
    for name, make in (("completion_completed", _completed), ("completion_failed", _filtered)):
        told: list[Completion] = []
        desk = Desk()
        desk.after_work = AfterWork(rows=None, notifiers=[_Keeping(told)])
        make(desk)
        yield name, told[-1].as_json()


class _Keeping:
    """A notifier that keeps what it is given."""

    name = "kept"

    def __init__(self, told: list[Completion]) -> None:
        self._told = told

    def send(self, completion: Completion) -> None:
        self._told.append(completion)


def as_file(example: object) -> str:
    """The text of an example's file."""
    return json.dumps(example, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, example in examples().items():
        (FOLDER / f"{name}.json").write_text(as_file(example), encoding="utf-8")
