"""The requests themselves, through Google's SDK and, for objects, Cloud Storage's JSON API.

This module brings google.genai and httpx with it: 0.4 to 0.6 s of a cold start (measured 2026-11-22).  So it is
imported by the first call of a renderer and by nobody else.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from google import genai
from google.genai import errors, types

from worker.providers.veo.call_errors import NoAnswerError, NotReachedError, StatusError

# A submission is answered within a few seconds; longer than this the answer is taken for lost.
TIMEOUT_SECONDS = 30.0

# Between two pieces of an object; the whole of it may take longer.
STORAGE_TIMEOUT = httpx.Timeout(20.0, connect=5.0)
CHUNK_BYTES = 256 * 2**10

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True)
class StoredClip:
    """An object that the vendor wrote."""

    uri: str
    size_bytes: int


class _Operation(types.GenerateVideosOperation):
    """An operation as the vendor told it: the SDK's own reading leaves out the counters of one API version."""

    @classmethod
    def from_api_response(cls, api_response: Any, is_vertex_ai: bool = False) -> Self:  # noqa: ANN401, ARG003, FBT001, FBT002  the SDK calls it so
        return cls.model_validate({"name": api_response.get("name"), "metadata": dict(api_response)})


class Calls:
    """Speaks to Vertex AI and Cloud Storage with one set of connections; safe to share between threads."""

    def __init__(
        self,
        *,
        project: str,
        location: str,
        credentials: Any,  # noqa: ANN401  google-auth's credentials, which ship no types
        base_url: str | None,
        storage_url: str,
    ) -> None:
        options = types.HttpOptions(api_version="v1", timeout=round(TIMEOUT_SECONDS * 1000))
        if base_url:
            options.base_url = base_url
        # Kept: a client that nobody holds closes itself in the middle of a call.  It sends every request once: what it
        # repeats by itself could be ordered twice.
        self._client = genai.Client(
            vertexai=True, project=project, location=location, credentials=credentials, http_options=options
        )
        self._storage = httpx.Client(base_url=storage_url, timeout=STORAGE_TIMEOUT)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        self._storage.close()

    def submit(self, model: str, prompt: str, config: Mapping[str, Any]) -> str:
        """Order; the operation's name.  `config`: fields of the SDK's GenerateVideosConfig."""
        source, fields = types.GenerateVideosSource(prompt=prompt), types.GenerateVideosConfig(**config)
        operation = _sent(lambda: self._client.models.generate_videos(model=model, source=source, config=fields))
        if not operation.name:
            raise NoAnswerError("the answer names no operation")
        return operation.name

    def operation(self, name: str) -> Mapping[str, Any]:
        """An operation, in the vendor's own words."""
        asked = _Operation.model_validate({"name": name})
        found = _sent(lambda: self._client.operations.get(asked))
        return found.metadata or {}

    def clips_below(self, bucket: str, prefix: str, token: str) -> Iterator[StoredClip]:
        """Every film whose name begins with `prefix`."""
        page: str | None = ""
        while page is not None:
            query = {"prefix": prefix, "fields": "items(name,size),nextPageToken"} | (
                {"pageToken": page} if page else {}
            )
            with _http_errors():
                response = self._storage.get(f"/storage/v1/b/{bucket}/o", params=query, headers=_signed(token))
                _require_success(response)
                listed = response.json()
                films = [item for item in listed.get("items", []) if item["name"].endswith(".mp4")]
                clips = [StoredClip(f"gs://{bucket}/{film['name']}", int(film.get("size", 0))) for film in films]
                page = listed.get("nextPageToken")
            yield from (clip for clip in clips if clip.size_bytes)

    def download(self, bucket: str, name: str, destination: Path, token: str) -> None:
        """An object into a file, piece by piece; half a file is removed again."""
        path = f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}"
        try:
            with (
                _http_errors(),
                destination.open("xb") as file,
                self._storage.stream("GET", path, params={"alt": "media"}, headers=_signed(token)) as response,
            ):
                if not response.is_success:
                    response.read()
                    _require_success(response)
                digest = hashlib.md5(usedforsecurity=False)
                for chunk in response.iter_bytes(CHUNK_BYTES):
                    digest.update(chunk)
                    file.write(chunk)
                _require_digest(response, digest.digest())
        except BaseException:
            destination.unlink(missing_ok=True)
            raise


def decoded(encoded: str) -> bytes:
    """The bytes of an inline video.

    Raises:
        NoAnswerError: it is no base64; the answer was damaged on its way.
    """
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise NoAnswerError("the video in the answer is no base64") from error


def _sent(call: Callable[[], AnswerT]) -> AnswerT:
    try:
        with _http_errors():
            return call()
    except errors.APIError as error:
        raise StatusError(error.code, str(error.message or error.status or "")) from error


@contextmanager
def _http_errors() -> Iterator[None]:
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
        raise NotReachedError(str(error) or type(error).__name__) from error
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise NoAnswerError(str(error) or type(error).__name__) from error
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        # What the SDK, or we, meet in an answer that is not as documented: it came, and it says nothing.
        raise NoAnswerError(f"the answer cannot be read: {type(error).__name__}") from error


def _require_success(response: httpx.Response) -> None:
    if not response.is_success:
        raise StatusError(response.status_code, response.text[:300])


def _require_digest(response: httpx.Response, digest: bytes) -> None:
    """Cloud Storage tells the MD5 of every object that was not composed of others."""
    told = [part.strip() for part in response.headers.get("x-goog-hash", "").split(",")]
    wanted = next((part.removeprefix("md5=") for part in told if part.startswith("md5=")), None)
    if wanted is not None and wanted != base64.b64encode(digest).decode():
        raise NoAnswerError("the object was damaged on its way")


def _signed(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
