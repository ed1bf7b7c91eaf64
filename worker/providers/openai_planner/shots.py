"""What the language model may answer, and the prompts that are made of it.  Pure.

The wire models are bare, because the API refuses a schema with defaults or lengths; what comes in them is then read
into strict ones.  Times and narration are in neither: they are the slot's, whatever the model says.
"""

import re
from collections.abc import Sequence
from functools import partial
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from worker.job import BeatSlot, SceneBeat

# A prompt with its look stays below half of what the models read (1,024 tokens; Veo 2: 480), and 75 of them within
# the record.  (Veo guide of the Gemini API, read 2026-11-22; some four characters make a token.)
LONGEST_PROMPT = 600
LONGEST_NEGATIVE_PROMPT = 160
LONGEST_TITLE = 60
LONGEST_STYLE = 300
LONGEST_CHARACTERS = 700

# Shorter prompts are rewritten by the vendor, each time in another way.  (Vertex AI, prompt rewriter, read 2026-11-22)
FEWEST_WORDS = 30

# Stands in every prompt.  It says what is wanted, because a video model draws what it is told not to; and it names no
# person and no thing, because that would then be seen in every scene.
LAST_WORDS = "The same palette in every scene; a silent moment; all surfaces plain and blank."

NEGATIVE_PROMPT = "text, captions, subtitles, watermark, logo, speech, distorted faces, extra limbs, flicker"

_QUOTES = re.compile(r"[\"“”„«»‘`]|(?<!\w)['’]|['’](?!\w)")  # noqa: RUF001 - all of them are quotation marks
# Control characters, and those that turn the direction of writing or take no room.
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_NEGATION = re.compile(r"\b(?:no|not|don['’]?t|do not|without|never|avoid|nothing|none)\b", re.IGNORECASE)  # noqa: RUF001 - the apostrophe of print
_ORDER = re.compile(r"^(?:(?:no|not|don['’]?t|do|without|never|avoid|any|show|include|use|add)\s+)+", re.IGNORECASE)  # noqa: RUF001 - as above

# Names and loan words have other letters, too; a sentence in another alphabet has little else.
_ENGLISH_SHARE = 0.8


class ShotWire(BaseModel):
    """One shot as the model writes it."""

    index: int
    composition: str
    subject: str
    action: str
    setting: str
    camera: str
    ambiance: str


class FollowingWire(BaseModel):
    """The shots of a window."""

    shots: list[ShotWire]


class OpeningWire(BaseModel):
    """The film's look and the shots of its first window."""

    title: str
    style: str
    characters: str | None
    negative_prompt: str
    shots: list[ShotWire]


class SoftenedWire(BaseModel):
    """A prompt in other words."""

    prompt: str


def clean(text: str) -> str:
    """One line without quotation marks, which a video model would write on the screen, and without a full stop."""
    return " ".join(_QUOTES.sub("", _INVISIBLE.sub(" ", text)).split()).strip(" .,;:")


def cut(text: str, longest: int) -> str:
    """The text, or so much of it as fits: up to a comma in its second half, else up to a word."""
    if len(text) <= longest:
        return text
    kept = text[: longest + 1].rpartition(" ")[0] or text[:longest]
    clause = re.split(r"[,;.](?=[^,;.]*$)", kept)[0]
    return (clause if len(clause) > longest // 2 else kept).rstrip(" .,;:")


def _phrase(text: str, *, longest: int) -> str:
    """Cleaned and cut.

    Raises:
        ValueError: nothing is left, or it is not English.  Without the text: the message goes to the log.
    """
    phrase = clean(text)
    if not any(letter.isalnum() for letter in phrase):
        raise ValueError("must not be empty")
    letters = [letter for letter in phrase if letter.isalpha()]
    if sum(letter.isascii() for letter in letters) < _ENGLISH_SHARE * len(letters):
        raise ValueError("must be in English")
    return cut(phrase, longest)


def _prompt(text: str) -> str:
    return _capital(_phrase(text, longest=LONGEST_PROMPT - 1)) + "."


# With the marks between them they make LONGEST_PROMPT at most; a test adds them up.
_Composition = Annotated[str, AfterValidator(partial(_phrase, longest=55))]
_Subject = Annotated[str, AfterValidator(partial(_phrase, longest=140))]
_Action = Annotated[str, AfterValidator(partial(_phrase, longest=140))]
_Setting = Annotated[str, AfterValidator(partial(_phrase, longest=125))]
_Camera = Annotated[str, AfterValidator(partial(_phrase, longest=50))]
_Ambiance = Annotated[str, AfterValidator(partial(_phrase, longest=75))]


class Strict(BaseModel):
    """Read from a wire model, and only if it is right."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Shot(Strict):
    """What is seen in one scene."""

    index: int
    composition: _Composition
    subject: _Subject
    action: _Action
    setting: _Setting
    camera: _Camera
    ambiance: _Ambiance

    @property
    def visual_prompt(self) -> str:
        """The elements in the order in which Google's guide names them."""
        elements = (self.composition, self.subject, self.action, self.setting, self.camera, self.ambiance)
        return _capital(", ".join(elements)) + "."


class Look(Strict):
    """What all scenes have in common; it stands, word for word, in every prompt."""

    title: Annotated[str, AfterValidator(partial(_phrase, longest=LONGEST_TITLE))]
    style: Annotated[str, AfterValidator(partial(_phrase, longest=LONGEST_STYLE))]
    characters: Annotated[str, AfterValidator(partial(_phrase, longest=LONGEST_CHARACTERS))] | None
    avoid: tuple[str, ...]

    @property
    def style_bible(self) -> str:
        """One description of the style and one of the people."""
        people = f" Whoever appears always looks like this: {self.characters}." if self.characters else ""
        return f"{_capital(self.style)}.{people} {LAST_WORDS}"

    @property
    def negative_prompt(self) -> str:
        """Plain nouns: a video model takes a 'no' for one more word of what to show."""
        terms = [NEGATIVE_PROMPT]
        for term in self.avoid:
            if len(", ".join((*terms, term))) <= LONGEST_NEGATIVE_PROMPT:
                terms.append(term)
        return ", ".join(terms)


class UnusableAnswerError(ValueError):
    """An answer in the right form that is wrong all the same.  The message holds nothing of what was said."""


def read_opening(wire: OpeningWire, slots: Sequence[BeatSlot]) -> tuple[Look, list[Shot]]:
    """The look and the shots of the first window.

    Raises:
        ValidationError, UnusableAnswerError: say what to mend.
    """
    characters = wire.characters if wire.characters and clean(wire.characters) else None
    look = Look(title=wire.title, style=wire.style, characters=characters, avoid=_nouns(wire.negative_prompt))
    return look, read_shots(wire, slots, look)


def read_shots(wire: OpeningWire | FollowingWire, slots: Sequence[BeatSlot], look: Look) -> list[Shot]:
    """One shot for each slot, in order.

    Raises:
        ValidationError, UnusableAnswerError: say what to mend.
    """
    asked, answered = [slot.scene_index for slot in slots], [shot.index for shot in wire.shots]
    if answered != asked:
        raise UnusableAnswerError(
            f"there must be exactly {len(asked)} shots with the indexes {asked}, and there are {len(answered)} with "
            f"{answered[: 2 * len(asked)]}"
        )
    shots = [Shot.model_validate(shot.model_dump()) for shot in wire.shots]
    for shot in shots:
        count = len(f"{shot.visual_prompt} {look.style_bible}".split())
        if count < FEWEST_WORDS:
            raise UnusableAnswerError(f"shot {shot.index} has {count} words with its look and needs {FEWEST_WORDS}")
    return shots


def read_softened(wire: SoftenedWire, refused: str) -> str:
    """The prompt in other words.

    Raises:
        UnusableAnswerError: it is empty, not English, or still the same.
    """
    try:
        prompt = _prompt(wire.prompt)
    except ValueError as error:
        raise UnusableAnswerError(f"the prompt {error}") from error
    if clean(prompt).casefold() == clean(refused).casefold():
        raise UnusableAnswerError("the prompt must differ from the one that was refused")
    return prompt


def beat(slot: BeatSlot, shot: Shot, look: Look) -> SceneBeat:
    """The scene: the slot's times and words, and what is seen."""
    return SceneBeat(
        scene_index=slot.scene_index,
        start_seconds=slot.start_seconds,
        end_seconds=slot.end_seconds,
        narration=slot.narration,
        visual_prompt=shot.visual_prompt,
        negative_prompt=look.negative_prompt,
    )


def _nouns(avoid: str) -> tuple[str, ...]:
    """What is to be avoided, term by term, without the words that forbid; what cannot be said so is left out."""
    terms = (_ORDER.sub("", clean(part)).strip() for part in re.split(r"[,;\n]", avoid))
    known = set(NEGATIVE_PROMPT.split(", "))
    kept: list[str] = []
    for term in terms:
        if term and term.isascii() and not _NEGATION.search(term) and term.lower() not in known:
            known.add(term.lower())
            kept.append(term)
    return tuple(kept)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
