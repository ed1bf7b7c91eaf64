"""What is served: the API, the platform's parts around it, signed files, and the built page."""

import functools
import logging
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from statemachine import TransientError
from statemachine.errors import StoreError
from worker.handlers.api.parts import ApiParts
from worker.handlers.api.problems import ProblemError
from worker.handlers.api.routes import Api
from worker.links import LinkSigner
from worker.local import parts
from worker.local.server.gallery import Gallery
from worker.local.server.gateway import MAX_BODY_BYTES, body_of, event_of, refusal, response_of
from worker.local.server.sessions import USERS, Sessions, User
from worker.local.server.signed_files import SignedFiles
from worker.local.server.worker import ServedWorker
from worker.providers.signed_links import MEDIA_PATH

log = logging.getLogger(__name__)

API_PATH = "/api/ai-video"

# An hour of WAV is some 600 MB, the longest recording that is accepted (ten minutes) some 100.
MAX_UPLOAD_BYTES = 200 * 2**20

_MAX_SESSION_BYTES = 4096

# People of this server's users come by these names; another name in a request comes from a page elsewhere that has made
# its own name lead here (DNS rebinding).
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")

# Addresses of an answer name the server as the browser does.  There are two names, and a port that may be forwarded.
_ORIGINS_KEPT = 8

# The page may show what this server has, and `{elsewhere}`, where objects lie.
_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:{elsewhere}; media-src 'self' blob:{elsewhere}; "
    "connect-src 'self'{elsewhere}; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # A signed address must not be told to whoever is linked to.
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}

_NO_PAGE = "The page is not built: `make serve` builds it.  The API answers below /api.\n"


@dataclass(frozen=True, slots=True)
class Served:
    """What the server is made of.

    Attributes:
        secret: with which addresses and tokens are signed.
        page: folder of the built page; None when there is none.
        hosts: names by which the server may be called.
    """

    worker: ServedWorker
    sessions: Sessions
    secret: bytes
    page: Path | None = None
    hosts: tuple[str, ...] = LOOPBACK_NAMES
    max_upload_bytes: int = MAX_UPLOAD_BYTES


class SessionRequest(BaseModel):
    """The body of `POST /api/session`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    user: str


def build_app(served: Served) -> Starlette:
    """The ASGI application."""
    routes = _Routes(served)
    files = SignedFiles(served.worker.media, secret=served.secret, clock=served.worker.clock)
    paths: list[BaseRoute] = [
        Route("/healthz", routes.health),
        Route("/api/users", routes.users),
        Route("/api/session", routes.sign_in, methods=["POST"]),
        Route("/api/videos", routes.videos, methods=["GET"]),
        Route("/api/videos", routes.upload, methods=["POST"]),
        Route(API_PATH, _AnyMethod(routes.ai_video)),
        Route("/api/{rest:path}", _AnyMethod(routes.nothing_here)),
        Route(f"{MEDIA_PATH}/{{key:path}}", files.get),
        _page(served.page),
    ]
    return Starlette(
        routes=paths,
        middleware=[
            Middleware(_Hardened, elsewhere=" https:" if served.worker.settings.media == "s3" else ""),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(served.hosts), www_redirect=False),
        ],
        exception_handlers={
            ProblemError: _answer_problem,
            HTTPException: _answer_http,
            StoreError: _answer_unavailable,
            TransientError: _answer_unavailable,
            OSError: _answer_unavailable,
            ClientDisconnect: _answer_nobody,
            Exception: _answer_unexpected,
        },
    )


class _Routes:
    """The answers."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._worker = served.worker
        self._gallery = Gallery(served.worker)
        self._api_at = functools.lru_cache(maxsize=_ORIGINS_KEPT)(self._new_api_at)

    async def health(self, _: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def users(self, _: Request) -> Response:
        return JSONResponse({"users": [_person(user) for user in USERS.values()]})

    async def sign_in(self, request: Request) -> Response:
        try:
            asked = SessionRequest.model_validate_json(await body_of(request, at_most=_MAX_SESSION_BYTES))
            user = USERS[asked.user]
        except (ValidationError, KeyError) as error:
            raise ProblemError("INVALID_REQUEST", f'send {{"user": …}}, one of {", ".join(USERS)}') from error
        session = self._served.sessions.begin(user)
        return JSONResponse(
            {
                "token": session.token,
                "expires_at": session.expires_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
                "user": _person(user),
            },
            headers={"Cache-Control": "no-store"},
        )

    async def videos(self, request: Request) -> Response:
        user = self._user(request)
        rows = await run_in_threadpool(self._gallery.list, user.id, self._links(request))
        return JSONResponse({"videos": rows}, headers={"Cache-Control": "private, no-store"})

    async def upload(self, request: Request) -> Response:
        user = self._user(request)
        filename = request.query_params.get("filename", "")
        if not filename:
            raise ProblemError("INVALID_REQUEST", "name the file: /api/videos?filename=interview.mp3")
        async with self._received(request) as file:
            video = await run_in_threadpool(
                functools.partial(self._gallery.add, file, filename=filename, owner_id=user.id)
            )
        row = await run_in_threadpool(self._gallery.row, video, None, self._links(request))
        return JSONResponse(row, status_code=201, headers={"Cache-Control": "private, no-store"})

    async def ai_video(self, request: Request) -> Response:
        # A thread of the pool for each request, as the handler works with blocking calls.
        body = await body_of(request, at_most=MAX_BODY_BYTES)
        user = self._served.sessions.user_of(request.headers.get("authorization"))
        event = event_of(request, path=API_PATH, body=body, user=user)
        return response_of(await run_in_threadpool(self._api_at(_origin(request)).answer, event))

    async def nothing_here(self, _: Request) -> Response:
        raise ProblemError("NOT_FOUND", "there is nothing below this path")

    def _user(self, request: Request) -> User:
        user = self._served.sessions.user_of(request.headers.get("authorization"))
        if user is None:
            raise ProblemError(
                "UNAUTHENTICATED",
                "sign in with POST /api/session, and send its token in the Authorization header",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return user

    def _links(self, request: Request) -> LinkSigner:
        return self._worker.links_at(_origin(request), self._served.secret)

    def _new_api_at(self, origin: str) -> Api:
        """The handler, whose addresses begin with `origin`."""
        settings = parts.changed(self._worker.settings, {"api_path": API_PATH, "cors_origins": origin})
        links = self._worker.links_at(origin, self._served.secret)
        return Api(replace(ApiParts.of(self._worker), settings=settings, links=lambda: links))

    @asynccontextmanager
    async def _received(self, request: Request) -> AsyncIterator[Path]:
        """The body as a file, for as long as the block lasts."""
        limit = self._served.max_upload_bytes
        # Below the home: moving it into the media store must not fill another disk.
        with tempfile.TemporaryDirectory(dir=self._worker.work_folder) as folder:
            path = Path(folder) / "upload"
            size = 0
            stream = await run_in_threadpool(path.open, "wb")
            try:
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > limit:
                        raise ProblemError("BODY_TOO_LARGE", f"an upload has at most {limit // 2**20} MB")
                    await run_in_threadpool(stream.write, chunk)
            finally:
                await run_in_threadpool(stream.close)
            if not size:
                raise ProblemError("EMPTY_FILE", "the upload is empty (0 bytes)")
            yield path


class _AnyMethod:
    """An endpoint for every method: which are served is for the API to say."""

    def __init__(self, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive, send))
        await response(scope, receive, send)


class _Hardened:
    """Adds the headers that forbid a browser to guess types, frame the page or load from elsewhere."""

    def __init__(self, app: ASGIApp, *, elsewhere: str) -> None:
        self._app = app
        self._headers = {"Content-Security-Policy": _POLICY.format(elsewhere=elsewhere), **_HEADERS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, hardened)


def _page(folder: Path | None) -> BaseRoute:
    if folder is not None:
        return Mount("/", StaticFiles(directory=folder, html=True))

    async def no_page(_: Request) -> Response:
        return PlainTextResponse(_NO_PAGE, status_code=404)

    return Route("/{rest:path}", no_page)


async def _answer_problem(_: Request, error: Exception) -> Response:
    if not isinstance(error, ProblemError):
        raise error
    return refusal(error)


async def _answer_http(request: Request, error: Exception) -> Response:
    """What Starlette itself refuses: a path or a method."""
    if not isinstance(error, HTTPException):
        raise error
    code = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(error.status_code)
    if code is None or not request.url.path.startswith("/api/"):
        return PlainTextResponse(error.detail + "\n", status_code=error.status_code, headers=error.headers)
    return refusal(ProblemError(code, error.detail, headers=error.headers))


async def _answer_unavailable(_: Request, error: Exception) -> Response:
    """The disk is full, or the file of jobs is locked; which of them stands in the log."""
    log.error("a request failed: %s", error)
    return refusal(ProblemError("STORAGE_UNAVAILABLE", "this machine cannot keep or read it for now; try again"))


async def _answer_nobody(_: Request, __: Exception) -> Response:
    """The client has gone in the middle of its request; Starlette wants an answer all the same."""
    return Response(status_code=400)


async def _answer_unexpected(_: Request, __: Exception) -> Response:
    """The traceback goes to the log."""
    return refusal(ProblemError("INTERNAL", "it was not your request's fault; the server's log has the details"))


def _origin(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


def _person(user: User) -> dict[str, Any]:
    return {"id": user.id, "name": user.name}
