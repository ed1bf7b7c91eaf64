"""The OpenAPI 3.1 document, made of the models and the table of problems; `docs/openapi.json` is checked against it."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from worker.after_work import CompletionBody
from worker.handlers.api import problems
from worker.handlers.api.problems import KINDS, ProblemBody
from worker.handlers.api.requests import KEY_FORM, MAX_BODY_BYTES, MAX_KEY_LENGTH, PRINTABLE, VideoRequest
from worker.handlers.api.responses import DryRunView, JobView

VERSION = "1.0.0"

_DESCRIPTION = """\
Makes a video of an uploaded recording: transcribes it, plans scenes, makes a clip for each, joins them under the
recording. One resource for each video; its state lives on the server, so a client may leave and come back at any time.

- Start with POST, then look with GET: after `Retry-After` seconds, with `If-None-Match`, until `poll_after_seconds` is
  null.
- Switch on `ai_generation_status`: `completed` has the addresses of the video, `failed` has its `error`.
- A failed job is 200: errors of the job stand in `error`, errors of a request are problem details (RFC 9457) with a
  stable `code`.
- A video of somebody else answers exactly as one that does not exist.
- Offer exactly what `actions` names: `regenerate` is POST with `force: true`, `cancel` is DELETE.
"""

# Which problems each operation may answer with, beside those of every operation.
_EVERYWHERE = ("UNAUTHENTICATED", "VIDEO_NOT_FOUND", "INVALID_REQUEST", "INTERNAL", "STORE_UNAVAILABLE")
_OF_POST = tuple(code for code in KINDS if code not in {"NOT_FOUND", "METHOD_NOT_ALLOWED"})
_OF_JOB = ("JOB_NOT_FOUND",)
_OF_DELETE = (*_OF_JOB, "BUSY", "TIMED_OUT", "PART_UNAVAILABLE")

_VIDEO_ID = {
    "name": "videoId",
    "in": "query",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": PRINTABLE},
}
_HEADERS: Mapping[str, Mapping[str, Any]] = {
    "ETag": {"description": "Changes with everything that a person would see change.", "schema": {"type": "string"}},
    "Location": {"description": "Where to look at the job.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds; while the job is processing.", "schema": {"type": "integer"}},
    "Idempotent-Replayed": {
        "description": "`true` when nothing new was done: the same key, or the same job is being made.",
        "schema": {"type": "string", "enum": ["true"]},
    },
}


def document(*, path: str = "/ai-video", examples: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The document.

    Args:
        path: of the one resource.
        examples: bodies by name; `request_…` and `problem_…` go with requests and problems, `dry_run` with the
            estimate, `completion_…` with the webhook, the others are jobs.
    """
    given = examples or {}
    models: Sequence[tuple[type[BaseModel], JsonSchemaMode]] = [
        (VideoRequest, "validation"),
        (JobView, "serialization"),
        (DryRunView, "serialization"),
        (ProblemBody, "serialization"),
        (CompletionBody, "serialization"),
    ]
    _, schemas = models_json_schema(models, ref_template="#/components/schemas/{model}")
    jobs = _examples(given, lambda name: not name.startswith(("request_", "problem_", "completion_", "dry_run")))
    job = _body("JobView", jobs)
    started = _body("JobView", {name: jobs[name] for name in jobs if name == "started"})
    cancelled = _body("FailedJob", {name: jobs[name] for name in jobs if name == "cancelled"})
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "AI video",
            "version": VERSION,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"signedIn": []}],
        "paths": {
            path: {
                "get": {
                    "operationId": "getAiVideo",
                    "summary": "Look at a job",
                    "description": "Safe at any time: it writes nothing and calls no vendor.",
                    "parameters": [
                        _VIDEO_ID,
                        {
                            "name": "ownerId",
                            "in": "query",
                            "description": "Operators only, where the key of a row contains its owner.",
                            "schema": {"type": "string", "maxLength": 256},
                        },
                        {"name": "If-None-Match", "in": "header", "schema": {"type": "string"}},
                    ],
                    "responses": {
                        "200": {
                            "description": "The job, failed or not.",
                            "headers": _headers("ETag", "Retry-After"),
                            "content": {"application/json": job},
                        },
                        "304": {
                            "description": "Nothing that a person would see has changed.",
                            "headers": _headers("ETag"),
                        },
                        **_problems(given, (*_EVERYWHERE, *_OF_JOB)),
                    },
                },
                "post": {
                    "operationId": "postAiVideo",
                    "summary": "Start, retry, approve or cancel",
                    "description": f"A body has at most {MAX_BODY_BYTES} bytes.",
                    "parameters": [
                        {
                            "name": "Idempotency-Key",
                            "in": "header",
                            "description": "New for each click, the same when that click is sent again.  It is known "
                            "for as long as its run stands, a retry's or approval's until the next decision.",
                            "schema": {
                                "type": "string",
                                "minLength": 1,
                                "maxLength": MAX_KEY_LENGTH,
                                "pattern": KEY_FORM,
                            },
                        }
                    ],
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/json": _body(
                                "VideoRequest", _examples(given, lambda name: name.startswith("request_"))
                            )
                        },
                    },
                    "responses": {
                        "200": {
                            "description": "The estimate of a dry run; or the job that was to be cancelled and had "
                            "ended before.",
                            "content": {
                                "application/json": {
                                    "schema": {"oneOf": [_ref("DryRunView"), _ref("JobView")]},
                                    **_with(_examples(given, lambda name: name.startswith("dry_run"))),
                                }
                            },
                        },
                        "202": {
                            "description": "Accepted.",
                            "headers": _headers("Location", "Retry-After", "Idempotent-Replayed"),
                            "content": {"application/json": started},
                        },
                        **_problems(given, (*_EVERYWHERE, *_OF_POST)),
                    },
                },
                "delete": {
                    "operationId": "cancelAiVideo",
                    "summary": "Cancel a job",
                    "description": "Stops it; what was finished is kept, and a retry goes on with it.",
                    "parameters": [_VIDEO_ID],
                    "responses": {
                        "200": {
                            "description": "It had ended before.",
                            "headers": _headers("Location"),
                            "content": {
                                "application/json": {"schema": {"oneOf": [_ref("CompletedJob"), _ref("FailedJob")]}}
                            },
                        },
                        "202": {
                            "description": "It is cancelled.",
                            "headers": _headers("Location"),
                            "content": {"application/json": cancelled},
                        },
                        **_problems(given, (*_EVERYWHERE, *_OF_DELETE)),
                    },
                },
            }
        },
        "webhooks": {
            "jobEnded": {
                "post": {
                    "operationId": "jobEnded",
                    "summary": "A job came to its end",
                    "description": "Detail of an EventBridge event (source `ai-video`, detail type = `type`), or "
                    "message of an SNS topic.  Sent at least once for each end; `id` is the same every time.",
                    "requestBody": {
                        "content": {
                            "application/json": _body(
                                "CompletionBody", _examples(given, lambda name: name.startswith("completion_"))
                            )
                        }
                    },
                    "responses": {"200": {"description": "Taken."}},
                }
            }
        },
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"signedIn": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _problems(given: Mapping[str, Any], codes: Sequence[str]) -> dict[str, Any]:
    """The refusals of one operation, by status."""
    by_status: dict[str, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(str(KINDS[code].status), []).append(code)
    answers: dict[str, Any] = {}
    for status, known in sorted(by_status.items()):
        mine = {
            name: {"value": value}
            for name, value in given.items()
            if name.startswith("problem_") and value.get("code") in known
        }
        answers[status] = {
            "description": "; ".join(f"`{code}`: {KINDS[code].title}" for code in known),
            "content": {
                problems.CONTENT_TYPE: {
                    "schema": {
                        "allOf": [
                            _ref("ProblemBody"),
                            {"properties": {"code": {"enum": known}, "status": {"const": int(status)}}},
                        ]
                    },
                    **_with(mine),
                }
            },
        }
        if any(KINDS[code].user_action == "wait" for code in known):
            answers[status]["headers"] = _headers("Retry-After")
    return answers


def _examples(given: Mapping[str, Any], wanted: Any) -> dict[str, Any]:  # noqa: ANN401  a condition on the name
    return {name: {"value": value} for name, value in given.items() if wanted(name)}


def _body(model: str, examples: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {"schema": _ref(model), **_with(examples or {})}


def _with(examples: Mapping[str, Any]) -> dict[str, Any]:
    return {"examples": dict(examples)} if examples else {}


def _ref(model: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model}"}


def _headers(*names: str) -> dict[str, Any]:
    return {name: _HEADERS[name] for name in names}
