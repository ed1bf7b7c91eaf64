"""The command line from end to end, with fakes for the parts that take long; `test_command_line` has the real ones."""

import errno
import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

import pytest
from typer.testing import CliRunner

from statemachine import Engine, JsonValue, PermanentError, TransientError
from statemachine.errors import StoreUnavailableError
from tests.worker.fakes import NOON, FakeAssembler, FakePlanner, FakeRenderer, FakeTranscriber, job_data, spoken
from worker.__main__ import app
from worker.job import Caption, Job
from worker.local import commands
from worker.local.output import Output
from worker.local.worker import LocalWorker
from worker.models import STORYBOARD, VEO_3_1_FAST
from worker.ports import (
    Clip,
    ClipRenderer,
    OperationLost,
    Refused,
    SceneClip,
    ScenePlanner,
    Transcriber,
    VideoAssembler,
    VideoFacts,
)
from worker.settings import Settings

FILTERED = Refused("CONTENT_FILTERED", "violence", is_retryable=True, category="violence")
BROKEN = Refused("PROVIDER_ERROR", "internal server issue", is_retryable=True)
STORY = spoken("the keeper climbed the stairs and lit the lamp . " * 3, seconds=20.0)


class PassingClock:
    """Time passes only by sleeping, and a second at every start of a command."""

    def __init__(self) -> None:
        self.moment = NOON

    def now(self) -> datetime:
        return self.moment

    def sleep(self, delay: timedelta) -> None:
        self.moment += delay


class InterruptedRenderer(FakeRenderer):
    """Somebody presses Ctrl-C while the first clip is looked at."""

    has_interrupted = False

    def poll(self, operation: str) -> Clip | Refused | OperationLost | None:
        if not self.has_interrupted:
            self.has_interrupted = True
            raise KeyboardInterrupt
        return super().poll(operation)


class FilmAssembler(FakeAssembler):
    """Its videos begin as an MP4 does; nothing else may be replaced."""

    def assemble(
        self, scenes: Sequence[SceneClip], *, audio: Path, captions: Sequence[Caption], destination: Path
    ) -> VideoFacts:
        facts = super().assemble(scenes, audio=audio, captions=captions, destination=destination)
        destination.write_bytes(b"\0\0\0\x18ftypisom" + destination.read_bytes())
        return facts


class Desk:
    """Somebody at a terminal, with a vendor and a clock that outlive each command."""

    def __init__(self, folder: Path, renderer: FakeRenderer) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.renderer = renderer
        self.assembler = FilmAssembler()
        self.clock = PassingClock()
        self.audio = folder / "story.mp3"
        self.audio.write_bytes(b"a recording")
        self.video = folder / "story.mp4"
        self.out = ""
        self.err = ""

    def build(self, settings: Settings) -> LocalWorker:
        desk = self

        class FakedWorker(LocalWorker):
            @cached_property
            def transcriber(self) -> Transcriber:
                return FakeTranscriber(STORY)

            @cached_property
            def planner(self) -> ScenePlanner:
                return FakePlanner()

            @cached_property
            def renderer(self) -> ClipRenderer:
                return desk.renderer

            @cached_property
            def assembler(self) -> VideoAssembler:
                return desk.assembler

        worker = FakedWorker(settings, clock=self.clock)
        worker.store  # noqa: B018 - as `build_local` does: a home that cannot be used is told at once
        return worker

    def do(self, *words: str | Path) -> int:
        """Type a command; its exit code is returned, what it said is kept."""
        self.clock.sleep(timedelta(seconds=1))
        result = CliRunner().invoke(app, [*map(str, words), "--home", str(self.home)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        self.out, self.err = result.stdout, result.stderr
        return result.exit_code

    def do_as_told(self) -> int:
        """Type the command that the last one named."""
        line = next(line for line in self.err.splitlines() if line.startswith("to go on:"))
        words = shlex.split(line.removeprefix("to go on:"))
        words = words[words.index("worker") + 1 :]
        home = words.index("--home")
        assert words.pop(home + 1) == str(self.home)
        words.pop(home)
        return self.do(*words)

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def job_ids(self) -> list[str]:
        self.do("list", "--json")
        return [str(line["id"]) for line in self.lines]

    @property
    def stored(self) -> list[str]:
        """The names of all objects, jobs' or nobody's."""
        return sorted(path.name for path in (self.home / "media").rglob("*") if path.is_file())

    def beats(self, prompts: Sequence[tuple[int, str]]) -> Path:
        path = self.folder / "beats.json"
        path.write_text(json.dumps([{"scene_index": index, "visual_prompt": prompt} for index, prompt in prompts]))
        return path


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return at_a_desk(tmp_path, monkeypatch, FakeRenderer())


def at_a_desk(folder: Path, monkeypatch: pytest.MonkeyPatch, renderer: FakeRenderer) -> Desk:
    desk = Desk(folder, renderer)
    monkeypatch.setattr(commands, "build_local", desk.build)
    return desk


# --- run -------------------------------------------------------------------------------------------------------------


def test_a_run_writes_the_video_and_its_captions(desk: Desk) -> None:
    assert desk.do("run", desk.audio, "-o", desk.video) == 0

    assert desk.video.read_bytes().endswith(b"aac of a recording")
    assert desk.video.with_suffix(".vtt").read_text().startswith("WEBVTT")


def test_without_a_terminal_a_run_says_one_line_for_each_phase(desk: Desk) -> None:
    desk.do("run", desk.audio, "-o", desk.video)

    assert desk.out == ""
    assert desk.err.splitlines()[-4:] == [
        "planning",
        "rendering 3 scenes",
        "assembling",
        f"completed: {desk.video} (20.0 s)",
    ]


def test_a_script_gets_the_result_as_the_last_line(desk: Desk) -> None:
    assert desk.do("run", desk.audio, "-o", desk.video, "--json") == 0

    first, *middle, last = desk.lines
    assert first["event"] == "started"
    assert {line["event"] for line in middle} <= {"progress"}
    assert last == {
        "event": "completed",
        "id": first["id"],
        "status": "completed",
        "video": str(desk.video),
        "duration_seconds": 20.0,
        "error": None,
        "warnings": {},
        "next": [],
        "hints": [],
    }
    assert desk.err == ""


def test_options_reach_the_job(desk: Desk) -> None:
    desk.do("run", desk.audio, "-o", desk.video, "--aspect", "9:16", "--style", "woodcut", "--no-captions")

    (job_id,) = desk.job_ids
    desk.do("show", job_id, "--json")
    options = desk.lines[0]["options"]
    assert isinstance(options, dict)
    assert (options["aspect_ratio"], options["style"], options["captions"]) == ("9:16", "woodcut", False)
    assert not desk.video.with_suffix(".vtt").exists()


def test_an_output_that_cannot_be_written_is_refused_before_anything_is_begun(desk: Desk) -> None:
    assert desk.do("run", desk.audio, "-o", desk.folder / "nowhere" / "story.mp4") == 2

    assert (
        desk.err
        == f"refused: there is no folder {desk.folder / 'nowhere'} for story.mp4; make it, or choose another with -o\n"
    )
    assert desk.job_ids == []


def test_a_refusal_is_told_to_a_script_too(desk: Desk) -> None:
    assert desk.do("run", desk.folder / "missing.mp3", "-o", desk.video, "--json") == 2

    (last,) = desk.lines
    assert (last["event"], last["id"], last["status"], last["video"]) == ("refused", None, "failed", None)
    error = last["error"]
    assert isinstance(error, dict)
    assert error["code"] == "FILE_MISSING"


@pytest.mark.parametrize("seconds", [601.0, 4801.0])
def test_a_recording_that_needs_too_many_scenes_is_refused_before_it_is_transcribed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setenv("AI_VIDEO_LONGEST_RECORDING_SECONDS", "7200")
    desk.assembler = FilmAssembler(duration_seconds=seconds)

    assert desk.do("run", desk.audio, "-o", desk.video) == 2

    assert "scenes of at most 8 s, and 75 are allowed" in desk.err
    assert "--max-scenes" in desk.err
    assert desk.job_ids == []
    assert desk.stored == []


def test_a_recording_that_needs_as_many_scenes_as_are_allowed_is_begun(desk: Desk) -> None:
    desk.assembler = FilmAssembler(duration_seconds=16.0)

    assert desk.do("run", desk.audio, "-o", desk.video, "--max-scenes", "1") == 2
    assert desk.do("run", desk.audio, "-o", desk.video, "--max-scenes", "2", "--review") == 0


def test_a_transcript_that_cannot_be_read_is_named_and_nothing_is_begun(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand: root, as whom tests may run, is refused nothing."""
    transcript = desk.folder / "story.txt"
    transcript.write_text("the keeper climbed the stairs")
    whole = Path.open

    def refuse(path: Path, mode: str = "r") -> object:
        if path == transcript:
            raise PermissionError(errno.EACCES, "Permission denied")
        return whole(path, mode)

    with monkeypatch.context() as locked:
        locked.setattr(Path, "open", refuse)
        assert desk.do("run", desk.audio, "-o", desk.video) == 2

    assert f"cannot read {transcript} (Permission denied)" in desk.err
    assert desk.job_ids == []
    assert desk.stored == []


def test_a_job_that_cannot_be_stored_leaves_no_copies_and_is_not_to_be_continued(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (desk.folder / "story.txt").write_text("the keeper climbed the stairs")

    def is_locked(*_: object, **__: object) -> None:
        raise StoreUnavailableError("the file of jobs is locked")

    with monkeypatch.context() as locked:
        locked.setattr(Engine, "start", is_locked)
        assert desk.do("run", desk.audio, "-o", desk.video, "--json") == 1

    (last,) = desk.lines
    assert (last["event"], last["id"]) == ("refused", None)
    assert "continue" not in desk.err
    assert desk.stored == []
    assert desk.job_ids == []


def test_a_job_that_stands_after_all_keeps_its_recording(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to the write was lost, or somebody pressed Ctrl-C right after it."""
    start = Engine.start

    def lose_the_answer(engine: Engine[Job], job_id: str, data: Mapping[str, JsonValue], *, run_id: str) -> None:
        start(engine, job_id, data, run_id=run_id)
        raise KeyboardInterrupt

    with monkeypatch.context() as lost:
        lost.setattr(Engine, "start", lose_the_answer)
        assert desk.do("run", desk.audio, "-o", desk.video) == 130

    (job_id,) = desk.job_ids
    assert desk.do("resume", job_id, "-o", desk.video) == 0


def test_a_disk_that_fills_up_leaves_the_video_to_be_fetched(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_full(*_: object) -> None:
        raise TransientError("OUTPUT_FULL", f"{desk.video} does not fit there")

    with monkeypatch.context() as full:
        full.setattr(Output, "write", is_full)
        assert desk.do("run", desk.audio, "-o", desk.video) == 1

    assert "does not fit there" in desk.err
    assert not desk.video.exists()
    line = desk.err.splitlines()[-1]
    assert line.startswith("to have the video: ")
    assert desk.do("resume", desk.job_ids[0], "-o", desk.video) == 0
    assert desk.video.exists()


# --- review ----------------------------------------------------------------------------------------------------------


def test_a_review_stops_with_the_scenes_and_names_the_next_command(desk: Desk) -> None:
    assert desk.do("run", desk.audio, "-o", desk.video, "--review") == 0

    assert "scene 0" in desk.out
    assert "scene 2" in desk.out
    assert not desk.video.exists()
    assert desk.renderer.bill == []
    assert desk.do_as_told() == 0
    assert desk.video.exists()


def test_a_review_tells_a_script_the_scenes(desk: Desk) -> None:
    desk.do("run", desk.audio, "-o", desk.video, "--review", "--json")

    last = desk.lines[-1]
    scenes = last["scenes"]
    assert isinstance(scenes, list)
    assert (last["event"], last["status"], len(scenes)) == ("reviewing", "processing", 3)


def test_an_approval_may_change_what_is_to_be_seen(desk: Desk) -> None:
    desk.do("run", desk.audio, "-o", desk.video, "--review")

    assert desk.do("approve", desk.job_ids[0], "--beats", desk.beats([(1, "a boat on calm water")])) == 0

    assert any(prompt.startswith("a boat on calm water") for prompt in desk.renderer.prompts)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("not JSON", "the file: Invalid JSON"),
        ('[{"scene_index": 0}]', "0.visual_prompt: Field required"),
        ('[{"scene_index": 7, "visual_prompt": "x"}]', "there is no scene 8; there are 3"),
    ],
)
def test_beats_that_do_not_fit_are_refused(desk: Desk, content: str, words: str) -> None:
    desk.do("run", desk.audio, "-o", desk.video, "--review")
    beats = desk.folder / "beats.json"
    beats.write_text(content)

    assert desk.do("approve", desk.job_ids[0], "--beats", beats) == 2

    assert words in desk.err


def test_a_missing_file_of_beats_is_named(desk: Desk) -> None:
    assert desk.do("approve", "any", "--beats", desk.folder / "none.json") == 2

    assert f"cannot read {desk.folder / 'none.json'}" in desk.err


def test_what_waits_for_nobody_cannot_be_approved(desk: Desk) -> None:
    desk.do("run", desk.audio, "-o", desk.video)

    assert desk.do("approve", desk.job_ids[0]) == 2

    assert "is completed: only a job that waits" in desk.err


# --- failing, retrying, cancelling -----------------------------------------------------------------------------------


def test_a_failed_job_says_why_and_its_retry_pays_only_for_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = at_a_desk(tmp_path, monkeypatch, FakeRenderer(answers={1: [BROKEN, BROKEN, BROKEN]}))

    assert desk.do("run", desk.audio, "-o", desk.video) == 1

    assert "failed: scene 2: internal server issue (PROVIDER_ERROR, rendering)" in desk.err
    assert not desk.video.exists()
    billed = len(desk.renderer.bill)
    assert desk.do_as_told() == 0
    assert desk.video.exists()
    assert [scene for scene, _ in desk.renderer.bill[billed:]] == [1]


def test_a_refused_scene_has_to_be_edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = at_a_desk(tmp_path, monkeypatch, FakeRenderer(answers={1: [FILTERED, FILTERED, FILTERED]}))
    desk.do("run", desk.audio, "-o", desk.video)
    (job_id,) = desk.job_ids

    assert desk.do("retry", job_id) == 2
    assert "edit its prompt, then retry, with --beats FILE" in desk.err
    assert desk.do("retry", job_id, "-o", desk.video, "--beats", desk.beats([(1, "fog")])) == 0
    assert desk.video.exists()


def test_a_job_that_did_not_fail_cannot_be_retried(desk: Desk) -> None:
    desk.do("run", desk.audio, "-o", desk.video)

    assert desk.do("retry", desk.job_ids[0]) == 2

    assert "is completed: only a job that failed can be retried" in desk.err


def test_a_cancelled_job_ends_and_can_be_taken_up_again(desk: Desk) -> None:
    desk.do("run", desk.audio, "-o", desk.video, "--review")
    (job_id,) = desk.job_ids

    assert desk.do("cancel", job_id, "--json") == 0

    (last,) = desk.lines
    error = last["error"]
    assert isinstance(error, dict)
    assert (last["status"], error["code"]) == ("failed", "CANCELLED")
    assert desk.do("retry", job_id) == 0
    assert "waits for you" in desk.err


def test_a_completed_job_cannot_be_cancelled(desk: Desk) -> None:
    desk.do("run", desk.audio, "-o", desk.video)

    assert desk.do("cancel", desk.job_ids[0]) == 2

    assert "there is nothing to cancel" in desk.err


def test_a_transcript_of_something_else_is_named_as_the_person_knows_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry would read the copy that the job was begun with."""
    transcript = desk.folder / "story.srt"
    transcript.write_text("1\n00:00:00,000 --> 00:00:02,000\nsomething else\n")

    def does_not_belong(*_: object, **__: object) -> None:
        raise PermanentError("TRANSCRIPT_MISMATCH", "it does not belong", user_action="fix_transcript")

    monkeypatch.setattr(FakeTranscriber, "fetch", does_not_belong)

    assert desk.do("run", desk.audio, "-o", desk.video, "--json") == 1

    last = desk.lines[-1]
    assert last["next"] == []
    assert last["hints"] == [f"to go on: remove or correct {transcript}, then run it again"]


def test_what_comes_next_can_be_run_by_a_script_as_it_stands(desk: Desk) -> None:
    desk.do("run", desk.audio, "-o", desk.video, "--review", "--json")

    last = desk.lines[-1]
    commands_, hints = last["next"], last["hints"]
    assert isinstance(commands_, list)
    first, *_ = commands_
    words = shlex.split(first)
    assert words[words.index("worker") + 1 :][:2] == ["approve", last["id"]]
    assert all(" -m worker approve " in command for command in commands_)
    assert isinstance(hints, list)
    assert [hint.split(":")[0] for hint in hints] == ["beats.json"]


# --- money -----------------------------------------------------------------------------------------------------------

# 20 s of Veo 3.1 Fast cost $1.60 at least; cut into three scenes of 8 s to be ordered, they cost $1.92.
VEO = ("--renderer", "veo")


@pytest.fixture
def dear_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return at_a_desk(tmp_path, monkeypatch, FakeRenderer(model=VEO_3_1_FAST))


def test_a_recording_that_costs_too_much_is_refused_before_it_is_transcribed(dear_desk: Desk) -> None:
    assert dear_desk.do("run", dear_desk.audio, "-o", dear_desk.video, *VEO, "--max-cost", "1.59") == 2

    assert "veo-3.1-fast-generate-001 costs at least $1.60 for 20 s, and the limit is $1.59" in dear_desk.err
    assert dear_desk.renderer.bill == []
    assert dear_desk.stored == []


def test_a_plan_above_the_limit_orders_nothing_until_a_retry_raises_it(dear_desk: Desk) -> None:
    assert dear_desk.do("run", dear_desk.audio, "-o", dear_desk.video, *VEO, "--max-cost", "1.70") == 1

    assert "3 scenes cost $1.92, and the limit is $1.70" in dear_desk.err
    assert "--max-cost USD" in dear_desk.err
    assert dear_desk.renderer.bill == []
    assert dear_desk.do("retry", dear_desk.job_ids[0], "-o", dear_desk.video, "--max-cost", "2") == 0
    assert len(dear_desk.renderer.bill) == 3


@pytest.mark.parametrize("asked", [(), ("--max-cost", "100")])
def test_nobody_passes_the_limit_of_the_settings(
    dear_desk: Desk, monkeypatch: pytest.MonkeyPatch, asked: Sequence[str]
) -> None:
    monkeypatch.setenv("AI_VIDEO_MAX_COST_USD", "1")

    assert dear_desk.do("run", dear_desk.audio, "-o", dear_desk.video, *VEO, *asked) == 2

    assert "the limit is $1.00" in dear_desk.err
    assert dear_desk.renderer.bill == []


def test_the_price_is_shown_with_the_scenes_and_an_approval_above_the_limit_is_refused(dear_desk: Desk) -> None:
    dear_desk.do("run", dear_desk.audio, "-o", dear_desk.video, *VEO, "--review")
    assert "its clips cost $1.92 of at most $50.00" in dear_desk.err
    (job_id,) = dear_desk.job_ids

    assert dear_desk.do("approve", job_id, "--max-cost", "1.91") == 2

    assert f"the clips of job {job_id} cost $1.92, and the limit is $1.91" in dear_desk.err
    assert dear_desk.renderer.bill == []
    assert dear_desk.do("approve", job_id, "--max-cost", "1.92") == 0
    assert len(dear_desk.renderer.bill) == 3


def test_the_price_is_shown_before_the_first_clip_is_ordered(dear_desk: Desk) -> None:
    dear_desk.do("run", dear_desk.audio, "-o", dear_desk.video, *VEO)

    assert "rendering 3 scenes, $1.92" in dear_desk.err


def test_what_costs_nothing_shows_no_price(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = at_a_desk(tmp_path, monkeypatch, FakeRenderer(model=STORYBOARD))

    desk.do("run", desk.audio, "-o", desk.video, "--max-cost", "0")

    assert desk.video.exists()
    assert "$" not in desk.err


# --- interrupting and resuming ---------------------------------------------------------------------------------------


def test_an_interrupted_job_names_the_command_that_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = at_a_desk(tmp_path, monkeypatch, InterruptedRenderer())

    assert desk.do("run", desk.audio, "-o", desk.video) == 130
    assert "interrupted: job" in desk.err
    assert not desk.video.exists()
    assert desk.do_as_told() == 0
    assert desk.video.exists()
    assert sorted(scene for scene, _ in desk.renderer.bill) == [0, 1, 2]


def test_an_interruption_is_told_to_a_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = at_a_desk(tmp_path, monkeypatch, InterruptedRenderer())

    assert desk.do("run", desk.audio, "-o", desk.video, "--json") == 130

    last = desk.lines[-1]
    assert (last["event"], last["status"], last["video"], last["error"]) == ("interrupted", "processing", None, None)


def test_an_interruption_before_the_job_began_leaves_nothing_to_resume(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as early:
        early.setattr(FakeAssembler, "measure", interrupt)
        assert desk.do("run", desk.audio, "-o", desk.video) == 130

    assert desk.err == "interrupted: nothing was begun; run it again\n"
    assert desk.job_ids == []


def test_resuming_a_completed_job_writes_its_video(desk: Desk) -> None:
    desk.do("run", desk.audio, "-o", desk.video)
    again = desk.folder / "again.mp4"

    assert desk.do("resume", desk.job_ids[0], "-o", again) == 0

    assert again.read_bytes() == desk.video.read_bytes()


@pytest.mark.parametrize("command", ["resume", "retry", "approve"])
def test_no_later_command_replaces_the_recording_or_its_transcript(desk: Desk, command: str) -> None:
    """Even where the recording is an MP4 itself, as a video is."""
    desk.audio = desk.folder / "story.m4a"
    desk.audio.write_bytes(b"\0\0\0\x18ftypM4A sound")
    desk.do("run", desk.audio, "-o", desk.video, "--review")
    (job_id,) = desk.job_ids

    assert desk.do(command, job_id, "-o", desk.audio) == 2

    assert "is the recording itself" in desk.err
    assert desk.audio.read_bytes().endswith(b"sound")


def test_resuming_a_failed_job_says_that_it_needs_a_retry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = at_a_desk(tmp_path, monkeypatch, FakeRenderer(answers={1: [BROKEN, BROKEN, BROKEN]}))
    desk.do("run", desk.audio, "-o", desk.video)

    assert desk.do("resume", desk.job_ids[0]) == 1

    assert " retry " in desk.err


# --- looking ---------------------------------------------------------------------------------------------------------


def test_jobs_are_listed_newest_first(desk: Desk) -> None:
    desk.do("run", desk.audio, "-o", desk.video, "--json")
    older = desk.lines[-1]["id"]
    desk.do("run", desk.audio, "-o", desk.video, "--review", "--json")
    newer = desk.lines[-1]["id"]

    assert desk.do("list", "--json") == 0

    assert [(line["id"], line["status"]) for line in desk.lines] == [(newer, "processing"), (older, "completed")]
    desk.do("list", "--limit", "1")
    assert str(newer) in desk.out
    assert str(older) not in desk.out


def test_an_empty_list_says_so(desk: Desk) -> None:
    assert desk.do("list") == 0

    assert (desk.out, desk.err) == ("", f"there are no jobs in {desk.home}\n")


def test_a_job_is_shown_with_its_steps_and_scenes(desk: Desk) -> None:
    desk.do("run", desk.audio, "-o", desk.video)

    desk.do("show", desk.job_ids[0])

    assert "✓ assembling" in desk.out
    assert "scene 2" in desk.out
    assert "completed, 100 %" in desk.out


def test_a_script_is_shown_attempts_and_steps(desk: Desk) -> None:
    desk.do("run", desk.audio, "-o", desk.video)

    desk.do("show", desk.job_ids[0], "--json")

    (shown,) = desk.lines
    steps, scenes = shown["steps"], shown["scenes"]
    assert isinstance(steps, list)
    assert isinstance(scenes, list)
    assert [step["status"] for step in steps] == ["completed"] * 4
    assert [len(scene["attempts"]) for scene in scenes] == [1, 1, 1]


def test_the_diagram_marks_where_the_job_is(desk: Desk) -> None:
    desk.do("run", desk.audio, "-o", desk.video, "--review")

    desk.do("show", desk.job_ids[0], "--mermaid")

    assert desk.out.startswith("stateDiagram-v2\n")
    assert "class reviewing live" in desk.out


def test_the_beginning_of_an_id_is_enough_if_it_is_the_only_one(desk: Desk) -> None:
    with desk.build(Settings(home=desk.home)) as worker:
        for job_id in ("abc1", "abd2"):
            worker.engine.start(job_id, job_data())

    assert desk.do("show", "abd") == 0

    assert "abd2" in desk.out


def test_an_ambiguous_id_is_refused_with_its_candidates(desk: Desk) -> None:
    with desk.build(Settings(home=desk.home)) as worker:
        for job_id in ("abc1", "abc2"):
            worker.engine.start(job_id, job_data())

    assert desk.do("show", "abc") == 2

    assert "2 jobs have an id that begins with 'abc'; type more of it: abc1, abc2" in desk.err


def test_an_unknown_id_is_refused(desk: Desk) -> None:
    assert desk.do("show", "nothing") == 2

    assert "no job in" in desk.err


def test_no_id_is_the_beginning_of_none(desk: Desk) -> None:
    desk.do("run", desk.audio, "-o", desk.video)

    assert desk.do("show", "") == 2


# --- files and settings that cannot be used --------------------------------------------------------------------------


def test_a_home_that_is_a_file_is_refused_with_a_remedy(desk: Desk) -> None:
    desk.home.write_bytes(b"")

    assert desk.do("list") == 2

    assert str(desk.home) in desk.err
    assert "--home" in desk.err


def test_a_file_of_jobs_that_is_not_ours_is_refused(desk: Desk) -> None:
    desk.home.mkdir()
    (desk.home / "jobs.sqlite3").write_bytes(b"Dear diary, " * 1000)

    assert desk.do("list", "--json") == 2

    assert "jobs.sqlite3" in desk.err
    assert desk.lines[0]["event"] == "refused"


def test_a_setting_that_makes_no_sense_is_named(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_VIDEO_CHILD_PROCESSES", "none")

    assert desk.do("list") == 2

    assert "AI_VIDEO_CHILD_PROCESSES" in desk.err


def test_a_traceback_goes_to_the_log_and_the_message_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renderer = FakeRenderer(poll_error=RuntimeError("a bug"))
    desk = at_a_desk(tmp_path, monkeypatch, renderer)

    assert desk.do("run", desk.audio, "-o", desk.video) == 1

    log = desk.home / "worker.log"
    assert "Traceback" not in desk.err
    assert "(INTERNAL, rendering)" in desk.err
    assert f"details:  {log}" in desk.err
    assert "RuntimeError: a bug" in log.read_text(encoding="utf-8")


def test_a_log_that_cannot_be_written_stops_nothing(desk: Desk) -> None:
    (desk.home / "worker.log").mkdir(parents=True)

    assert desk.do("run", desk.audio, "-o", desk.video) == 0


# --- graph -----------------------------------------------------------------------------------------------------------


def test_the_machine_is_printed_whole_or_in_parts(tmp_path: Path) -> None:
    runner = CliRunner()

    document = runner.invoke(app, ["graph"]).stdout
    diagram = runner.invoke(app, ["graph", "--mermaid"]).stdout
    rows = runner.invoke(app, ["graph", "--table"]).stdout
    written = runner.invoke(app, ["graph", "--write", str(tmp_path / "machine.md")])

    assert diagram.startswith("stateDiagram-v2\n")
    assert rows.startswith("| State | ")
    assert document.startswith("# The state machine\n")
    assert diagram in document
    assert rows in document
    assert written.exit_code == 0
    assert (tmp_path / "machine.md").read_text() == document


def test_two_forms_of_the_machine_at_once_are_wrong_use() -> None:
    assert CliRunner().invoke(app, ["graph", "--mermaid", "--table"]).exit_code == 2


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["graph", "--write", str(tmp_path)])

    assert result.exit_code == 2
    assert f"cannot write {tmp_path}" in result.stderr


@pytest.mark.parametrize("command", ["run", "resume", "retry", "approve", "cancel", "list", "show", "graph"])
def test_every_command_s_help_tells_the_exit_codes(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])

    assert result.exit_code == 0
    assert "130  interrupted" in result.stdout
