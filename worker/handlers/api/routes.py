"""What is served: one resource, by API Gateway's REST APIs (payload 1.0) and HTTP APIs (payload 2.0) alike."""

import base64
import binascii
import json
import os
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.api_gateway import CORSConfig
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

from statemachine import Execution, PermanentError, TransientError
from statemachine.errors import StateMachineError, StoreError, StoreUnavailableError
from worker import telemetry
from worker.handlers.api import problems
from worker.handlers.api.decisions import Decided, Request, cancel, decide, found, job_on
from worker.handlers.api.identity import Caller, caller_of, refuse_expired
from worker.handlers.api.parts import ApiParts, Deadline
from worker.handlers.api.problems import KINDS, ProblemError
from worker.handlers.api.requests import MAX_BODY_BYTES, VideoQuery, check_key, parse_body, parse_query
from worker.handlers.api.responses import DryRunView
from worker.handlers.api.view import Look

METHODS = ("GET", "POST", "DELETE")

# A browser shows a script only these; the others it hides.
EXPOSED_HEADERS = ["ETag", "Idempotent-Replayed", "Location", "Retry-After"]
ALLOWED_HEADERS = ["Idempotency-Key", "If-None-Match"]
PREFLIGHT_SECONDS = 600

# Addresses are signed for one person, and states change: nobody between us and them may keep an answer.
NEVER_KEPT = {"Cache-Control": "private, no-store"}

_JSON = "application/json"

SERVER_ERROR = 500

# Of a traceback, the innermost are logged.
_FRAMES = 12

# Characters of base64 for each three bytes.
_MAX_BASE64 = MAX_BODY_BYTES * 4 // 3 + 4


class Api:
    """Answers events of API Gateway.  Threads may share one."""

    def __init__(self, parts: ApiParts) -> None:
        self._parts = parts
        self._resolvers = threading.local()

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The answer in the form that the gateway of `event` takes.  Never raises."""
        is_http_api = event.get("version") == "2.0"
        try:
            return self._resolver(is_http_api=is_http_api).answer(_without_stage(event) if is_http_api else event)
        except Exception as error:  # noqa: BLE001  an event that no gateway makes; raising would be a 502
            problem = _unexpected(error)
            return {
                "statusCode": problem.status,
                "headers": {"Content-Type": problems.CONTENT_TYPE, **NEVER_KEPT},
                "body": json.dumps(problem.as_json()),
            }

    def _resolver(self, *, is_http_api: bool) -> "_Resolver":
        # One for each thread: powertools keeps the event of the request that it works on in the resolver.
        name = "http" if is_http_api else "rest"
        resolver: _Resolver | None = getattr(self._resolvers, name, None)
        if resolver is None:
            resolver = _Resolver(self._parts, is_http_api=is_http_api)
            setattr(self._resolvers, name, resolver)
        return resolver


class _Resolver:
    """One of powertools' resolvers with our routes; for one request at a time."""

    def __init__(self, parts: ApiParts, *, is_http_api: bool) -> None:
        self._parts = parts
        self._event: Mapping[str, Any] = {}
        first, *others = [origin.strip() for origin in parts.settings.cors_origins.split(",")]
        cors = CORSConfig(
            allow_origin=first,
            extra_origins=others,
            allow_headers=ALLOWED_HEADERS,
            expose_headers=EXPOSED_HEADERS,
            max_age=PREFLIGHT_SECONDS,
        )
        app = APIGatewayHttpResolver(cors=cors) if is_http_api else APIGatewayRestResolver(cors=cors)
        routes: tuple[Callable[[], Response[str]], ...] = (self._get, self._post, self._delete)
        for method, route in zip(METHODS, routes, strict=True):
            app.route(parts.settings.api_path, method=method)(self._guarded(route))
        app.not_found(self._nothing_here)
        self._app = app

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Resolve one event."""
        self._event = event
        return self._app.resolve(dict(event), {})  # type: ignore[arg-type]  # no route looks at Lambda's context

    # --- routes ---------------------------------------------------------------------------------------------------

    def _get(self) -> Response[str]:
        caller, query = self._caller(), self._query()
        row = found(
            self._parts.rows.find(
                query.video_id,
                user_id=query.owner_id if caller.is_operator and query.owner_id else caller.user_id,
                any_owner=caller.is_operator,
            )
        )
        is_mine = row.owner_id == caller.user_id
        look = self._look(job_on(row), for_operator=caller.is_operator, may_act=is_mine)
        links = self._parts.links()
        window = links.window(look.now)
        headers = {"ETag": look.etag(window), **_retry_after(look)}
        if _is_known(self._header("if-none-match"), headers["ETag"]):
            return _response(304, None, headers)
        return _response(200, look.view(links, window).model_dump_json(), headers)

    def _post(self) -> Response[str]:
        caller = self._caller()
        key = check_key(self._header("idempotency-key"))
        body = parse_body(self._body())
        deadline = Deadline.of(self._parts.clock)
        decided = decide(Request(self._parts, caller, body, key, deadline))
        if isinstance(decided, DryRunView):
            return _response(200, decided.model_dump_json(), {})
        return self._decided(decided, body.video_id)

    def _delete(self) -> Response[str]:
        caller, query = self._caller(), self._query()
        decided = cancel(self._parts, caller, query.video_id, Deadline.of(self._parts.clock))
        return self._decided(decided, query.video_id)

    def _nothing_here(self, _: NotFoundError) -> Response[str]:
        def refuse() -> Response[str]:
            path = self._app.current_event.path
            if path == self._parts.settings.api_path:
                allowed = ", ".join((*METHODS, "OPTIONS"))
                raise ProblemError("METHOD_NOT_ALLOWED", f"this is served by {allowed}", headers={"Allow": allowed})
            raise ProblemError("NOT_FOUND", f"the only resource is {self._parts.settings.api_path}")

        return self._guarded(refuse)()

    # --- the request ----------------------------------------------------------------------------------------------

    def _caller(self) -> Caller:
        parts = self._parts
        refuse_expired(self._event, now=parts.clock.now())
        return caller_of(self._event, operators_group=parts.settings.operators_group)

    def _query(self) -> VideoQuery:
        parameters = self._event.get("queryStringParameters")
        known = parameters if isinstance(parameters, Mapping) else {}
        # Others may stand there: a number against caches, for instance.
        return parse_query({name: known[name] for name in ("videoId", "ownerId") if known.get(name) is not None})

    def _header(self, name: str) -> str | None:
        headers = self._event.get("headers")
        for known, value in (headers if isinstance(headers, Mapping) else {}).items():
            if str(known).lower() == name and isinstance(value, str):
                return value
        return None

    def _body(self) -> bytes:
        body = self._event.get("body")
        if not isinstance(body, str):
            return b""
        if not self._event.get("isBase64Encoded"):
            return body.encode("utf-8", "replace")
        if len(body) > _MAX_BASE64:
            raise ProblemError("BODY_TOO_LARGE", f"a body has at most {MAX_BODY_BYTES} bytes")
        try:
            return base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ProblemError("BAD_JSON", "the body cannot be decoded") from error

    # --- the answer -----------------------------------------------------------------------------------------------

    def _look(self, execution: Execution, *, for_operator: bool = False, may_act: bool = True) -> Look:
        parts = self._parts
        return Look(
            execution, parts.clock.now(), parts.model, parts.profile, for_operator=for_operator, may_act=may_act
        )

    def _decided(self, decided: Decided, video_id: str) -> Response[str]:
        look = self._look(decided.execution)
        links = self._parts.links()
        window = links.window(look.now)
        headers = {
            "Location": f"{self._parts.settings.api_path}?videoId={quote(video_id, safe='')}",
            **_retry_after(look),
        }
        if decided.is_replay:
            headers["Idempotent-Replayed"] = "true"
        return _response(decided.status, look.view(links, window).model_dump_json(), headers)

    def _guarded(self, route: Callable[[], Response[str]]) -> Callable[[], Response[str]]:
        """The route, with every error as a problem."""

        def guarded() -> Response[str]:
            try:
                response = route()
                code = None
            except Exception as error:  # noqa: BLE001  the edge: whatever it is, it is answered and logged
                problem = _problem_of(error)
                code = problem.code
                headers = {"Content-Type": problems.CONTENT_TYPE, **problem.headers}
                response = _response(problem.status, json.dumps(problem.as_json()), headers)
            _record(self._app.current_event.http_method, response.status_code, code)
            return response

        return guarded


def _without_stage(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request with its path as a client of a custom domain writes it.

    HTTP APIs put the stage before the path, but not behind a custom domain; powertools cuts it off in any case.
    """
    context, path = event["requestContext"], event.get("rawPath")
    stage = context.get("stage")
    if not isinstance(path, str) or not isinstance(stage, str) or stage == "$default":
        return event
    return {
        **event,
        "rawPath": path.removeprefix(f"/{stage}") if path.startswith(f"/{stage}/") else path,
        "requestContext": {**context, "stage": "$default"},
    }


def _response(status: int, body: str | None, headers: Mapping[str, str]) -> Response[str]:
    content_type = {} if body is None else {"Content-Type": _JSON}
    return Response(status_code=status, body=body or "", headers={**content_type, **NEVER_KEPT, **headers})


def _retry_after(look: Look) -> dict[str, str]:
    seconds = look.poll_after_seconds
    return {} if seconds is None else {"Retry-After": str(seconds)}


def _is_known(if_none_match: str | None, etag: str) -> bool:
    if if_none_match is None:
        return False
    known = [tag.strip() for tag in if_none_match.split(",")]
    # Weak comparison (RFC 9110, 13.1.2): proxies drop or add the W/.
    return "*" in known or etag.removeprefix("W/") in {tag.removeprefix("W/") for tag in known}


def _problem_of(error: Exception) -> ProblemError:
    match error:
        case ProblemError():
            return error
        case StoreUnavailableError():
            telemetry.logger().warning("store unavailable", extra={"error": str(error)})
            return ProblemError("STORE_UNAVAILABLE", "the data cannot be reached for now; try again")
        case PermanentError() | TransientError() if error.code in KINDS and KINDS[error.code].status >= SERVER_ERROR:
            telemetry.logger().error("part unavailable", extra={"error": str(error)})
            return ProblemError(error.code, "this deployment cannot do it as it is; its operator knows more")
        case PermanentError() if error.user_action == "contact_admin":
            telemetry.logger().error("part unavailable", extra={"error": str(error)})
            return ProblemError("PART_UNAVAILABLE", "this deployment is not complete; its operator knows more")
        case StateMachineError() if not isinstance(error, StoreError | PermanentError | TransientError):
            # Another write came between, more often than we look again.
            telemetry.logger().warning("overtaken", extra={"error": str(error)})
            return ProblemError("BUSY", "the video is being changed by others; try again")
        case _:
            return _unexpected(error)


def _unexpected(error: Exception) -> ProblemError:
    """For an error that nobody foresaw: where it was goes to the log, an id to the caller."""
    support_id = os.urandom(8).hex()
    # Its words only where this project chose them: pydantic's, for one, quote what was stored.
    words = str(error) if isinstance(error, StateMachineError) else ""
    where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    telemetry.logger().error(
        "request failed",
        extra={"support_id": support_id, "error": type(error).__name__, "words": words, "where": where[-_FRAMES:]},
    )
    detail = "it was not your request's fault; name the support id if it happens again"
    return ProblemError("INTERNAL", detail, more={"support_id": support_id})


def _record(method: str, status: int, code: str | None) -> None:
    telemetry.logger().info("request", extra={"method": method, "status": status, "code": code})
    telemetry.metrics().add_metric("ApiRequests", "Count", 1)
    if status >= SERVER_ERROR:
        telemetry.metrics().add_metric("ApiErrors", "Count", 1)
