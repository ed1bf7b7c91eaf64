import pytest

from worker.job import Word
from worker.providers.storyboard.caption import Captioning, balanced_lines, drawable, font, has_glyph, line_width
from worker.providers.storyboard.planes import Canvas

# ruff: noqa: RUF001 - signs that look alike are what is tested
LATIN = "ąćęłńóśźżșțășßäöüéèêëñçåøæœðþýčďěňřšťůžőűİığİ€£–—“”‘’«»…·"


@pytest.mark.parametrize("character", LATIN)
def test_latin_letters_and_signs_are_drawn_as_themselves(character: str) -> None:
    assert has_glyph(character)
    assert drawable(character) == character


def test_a_missing_glyph_is_noticed() -> None:
    """Without this the test above could not fail."""
    assert not has_glyph("漢")


def test_a_letter_that_the_font_lacks_becomes_its_plain_letter() -> None:
    assert drawable("ﬀ𝐀") == "ffA"


def test_a_script_that_the_font_lacks_is_visibly_replaced() -> None:
    assert drawable("漢字") == "??"


def test_a_letter_in_two_characters_is_drawn_as_one() -> None:
    assert drawable("cafe\u0301") == "café"


def test_control_characters_vanish() -> None:
    assert drawable("a\u200b\x07b") == "ab"


def test_lines_are_balanced() -> None:
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"]
    loaded = font(40)

    lines = balanced_lines(words, widest=800, font=loaded)

    widths = [line_width(line, loaded) for line in lines]
    assert [word for line in lines for word in line] == words
    assert max(widths) <= 800
    assert max(widths) - min(widths) < 160


def test_a_word_wider_than_the_picture_stands_alone() -> None:
    assert balanced_lines(["a", "W" * 60, "b"], widest=300, font=font(40)) == [["a"], ["W" * 60], ["b"]]


def test_no_words_need_no_lines() -> None:
    assert balanced_lines([], widest=300, font=font(40)) == []


def light_of(canvas: Canvas) -> int:
    return sum(level * count for level, count in enumerate(canvas.y.histogram()))


def test_words_light_up_as_they_are_spoken() -> None:
    words = [
        Word(text="first", start_seconds=10.5, end_seconds=11),
        Word(text="second", start_seconds=12, end_seconds=13),
    ]
    caption = Captioning(words, width=1280, height=720, scene_starts=10.0)

    light = []
    for moment in (0.0, 1.0, 2.5):
        canvas = Canvas.blank(1280, 720)
        caption.draw(canvas, moment)
        light.append(light_of(canvas))

    assert light[0] < light[1] < light[2]


def test_no_words_leave_the_picture_alone() -> None:
    canvas = Canvas.blank(1280, 720)

    Captioning([], width=1280, height=720, scene_starts=0).draw(canvas, 1.0)

    assert light_of(canvas) == light_of(Canvas.blank(1280, 720))


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (720, 1280)])
def test_a_long_caption_stays_inside_the_picture(width: int, height: int) -> None:
    words = [Word(text="lengthy", start_seconds=0, end_seconds=1) for _ in range(40)]
    canvas = Canvas.blank(width, height)

    Captioning(words, width=width, height=height, scene_starts=0).draw(canvas, 5.0)

    box = canvas.y.point([0] * 180 + [255] * 76).getbbox()
    assert box is not None
    left, top, right, bottom = box
    assert left > width * 0.04
    assert right < width * 0.96
    assert top > height * 0.4
    assert bottom < height * 0.97
