from random import Random

import pytest

from worker.providers.storyboard.vocabulary import Scene, read_scene

# ruff: noqa: S311 - scenery, not secrets


def scene(narration: str, prompt: str = "cinematic", seed: int = 1) -> Scene:
    return read_scene(prompt, narration, Random(seed))


@pytest.mark.parametrize(
    ("narration", "place"),
    [
        ("The old lighthouse stood alone on the edge of the sea.", "sea"),
        ("Every evening, the keeper climbed the stairs and lit the lamp.", "tower"),
        ("The keeper took a lantern and walked down to the beach.", "beach"),
        ("Slowly, the little boat turned toward the shore.", "sea"),
        ("They followed the keeper back to his warm kitchen.", "room"),
        ("Snow lay on the mountains.", "mountains"),
        ("The city never sleeps.", "city"),
        ("They came to a country house.", "estate"),
    ],
)
def test_the_place_follows_the_words(narration: str, place: str) -> None:
    assert scene(narration).place == place


@pytest.mark.parametrize(
    ("narration", "hour"),
    [
        ("Every evening the keeper came.", "dusk"),
        ("One night a storm came.", "night"),
        ("He told stories until the morning came.", "dawn"),
        ("It was a bright afternoon.", "day"),
    ],
)
def test_the_hour_follows_the_words(narration: str, hour: str) -> None:
    assert scene(narration).hour == hour


@pytest.mark.parametrize(
    ("narration", "weather"),
    [
        ("A great storm came in from the west.", "storm"),
        ("The rain fell so hard.", "rain"),
        ("It was snowing.", "snow"),
        ("A misty shape.", "fog"),
        ("Nothing happened.", "clear"),
    ],
)
def test_the_weather_follows_the_words(narration: str, weather: str) -> None:
    assert scene(narration).weather == weather


@pytest.mark.parametrize(
    ("narration", "thing"),
    [
        ("the old lighthouse", "lighthouse"),
        ("a small fishing boat", "boat"),
        ("a bell ringing", "bell"),
        ("a coat and a lantern", "lantern"),
        ("hot soup", "meal"),
    ],
)
def test_things_are_found(narration: str, thing: str) -> None:
    assert thing in scene(narration).things


def test_only_whole_words_count() -> None:
    """'Selfish' is no fish, 'seaside manners' aside; 'starting' is no star."""
    assert scene("He was starting to be unseasonably selfish.", seed=3).things == frozenset()


def test_what_is_said_outweighs_what_the_prompt_carries_on() -> None:
    assert scene("In the morning they woke.", prompt="storm, night, sea").hour == "dawn"


def test_the_prompt_decides_what_the_words_leave_open() -> None:
    decided = scene("It was lost and far away.", prompt="a boat on the sea, storm, night")

    assert (decided.place, decided.hour, decided.weather) == ("sea", "night", "storm")


def test_manners_make_a_gentleman() -> None:
    decided = scene("And Mister John Dashwood had then leisure to consider.")

    assert decided.is_period
    assert decided.people == "gentleman"


def test_a_married_pair_is_a_couple() -> None:
    assert scene("Had he married a more amiable woman.").people == "couple"


@pytest.mark.parametrize("look", ["noir", "watercolor", "pastel", "vintage", "cinematic"])
def test_the_style_in_the_prompt_is_the_look(look: str) -> None:
    assert scene("Nothing.", prompt=f"hills, {look} style").look == look


def test_unknown_words_give_the_same_scene_for_the_same_seed() -> None:
    assert scene("Quod erat demonstrandum.", seed=7) == scene("Quod erat demonstrandum.", seed=7)


def test_unknown_words_give_different_scenes_for_different_seeds() -> None:
    assert len({(made.place, made.hour) for made in (scene("Quod erat.", seed=seed) for seed in range(12))}) > 3
