"""Veo on Vertex AI: orders, operations, and clips in a bucket or in the answer.

Shapes and texts are those of the REST discovery documents of 2026-11-06 and of answers quoted in public code (read
2026-11-22).  Not documented, and therefore decided here: an operation is fetchable for ever, its price is due when it
is accepted, and the quota is counted over the last 60 seconds.
"""

import base64
import re
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, partial

from pydantic import JsonValue
from werkzeug.wrappers import Request, Response

from statemachine.clock import Clock
from tests.simulators import clips
from tests.simulators.bill import Bill, ClipCharge
from tests.simulators.cloud_storage import CloudStorage
from tests.simulators.google_answers import about_nothing, at, error_answer, json_answer, json_object, usual_fault
from tests.simulators.google_tokens import CLOUD_PLATFORM, GoogleTokens
from tests.simulators.scenario import (
    Answer,
    Effect,
    Filtered,
    Lost,
    NoVideo,
    OperationFailed,
    Scenario,
    Subject,
    Takes,
    first_of,
    scene_of,
)
from tests.simulators.server import Route

VERTEX_SCOPES = frozenset({CLOUD_PLATFORM, "https://www.googleapis.com/auth/aiplatform"})

# Operations are named from it, so that a test meets the same names every time.
FIRST_ORIGIN = uuid.UUID(int=0)

GENERATE_VIDEO_RESPONSE = "type.googleapis.com/cloud.ai.large_models.vision.GenerateVideoResponse"

# What operations were seen to end with (public code, read 2026-11-22).
BUSY = "The service is currently experiencing high load and cannot process your request. Please try again later."
OPERATION_MESSAGES = {
    3: (
        "The prompt could not be submitted. This prompt contains sensitive words that violate Vertex AI's usage "
        "guidelines. If you think this was an error, send feedback. Support codes: 62263041"
    ),
    8: BUSY,
    13: "Video generation failed due to an internal server issue. Please try again in a few minutes.",
    14: BUSY,
}
FILTER_REASON = (
    "Veo could not generate videos because the prompt violates Vertex AI's usage guidelines. If you think this was an "
    "error, send feedback."
)


@dataclass(frozen=True, slots=True)
class VeoModel:
    """What one model accepts and costs (model cards and price page, read 2026-11-22).

    Attributes:
        seconds: of a clip, in the order in which the vendor's error names them.
        usd_per_second: without sound, 720p.
        usd_per_second_with_sound: None where there is no sound to ask for.
    """

    seconds: tuple[int, ...]
    default_seconds: int
    resolutions: tuple[str, ...]
    usd_per_second: float
    usd_per_second_with_sound: float | None
    regions: tuple[str, ...] = ("us-central1",)


VEO_2 = VeoModel((8, 5, 6, 7), 8, ("720p",), 0.50, None)
MODELS: Mapping[str, VeoModel] = {
    "veo-3.1-generate-001": VeoModel((8, 4, 6), 8, ("720p", "1080p", "4k"), 0.20, 0.40),
    "veo-3.1-fast-generate-001": VeoModel((8, 4, 6), 8, ("720p", "1080p"), 0.08, 0.10),
    "veo-3.1-lite-generate-001": VeoModel((8, 4, 6), 8, ("720p", "1080p"), 0.03, 0.05),
}

PARAMETERS = frozenset(
    {
        "sampleCount",
        "storageUri",
        "durationSeconds",
        "seed",
        "aspectRatio",
        "resolution",
        "personGeneration",
        "negativePrompt",
        "enhancePrompt",
        "generateAudio",
        "fps",
        "pubsubTopic",
        "compressionQuality",
        "resizeMode",
    }
)
INSTANCE_MEMBERS = frozenset(["prompt", "image", "lastFrame", "video", "referenceImages", "mask"])
LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")


@dataclass(slots=True)
class Operation:
    """One accepted generation, and what will become of it.

    Attributes:
        looks: polls, and lists of its prefix, that found it running.
        made: gives the clips, one for each sample; each is encoded when somebody wants its bytes.
        fate: the effects of the scenario; none of them: the ordered clips.
    """

    name: str
    ordinal: int
    attempt: int
    scene: int | None
    prompt: str
    storage_uri: str
    seconds: int
    samples: int
    aspect_ratio: str
    short_side: int
    has_sound: bool
    accepted_at: datetime
    takes: Takes
    fate: list[Effect]
    error: dict[str, JsonValue] | None = None
    looks: int = 0
    is_finished: bool = False
    made: list[Callable[[], bytes]] = field(default_factory=list)
    uris: list[str] = field(default_factory=list)

    @property
    def clips(self) -> list[bytes]:
        """What it made, as bytes."""
        return [made() for made in self.made]


class Veo:
    """Vertex AI's part of the server.

    Attributes:
        operations: by name, in the order of acceptance.
        models: those that are served; any other answers as a retired one does.
        quota_per_minute: submissions per model; beyond it the answer is 429.
        clip_takes: how long a clip takes when no rule says otherwise.
        short_side: of 720p clips.  Fewer pixels make tests that do not look at the size faster.
    """

    def __init__(  # noqa: PLR0913 (the simulator's knobs)
        self,
        *,
        tokens: GoogleTokens,
        storage: CloudStorage,
        scenario: Scenario,
        bill: Bill,
        clock: Clock,
        models: Mapping[str, VeoModel],
        quota_per_minute: int | None,
        clip_takes: Takes,
        short_side: int,
        b_frames: int,
        origin: uuid.UUID,
    ) -> None:
        self.operations: dict[str, Operation] = {}
        self.models = dict(models)
        self.quota_per_minute = quota_per_minute
        self.clip_takes = clip_takes
        self.short_side = short_side
        self.b_frames = b_frames
        self._tokens = tokens
        self._storage = storage
        self._scenario = scenario
        self._bill = bill
        self._clock = clock
        self._origin = origin
        self._accepted_at: dict[str, deque[datetime]] = {}

    def settle(self, listed: str) -> None:
        """Let whatever may write below this address be finished if its time has come."""
        for operation in self.operations.values():
            if _overlap(operation.storage_uri, listed):
                self._look(operation)

    def routes(self) -> Iterable[Route]:
        """Submitting and polling, in both versions of the API."""
        for version in ("v1", "v1beta1"):
            location = f"/{version}/projects/<project>/locations/<location>"
            model = f"{location}/publishers/google/models/<model>"
            yield Route(f"{model}:predictLongRunning", "POST", self._submit, at("veo.submit"), _about_order)
            yield Route(f"{model}:fetchPredictOperation", "POST", self._poll, at("veo.poll"), self._about_operation)
            # Publishers' operations have no resource of their own; only fetchPredictOperation finds them.
            yield Route(f"{model}/operations/<operation>", "GET", self._no_get, at(None), about_nothing)
            yield Route(f"{location}/operations/<operation>", "GET", self._no_get, at(None), about_nothing)

    def fault(self, answer: Answer) -> Response:
        """Vertex AI's error body for a status; `reason` replaces its message."""
        if answer.status == 429:
            return _quota_exceeded(answer.reason or next(iter(self.models)))
        if answer.status == 404 and not answer.reason:
            return _no_model("projects/proj-1/locations/us-central1/publishers/google/models/veo-2.0-generate-001")
        if answer.status == 403 and not answer.reason:
            return error_answer(403, "Permission 'aiplatform.endpoints.predict' denied on resource.")
        return usual_fault(answer)

    def _submit(self, request: Request, project: str, location: str, model: str) -> Response:
        refused = self._tokens.refusal(request, VERTEX_SCOPES)
        if refused is not None:
            return refused
        known = self.models.get(model)
        if known is None or location not in known.regions:
            return _no_model(f"projects/{project}/locations/{location}/publishers/google/models/{model}")
        body = json_object(request)
        fault = _order_fault(body, known)
        if fault is not None:
            return error_answer(400, fault)
        if not self._has_quota(model):
            return _quota_exceeded(model)
        operation = self._accepted(body, known, f"projects/{project}/locations/{location}", model)
        return json_answer({"name": operation.name})

    def _has_quota(self, model: str) -> bool:
        """Whether this minute has room for one more; if so, it is taken."""
        now, accepted = self._clock.now(), self._accepted_at.setdefault(model, deque())
        while accepted and now - accepted[0] >= timedelta(minutes=1):
            accepted.popleft()
        if self.quota_per_minute is not None and len(accepted) >= self.quota_per_minute:
            return False
        accepted.append(now)
        return True

    def _accepted(self, body: Mapping[str, JsonValue], known: VeoModel, parent: str, model: str) -> Operation:
        order = _Order.of(body, known)
        scene = scene_of(order.storage_uri, order.prompt)
        ordinal = len(self.operations) + 1
        effects = self._scenario.effects("veo.clip", Subject(scene, f"{order.storage_uri}\n{order.prompt}"))
        error = None
        if order.seconds not in known.seconds:
            lengths = ",".join(map(str, known.seconds))
            # Found out only here, as by the real one: after acceptance.
            error = _rpc_error(
                3,
                f"Unsupported output video duration {order.seconds} seconds, supported durations are [{lengths}] for "
                "feature text_to_video.",
            )
        operation = Operation(
            name=f"{parent}/publishers/google/models/{model}/operations/{uuid.uuid5(self._origin, str(ordinal))}",
            ordinal=ordinal,
            attempt=sum(other.scene == scene for other in self.operations.values()) + 1,
            scene=scene,
            prompt=order.prompt,
            storage_uri=order.storage_uri,
            seconds=order.seconds,
            samples=order.samples,
            aspect_ratio=order.aspect_ratio,
            short_side={"1080p": 1080, "4k": 2160}.get(order.resolution, self.short_side),
            has_sound=order.has_sound,
            accepted_at=self._clock.now(),
            takes=first_of(effects, Takes) or self.clip_takes,
            fate=effects,
            error=error,
        )
        self.operations[operation.name] = operation
        price = known.usd_per_second_with_sound if order.has_sound else None
        seconds = order.seconds * order.samples
        self._bill.clips.append(
            ClipCharge(
                ordinal=ordinal,
                operation=operation.name,
                model=model,
                scene=scene,
                prefix=order.storage_uri,
                seconds=seconds,
                usd=seconds * (known.usd_per_second if price is None else price),
                at=operation.accepted_at,
            )
        )
        return operation

    def _poll(self, request: Request, project: str, location: str, model: str) -> Response:
        refused = self._tokens.refusal(request, VERTEX_SCOPES)
        if refused is not None:
            return refused
        name = json_object(request).get("operationName")
        parent = f"projects/{project}/locations/{location}/publishers/google/models/{model}/operations/"
        if not isinstance(name, str) or not name.startswith(parent):
            return error_answer(400, "Invalid operation name: it does not belong to the model of the request.")
        operation = self.operations.get(name)
        if operation is None:
            return error_answer(404, f"Operation not found: {name}")
        self._look(operation)
        if first_of(operation.fate, Lost):
            return error_answer(404, f"Operation not found: {name}")
        if not operation.is_finished:
            return json_answer({"name": name})
        return json_answer({"name": name, "done": True, **self._result(operation)})

    def _look(self, operation: Operation) -> None:
        """Let an operation be finished if its time has come; what it made lies in the bucket from then on."""
        if operation.is_finished:
            return
        age = self._clock.now() - operation.accepted_at
        if operation.looks < operation.takes.polls or age < timedelta(seconds=operation.takes.seconds):
            operation.looks += 1
            return
        operation.is_finished = True
        failed = first_of(operation.fate, OperationFailed)
        if failed is not None:
            message = failed.message or OPERATION_MESSAGES.get(failed.code, "The operation failed.")
            operation.error = _rpc_error(failed.code, message)
        lost = first_of(operation.fate, Lost)
        if operation.error or first_of(operation.fate, NoVideo) or (lost and not lost.is_made):
            return
        filtered = first_of(operation.fate, Filtered)
        taken = 0 if filtered is None else operation.samples if filtered.count is None else filtered.count
        # The number in the name is the vendor's own: nobody can know it beforehand.
        folder = int(operation.accepted_at.timestamp() * 1_000_000) * 1000 + operation.ordinal
        for sample in range(max(0, operation.samples - taken)):
            operation.made.append(cache(partial(self._clip, operation, sample)))
            if operation.storage_uri:
                bucket, _, prefix = operation.storage_uri.removeprefix("gs://").partition("/")
                name = f"{prefix.rstrip('/')}/{folder}/sample_{sample}.mp4".lstrip("/")
                self._storage.put_unmade(bucket, name, operation.made[-1])
                operation.uris.append(f"gs://{bucket}/{name}")

    def _clip(self, operation: Operation, sample: int) -> bytes:
        return clips.clip(
            operation.seconds,
            aspect_ratio=operation.aspect_ratio,
            short_side=operation.short_side,
            label=clip_label(operation.scene, operation.attempt, sample),
            b_frames=self.b_frames,
            has_sound=operation.has_sound,
        )

    def _result(self, operation: Operation) -> dict[str, JsonValue]:
        if operation.error is not None:
            return {"error": operation.error}
        if first_of(operation.fate, NoVideo):
            return {"response": {"@type": GENERATE_VIDEO_RESPONSE}}
        videos: list[JsonValue] = (
            [{"gcsUri": uri, "mimeType": "video/mp4"} for uri in operation.uris]
            if operation.storage_uri
            else [
                {"bytesBase64Encoded": base64.b64encode(clip).decode(), "mimeType": "video/mp4"}
                for clip in operation.clips
            ]
        )
        filtered = first_of(operation.fate, Filtered)
        if filtered is None:
            return {
                "response": {"@type": GENERATE_VIDEO_RESPONSE, "raiMediaFilteredCount": 0, "videos": videos},
            }
        verdict: dict[str, JsonValue] = {"raiMediaFilteredCount": operation.samples - len(operation.made)}
        if filtered.has_reasons:
            codes = ", ".join(map(str, filtered.support_codes))
            verdict["raiMediaFilteredReasons"] = [f"{FILTER_REASON} Support codes: {codes}" if codes else FILTER_REASON]
        if videos:
            verdict["videos"] = videos
        if filtered.is_nested:
            return {"response": {"@type": GENERATE_VIDEO_RESPONSE, "generateVideoResponse": verdict}}
        return {"response": {"@type": GENERATE_VIDEO_RESPONSE, **verdict}}

    def _no_get(self, request: Request, operation: str, **_: str) -> Response:
        if "publishers" in request.path:
            return error_answer(404, "The requested resource was not found.")
        return error_answer(400, f"The Operation ID must be a Long, but was instead: {operation}")

    def _about_operation(self, request: Request, **_: str) -> Subject:
        operation = self.operations.get(str(json_object(request).get("operationName")))
        if operation is None:
            return Subject()
        return Subject(operation.scene, f"{operation.storage_uri}\n{operation.prompt}")


def clip_label(scene: int | None, attempt: int, sample: int = 0) -> int:
    """What the frames of a clip carry (see `clips.mark_of`): of scene 3, first attempt, first sample: 3 * 256 + 16.

    A scene that nobody could make out counts as 255.
    """
    return ((255 if scene is None else scene) % 256) * 256 + (attempt % 16) * 16 + sample % 16


@dataclass(frozen=True, slots=True)
class _Order:
    """A submission that was found acceptable."""

    prompt: str
    storage_uri: str
    seconds: int
    samples: int
    aspect_ratio: str
    resolution: str
    has_sound: bool

    @classmethod
    def of(cls, body: Mapping[str, JsonValue], known: VeoModel) -> "_Order":
        instances, parameters = body["instances"], body.get("parameters") or {}
        assert isinstance(instances, list)
        assert isinstance(parameters, dict)
        instance = instances[0]
        assert isinstance(instance, dict)
        has_sound = known.usd_per_second_with_sound is not None and parameters.get("generateAudio") is not False
        return cls(
            prompt=str(instance.get("prompt", "")),
            storage_uri=str(parameters.get("storageUri", "")),
            seconds=_whole(parameters.get("durationSeconds"), known.default_seconds),
            samples=_whole(parameters.get("sampleCount"), 1),
            aspect_ratio=str(parameters.get("aspectRatio", "16:9")),
            resolution=str(parameters.get("resolution", "720p")).lower(),
            has_sound=has_sound,
        )


def _order_fault(body: Mapping[str, JsonValue], known: VeoModel) -> str | None:  # noqa: PLR0911 (one return per fault)
    """What is wrong with a submission, as far as the vendor finds out before accepting it."""
    instances, parameters = body.get("instances"), body.get("parameters", {})
    if unknown := set(body) - {"instances", "parameters", "labels"}:
        return f'Invalid JSON payload received. Unknown name "{min(unknown)}": Cannot find field.'
    if not isinstance(instances, list) or len(instances) != 1 or not isinstance(instances[0], dict):
        return "Request must contain exactly one instance."
    if not isinstance(parameters, dict):
        return "Invalid value at 'parameters'."
    instance = instances[0]
    if unknown := (set(instance) - INSTANCE_MEMBERS) | (set(parameters) - PARAMETERS):
        return f'Invalid JSON payload received. Unknown name "{min(unknown)}": Cannot find field.'
    prompt = instance.get("prompt")
    if not (isinstance(prompt, str) and prompt.strip()) and not {"image", "video"} & set(instance):
        return "The request must contain a prompt, an image or a video."
    if {"image", "referenceImages"} <= set(instance):
        return "Image and reference images cannot be both set."
    return _parameter_fault(parameters, known) or _label_fault(body.get("labels", {}))


def _parameter_fault(parameters: Mapping[str, JsonValue], known: VeoModel) -> str | None:
    samples = parameters.get("sampleCount", 1)
    uri = parameters.get("storageUri")
    checks = (
        (isinstance(samples, int) and 1 <= samples <= 4, "sampleCount must be between 1 and 4."),
        (isinstance(parameters.get("durationSeconds", 8), int), "durationSeconds must be an integer."),
        (parameters.get("aspectRatio", "16:9") in ("16:9", "9:16"), "aspectRatio must be one of 16:9, 9:16."),
        (
            str(parameters.get("resolution", "720p")).lower() in known.resolutions,
            f"resolution must be one of {', '.join(known.resolutions)}.",
        ),
        (uri is None or re.fullmatch(r"gs://[a-z0-9._-]+(/.*)?", str(uri)), f"Invalid storage URI: {uri}"),
        (
            parameters.get("personGeneration", "allow_adult") in ("allow_adult", "dont_allow", "disallow", "allow_all"),
            "personGeneration has an unsupported value.",
        ),
        (
            known.usd_per_second_with_sound is not None or "generateAudio" not in parameters,
            "generateAudio is not supported by this model.",
        ),
    )
    return next((fault for is_right, fault in checks if not is_right), None)


def _label_fault(labels: JsonValue) -> str | None:
    if not isinstance(labels, dict):
        return "Invalid value at 'labels'."
    for key, value in labels.items():
        if not LABEL_KEY.fullmatch(key) or not isinstance(value, str) or not LABEL_VALUE.fullmatch(value):
            return f"Label {key!r} is invalid: lower case letters, digits, '_' and '-' only, at most 63."
    return None


def _overlap(storage_uri: str, listed: str) -> bool:
    """Whether what an operation writes may stand in a list of this prefix."""
    return bool(storage_uri) and (listed.startswith(storage_uri.rstrip("/")) or storage_uri.startswith(listed))


def _about_order(request: Request, **_: str) -> Subject:
    """What a submission is about, also when it is not one that would be accepted."""
    body = json_object(request)
    instances, parameters = body.get("instances"), body.get("parameters")
    instance = instances[0] if isinstance(instances, list) and instances else None
    prompt = str(instance.get("prompt", "")) if isinstance(instance, dict) else ""
    uri = str(parameters.get("storageUri", "")) if isinstance(parameters, dict) else ""
    return Subject(scene_of(uri, prompt), f"{uri}\n{prompt}")


def _whole(value: JsonValue, default: int) -> int:
    return value if isinstance(value, int) else default


def _rpc_error(code: int, message: str) -> dict[str, JsonValue]:
    return {"code": code, "message": message}


def _quota_exceeded(model: str) -> Response:
    return error_answer(
        429,
        "Quota exceeded for aiplatform.googleapis.com/long_running_online_prediction_requests_per_base_model with base "
        f"model: {model}. Please submit a quota increase request. "
        "https://cloud.google.com/vertex-ai/docs/generative-ai/quotas-genai.",
    )


def _no_model(name: str) -> Response:
    return error_answer(
        404,
        f"Publisher Model `{name}` was not found or your project does not have access to it. Please ensure you are "
        "using a valid model version. For more information, see: "
        "https://cloud.google.com/vertex-ai/generative-ai/docs/learn/model-versions",
    )
