"""The program as people start it, with its real parts: files that cannot be used, a whole run, an end from outside."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from statemachine import Engine, SystemClock
from statemachine.memory import MemoryDispatcher
from statemachine.sqlite import SqliteStore
from tests.media import room_for, write_clip, write_sound
from tests.worker.fakes import job_data
from worker.local.drawing import drawn_machine

ROOT = Path(__file__).parents[2]


class Program:
    """Starts `python -m worker` in a folder, with a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), "AI_VIDEO_HOME": str(folder / "home")}

    def start(self, *words: str, out: int = subprocess.PIPE) -> "subprocess.Popen[str]":
        return subprocess.Popen(  # noqa: S603, RUF100 - this project's own program
            [sys.executable, "-m", "worker", *words],
            cwd=self.folder,
            env=self.environment,
            stdout=out,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def do(self, *words: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        with self.start(*words) as process:
            out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    @property
    def job_ids(self) -> list[str]:
        with SqliteStore(self.folder / "home" / "jobs.sqlite3") as store:
            return [execution.execution_id for execution in store.executions()]

    def left_under(self, name: str) -> list[str]:
        """Everything in the folder that may be the output, or a part of it."""
        return sorted(path.name for path in self.folder.iterdir() if path.name.startswith((name, ".")))


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


def written(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def cut_off(path: Path) -> None:
    write_sound(path, seconds=5)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


UNUSABLE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing": ("talk.mp3", lambda _: None, "check the name"),
    "a folder": ("talk.mp3", lambda path: path.mkdir(), "name a recording"),
    "empty": ("talk.mp3", lambda path: written(path, b""), "again"),
    "text": ("talk.mp3", lambda path: written(path, b"Dear diary, today I recorded nothing. " * 50), "upload"),
    "WAV cut off": ("talk.wav", cut_off, "again"),
    "video without sound": ("talk.mp4", write_clip, "upload"),
    "0.2 s": ("talk.wav", lambda path: write_sound(path, seconds=0.2), "upload"),
    "too long": ("talk.wav", lambda path: write_sound(path, seconds=3.5), "AI_VIDEO_LONGEST_RECORDING_SECONDS"),
    "empty, with a foreign name": ("Żółty łabędź, 東京.mp3", lambda path: written(path, b""), "again"),
}


@pytest.mark.parametrize(("name", "make", "remedy"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_recording_that_cannot_be_used_is_refused_in_one_message(
    program: Program, name: str, make: Callable[[Path], object], remedy: str
) -> None:
    make(program.folder / name)
    program.environment["AI_VIDEO_LONGEST_RECORDING_SECONDS"] = "3"

    code, out, err = program.do("run", name, "-o", "film.mp4")

    assert code == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert name in err
    assert remedy in err
    assert program.left_under("film") == []
    assert program.job_ids == []


def test_a_home_without_room_is_told_and_begins_nothing(program: Program) -> None:
    write_sound(program.folder / "talk.wav", seconds=10)

    with room_for(400_000):  # children inherit it: enough for the file of jobs, not for the recording
        code, _, err = program.do("run", "talk.wav", "-o", "film.mp4")

    assert code == 1
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1
    assert str(program.folder / "home") in err
    assert program.left_under("film") == []
    assert program.job_ids == []


def test_a_recording_with_spaces_and_foreign_letters_in_its_name_becomes_a_video(program: Program) -> None:
    recording = "głos z latarni 1.mp3"
    write_sound(program.folder / recording, seconds=2.5, codec="mp3")

    code, out, err = program.do("run", recording, "-o", "mój film.mp4", "--json")

    assert (code, err) == (0, "")
    last = json.loads(out.splitlines()[-1])
    assert (last["status"], last["video"], last["error"]) == ("completed", "mój film.mp4", None)
    assert last["duration_seconds"] == pytest.approx(2.5, abs=0.06)
    assert (program.folder / "mój film.mp4").stat().st_size > 10_000


def test_what_is_ended_from_outside_can_be_resumed(program: Program) -> None:
    write_sound(program.folder / "talk.wav", seconds=2.5)

    with program.start("run", "talk.wav", "-o", "film.mp4", "--json") as process:
        assert process.stdout is not None
        job_id = json.loads(process.stdout.readline())["id"]
        assert json.loads(process.stdout.readline())["event"] == "progress"
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read().splitlines()
        code = process.wait(timeout=60)

    assert code == 130
    assert json.loads(rest[-1])["event"] == "interrupted"
    assert program.left_under("film") == []
    code, _, err = program.do("resume", job_id[:6], "-o", "film.mp4")
    assert (code, err.splitlines()[-1]) == (0, "completed: film.mp4 (2.5 s)")


def test_a_reader_who_goes_away_interrupts_the_job(program: Program) -> None:
    """As `run … --json | head -1` does."""
    write_sound(program.folder / "talk.wav", seconds=2.5)

    with program.start("run", "talk.wav", "-o", "film.mp4", "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        job_id = json.loads(process.stdout.readline())["id"]
        process.stdout.close()
        err = process.stderr.read().splitlines()
        code = process.wait(timeout=60)

    assert code == 130
    assert err[0] == f"interrupted: job {job_id} can go on where it was"
    assert err[1].startswith("to go on: ")
    assert len(err) == 2
    assert program.left_under("film") == []
    code, _, err_of_resume = program.do("resume", job_id, "-o", "film.mp4")
    assert (code, err_of_resume.splitlines()[-1]) == (0, "completed: film.mp4 (2.5 s)")


@pytest.mark.parametrize("words", [["graph"], ["list"], ["list", "--json"]])
def test_an_answer_that_nobody_reads_ends_quietly(program: Program, words: list[str]) -> None:
    (program.folder / "home").mkdir()
    with SqliteStore(program.folder / "home" / "jobs.sqlite3") as store:
        Engine(drawn_machine(), store=store, dispatcher=MemoryDispatcher(), clock=SystemClock()).start(
            "abc", job_data()
        )
    reading, writing = os.pipe()
    os.close(reading)

    with os.fdopen(writing, "wb") as unread:
        process = program.start(*words, out=unread.fileno())
    with process:
        _, err = process.communicate(timeout=60)

    assert (process.returncode, err) == (130, "")


def test_no_traceback_is_shown_for_wrong_use(program: Program) -> None:
    code, out, err = program.do("run", "talk.mp3")

    assert (code, out) == (2, "")
    assert "Missing option" in err
