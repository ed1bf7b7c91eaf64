"""Fakes of the worker's ports that behave: a bill is kept, an order stands once it was accepted, files are files."""

import hashlib
import io
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from statemachine import JsonValue, PermanentError
from statemachine.errors import LeaseLostError
from statemachine.execution import Patch, apply_patch, value_at
from worker.job import BeatSlot, Caption, Job, Options, Recording, SceneBeat, Transcript, Word, new_job_data
from worker.models import VideoModel
from worker.ports import (
    AmbiguousSubmissionError,
    AudioFacts,
    Clip,
    ClipRequest,
    NotAcceptedError,
    OperationLost,
    Refused,
    SceneClip,
    ScenePlan,
    VideoFacts,
    VideoFormat,
)

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

FAKE_MODEL = VideoModel(
    name="fake",
    clip_seconds=(4, 6, 8),
    longest_seconds=8.0,
    usd_per_second=0.10,
    per_minute=None,
    p50=timedelta(seconds=45),
    p90=timedelta(seconds=120),
    slowest=timedelta(minutes=6),
    source="tests",
    read_on=date(2026, 11, 22),
)


class FakeMediaStore:
    """Objects in a dictionary."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def upload(self, path: Path, key: str) -> None:
        self.objects[key] = path.read_bytes()

    def write(self, data: bytes, key: str) -> None:
        self.objects[key] = data

    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        return self._copied(key)

    def open(self, key: str) -> AbstractContextManager[BinaryIO]:
        return io.BytesIO(self._found(key))

    def read_range(self, key: str, start: int, end: int) -> bytes:
        return self._found(key)[start:end]

    def size(self, key: str) -> int | None:
        return len(self.objects[key]) if key in self.objects else None

    def keys(self, prefix: str) -> Iterator[str]:
        return iter(sorted(key for key in self.objects if key.startswith(prefix)))

    def uri(self, key: str) -> str:
        return f"s3://bucket/{key}"

    @contextmanager
    def _copied(self, key: str) -> Iterator[Path]:
        content = self._found(key)
        with TemporaryDirectory() as folder:
            path = Path(folder) / Path(key).name
            path.write_bytes(content)
            yield path

    def _found(self, key: str) -> bytes:
        if key not in self.objects:
            raise PermanentError("OBJECT_MISSING", f"no object {key}")
        return self.objects[key]


class FakeTranscriber:
    """Is ready after `polls` looks; starting one job twice starts it once."""

    def __init__(self, transcript: Transcript, *, polls: int = 0) -> None:
        self.transcript = transcript
        self.started: list[str] = []
        self._looks_left = polls

    def start(self, recording: Recording, *, job_id: str, language: str) -> str:
        if job_id not in self.started:
            self.started.append(job_id)
        return f"transcription-{job_id}"

    def fetch(self, transcription_id: str, recording: Recording, *, time_left: timedelta) -> Transcript | None:
        if self._looks_left:
            self._looks_left -= 1
            return None
        return self.transcript


class FakePlanner:
    """Gives every slot a prompt of its own."""

    def __init__(self) -> None:
        self.plans = 0

    def plan(
        self, slots: Sequence[BeatSlot], *, transcript: Transcript, options: Options, time_left: timedelta
    ) -> ScenePlan:
        self.plans += 1
        beats = tuple(
            SceneBeat(
                scene_index=slot.scene_index,
                start_seconds=slot.start_seconds,
                end_seconds=slot.end_seconds,
                narration=slot.narration,
                visual_prompt=f"scene {slot.scene_index}",
            )
            for slot in slots
        )
        return ScenePlan(title="A story", style_bible="in watercolour", beats=beats)


@dataclass
class FakeRenderer:
    """A vendor with a bill.

    Attributes:
        polls: how often an operation is still running when asked; one that is `stuck` always is.
        answers: what becomes of the n-th submission of a scene (by scene index); a Clip when nothing is said.
        at_submit: an error for the n-th call of `submit`, by number from 1.  An `AmbiguousSubmissionError` here means
            accepted, the answer lost; with `is_ambiguous_accepted=False` it never arrived.
    """

    model: VideoModel = FAKE_MODEL
    group_size: int = 4
    poll_every: timedelta = timedelta(seconds=15)
    first_poll_after: timedelta = timedelta(seconds=30)
    watch_for: timedelta = timedelta(minutes=20)
    stuck: set[str] = field(default_factory=set)
    polls: int = 0
    answers: dict[int, list[Clip | Refused | OperationLost | None]] = field(default_factory=dict)
    at_submit: dict[int, Exception] = field(default_factory=dict)
    is_ambiguous_accepted: bool = True
    bill: list[tuple[int, str]] = field(default_factory=list)  # (scene index, intent id) of every accepted order
    prompts: list[str] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    poll_error: Exception | None = None
    can_find: bool = True
    find_error: Exception | None = None
    forgotten: int = 0  # so many polls find the operation unknown, and nothing lies under the prefix meanwhile
    polled: list[str] = field(default_factory=list)
    _operations: dict[str, tuple[int, int]] = field(default_factory=dict)  # operation → scene, ordinal within scene
    _by_intent: dict[str, str] = field(default_factory=dict)
    _looks: dict[str, int] = field(default_factory=dict)
    _calls: int = 0

    def submit(self, request: ClipRequest) -> str:
        self._calls += 1
        error = self.at_submit.get(self._calls)
        if isinstance(error, NotAcceptedError):
            raise error
        if isinstance(error, AmbiguousSubmissionError) and not self.is_ambiguous_accepted:
            raise error
        ordinal = sum(scene == request.scene_index for scene, _ in self.bill)
        self.bill.append((request.scene_index, request.intent_id))
        self.prompts.append(request.prompt)
        self.seeds.append(request.seed)
        operation = f"operations/{request.intent_id}"
        self._operations[operation] = (request.scene_index, ordinal)
        self._by_intent[request.intent_id] = operation
        if error is not None:
            raise error
        return operation

    def poll(self, operation: str) -> Clip | Refused | OperationLost | None:
        self.polled.append(operation)
        if self.poll_error is not None:
            raise self.poll_error
        if self.forgotten:
            self.forgotten -= 1
            return OperationLost()
        if operation not in self._operations:
            return OperationLost()
        if operation in self.stuck:
            return None
        self._looks[operation] = self._looks.get(operation, 0) + 1
        if self._looks[operation] <= self.polls:
            return None
        scene, ordinal = self._operations[operation]
        scripted = self.answers.get(scene, [])
        return scripted[ordinal] if ordinal < len(scripted) else Clip(operation)

    def find(self, request: ClipRequest) -> str | Clip | None:
        if self.find_error is not None:
            raise self.find_error
        if not self.can_find:
            raise PermanentError("AMBIGUOUS", "there is nowhere to look")
        operation = self._by_intent.get(request.intent_id)
        return None if operation is None or self.forgotten else Clip(operation)

    def fetch(self, clip: Clip, destination: Path) -> None:
        destination.write_bytes(f"clip of {clip.location}".encode())


class FakeSoftener:
    """Makes every prompt softer in the same way; raises what it is told to, once each."""

    def __init__(self, *troubles: Exception) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self._troubles = list(troubles)

    def soften(self, prompt: str, category: str | None, /) -> str:
        self.asked.append((prompt, category))
        if self._troubles:
            raise self._troubles.pop(0)
        return f"gentle {prompt}"


class FakeAssembler:
    """Measures what it is told, and joins by concatenating bytes."""

    def __init__(self, *, duration_seconds: float = 20.0, peak: float = 0.5) -> None:
        self.facts = AudioFacts(duration_seconds, duration_seconds, 0, 100, peak, "mp3", 22050, 1)
        self.encodings = 0
        self.assembled: list[tuple[float, float]] = []
        self.captions: Sequence[Caption] = ()

    def measure(self, recording: Path) -> AudioFacts:
        return self.facts

    def encode_audio(self, recording: Path, destination: Path) -> None:
        self.encodings += 1
        destination.write_bytes(b"aac of " + recording.read_bytes())

    def conform(self, clip: Path, destination: Path, target: VideoFormat) -> bool:
        return False

    def thumbnail(self, clip: Path, destination: Path, *, at_seconds: float, width: int) -> None:
        destination.write_bytes(b"jpeg of " + hashlib.sha256(clip.read_bytes()).digest())

    def still_clip(
        self, source: Path, destination: Path, *, at_seconds: float, seconds: float, target: VideoFormat
    ) -> None:
        destination.write_bytes(f"{seconds:g} s of the frame at {at_seconds:g} s of ".encode() + source.read_bytes())

    def assemble(
        self, scenes: Sequence[SceneClip], *, audio: Path, captions: Sequence[Caption], destination: Path
    ) -> VideoFacts:
        self.assembled = [(scene.start_seconds, scene.end_seconds) for scene in scenes]
        self.captions = captions
        destination.write_bytes(b"".join(scene.path.read_bytes() for scene in scenes) + audio.read_bytes())
        end = scenes[-1].end_seconds
        return VideoFacts(end, end, end, 1280, 720, round(end * 24), destination.stat().st_size)


@dataclass
class FakeTurn:
    """A turn that keeps what it is given, and can be cancelled after so many writes."""

    data: JsonValue
    now: datetime = NOON
    time_left: timedelta = timedelta(minutes=2)
    attempt: int = 1
    execution_id: str = "job-1"
    writes_until_cancelled: int | None = None
    checkpoints: list[Patch] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)

    @property
    def deadline(self) -> datetime:
        return self.now + self.time_left

    @property
    def job(self) -> Job:
        return Job.model_validate(self.data)

    def checkpoint(self, patch: Patch) -> None:
        if self.is_cancelled:
            raise LeaseLostError(self.execution_id)
        self._count()
        self.checkpoints.append(patch)
        self._write(patch)

    def record_fact(self, path: tuple[str, ...], *, intent_id: str, operation: str) -> bool:
        assert isinstance(self.data, dict)
        assert value_at(self.data, (*path, "intent_id")) == intent_id
        self.facts.append((intent_id, operation))
        self._write({(*path, "operation"): operation})
        self._count()
        return not self.is_cancelled

    def apply(self, patch: Patch) -> None:
        """What the engine's save does with an outcome's patch."""
        self._write(patch)

    @property
    def is_cancelled(self) -> bool:
        return self.writes_until_cancelled is not None and self.writes_until_cancelled <= 0

    def _count(self) -> None:
        if self.writes_until_cancelled is not None:
            self.writes_until_cancelled -= 1

    def _write(self, patch: Patch) -> None:
        assert isinstance(self.data, dict)
        self.data = dict(apply_patch(self.data, patch))


def spoken(text: str, *, seconds: float) -> Transcript:
    """A transcript with the words of `text` spread evenly over `seconds`."""
    words = text.split()
    each = seconds / len(words)
    return Transcript(
        language="en-US",
        duration_seconds=seconds,
        mode="speech",
        source="recognised",
        words=tuple(
            Word(text=word, start_seconds=round(i * each, 3), end_seconds=round((i + 0.8) * each, 3), confidence=0.9)
            for i, word in enumerate(words)
        ),
    )


def job_data(*, options: Options | None = None) -> dict[str, JsonValue]:
    """The data of a job that has just begun."""
    return new_job_data(
        video_id="job-1",
        run_id="run-1",
        prefix="ai-video/job-1/run-1/",
        recording=Recording(key="uploads/story.mp3", filename="story.mp3"),
        options=options or Options(),
    )


def planned_job_data(
    *, scenes: int = 3, beat_seconds: float = 5.0, options: Options | None = None
) -> dict[str, JsonValue]:
    """The data of a job whose scenes are planned and none of whose clips is ordered."""
    data = job_data(options=options)
    data["recording"] = {"key": "uploads/story.mp3", "filename": "story.mp3", "duration_seconds": scenes * beat_seconds}
    data["scene_beats"] = {
        f"{i:03d}": {
            "scene_index": i,
            "start_seconds": i * beat_seconds,
            "end_seconds": (i + 1) * beat_seconds,
            "narration": f"words of scene {i}",
            "visual_prompt": f"scene {i}",
            "revision": 1,
        }
        for i in range(scenes)
    }
    data["vertex_ai_tasks"] = {
        f"{i:03d}": {"scene_index": i, "status": "waiting", "attempts": {}} for i in range(scenes)
    }
    return data
