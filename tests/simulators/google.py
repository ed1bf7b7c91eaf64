"""Google's tokens, Veo on Vertex AI and objects in Cloud Storage, as far as the worker speaks to them.

Shapes and texts are those of the REST discovery documents of 2026-11-06 and of answers quoted in public code (read
2026-11-22).  Not documented, and therefore decided here: an operation is fetchable for ever, its price is due when it
is accepted, and the quota is counted over the last 60 seconds.
"""

import base64
import hashlib
import json
import re
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from urllib.parse import quote, unquote

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt
from pydantic import JsonValue
from werkzeug.wrappers import Request, Response

from statemachine.clock import Clock, SystemClock
from tests.simulators import clips
from tests.simulators.bill import Bill, ClipCharge
from tests.simulators.scenario import (
    Answer,
    Effect,
    Filtered,
    Lost,
    NoVideo,
    OperationFailed,
    Place,
    Scenario,
    Subject,
    Takes,
    first_of,
    scene_of,
)
from tests.simulators.server import Route

CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
IAM_SCOPE = "https://www.googleapis.com/auth/iam"
VERTEX_SCOPES = frozenset({CLOUD_PLATFORM, "https://www.googleapis.com/auth/aiplatform"})
STORAGE_SCOPES = frozenset(
    {
        CLOUD_PLATFORM,
        "https://www.googleapis.com/auth/devstorage.read_only",
        "https://www.googleapis.com/auth/devstorage.read_write",
        "https://www.googleapis.com/auth/devstorage.full_control",
    }
)
# Operations are named from it, so that a test meets the same names every time.
FIRST_ORIGIN = uuid.UUID(int=0)

TOKEN_LIFETIME = timedelta(seconds=3599)
# google-auth names this audience whatever the key file's token_uri (2.62.2).
GOOGLE_AUDIENCE = "https://oauth2.googleapis.com/token"
SERVICE_ACCOUNT = "veo@proj-1.iam.gserviceaccount.com"

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 (the name of a grant)
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 (the name of a kind of token)
AWS_REQUEST = "urn:ietf:params:aws:token-type:aws4_request"

GENERATE_VIDEO_RESPONSE = "type.googleapis.com/cloud.ai.large_models.vision.GenerateVideoResponse"

# google.rpc codes and names by HTTP status (google/rpc/code.proto).
STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

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
class Token:
    """An access token that was issued."""

    scopes: frozenset[str]
    expires_at: datetime
    is_revoked: bool = False


@dataclass(slots=True)
class Operation:
    """One accepted generation, and what will become of it.

    Attributes:
        looks: polls, and lists of its prefix, that found it running.
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
    clips: list[bytes] = field(default_factory=list)
    uris: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a bucket."""

    data: bytes
    content_type: str
    created_at: datetime
    generation: int


@cache
def _key() -> rsa.RSAPrivateKey:
    """The service account's key, made once per process: it takes a tenth of a second."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Google:
    """Google's part of the server.

    Attributes:
        operations: by name, in the order of acceptance.
        buckets: objects by bucket and name.  A bucket exists when something is written to it.
        quota_per_minute: submissions per model; beyond it the answer is 429.
        clip_takes: how long a clip takes when no rule says otherwise.
        short_side: of 720p clips.  Fewer pixels make tests that do not look at the size faster.
    """

    def __init__(  # noqa: PLR0913 (the simulator's knobs, all optional)
        self,
        *,
        scenario: Scenario,
        bill: Bill,
        clock: Clock,
        models: Mapping[str, VeoModel] = MODELS,
        quota_per_minute: int | None = None,
        clip_takes: Takes | None = None,
        short_side: int = 720,
        b_frames: int = 2,
        project: str = "proj-1",
        origin: uuid.UUID = FIRST_ORIGIN,
    ) -> None:
        self.scenario = scenario
        self.bill = bill
        self.clock = clock
        self.models = dict(models)
        self.quota_per_minute = quota_per_minute
        self.clip_takes = clip_takes or Takes()
        self.short_side = short_side
        self.b_frames = b_frames
        self.project = project
        self.operations: dict[str, Operation] = {}
        self.buckets: dict[str, dict[str, StoredObject]] = {}
        self._origin = origin
        self._tokens: dict[str, Token] = {}
        self._accepted_at: dict[str, deque[datetime]] = {}
        # Tokens live by the client's own clock: google-auth signs and renews by the machine's time.
        self._machine_clock = SystemClock()

    # --- for tests ---------------------------------------------------------------------------------------------------

    def issue_token(self, *scopes: str) -> str:
        """A token that is valid now, as if it had been asked for; for the whole platform when no scope is given."""
        token = f"ya29.simulated-{len(self._tokens) + 1}"
        self._tokens[token] = Token(frozenset(scopes or (CLOUD_PLATFORM,)), self._machine_clock.now() + TOKEN_LIFETIME)
        return token

    def expire_tokens(self) -> None:
        """Every token issued so far is refused from now on."""
        for token in self._tokens.values():
            token.is_revoked = True

    @property
    def issued_tokens(self) -> int:
        """How many tokens were issued."""
        return len(self._tokens)

    def service_account_info(self, url: str) -> dict[str, str]:
        """A service account's key file, whose token endpoint is this server at `url`."""
        return {
            "type": "service_account",
            "project_id": self.project,
            "private_key_id": "simulated",
            "private_key": _key()
            .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            .decode(),
            "client_email": SERVICE_ACCOUNT,
            "client_id": "100000000000000000001",
            "token_uri": f"{url}/token",
            "universe_domain": "googleapis.com",
        }

    def put_object(self, bucket: str, name: str, data: bytes, content_type: str = "video/mp4") -> None:
        """Write an object."""
        now = self.clock.now()
        generation = int(now.timestamp() * 1_000_000) + sum(map(len, self.buckets.values()))
        self.buckets.setdefault(bucket, {})[name] = StoredObject(data, content_type, now, generation)

    # --- what it answers to ------------------------------------------------------------------------------------------

    def routes(self) -> Iterable[Route]:
        """Tokens, Vertex AI, Cloud Storage."""
        nothing = _about_nothing
        yield Route("/token", "POST", self._token, _at("google.token"), nothing)
        yield Route("/v1/token", "POST", self._sts, _at("google.sts"), nothing)
        yield Route(
            "/v1/projects/-/serviceAccounts/<account>:generateAccessToken",
            "POST",
            self._impersonate,
            _at("google.impersonate"),
            nothing,
        )
        for version in ("v1", "v1beta1"):
            location = f"/{version}/projects/<project>/locations/<location>"
            model = f"{location}/publishers/google/models/<model>"
            yield Route(f"{model}:predictLongRunning", "POST", self._submit, _at("veo.submit"), _about_order)
            yield Route(f"{model}:fetchPredictOperation", "POST", self._poll, _at("veo.poll"), self._about_operation)
            # Publishers' operations have no resource of their own; only fetchPredictOperation finds them.
            yield Route(f"{model}/operations/<operation>", "GET", self._no_get, _at(None), nothing)
            yield Route(f"{location}/operations/<operation>", "GET", self._no_get, _at(None), nothing)
        yield Route("/storage/v1/b/<bucket>", "GET", self._bucket, _at(None), nothing)
        yield Route("/storage/v1/b/<bucket>/o", "GET", self._list, _at("gcs.list"), _about_list)
        for prefix in ("/storage/v1", "/download/storage/v1"):
            yield Route(f"{prefix}/b/<bucket>/o/<path:name>", "GET", self._object, _object_place, _about_object)
        yield Route("/storage/v1/b/<bucket>/o/<path:name>", "DELETE", self._delete, _at("gcs.object"), _about_object)

    def fault(self, answer: Answer) -> Response:
        """Google's error body for a status; 502 comes from the front end, which speaks HTML."""
        if answer.status == 502:
            page = (
                "<!DOCTYPE html><title>Error 502 (Server Error)!!1</title><p>The server encountered a temporary error."
            )
            return Response(page, 502, mimetype="text/html")
        if answer.status == 429:
            return _quota_exceeded(answer.reason or next(iter(self.models), "veo"))
        if answer.status == 401:
            return _unauthenticated(answer.reason or "ACCESS_TOKEN_EXPIRED")
        messages = {
            403: "Permission 'aiplatform.endpoints.predict' denied on resource (or it may not exist).",
            500: "Internal error encountered.",
            503: "The service is currently unavailable.",
            504: "Deadline expired before operation could complete.",
        }
        return _error(answer.status, answer.reason or messages.get(answer.status, "The request failed."))

    # --- tokens ------------------------------------------------------------------------------------------------------

    def _token(self, request: Request) -> Response:
        if request.form.get("grant_type") != JWT_BEARER:
            return _oauth_error("unsupported_grant_type", "Invalid grant_type: " + request.form.get("grant_type", ""))
        public = (
            _key()
            .public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        try:
            claims = jwt.decode(  # type: ignore[no-untyped-call]  # google-auth has hints for some modules only
                request.form.get("assertion", ""), certs=public, audience=[GOOGLE_AUDIENCE, f"{request.host_url}token"]
            )
        except ValueError as error:
            # google-auth tells its reasons apart by text only; the real endpoint says less.
            reason = "Invalid JWT Signature." if "signature" in str(error) else f"Invalid JWT: {error}"
            return _oauth_error("invalid_grant", reason)
        if claims.get("iss") != SERVICE_ACCOUNT:
            return _oauth_error("invalid_grant", "Invalid grant: account not found")
        if not claims.get("scope"):
            return _oauth_error("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        return self._issued(str(claims["scope"]).split())

    def _sts(self, request: Request) -> Response:
        form = request.form
        if form.get("grant_type") != TOKEN_EXCHANGE:
            return _oauth_error("unsupported_grant_type", "grant_type must be token-exchange")
        audience = form.get("audience", "")
        if "/workloadIdentityPools/" not in audience or form.get("subject_token_type") != AWS_REQUEST:
            return _oauth_error("invalid_request", 'Invalid value for "audience" or "subject_token_type".')
        fault = _aws_subject_fault(form.get("subject_token", ""), audience)
        if fault is not None:
            return _oauth_error("invalid_grant", fault)
        return self._issued(form.get("scope", "").split(), issued_token_type=ACCESS_TOKEN)

    def _issued(self, scopes: Sequence[str], **more: str) -> Response:
        token = self.issue_token(*scopes)
        return _json(
            {"access_token": token, "expires_in": int(TOKEN_LIFETIME.total_seconds()), "token_type": "Bearer", **more}
        )

    def _impersonate(self, request: Request, account: str) -> Response:
        refused = self._refused(request, frozenset({IAM_SCOPE, CLOUD_PLATFORM}))
        if refused is not None:
            return refused
        if account != SERVICE_ACCOUNT:
            return _error(404, f"Not found; Gaia id not found for email {account}")
        wanted = _object(request).get("scope")
        if not isinstance(wanted, list) or not wanted:
            return _error(400, "Scope required.")
        token = self.issue_token(*map(str, wanted))
        expires_at = self._tokens[token].expires_at
        return _json({"accessToken": token, "expireTime": expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")})

    def _refused(self, request: Request, scopes: frozenset[str]) -> Response | None:
        """The answer to a request whose token is missing, unknown, too old or meant for something else."""
        kind, _, secret = request.headers.get("Authorization", "").partition(" ")
        token = self._tokens.get(secret) if kind.lower() == "bearer" else None
        if not secret:
            return _unauthenticated("CREDENTIALS_MISSING")
        if token is None:
            return _unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED")
        if token.is_revoked or self._machine_clock.now() >= token.expires_at:
            return _unauthenticated("ACCESS_TOKEN_EXPIRED")
        if not token.scopes & scopes:
            return _error(
                403, "Request had insufficient authentication scopes.", _reason("ACCESS_TOKEN_SCOPE_INSUFFICIENT")
            )
        return None

    # --- Veo ---------------------------------------------------------------------------------------------------------

    def _submit(self, request: Request, project: str, location: str, model: str) -> Response:
        refused = self._refused(request, VERTEX_SCOPES)
        if refused is not None:
            return refused
        known = self.models.get(model)
        if known is None or location not in known.regions:
            return _error(
                404,
                f"Publisher Model `projects/{project}/locations/{location}/publishers/google/models/{model}` was not "
                "found or your project does not have access to it. Please ensure you are using a valid model version. "
                "For more information, see: https://cloud.google.com/vertex-ai/generative-ai/docs/learn/model-versions",
            )
        body = _object(request)
        fault = _order_fault(body, known)
        if fault is not None:
            return _error(400, fault)
        if not self._has_quota(model):
            return _quota_exceeded(model)
        operation = self._accepted(body, known, f"projects/{project}/locations/{location}", model)
        return _json({"name": operation.name})

    def _has_quota(self, model: str) -> bool:
        """Whether this minute has room for one more; if so, it is taken."""
        now, accepted = self.clock.now(), self._accepted_at.setdefault(model, deque())
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
        effects = self.scenario.effects("veo.clip", Subject(scene, f"{order.storage_uri}\n{order.prompt}"))
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
            accepted_at=self.clock.now(),
            takes=first_of(effects, Takes) or self.clip_takes,
            fate=effects,
            error=error,
        )
        self.operations[operation.name] = operation
        price = known.usd_per_second_with_sound if order.has_sound else None
        seconds = order.seconds * order.samples
        self.bill.clips.append(
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
        refused = self._refused(request, VERTEX_SCOPES)
        if refused is not None:
            return refused
        name = _object(request).get("operationName")
        parent = f"projects/{project}/locations/{location}/publishers/google/models/{model}/operations/"
        if not isinstance(name, str) or not name.startswith(parent):
            return _error(400, "Invalid operation name: it does not belong to the model of the request.")
        operation = self.operations.get(name)
        if operation is None:
            return _error(404, f"Operation not found: {name}")
        self._look(operation)
        if first_of(operation.fate, Lost):
            return _error(404, f"Operation not found: {name}")
        if not operation.is_finished:
            return _json({"name": name})
        return _json({"name": name, "done": True, **self._result(operation)})

    def _look(self, operation: Operation) -> None:
        """Let an operation be finished if its time has come; what it made lies in the bucket from then on."""
        if operation.is_finished:
            return
        age = self.clock.now() - operation.accepted_at
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
            operation.clips.append(self._clip(operation, sample))
            if operation.storage_uri:
                bucket, _, prefix = operation.storage_uri.removeprefix("gs://").partition("/")
                name = f"{prefix.rstrip('/')}/{folder}/sample_{sample}.mp4".lstrip("/")
                self.put_object(bucket, name, operation.clips[-1])
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
        verdict: dict[str, JsonValue] = {"raiMediaFilteredCount": operation.samples - len(operation.clips)}
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
            return _error(404, "The requested resource was not found.")
        return _error(400, f"The Operation ID must be a Long, but was instead: {operation}")

    def _about_operation(self, request: Request, **_: str) -> Subject:
        operation = self.operations.get(str(_object(request).get("operationName")))
        if operation is None:
            return Subject()
        return Subject(operation.scene, f"{operation.storage_uri}\n{operation.prompt}")

    # --- Cloud Storage -----------------------------------------------------------------------------------------------

    def _bucket(self, request: Request, bucket: str) -> Response:
        refused = self._refused(request, STORAGE_SCOPES)
        if refused is not None:
            return refused
        return _json({"kind": "storage#bucket", "id": bucket, "name": bucket, "location": "US-CENTRAL1"})

    def _list(self, request: Request, bucket: str) -> Response:
        refused = self._refused(request, STORAGE_SCOPES)
        if refused is not None:
            return refused
        prefix = request.args.get("prefix", "")
        for operation in self.operations.values():
            if _overlap(operation.storage_uri, f"gs://{bucket}/{prefix}"):
                self._look(operation)
        objects = self.buckets.get(bucket, {})
        start, most = request.args.get("pageToken", ""), int(request.args.get("maxResults", "1000"))
        names = sorted(name for name in objects if name.startswith(prefix) and name > start)
        page, rest = names[:most], names[most:]
        answer: dict[str, JsonValue] = {"kind": "storage#objects"}
        if page:
            answer["items"] = [_metadata(request, bucket, name, objects[name]) for name in page]
        if rest:
            answer["nextPageToken"] = page[-1]
        return _json(answer)

    def _object(self, request: Request, bucket: str, name: str) -> Response:
        refused = self._refused(request, STORAGE_SCOPES)
        if refused is not None:
            return refused
        stored = self.buckets.get(bucket, {}).get(name)
        if stored is None:
            return _storage_error(404, f"No such object: {bucket}/{name}", "notFound")
        if request.args.get("alt") != "media":
            return _json(_metadata(request, bucket, name, stored))
        response = Response(stored.data, 200, content_type=stored.content_type)
        response.headers["x-goog-hash"] = f"md5={_md5(stored.data)}"
        response.headers["x-goog-generation"] = str(stored.generation)
        response.headers["Last-Modified"] = format_datetime(stored.created_at, usegmt=True)
        return response.make_conditional(request, accept_ranges=True, complete_length=len(stored.data))

    def _delete(self, request: Request, bucket: str, name: str) -> Response:
        refused = self._refused(request, STORAGE_SCOPES)
        if refused is not None:
            return refused
        if self.buckets.get(bucket, {}).pop(name, None) is None:
            return _storage_error(404, f"No such object: {bucket}/{name}", "notFound")
        return Response(status=204)


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


def _aws_subject_fault(subject_token: str, audience: str) -> str | None:
    """What is wrong with the signed request by which AWS is to vouch for the caller; AWS itself is not asked."""
    try:
        signed = json.loads(unquote(subject_token))
        headers = {header["key"].lower(): header["value"] for header in signed["headers"]}
        url, method = signed["url"], signed["method"]
    except (ValueError, KeyError, TypeError) as error:
        return f"Unable to parse the subject token: {error!r}"
    if method != "POST" or not re.match(r"https://sts\.[a-z0-9-]+\.amazonaws\.com\?Action=GetCallerIdentity&", url):
        return "The subject token is not a GetCallerIdentity request."
    if not headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 "):
        return "The subject token is not signed."
    if headers.get("x-goog-cloud-target-resource") != audience:
        return "The subject token was signed for another audience."
    return None


def _at(place: Place | None) -> Callable[[Request], Place | None]:
    return lambda _: place


def _overlap(storage_uri: str, listed: str) -> bool:
    """Whether what an operation writes may stand in a list of this prefix."""
    return bool(storage_uri) and (listed.startswith(storage_uri.rstrip("/")) or storage_uri.startswith(listed))


def _object_place(request: Request) -> Place:
    return "gcs.media" if request.args.get("alt") == "media" else "gcs.object"


def _about_nothing(request: Request, **_: str) -> Subject:
    return Subject()


def _about_order(request: Request, **_: str) -> Subject:
    """What a submission is about, also when it is not one that would be accepted."""
    body = _object(request)
    instances, parameters = body.get("instances"), body.get("parameters")
    instance = instances[0] if isinstance(instances, list) and instances else None
    prompt = str(instance.get("prompt", "")) if isinstance(instance, dict) else ""
    uri = str(parameters.get("storageUri", "")) if isinstance(parameters, dict) else ""
    return Subject(scene_of(uri, prompt), f"{uri}\n{prompt}")


def _about_list(request: Request, bucket: str) -> Subject:
    prefix = request.args.get("prefix", "")
    return Subject(scene_of(prefix), f"gs://{bucket}/{prefix}")


def _about_object(request: Request, bucket: str, name: str) -> Subject:
    return Subject(scene_of(name), f"gs://{bucket}/{name}")


def _object(request: Request) -> dict[str, JsonValue]:
    """The JSON object of the body; an empty one where there is none."""
    try:
        body = json.loads(request.get_data(as_text=True) or "{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _whole(value: JsonValue, default: int) -> int:
    return value if isinstance(value, int) else default


def _json(body: Mapping[str, JsonValue], status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")


def _rpc_error(code: int, message: str) -> dict[str, JsonValue]:
    return {"code": code, "message": message}


def _error(status: int, message: str, *details: JsonValue) -> Response:
    error: dict[str, JsonValue] = {
        "code": status,
        "message": message,
        "status": STATUS_NAMES.get(status, "UNKNOWN"),
    }
    if details:
        error["details"] = list(details)
    return _json({"error": error}, status)


def _reason(reason: str) -> JsonValue:
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": {"service": "aiplatform.googleapis.com"},
    }


def _unauthenticated(reason: str) -> Response:
    return _error(
        401,
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
        _reason(reason),
    )


def _quota_exceeded(model: str) -> Response:
    return _error(
        429,
        "Quota exceeded for aiplatform.googleapis.com/long_running_online_prediction_requests_per_base_model with base "
        f"model: {model}. Please submit a quota increase request. "
        "https://cloud.google.com/vertex-ai/docs/generative-ai/quotas-genai.",
    )


def _oauth_error(error: str, description: str) -> Response:
    return _json({"error": error, "error_description": description}, 400)


def _storage_error(status: int, message: str, reason: str) -> Response:
    return _json(
        {
            "error": {
                "code": status,
                "message": message,
                "errors": [{"message": message, "domain": "global", "reason": reason}],
            }
        },
        status,
    )


def _metadata(request: Request, bucket: str, name: str, stored: StoredObject) -> dict[str, JsonValue]:
    address = f"{request.host_url}storage/v1/b/{bucket}/o/{quote(name, safe='')}"
    created = stored.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return {
        "kind": "storage#object",
        "id": f"{bucket}/{name}/{stored.generation}",
        "selfLink": address,
        "mediaLink": f"{address}?generation={stored.generation}&alt=media",
        "name": name,
        "bucket": bucket,
        "generation": str(stored.generation),
        "metageneration": "1",
        "contentType": stored.content_type,
        "storageClass": "STANDARD",
        "size": str(len(stored.data)),
        "md5Hash": _md5(stored.data),
        "timeCreated": created,
        "updated": created,
    }


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
