"""What a finished operation, or a refusal, says.  Pure: JSON in, verdict out.

Vertex AI answers 200 to failed and filtered work alike; only the body tells.  Codes of operations are those of
google.rpc, but HTTP statuses were seen in their place.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.ports import Clip, Refused

# Support codes of the safety filters.  (Vertex AI, "Responsible AI and usage guidelines for Veo", read 2026-11-22)
CATEGORIES: Mapping[str, str] = {
    code: category
    for category, codes in {
        "child": "58061214 17301594",
        "celebrity": "29310472 15236754",
        "video safety": "64151117 42237218",
        "dangerous": "62263041",
        "hate": "57734940 22137204",
        "personal information": "92201652",
        "prohibited": "89371032 49114662 63429089 72817394 60599140",
        "third-party content": "35561574 35561575",
        "sexual": "90789179 43188360",
        "toxic": "78610348",
        "violence": "61493863 56562880",
        "vulgar": "32635315",
    }.items()
    for code in codes.split()
}
GENERAL = "general"  # the vendor's "other", unknown codes, and no code at all

# The same words meet the same filter here: whom or what they name does not change with the seed.
NAMED_CATEGORIES = frozenset({"celebrity", "third-party content"})

_SUPPORT_CODES = re.compile(r"Support codes?:\s*([\d,\s]+)")

# google.rpc codes for the HTTP statuses that were seen in their place.
_RPC_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 10, 429: 8, 499: 1, 500: 13, 503: 14, 504: 4}

_UNKNOWN = 2

# UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, INTERNAL, UNAVAILABLE: the same order may succeed.
_PASSING_CODES = frozenset({2, 4, 8, 10, 13, 14})


@dataclass(frozen=True, slots=True)
class InlineVideo:
    """A clip whose bytes stand in the answer itself, in base64."""

    encoded: str


def support_codes(text: str) -> tuple[str, ...]:
    """The support codes that a text names."""
    return tuple(code for found in _SUPPORT_CODES.findall(text) for code in re.findall(r"\d+", found))


def verdict(operation: Mapping[str, Any]) -> Clip | InlineVideo | Refused | None:
    """What became of an operation; None while it runs."""
    if not operation.get("done", False):
        return None
    error = operation.get("error")
    if error:
        return _failed(_map(error))
    response = _map(operation.get("response"))
    videos = [*_listed(response, "videos"), *_listed(_nested(response), "videos")]
    for video in map(_map, videos):
        if video.get("gcsUri"):
            return Clip(str(video["gcsUri"]))
        if video.get("bytesBase64Encoded"):
            return InlineVideo(str(video["bytesBase64Encoded"]))
    # The counters stand at one of two levels, by the version of the API.
    # (QuantumNous/new-api pull request 6838, read 2026-11-22)
    levels = (response, _nested(response))
    reasons = [str(reason) for level in levels for reason in _listed(level, "raiMediaFilteredReasons")]
    if reasons or any(level.get("raiMediaFilteredCount") for level in levels):
        return filtered(" ".join(reasons), is_prompt=False)
    return Refused("PROVIDER_EMPTY_RESULT", "Veo finished without a video and without a reason", is_retryable=True)


def filtered(text: str, *, is_prompt: bool) -> Refused:
    """The refusal of a content filter, told in `text`.

    What the filter takes from finished film is partly a matter of chance, and another seed may pass; what it says of
    the prompt is not (`is_prompt`), nor what it says of a name.
    """
    codes = support_codes(text)
    category = next((CATEGORIES[code] for code in codes if code in CATEGORIES), GENERAL)
    where = "prompt" if is_prompt else "video"
    named = f" (support code {', '.join(codes)})" if codes else ""
    return Refused(
        "CONTENT_FILTERED",
        f"Veo's content filter refused the {where}, category {category}{named}",
        is_retryable=not is_prompt and category not in NAMED_CATEGORIES,
        category=category,
    )


def _failed(error: Mapping[str, Any]) -> Refused:
    code, message = error.get("code"), str(error.get("message", ""))
    if isinstance(code, bool) or not isinstance(code, int):
        code = _UNKNOWN  # an error that says nothing we know: the same order may succeed
    if support_codes(message):
        return filtered(message, is_prompt=True)
    code = _RPC_CODES.get(code, code)
    return Refused("PROVIDER_ERROR", f"Veo failed with code {code}: {message}", is_retryable=code in _PASSING_CODES)


def _nested(response: Mapping[str, Any]) -> Mapping[str, Any]:
    return _map(response.get("generateVideoResponse"))


def _map(value: object) -> Mapping[str, Any]:
    """What should be an object; nothing stands in whatever else it is."""
    return value if isinstance(value, Mapping) else {}


def _listed(level: Mapping[str, Any], name: str) -> Sequence[Any]:
    values = level.get(name)
    return values if isinstance(values, list) else []
