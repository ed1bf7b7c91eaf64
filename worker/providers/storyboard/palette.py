"""The colours of a scene: one family for a whole film, shifted by hour, weather and look."""

import colorsys
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from worker.providers.storyboard.planes import Rgb, Stops, mix
from worker.providers.storyboard.vocabulary import Hour, Look, Scene, Weather


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours by what they are for.

    Attributes:
        sky: from the top of the picture to the horizon.
        disc, glow: of the sun or moon, and the air around it.
        far, near: the most distant ridge and the nearest; what lies between is mixed.
        mist: what gathers at the foot of a ridge.
        deep, shallow: water at the horizon and at our feet.
        foam: crests.
        ink: figures and what stands in front.
        rim: the light on their edge.
        lamp: everything that burns.
        wall, wood: indoors.
    """

    sky: Stops
    disc: Rgb
    glow: Rgb
    far: Rgb
    near: Rgb
    mist: Rgb
    deep: Rgb
    shallow: Rgb
    foam: Rgb
    sand: Rgb
    grass: Rgb
    ink: Rgb
    rim: Rgb
    lamp: Rgb
    wall: Rgb
    wood: Rgb

    def ridge(self, nearness: float) -> Rgb:
        """The colour of a ridge between far (0) and near (1)."""
        return mix(self.far, self.near, nearness)

    def changed(self, change: Callable[[Rgb], Rgb]) -> "Palette":
        """Every colour put through `change`."""
        colours = {each.name: change(getattr(self, each.name)) for each in fields(self) if each.name != "sky"}
        return replace(self, sky=tuple((place, change(colour)) for place, colour in self.sky), **colours)


_LAMP = (255, 200, 118)

_HOURS: dict[Hour, Palette] = {
    "night": Palette(
        sky=((0.0, (9, 14, 38)), (0.45, (22, 36, 74)), (0.8, (49, 72, 115)), (1.0, (84, 105, 142))),
        disc=(250, 244, 222),
        glow=(166, 184, 220),
        far=(58, 78, 118),
        near=(12, 18, 38),
        mist=(86, 106, 148),
        deep=(56, 79, 116),
        shallow=(12, 22, 44),
        foam=(150, 174, 206),
        sand=(62, 66, 88),
        grass=(24, 38, 52),
        ink=(8, 11, 24),
        rim=(148, 170, 208),
        lamp=_LAMP,
        wall=(86, 62, 58),
        wood=(58, 38, 34),
    ),
    "dawn": Palette(
        sky=((0.0, (104, 138, 186)), (0.4, (178, 178, 196)), (0.75, (244, 200, 170)), (1.0, (255, 224, 178))),
        disc=(255, 246, 220),
        glow=(255, 222, 168),
        far=(178, 160, 178),
        near=(58, 62, 86),
        mist=(252, 214, 184),
        deep=(196, 178, 180),
        shallow=(64, 92, 118),
        foam=(255, 238, 218),
        sand=(206, 170, 140),
        grass=(104, 116, 92),
        ink=(40, 40, 58),
        rim=(255, 226, 180),
        lamp=_LAMP,
        wall=(178, 134, 104),
        wood=(104, 66, 48),
    ),
    "day": Palette(
        sky=((0.0, (70, 136, 196)), (0.5, (138, 190, 222)), (0.85, (206, 228, 230)), (1.0, (236, 236, 218))),
        disc=(255, 252, 232),
        glow=(255, 246, 214),
        far=(148, 180, 194),
        near=(38, 84, 82),
        mist=(220, 232, 226),
        deep=(110, 168, 190),
        shallow=(28, 88, 116),
        foam=(240, 248, 244),
        sand=(222, 198, 152),
        grass=(98, 142, 86),
        ink=(30, 44, 56),
        rim=(255, 250, 226),
        lamp=_LAMP,
        wall=(206, 184, 150),
        wood=(120, 82, 56),
    ),
    "dusk": Palette(
        sky=((0.0, (38, 38, 84)), (0.4, (106, 68, 116)), (0.75, (220, 118, 98)), (1.0, (252, 184, 112))),
        disc=(255, 228, 168),
        glow=(255, 178, 106),
        far=(138, 88, 116),
        near=(34, 24, 48),
        mist=(224, 138, 112),
        deep=(190, 112, 106),
        shallow=(44, 34, 66),
        foam=(255, 206, 158),
        sand=(134, 90, 88),
        grass=(70, 56, 64),
        ink=(22, 15, 32),
        rim=(255, 186, 122),
        lamp=_LAMP,
        wall=(132, 86, 74),
        wood=(76, 46, 42),
    ),
}

# Weather veils everything behind a colour of its own: (colour by day, by night, how much).
_VEILS: dict[Weather, tuple[Rgb, Rgb, float]] = {
    "storm": ((92, 102, 116), (22, 30, 48), 0.5),
    "rain": ((138, 148, 158), (36, 46, 66), 0.45),
    "snow": ((214, 222, 232), (92, 108, 140), 0.34),
    "fog": ((206, 210, 210), (84, 98, 122), 0.5),
}
_ALWAYS_LIT = ("lamp", "wall", "wood", "ink", "disc")


def palette_of(scene: Scene) -> Palette:
    """The colours for a scene."""
    palette = _HOURS[scene.hour]
    if scene.weather in _VEILS:
        by_day, by_night, share = _VEILS[scene.weather]
        veil = by_night if scene.hour == "night" else by_day
        veiled = palette.changed(lambda colour: mix(colour, veil, share))
        kept = {name: getattr(palette, name) for name in _ALWAYS_LIT}
        palette = replace(veiled, **kept)
        if scene.weather == "snow":
            snow = mix((244, 247, 252), palette.sky[-1][1], 0.35 if scene.hour != "night" else 0.6)
            palette = replace(palette, grass=snow, sand=snow)
    seen = palette.changed(_LOOKS[scene.look])
    # Silhouettes stay silhouettes in every look.
    return replace(seen, ink=mix(seen.ink, palette.ink, 0.65))


def _shift(
    saturation: float, contrast: float, lift: float = 0.0, tint: Rgb | None = None, share: float = 0.0
) -> Callable[[Rgb], Rgb]:
    """A change of colours: saturation and contrast as factors, light added, a tint mixed in."""

    def change(colour: Rgb) -> Rgb:
        hue, light, strength = colorsys.rgb_to_hls(*(part / 255 for part in colour))
        light = min(1.0, max(0.0, 0.45 + (light - 0.45) * contrast + lift))
        red, green, blue = colorsys.hls_to_rgb(hue, light, min(1.0, strength * saturation))
        shifted = (round(red * 255), round(green * 255), round(blue * 255))
        return mix(shifted, tint, share) if tint else shifted

    return change


_LOOKS: dict[Look, Callable[[Rgb], Rgb]] = {
    "cinematic": _shift(1.0, 1.0),
    "noir": _shift(0.08, 1.12, -0.02),
    "watercolor": _shift(0.8, 0.82, 0.06, (246, 240, 228), 0.1),
    "pastel": _shift(0.75, 0.7, 0.1, (255, 240, 244), 0.12),
    "vintage": _shift(0.55, 0.92, 0.02, (196, 156, 104), 0.2),
    "vivid": _shift(1.35, 1.08),
}
