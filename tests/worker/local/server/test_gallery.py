from collections.abc import Callable
from pathlib import Path

import pytest

from statemachine import PermanentError
from tests.media import write_clip
from tests.worker.local.server.premises import Premises
from worker.local.server.gallery import Gallery
from worker.providers.pyav_assembler import PyAvAssembler
from worker.rows import AudioHeader

SAMPLES = Path(__file__).parents[4] / "samples"


@pytest.mark.parametrize(
    ("filename", "title"),
    [
        ("interview.mp3", "interview.mp3"),
        ("../../etc/passwd", "passwd"),
        ("C:\\sounds\\a story.wav", "a story.wav"),
        ("..", "recording"),
        ("/", "recording"),
        (".mp3", "mp3"),
        ("line\r\nfeed\x00.mp3", "linefeed.mp3"),
        ("é" * 300 + ".mp3", "é" * 60 + ".mp3"),
        ("漢" * 300, "漢" * 60),
        ("a." + "b" * 300, "a." + "b" * 58),
        ("\U0001f3a4" * 70 + "." + "\U0001f3a4" * 9, "\U0001f3a4" * 60),
    ],
)
def test_a_title_is_the_last_part_of_a_name(house: Premises, filename: str, title: str) -> None:
    row = house.upload(filename)

    assert row["title"] == title
    assert house.client.get(row["url"]).content == house.recording


def test_a_film_has_a_poster_and_a_film_without_pictures_is_sound(house: Premises, tmp_path: Path) -> None:
    house.worker.assembler = PyAvAssembler()
    film = tmp_path / "film.mp4"
    write_clip(film)

    (seen, heard) = (house.upload("film.mp4", content=film.read_bytes()), house.upload("sound.mp4"))

    assert (seen["kind"], heard["kind"]) == ("video", "audio")
    assert house.client.get(seen["poster_url"]).content[:2] == b"\xff\xd8"
    assert "poster_url" not in heard


def test_a_recording_that_cannot_be_read_is_kept_all_the_same(house: Premises, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on the platform, which knows nothing of recordings: the API refuses it, and says why."""

    def unreadable(*_: object) -> None:
        raise PermanentError("NOT_AUDIO", "no recording")

    monkeypatch.setattr(house.worker, "probe", unreadable)

    assert house.upload()["duration_seconds"] is None


def test_a_new_gallery_is_furnished_once(house: Premises) -> None:
    house.worker.assembler = PyAvAssembler()
    gallery = Gallery(house.worker)

    for _ in range(2):
        gallery.furnish(SAMPLES, owner_id="ada")

    rows = house.list()
    assert [(row["title"], row["kind"]) for row in rows] == [
        ("narration_human_librivox.mp3", "audio"),
        ("narration_synth_flite_rms.mp3", "audio"),
        ("Harbour at dawn.mp4", "video"),
    ]
    assert rows[-1]["created_at"].startswith("2024-")
    assert "ai_project_type" not in rows[-1]


def test_a_gallery_whose_furnishing_was_interrupted_is_furnished_whole(
    house: Premises, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.worker.assembler = PyAvAssembler()
    gallery = Gallery(house.worker)
    original, probes = house.worker.probe, []

    def probe(key: str, before_each_read: Callable[[], None]) -> AudioHeader:
        probes.append(key)
        if len(probes) == 2:
            raise KeyboardInterrupt
        return original(key, before_each_read)

    monkeypatch.setattr(house.worker, "probe", probe)

    with pytest.raises(KeyboardInterrupt):
        gallery.furnish(SAMPLES, owner_id="ada")
    gallery.furnish(SAMPLES, owner_id="ada")

    assert len(house.list()) == 3


def test_without_samples_a_new_gallery_is_empty(house: Premises, tmp_path: Path) -> None:
    Gallery(house.worker).furnish(tmp_path / "there-are-none", owner_id="ada")

    assert house.list() == []
