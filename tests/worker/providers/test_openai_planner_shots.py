import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib._parsing._responses import type_to_text_format_param
from pydantic import BaseModel, ValidationError

from tests.simulators.openai import format_fault
from worker.job import BeatSlot
from worker.providers.openai_planner.shots import (
    FEWEST_WORDS,
    LAST_WORDS,
    LONGEST_NEGATIVE_PROMPT,
    LONGEST_PROMPT,
    LONGEST_TITLE,
    NEGATIVE_PROMPT,
    FollowingWire,
    Look,
    OpeningWire,
    Shot,
    ShotWire,
    SoftenedWire,
    UnusableAnswerError,
    beat,
    clean,
    cut,
    read_opening,
    read_shots,
    read_softened,
)

SLOTS = [BeatSlot(0, 0.0, 4.5, "The keeper climbed the stairs"), BeatSlot(1, 4.5, 9.0, "and lit the lamp.")]


def shot_wire(index: int = 0, **changes: str | None) -> ShotWire:
    return ShotWire.model_validate(
        {
            "index": index,
            "composition": "wide low-angle shot",
            "subject": "a grey-haired lighthouse keeper in a blue coat",
            "action": "climbing a winding stair",
            "setting": "inside a round stone tower",
            "camera": "slow tilt upwards",
            "ambiance": "warm lamplight, deep shadows",
            **changes,
        }
    )


def opening(*shots: ShotWire, **changes: str | None) -> OpeningWire:
    return OpeningWire.model_validate(
        {
            "title": "The Keeper",
            "style": "Grainy 35 mm film, muted blues",
            "characters": "The keeper: sixty, grey beard, blue coat",
            "negative_prompt": "modern cars",
            "shots": list(shots) or [shot_wire(0), shot_wire(1)],
            **changes,
        }
    )


def look(**changes: str | None) -> Look:
    return read_opening(opening(**changes), SLOTS)[0]


@pytest.mark.parametrize("form", [OpeningWire, FollowingWire, SoftenedWire])
def test_the_api_takes_the_schema_of_every_answer(form: type[BaseModel]) -> None:
    """It refuses defaults and lengths, which pydantic writes gladly."""
    assert format_fault(json.loads(json.dumps(type_to_text_format_param(form)))) is None


def test_a_prompt_has_googles_order() -> None:
    shot = Shot.model_validate(shot_wire().model_dump())

    assert shot.visual_prompt == (
        "Wide low-angle shot, a grey-haired lighthouse keeper in a blue coat, climbing a winding stair, "
        "inside a round stone tower, slow tilt upwards, warm lamplight, deep shadows."
    )


def test_times_and_narration_are_the_slots() -> None:
    film, shots = read_opening(opening(), SLOTS)

    scene = beat(SLOTS[1], shots[1], film)

    assert (scene.scene_index, scene.start_seconds, scene.end_seconds, scene.narration) == (
        1,
        4.5,
        9.0,
        "and lit the lamp.",
    )


def test_the_look_holds_style_and_people_and_asks_for_silence() -> None:
    assert look().style_bible == (
        "Grainy 35 mm film, muted blues. Whoever appears always looks like this: The keeper: sixty, grey beard, "
        f"blue coat. {LAST_WORDS}"
    )


@pytest.mark.parametrize("nobody", [None, "", " . "])
def test_a_film_without_people_says_nothing_of_them(nobody: str | None) -> None:
    assert look(characters=nobody).style_bible == f"Grainy 35 mm film, muted blues. {LAST_WORDS}"


def test_what_every_prompt_repeats_forbids_nothing() -> None:
    """A video model shows what it is told not to show."""
    assert not {"no", "not", "don't", "never", "without", "nothing"} & set(re.findall(r"[a-z']+", LAST_WORDS.lower()))


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("no text, modern cars", ["modern cars"]),
        ("Don't show people; without any neon light", ["people", "neon light"]),
        ("logo, LOGO, dusk\ndusk", ["dusk"]),
        ("cars that do not move", []),
        ("рекламные щиты", []),
        ("", []),
    ],
)
def test_what_is_to_be_avoided_becomes_plain_nouns(written: str, kept: list[str]) -> None:
    assert look(negative_prompt=written).negative_prompt == ", ".join([NEGATIVE_PROMPT, *kept])


def test_a_long_list_of_what_is_to_be_avoided_is_kept_as_far_as_it_fits() -> None:
    long = look(negative_prompt=", ".join(f"thing number {n}" for n in range(50))).negative_prompt

    assert LONGEST_NEGATIVE_PROMPT - 20 < len(long) <= LONGEST_NEGATIVE_PROMPT
    assert long.endswith("thing number 3")


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [
        ('a sign that reads "Fresh Fish".', "a sign that reads Fresh Fish"),
        ("the keeper's coat, ‘old’ and «blue»", "the keeper's coat, old and blue"),  # noqa: RUF001 - as print has them
        ("two\nlines\tand \x1b[31mcolour\u202e", "two lines and [31mcolour"),
    ],
)
def test_a_text_becomes_one_line_without_quotation_marks(written: str, cleaned: str) -> None:
    assert clean(written) == cleaned


def test_a_text_is_cut_at_a_comma_or_a_word() -> None:
    assert cut("a tall man in a coat, walking along the shore", 38) == "a tall man in a coat"
    assert cut("a, tall man in a coat walking along the shore", 38) == "a, tall man in a coat walking along"
    assert cut("x" * 50, 38) == "x" * 38


@given(st.integers(1, 900))
def test_no_prompt_grows_too_long_for_the_record(length: int) -> None:
    words = ("wide open sea " * 100)[:length] + "x"
    wire = shot_wire(composition=words, subject=words, action=words, setting=words, camera=words, ambiance=words)

    shot = Shot.model_validate(wire.model_dump())

    assert len(shot.visual_prompt) <= LONGEST_PROMPT


def test_the_longest_prompt_with_its_look_is_half_of_what_the_models_read() -> None:
    """1,024 tokens of some four characters; Veo 2 reads 480."""
    words = "wide open sea " * 100
    film, shots = read_opening(
        opening(
            *(
                shot_wire(n, composition=words, subject=words, action=words, setting=words, camera=words)
                for n in (0, 1)
            ),
            title=words,
            style=words,
            characters=words,
        ),
        SLOTS,
    )

    assert len(film.title) <= LONGEST_TITLE
    assert len(f"{shots[0].visual_prompt} {film.style_bible}") <= 480 * 4


@pytest.mark.parametrize("indexes", [[], [0], [0, 1, 2], [1, 0], [0, 0], [0, 2], [10, 11]])
def test_other_scenes_than_those_asked_for_are_refused(indexes: list[int]) -> None:
    with pytest.raises(UnusableAnswerError, match=r"exactly 2 shots with the indexes \[0, 1\]"):
        read_shots(FollowingWire(shots=[shot_wire(index) for index in indexes]), SLOTS, look())


@pytest.mark.parametrize("element", ["composition", "subject", "action", "setting", "camera", "ambiance"])
@pytest.mark.parametrize(
    ("written", "fault"), [("", "must not be empty"), (' "." ', "must not be empty"), ("старый маяк", "in English")]
)
def test_an_element_that_shows_nothing_is_named(element: str, written: str, fault: str) -> None:
    wire = FollowingWire(shots=[shot_wire(0), shot_wire(1, **{element: written})])

    with pytest.raises(ValidationError, match=fault) as caught:
        read_shots(wire, SLOTS, look())

    assert caught.value.errors()[0]["loc"] == (element,)


@pytest.mark.parametrize("element", ["title", "style"])
def test_a_film_without_title_or_style_is_refused(element: str) -> None:
    with pytest.raises(ValidationError, match="must not be empty"):
        read_opening(opening(**{element: "…"}), SLOTS)


def test_names_in_other_letters_are_no_other_language() -> None:
    assert "Café Zoë" in look(style="Watercolour of the Café Zoë in Łódź, soft edges").style_bible


def test_a_prompt_that_the_vendor_would_rewrite_is_refused() -> None:
    short = {"composition": "wide", "subject": "sea", "action": "waves", "setting": "coast", "camera": "still"}
    wire = FollowingWire(shots=[shot_wire(0, **short, ambiance="dusk"), shot_wire(1)])

    with pytest.raises(UnusableAnswerError, match=f"shot 0 has 21 words with its look and needs {FEWEST_WORDS}"):
        read_shots(wire, SLOTS, look(style="film", characters=None))


def test_a_softened_prompt_is_a_clean_sentence() -> None:
    assert read_softened(SoftenedWire(prompt='an "empty" pier at dusk'), "A fight.") == "An empty pier at dusk."


@pytest.mark.parametrize(
    ("softened", "fault"),
    [("", "the prompt must not be empty"), ("a Fight", "must differ"), ("Пустой причал", "must be in English")],
)
def test_a_prompt_that_is_not_softened_is_refused(softened: str, fault: str) -> None:
    with pytest.raises(UnusableAnswerError, match=fault):
        read_softened(SoftenedWire(prompt=softened), "A fight.")
