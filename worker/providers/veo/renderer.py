"""`VeoRenderer`: what may be ordered, and what each answer means for the job."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import Any, Protocol, TypeVar

from statemachine.clock import Clock
from statemachine.errors import PermanentError, TransientError
from worker import cadence
from worker.models import VideoModel
from worker.ports import AmbiguousSubmissionError, Clip, ClipRequest, NotAcceptedError, OperationLost, Refused
from worker.providers.veo import answers
from worker.providers.veo.call_errors import CallError, NoAnswerError, NotReachedError, StatusError

STORAGE_URL = "https://storage.googleapis.com"

# All of a long video's clips may be made side by side: what Vertex AI limits is the submissions of a minute.
MOST_ON_ORDER = 100

# An order that nobody answered is looked for this long: the longest that a clip was seen to take, three times over.
WATCH_TIMES = 3
WATCH_MARGIN = timedelta(minutes=2)

RESOLUTION = "720p"  # what clips are conformed to; more would be paid for and thrown away

_UNAUTHENTICATED = 401
_BAD_REQUEST = 400
_FORBIDDEN, _NOT_FOUND = 403, 404
_TOO_MANY = 429

# Time-out, conflict, and the client's own hanging up: said by whoever stands before the service, which may have taken
# the order.  (google-genai 2.34 retries 408 as it does a 5xx; _api_client.py, read 2026-11-22)
_UNDECIDED = (408, 409, 499)

# A label's value.  (Vertex AI REST reference, PredictLongRunningRequest.labels, read 2026-11-22)
_NOT_IN_A_LABEL = re.compile(r"[^a-z0-9_-]+")
_LABEL_LENGTH = 63

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True)
class VertexProject:
    """Where on Vertex AI clips are ordered.

    Attributes:
        base_url: of Vertex AI; None for the region's own, or what the SDK finds in GOOGLE_VERTEX_BASE_URL.
        storage_url: of Cloud Storage.
    """

    project: str
    location: str
    base_url: str | None = None
    storage_url: str = STORAGE_URL


class TokenSource(Protocol):
    """Where access tokens come from; one serves all threads until it is near its end."""

    @property
    def credentials(self) -> Any:  # noqa: ANN401  google-auth's object, which ships no types
        """The credentials that hold the token, for the SDK."""

    def token(self) -> str:
        """A token that is valid for some minutes more.

        Raises:
            TransientError: the token service cannot be reached.
            PermanentError: the credentials are refused.
        """

    def renewed(self, refused: str) -> str:
        """Another token than `refused`, which was not accepted; the errors are those of `token`."""


class VertexCalls(Protocol):
    """The requests, as `calls.Calls` makes them; every one may raise a `CallError`."""

    def submit(self, model: str, prompt: str, config: Mapping[str, Any]) -> str:
        """Order; the operation's name."""

    def operation(self, name: str) -> Mapping[str, Any]:
        """An operation, in the vendor's own words."""

    def clips_below(self, bucket: str, prefix: str, token: str) -> Iterator[Any]:
        """Every film whose name begins with `prefix`."""

    def download(self, bucket: str, name: str, destination: Path, token: str) -> None:
        """An object into a file."""

    def close(self) -> None:
        """Close the connections."""


class VeoRenderer:
    """Orders clips from Veo; implements `worker.ports.ClipRenderer`.  Threads may share one.

    With `output_uri` every clip is written to that bucket, below the prefix of its attempt: there it can be found even
    if nobody was told its operation.  Without (`allow_inline`), a clip exists only in the answer of its operation, and
    an order whose answer was lost cannot be looked for.

    Args:
        output_uri: `gs://bucket` or `gs://bucket/folder`, or None.
    """

    def __init__(
        self,
        model: VideoModel,
        *,
        place: VertexProject,
        tokens: TokenSource,
        output_uri: str | None,
        clock: Clock,
        allow_inline: bool = False,
    ) -> None:
        if output_uri is None and not allow_inline:
            raise PermanentError(
                "VEO_BUCKET_MISSING",
                "Veo needs a Cloud Storage bucket, so that a clip whose answer was lost can be found; name one with "
                "AI_VIDEO_VEO_OUTPUT_GCS_URI, or accept with AI_VIDEO_VEO_ALLOW_INLINE=true that it may be paid twice",
                user_action="contact_admin",
            )
        if output_uri is not None and not re.fullmatch(r"gs://[a-z0-9._-]+(/.*)?", output_uri):
            raise PermanentError(
                "VEO_BUCKET_MISSING",
                f"AI_VIDEO_VEO_OUTPUT_GCS_URI is {output_uri!r}; it has to read gs://bucket or gs://bucket/folder",
                user_action="contact_admin",
            )
        self._model = model
        self._tokens = tokens
        self._bucket, self._folder = _place(output_uri)
        self._clock = clock
        self._place = place
        self._connecting = Lock()
        self._connected: VertexCalls | None = None

    def close(self) -> None:
        """Close the connections."""
        with self._connecting:
            if self._connected is not None:
                self._connected.close()
                self._connected = None

    @property
    def model(self) -> VideoModel:
        """The model that was configured."""
        return self._model

    @property
    def group_size(self) -> int:
        """Enough for the longest video at once."""
        return MOST_ON_ORDER

    @property
    def poll_every(self) -> timedelta:
        """As `cadence` reads it off the model's latencies."""
        return cadence.finest_look(self._model)

    @property
    def first_poll_after(self) -> timedelta:
        """As `cadence` reads it off the model's latencies."""
        return cadence.first_look(self._model)

    @property
    def watch_for(self) -> timedelta:
        """Some 20 minutes with the models of 2026; without a bucket there is nothing to watch, and `find` says so."""
        return self._model.slowest * WATCH_TIMES + WATCH_MARGIN

    def submit(self, request: ClipRequest) -> str:
        """Order one clip, after everything that the vendor would find out only later was checked here."""
        self._check(request)
        config = self._config(request)
        try:
            token = self._tokens.token()
            calls = self._calls()
            try:
                return calls.submit(self._model.name, request.prompt, config)
            except StatusError as error:
                if error.status != _UNAUTHENTICATED:
                    raise
                # The token was taken back before its time.  Nothing was ordered, so this is no repetition.
                self._tokens.renewed(token)
                return calls.submit(self._model.name, request.prompt, config)
        except TransientError as error:
            raise NotAcceptedError("PROVIDER_UNAVAILABLE", error.message, is_retryable=True) from error
        except PermanentError as error:
            raise NotAcceptedError(error.code, error.message, is_retryable=False) from error
        except NotReachedError as error:
            raise NotAcceptedError(
                "PROVIDER_UNAVAILABLE", f"Vertex AI cannot be reached: {error}", is_retryable=True
            ) from error
        except NoAnswerError as error:
            raise AmbiguousSubmissionError(f"no answer from Vertex AI: {error}") from error
        except StatusError as error:
            raise self._not_accepted(error) from error

    def poll(self, operation: str) -> Clip | Refused | OperationLost | None:
        """Ask once.  A 404 is `OperationLost`; whether it was a passing one, the step finds out by asking again."""
        try:
            found = self._authorised(lambda _: self._calls().operation(operation))
        except StatusError as error:
            if error.status == _NOT_FOUND:
                return OperationLost()
            raise self._unavailable(error) from error
        except CallError as error:
            raise self._unavailable(error) from error
        answer = answers.verdict(found)
        # Bytes are not carried about: `fetch` asks for them again.
        return Clip(operation) if isinstance(answer, answers.InlineVideo) else answer

    def find(self, request: ClipRequest) -> Clip | None:
        """The clip that lies under the request's own prefix.

        Raises:
            PermanentError: code AMBIGUOUS, there is no bucket to look into.
        """
        if self._bucket is None:
            raise PermanentError(
                "AMBIGUOUS",
                "nobody knows whether this clip was ordered, and without a bucket it cannot be looked for; a retry "
                "may pay for it a second time",
                user_action="retry",
            )
        bucket, prefix = self._bucket, self._key(request)
        try:
            found = self._authorised(lambda token: list(self._calls().clips_below(bucket, prefix, token)))
        except CallError as error:
            raise self._unavailable(error) from error
        return Clip(found[0].uri) if found else None

    def fetch(self, clip: Clip, destination: Path) -> None:
        """Stream the object, in constant memory; inline, ask the operation again and write its bytes."""
        bucket, name = _place(clip.location) if clip.location.startswith("gs://") else (None, "")
        try:
            if bucket is not None:
                source = bucket
                self._authorised(lambda token: self._calls().download(source, name, destination, token))
            else:
                destination.write_bytes(self._inline_bytes(clip.location))
        except StatusError as error:
            if error.status == _NOT_FOUND and bucket is not None:
                raise PermanentError(
                    "CLIP_GONE", f"the finished clip is no longer in bucket {bucket}; does a rule delete it too soon?"
                ) from error
            raise self._unavailable(error) from error
        except CallError as error:
            raise self._unavailable(error) from error

    # --- before anything is spent ------------------------------------------------------------------------------------

    def _check(self, request: ClipRequest) -> None:
        """Raises NotAcceptedError, MODEL_UNAVAILABLE, when this model cannot make the clip here and today."""
        model, today = self._model, self._clock.now().date()
        faults = (
            (model.is_retired(today), f"it was retired on {model.retired_on}; choose another with AI_VIDEO_VEO_MODEL"),
            (
                bool(model.regions) and self._place.location not in model.regions,
                f"it is served in {', '.join(model.regions)} and not in {self._place.location}",
            ),
            (
                request.seconds != int(request.seconds) or int(request.seconds) not in model.clip_seconds,
                f"it makes clips of {', '.join(map(str, model.clip_seconds))} s, not of {request.seconds:g} s",
            ),
            (
                request.aspect_ratio not in model.aspect_ratios,
                f"it makes {', '.join(model.aspect_ratios)}, not {request.aspect_ratio}",
            ),
            (RESOLUTION not in model.resolutions, f"it does not make {RESOLUTION}"),
        )
        fault = next((text for is_wrong, text in faults if is_wrong), None)
        if fault is not None:
            raise NotAcceptedError("MODEL_UNAVAILABLE", f"{model.name}: {fault}", is_retryable=False)

    def _config(self, request: ClipRequest) -> dict[str, Any]:
        config: dict[str, Any] = {
            "number_of_videos": 1,
            "duration_seconds": int(request.seconds),
            "aspect_ratio": request.aspect_ratio,
            "seed": request.seed,
            "person_generation": "allow_adult",
            "labels": {"job": _label(request.prefix)},
        }
        if request.negative_prompt:
            config["negative_prompt"] = request.negative_prompt
        if self._model.takes_resolution:
            config["resolution"] = RESOLUTION
        if self._model.has_audio_flag:
            config["generate_audio"] = False  # the recording is the sound; Veo's own would be paid for
        if self._bucket is not None:
            config["output_gcs_uri"] = f"gs://{self._bucket}/{self._key(request)}"
        return config

    def _not_accepted(self, error: StatusError) -> NotAcceptedError | AmbiguousSubmissionError:
        if error.status == _TOO_MANY:
            return NotAcceptedError("PROVIDER_QUOTA", "the minute's quota of Vertex AI is used up", is_retryable=True)
        if error.status in (_FORBIDDEN, _NOT_FOUND):
            return NotAcceptedError(
                "MODEL_UNAVAILABLE",
                f"{self._model.name} in {self._place.location}: {error.message}",
                is_retryable=False,
            )
        if error.status == _BAD_REQUEST and answers.support_codes(error.message):
            refused = answers.filtered(error.message, is_prompt=True)
            return NotAcceptedError(refused.code, refused.message, is_retryable=False, category=refused.category)
        if error.status not in _UNDECIDED and _BAD_REQUEST <= error.status < 500:  # noqa: PLR2004  the border of HTTP's client errors
            return NotAcceptedError("PROVIDER_ERROR", f"Vertex AI refused the order: {error}", is_retryable=False)
        # An answer from a gateway: what stands behind it may have taken the order.
        return AmbiguousSubmissionError(f"Vertex AI answered {error}")

    # --- small parts -------------------------------------------------------------------------------------------------

    def _authorised(self, call: Callable[[str], AnswerT]) -> AnswerT:
        """Do what costs nothing; once more with a new token where the old one is refused."""
        token = self._tokens.token()
        try:
            return call(token)
        except StatusError as error:
            if error.status != _UNAUTHENTICATED:
                raise
            return call(self._tokens.renewed(token))

    def _inline_bytes(self, operation: str) -> bytes:
        from worker.providers.veo.calls import decoded  # noqa: PLC0415  brings the SDK, see there

        answer = answers.verdict(self._authorised(lambda _: self._calls().operation(operation)))
        if not isinstance(answer, answers.InlineVideo):
            raise NoAnswerError(f"{operation} holds no video any more")
        return decoded(answer.encoded)

    def _unavailable(self, error: CallError) -> TransientError:
        return TransientError("PROVIDER_UNAVAILABLE", f"{self._model.name}: {error}")

    def _key(self, request: ClipRequest) -> str:
        return f"{self._folder}{request.prefix}"

    def _calls(self) -> VertexCalls:
        with self._connecting:
            if self._connected is None:
                from worker.providers.veo.calls import Calls  # noqa: PLC0415  brings the SDK, see there

                self._connected = Calls(
                    project=self._place.project,
                    location=self._place.location,
                    credentials=self._tokens.credentials,
                    base_url=self._place.base_url,
                    storage_url=self._place.storage_url,
                )
            return self._connected


def _place(uri: str | None) -> tuple[str | None, str]:
    """Bucket and folder (or name) of a gs:// address; a folder ends with '/'."""
    if uri is None:
        return None, ""
    bucket, _, rest = uri.removeprefix("gs://").partition("/")
    is_object = rest.endswith(".mp4")
    return bucket, rest if not rest or is_object or rest.endswith("/") else f"{rest}/"


def _label(prefix: str) -> str:
    """The run, as far as a label may say it: what comes before the attempt's own part of the prefix."""
    job = prefix.partition("/renders/")[0].lower()
    return _NOT_IN_A_LABEL.sub("-", job).strip("-")[-_LABEL_LENGTH:]
