"""Who calls: one of two people, chosen and not proved.  The server listens on the loopback interface only."""

import hashlib
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from itsdangerous import BadData, URLSafeSerializer

from statemachine import Clock

# Cognito's access tokens last an hour unless the pool says otherwise.
LIFETIME = timedelta(hours=1)

_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who can sign in."""

    id: str
    name: str


USERS: Mapping[str, User] = {user.id: user for user in (User("ada", "Ada"), User("ben", "Ben"))}


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in."""

    token: str
    expires_at: datetime
    user: User


class Sessions:
    """Makes tokens and knows them again; nothing is stored.

    Args:
        secret: whoever has it can sign in as anybody.
    """

    def __init__(self, *, secret: bytes, clock: Clock, lifetime: timedelta = LIFETIME) -> None:
        self._tokens = URLSafeSerializer(
            secret, salt="session", signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256}
        )
        self._clock = clock
        self._lifetime = lifetime

    def begin(self, user: User) -> Session:
        """Sign a user in."""
        expires_at = self._clock.now() + self._lifetime
        token = self._tokens.dumps({"sub": user.id, "exp": expires_at.timestamp()})
        return Session(str(token), expires_at, user)

    def user_of(self, authorization: str | None) -> User | None:
        """Whose `Authorization` header this is; None for one that is missing, forged or over."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            claims = self._tokens.loads(token.strip())
        except (BadData, UnicodeError):
            return None
        if self._clock.now() >= datetime.fromtimestamp(claims["exp"], tz=UTC):
            return None
        return USERS.get(claims["sub"])


def secret_in(home: Path) -> bytes:
    """The secret of this home, made when there is none; only its owner may read it."""
    path = home / "session.key"
    with suppress(FileExistsError):
        # Written whole under another name first: a second server that starts now must not read half of it.
        part = home / f".session.key.{os.getpid()}"
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(_KEY_BYTES))
        try:
            os.link(part, path)
        finally:
            part.unlink()
    return path.read_bytes()
