"""Google's access tokens: by a service account's key, by federation from AWS, by impersonation.

Assertions are verified with the public half of the key that the key file holds.  What AWS signed is only looked at:
verifying it takes AWS.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from urllib.parse import unquote

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt
from werkzeug.wrappers import Request, Response

from statemachine.clock import SystemClock
from tests.simulators.google_answers import (
    about_nothing,
    at,
    error_answer,
    error_reason,
    json_answer,
    json_object,
    unauthenticated,
    usual_fault,
)
from tests.simulators.scenario import Answer
from tests.simulators.server import Route

CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
IAM_SCOPE = "https://www.googleapis.com/auth/iam"
TOKEN_LIFETIME = timedelta(seconds=3599)
# google-auth names this audience whatever the key file's token_uri (2.62.2).
GOOGLE_AUDIENCE = "https://oauth2.googleapis.com/token"
SERVICE_ACCOUNT = "veo@proj-1.iam.gserviceaccount.com"

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 (the name of a grant)
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 (the name of a kind of token)
AWS_REQUEST = "urn:ietf:params:aws:token-type:aws4_request"


@dataclass(slots=True)
class Token:
    """An access token that was issued."""

    scopes: frozenset[str]
    expires_at: datetime
    is_revoked: bool = False


@cache
def _key() -> rsa.RSAPrivateKey:
    """The service account's key, made once per process: it takes a tenth of a second (measured 2026-11-22)."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class GoogleTokens:
    """The endpoints that issue tokens, and the judgement of a request that brings one."""

    def __init__(self, *, project: str) -> None:
        self.project = project
        self._issued: dict[str, Token] = {}
        # Tokens live by the client's own clock: google-auth signs and renews by the machine's time.
        self._clock = SystemClock()

    def issue_token(self, *scopes: str) -> str:
        """A token that is valid now, as if it had been asked for; for the whole platform when no scope is given."""
        token = f"ya29.simulated-{len(self._issued) + 1}"
        self._issued[token] = Token(frozenset(scopes or (CLOUD_PLATFORM,)), self._clock.now() + TOKEN_LIFETIME)
        return token

    def expire_tokens(self) -> None:
        """Every token issued so far is refused from now on."""
        for token in self._issued.values():
            token.is_revoked = True

    @property
    def count(self) -> int:
        """How many tokens were issued."""
        return len(self._issued)

    def service_account_info(self, url: str) -> dict[str, str]:
        """A service account's key file, whose token endpoint is this server at `url`."""
        return {
            "type": "service_account",
            "project_id": self.project,
            "private_key_id": "simulated",
            "private_key": _key()
            .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            .decode(),
            "client_email": SERVICE_ACCOUNT,
            "client_id": "100000000000000000001",
            "token_uri": f"{url}/token",
            "universe_domain": "googleapis.com",
        }

    def refusal(self, request: Request, scopes: frozenset[str]) -> Response | None:
        """The answer to a request whose token is missing, unknown, too old or meant for something else."""
        kind, _, secret = request.headers.get("Authorization", "").partition(" ")
        token = self._issued.get(secret) if kind.lower() == "bearer" else None
        if not secret:
            return unauthenticated("CREDENTIALS_MISSING")
        if token is None:
            return unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED")
        if token.is_revoked or self._clock.now() >= token.expires_at:
            return unauthenticated("ACCESS_TOKEN_EXPIRED")
        if not token.scopes & scopes:
            return error_answer(
                403, "Request had insufficient authentication scopes.", error_reason("ACCESS_TOKEN_SCOPE_INSUFFICIENT")
            )
        return None

    def routes(self) -> Iterable[Route]:
        """The key file's token endpoint, the security token service, impersonation."""
        yield Route("/token", "POST", self._by_key, at("google.token"), about_nothing)
        yield Route("/v1/token", "POST", self._by_federation, at("google.sts"), about_nothing)
        yield Route(
            "/v1/projects/-/serviceAccounts/<account>:generateAccessToken",
            "POST",
            self._by_impersonation,
            at("google.impersonate"),
            about_nothing,
        )

    def fault(self, answer: Answer) -> Response:
        """Google's error body for a status; `reason` is OAuth's word for it where there is one."""
        return _oauth_error(answer.reason, "Refused.") if answer.reason else usual_fault(answer)

    def _by_key(self, request: Request) -> Response:
        if request.form.get("grant_type") != JWT_BEARER:
            return _oauth_error("unsupported_grant_type", "Invalid grant_type: " + request.form.get("grant_type", ""))
        public = (
            _key()
            .public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        try:
            claims = jwt.decode(  # type: ignore[no-untyped-call]  # google-auth has hints for some modules only
                request.form.get("assertion", ""), certs=public, audience=[GOOGLE_AUDIENCE, f"{request.host_url}token"]
            )
        except ValueError as error:
            # google-auth tells its reasons apart by text only; the real endpoint says less.
            reason = "Invalid JWT Signature." if "signature" in str(error) else f"Invalid JWT: {error}"
            return _oauth_error("invalid_grant", reason)
        if claims.get("iss") != SERVICE_ACCOUNT:
            return _oauth_error("invalid_grant", "Invalid grant: account not found")
        if not claims.get("scope"):
            return _oauth_error("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        return self._granted(str(claims["scope"]).split())

    def _by_federation(self, request: Request) -> Response:
        form = request.form
        if form.get("grant_type") != TOKEN_EXCHANGE:
            return _oauth_error("unsupported_grant_type", "grant_type must be token-exchange")
        audience = form.get("audience", "")
        if "/workloadIdentityPools/" not in audience or form.get("subject_token_type") != AWS_REQUEST:
            return _oauth_error("invalid_request", 'Invalid value for "audience" or "subject_token_type".')
        fault = _aws_subject_fault(form.get("subject_token", ""), audience)
        if fault is not None:
            return _oauth_error("invalid_grant", fault)
        return self._granted(form.get("scope", "").split(), issued_token_type=ACCESS_TOKEN)

    def _granted(self, scopes: Sequence[str], **more: str) -> Response:
        token = self.issue_token(*scopes)
        return json_answer(
            {"access_token": token, "expires_in": int(TOKEN_LIFETIME.total_seconds()), "token_type": "Bearer", **more}
        )

    def _by_impersonation(self, request: Request, account: str) -> Response:
        refused = self.refusal(request, frozenset({IAM_SCOPE, CLOUD_PLATFORM}))
        if refused is not None:
            return refused
        if account != SERVICE_ACCOUNT:
            return error_answer(404, f"Not found; Gaia id not found for email {account}")
        wanted = json_object(request).get("scope")
        if not isinstance(wanted, list) or not wanted:
            return error_answer(400, "Scope required.")
        token = self.issue_token(*map(str, wanted))
        expires_at = self._issued[token].expires_at
        return json_answer(
            {"accessToken": token, "expireTime": expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        )


def _aws_subject_fault(subject_token: str, audience: str) -> str | None:
    """What is wrong with the signed request by which AWS is to vouch for the caller; AWS itself is not asked."""
    try:
        signed = json.loads(unquote(subject_token))
        headers = {header["key"].lower(): header["value"] for header in signed["headers"]}
        url, method = signed["url"], signed["method"]
    except (ValueError, KeyError, TypeError) as error:
        return f"Unable to parse the subject token: {error!r}"
    if method != "POST" or not re.match(r"https://sts\.[a-z0-9-]+\.amazonaws\.com\?Action=GetCallerIdentity&", url):
        return "The subject token is not a GetCallerIdentity request."
    if not headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 "):
        return "The subject token is not signed."
    if headers.get("x-goog-cloud-target-resource") != audience:
        return "The subject token was signed for another audience."
    return None


def _oauth_error(error: str, description: str) -> Response:
    return json_answer({"error": error, "error_description": description}, 400)
