"""What may be asked: the body of POST, the parameters of GET and DELETE; everything else is refused by name."""

import re
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from worker.edits import BeatEdit
from worker.handlers.api.problems import FieldError, ProblemError
from worker.models import AspectRatio

# A whole video's edited scenes are some 200 KB.
MAX_BODY_BYTES = 512 * 1024
MAX_KEY_LENGTH = 255
MAX_SCENES = 200

# Errors of one body that are told.
_TOLD = 20

# Control characters have no place in an id, a style, or a header; in a header there is ASCII only.
PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
KEY_FORM = r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$"

VideoId = Annotated[str, Field(min_length=1, max_length=255, pattern=PRINTABLE)]

Action = Literal["start", "retry", "approve", "cancel"]


class RequestModel(BaseModel):
    """A part of a request: camelCase outside, nothing unknown, no type converted."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, alias_generator=to_camel, defer_build=True, allow_inf_nan=False
    )


class OptionsRequest(RequestModel):
    """How the video is to be made."""

    aspect_ratio: AspectRatio = "16:9"
    style: Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE)] = "cinematic"
    language: Annotated[
        str, Field(max_length=35, pattern=r"^(auto|[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*)$", examples=["auto", "en-US"])
    ] = "auto"
    max_scenes: Annotated[int, Field(ge=1, le=MAX_SCENES)] = 75
    review_before_render: Annotated[bool, Field(description="Stop when the scenes are planned, for approval.")] = False
    on_scene_failure: Literal["fail", "substitute"] = "fail"
    max_cost_usd: Annotated[
        float | None, Field(ge=0, le=100_000, description="Nothing is begun, and no clip ordered, beyond this.")
    ] = None
    captions: bool = True


class VideoRequest(RequestModel):
    """The body of POST."""

    video_id: VideoId
    action: Annotated[Action, Field(description="`start`, unless said otherwise.")] = "start"
    dry_run: Annotated[
        bool, Field(description="Check everything and estimate; write and spend nothing.  Not with `cancel`.")
    ] = False
    force: Annotated[bool, Field(description="Make a finished video anew.")] = False
    options: Annotated[
        OptionsRequest, Field(description="With `retry` and `approve` only `maxCostUsd` may stand here.")
    ] = OptionsRequest.model_construct()  # as OptionsRequest(), which would build its checks for a GET, too
    scene_beats: Annotated[
        tuple[BeatEdit, ...],
        Field(max_length=MAX_SCENES, description="With `retry` and `approve`: scenes to change that have no clip."),
    ] = ()


class VideoQuery(RequestModel):
    """The parameters of GET and DELETE."""

    video_id: VideoId
    owner_id: Annotated[
        str | None, Field(max_length=256, description="Operators only, where a row's key contains its owner.")
    ] = None


ModelT = TypeVar("ModelT", bound=RequestModel)

_CODES = {
    "missing": "MISSING",
    "extra_forbidden": "UNKNOWN_FIELD",
    "literal_error": "NOT_ALLOWED",
    "string_pattern_mismatch": "NOT_ALLOWED",
    "finite_number": "OUT_OF_RANGE",
    "greater_than_equal": "OUT_OF_RANGE",
    "less_than_equal": "OUT_OF_RANGE",
    "string_too_short": "TOO_SHORT",
    "string_too_long": "TOO_LONG",
    "too_long": "TOO_LONG",
}


def parse_body(body: bytes) -> VideoRequest:
    """The body of POST.

    Raises:
        ProblemError: BODY_TOO_LARGE, BAD_JSON, INVALID_REQUEST or, when only options are wrong, INVALID_OPTION.
    """
    if len(body) > MAX_BODY_BYTES:
        raise ProblemError("BODY_TOO_LARGE", f"a body has at most {MAX_BODY_BYTES} bytes; this one has {len(body)}")
    try:
        request = VideoRequest.model_validate_json(body)
    except ValidationError as error:
        raise _problem(error) from error
    _check_action(request)
    return request


def parse_query(parameters: dict[str, str]) -> VideoQuery:
    """The parameters of GET and DELETE.

    Raises:
        ProblemError: INVALID_REQUEST.
    """
    try:
        return VideoQuery.model_validate(parameters)
    except ValidationError as error:
        raise _problem(error) from error


def check_key(key: str | None) -> str | None:
    """An `Idempotency-Key`; None when none was sent.

    Raises:
        ProblemError: INVALID_REQUEST, it is empty, too long, or not printable.
    """
    if key is not None and (len(key) > MAX_KEY_LENGTH or not re.fullmatch(KEY_FORM, key)):
        message = f"1 to {MAX_KEY_LENGTH} printable ASCII characters, a UUID for instance"
        raise ProblemError(
            "INVALID_REQUEST",
            f"the Idempotency-Key has {message}",
            errors=[FieldError(field="Idempotency-Key", code="NOT_ALLOWED", message=message)],
        )
    return key


def _check_action(request: VideoRequest) -> None:
    """What belongs to another action is a mistake that must not pass unseen."""
    is_start = request.action == "start"
    wrong = []
    if is_start or request.action == "cancel":
        wrong += ["sceneBeats"] if request.scene_beats else []
    if not is_start:
        wrong += ["dryRun"] if request.dry_run and request.action == "cancel" else []
        wrong += ["force"] if request.force else []
        allowed = set() if request.action == "cancel" else {"max_cost_usd"}
        wrong += [f"options.{to_camel(name)}" for name in sorted(request.options.model_fields_set - allowed)]
    if wrong:
        message = f"does not belong to action {request.action!r}"
        raise ProblemError(
            "INVALID_OPTION",
            f"{', '.join(wrong)} {message}",
            errors=[FieldError(field=name, code="NOT_ALLOWED", message=message) for name in wrong],
        )


def _problem(error: ValidationError) -> ProblemError:
    # Neither the input nor a link: the first may be anything, the second says nothing to our clients.
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        return ProblemError("BAD_JSON", found[0]["msg"])
    errors = [_field_error(each) for each in found[:_TOLD]]
    is_about_options = all(
        each["loc"][:1] in {("options",), ("sceneBeats",)} and len(each["loc"]) > 1 for each in found
    )
    code = "INVALID_OPTION" if is_about_options else "INVALID_REQUEST"
    return ProblemError(code, "; ".join(f"{each.field or 'body'}: {each.message}" for each in errors), errors=errors)


def _field_error(found: ErrorDetails) -> FieldError:
    kind = found["type"]
    code = _CODES.get(kind) or ("WRONG_TYPE" if kind.endswith(("_type", "_parsing")) else "INVALID")
    field = ".".join(str(part) for part in found["loc"])
    return FieldError(field=field[:200].encode("utf-8", "replace").decode(), code=code, message=found["msg"])
