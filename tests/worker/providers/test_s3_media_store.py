import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.response import StreamingBody
from mypy_boto3_s3 import S3Client

from statemachine.errors import PermanentError, TransientError
from tests.aws_wire import Answer, Silence, Wire
from tests.s3_buckets import moto_bucket
from worker.providers.s3_media_store import CONTENT_TYPES, S3MediaStore, is_intermediate, s3_client

RUN = "ai-video/video-1/run-1/"
LONG = 20 * 2**20  # of several parts


@pytest.fixture
def client() -> Iterator[S3Client]:
    with moto_bucket("media") as client:
        yield client


@pytest.fixture
def store(client: S3Client, tmp_path: Path) -> S3MediaStore:
    return S3MediaStore(client, "media", folder=tmp_path)


@pytest.fixture
def long_file(tmp_path: Path) -> Path:
    path = tmp_path / "recording.mp3"
    path.write_bytes(os.urandom(2**20) * (LONG // 2**20))
    return path


def tags(client: S3Client, key: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in client.get_object_tagging(Bucket="media", Key=key)["TagSet"]}


def test_a_long_file_goes_in_parts_and_comes_back_whole(store: S3MediaStore, client: S3Client, long_file: Path) -> None:
    wire = Wire(client)

    store.upload(long_file, f"{RUN}video-1.mp4")

    assert sorted(wire.operations) == ["CompleteMultipartUpload", "CreateMultipartUpload", *["UploadPart"] * 3]
    with store.local_copy(f"{RUN}video-1.mp4") as copy:
        assert copy.read_bytes() == long_file.read_bytes()


def test_a_failed_upload_leaves_no_part_behind(store: S3MediaStore, client: S3Client, long_file: Path) -> None:
    """Parts of an upload that was given up are invisible and paid for."""
    store.write(b"old", "key")
    wire = Wire(client)
    wire.troubles.extend([None, None, Answer(503, "SlowDown")])

    with pytest.raises(TransientError) as raised:
        store.upload(long_file, "key")

    assert raised.value.code == "STORAGE_UNAVAILABLE"
    assert "Uploads" not in client.list_multipart_uploads(Bucket="media")
    assert store.read_range("key", 0, 10) == b"old"


@pytest.mark.parametrize(
    "key",
    [
        f"{RUN}clips/000-0a1b.mp4",
        f"{RUN}thumbnails/000-0a1b.jpg",
        f"{RUN}audio-0a1b.m4a",
        f"{RUN}renders/000/intent/sample_0.mp4",
    ],
)
def test_what_serves_only_the_making_is_tagged(store: S3MediaStore, client: S3Client, tmp_path: Path, key: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")

    store.upload(source, key)
    uploaded = tags(client, key)
    store.write(b"y", key)

    assert uploaded == tags(client, key) == {"ai-video-lifecycle": "intermediate"}


@pytest.mark.parametrize(
    "key",
    [
        f"{RUN}video-0a1b.mp4",
        f"{RUN}captions-0a1b.vtt",
        f"{RUN}poster-0a1b.jpg",
        f"{RUN}transcript-0a1b.json",
        f"{RUN}plan-0a1b.json",
        "recordings/clips/mine.mp3",
    ],
)
def test_what_people_keep_is_not_tagged(store: S3MediaStore, client: S3Client, key: str) -> None:
    store.write(b"x", key)

    assert tags(client, key) == {}
    assert not is_intermediate(key)


def test_parts_of_a_long_intermediate_object_are_tagged_as_one(
    store: S3MediaStore, client: S3Client, long_file: Path
) -> None:
    store.upload(long_file, f"{RUN}clips/000-0a1b.mp4")

    assert tags(client, f"{RUN}clips/000-0a1b.mp4") == {"ai-video-lifecycle": "intermediate"}


def test_another_rule_may_say_what_is_intermediate(client: S3Client) -> None:
    S3MediaStore(client, "media", is_intermediate=lambda key: key == "mine").write(b"x", "mine")

    assert tags(client, "mine") == {"ai-video-lifecycle": "intermediate"}


def test_encryption_is_left_to_the_bucket(store: S3MediaStore, client: S3Client, long_file: Path) -> None:
    """A header would override the key that the bucket's owner chose."""
    wire = Wire(client)

    store.upload(long_file, f"{RUN}video-1.mp4")
    store.write(b"x", f"{RUN}thumbnails/000-1.jpg")

    sent = {name.lower() for request in wire.requests for name in request.headers}
    assert "x-amz-tagging" in sent  # the header that is looked for below would be found
    assert not any(name.startswith("x-amz-server-side-encryption") for name in sent)


def test_nothing_is_ever_deleted(store: S3MediaStore, client: S3Client, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    wire = Wire(client)

    store.upload(source, "key")
    store.write(b"y", "key")
    with store.local_copy("key"), store.open("key"):
        pass
    store.read_range("key", 0, 1)
    list(store.keys(""))

    assert set(wire.operations) == {"PutObject", "HeadObject", "GetObject", "ListObjectsV2"}


@pytest.mark.parametrize(("suffix", "content_type"), sorted(CONTENT_TYPES.items()))
def test_a_browser_is_told_what_an_object_is(
    store: S3MediaStore, client: S3Client, suffix: str, content_type: str
) -> None:
    store.write(b"x", f"key{suffix.upper()}")

    assert client.head_object(Bucket="media", Key=f"key{suffix.upper()}")["ContentType"] == content_type


def test_a_local_copy_is_gone_after_the_block_whatever_happens_in_it(store: S3MediaStore, tmp_path: Path) -> None:
    store.write(b"x", "folder/clip.mp4")

    copies = []

    def use_it() -> None:
        with store.local_copy("folder/clip.mp4") as copy:
            copies.append(copy)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use_it()

    assert [copy.suffix for copy in copies if copy.is_relative_to(tmp_path)] == [".mp4"]
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_never_came_leaves_nothing(store: S3MediaStore, tmp_path: Path) -> None:
    with pytest.raises(PermanentError), store.local_copy("missing"):
        pass

    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_as_such(store: S3MediaStore, client: S3Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(client, "download_file", full)

    with pytest.raises(TransientError) as raised, store.local_copy("key"):
        pass

    assert raised.value.code == "STORAGE_FULL"


def test_only_the_wanted_bytes_are_fetched(store: S3MediaStore, client: S3Client) -> None:
    store.write(bytes(1000), "key")
    wire = Wire(client)

    store.read_range("key", 10, 20)

    assert [request.headers["Range"] for request in wire.requests] == ["bytes=10-19"]


def test_a_long_object_is_read_as_it_arrives(store: S3MediaStore, long_file: Path) -> None:
    store.upload(long_file, "key")

    with store.open("key") as stream:
        beginning = stream.read(1000)
        rest = stream.read()

    assert beginning + rest == long_file.read_bytes()


def test_a_stream_that_breaks_may_be_read_again_later(store: S3MediaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write(b"0123456789", "key")

    def broken(_: StreamingBody, amt: int) -> bytes:
        raise ReadTimeoutError(endpoint_url="https://s3")

    monkeypatch.setattr(StreamingBody, "read", broken)

    with pytest.raises(TransientError) as raised, store.open("key") as stream:
        stream.read(1)

    assert raised.value.code == "STORAGE_UNAVAILABLE"


def pages_of_three(params: dict[str, Any], **_: object) -> None:
    params["MaxKeys"] = 3


def test_keys_of_more_than_one_page_are_all_listed_in_order(store: S3MediaStore, client: S3Client) -> None:
    for number in range(7):
        store.write(b"x", f"run/{number}")
    client.meta.events.register("before-parameter-build.s3.ListObjectsV2", pages_of_three)
    wire = Wire(client)

    assert list(store.keys("run/")) == [f"run/{number}" for number in range(7)]
    assert len(wire.requests) == 3


@pytest.mark.parametrize(
    "trouble",
    [Answer(403, "AccessDenied"), Answer(503, "SlowDown"), Answer(500, "InternalError"), Silence(is_done=False)],
)
def test_whatever_else_goes_wrong_may_go_right_later(
    store: S3MediaStore, client: S3Client, tmp_path: Path, trouble: Answer | Silence
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    wire = Wire(client)
    attempts: list[Callable[[], object]] = [
        lambda: store.upload(source, "key"),
        lambda: store.write(b"x", "key"),
        lambda: store.local_copy("key").__enter__(),
        lambda: store.open("key").__enter__(),
        lambda: store.read_range("key", 0, 1),
        lambda: store.size("key"),
        lambda: list(store.keys("")),
    ]

    for attempt in attempts:
        wire.troubles.append(trouble)
        with pytest.raises(TransientError) as raised:
            attempt()
        assert raised.value.code == "STORAGE_UNAVAILABLE"

    assert len(wire.requests) == len(attempts)


def test_an_address_holds_the_key_as_it_is(store: S3MediaStore) -> None:
    """Transcribe and the command line read such an address letter by letter."""
    assert store.uri("recordings/Grüße an 1+1.mp3") == "s3://media/recordings/Grüße an 1+1.mp3"


def test_a_key_longer_than_s3_allows_is_refused(store: S3MediaStore) -> None:
    with pytest.raises(ValueError, match="no key"):
        store.write(b"x", "ä" * 513)


def test_a_throttled_request_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it may hold the credentials of another test
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    client = s3_client(region_name="eu-central-1")
    wire = Wire(client)
    wire.troubles.extend([Answer(503), Silence(is_done=False), Answer(200)])

    S3MediaStore(client, "media").write(b"x", "key")

    assert wire.operations == ["PutObject"] * 3
    assert {urlparse(request.url).path for request in wire.requests} == {"/key"}
    assert parse_qs(urlparse(wire.requests[0].url).query) == {}
