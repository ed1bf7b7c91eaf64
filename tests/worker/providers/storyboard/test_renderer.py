import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

import av
import pytest

from statemachine.errors import PermanentError, TransientError
from worker.job import Transcript, Word
from worker.models import STORYBOARD
from worker.ports import Clip, ClipRequest, NotAcceptedError, OperationLost, Refused
from worker.processes import ChildProcessDiedError, WorkerPool
from worker.providers.storyboard import film
from worker.providers.storyboard.renderer import StoryboardRenderer

P = ParamSpec("P")
T = TypeVar("T")

REQUEST = ClipRequest(
    intent_id="job-1/000/001",
    prefix="clips/000/001/",
    scene_index=0,
    scene_count=3,
    prompt="the sea in the evening",
    negative_prompt="",
    narration="The sea was calm.",
    seconds=0.25,
    beat_seconds=0.25,
    start_seconds=4.0,
    aspect_ratio="16:9",
    seed=5,
    words_key="words.json",
)


class FakeMedia:
    """A media store that holds one transcript, or says that it cannot be reached."""

    def __init__(self, transcript: Transcript | None = None, error: Exception | None = None) -> None:
        self._data = transcript.model_dump_json().encode() if transcript else None
        self._error = error

    def size(self, key: str) -> int | None:
        if self._error:
            raise self._error
        return len(self._data) if self._data else None

    def read_range(self, key: str, start: int, end: int) -> bytes:
        return (self._data or b"")[start:end]

    def upload(self, path: Path, key: str) -> None:
        raise NotImplementedError

    def write(self, data: bytes, key: str) -> None:
        raise NotImplementedError

    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        raise NotImplementedError

    def open(self, key: str) -> AbstractContextManager[BinaryIO]:
        raise NotImplementedError

    def keys(self, prefix: str) -> Iterator[str]:
        raise NotImplementedError

    def uri(self, key: str) -> str:
        raise NotImplementedError


class FakePool(WorkerPool):
    """Keeps work until told to do it, here; can lose it like a pool whose child died."""

    def __init__(self) -> None:
        super().__init__(1)
        self.queue: list[Callable[[], None]] = []
        self.futures: list[Future[None]] = []
        self.submissions = 0
        self.kills = 0

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        future: Future[T] = Future()
        self.submissions += 1
        self.queue.append(lambda: future.set_result(work(*args, **kwargs)))
        self.futures.append(future)  # type: ignore[arg-type]  # only their failure is of interest
        return future

    def work(self) -> None:
        """Do everything that was submitted."""
        queue, self.queue, self.futures = self.queue, [], []
        for job in queue:
            job()

    def lose(self, *, was_killed: bool) -> None:
        """Fail everything that was submitted."""
        futures, self.queue, self.futures = self.futures, [], []
        for future in futures:
            future.set_exception(ChildProcessDiedError("draw", was_killed=was_killed))

    def kill(self) -> None:
        self.kills += 1
        self.lose(was_killed=True)


@pytest.fixture
def pool() -> Iterator[FakePool]:
    with FakePool() as pool:
        yield pool


@pytest.fixture
def renderer(tmp_path: Path, pool: FakePool) -> StoryboardRenderer:
    return a_renderer(tmp_path, pool)


def a_renderer(tmp_path: Path, pool: WorkerPool, media: FakeMedia | None = None) -> StoryboardRenderer:
    return StoryboardRenderer(
        tmp_path / "clips", media=media or FakeMedia(), pool=pool, time_limit=timedelta(seconds=60)
    )


@contextmanager
def somebody_drawing(folder: Path, operation: str, *, for_seconds: float = 0.0) -> Iterator[None]:
    """The lock of a drawing, held as another process would."""
    path = folder / f"{operation}.lock"
    with path.open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        began = time.time() - for_seconds
        os.utime(path, (began, began))
        yield


def test_a_real_child_draws_the_clip(tmp_path: Path) -> None:
    with WorkerPool(1) as pool:
        renderer = a_renderer(tmp_path, pool)
        operation = renderer.submit(REQUEST)
        deadline = time.monotonic() + 60
        while (answer := renderer.poll(operation)) is None and time.monotonic() < deadline:
            os.sched_yield()

    assert isinstance(answer, Clip)
    with av.open(answer.location) as container:
        assert container.streams.video[0].frames == 6


def test_a_submitted_scene_is_pending_until_it_is_drawn(renderer: StoryboardRenderer, pool: FakePool) -> None:
    operation = renderer.submit(REQUEST)
    before = renderer.poll(operation)

    pool.work()

    assert before is None
    assert isinstance(renderer.poll(operation), Clip)


def test_the_same_intent_is_the_same_operation(renderer: StoryboardRenderer, pool: FakePool) -> None:
    first, second = renderer.submit(REQUEST), renderer.submit(REQUEST)

    assert first == second
    assert pool.submissions == 1


def test_another_intent_is_another_operation(renderer: StoryboardRenderer) -> None:
    assert renderer.submit(REQUEST) != renderer.submit(replace(REQUEST, intent_id="job-1/000/002"))


def test_an_unknown_operation_is_lost(renderer: StoryboardRenderer) -> None:
    assert isinstance(renderer.poll("storyboard-0"), OperationLost)


def test_an_operation_that_climbs_out_of_the_folder_is_lost(renderer: StoryboardRenderer, tmp_path: Path) -> None:
    (tmp_path / "secret.mp4").touch()

    assert isinstance(renderer.poll("../secret"), OperationLost)


def test_after_a_kill_the_next_poll_draws(renderer: StoryboardRenderer, tmp_path: Path) -> None:
    """Nothing is in memory: another process finds the request and starts it."""
    operation = renderer.submit(REQUEST)
    with FakePool() as pool:
        revived = a_renderer(tmp_path, pool)

        assert revived.poll(operation) is None
        pool.work()

        assert isinstance(revived.poll(operation), Clip)


def test_what_somebody_draws_is_not_drawn_twice(renderer: StoryboardRenderer, tmp_path: Path) -> None:
    operation = renderer.submit(REQUEST)
    with FakePool() as pool, somebody_drawing(tmp_path / "clips", operation):
        assert a_renderer(tmp_path, pool).poll(operation) is None
        assert pool.submissions == 0


def test_a_finished_clip_is_not_drawn_again(renderer: StoryboardRenderer, pool: FakePool) -> None:
    operation = renderer.submit(REQUEST)
    pool.work()
    clip = renderer.poll(operation)
    assert isinstance(clip, Clip)
    before = Path(clip.location).stat()

    renderer.submit(REQUEST)
    pool.work()

    assert Path(clip.location).stat().st_mtime_ns == before.st_mtime_ns


def test_find_knows_nothing_before_the_submission(renderer: StoryboardRenderer) -> None:
    assert renderer.find(REQUEST) is None


def test_find_gives_the_operation_then_the_clip(renderer: StoryboardRenderer, pool: FakePool) -> None:
    operation = renderer.submit(REQUEST)
    assert renderer.find(REQUEST) == operation

    pool.work()

    assert isinstance(renderer.find(REQUEST), Clip)


def test_an_error_in_drawing_is_a_refusal_that_may_be_tried_once_more(
    renderer: StoryboardRenderer, pool: FakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> Iterator[None]:
        raise ValueError("no such brush")

    monkeypatch.setattr(film, "frames", break_down)
    first, second = renderer.submit(REQUEST), renderer.submit(replace(REQUEST, intent_id="again", seed=6))
    pool.work()

    answers = [renderer.poll(first), renderer.poll(second), renderer.poll(first)]

    assert all(isinstance(answer, Refused) and answer.code == "DRAWING_FAILED" for answer in answers)
    assert [isinstance(answer, Refused) and answer.is_retryable for answer in answers] == [True, False, True]
    assert "no such brush" in str(answers[0])


def test_a_failed_drawing_leaves_no_half_clip(
    renderer: StoryboardRenderer, pool: FakePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = film.frames

    def break_in_the_middle(request: ClipRequest, words: tuple[Word, ...]) -> Iterator[object]:
        yield next(whole(request, words))
        raise ValueError("out of paint")

    monkeypatch.setattr(film, "frames", break_in_the_middle)
    operation = renderer.submit(REQUEST)
    pool.work()

    assert isinstance(renderer.poll(operation), Refused)
    assert [path.suffix for path in (tmp_path / "clips").iterdir() if path.suffix in (".mp4", ".part")] == []


def test_a_child_that_dies_once_is_forgiven(renderer: StoryboardRenderer, pool: FakePool) -> None:
    operation = renderer.submit(REQUEST)
    pool.lose(was_killed=False)

    assert renderer.poll(operation) is None
    pool.work()

    assert isinstance(renderer.poll(operation), Clip)


def test_a_scene_that_brings_its_child_down_twice_is_refused(
    renderer: StoryboardRenderer, pool: FakePool, tmp_path: Path
) -> None:
    operation = renderer.submit(REQUEST)
    (tmp_path / "clips" / f"{operation}.lock").write_text("..")  # two beginnings, no end
    pool.lose(was_killed=False)

    answer = renderer.poll(operation)

    assert isinstance(answer, Refused)
    assert "out of memory?" in answer.message


def test_a_drawing_that_takes_too_long_is_killed_and_refused(
    renderer: StoryboardRenderer, pool: FakePool, tmp_path: Path
) -> None:
    operation = renderer.submit(REQUEST)
    with somebody_drawing(tmp_path / "clips", operation, for_seconds=61):
        answer = renderer.poll(operation)

    assert isinstance(answer, Refused)
    assert "longer than 60 s" in answer.message
    assert pool.kills == 1


def test_the_siblings_of_a_killed_drawing_start_anew(
    renderer: StoryboardRenderer, pool: FakePool, tmp_path: Path
) -> None:
    slow, sibling = renderer.submit(REQUEST), renderer.submit(replace(REQUEST, intent_id="other", scene_index=1))
    with somebody_drawing(tmp_path / "clips", slow, for_seconds=61):
        renderer.poll(slow)

    assert renderer.poll(sibling) is None
    pool.work()

    assert isinstance(renderer.poll(sibling), Clip)


def test_another_process_that_hangs_does_not_hang_us(renderer: StoryboardRenderer, tmp_path: Path) -> None:
    operation = renderer.submit(REQUEST)
    with FakePool() as pool, somebody_drawing(tmp_path / "clips", operation, for_seconds=61):
        assert isinstance(a_renderer(tmp_path, pool).poll(operation), Refused)
        assert pool.kills == 0


def words_shown(folder: Path, operation: str) -> list[str]:
    return [word["text"] for word in json.loads((folder / f"{operation}.words").read_bytes())]


def test_the_words_of_the_scene_are_taken_from_the_transcript(tmp_path: Path, pool: FakePool) -> None:
    transcript = Transcript(
        language="en",
        duration_seconds=9,
        mode="speech",
        source="aligned",
        words=(
            Word(text="Before", start_seconds=3.0, end_seconds=3.9),
            Word(text="inside", start_seconds=4.0, end_seconds=4.2),
            Word(text="after", start_seconds=4.3, end_seconds=5.0),
        ),
    )
    renderer = a_renderer(tmp_path, pool, FakeMedia(transcript))

    assert words_shown(tmp_path / "clips", renderer.submit(REQUEST)) == ["inside"]


def test_without_word_times_the_narration_is_spread_evenly(renderer: StoryboardRenderer, tmp_path: Path) -> None:
    assert words_shown(tmp_path / "clips", renderer.submit(REQUEST)) == ["The", "sea", "was", "calm."]


def test_an_instrumental_scene_has_no_words(renderer: StoryboardRenderer, tmp_path: Path) -> None:
    operation = renderer.submit(replace(REQUEST, words_key=None))

    assert words_shown(tmp_path / "clips", operation) == []


@pytest.mark.parametrize(
    ("error", "is_retryable"),
    [(TransientError("STORAGE_UNAVAILABLE", "away"), True), (PermanentError("OBJECT_MISSING", "gone"), False)],
)
def test_a_transcript_that_cannot_be_read_means_nothing_was_ordered(
    tmp_path: Path, pool: FakePool, error: Exception, *, is_retryable: bool
) -> None:
    renderer = a_renderer(tmp_path, pool, FakeMedia(error=error))

    with pytest.raises(NotAcceptedError) as caught:
        renderer.submit(REQUEST)

    assert caught.value.is_retryable is is_retryable
    assert renderer.find(REQUEST) is None


def test_a_folder_that_cannot_be_written_means_nothing_was_ordered(tmp_path: Path, pool: FakePool) -> None:
    (tmp_path / "clips").write_text("a file stands where the folder should be")

    with pytest.raises(NotAcceptedError, match="STORAGE_UNAVAILABLE") as caught:
        a_renderer(tmp_path, pool).submit(REQUEST)

    assert caught.value.is_retryable


def test_fetching_brings_the_whole_clip(renderer: StoryboardRenderer, pool: FakePool, tmp_path: Path) -> None:
    operation = renderer.submit(REQUEST)
    pool.work()
    clip = renderer.poll(operation)
    assert isinstance(clip, Clip)
    destination = tmp_path / "job" / "000.mp4"

    renderer.fetch(clip, destination)

    assert destination.read_bytes() == Path(clip.location).read_bytes()


def test_fetching_a_clip_that_is_gone_is_worth_another_try(renderer: StoryboardRenderer, tmp_path: Path) -> None:
    with pytest.raises(TransientError, match=r"gone\.mp4"):
        renderer.fetch(Clip(str(tmp_path / "gone.mp4")), tmp_path / "000.mp4")

    assert not (tmp_path / "000.mp4").exists()


def test_it_draws_as_the_storyboard_model(renderer: StoryboardRenderer) -> None:
    assert renderer.model is STORYBOARD
    assert renderer.group_size == 16
    assert renderer.poll_every < renderer.first_poll_after
