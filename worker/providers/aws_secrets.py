"""The vendors' keys, from one secret in AWS Secrets Manager.

The secret is a JSON object: `{"OPENAI_API_KEY": "sk-…", "GOOGLE_SERVICE_ACCOUNT": {…}}`, the second being the key file
of a service account (or the configuration of a workload identity federation) as an object, or as text that holds it.
Only what is asked for has to be there.
"""

import json
import logging
from collections.abc import Mapping
from datetime import timedelta
from threading import Lock
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from statemachine.clock import Clock
from statemachine.errors import PermanentError, StepError, TransientError

log = logging.getLogger(__name__)

OPENAI_API_KEY = "OPENAI_API_KEY"
GOOGLE_SERVICE_ACCOUNT = "GOOGLE_SERVICE_ACCOUNT"

# How long a change may take to be seen where the old key goes on being accepted; a refused key is read anew at once.
LIFETIME = timedelta(minutes=5)

# What an answer of the service means, and what to do.  (Secrets Manager API reference, GetSecretValue, read 2026-11-22)
_REMEDIES: Mapping[str, str] = {
    # It answers so of a secret that has no value too, as every first `terraform apply` leaves it.
    "ResourceNotFoundException": (
        "there is no such secret in this region, or it has no value yet; put a value in, or mend AI_VIDEO_SECRET_ID"
    ),
    "AccessDeniedException": "it may not be read; allow secretsmanager:GetSecretValue, and kms:Decrypt on its key",
    "DecryptionFailure": "it cannot be decrypted; allow kms:Decrypt on its key",
    "InvalidRequestException": "it is deleted or has no value; restore it, or put a value into it",
    "InvalidParameterException": "its name is not one that a secret can have; mend AI_VIDEO_SECRET_ID",
    "ValidationException": "its name is not one that a secret can have; mend AI_VIDEO_SECRET_ID",
    "UnrecognizedClientException": "AWS does not know the credentials in use; renew them",
    "InvalidSignatureException": "AWS does not accept the credentials in use; renew them",
    "ExpiredTokenException": "the AWS credentials in use have expired; renew them",
}


class SecretsClient(Protocol):
    """What is used of boto3's client; `secrets_client` makes one."""

    def get_secret_value(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  boto3 makes its methods at run time
        """Read a secret."""


def secrets_client(*, region_name: str | None = None, endpoint_url: str | None = None) -> SecretsClient:
    """A client that tries a few times; credentials and region come from the environment."""
    return boto3.client(
        "secretsmanager",
        region_name=region_name,
        endpoint_url=endpoint_url,
        config=Config(connect_timeout=2, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 3}),
    )


class AwsSecrets:
    """The keys in one secret, read at the first use and again after `lifetime`.

    Where it cannot be read at the moment, what is known goes on being used.  No content of the secret stands in an
    error, a log or a `repr`.

    Args:
        secret_id: name or ARN.
    """

    def __init__(self, client: SecretsClient, *, secret_id: str, clock: Clock, lifetime: timedelta = LIFETIME) -> None:
        self._client = client
        self._secret_id = secret_id
        self._clock = clock
        self._lifetime = lifetime
        self._lock = Lock()
        self._fields: Mapping[str, object] | None = None
        self._read_at = clock.now()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(secret_id={self._secret_id!r})"

    def openai_key(self, *, refresh: bool = False) -> str:
        """The key of OpenAI's API; with `refresh`, as it stands in the secret now.

        Raises:
            TransientError: code PROVIDER_UNAVAILABLE.
            PermanentError: code SECRET_MISSING (no such secret, or it may not be read), SECRET_INVALID.
        """
        value = self._field(OPENAI_API_KEY, refresh=refresh)
        if not isinstance(value, str):
            raise self._invalid(f"{OPENAI_API_KEY} is no text")
        return value.strip()

    def google_key(self, *, refresh: bool = False) -> str:
        """The JSON of the service account's key; as `openai_key`."""
        value = self._field(GOOGLE_SERVICE_ACCOUNT, refresh=refresh)
        if isinstance(value, str):
            return value
        if not isinstance(value, Mapping):
            raise self._invalid(f"{GOOGLE_SERVICE_ACCOUNT} is neither an object nor text")
        return json.dumps(value)

    def _field(self, name: str, *, refresh: bool) -> object:
        with self._lock:
            value = self._current(refresh=refresh).get(name)
        if not value or (isinstance(value, str) and not value.strip()):
            raise self._invalid(f"it has no {name}")
        return value

    def _current(self, *, refresh: bool) -> Mapping[str, object]:
        known, now = self._fields, self._clock.now()
        if known is not None and not refresh and now - self._read_at < self._lifetime:
            return known
        try:
            self._fields = self._read()
        except TransientError as error:
            if known is None or refresh:
                raise
            # Asked again after another lifetime, not at every use: the service is in trouble.
            log.warning("%s; what was read before is used", error.message)
        self._read_at = now
        return self._fields or {}

    def _read(self) -> Mapping[str, object]:
        try:
            answer = self._client.get_secret_value(SecretId=self._secret_id)
        except ClientError as error:
            raise self._translated(error) from error
        except BotoCoreError as error:
            # The error's name only: it may quote what was sent.
            raise self._unavailable(type(error).__name__) from error
        text = answer.get("SecretString")
        if text is None:
            raise self._invalid("it holds bytes; it has to hold a JSON object as text")
        try:
            fields = json.loads(text)
        except ValueError:
            fields = None  # not chained: the parser's error holds the whole text
        if not isinstance(fields, dict):
            raise self._invalid("it is no JSON object")
        return fields

    def _translated(self, error: ClientError) -> StepError:
        code = error.response.get("Error", {}).get("Code", "")
        remedy = _REMEDIES.get(code)
        if remedy is None:
            return self._unavailable(code)
        return PermanentError("SECRET_MISSING", f"secret {self._secret_id}: {remedy}", user_action="contact_admin")

    def _unavailable(self, why: str) -> TransientError:
        return TransientError("PROVIDER_UNAVAILABLE", f"secret {self._secret_id} cannot be read for now ({why})")

    def _invalid(self, why: str) -> PermanentError:
        return PermanentError(
            "SECRET_INVALID",
            f'secret {self._secret_id}: {why}; it reads {{"{OPENAI_API_KEY}": "…", "{GOOGLE_SERVICE_ACCOUNT}": {{…}}}}',
            user_action="contact_admin",
        )
