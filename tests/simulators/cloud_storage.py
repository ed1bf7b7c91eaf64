"""Cloud Storage's JSON API, as far as a reader of clips speaks to it: list, describe, download, delete."""

import base64
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from urllib.parse import quote

from pydantic import JsonValue
from werkzeug.wrappers import Request, Response

from statemachine.clock import Clock
from tests.simulators.google_answers import about_nothing, at, json_answer, usual_fault
from tests.simulators.google_tokens import CLOUD_PLATFORM, SERVICE_ACCOUNT, GoogleTokens
from tests.simulators.scenario import Answer, Place, Subject, scene_of
from tests.simulators.server import Route

STORAGE_SCOPES = frozenset(
    {
        CLOUD_PLATFORM,
        "https://www.googleapis.com/auth/devstorage.read_only",
        "https://www.googleapis.com/auth/devstorage.read_write",
        "https://www.googleapis.com/auth/devstorage.full_control",
    }
)
MESSAGES = {
    401: "Invalid Credentials",
    403: f"{SERVICE_ACCOUNT} does not have storage.objects.list access to the Google Cloud Storage bucket.",
    404: "The specified bucket does not exist.",
    429: "The rate of requests to this bucket is too high.",
    503: "We encountered an internal error. Please try again.",
}


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a bucket.

    Attributes:
        made: gives its bytes, which may be made at the first call only, and are kept.
    """

    made: Callable[[], bytes]
    content_type: str
    created_at: datetime
    generation: int

    @property
    def data(self) -> bytes:
        """The object's bytes."""
        return self.made()


class CloudStorage:
    """Objects in dictionaries.

    Attributes:
        buckets: objects by bucket and name.  A bucket exists when something is written to it.
        before_list: told the address that is listed, so that what is finished by then can be there.
    """

    def __init__(self, *, tokens: GoogleTokens, clock: Clock) -> None:
        self.buckets: dict[str, dict[str, StoredObject]] = {}
        self.before_list: Callable[[str], None] = lambda _: None
        self._tokens = tokens
        self._clock = clock

    def put(self, bucket: str, name: str, data: bytes, content_type: str = "video/mp4") -> None:
        """Write an object."""
        self.put_unmade(bucket, name, lambda: data, content_type)

    def put_unmade(self, bucket: str, name: str, made: Callable[[], bytes], content_type: str = "video/mp4") -> None:
        """Write an object whose bytes are made when somebody wants them or their number."""
        now = self._clock.now()
        generation = int(now.timestamp() * 1_000_000) + sum(map(len, self.buckets.values()))
        self.buckets.setdefault(bucket, {})[name] = StoredObject(cache(made), content_type, now, generation)

    def routes(self) -> Iterable[Route]:
        """Buckets and objects."""
        yield Route("/storage/v1/b/<bucket>", "GET", self._bucket, at(None), about_nothing)
        yield Route("/storage/v1/b/<bucket>/o", "GET", self._list, at("gcs.list"), _about_list)
        for prefix in ("/storage/v1", "/download/storage/v1"):
            yield Route(
                f"{prefix}/b/<bucket>/o/<path:name>",
                "GET",
                self._object,
                _object_place,
                _about_object,
                is_exclusive=False,
            )
        yield Route("/storage/v1/b/<bucket>/o/<path:name>", "DELETE", self._delete, at("gcs.object"), _about_object)

    def fault(self, answer: Answer) -> Response:
        """Cloud Storage's error body for a status."""
        reasons = {401: "authError", 403: "forbidden", 404: "notFound", 429: "rateLimitExceeded", 503: "backendError"}
        reason = answer.reason or reasons.get(answer.status)
        if reason is None:
            return usual_fault(answer)
        return _storage_error(answer.status, MESSAGES.get(answer.status, "The request failed."), reason)

    def _bucket(self, request: Request, bucket: str) -> Response:
        refused = self._tokens.refusal(request, STORAGE_SCOPES)
        if refused is not None:
            return refused
        return json_answer({"kind": "storage#bucket", "id": bucket, "name": bucket, "location": "US-CENTRAL1"})

    def _list(self, request: Request, bucket: str) -> Response:
        refused = self._tokens.refusal(request, STORAGE_SCOPES)
        if refused is not None:
            return refused
        prefix = request.args.get("prefix", "")
        self.before_list(f"gs://{bucket}/{prefix}")
        objects = self.buckets.get(bucket, {})
        start, most = request.args.get("pageToken", ""), int(request.args.get("maxResults", "1000"))
        names = sorted(name for name in objects if name.startswith(prefix) and name > start)
        page, rest = names[:most], names[most:]
        answer: dict[str, JsonValue] = {"kind": "storage#objects"}
        if page:
            answer["items"] = [_metadata(request, bucket, name, objects[name]) for name in page]
        if rest:
            answer["nextPageToken"] = page[-1]
        return json_answer(answer)

    def _object(self, request: Request, bucket: str, name: str) -> Response:
        refused = self._tokens.refusal(request, STORAGE_SCOPES)
        if refused is not None:
            return refused
        stored = self.buckets.get(bucket, {}).get(name)
        if stored is None:
            return _storage_error(404, f"No such object: {bucket}/{name}", "notFound")
        if request.args.get("alt") != "media":
            return json_answer(_metadata(request, bucket, name, stored))
        response = Response(stored.data, 200, content_type=stored.content_type)
        response.headers["x-goog-hash"] = f"md5={_md5(stored.data)}"
        response.headers["x-goog-generation"] = str(stored.generation)
        response.headers["Last-Modified"] = format_datetime(stored.created_at, usegmt=True)
        return response.make_conditional(request, accept_ranges=True, complete_length=len(stored.data))

    def _delete(self, request: Request, bucket: str, name: str) -> Response:
        refused = self._tokens.refusal(request, STORAGE_SCOPES)
        if refused is not None:
            return refused
        if self.buckets.get(bucket, {}).pop(name, None) is None:
            return _storage_error(404, f"No such object: {bucket}/{name}", "notFound")
        return Response(status=204)


def _object_place(request: Request) -> Place:
    return "gcs.media" if request.args.get("alt") == "media" else "gcs.object"


def _about_list(request: Request, bucket: str) -> Subject:
    prefix = request.args.get("prefix", "")
    return Subject(scene_of(prefix), f"gs://{bucket}/{prefix}")


def _about_object(request: Request, bucket: str, name: str) -> Subject:
    return Subject(scene_of(name), f"gs://{bucket}/{name}")


def _storage_error(status: int, message: str, reason: str) -> Response:
    return json_answer(
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
