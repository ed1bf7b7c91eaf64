"""Signed addresses of objects on a server of this machine, as S3 has them for those in a bucket."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from urllib.parse import quote

from itsdangerous import Signer

from worker.links import SigningWindow, signing_window

# Below it the server gives objects out.
MEDIA_PATH = "/media"


class SignedLinks:
    """Signs addresses; see `worker.links.LinkSigner`.

    Args:
        origin: of the server, `http://127.0.0.1:8080`.
        secret: whoever has it can make addresses.
    """

    def __init__(self, *, origin: str, secret: bytes) -> None:
        self._origin = origin
        self._seal = Seal(secret)

    def window(self, now: datetime) -> SigningWindow:
        """See `LinkSigner`."""
        return signing_window(now)

    def link(self, key: str, window: SigningWindow, *, download_as: str | None = None) -> str:
        """See `LinkSigner`."""
        expires = str(int(window.expires_at.timestamp()))
        query = f"expires={expires}&signature={self._seal.of(key, expires, download_as)}"
        if download_as is not None:
            query += f"&download_as={quote(download_as, safe='')}"
        return f"{self._origin}{MEDIA_PATH}/{quote(key, safe='/~')}?{query}"


class Seal:
    """What makes an address good, and finds out whether it is.

    Args:
        secret: whoever has it can make addresses.
    """

    def __init__(self, secret: bytes) -> None:
        self._signer = Signer(secret, salt="media", key_derivation="hmac", digest_method=hashlib.sha256)

    def of(self, key: str, expires: str, download_as: str | None) -> str:
        """The signature of an address; letters, digits, `-` and `_`."""
        # As JSON, so that no two addresses are one text.
        return self._signer.get_signature(json.dumps([key, expires, download_as])).decode()

    def is_good(self, signature: str, key: str, expires: str, download_as: str | None, *, now: datetime) -> bool:
        """Whether the address was signed here, as it stands, and has not expired."""
        expected = self.of(key, expires, download_as)
        is_ours = hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode())
        return is_ours and now < datetime.fromtimestamp(int(expires), tz=UTC)
