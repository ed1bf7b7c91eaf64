"""Who calls: the claims that API Gateway's authorizer has checked."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from statemachine.record import Record
from worker.handlers.api.problems import ProblemError

GROUPS_CLAIM = "cognito:groups"

# As Java's `Date` writes itself; English names, which is what Python has for want of a locale.
_JAVA_DATE = "%a %b %d %H:%M:%S UTC %Y"

# A Cognito `sub` has 36 characters; whatever is much longer is none.
_LONGEST_ID = 256


class Caller(Record):
    """A person who is signed in.

    Attributes:
        is_operator: may read any job, and sees vendors' details.
    """

    user_id: str
    is_operator: bool = False


def caller_of(event: Mapping[str, Any], *, operators_group: str) -> Caller:
    """The caller of a request, of a REST API (claims) or an HTTP API (JWT claims).

    Raises:
        ProblemError: UNAUTHENTICATED, no authorizer has vouched for anybody.
    """
    claims = _claims(event)
    user_id = claims.get("sub")
    if not isinstance(user_id, str) or not 0 < len(user_id) <= _LONGEST_ID or not user_id.isprintable():
        raise _unauthenticated()
    groups = _groups(claims.get(GROUPS_CLAIM))
    return Caller(user_id, is_operator=bool(operators_group) and operators_group in groups)


def refuse_expired(event: Mapping[str, Any], *, now: datetime) -> None:
    """Refuse a token that has expired: a gateway may remember for minutes that it was good.

    Raises:
        ProblemError: UNAUTHENTICATED.
    """
    if _has_ended(_claims(event).get("exp"), now):
        raise _unauthenticated()


def _unauthenticated() -> ProblemError:
    return ProblemError(
        "UNAUTHENTICATED",
        "send the token of a signed-in user in the Authorization header",
        headers={"WWW-Authenticate": "Bearer"},
    )


def _has_ended(expiry: object, now: datetime) -> bool:
    """Whether a token ends before now.

    An HTTP API writes the end in seconds, a REST API as Java does; what is written otherwise is the gateway's to judge.
    """
    if not isinstance(expiry, str | int) or isinstance(expiry, bool):
        return False
    try:
        seconds = int(expiry)
    except ValueError:
        try:
            ends_at = datetime.strptime(str(expiry), _JAVA_DATE).replace(tzinfo=UTC)
        except ValueError:
            return False
        seconds = int(ends_at.timestamp())
    return seconds <= now.timestamp()


def _claims(event: Mapping[str, Any]) -> Mapping[str, Any]:
    authorizer = _map(_map(event.get("requestContext")).get("authorizer"))
    return _map(_map(authorizer.get("jwt")).get("claims")) or _map(authorizer.get("claims"))


def _groups(claim: object) -> set[str]:
    """The gateways write a list as '[a b]' (HTTP API) or 'a,b' (REST API)."""
    if isinstance(claim, list):
        return {group for group in claim if isinstance(group, str)}
    if not isinstance(claim, str):
        return set()
    if claim.startswith("[") and claim.endswith("]"):
        return set(claim[1:-1].replace(",", " ").split())
    return {group.strip() for group in claim.split(",")}


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
