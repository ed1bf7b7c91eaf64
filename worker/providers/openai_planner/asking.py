"""One question to the language model, and an answer that can be used.

Everything that can go wrong with OpenAI's API is told apart here.  No message and no line of the log holds a prompt,
a transcript, a key, or the vendor's own words, which may quote them.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TypeVar

import openai
from openai.types.responses import EasyInputMessageParam, ResponseInputParam
from pydantic import BaseModel, ConfigDict, ValidationError

from statemachine.clock import Clock
from statemachine.errors import PermanentError, StepError, TransientError
from worker.models import DEFAULT_LANGUAGE_MODEL, LANGUAGE_MODELS
from worker.providers.openai_planner.instructions import REPAIR, Question
from worker.providers.openai_planner.shots import UnusableAnswerError

log = logging.getLogger(__name__)

# Tokens for an answer, those for thinking included.  A window of shots takes some 2,500 (measured by its characters).
BUDGET_TOKENS = 8_000
LARGER_BUDGET_TOKENS = 24_000

CONNECT_SECONDS = 5.0

# With less time left than this no question is begun.
LEAST_TIME = timedelta(seconds=10)

# So many faults are named; an answer with more is wrong as a whole.
_FAULTS_NAMED = 8

Wire = TypeVar("Wire", bound=BaseModel)
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What a vendor's error means for the job."""

    kind: type[TransientError] | type[PermanentError]
    code: str
    user_action: str
    remedy: str


_OUT_OF_CREDIT = _Meaning(
    PermanentError, "PROVIDER_QUOTA", "contact_admin", "the account's credit is used up; add some, then retry"
)
_BUSY = _Meaning(TransientError, "PROVIDER_QUOTA", "wait", "too many requests for now")
_DOWN = _Meaning(TransientError, "PROVIDER_UNAVAILABLE", "retry", "it cannot answer for now")
_NO_ACCESS = _Meaning(
    PermanentError,
    "CREDENTIALS_INVALID",
    "contact_admin",
    "the key is wrong, expired or not allowed to do this; put a valid one into the secret",
)
_REFUSED = _Meaning(
    PermanentError, "PROVIDER_ERROR", "contact_admin", "it does not accept the request; check model and base address"
)
_NO_MODEL = _Meaning(PermanentError, "MODEL_UNAVAILABLE", "contact_admin", "")
_TOO_LONG = _Meaning(
    PermanentError, "PROVIDER_ERROR", "contact_admin", "the model reads less than was sent; choose a larger one"
)
_FILTERED = _Meaning(
    PermanentError, "CONTENT_FILTERED", "", "what is said on the recording, or the chosen style, meets its policy"
)

_BY_CODE: Mapping[str, _Meaning] = {
    "insufficient_quota": _OUT_OF_CREDIT,
    "billing_hard_limit_reached": _OUT_OF_CREDIT,
    "billing_not_active": _OUT_OF_CREDIT,
    "rate_limit_exceeded": _BUSY,
    "model_not_found": _NO_MODEL,
    "context_length_exceeded": _TOO_LONG,
    "content_filter": _FILTERED,
    "content_policy_violation": _FILTERED,
    "invalid_prompt": _FILTERED,
}
_BY_STATUS: Mapping[int, _Meaning] = {
    401: _NO_ACCESS,
    403: _NO_ACCESS,
    408: _DOWN,
    409: _DOWN,
    429: _BUSY,
}
_SERVER_ERROR = 500


class _Received(BaseModel):
    """Part of what the API answers.  Read by ourselves: the SDK takes whatever comes for a response."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Part(_Received):
    type: str
    text: str = ""


class _Item(_Received):
    type: str
    content: tuple[_Part, ...] | None = None
    phase: str | None = None


class _Why(_Received):
    code: str = ""
    reason: str = ""


class _Usage(_Received):
    input_tokens: int
    output_tokens: int


class _Response(_Received):
    status: str
    output: tuple[_Item, ...]
    error: _Why | None = None
    incomplete_details: _Why | None = None
    usage: _Usage | None = None

    @property
    def incomplete_reason(self) -> str:
        """Why a response is incomplete; empty when it is not."""
        if self.status != "incomplete":
            return ""
        return self.incomplete_details.reason if self.incomplete_details else "unknown"

    @property
    def parts(self) -> list[_Part]:
        """Of the answer itself, not of what was thought on the way."""
        said = [item for item in self.output if item.type == "message" and item.phase in (None, "final_answer")]
        return [part for item in said for part in item.content or ()]

    @property
    def text(self) -> str:
        """The answer."""
        return "".join(part.text for part in self.parts if part.type == "output_text")


class Asker:
    """Asks one model, with one client that lives as long as its key is valid.

    Args:
        read_key: hands out the key; with True it reads it anew, past every cache.
        base_url: None for the SDK's own (OPENAI_BASE_URL).
    """

    def __init__(
        self,
        read_key: Callable[[bool], str],
        *,
        model: str,
        base_url: str | None,
        clock: Clock,
        request_timeout: timedelta,
    ) -> None:
        self._read_key = read_key
        self._model = model
        self._base_url = base_url
        self._clock = clock
        self._request_timeout = request_timeout
        self._key = ""
        self._client: openai.OpenAI | None = None

    def close(self) -> None:
        """Close the connections; the next question opens new ones."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def ask(
        self, question: Question, *, form: type[Wire], read: Callable[[Wire], Answer], deadline: datetime
    ) -> Answer:
        """The answer, read; an answer that cannot be used is sent back once, with its faults.

        Raises:
            TransientError: code PROVIDER_QUOTA, PROVIDER_UNAVAILABLE, PROVIDER_ERROR, PLANNING_TOO_SLOW.
            PermanentError: code SCENE_PLAN_INVALID, CONTENT_FILTERED, PROVIDER_QUOTA, PROVIDER_ERROR,
                MODEL_UNAVAILABLE, CREDENTIALS_INVALID.
        """
        messages: list[EasyInputMessageParam] = [{"role": "user", "content": question.data}]
        text = self._answer(question, messages, form, deadline)
        try:
            return read(form.model_validate_json(text))
        except (ValidationError, UnusableAnswerError) as error:
            faults = _faults(error)
        log.warning("%s answered what cannot be used (%s); it is asked once more", self._model, faults)
        messages += [
            {"role": "assistant", "content": text},
            {"role": "user", "content": REPAIR.format(faults=faults)},
        ]
        text = self._answer(question, messages, form, deadline)
        try:
            return read(form.model_validate_json(text))
        except (ValidationError, UnusableAnswerError) as error:
            # Not chained: pydantic's own message quotes the answer.
            raise PermanentError(
                "SCENE_PLAN_INVALID",
                f"{self._model} gave no usable plan in two tries: {_faults(error)}; retry, or choose another model",
            ) from None

    def _answer(
        self, question: Question, messages: list[EasyInputMessageParam], form: type[BaseModel], deadline: datetime
    ) -> str:
        """The text of a complete answer; one that was cut off is asked for again with a larger budget."""
        for budget in (BUDGET_TOKENS, LARGER_BUDGET_TOKENS):
            response = self._respond(question, messages, form, budget, deadline)
            if response.incomplete_reason != "max_output_tokens":
                return self._complete(question, response)
        raise PermanentError(
            "SCENE_PLAN_INVALID",
            f"{self._model} came to no end within {LARGER_BUDGET_TOKENS} tokens; retry, or choose another model",
        )

    def _complete(self, question: Question, response: _Response) -> str:
        """The text of a response that was not cut off for its length.

        Raises:
            StepError: it was refused, filtered, or failed.
        """
        if response.status == "failed":
            code = response.error.code if response.error else ""
            failed = _Meaning(TransientError, "PROVIDER_ERROR", "retry", "it failed in the middle of its answer")
            raise self._fault(_BY_CODE.get(code, failed), question, code)
        if response.incomplete_reason == "content_filter":
            raise self._fault(_FILTERED, question, "content_filter")
        if any(part.type == "refusal" for part in response.parts):
            raise self._fault(_FILTERED, question, "refusal")
        if response.status != "completed":
            unfinished = _Meaning(TransientError, "PROVIDER_ERROR", "retry", "it left its answer unfinished")
            raise self._fault(unfinished, question, response.incomplete_reason or response.status)
        return response.text

    def _respond(
        self,
        question: Question,
        messages: list[EasyInputMessageParam],
        form: type[BaseModel],
        budget: int,
        deadline: datetime,
    ) -> _Response:
        """One request; where the key is refused, one more with the key as it now stands."""
        try:
            return self._request(question, messages, form, budget, deadline)
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            refused_key, self._key = self._key, self._read_key(True)
            self.close()
            if self._key == refused_key:
                raise self._translated(error, question) from error
        except openai.APIError as error:
            raise self._translated(error, question) from error
        log.info("the key for OpenAI was refused and has been read anew")
        try:
            return self._request(question, messages, form, budget, deadline)
        except openai.APIError as error:
            raise self._translated(error, question) from error

    def _request(
        self,
        question: Question,
        messages: list[EasyInputMessageParam],
        form: type[BaseModel],
        budget: int,
        deadline: datetime,
    ) -> _Response:
        left = deadline - self._clock.now()
        if left < LEAST_TIME:
            raise TransientError(
                "PLANNING_TOO_SLOW", f"{self._model} took too long to plan all scenes; it is tried again from the start"
            )
        given: ResponseInputParam = [*messages]
        answer = self._connected().responses.with_raw_response.parse(
            model=self._model,
            instructions=question.instructions,
            input=given,
            text_format=form,
            # The SDK would read a truncated answer before anybody could see that it is truncated.
            parse_as=None,
            max_output_tokens=budget,
            store=False,
            timeout=openai.Timeout(min(left, self._request_timeout).total_seconds(), connect=CONNECT_SECONDS),
        )
        try:
            response = _Response.model_validate_json(answer.http_response.content)
        except ValidationError:
            # A proxy's page, say.  Not chained: the message quotes what came.
            raise self._fault(_DOWN, question, "what came is no response of the API") from None
        if response.usage is not None:
            log.info("%s: %d tokens in, %d out", self._model, response.usage.input_tokens, response.usage.output_tokens)
        return response

    def _connected(self) -> openai.OpenAI:
        if not self._key:
            self._key = self._read_key(False)
        if not self._key:
            raise PermanentError(
                "CREDENTIALS_INVALID", "there is no key for OpenAI; set OPENAI_API_KEY", user_action="contact_admin"
            )
        if self._client is None:
            # The engine repeats what failed, and remembers that it did; the SDK's own repeats would hold the turn.
            self._client = openai.OpenAI(api_key=self._key, base_url=self._base_url, max_retries=0)
        return self._client

    def _translated(self, error: openai.APIError, question: Question) -> StepError:
        """The SDK's error as the port's."""
        if not isinstance(error, openai.APIStatusError):
            return self._fault(_DOWN, question, type(error).__name__)
        status, code = error.status_code, error.code or error.type or ""
        meaning = _BY_CODE.get(code) or _BY_STATUS.get(status) or (_DOWN if status >= _SERVER_ERROR else _REFUSED)
        said = f"{status} {code} {error.param or ''}".strip()
        after = _retry_after(error.response.headers, self._clock.now())
        return self._fault(meaning, question, said, request_id=error.request_id, retry_after=after)

    def _fault(
        self,
        meaning: _Meaning,
        question: Question,
        said: str,
        *,
        request_id: str | None = None,
        retry_after: timedelta | None = None,
    ) -> StepError:
        remedy = _about_model(self._model) if meaning is _NO_MODEL else meaning.remedy
        request = f", request {request_id}" if request_id else ""
        message = f"OpenAI's {self._model}: {remedy} ({said}{request})"
        action = question.if_refused if meaning is _FILTERED else meaning.user_action
        if meaning.kind is TransientError:
            return TransientError(meaning.code, message, user_action=action, retry_after=retry_after)
        details = {"stage": "prompt"} if meaning is _FILTERED else {}
        return PermanentError(meaning.code, message, user_action=action, details=details)


def _faults(error: ValidationError | UnusableAnswerError) -> str:
    """What is wrong, for the model and for people: places and rules, and nothing of the answer itself."""
    if isinstance(error, UnusableAnswerError):
        return str(error)
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    said = [
        f"{'.'.join(str(part) for part in fault['loc']) or 'the answer'}: {fault['msg'].removeprefix('Value error, ')}"
        for fault in faults
    ]
    more = len(said) - _FAULTS_NAMED
    return "; ".join(said[:_FAULTS_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _about_model(name: str) -> str:
    known = LANGUAGE_MODELS.get(name)
    since = f" since {known.retired_on.isoformat()}" if known and known.retired_on else ""
    return f"the model is not served{since}, or not to this account; choose another, such as {DEFAULT_LANGUAGE_MODEL}"


def _retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """When the vendor wants to be asked again: in milliseconds, in seconds, or as a date."""
    try:
        if "retry-after-ms" in headers:
            return _positive(timedelta(milliseconds=float(headers["retry-after-ms"])))
        said = headers.get("retry-after", "")
        if said.replace(".", "", 1).isdecimal():
            return _positive(timedelta(seconds=float(said)))
        # A date without a zone is UTC.
        return _positive(parsedate_to_datetime(said).replace(tzinfo=UTC) - now) if said else None
    except (ValueError, OverflowError):
        return None  # it said something else; then the engine's own pace holds


def _positive(delay: timedelta) -> timedelta | None:
    return delay if delay > timedelta(0) else None
