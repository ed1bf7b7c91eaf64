"""Kill the worker at random moments, resume it, and look at what it made.  Real processes and real time: `make e2e`.

KILLS says how often (20 by default); the moments are seeded, so a failing one can be had again on a like machine.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from statemachine import Execution
from statemachine.sqlite import SqliteStore

KILLS = int(os.environ.get("KILLS", "20"))
RECORDING = Path(__file__).parents[2] / "samples" / "narration_human_librivox.mp3"

# An uninterrupted run takes about this long on the machine that tests; kills are spread over it.
SPAN_SECONDS = float(os.environ.get("KILL_SPAN_SECONDS", "9"))

# The lease is 10 s, and a resuming worker looks five times a second.
RESUMES_WITHIN_SECONDS = 12.0
FRAME_SECONDS = 1 / 24
LOOK_EVERY_SECONDS = 0.1


def worker(*arguments: str | Path, home: Path) -> list[str]:
    return [sys.executable, "-m", "worker", *map(str, arguments), "--home", str(home)]


class Killed:
    """A run that was killed in mid-work, and what it had finished by then."""

    def __init__(self, home: Path, moment: float) -> None:
        self.home = home
        process = subprocess.Popen(  # noqa: S603  this interpreter, our own module
            worker("run", RECORDING, "-o", home / "never.mp4", "--json", home=home), stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        self.job_id = json.loads(process.stdout.readline())["id"]
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        self.killed_at = time.monotonic()
        self.finished = {path: path.stat().st_mtime_ns for path in clips(home)}

    def resume(self, output: Path) -> "subprocess.Popen[str]":
        return subprocess.Popen(  # noqa: S603  as above
            worker("resume", self.job_id, "-o", output, "--json", home=self.home),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def execution(self) -> Execution:
        """The record, as it stands in the file of jobs."""
        with SqliteStore(self.home / "jobs.sqlite3") as store:
            return store.get(self.job_id)

    def taken_up_after(self, left: Execution) -> float:
        """Seconds from the kill until a worker does something about the job; a job that was done needs nobody."""
        limit = self.killed_at + 5 * RESUMES_WITHIN_SECONDS
        while left.due_at is not None and _standing(self.execution()) == _standing(left) and time.monotonic() < limit:
            time.sleep(LOOK_EVERY_SECONDS)
        return time.monotonic() - self.killed_at


def _standing(execution: Execution) -> tuple[int, str]:
    """Version and lease owner: one of them changes with everything that a worker does."""
    return execution.version, execution.lease.owner if execution.lease else ""


def clips(home: Path) -> Iterator[Path]:
    yield from (home / "renders").glob("*.mp4")


def is_right(video: Path) -> bool:
    """Whether the video opens, and is as long as the recording within a frame."""
    with av.open(str(video)) as made, av.open(str(RECORDING)) as recording:
        lasts = sum(frame.samples / frame.sample_rate for frame in recording.decode(audio=0))
        assert made.duration is not None
        frames = sum(1 for _ in made.decode(video=0))
        return abs(made.duration / av.time_base - lasts) <= FRAME_SECONDS and abs(frames / 24 - lasts) <= FRAME_SECONDS


@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_run_is_resumed_and_no_finished_clip_is_drawn_again(number: int, tmp_path: Path) -> None:
    moment = random.Random(number).uniform(0.0, SPAN_SECONDS)  # noqa: S311  a moment, no secret
    killed = Killed(tmp_path, moment)
    left = killed.execution()
    output = tmp_path / "video.mp4"

    process = killed.resume(output)
    seconds = killed.taken_up_after(left)
    _, errors = process.communicate()

    assert process.returncode == 0, errors
    assert seconds <= RESUMES_WITHIN_SECONDS
    assert is_right(output)
    assert {path: path.stat().st_mtime_ns for path in killed.finished} == killed.finished


def test_a_job_that_is_killed_again_and_again_can_still_be_resumed(tmp_path: Path) -> None:
    """Two lost turns in a row fail a job that nobody watches; a person's resume begins to count anew."""
    killed = Killed(tmp_path, 1.5)
    for _ in range(3):
        left = killed.execution()
        process = killed.resume(tmp_path / "never.mp4")
        killed.killed_at = time.monotonic()
        killed.taken_up_after(left)
        process.kill()
        process.communicate()

    process = killed.resume(tmp_path / "video.mp4")
    _, errors = process.communicate()

    assert process.returncode == 0, errors
    assert is_right(tmp_path / "video.mp4")


@pytest.mark.parametrize("number", range(3))
def test_two_processes_may_resume_one_job_at_once(number: int, tmp_path: Path) -> None:
    killed = Killed(tmp_path, random.Random(100 + number).uniform(1.0, SPAN_SECONDS / 2))  # noqa: S311  as above

    outputs = [tmp_path / "one.mp4", tmp_path / "two.mp4"]
    both = [killed.resume(output) for output in outputs]
    for process in both:
        _, errors = process.communicate()
        assert process.returncode == 0, errors

    assert all(is_right(output) for output in outputs)
    assert {path: path.stat().st_mtime_ns for path in killed.finished} == killed.finished
