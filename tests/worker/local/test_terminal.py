import io
import json
import os
import signal
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from statemachine import Execution, Failure, JsonValue
from statemachine.clock import SystemClock
from statemachine.execution import apply_patch
from statemachine.memory import MemoryStore
from tests.worker.fakes import NOON, planned_job_data
from worker.job import Job
from worker.local.terminal import (
    DrawnView,
    JsonView,
    LineView,
    Look,
    Watching,
    clock_words,
    job_page,
    jobs_table,
    print_line,
    time_left_words,
)
from worker.models import STORYBOARD
from worker.progress import LOCAL, TimeLeft, progress

HISTORY: dict[str, JsonValue] = {
    "transcribing": {
        "status": "completed",
        "started_at": NOON.isoformat(),
        "completed_at": (NOON + timedelta(seconds=7)).isoformat(),
        "attempt": 2,
    },
    "planning": {"status": "completed", "started_at": NOON.isoformat(), "completed_at": NOON.isoformat()},
    "rendering": {"status": "processing", "started_at": NOON.isoformat()},
}
RENDERING = Execution(
    execution_id="3f9c",
    machine="ai-video",
    graph="",
    state="rendering",
    status="processing",
    run_id="run-1",
    started_at=NOON,
    entered_at=NOON,
    updated_at=NOON,
    data={**planned_job_data(), "processing_steps": HISTORY},
)
FAILED = replace(
    RENDERING,
    state="failed",
    status="failed",
    failed_in="rendering",
    failure=Failure("CONTENT_FILTERED", "scene 2: violence", state="rendering", attempt=1),
)


def test_a_terminal_shows_every_step_the_scenes_and_the_time() -> None:
    screen = drawn(with_clip(RENDERING, 0), seconds=3)

    assert "story.mp3  job 3f9c" in screen
    assert "✓ transcribing" in screen
    assert "0:07, attempt 2" in screen
    assert "● rendering" in screen
    assert "1 of 3 scenes" in screen
    assert "○ assembling" in screen
    assert "0:03 elapsed, about 5 s left" in screen


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"waiting_for": "quota"}, "waits until the provider takes more"),
        ({"waiting_for": "retry"}, "a moment's pause before another attempt"),
        ({"due_at": NOON - timedelta(minutes=3)}, "nobody is working on it"),
        ({"entered_at": NOON - timedelta(minutes=30)}, "takes longer than usual"),
        ({"status": "failed", "state": "failed", "failed_in": "rendering"}, "failed"),
    ],
)
def test_a_terminal_says_why_nothing_moves(changes: dict[str, object], words: str) -> None:
    assert words in drawn(replace(RENDERING, **changes), seconds=3)  # type: ignore[arg-type]  # as parametrised


def test_markup_in_a_file_s_name_is_shown_as_it_is() -> None:
    data = apply_patch(RENDERING.data, {("recording", "filename"): "[bold]take 1[/].mp3"})

    assert "[bold]take 1[/].mp3" in drawn(replace(RENDERING, data=data), seconds=1)
    assert "[bold]take 1[/].mp3" in printed(jobs_table([a_look(replace(RENDERING, data=data))]))


def test_without_a_terminal_each_phase_is_one_line() -> None:
    stream = io.StringIO()

    with LineView(stream) as view:
        for execution in (RENDERING, with_clip(RENDERING, 0), replace(RENDERING, state="assembling"), FAILED):
            view.show(a_look(execution))

    assert stream.getvalue() == "rendering 3 scenes\nassembling\n"


def test_a_script_hears_of_every_change_and_of_nothing_else() -> None:
    stream = io.StringIO()

    with JsonView(stream) as view:
        for execution, seconds in ((RENDERING, 1), (RENDERING, 2), (with_clip(RENDERING, 0), 2)):
            view.show(a_look(execution, seconds=seconds))

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line["id"], line["phase"], line["scenes_done"]) for line in lines] == [
        ("progress", "3f9c", "rendering", 0),
        ("progress", "3f9c", "rendering", 1),
    ]


def test_a_page_tells_steps_scenes_and_what_went_wrong() -> None:
    page = printed(job_page(a_look(FAILED), advice=["to go on: retry"]))

    assert "CONTENT_FILTERED in rendering, attempt 1: scene 2: violence" in page
    assert "words of scene 2" in page
    assert "to go on: retry" in page
    assert "✓ planning" in page


def test_a_page_says_that_a_person_is_waited_for() -> None:
    assert "waits for a person" in printed(job_page(a_look(replace(RENDERING, state="reviewing")), advice=[]))


@pytest.mark.parametrize(("seconds", "words"), [(7.4, "0:07"), (760, "12:40"), (3723, "1:02:03")])
def test_time_is_told_as_a_clock_does(seconds: float, words: str) -> None:
    assert clock_words(seconds) == words


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.0, 3.0, "a few seconds left"),
        (19.0, 36.0, "about 20-35 s left"),
        (20.0, 21.0, "about 20 s left"),
        (150.0, 280.0, "about 2-5 min left"),
        (1.0, 100.0, "about 1-2 min left"),
    ],
)
def test_time_left_is_told_in_steps(low: float, high: float, words: str) -> None:
    assert time_left_words(TimeLeft(low, high)) == words


def test_no_time_is_told_when_nobody_can_know() -> None:
    assert time_left_words(None) == ""


def a_look(execution: Execution, *, seconds: float = 0) -> Look:
    job = Job.model_validate(execution.data)
    return Look(execution, job, progress(execution, job, NOON + timedelta(seconds=seconds), LOCAL))


def with_clip(execution: Execution, index: int) -> Execution:
    patch: dict[tuple[str, ...], JsonValue] = {("vertex_ai_tasks", f"{index:03d}", "clip_key"): "clip"}
    return replace(execution, data=apply_patch(execution.data, patch))


def drawn(execution: Execution, *, seconds: float) -> str:
    stream = io.StringIO()
    with DrawnView(Console(file=stream, force_terminal=True, width=120, color_system=None)) as view:
        view.show(a_look(execution, seconds=seconds))
    return stream.getvalue()


def printed(what: object) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


class OneJob(MemoryStore):
    """Holds one job, whatever is asked for."""

    def get(self, execution_id: str) -> Execution:
        return RENDERING


def test_a_main_thread_at_work_is_interrupted_when_nobody_reads() -> None:
    """A turn may take minutes, and only the watching thread writes meanwhile."""
    reading, writing = os.pipe()
    os.close(reading)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with os.fdopen(writing, "w", encoding="utf-8") as unread:
            watching = Watching(
                "3f9c", store=OneJob(), clock=SystemClock(), profile=LOCAL, model=STORYBOARD, view=JsonView(unread)
            )

            with pytest.raises(KeyboardInterrupt), watching:
                threading.Event().wait(timeout=30)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_is_said_after_the_reader_went_is_lost_without_an_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as unread:
        with pytest.raises(BrokenPipeError):
            print_line("first", unread)

        print_line("second", unread)

        assert os.path.samestat(os.fstat(unread.fileno()), Path(os.devnull).stat())
