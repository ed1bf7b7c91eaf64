"""What OpenAI tells of a model.  For an operator's doctor."""

from dataclasses import dataclass
from datetime import date, timedelta

from statemachine.errors import PermanentError

TIMEOUT = timedelta(seconds=10)

_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that this key may use; `shutdown_on` is the announced last day, or None."""

    name: str
    shutdown_on: date | None


def look_up_model(name: str, *, api_key: str) -> ServedModel | None:
    """The model, or None when there is none of this name for this key; the address is the SDK's (OPENAI_BASE_URL).

    Raises:
        PermanentError: code CREDENTIALS_INVALID, OPENAI_UNREACHABLE, OPENAI_REFUSED.
    """
    import openai  # noqa: PLC0415  0.5 s (measured 2026-11-22), for whoever looks for something else

    try:
        with openai.OpenAI(api_key=api_key, timeout=TIMEOUT.total_seconds(), max_retries=1) as client:
            found = client.models.retrieve(name)
    except openai.APIStatusError as error:
        if error.status_code == _NOT_FOUND:
            return None
        # Not the vendor's words: they quote a part of the key.
        if error.status_code in (_UNAUTHORIZED, _FORBIDDEN):
            raise PermanentError(
                "CREDENTIALS_INVALID",
                "OpenAI does not accept the key; make a new one and put it into OPENAI_API_KEY or the secret",
                user_action="contact_admin",
            ) from None
        raise PermanentError(
            "OPENAI_REFUSED",
            f"OpenAI answers {error.status_code}; try again, then check OPENAI_BASE_URL",
            user_action="contact_admin",
        ) from None
    except openai.APIConnectionError as error:
        raise PermanentError(
            "OPENAI_UNREACHABLE",
            "OpenAI cannot be reached; check the network and OPENAI_BASE_URL",
            user_action="contact_admin",
        ) from error
    return ServedModel(name, _day((found.model_extra or {}).get("shutdown_date")))


def _day(told: object) -> date | None:
    """A day, as a date, with a time behind it, or as seconds since 1970; what is none of them says nothing."""
    if isinstance(told, int | float):
        return date.fromtimestamp(told)  # noqa: DTZ012  a day more or less does not matter
    if not isinstance(told, str):
        return None
    try:
        return date.fromisoformat(told[:10])
    except ValueError:
        return None
