"""Signed addresses of objects in the platform's bucket (Signature Version 4 in the query).

boto3 signs as of now, so that no two addresses are the same, and takes 0.2 ms for each; an answer may hold a hundred
and fifty.  This signs as of a given moment in some 15 µs.  (`python -m benchmarks api`; the algorithm: AWS Signature
Version 4, "Authenticating requests: using query parameters", Amazon S3 API reference, read 2026-11-22; a test holds it
against botocore's.)
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote, urlsplit

from botocore.session import Session

from statemachine.record import Record
from worker.links import SigningWindow, signing_window

_ALGORITHM = "AWS4-HMAC-SHA256"
_SAVED = "response-content-disposition"

# Keys that stand in an address as they are: all that the worker makes of usual names.
_PLAIN = re.compile(r"[A-Za-z0-9_.~/-]*")


class SigningKey(Record):
    """Credentials as they are at one moment.

    Attributes:
        end_at: when they end, where they say so; those in the environment of a function do not, and are renewed there.
    """

    access_key: str
    secret_key: str
    token: str | None = None
    end_at: datetime | None = None


class S3Links:
    """Signs addresses; see `worker.links.LinkSigner`.

    Args:
        endpoint: where the bucket answers, `https://bucket.s3.region.amazonaws.com` or with the bucket in the path.
        key: asks for the present credentials.
    """

    def __init__(self, *, endpoint: str, region: str, key: Callable[[], SigningKey]) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._region = region
        self._key = key
        self._known: _Form | None = None

    def window(self, now: datetime) -> SigningWindow:
        """See `LinkSigner`.  The same object as before, while nothing has changed: by it `link` knows its form."""
        key = self._key()
        window = signing_window(now, credentials_end_at=key.end_at)
        known = self._known
        if known is None or known.window != window or known.key != key:
            known = self._known = _form(self._endpoint, self._region, key, window)
        return known.window

    def link(self, key: str, window: SigningWindow, *, download_as: str | None = None) -> str:
        """See `LinkSigner`."""
        form = self._known
        if form is None or form.window is not window:
            form = _form(self._endpoint, self._region, self._key(), window)
        path = form.folder + (key if _PLAIN.fullmatch(key) else quote(key, safe="/~"))
        query = form.query
        if download_as is not None:
            saved = f"attachment; filename*=UTF-8''{quote(download_as, safe='')}"
            query = (
                f"{query}&{_SAVED}={_quoted(saved)}"  # the parameters stay in order: all others begin with a capital
            )
        request = f"GET\n{path}\n{query}{form.request_end}"
        to_sign = form.to_sign + hashlib.sha256(request.encode()).hexdigest()
        signature = hmac.digest(form.signing_key, to_sign.encode(), "sha256").hex()
        return f"{form.site}{path}?{query}&X-Amz-Signature={signature}"


class _Form(Record):
    """What all addresses of one window have in common.

    Attributes:
        site, folder: of the address, before the key.
        query: without the signature.
        request_end: of the canonical request, after the query.
        to_sign: before the digest of the request.
    """

    window: SigningWindow
    key: SigningKey
    site: str
    folder: str
    query: str
    request_end: str
    to_sign: str
    signing_key: bytes


def _form(endpoint: str, region: str, key: SigningKey, window: SigningWindow) -> _Form:
    moment = window.signed_at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    named = {
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{key.access_key}/{scope}",
        "X-Amz-Date": moment,
        "X-Amz-Expires": str(int((window.expires_at - window.signed_at).total_seconds())),
        "X-Amz-SignedHeaders": "host",
    }
    if key.token:
        named["X-Amz-Security-Token"] = key.token
    place = urlsplit(endpoint)
    return _Form(
        window=window,
        key=key,
        site=f"{place.scheme}://{place.netloc}",
        folder=f"{place.path}/",
        query="&".join(f"{_quoted(name)}={_quoted(named[name])}" for name in sorted(named)),
        request_end=f"\nhost:{place.netloc}\n\nhost\nUNSIGNED-PAYLOAD",
        to_sign=f"{_ALGORITHM}\n{moment}\n{scope}\n",
        signing_key=_signing_key(key.secret_key, moment[:8], region),
    )


def s3_links(bucket: str, *, endpoint_url: str | None = None) -> S3Links:
    """A signer with the credentials and the region of the environment.

    Args:
        bucket: of the platform.
        endpoint_url: of something that speaks S3 elsewhere; the bucket stands in the path there.
    """
    # Only who signs and where is asked of it; a session for clients takes 12 ms more to build, at every cold start.
    # (botocore 1.44, CPython 3.13, 2026-11-22)
    session = Session(include_builtin_handlers=False)
    region = session.get_config_variable("region") or "us-east-1"

    def key() -> SigningKey:
        # Asked every time: credentials that end are renewed by whoever keeps them.
        credentials = session.get_credentials()
        if credentials is None:
            raise RuntimeError("there are no AWS credentials to sign addresses with; look at the function's role")
        frozen = credentials.get_frozen_credentials()
        if not frozen.access_key or not frozen.secret_key:
            raise RuntimeError("the AWS credentials are incomplete; look at the function's role")
        # botocore says when credentials end under this name only.
        end_at = getattr(credentials, "_expiry_time", None)
        return SigningKey(frozen.access_key, frozen.secret_key, frozen.token, end_at)

    return S3Links(endpoint=_endpoint(bucket, region, endpoint_url), region=region, key=key)


def _endpoint(bucket: str, region: str, endpoint_url: str | None) -> str:
    if endpoint_url:
        return f"{endpoint_url.rstrip('/')}/{bucket}"
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    if "." in bucket:  # the certificate covers one label only
        return f"https://s3.{region}.{domain}/{bucket}"
    return f"https://{bucket}.s3.{region}.{domain}"


@lru_cache(maxsize=8)
def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")
