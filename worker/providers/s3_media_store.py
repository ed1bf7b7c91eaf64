"""A bucket as media store.

Encryption is the bucket's own: nothing about it is sent.  Nothing is ever deleted; what a job needs only while it is
being made carries a tag, by which the bucket's lifecycle may remove it.
"""

import errno
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from io import BufferedReader, RawIOBase
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from s3transfer.exceptions import S3DownloadFailedError, S3ValidationError

from statemachine.errors import PermanentError, TransientError

# Written as S3 wants it in a request's header.  The bucket's lifecycle filters by this tag.
INTERMEDIATE_TAG = "ai-video-lifecycle=intermediate"

# What the worker makes lies below this; other keys belong to the platform and are never tagged.
PRODUCED_PREFIX = "ai-video/"

# The names, up to the content's digest, of what people keep: the video, what is shown with it, and the words and
# prompts it was made of, which a page links to and a late retry reads.
FINAL_NAMES = ("video-", "captions-", "poster-", "transcript-", "plan-")

# Longest key, in bytes of UTF-8.  (Amazon S3 user guide, "Naming Amazon S3 objects", read 2026-11-22)
MAX_KEY_BYTES = 1024

# A browser plays a signed address by the type that stands with the object.
CONTENT_TYPES: Mapping[str, str] = {
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".vtt": "text/vtt",
    ".wav": "audio/wav",
}

# Memory of a transfer, whatever the object's length: four threads with 8 MiB each, and 4 MiB waiting for the disk.
_TRANSFER = TransferConfig(
    multipart_threshold=16 * 2**20,
    multipart_chunksize=8 * 2**20,
    max_concurrency=4,
    io_chunksize=256 * 2**10,
    max_io_queue=16,
)
_STREAM_BUFFER_BYTES = 256 * 2**10

_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_UNREACHABLE = (BotoCoreError, Boto3Error, S3DownloadFailedError, S3ValidationError)


class S3Client(Protocol):
    """What this store uses of boto3's client; `s3_client` makes one."""

    def upload_file(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  boto3 makes its methods at run time
        """Send a file, in parts where it is long."""

    def download_file(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as above
        """Fetch an object into a file."""

    def put_object(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as above
        """Send a small object."""

    def get_object(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as above
        """Fetch an object, or a range of it, as a stream."""

    def head_object(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as above
        """Ask what is known of an object."""

    def list_objects_v2(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as above
        """List a page of keys."""


def s3_client(*, region_name: str | None = None, endpoint_url: str | None = None) -> S3Client:
    """A client that tries a few times; credentials and region come from the environment."""
    return boto3.client(
        "s3",
        region_name=region_name,
        endpoint_url=endpoint_url,
        config=Config(connect_timeout=3, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 4}),
    )


def is_intermediate(key: str) -> bool:
    """Whether an object is needed only while its job is being made, by the worker's own names."""
    return key.startswith(PRODUCED_PREFIX) and not PurePosixPath(key).name.startswith(FINAL_NAMES)


class S3MediaStore:
    """Keeps objects in a bucket.

    An object appears whole or not at all: S3 shows a multipart upload only when it is complete.  One that failed is
    aborted; what a killed process began is invisible, and removed by the bucket's lifecycle (AbortIncompleteMultipart).

    Args:
        is_intermediate: which keys are tagged as intermediate.
        folder: where local copies stand while they are used; the system's folder for temporary files by default.
    """

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        *,
        is_intermediate: Callable[[str], bool] = is_intermediate,
        folder: Path | None = None,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._is_intermediate = is_intermediate
        self._folder = folder

    def upload(self, path: Path, key: str) -> None:
        """Send the file at `path`; see `MediaStore`."""
        arguments = self._arguments(key)
        with path.open("rb"):
            pass  # a file that cannot be read is not the bucket's fault, and is told as it is
        with self._translated(key, "written to"):
            self._client.upload_file(str(path), self._bucket, key, ExtraArgs=arguments, Config=_TRANSFER)

    def write(self, data: bytes, key: str) -> None:
        """See `MediaStore`."""
        arguments = self._arguments(key)
        with self._translated(key, "written to"):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=data, **arguments)

    @contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        """A file of its own, deleted after the block."""
        _check(key)
        with tempfile.TemporaryDirectory(prefix="ai-video-", dir=self._folder) as folder:
            # The suffix stays: media libraries look at it.
            copy = Path(folder) / f"copy{PurePosixPath(key).suffix}"
            with self._translated(key, "read from"):
                self._client.download_file(self._bucket, key, str(copy), Config=_TRANSFER)
            yield copy

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """See `MediaStore`.  A connection that breaks in the middle is a TransientError of the read that meets it."""
        _check(key)
        with self._translated(key, "read from"):
            body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
        with closing(body), BufferedReader(_ObjectStream(self, key, body), _STREAM_BUFFER_BYTES) as stream:
            yield stream

    def read_range(self, key: str, start: int, end: int) -> bytes:
        """See `MediaStore`."""
        _check(key)
        if start < 0 or end < start:
            raise ValueError(f"bytes {start} to {end} are no range")
        if start == end:
            # HTTP has no empty range, and S3 answers an impossible one with the whole object.
            if self.size(key) is None:
                raise self._missing(key)
            return b""
        with self._translated(key, "read from"):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=key, Range=f"bytes={start}-{end - 1}")
            except ClientError as error:
                if _code(error) == "InvalidRange":  # it begins after the object's end
                    return b""
                raise
            with closing(answer["Body"]) as body:
                content: bytes = body.read()
                return content

    def size(self, key: str) -> int | None:
        """See `MediaStore`."""
        _check(key)
        with self._translated(key, "read from"):
            try:
                length: int = self._client.head_object(Bucket=self._bucket, Key=key)["ContentLength"]
            except ClientError as error:
                if _code(error) in _MISSING:
                    return None
                raise
            return length

    def keys(self, prefix: str) -> Iterator[str]:
        """See `MediaStore`; a page of a thousand at a time."""
        _check_parts(prefix.split("/")[:-1], prefix)
        page: Mapping[str, Any] = {"IsTruncated": True}
        while page["IsTruncated"]:
            after = {"ContinuationToken": page["NextContinuationToken"]} if "NextContinuationToken" in page else {}
            with self._translated(prefix, "listed in"):
                page = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **after)
            yield from (entry["Key"] for entry in page.get("Contents", ()))

    def uri(self, key: str) -> str:
        """`s3://bucket/key`, the key as it is: nothing that reads such an address decodes it."""
        _check(key)
        return f"s3://{self._bucket}/{key}"

    def _arguments(self, key: str) -> dict[str, str]:
        """What is said about a new object beside its bytes."""
        _check(key)
        arguments = {}
        suffix = PurePosixPath(key).suffix.lower()
        if suffix in CONTENT_TYPES:
            arguments["ContentType"] = CONTENT_TYPES[suffix]
        if self._is_intermediate(key):
            arguments["Tagging"] = INTERMEDIATE_TAG
        return arguments

    @contextmanager
    def _translated(self, key: str, done: str) -> Iterator[None]:
        """Boto3's errors as the port's.  Anything but a missing object may pass, if only because somebody mends it."""
        try:
            yield
        except ClientError as error:
            if _code(error) in _MISSING:
                raise self._missing(key) from error
            raise self._unavailable(key, done, error) from error
        except _UNREACHABLE as error:
            raise self._unavailable(key, done, error) from error
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise TransientError(
                "STORAGE_FULL",
                f"no space left for a local copy of {key}; give the function more temporary storage",
                user_action="contact_admin",
            ) from error

    def _missing(self, key: str) -> PermanentError:
        return PermanentError(
            "OBJECT_MISSING", f"{key} is not in bucket {self._bucket}; was it moved, or removed by a lifecycle rule?"
        )

    def _unavailable(self, key: str, done: str, error: Exception) -> TransientError:
        return TransientError("STORAGE_UNAVAILABLE", f"{key} cannot be {done} bucket {self._bucket} for now: {error}")


class _ObjectStream(RawIOBase):
    """The body of an answer as a stream that Python's own buffering can read."""

    def __init__(self, store: S3MediaStore, key: str, body: BinaryIO) -> None:
        self._store = store
        self._key = key
        self._body = body

    def readable(self) -> bool:
        """It can be read, once, from its first byte."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  typing knows a name for a writable buffer only from 3.12
        """Fill `buffer` as far as the connection gives; 0 at the end."""
        with self._store._translated(self._key, "read from"):  # noqa: SLF001  a part of the store in a class of its own
            content = self._body.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def _check(key: str) -> None:
    _check_parts(key.split("/"), key)
    if len(key.encode()) > MAX_KEY_BYTES:
        raise ValueError(f"{key!r} is no key: it is longer than {MAX_KEY_BYTES} bytes")


def _check_parts(parts: list[str], key: str) -> None:
    if any(part in {"", ".", ".."} or "\0" in part for part in parts):
        raise ValueError(f"{key!r} is no key: it is relative, without empty parts, '.' or '..'")
