"""What the words of a scene ask to be drawn: place, time of day, weather, things, people, look.

Whole words are matched, with a simple stem ('waves', 'waving' → 'wave'): "selfish" is no fish.  What is said in the
scene decides what stands in the middle of it; the prompt, where a planner carries place and hour on from scene to
scene, decides the rest.  What neither names is chosen by the scene's seed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Literal, TypeVar

Place = Literal["sea", "beach", "tower", "hills", "mountains", "forest", "field", "river", "city", "estate", "room"]
Hour = Literal["night", "dawn", "day", "dusk"]
Weather = Literal["clear", "rain", "storm", "snow", "fog", "wind"]
Look = Literal["cinematic", "noir", "watercolor", "pastel", "vintage", "vivid"]

_Kind = TypeVar("_Kind", bound=str)

PLACES: Mapping[Place, str] = {
    "tower": "stair climb tower lamp-room",
    "sea": "sea ocean wave rock water harbor harbour boat ship sail sailor fisherman island bay coast west buoy",
    "beach": "beach sand shore seaside dune",
    "hills": "hill valley landscape path road journey travel drive car",
    "mountains": "mountain peak summit cliff canyon glacier",
    "forest": "forest wood tree jungle pine leaf path-through-trees deer wolf",
    "field": "field meadow farm grass flower garden wheat summer harvest desert",
    "river": "river stream lake bridge pond waterfall",
    "city": "city town street building skyline traffic crowd office market shop downtown apartment train",
    "estate": "estate mansion manor castle palace country-house country-estate park property village",
    "room": (
        "room kitchen indoor inside interior drawing-room parlor parlour study library desk table fireplace hearth "
        "soup bread dinner supper tea bed bedroom school class chair window hall house home candle book letter computer"
    ),
}

HOURS: Mapping[Hour, str] = {
    "night": "night midnight dark darkness moon moonlight moonlit star starry",
    "dawn": "morning early-morning dawn sunrise daybreak breakfast awake",
    "day": "day noon afternoon daylight sunny midday bright",
    "dusk": "evening dusk sunset twilight golden-hour late-afternoon",
}

WEATHERS: Mapping[Weather, str] = {
    "storm": "storm stormy thunder lightning tempest hurricane gale",
    "rain": "rain rainy raining drizzle downpour umbrella",
    "snow": "snow snowy winter ice frost frozen blizzard",
    "fog": "fog foggy mist misty haze hazy",
    "wind": "wind windy breeze blow gust",
    "clear": "clear calm sunny",
}

LOOKS: Mapping[Look, str] = {
    "noir": "noir monochrome black-and-white film-noir",
    "watercolor": "watercolor watercolour painted painterly illustration storybook",
    "pastel": "pastel soft-colors dreamy gentle",
    "vintage": "vintage sepia retro antique old-film",
    "vivid": "vivid vibrant anime neon colorful colourful cartoon comic",
    "cinematic": "cinematic film",
}

# Words on the left are drawn as the thing on the right.
THINGS: Mapping[str, str] = {
    "lighthouse": "lighthouse",
    "boat": "boat fisherman fishing-boat dinghy rowing",
    "ship": "ship vessel sail schooner frigate",
    "bell": "bell buoy ringing",
    "lantern": "lantern torch",
    "lamp": "lamp",
    "fire": "fire fireplace hearth warm warmth kitchen stove flame",
    "meal": "soup bread dinner supper food eat meal tea breakfast bowl",
    "candle": "candle candlelight",
    "book": "book library read reading story tale novel study bookshelf",
    "letter": "letter write writing paper ink desk document quill",
    "moon": "moon moonlight",
    "sun": "sun sunrise sunset sunny",
    "bird": "bird gull seagull fly flock wing",
    "tree": "tree oak",
    "car": "car drive automobile",
    "rock": "rock rocky cliff",
    "tower": "tower church castle",
    "house": "house home cottage cabin hut farm",
}

PEOPLE: Mapping[str, str] = {
    "three": "three",
    "crowd": "crowd people everybody everyone audience nation citizen team",
    "couple": "couple married marry marriage wife husband wedding lovers both dance",
    "old lady": "grandmother granny old-lady old-woman widow",
    "lady": "woman lady she her mother girl miss mistress sister daughter queen",
    "gentleman": "gentleman mister sir lord mr",
    "child": "child boy kid son children",
    "keeper": "keeper fisherman sailor captain coat",
    "man": "man he him his father brother somebody someone person men king young-man walker traveller traveler",
}

# A drawing-room novel names few things that can be seen; its manners are enough.
_MANNERS = (
    "mister respectable amiable disposed prudently leisure manners fortune estate society marriage "
    "gentleman elegant regency drawing-room ladyship countess disposition acquaintance"
)
_OUTDOORS: tuple[Place, ...] = ("hills", "mountains", "forest", "field", "river")
_SHORTEST_STEM = 3
_IRREGULAR = {
    "men": "men",
    "women": "woman",
    "leaves": "leaf",
    "told": "story",
    "stories": "story",
    "lit": "lamp",
    "snowing": "snow",
    "raining": "rain",
    "fell": "fell",
    "sailing": "sail",
    "wives": "wife",
    "ladies": "lady",
    "was": "was",
    "his": "his",
    "this": "this",
    "waved": "waved",  # with a hand, mostly
    "waving": "waving",
}
# Words that go with a place more than they name it.
_VAGUE = frozenset(
    {"wave", "water", "home", "house", "rock", "west", "tree", "path", "window", "chair", "book", "letter"}
)


# In a story these tell what is there; in a prompt they only describe light and cloth.
_SAID_ONLY = frozenset({"dark", "darkness", "bright", "warm", "warmth", "flame", "flames"})


@dataclass(frozen=True, slots=True)
class Scene:
    """What is to be drawn, decided."""

    place: Place
    hour: Hour
    weather: Weather
    look: Look
    things: frozenset[str]
    people: str  # a key of PEOPLE, or '' for nobody
    is_period: bool  # manners of a drawing-room novel


def read_scene(prompt: str, narration: str, random: Random) -> Scene:
    """Decide what the words of one scene ask for."""
    said, asked = _terms(narration), _terms(prompt) - _SAID_ONLY
    weight = {
        term: (2.5 if term in said else 1.0) * (0.4 if term in _VAGUE else 2.0 if "-" in term else 1.0)
        for term in said | asked
    }
    is_period = len(_list(_MANNERS) & (said | asked)) >= 1
    things = frozenset(thing for thing, words in THINGS.items() if _list(words) & (said | asked))
    if things & {"boat", "ship", "bell"} or ("rock" not in said and "lighthouse" in things):
        things -= {"rock"}  # one thing in the middle
    hour = _best(HOURS, weight)
    weather = _best(WEATHERS, weight) or "clear"
    if weather in ("wind", "clear") and "storm" in asked:
        weather = "storm"
    if weather == "clear" and is_period and "cold" in said:
        weather = "snow"
    place = _place(said, weight, things, is_period=is_period, random=random)
    return Scene(
        place=place,
        hour=hour or _hour_by_chance(random, weather, is_period=is_period),
        weather=weather,
        look=_best(LOOKS, weight) or "cinematic",
        things=things,
        people=_people(said, asked, is_period=is_period),
        is_period=is_period,
    )


def _place(
    said: frozenset[str],
    weight: Mapping[str, float],
    things: frozenset[str],
    *,
    is_period: bool,
    random: Random,
) -> Place:
    if _list(PLACES["tower"]) & said and ("lamp" in things or "lighthouse" in things):
        return "tower"
    if "boat" in said or "ship" in said:
        # "The boat turned toward the shore": the boat is the subject, and boats are at sea.
        return "sea"
    scores = {place: sum(weight[term] for term in _list(words) if term in weight) for place, words in PLACES.items()}
    if "lamp" not in said:
        scores["tower"] = 0
    best = max(scores, key=lambda place: scores[place])
    if scores[best] > 0:
        return best
    if is_period:
        return random.choice(("room", "estate", "room", "field"))
    return random.choice(_OUTDOORS)


def _people(said: frozenset[str], asked: frozenset[str], *, is_period: bool) -> str:
    for terms in (said, asked):
        for people, words in PEOPLE.items():
            if _list(words) & terms:
                if people in ("man", "keeper") and is_period:
                    return "gentleman"
                return people
    return ""


def _hour_by_chance(random: Random, weather: Weather, *, is_period: bool) -> Hour:
    if weather == "storm":
        return "night"
    return random.choice(("dusk", "day", "dawn") if is_period else ("day", "dawn", "dusk", "night"))


def _best(table: Mapping[_Kind, str], weight: Mapping[str, float]) -> _Kind | None:
    scores = {kind: sum(weight[term] for term in _list(words) if term in weight) for kind, words in table.items()}
    best = max(scores, key=lambda kind: scores[kind])
    return best if scores[best] > 0 else None


def _list(words: str) -> frozenset[str]:
    return frozenset(words.split())


def _terms(text: str) -> frozenset[str]:
    """Words of a text with their stems, and neighbours joined by '-' ('drawing-room')."""
    words = re.findall(r"[a-z]+", text.lower())
    pairs = {f"{one}-{other}" for one, other in pairwise(words)}
    return frozenset({form for word in words for form in _forms(word)} | pairs)


def _forms(word: str) -> set[str]:
    """A word and what it may be a form of."""
    if word in _IRREGULAR:
        return {word, _IRREGULAR[word]}
    forms = {word}
    for ending, replacements in (
        ("ies", ("y",)),
        ("es", ("", "e")),
        ("s", ("",)),
        ("ing", ("", "e")),
        ("ed", ("", "e")),
        ("y", ("",)),
    ):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) >= _SHORTEST_STEM:
            forms |= {stem + replacement for replacement in replacements}
            if ending in ("ing", "ed") and stem[-1] == stem[-2]:
                forms.add(stem[:-1])
    return forms
