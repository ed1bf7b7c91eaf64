from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from freezegun import freeze_time

from worker.links import SigningWindow
from worker.providers.s3_links import S3Links, SigningKey, s3_links

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
WINDOW = SigningWindow(NOON, NOON + timedelta(hours=1))
ENDPOINT = "https://bucket.s3.eu-central-1.amazonaws.com"


def a_signer(*, token: str | None = None, endpoint: str = ENDPOINT, end_at: datetime | None = None) -> S3Links:
    key = SigningKey("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token, end_at)
    return S3Links(endpoint=endpoint, region="eu-central-1", key=lambda: key)


@pytest.mark.parametrize("token", [None, "FwoGZXIvYXdzE//+=="], ids=["a user's keys", "a role's keys"])
@pytest.mark.parametrize("key", ["ai-video/x/video-1.mp4", "uploads/Grüße & mehr (1)+2=3 ~.mp3", "a/b//c%20?#"])
@pytest.mark.parametrize("endpoint", [ENDPOINT, "http://127.0.0.1:9000/bucket"])
@freeze_time(NOON)
def test_an_address_is_signed_as_botocore_signs_it(key: str, token: str | None, endpoint: str) -> None:
    link = a_signer(token=token, endpoint=endpoint).link(key, WINDOW)

    credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)
    request = AWSRequest(method="GET", url=link.partition("?")[0])
    S3SigV4QueryAuth(credentials, "s3", "eu-central-1", expires=3600).add_auth(request)
    assert parse_qs(urlsplit(link).query) == parse_qs(urlsplit(str(request.url)).query)


@freeze_time(NOON)
def test_an_address_to_be_saved_carries_its_name_under_the_signature() -> None:
    link = a_signer().link("video.mp4", WINDOW, download_as='Ein "Märchen"\r\nSet-Cookie: x.mp4')

    query = parse_qs(urlsplit(link).query)
    assert query["response-content-disposition"] == [
        "attachment; filename*=UTF-8''Ein%20%22M%C3%A4rchen%22%0D%0ASet-Cookie%3A%20x.mp4"
    ]
    credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    params = {"response-content-disposition": query["response-content-disposition"][0]}
    request = AWSRequest(method="GET", url=link.partition("?")[0], params=params)
    S3SigV4QueryAuth(credentials, "s3", "eu-central-1", expires=3600).add_auth(request)
    assert query["X-Amz-Signature"] == parse_qs(urlsplit(str(request.url)).query)["X-Amz-Signature"]


def test_two_looks_in_one_window_give_the_same_address() -> None:
    signer = a_signer()
    first, second = signer.window(NOON), signer.window(NOON + timedelta(minutes=14))

    assert signer.link("a.mp4", first) == signer.link("a.mp4", second)


def test_credentials_that_are_renewed_within_a_window_sign_from_then_on() -> None:
    keys = [SigningKey("OLD", "old", "old token"), SigningKey("NEW", "new", "new token")]
    signer = S3Links(endpoint=ENDPOINT, region="eu-central-1", key=lambda: keys[0])
    first = signer.link("a.mp4", signer.window(NOON))
    keys.pop(0)

    second = signer.link("a.mp4", signer.window(NOON))

    fresh = S3Links(endpoint=ENDPOINT, region="eu-central-1", key=lambda: keys[0])
    assert "OLD" in first
    assert second == fresh.link("a.mp4", fresh.window(NOON))


def test_no_address_outlives_the_credentials() -> None:
    signer = a_signer(end_at=NOON + timedelta(minutes=20))
    window = signer.window(NOON + timedelta(minutes=3))

    assert window.expires_at == NOON + timedelta(minutes=20)
    assert parse_qs(urlsplit(signer.link("a.mp4", window)).query)["X-Amz-Expires"] == ["1200"]


@pytest.mark.parametrize(
    ("bucket", "region", "url", "begin"),
    [
        ("clips", "eu-central-1", None, "https://clips.s3.eu-central-1.amazonaws.com/k?"),
        ("clips.example.org", "us-east-1", None, "https://s3.us-east-1.amazonaws.com/clips.example.org/k?"),
        ("clips", "cn-north-1", None, "https://clips.s3.cn-north-1.amazonaws.com.cn/k?"),
        ("clips", "eu-central-1", "http://127.0.0.1:4566/", "http://127.0.0.1:4566/clips/k?"),
    ],
)
def test_the_address_leads_where_the_bucket_is(
    monkeypatch: pytest.MonkeyPatch, bucket: str, region: str, url: str | None, begin: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)

    assert s3_links(bucket, endpoint_url=url).link("k", WINDOW).startswith(begin)


def test_without_credentials_it_says_what_to_look_at() -> None:
    with pytest.raises(RuntimeError, match="look at the function's role"):
        s3_links("clips").window(NOON)
