"""A transcript that lies beside the recording: plain text, WebVTT or SubRip."""

import codecs
import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from worker.providers.sphinx.pronouncing import spell_number

# Read aloud otherwise than written; and after these a full stop ends no sentence.
_ABBREVIATIONS = {
    "mr": "mister",
    "mrs": "missus",
    "ms": "miz",
    "dr": "doctor",
    "prof": "professor",
    "st": "saint",
    "vs": "versus",
    "no": "number",
    "jr": "junior",
    "sr": "senior",
    "etc": "et cetera",
}
# A full stop after these usually does end the sentence.
_ENDING_ABBREVIATIONS = {"no", "etc", "jr", "sr"}
_SYMBOLS = {"&": "and", "%": "percent", "+": "plus", "=": "equals", "@": "at", "$": "dollars", "€": "euros"}

_TIMES = re.compile(
    r"(?:(\d{1,4}):)?(\d{1,2}):(\d{2})[.,](\d{1,3})\s*-->\s*(?:(\d{1,4}):)?(\d{1,2}):(\d{2})[.,](\d{1,3})", re.ASCII
)
# No "<" inside a tag: looking for the end of each of many that never end would take for ever.
_TAG = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’)\]]*$")  # noqa: RUF001 - quotes and full-width marks are meant
_SPOKEN = re.compile(r"[a-z]+(?:'[a-z]+)*'?|\d+|[&%+=@$€]")


@dataclass(frozen=True, slots=True)
class Token:
    """A word as written, with the marks around it, and the words that are said for it (at least one)."""

    text: str
    spoken: tuple[str, ...]
    ends_sentence: bool = False


@dataclass(frozen=True, slots=True)
class Cue:
    """Words that belong together, with their times where the file has some."""

    tokens: tuple[Token, ...]
    start_seconds: float | None = None
    end_seconds: float | None = None


def read_transcript(data: bytes, filename: str) -> list[Cue]:
    """The cues of a transcript in order; plain text is one cue without times.  No words: no cues."""
    text = _text(data).replace("\r\n", "\n").replace("\r", "\n")
    if filename.lower().endswith((".vtt", ".srt")):
        cues = [Cue(_tokens(words), start, end) for start, end, words in _timed_blocks(text)]
    else:
        cues = [Cue(_tokens(text))]
    return [cue for cue in cues if cue.tokens]


def has_times(cues: Sequence[Cue], duration_seconds: float) -> bool:
    """Whether the cues' times can be those of a recording of this length: ascending, and within it."""
    at = 0.0
    for cue in cues:
        if cue.start_seconds is None or cue.end_seconds is None:
            return False
        if not at - 0.001 <= cue.start_seconds < cue.end_seconds <= duration_seconds + 1.0:
            return False
        at = cue.end_seconds
    return True


def spoken_words(text: str) -> tuple[str, ...]:
    """How a written word is said, in lower-case ASCII: 'Mr.' → mister, '1811' → eighteen eleven, 'Café' → cafe."""
    folded = unicodedata.normalize("NFKD", text.replace("’", "'").casefold())  # noqa: RUF001 - the apostrophe of print
    ascii_only = "".join(character for character in folded if not unicodedata.combining(character))
    words: list[str] = []
    for part in _SPOKEN.findall(ascii_only):
        if part.isdigit():
            words += spell_number(part)
        elif part in _SYMBOLS:
            words.append(_SYMBOLS[part])
        elif part in _ABBREVIATIONS and f"{part}." in ascii_only:
            words += _ABBREVIATIONS[part].split()
        else:
            words.append(part.rstrip("'"))
    return tuple(words)


def _text(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # What older editors on Windows write; it reads any bytes but five.
        return data.decode("cp1252", errors="replace")


def _timed_blocks(text: str) -> Iterator[tuple[float, float, str]]:
    """Blocks are parted by empty lines; what stands above the line of times is a number, a name or a header."""
    for block in re.split(r"\n[ \t]*\n", text):
        times = _TIMES.search(block)
        if times is None:
            continue
        _, _, below = block[times.end() :].partition("\n")  # the rest of that line is where to show the cue
        yield _seconds(times.groups()[:4]), _seconds(times.groups()[4:]), html.unescape(_TAG.sub("", below))


def _seconds(parts: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = (part or "0" for part in parts)
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(fraction.ljust(3, "0")) / 1000


def _tokens(text: str) -> tuple[Token, ...]:
    tokens: list[Token] = []
    opening = ""
    for paragraph in re.split(r"\n[ \t]*\n", text):
        for written in paragraph.split():
            if not any(character.isalnum() or character in _SYMBOLS for character in written):
                # A dash or a note sign is not said; it stays beside the word before it.
                if tokens:
                    glued = f"{tokens[-1].text} {written}"
                    tokens[-1] = replace(tokens[-1], text=glued, ends_sentence=_ends_sentence(glued))
                else:
                    opening = f"{opening}{written} "
                continue
            # A word in a script that this recogniser cannot say still takes its time.
            spoken = spoken_words(written) or ("uh",)
            tokens.append(Token(opening + written, spoken, _ends_sentence(written)))
            opening = ""
        if tokens:
            tokens[-1] = replace(tokens[-1], ends_sentence=True)  # a paragraph's end
    return tuple(tokens)


def _ends_sentence(written: str) -> bool:
    if not _SENTENCE_END.search(written):
        return False
    bare = written.rstrip(".").lower()
    is_initial = len(bare) == 1 and bare.isalpha() and bare not in {"i", "a"}
    is_abbreviation = bare in _ABBREVIATIONS and bare not in _ENDING_ABBREVIATIONS
    return not (written.endswith(".") and (is_initial or is_abbreviation))
