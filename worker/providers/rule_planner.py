"""A planner that works by rules: it finds in the words what can be shown, and carries place and hour on.

It understands English nouns and verbs of stories.  What it does not know becomes quiet scenery, chosen by the words
themselves, so the same transcript always gives the same plan.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from worker.job import BeatSlot, Options, SceneBeat, Transcript
from worker.ports import ScenePlan

TITLE_LENGTH = 60
STYLE_LENGTH = 200

NEGATIVE_PROMPT = "text, letters, captions, subtitles, watermark, logo, frame, distorted faces, extra limbs, flicker"

STYLES = {
    "cinematic": "cinematic film look, fine grain, shallow depth of field, natural colours",
    "noir": "film noir look, black and white, hard contrast, deep blacks",
    "film noir": "film noir look, black and white, hard contrast, deep blacks",
    "watercolor": "watercolor illustration, soft washes, visible paper, muted colours",
    "watercolour": "watercolor illustration, soft washes, visible paper, muted colours",
    "animation": "hand-drawn animation look, clean shapes, vivid flat colours",
    "cartoon": "cartoon look, clean outlines, vivid flat colours",
    "vintage": "vintage film look, sepia tones, gentle scratches, faded edges",
    "pastel": "pastel illustration, gentle gradients, dreamy light tones",
    "documentary": "documentary film look, honest natural tones, steady observation",
}


@dataclass(frozen=True, slots=True)
class Term:
    """Something that can be shown, and the words that call for it.

    Words match as a whole, after their endings are taken off ('waves', 'waved'); one that begins with '=' matches
    only as it stands.
    """

    phrase: str
    words: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a scene plays, what happens there when the words name no action, and who is likely to be there."""

    term: Term
    rest: str
    is_indoor: bool = False
    person: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, and the pronouns that may mean them later."""

    term: Term
    pronouns: frozenset[str]


# The first that matches is taken, so what is particular stands before what is general.
PLACES = (
    Place(
        Term("a warm kitchen with a glowing fire", "kitchen stove soup bread hearth supper dinner"),
        "steam rising from a pot beside the fire",
        is_indoor=True,
    ),
    Place(
        Term("a lonely lighthouse on the rocks at the edge of the sea", "lighthouse beacon"),
        "the beam of the lighthouse turning, waves breaking on the rocks",
    ),
    Place(
        Term("the lamp room at the top of the lighthouse stairs, the sea far below", "lamp"),
        "the great lamp turning slowly",
    ),
    Place(
        Term(
            "the drawing room of an English country house, tall window, candle on the table",
            "=mister =mr =mrs gentleman lady =sir =madam parlour manor amiable respectable disposed prudent "
            "marry marriage fortune leisure mistress acquaintance",
        ),
        "candle flames moving softly, curtains stirring at the window",
        is_indoor=True,
        person="a gentleman in a dark tailcoat",
    ),
    Place(Term("a sandy beach at the shore of the sea", "beach shore sand coast dune"), "waves running up the sand"),
    Place(
        Term("the open sea, high waves and rocks", "sea ocean =waves =boat =ship sail island harbour harbor anchor"),
        "waves rising and falling",
    ),
    Place(Term("a deep forest of tall trees", "forest wood tree jungle"), "light moving between the trees"),
    Place(
        Term("snowy mountains above a valley", "mountain peak summit cliff glacier"), "clouds drifting past the peak"
    ),
    Place(Term("a river with an old bridge", "river stream bridge waterfall"), "water flowing slowly"),
    Place(Term("a still lake among hills", "lake pond"), "ripples spreading on the water"),
    Place(Term("a garden full of flowers", "garden flower rose orchard"), "flowers swaying"),
    Place(Term("wide fields and a farm", "field farm meadow harvest wheat village"), "grass bending in waves"),
    Place(Term("a wide desert of dunes", "desert oasis camel"), "sand drifting over the dunes"),
    Place(
        Term("the nave of an old church", "church chapel cathedral"), "dust floating in beams of light", is_indoor=True
    ),
    Place(Term("an old castle on a hill", "castle king queen palace knight"), "banners moving on the tower"),
    Place(Term("a busy street of a city", "city street town traffic market shop building"), "people passing by"),
    Place(Term("a railway through the country", "train railway station"), "smoke rising from a passing train"),
    Place(Term("a long road through hills", "road journey travel car drive"), "dust rising behind a distant car"),
    Place(
        Term("a library with tall shelves of books", "library book novel"),
        "pages of an open book turning",
        is_indoor=True,
    ),
    Place(
        Term("a study with a desk by the window", "office desk computer school class letter write study"),
        "papers stirring on the desk",
        is_indoor=True,
    ),
    Place(Term("a hall with rows of people", "audience concert stage theatre nation people"), "people listening"),
    Place(Term("a small house with a lit window", "house home cottage door"), "smoke rising from the chimney"),
    Place(
        Term("a quiet room with a bed and a window", "room bed sleep hospital"),
        "curtains stirring at the window",
        is_indoor=True,
    ),
    Place(Term("a field of stars above dark hills", "star planet space universe galaxy sky"), "stars turning slowly"),
)

_HE = frozenset({"he", "him", "his", "himself"})
_SHE = frozenset({"she", "her", "hers", "herself"})
_THEY = frozenset({"they", "them", "their", "themselves"})

_SOME_MAN = Person(Term("a man walking alone", "=man father brother son king traveller traveler stranger"), _HE)

PEOPLE = (
    Person(Term("three men in wet coats", "=three"), _THEY),
    Person(Term("the lighthouse keeper, an old man in a long coat", "keeper"), _HE),
    Person(Term("a fisherman in a wet coat", "fisherman sailor captain"), _HE),
    Person(Term("a grandmother with white hair", "grandmother granny"), _SHE),
    Person(Term("a young couple", "couple wedding husband wife"), _THEY),
    Person(Term("a gentleman in a dark tailcoat", "gentleman =mister =mr =sir lord"), _HE),
    Person(Term("a woman in a long dress", "woman =women lady girl mother sister daughter queen =mrs =madam"), _SHE),
    Person(Term("children at play", "child =children boy kid"), _THEY),
    Person(Term("a crowd of people", "crowd people audience nation citizen team"), _THEY),
    Person(Term("men working together", "=men soldier worker"), _THEY),
    _SOME_MAN,
)

THINGS = (
    Term("a small fishing boat", "boat"),
    Term("a tall ship", "ship"),
    Term("a lantern", "lantern torch =light"),
    Term("the great lamp", "lamp"),
    Term("a ringing bell", "bell"),
    Term("a lighthouse", "lighthouse"),
    Term("hot soup and bread", "soup bread"),
    Term("a candle", "candle"),
    Term("an open book", "book story =stories tale"),
    Term("a letter", "letter"),
    Term("a fire", "fire flame"),
    Term("a bird in flight", "bird gull eagle"),
    Term("a horse", "horse"),
    Term("a dog", "dog"),
    Term("a cat", "cat"),
    Term("a car", "car"),
    Term("a train", "train"),
    Term("an old tree", "tree oak"),
    Term("the moon", "moon"),
)

ACTIONS = (
    Term("climbing the stairs and lighting the lamp", "=lamp"),
    Term("climbing", "climb"),
    Term("rain falling hard on the water and the rocks", "=rain"),
    Term("listening for a bell in the dark", "=bell =heard"),
    Term("stepping out onto the sand", "step"),
    Term("waving a light above the head", "=waved =waving shout"),
    Term("turning toward the shore", "=turned =turns"),
    Term("walking with a steady step", "walk follow =went wander"),
    Term("telling stories by the fire", "=told =tell =stories story"),
    Term("sharing a meal", "eat =ate =gave meal soup bread dinner supper"),
    Term("reading", "read book"),
    Term("writing", "write =wrote letter"),
    Term("running", "run =ran"),
    Term("riding", "ride =rode"),
    Term("dancing", "dance"),
    Term("singing", "sing =sang song"),
    Term("working", "work build =built"),
    Term("thinking beside the window", "consider think =thought remember leisure"),
    Term("walking arm in arm", "marry =married marriage wedding"),
    Term("standing still and looking on", "stand =stood wait watch look"),
)

HOURS = (
    Term("dawn, first pale light", "dawn sunrise daybreak"),
    Term("early morning, golden light", "morning breakfast"),
    Term("evening, dusk with warm last light", "=evening =evenings dusk sunset twilight"),
    Term("night, darkness and moonlight", "night midnight dark darkness moon moonlight"),
    Term("midday, bright light", "noon midday"),
    Term("bright day", "afternoon =today daylight sunny sun"),
)
_LIGHT_HOURS = {"dawn, first pale light", "early morning, golden light", "midday, bright light", "bright day"}

WEATHERS = (
    Term("calm clear air", "calm clear sunny peaceful"),
    Term("a great storm, rain and wind", "storm thunder lightning gale hurricane tempest"),
    Term("falling snow", "snow winter blizzard frost"),
    Term("drifting fog", "fog mist haze"),
    Term("rain", "rain drizzle umbrella"),
    Term("strong wind", "wind breeze"),
)
_STORM = WEATHERS[1].phrase
_MILDER = {"rain", "strong wind"}  # part of a storm, not the end of it

MOODS = (
    Term("lonely, quiet mood", "alone lonely lost far sad"),
    Term("tense, dramatic mood", "storm danger fear afraid fight war shout hard"),
    Term("warm, tender mood", "warm love kind amiable happy home alive friend"),
    Term("restrained, formal mood", "cold selfish respectable proud prudent"),
    Term("hopeful mood", "hope morning dawn new free dream"),
)
_CALM = "calm, thoughtful mood"

# For words that name nothing which can be shown, and for music.
SCENERY = (
    Place(Term("rolling hills under a wide sky", ""), "clouds drifting slowly over the hills"),
    Place(Term("a quiet forest clearing", ""), "leaves falling slowly"),
    Place(Term("distant mountains in layers", ""), "mist moving through the valley"),
    Place(Term("a slow river between meadows", ""), "water flowing slowly"),
    Place(Term("a wide meadow of tall grass", ""), "grass bending gently"),
    Place(Term("a still lake that mirrors the sky", ""), "ripples spreading on the water"),
)

_CAMERAS = (
    "slow push in",
    "gentle tracking from left to right",
    "slow pan",
    "steady, almost still",
    "slow rise upward",
)
_COMPOSITIONS = ("medium shot", "wide shot with a deep foreground", "low angle", "close-up of the detail")

_QUOTES = re.compile(r"[\"“”„«»‘`]|(?<!\w)['’]|['’](?!\w)")  # noqa: RUF001 - all of them are quotation marks
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")  # noqa: RUF001 - the apostrophe of print


class RulePlanner:
    """Plans at once, from the words alone; spends nothing and asks nobody."""

    def plan(
        self,
        slots: Sequence[BeatSlot],
        *,
        transcript: Transcript,
        options: Options,
        time_left: timedelta,  # noqa: ARG002 - the port's; a plan takes milliseconds
    ) -> ScenePlan:
        """Never refuses, and never raises."""
        style = _style(options.style)
        told = _Told()
        beats: list[SceneBeat] = []
        for slot in slots:
            told, view = _read(told, slot, is_last=slot.scene_index == len(slots) - 1)
            beats.append(
                SceneBeat(
                    scene_index=slot.scene_index,
                    start_seconds=slot.start_seconds,
                    end_seconds=slot.end_seconds,
                    narration=slot.narration,
                    visual_prompt=_prompt(view, style),
                    negative_prompt=NEGATIVE_PROMPT,
                )
            )
        return ScenePlan(
            title=_title(transcript),
            style_bible=f"{_capital(style)}. The same characters, places and palette in every scene; "
            "nobody speaks to the camera.",
            beats=tuple(beats),
        )


@dataclass(frozen=True, slots=True)
class _Told:
    """What earlier scenes have said, and later ones take for granted."""

    place: Place | None = None
    people: tuple[Person, ...] = ()  # who was last named stands first
    hour: str = ""
    weather: str = ""


@dataclass(frozen=True, slots=True)
class _View:
    """One scene, in the order in which a video model wants to be told."""

    subject: str
    action: str
    setting: str
    camera: str
    composition: str
    ambiance: str


def _read(told: _Told, slot: BeatSlot, *, is_last: bool) -> tuple[_Told, _View]:
    """What one scene shows, and what the next ones may take for granted."""
    words = [word.lower().replace("’", "'") for word in _WORD.findall(slot.narration)]  # noqa: RUF001 - as above
    told = _carry_on(told, words)
    place = told.place or SCENERY[(_seed(slot) if words else slot.scene_index) % len(SCENERY)]
    seen = place.term.phrase.split()
    things = [term.phrase for term in THINGS if _calls(term, words) and term.phrase.split()[-1] not in seen]
    person = _person(told, words, place)
    subject = person or (things.pop(0) if things else place.term.phrase)
    action = _first(ACTIONS, words) if person or things else ""
    with_things = f" with {_list_of(things[:2])}" if things else ""
    is_weather_seen = told.weather and not place.is_indoor
    ambiance = ", ".join(
        part
        for part in (
            told.hour or ("soft light of late afternoon" if place.is_indoor else "soft natural light"),
            told.weather if is_weather_seen else "",
            _first(MOODS, words) or _CALM,
        )
        if part
    )
    return told, _View(
        subject=subject,
        action=(action or place.rest) + with_things,
        setting=place.term.phrase if subject != place.term.phrase else "seen as a whole",
        camera=f"camera: {_camera(slot, is_last=is_last)}",
        composition=_composition(slot, is_last=is_last, has_person=bool(person)),
        ambiance=ambiance,
    )


def _carry_on(told: _Told, words: Sequence[str]) -> _Told:
    """Place, hour and weather stay as they were told, until the words change them."""
    place = next((place for place in PLACES if _calls(place.term, words)), told.place)
    hour = _first(HOURS, words) or told.hour
    weather = _first(WEATHERS, words) or told.weather
    if told.weather == _STORM and weather in _MILDER:
        weather = _STORM
    if hour != told.hour and hour in _LIGHT_HOURS and not _first(WEATHERS, words):
        weather = ""  # a new day: whatever raged at night is over
    named = tuple(person for person in PEOPLE if _calls(person.term, words))[:1]
    people = (*named, *(person for person in told.people if person not in named))
    return _Told(place, people, hour, weather)


def _person(told: _Told, words: Sequence[str], place: Place) -> str:
    """Who is seen: named now, meant by a pronoun, or likely to be in such a place."""
    meant = next(
        (person for person in told.people if _calls(person.term, words)),
        next((person for person in told.people if person.pronouns & set(words)), None),
    )
    if meant is None or (meant is _SOME_MAN and place.person):
        return place.person
    return meant.term.phrase


def _prompt(view: _View, style: str) -> str:
    parts = (view.subject, view.action, view.setting, view.camera, view.composition, view.ambiance, style)
    prompt = ", ".join(part for part in parts if part)
    return f"{_capital(_unquoted(prompt))}, the same palette in every scene."


def _camera(slot: BeatSlot, *, is_last: bool) -> str:
    if slot.scene_index == 0:
        return "slow approach"
    if is_last:
        return "slow pull back"
    return _CAMERAS[slot.scene_index % len(_CAMERAS)]


def _composition(slot: BeatSlot, *, is_last: bool, has_person: bool) -> str:
    if slot.scene_index == 0:
        return "wide establishing shot"
    if is_last:
        return "wide closing shot"
    # Of a person the detail is the face, which a model is to leave alone.
    shots = _COMPOSITIONS[:-1] if has_person else _COMPOSITIONS
    return shots[slot.scene_index % len(shots)]


def _title(transcript: Transcript) -> str:
    """The first sentence, cut at a word."""
    spoken = transcript.segments[0].text if transcript.segments else " ".join(word.text for word in transcript.words)
    sentence = re.split(r"(?<=[.!?])\s", _unquoted(spoken).strip(), maxsplit=1)[0].rstrip(" .,;:")
    if not sentence:
        return "Instrumental"
    if len(sentence) <= TITLE_LENGTH:
        return sentence
    cut = sentence[: TITLE_LENGTH - 1].rsplit(" ", 1)[0].rstrip(" .,;:")
    return f"{cut}…"


def _style(asked: str) -> str:
    name = " ".join(_unquoted(asked).split())[:STYLE_LENGTH].strip(" .,")
    return STYLES.get(name.lower(), name) or STYLES["cinematic"]


def _unquoted(text: str) -> str:
    """Without quotation marks: a video model would write what stands between them on the screen."""
    return _QUOTES.sub("", text)


def _first(terms: Iterable[Term], words: Sequence[str]) -> str:
    return next((term.phrase for term in terms if _calls(term, words)), "")


def _calls(term: Term, words: Sequence[str]) -> bool:
    stems = {_stem(word) for word in words}
    return any(call[1:] in words if call.startswith("=") else _stem(call) in stems for call in term.words.split())


def _stem(word: str) -> str:
    """The word without its common endings: 'waves' → 'wav', 'climbed' → 'climb', 'stories' → 'story'."""
    for ending, instead in (("ies", "y"), ("ied", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):  # noqa: PLR2004 - 'sing', 'red', 'bus' are whole
            word = word[: -len(ending)] + instead
            if not instead and len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":  # noqa: PLR2004 - 'stepped', but 'tell'
                word = word[:-1]
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word  # noqa: PLR2004 - 'see' stays


def _seed(slot: BeatSlot) -> int:
    return int.from_bytes(hashlib.sha256(slot.narration.encode()).digest()[:4])


def _list_of(phrases: Sequence[str]) -> str:
    return " and ".join(phrases)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
