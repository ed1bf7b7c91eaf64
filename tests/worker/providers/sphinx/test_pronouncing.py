import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.providers.sphinx.pronouncing import pronounce, spell_number

# Of the CMU dictionary, without stress.
VOWELS = {"AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"}
SIMPLE = {"B", "D", "F", "G", "K", "L", "M", "N", "P", "R", "S", "T", "V", "W", "Y", "Z"}
PHONES = VOWELS | SIMPLE | {"CH", "DH", "HH", "JH", "NG", "SH", "TH", "ZH"}


@pytest.mark.parametrize(
    ("word", "sounds"),
    [
        ("bat", "B AE T"),
        ("shore", "SH AO R"),
        ("lake", "L EY K"),
        ("lakes", "L EY K S"),
        ("bell", "B EH L"),
        ("knight", "N AY T"),
        ("queen", "K W IY N"),
        ("station", "S T AE SH AH N"),
    ],
)
def test_a_guess_is_near_what_is_said(word: str, sounds: str) -> None:
    assert pronounce(word) == sounds


@given(word=st.text(alphabet=string.ascii_lowercase + "'", max_size=30))
def test_every_word_has_sounds_that_the_recogniser_knows(word: str) -> None:
    sounds = pronounce(word).split()

    assert sounds
    assert set(sounds) <= PHONES


@given(digits=st.text(alphabet=string.digits, min_size=1, max_size=15))
def test_every_number_can_be_said(digits: str) -> None:
    words = spell_number(digits)

    assert words
    assert all(word.isalpha() for word in words)


@pytest.mark.parametrize(
    ("digits", "words"),
    [("0", "zero"), ("13", "thirteen"), ("40", "forty"), ("1000000", "one million"), ("101", "one hundred one")],
)
def test_numbers_are_read_as_in_english(digits: str, words: str) -> None:
    assert " ".join(spell_number(digits)) == words
