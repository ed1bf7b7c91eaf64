"""How an English word that stands in no dictionary is probably said, and how numbers are."""

import re

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((1_000_000_000, "billion"), (1_000_000, "million"), (1_000, "thousand"), (100, "hundred"))

# Letters to sounds (ARPABET, as in the CMU dictionary), the longest match first.
_SOUNDS = {
    "tion": "SH AH N",
    "sion": "ZH AH N",
    "ough": "AO",
    "augh": "AO",
    "eigh": "EY",
    "tch": "CH",
    "igh": "AY",
    "sch": "SH",
    "dge": "JH",
    "air": "EH R",
    "ear": "IH R",
    "eer": "IH R",
    "our": "AW R",
    "oor": "AO R",
    "th": "TH",
    "sh": "SH",
    "ch": "CH",
    "ph": "F",
    "wh": "W",
    "gh": "G",
    "ck": "K",
    "ng": "NG",
    "qu": "K W",
    "kn": "N",
    "wr": "R",
    "ee": "IY",
    "ea": "IY",
    "ie": "IY",
    "ei": "EY",
    "ai": "EY",
    "ay": "EY",
    "ey": "IY",
    "oa": "OW",
    "oe": "OW",
    "oo": "UW",
    "ou": "AW",
    "ow": "OW",
    "oi": "OY",
    "oy": "OY",
    "au": "AO",
    "aw": "AO",
    "ue": "UW",
    "ew": "UW",
    "ar": "AA R",
    "er": "ER",
    "ir": "ER",
    "or": "AO R",
    "ur": "ER",
    "ce": "S IH",
    "ci": "S IH",
    "cy": "S IY",
    "ge": "JH IH",
    "gi": "JH IH",
    "a": "AE",
    "b": "B",
    "c": "K",
    "d": "D",
    "e": "EH",
    "f": "F",
    "g": "G",
    "h": "HH",
    "i": "IH",
    "j": "JH",
    "k": "K",
    "l": "L",
    "m": "M",
    "n": "N",
    "o": "AA",
    "p": "P",
    "q": "K",
    "r": "R",
    "s": "S",
    "t": "T",
    "u": "AH",
    "v": "V",
    "w": "W",
    "x": "K S",
    "y": "IY",
    "z": "Z",
}
_LONG = {"a": "EY", "e": "IY", "i": "AY", "o": "OW", "u": "UW"}
_LONG_BEFORE_R = {"a": "EH", "e": "IH", "i": "AY", "o": "AO", "u": "UH"}
_LONGEST_SPELLING = max(map(len, _SOUNDS))
_MAGIC_E = re.compile(r"([aeiou])([bdfgklmnprstvz])e(s?)$")
_DOUBLED = re.compile(r"([bcdfghjklmnpqrstvwxz])\1")


def pronounce(word: str) -> str:
    """A guess at how `word` (a-z and apostrophes) sounds, in ARPABET: good enough to find its place in a recording."""
    letters = _DOUBLED.sub(r"\1", re.sub(r"[^a-z]", "", word))
    sounds: list[str] = []
    tail = ""
    if (magic := _MAGIC_E.search(letters)) and magic.start() > 0:
        # late: the last e is silent, and the vowel before it says its own name (nearly, before an r: shore).
        letters = letters[: magic.start()]
        vowels = _LONG_BEFORE_R if magic[2] == "r" else _LONG
        tail = " ".join([vowels[magic[1]], _SOUNDS[magic[2]], *(["S"] if magic[3] else [])])
    at = 0
    while at < len(letters):
        spelling = next(
            letters[at : at + length]
            for length in range(_LONGEST_SPELLING, 0, -1)
            if letters[at : at + length] in _SOUNDS and at + length <= len(letters)
        )
        sounds.append(_SOUNDS[spelling])
        at += len(spelling)
    return " ".join([*sounds, *([tail] if tail else [])]) or "AH"


def spell_number(digits: str) -> list[str]:
    """`digits` (0-9 only) as they are read aloud: '1811' as a year, '0044' and very long ones digit by digit."""
    if (len(digits) > 1 and digits[0] == "0") or len(digits) > 12:  # noqa: PLR2004 - beyond billions
        return [_ONES[int(digit)] for digit in digits]
    number = int(digits)
    if 1100 <= number <= 1999 and number % 100:  # noqa: PLR2004 - the years that are read in pairs
        rest = number % 100
        return [*_cardinal(number // 100), *(["oh"] if rest < 10 else []), *_cardinal(rest)]  # noqa: PLR2004 - 'nineteen oh five'
    return _cardinal(number)


def _cardinal(number: int) -> list[str]:
    if number < len(_ONES):
        return [_ONES[number]]
    if number < 100:  # noqa: PLR2004 - below a hundred: tens and ones
        tens, ones = divmod(number, 10)
        return [_TENS[tens - 2], *([_ONES[ones]] if ones else [])]
    size, name = next((size, name) for size, name in _SCALES if number >= size)
    many, rest = divmod(number, size)
    return [*_cardinal(many), name, *(_cardinal(rest) if rest else [])]
