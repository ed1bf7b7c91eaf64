from urllib.parse import parse_qs, urlsplit

import pytest

from tests.worker.local.server.premises import SECRET, Premises, minutes
from worker.providers.signed_links import SignedLinks


def link(house: Premises, key: str, content: bytes | None = b"0123456789", *, download_as: str | None = None) -> str:
    """A good address of an object."""
    if content is not None:
        house.worker.media.write(content, key)
    links = SignedLinks(origin="http://localhost:8080", secret=SECRET)
    return links.link(key, links.window(house.clock.now()), download_as=download_as)


def test_a_range_is_a_part_of_the_object(house: Premises) -> None:
    """A browser that plays a video seeks by them."""
    answer = house.client.get(link(house, "a/video.mp4"), headers={"Range": "bytes=2-4"})

    assert (answer.status_code, answer.content) == (206, b"234")
    assert answer.headers["content-range"] == "bytes 2-4/10"


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [("bytes=7-", 206, b"789"), ("bytes=-2", 206, b"89"), ("bytes=0-99", 206, b"0123456789"), ("bytes=10-", 416, b"")],
)
def test_a_range_may_leave_out_its_start_or_its_end(house: Premises, asked: str, status: int, content: bytes) -> None:
    answer = house.client.get(link(house, "a/video.mp4"), headers={"Range": asked})

    assert (answer.status_code, answer.content) == (status, content)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("video.mp4", "video/mp4"),
        ("captions.vtt", "text/vtt; charset=utf-8"),
        ("poster.jpg", "image/jpeg"),
        ("transcript.json", "application/json"),
        ("STORY.MP3", "audio/mpeg"),
        ("page.html", "application/octet-stream"),
        ("picture.svg", "application/octet-stream"),
        ("story", "application/octet-stream"),
    ],
)
def test_only_media_is_served_under_a_type_that_a_browser_shows(house: Premises, name: str, kind: str) -> None:
    """An upload may be called anything, and a page among them would be one of this server."""
    answer = house.client.get(link(house, f"uploads/1/{name}"))

    assert answer.headers["content-type"] == kind
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"


def test_a_download_has_the_name_it_was_signed_with(house: Premises) -> None:
    answer = house.client.get(link(house, "a/video.mp4", download_as="Die Stürme.mp4"))

    assert answer.headers["content-disposition"] == "attachment; filename*=utf-8''Die%20St%C3%BCrme.mp4"


def test_an_address_is_refused_when_its_time_is_over(house: Premises) -> None:
    made = link(house, "a/video.mp4")

    house.clock.sleep(minutes(60))

    assert house.client.get(made).status_code == 403


@pytest.mark.parametrize(
    "changed", [{"signature": "x"}, {"expires": "9999999999"}, {"download_as": "x.html"}, {"expires": "soon"}, {}]
)
def test_a_forged_address_is_refused(house: Premises, changed: dict[str, str]) -> None:
    made = urlsplit(link(house, "a/video.mp4"))
    good = {name: values[0] for name, values in parse_qs(made.query).items()} if changed else {}

    answer = house.client.get(made.path, params={**good, **changed})

    assert answer.status_code == 403


@pytest.mark.parametrize(
    "path", ["/media/../session.key", "/media/..%2f..%2fetc%2fpasswd", "/media//etc/passwd", "/media/%00", "/media/"]
)
def test_no_path_leads_out_of_the_media_folder(house: Premises, path: str) -> None:
    assert house.client.get(path).status_code in {403, 404}


def test_an_object_that_was_removed_is_not_found(house: Premises) -> None:
    assert house.client.get(link(house, "a/gone.mp4", None)).status_code == 404


@pytest.mark.parametrize("key", ["../session.key", "a//b", "x" * 300])
def test_a_signed_address_of_no_object_is_not_found(house: Premises, key: str) -> None:
    """Nobody signs such keys; whoever had the secret could, and would get nothing for it."""
    answer = house.client.get(link(house, key, None).replace("../", "..%2F"))

    assert answer.status_code == 404
