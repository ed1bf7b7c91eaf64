from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.worker.fakes import NOON
from worker.providers.signed_links import Seal, SignedLinks

SECRET = b"secret"
KEY = "uploads/1/a story, part 2.mp3"


def parts_of(link: str) -> dict[str, str | None]:
    """What the server makes of an address."""
    address = urlsplit(link)
    query = {name: values[0] for name, values in parse_qs(address.query).items()}
    key = unquote(address.path).removeprefix("/media/")
    return {"key": key, "download_as": None, **query}


def is_good(link: str, changed: Mapping[str, str | None] | None = None, *, after: timedelta = timedelta(0)) -> bool:
    asked = {**parts_of(link), **(changed or {})}
    return Seal(SECRET).is_good(
        str(asked["signature"]), str(asked["key"]), str(asked["expires"]), asked["download_as"], now=NOON + after
    )


def link(key: str = KEY, *, download_as: str | None = None) -> str:
    links = SignedLinks(origin="http://localhost:8080", secret=SECRET)
    return links.link(key, links.window(NOON), download_as=download_as)


def test_an_address_names_the_server_and_the_key() -> None:
    assert link().startswith("http://localhost:8080/media/uploads/1/a%20story%2C%20part%202.mp3?expires=")
    assert parts_of(link())["key"] == KEY


@pytest.mark.parametrize("name", [None, "A story.mp4", "Stürme & Wogen.mp4"])
def test_an_address_is_good_until_it_expires(name: str | None) -> None:
    made = link(download_as=name)

    assert is_good(made)
    assert is_good(made, after=timedelta(minutes=45))
    assert not is_good(made, after=timedelta(minutes=60))


def test_asking_twice_in_a_window_gives_the_same_address() -> None:
    links = SignedLinks(origin="", secret=SECRET)

    assert links.link(KEY, links.window(NOON)) == links.link(KEY, links.window(NOON + timedelta(minutes=14)))


@pytest.mark.parametrize(
    "changed",
    [
        {"key": "uploads/2/another.mp3"},
        {"expires": "9999999999"},
        {"signature": ""},
        {"signature": "é"},
        {"signature": "\udc80"},
        {"download_as": "another.mp4"},
        {"download_as": None},
        {"key": "uploads/\udc80"},
    ],
)
def test_whatever_is_changed_makes_it_bad(changed: dict[str, str | None]) -> None:
    assert not is_good(link(download_as="story.mp4"), changed)


def test_parts_cannot_be_moved_from_one_to_the_other() -> None:
    """Joined without care, `a` + `1&x` and `a&1` + `x` would be signed alike."""
    seal = Seal(SECRET)

    assert seal.of("a", "1&x", None) != seal.of("a&1", "x", None) != seal.of("a", "1", "x")


def test_another_secret_makes_other_signatures() -> None:
    assert Seal(SECRET).of(KEY, "1", None) != Seal(b"other").of(KEY, "1", None)
