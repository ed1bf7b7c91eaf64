"""Access tokens for Google's APIs: by a service account's key, or by the function's own AWS role.

Tokens are refreshed here and not by google-auth's AuthorizedSession: that one starts a background thread which calls
Google about the account's location, also in tests and after a handler has returned (google-auth 2.62, seen 2026-11-22).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from statemachine.errors import PermanentError, TransientError

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)

# Less than the time that a step leaves before its deadline for an order and everything around it.
TIMEOUT_SECONDS = 8

STS_URL = "https://sts.googleapis.com"
IAM_URL = "https://iamcredentials.googleapis.com"
AWS_TOKEN = "urn:ietf:params:aws:token-type:aws4_request"  # noqa: S105  the name of a kind of token


class KeyReader(Protocol):
    """Reads the JSON of a service account's key, or of a workload identity federation's configuration."""

    def __call__(self, *, refresh: bool) -> str:
        """The JSON; with `refresh`, as it stands now and from no cache."""


@dataclass(frozen=True, slots=True)
class Federation:
    """What lets an AWS role act at Google without a key.

    Attributes:
        audience: `//iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`.
        service_account: acted as, by its e-mail address; None where the role itself was granted the access.
        region: of the function.
    """

    audience: str
    service_account: str | None
    region: str
    sts_url: str = STS_URL
    iam_url: str = IAM_URL


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """The function's own keys, as its environment holds them at this moment."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None


class GoogleCredentials:
    """One token for all threads, refreshed some minutes before its end.

    Args:
        make: builds google-auth's credentials; called at the first use, and again after a refusal (`refresh=True`), so
            that a key that was rotated meanwhile is read anew.
    """

    # google-auth and its transport take 0.3 s to import (measured 2026-11-22); an API request on a cold function should
    # not pay for them.

    def __init__(self, make: "Callable[[bool], Any]") -> None:
        self._make = make
        self._lock = Lock()
        self._made: Any = None

    @property
    def credentials(self) -> Any:  # noqa: ANN401  google-auth ships hints for a few of its modules only
        """Google-auth's credentials that hold the token."""
        with self._lock:
            return self._built()

    def token(self) -> str:
        """A token that is valid for some minutes more.

        Raises:
            TransientError: code PROVIDER_UNAVAILABLE, the token service cannot be reached.
            PermanentError: code PROVIDER_UNAUTHORIZED, the credentials are malformed or refused.
        """
        with self._lock:
            made = self._built()
            if not made.valid:
                self._refresh(made)
            return str(made.token)

    def renewed(self, refused: str) -> str:
        """Another token than `refused`; where another thread has fetched one already, that one."""
        with self._lock:
            made = self._built()
            if made.token == refused:
                self._refresh(made)
            return str(made.token)

    def _built(self) -> Any:  # noqa: ANN401  as above
        if self._made is None:
            self._made = self._make(False)
        return self._made

    def _refresh(self, made: Any) -> None:  # noqa: ANN401  as above
        from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError  # noqa: PLC0415  see above
        from google.auth.transport.requests import Request  # noqa: PLC0415  see above

        request = partial(Request(), timeout=TIMEOUT_SECONDS)
        try:
            try:
                made.refresh(request)
            except RefreshError as error:
                if error.retryable:
                    raise
                # The caller keeps the object that it was given, so the new key's token is put there.
                again = self._make(True)
                again.refresh(request)
                made.token, made.expiry = again.token, again.expiry
        except TransportError as error:
            raise TransientError("PROVIDER_UNAVAILABLE", "Google's token service cannot be reached") from error
        except GoogleAuthError as error:
            if error.retryable:
                raise TransientError("PROVIDER_UNAVAILABLE", "Google's token service is not available") from error
            raise PermanentError(
                "PROVIDER_UNAUTHORIZED",
                "Google refuses the credentials: check the service account's key, or the role's federation",
                user_action="contact_admin",
            ) from error
        except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
            # What google-auth trips over: an answer, by a proxy for instance, that is not as documented.
            raise TransientError("PROVIDER_UNAVAILABLE", "Google's token service answered nothing readable") from error


def from_key(read: KeyReader) -> GoogleCredentials:
    """Credentials of the key (or the federation's configuration) that `read` gives."""
    return GoogleCredentials(lambda refresh: _of_json(read(refresh=refresh)))


def from_key_file(path: Path) -> GoogleCredentials:
    """Credentials of a file, as GOOGLE_APPLICATION_CREDENTIALS names it."""

    def read(*, refresh: bool) -> str:  # noqa: ARG001  a file has no cache
        try:
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise _unusable(f"{path} cannot be read ({error.strerror})") from error

    return from_key(read)


def from_aws_role(federation: Federation, keys: Callable[[], AwsKeys]) -> GoogleCredentials:
    """Credentials of the AWS role whose `keys` these are; AWS itself is not called."""
    return GoogleCredentials(lambda _: _federated(federation, keys))


def _of_json(text: str) -> Any:  # noqa: ANN401  google-auth ships hints for a few of its modules only
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415  see GoogleCredentials

    try:
        info = json.loads(text)
    except ValueError as error:
        raise _unusable("it is no JSON") from error
    kind = info.get("type") if isinstance(info, Mapping) else None
    try:
        if kind == "service_account":
            from google.oauth2 import service_account  # noqa: PLC0415  see GoogleCredentials

            return service_account.Credentials.from_service_account_info(info, scopes=SCOPES)  # type: ignore[no-untyped-call]  # google-auth has hints for some modules only
        if kind == "external_account":
            from google.auth import aws  # noqa: PLC0415  see GoogleCredentials

            return aws.Credentials.from_info(info, scopes=SCOPES)  # type: ignore[no-untyped-call]  # as above
    except (GoogleAuthError, ValueError) as error:
        # Not its message: it may quote the key.
        raise _unusable(f"google-auth refuses it ({type(error).__name__})") from error
    raise _unusable(f"its type is {kind!r}; it has to be 'service_account' or 'external_account'")


def _federated(federation: Federation, keys: Callable[[], AwsKeys]) -> Any:  # noqa: ANN401  as above
    from google.auth import aws  # noqa: PLC0415  see GoogleCredentials

    class OwnKeys(aws.AwsSecurityCredentialsSupplier):
        """Gives google-auth the function's keys, so that it looks for no others."""

        def get_aws_security_credentials(self, context: object, request: object) -> aws.AwsSecurityCredentials:  # noqa: ARG002  google-auth calls it so
            own = keys()
            return aws.AwsSecurityCredentials(own.access_key_id, own.secret_access_key, own.session_token)

        def get_aws_region(self, context: object, request: object) -> str:  # noqa: ARG002  as above
            return federation.region

    account = federation.service_account
    return aws.Credentials(  # type: ignore[no-untyped-call]  # as above
        audience=federation.audience,
        subject_token_type=AWS_TOKEN,
        token_url=f"{federation.sts_url}/v1/token",
        aws_security_credentials_supplier=OwnKeys(),
        scopes=SCOPES,
        service_account_impersonation_url=account
        and f"{federation.iam_url}/v1/projects/-/serviceAccounts/{account}:generateAccessToken",
    )


def _unusable(why: str) -> PermanentError:
    return PermanentError(
        "PROVIDER_UNAUTHORIZED", f"the credentials for Google cannot be used: {why}", user_action="contact_admin"
    )
