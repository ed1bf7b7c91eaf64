"""Gives out the objects of the media store to whoever has a signed address, in ranges, as S3 does."""

from pathlib import Path, PurePosixPath

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from statemachine import Clock, PermanentError
from worker.ports import MediaStore
from worker.providers.signed_links import Seal

# What a browser may show.  Everything else is only to be saved: an upload may be called anything.
_TYPES = {
    ".aac": "audio/aac",
    ".flac": "audio/flac",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".m4a": "audio/mp4",
    ".mov": "video/quicktime",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".vtt": "text/vtt; charset=utf-8",
    ".wav": "audio/wav",
    ".webm": "video/webm",
}
_UNKNOWN_TYPE = "application/octet-stream"


class SignedFiles:
    """Answers `GET /media/{key}`.

    Args:
        secret: with which addresses are signed.
    """

    def __init__(self, media: MediaStore, *, secret: bytes, clock: Clock) -> None:
        self._media = media
        self._seal = Seal(secret)
        self._clock = clock

    async def get(self, request: Request) -> Response:
        """The object, or a part of it; 403 for an address that was not signed here or has expired."""
        key, given = request.path_params["key"], request.query_params
        download_as = given.get("download_as")
        signature, expires = given.get("signature", ""), given.get("expires", "")
        if not self._seal.is_good(signature, key, expires, download_as, now=self._clock.now()):
            return PlainTextResponse("the address was not signed here, or has expired", status_code=403)
        try:
            path = await run_in_threadpool(self._path, key)
        except (PermanentError, ValueError):  # it is gone, or nothing can have such a key
            return PlainTextResponse("there is no such object", status_code=404)
        return FileResponse(
            path,
            media_type=_TYPES.get(PurePosixPath(key).suffix.lower(), _UNKNOWN_TYPE),
            filename=download_as,
            # Objects never change; their addresses end.
            headers={"Cache-Control": "private, max-age=900", "Content-Security-Policy": "sandbox; default-src 'none'"},
        )

    def _path(self, key: str) -> Path:
        with self._media.local_copy(key) as path:
            return path
