"""Names of the objects that a job produces.

A key follows from the content, so a turn that lost its lease and still uploads can overwrite nothing: it writes the
same bytes under the same key, or other bytes under another.
"""

import hashlib
from pathlib import Path


def content_key(path: Path, *, prefix: str, name: str) -> str:
    """`{prefix}{name}-{digest}{suffix of path}`, the digest being of the file's bytes."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return _key(prefix, name, digest, path.suffix)


def content_key_of_bytes(content: bytes, *, prefix: str, name: str, suffix: str) -> str:
    """As `content_key`, for a small object that is no file."""
    return _key(prefix, name, hashlib.sha256(content).hexdigest(), suffix)


def _key(prefix: str, name: str, digest: str, suffix: str) -> str:
    return f"{prefix}{name}-{digest[:16]}{suffix}"
