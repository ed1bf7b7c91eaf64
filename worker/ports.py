"""What the steps need from outside, as Protocols.  Adapters live in `providers/`; fakes in `tests/`.

Every port raises `statemachine.errors.TransientError` for what may succeed later and `PermanentError` for what
cannot; both carry a stable `code` and a `user_action`.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Protocol

from statemachine.errors import StateMachineError
from statemachine.record import Record
from worker.job import BeatSlot, Caption, Options, Recording, SceneBeat, Transcript
from worker.models import AspectRatio, VideoModel


class NotAcceptedError(StateMachineError):
    """The submission was surely not accepted: nothing was ordered, nothing was spent.

    Attributes:
        code: PROVIDER_QUOTA (wait and ask again), PROVIDER_UNAVAILABLE (never reached), or why the order itself is
            refused: CONTENT_FILTERED, MODEL_UNAVAILABLE, PROVIDER_ERROR.
        is_retryable: the same order may be accepted later.
        category: of a content filter, for wording only.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        is_retryable: bool,
        retry_after: timedelta | None = None,
        category: str | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.is_retryable = is_retryable
        self.retry_after = retry_after
        self.category = category


class AmbiguousSubmissionError(StateMachineError):
    """The vendor may or may not have accepted the order: the answer was lost."""


class MediaStore(Protocol):
    """Keeps the job's objects: recordings, transcripts, clips, the video.

    Keys are relative, with '/' between parts.  A key that climbs out of the store ('..', a leading '/') is refused
    with ValueError.
    """

    def upload(self, path: Path, key: str) -> None:
        """Store a local file under `key`, replacing what stood there.

        Atomic: a killed upload leaves either the old object or the whole new one, never a part.

        Raises:
            TransientError: code STORAGE_FULL or STORAGE_UNAVAILABLE.
        """

    def write(self, data: bytes, key: str) -> None:
        """Store a small object, atomically as `upload`."""

    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        """A seekable local file holding the object, for reading only, gone (or not ours) after the block.

        Raises:
            PermanentError: code OBJECT_MISSING.
        """

    def open(self, key: str) -> AbstractContextManager[BinaryIO]:
        """The object as a stream, from its first byte.

        Raises:
            PermanentError: code OBJECT_MISSING.
        """

    def read_range(self, key: str, start: int, end: int) -> bytes:
        """Bytes `start` (inclusive) to `end` (exclusive); shorter at the end of the object.

        Raises:
            PermanentError: code OBJECT_MISSING.
        """

    def size(self, key: str) -> int | None:
        """Length in bytes, or None when there is no such object."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Every key that begins with `prefix`, in order."""

    def uri(self, key: str) -> str:
        """The address to keep in the record: `s3://bucket/key`, or `file:///…` on one machine."""


class Transcriber(Protocol):
    """Turns recorded speech into timed text."""

    def start(self, recording: Recording, *, job_id: str, language: str) -> str:
        """Ask for a transcript and return its id at once.

        Starting the same `job_id` twice returns the first id, so a step that is run again does not pay twice.

        Raises:
            TransientError: throttled or unavailable.
            PermanentError: the object is missing or is not audio.
        """

    def fetch(self, transcription_id: str, recording: Recording, *, time_left: timedelta) -> Transcript | None:
        """The transcript, or None while it is being made.

        A local recogniser does its work here and may take up to `time_left`.

        Raises:
            TransientError: ask again later.
            PermanentError: the transcription failed, or a transcript beside the recording does not belong to it.
        """


class ScenePlan(Record):
    """What is to be seen: one beat per slot, in order, with the slot's own times and narration."""

    title: str
    style_bible: str
    beats: tuple[SceneBeat, ...]


class ScenePlanner(Protocol):
    """Decides what is to be seen in each scene.  Number and boundaries of the scenes are given."""

    def plan(
        self, slots: Sequence[BeatSlot], *, transcript: Transcript, options: Options, time_left: timedelta
    ) -> ScenePlan:
        """One beat for each slot.

        Raises:
            TransientError: throttled, unavailable.
            PermanentError: refused, or no valid plan after one repair.
        """


class ClipRequest(Record):
    """One clip to be made.

    Attributes:
        intent_id: unique to this attempt; two requests with one id are the same request.
        prefix: of the keys that this attempt alone may write.
        prompt, negative_prompt: what is to be seen.
        narration: the words spoken in the scene; a vendor that makes film ignores them, the storyboard shows them.
        seconds: length of the clip to be ordered, in what the model can do.
        beat_seconds: how much of it will be shown.
        start_seconds: where in the recording the scene begins.
        words_key: JSON of the transcript (a `Transcript`), for whoever wants word times; None when instrumental.
        scene_count: how many scenes the video has.
    """

    intent_id: str
    prefix: str
    scene_index: int
    scene_count: int
    prompt: str
    negative_prompt: str
    narration: str
    seconds: float
    beat_seconds: float
    start_seconds: float
    aspect_ratio: AspectRatio
    seed: int
    words_key: str | None


class Clip(Record):
    """A finished clip, wherever the renderer keeps it; `ClipRenderer.fetch` brings it home."""

    location: str


class Refused(Record):
    """The renderer will not, or could not, make this clip.

    Attributes:
        code: CONTENT_FILTERED, PROVIDER_ERROR, PROVIDER_EMPTY_RESULT, …
        is_retryable: a new attempt, as it stands, may succeed.
        category: of a content filter, for wording only.
    """

    code: str
    message: str
    is_retryable: bool
    category: str | None = None


class OperationLost:
    """The renderer does not know this operation (any more).

    Where `watch_for` is not zero this may be a passing mistake: believe it after several looks in a row.
    """


class ClipRenderer(Protocol):
    """Makes one clip per scene.  Submitting costs money and cannot be taken back."""

    @property
    def model(self) -> VideoModel:
        """What this renderer can do, and its price."""

    @property
    def group_size(self) -> int:
        """How many clips of one job may be on order at once."""

    @property
    def poll_every(self) -> timedelta:
        """The shortest time between two looks at a running operation; `cadence` spreads them further."""

    @property
    def first_poll_after(self) -> timedelta:
        """How long after a submission the first look is worth while."""

    @property
    def watch_for(self) -> timedelta:
        """How long work whose submission was never answered may still turn up in `find`; zero when `find` is sure."""

    def submit(self, request: ClipRequest) -> str:
        """Order the clip and return the vendor's name of the operation.

        Raises:
            NotAcceptedError: surely not accepted, nothing was spent (quota, refused connection, bad request).
            AmbiguousSubmissionError: the vendor may or may not have accepted it.
        """

    def poll(self, operation: str) -> Clip | Refused | OperationLost | None:
        """What became of an operation; None while it runs.  Costs nothing and may be repeated.

        Raises:
            TransientError: ask again later.
        """

    def find(self, request: ClipRequest) -> str | Clip | None:
        """An operation or clip that already exists for this request's intent, or None.  Never orders anything.

        Raises:
            TransientError: ask again later.
            PermanentError: code AMBIGUOUS, this renderer has no way to look; whether it was paid stays unknown.
        """

    def fetch(self, clip: Clip, destination: Path) -> None:
        """Bring the clip's bytes to `destination`, a file that does not exist yet.

        Raises:
            TransientError: ask again later; the clip is still there.
            PermanentError: code CLIP_GONE, there is nothing where the vendor said that the clip is.
        """


class Softener(Protocol):
    """Rewrites what a content filter refused."""

    def soften(self, prompt: str, category: str | None, /) -> str:
        """The same scene in words that the filter should let pass.

        `category` is what the filter objected to, in the vendor's word, where it said so.

        Raises:
            TransientError: throttled, unavailable.
            PermanentError: it cannot be put otherwise; a person has to.
        """


class Granted(Record):
    """How many submissions may be made now, and after what time to come back for the rest (zero when there is none)."""

    count: int
    retry_after: timedelta


class SubmissionQuota(Protocol):
    """Shares the submissions that a vendor accepts in a minute among all jobs.

    Users take turns, whatever the number of their jobs.  Nothing has to be given back.
    """

    def take(self, model: VideoModel, *, owner_id: str, job_id: str, wanted: int, now: datetime) -> Granted:
        """Take tokens for up to `wanted` submissions; one conditional write.

        A job that gets too few keeps its place until shortly after `retry_after`; coming back for the rest, it asks
        under the same `job_id`.

        Raises:
            TransientError: the ledger cannot be reached, or too many ask at once.  Nothing was taken, or it is free
                again after a minute.
        """


class AudioFacts(Record):
    """What decoding the whole recording found; headers lie about all of it.

    Attributes:
        duration_seconds: of what can be decoded.
        claimed_seconds: what the header says, or None.
        bad_packets, packets: how much of it is damaged.
        peak: largest sample, 0..1.  Silence is 0.
    """

    duration_seconds: float
    claimed_seconds: float | None
    bad_packets: int
    packets: int
    peak: float
    codec: str
    sample_rate: int
    channels: int


class VideoFormat(Record):
    """The one format that every clip of a video has."""

    width: int
    height: int
    frames_per_second: int = 24


class SceneClip(Record):
    """A clip and where it belongs: shown from `start_seconds` to `end_seconds`."""

    path: Path
    start_seconds: float
    end_seconds: float


class VideoFacts(Record):
    """What probing a finished file found."""

    duration_seconds: float
    video_seconds: float
    audio_seconds: float
    width: int
    height: int
    frame_count: int
    size_bytes: int


class VideoAssembler(Protocol):
    """Measures, conforms and joins media.  Everything is a local file; nothing is left behind on an error."""

    def measure(self, recording: Path) -> AudioFacts:
        """Decode the recording once, packet by packet, and say what is in it.

        Raises:
            PermanentError: codes EMPTY_FILE, NOT_AUDIO, NO_AUDIO_STREAM, TOO_SHORT, CORRUPT.
        """

    def encode_audio(self, recording: Path, destination: Path) -> None:
        """The recording as AAC in MP4: copied where it is AAC already, else encoded once."""

    def conform(self, clip: Path, destination: Path, target: VideoFormat) -> bool:
        """Write `clip` in the target format to `destination`; False, writing nothing, when it already fits.

        Raises:
            PermanentError: code CLIP_BROKEN, it has no decodable video.
        """

    def thumbnail(self, clip: Path, destination: Path, *, at_seconds: float, width: int) -> None:
        """One frame as JPEG, `width` pixels wide."""

    def still_clip(
        self, source: Path, destination: Path, *, at_seconds: float, seconds: float, target: VideoFormat
    ) -> None:
        """A clip of `seconds` in the target format that shows the one frame of `source` at `at_seconds`.

        Past the end of `source` it is the last frame.

        Raises:
            PermanentError: code CLIP_BROKEN, `source` has no decodable video.
        """

    def assemble(
        self, scenes: Sequence[SceneClip], *, audio: Path, captions: Sequence[Caption], destination: Path
    ) -> VideoFacts:
        """Join the scenes under the recording: H.264 copied packet by packet, AAC copied, captions as a track.

        The recording is the master: every scene starts on its boundary, counted from the beginning, and the video
        is as long as the audio within one frame.

        Raises:
            PermanentError: code DURATION_MISMATCH with both durations, CLIP_BROKEN, or CLIP_MISMATCH (a clip was not
                conformed).
        """
