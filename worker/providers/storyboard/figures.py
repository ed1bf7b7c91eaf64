"""People and things, drawn large and reduced, as transparent pictures.

People are silhouettes with a line of light on the edge that faces the lamp, sun or moon.  Coordinates inside a
drawing are fractions of its height; x counts from the middle.
"""

# ruff: noqa: PLR2004 - the numbers are the drawing

import math
from collections.abc import Sequence
from itertools import pairwise
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from worker.providers.storyboard.palette import Palette
from worker.providers.storyboard.planes import Rgb, mix
from worker.providers.storyboard.shapes import OVERSAMPLING, Point, spline

_WHITE = (236, 232, 222)
_RED = (168, 52, 44)


class Pen:
    """Draws in fractions of the height on an oversized transparent picture."""

    def __init__(self, height: int, *, wide: float = 1.0) -> None:
        self.tall = height * OVERSAMPLING
        self.image = Image.new("RGBA", (round(self.tall * wide), self.tall))
        self.draw = ImageDraw.Draw(self.image)
        self.middle = self.image.width / 2

    def at(self, point: Point) -> Point:
        """Where a point lies in the oversampled picture, in pixels."""
        return (self.middle + point[0] * self.tall, point[1] * self.tall)

    def blob(self, points: Sequence[Point], colour: Rgb) -> None:
        """A smooth closed shape through the points."""
        self.draw.polygon([self.at(point) for point in spline(points)], fill=colour)

    def shape(self, points: Sequence[Point], colour: Rgb) -> None:
        """A shape with corners."""
        self.draw.polygon([self.at(point) for point in points], fill=colour)

    def oval(self, centre: Point, reach: Point, colour: Rgb) -> None:
        """An ellipse; `reach` is its two radii."""
        (x, y), (rx, ry) = self.at(centre), (reach[0] * self.tall, reach[1] * self.tall)
        self.draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=colour)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Rgb) -> None:
        """A rectangle."""
        self.draw.rectangle((*self.at((left, top)), *self.at((right, bottom))), fill=colour)

    def line(self, points: Sequence[Point], thickness: float, colour: Rgb) -> None:
        """An open line through the points."""
        width = max(1, round(thickness * self.tall))
        self.draw.line([self.at(point) for point in points], fill=colour, width=width, joint="curve")

    def limb(self, joints: Sequence[tuple[float, float, float]], colour: Rgb) -> None:
        """An arm or leg through (x, y, thickness), tapering from joint to joint."""
        for x, y, thick in joints:
            self.oval((x, y), (thick / 2, thick / 2), colour)
        for (x, y, thick), (to_x, to_y, to_thick) in pairwise(joints):
            far = math.hypot(to_x - x, to_y - y) or 1.0
            across, along = -(to_y - y) / far / 2, (to_x - x) / far / 2
            self.shape(
                [
                    (x + across * thick, y + along * thick),
                    (to_x + across * to_thick, to_y + along * to_thick),
                    (to_x - across * to_thick, to_y - along * to_thick),
                    (x - across * thick, y - along * thick),
                ],
                colour,
            )

    def done(self) -> Image.Image:
        """The drawing at its own size."""
        return self.image.reduce(OVERSAMPLING)


def lit_edge(
    image: Image.Image, colour: Rgb, *, from_left: bool, strength: float = 0.95, width: int = 2
) -> Image.Image:
    """The drawing with a line of light on the side that the light comes from."""
    shape = image.getchannel("A")
    shifted = ImageChops.offset(shape, width if from_left else -width, max(1, width // 2))
    edge = ImageChops.subtract(shape, shifted).filter(ImageFilter.GaussianBlur(0.7))
    edge = ImageChops.multiply(edge, shape).point([round(level * strength) for level in range(256)])
    lit = image.copy()
    lit.paste(Image.new("RGBA", image.size, (*colour, 255)), mask=edge)
    lit.putalpha(shape)
    return lit


def person(kind: str, height: int, palette: Palette, *, from_left: bool, holding: str = "") -> Image.Image:
    """One standing figure of `height` pixels, feet at the bottom: keeper, man, gentleman, lady, old lady, child."""
    pen = Pen(height, wide=1.0)
    ink = palette.ink
    draw = {
        "keeper": _keeper,
        "gentleman": _gentleman,
        "lady": _lady,
        "old lady": _old_lady,
        "child": _child,
    }.get(kind, _man)
    draw(pen, ink, holding)
    return lit_edge(pen.done(), palette.rim, from_left=from_left, width=max(1, round(height / 90)))


LANTERN_AT = (0.245, 0.3)  # of a person holding one: from the middle, from the top, in heights


def _arm(pen: Pen, ink: Rgb, holding: str, *, side: int = 1) -> None:
    if holding == "lantern":
        pen.limb([(0.1 * side, 0.205, 0.066), (0.185 * side, 0.275, 0.056), (0.245 * side, 0.19, 0.042)], ink)
        pen.line([(0.245 * side, 0.19), (0.245 * side, 0.25)], 0.008, ink)
        pen.shape([(0.215 * side, 0.265), (0.245 * side, 0.24), (0.275 * side, 0.265)], ink)
        pen.box(min(0.222 * side, 0.268 * side), 0.265, max(0.222 * side, 0.268 * side), 0.335, (255, 226, 160))
        pen.line([(0.222 * side, 0.265), (0.222 * side, 0.335)], 0.007, ink)
        pen.line([(0.268 * side, 0.265), (0.268 * side, 0.335)], 0.007, ink)
        pen.box(min(0.214 * side, 0.276 * side), 0.332, max(0.214 * side, 0.276 * side), 0.345, ink)
    else:
        pen.limb([(0.1 * side, 0.205, 0.066), (0.142 * side, 0.36, 0.054), (0.125 * side, 0.5, 0.036)], ink)
        pen.oval((0.123 * side, 0.515), (0.02, 0.028), ink)


def _legs(pen: Pen, ink: Rgb, top: float, stride: float) -> None:
    pen.limb([(-0.05, top, 0.09), (-0.05 - stride * 0.5, 0.78, 0.068), (-0.055 - stride, 0.965, 0.046)], ink)
    pen.limb([(0.05, top, 0.09), (0.055 + stride * 0.6, 0.78, 0.068), (0.055 + stride * 0.8, 0.965, 0.046)], ink)
    pen.blob([(-0.085 - stride, 0.96), (-0.03 - stride, 0.955), (-0.02 - stride, 0.998), (-0.11 - stride, 0.998)], ink)
    pen.blob([(0.03 + stride, 0.955), (0.075 + stride, 0.96), (0.115 + stride, 0.998), (0.03 + stride, 0.998)], ink)


def _head(pen: Pen, ink: Rgb, *, x: float = 0.0, y: float = 0.078) -> None:
    pen.oval((x, y - 0.014), (0.049, 0.054), ink)
    pen.blob(
        [
            (x - 0.046, y - 0.03),
            (x, y - 0.05),
            (x + 0.048, y - 0.03),
            (x + 0.05, y + 0.012),
            (x + 0.028, y + 0.058),
            (x - 0.018, y + 0.06),
            (x - 0.046, y + 0.02),
        ],
        ink,
    )
    pen.limb([(x, y + 0.04, 0.05), (x - 0.002, y + 0.09, 0.058)], ink)


def _man(pen: Pen, ink: Rgb, holding: str) -> None:
    _legs(pen, ink, 0.53, 0.01)
    pen.blob(
        [
            (-0.045, 0.15),
            (0.045, 0.15),
            (0.115, 0.185),
            (0.125, 0.29),
            (0.1, 0.42),
            (0.11, 0.56),
            (0.0, 0.575),
            (-0.11, 0.56),
            (-0.1, 0.42),
            (-0.125, 0.29),
            (-0.115, 0.185),
        ],
        ink,
    )
    _head(pen, ink)
    _arm(pen, ink, "", side=-1)
    _arm(pen, ink, holding)


def _keeper(pen: Pen, ink: Rgb, holding: str) -> None:
    """A long coat, a collar turned up, a sailor's cap."""
    _legs(pen, ink, 0.6, 0.025)
    pen.blob(
        [
            (-0.05, 0.145),
            (0.05, 0.145),
            (0.118, 0.185),
            (0.13, 0.32),
            (0.112, 0.44),
            (0.145, 0.6),
            (0.165, 0.725),
            (0.0, 0.74),
            (-0.165, 0.725),
            (-0.14, 0.6),
            (-0.112, 0.44),
            (-0.13, 0.32),
            (-0.118, 0.185),
        ],
        ink,
    )
    pen.shape([(-0.07, 0.17), (-0.055, 0.105), (0.055, 0.105), (0.07, 0.17)], ink)
    _head(pen, ink)
    pen.blob([(-0.056, 0.05), (-0.05, 0.008), (0.03, 0.0), (0.056, 0.02), (0.05, 0.052)], ink)
    pen.shape([(0.03, 0.042), (0.092, 0.055), (0.09, 0.064), (0.03, 0.062)], ink)
    _arm(pen, ink, "", side=-1)
    _arm(pen, ink, holding)


def _gentleman(pen: Pen, ink: Rgb, holding: str) -> None:
    """A tall hat, a waisted tailcoat, a walking stick."""
    _legs(pen, ink, 0.56, 0.012)
    pen.blob(
        [
            (-0.04, 0.17),
            (0.04, 0.17),
            (0.108, 0.205),
            (0.112, 0.3),
            (0.076, 0.42),
            (0.1, 0.53),
            (0.0, 0.55),
            (-0.1, 0.53),
            (-0.076, 0.42),
            (-0.112, 0.3),
            (-0.108, 0.205),
        ],
        ink,
    )
    pen.shape([(-0.098, 0.47), (-0.01, 0.5), (-0.03, 0.79), (-0.1, 0.76)], ink)
    pen.shape([(0.098, 0.47), (0.02, 0.5), (0.045, 0.72), (0.085, 0.7)], ink)
    _head(pen, ink, y=0.112)
    pen.shape([(-0.043, 0.072), (-0.05, 0.0), (0.052, 0.0), (0.045, 0.072)], ink)
    pen.blob([(-0.085, 0.066), (0.0, 0.074), (0.088, 0.064), (0.07, 0.082), (0.0, 0.088), (-0.07, 0.084)], ink)
    _arm(pen, ink, "", side=-1)
    if holding:
        _arm(pen, ink, holding)
    else:
        pen.limb([(0.095, 0.225, 0.06), (0.16, 0.36, 0.048), (0.185, 0.485, 0.032)], ink)
        pen.line([(0.185, 0.47), (0.215, 0.995)], 0.011, ink)
        pen.oval((0.184, 0.472), (0.017, 0.017), ink)


def _lady(pen: Pen, ink: Rgb, holding: str) -> None:
    """A high waist, a long dress, hair put up."""
    del holding
    pen.blob(
        [
            (-0.035, 0.17),
            (0.035, 0.17),
            (0.08, 0.2),
            (0.072, 0.28),
            (0.06, 0.34),
            (0.085, 0.5),
            (0.125, 0.72),
            (0.175, 0.97),
            (0.13, 1.0),
            (0.0, 0.995),
            (-0.15, 1.0),
            (-0.2, 0.98),
            (-0.13, 0.72),
            (-0.08, 0.5),
            (-0.058, 0.34),
            (-0.072, 0.28),
            (-0.08, 0.2),
        ],
        ink,
    )
    _head(pen, ink, y=0.09)
    pen.oval((-0.026, 0.028), (0.036, 0.03), ink)
    pen.oval((-0.01, 0.06), (0.056, 0.046), ink)
    pen.limb([(-0.07, 0.21, 0.044), (-0.1, 0.33, 0.036), (-0.02, 0.4, 0.026)], ink)
    pen.limb([(0.07, 0.21, 0.044), (0.105, 0.33, 0.036), (0.02, 0.4, 0.026)], ink)


def _old_lady(pen: Pen, ink: Rgb, holding: str) -> None:
    """A bent back, a shawl, a stick."""
    del holding
    pen.blob(
        [
            (0.0, 0.3),
            (0.075, 0.34),
            (0.07, 0.48),
            (0.09, 0.64),
            (0.15, 0.97),
            (0.1, 1.0),
            (-0.14, 1.0),
            (-0.18, 0.97),
            (-0.14, 0.66),
            (-0.15, 0.5),
            (-0.13, 0.36),
            (-0.07, 0.28),
        ],
        ink,
    )
    _head(pen, ink, x=0.05, y=0.235)
    pen.oval((-0.005, 0.175), (0.034, 0.032), ink)
    pen.blob([(-0.07, 0.27), (0.0, 0.18), (0.05, 0.2), (0.06, 0.3), (0.0, 0.5), (-0.17, 0.56), (-0.15, 0.4)], ink)
    pen.limb([(0.03, 0.37, 0.055), (0.11, 0.5, 0.045), (0.17, 0.56, 0.03)], ink)
    pen.line([(0.172, 0.54), (0.19, 0.995)], 0.014, ink)


def _child(pen: Pen, ink: Rgb, holding: str) -> None:
    """Shorter, with a head that is large for the body; drawn in the lower part of the picture."""
    del holding
    pen.oval((0.0, 0.46), (0.066, 0.075), ink)
    pen.blob(
        [
            (-0.05, 0.54),
            (0.05, 0.54),
            (0.085, 0.6),
            (0.075, 0.7),
            (0.1, 0.82),
            (-0.1, 0.82),
            (-0.075, 0.7),
            (-0.085, 0.6),
        ],
        ink,
    )
    pen.limb([(-0.04, 0.8, 0.06), (-0.045, 0.97, 0.04)], ink)
    pen.limb([(0.04, 0.8, 0.06), (0.05, 0.97, 0.04)], ink)
    pen.oval((-0.055, 0.985), (0.035, 0.015), ink)
    pen.oval((0.065, 0.985), (0.035, 0.015), ink)
    pen.limb([(-0.075, 0.59, 0.042), (-0.11, 0.72, 0.03)], ink)
    pen.limb([(0.075, 0.59, 0.042), (0.12, 0.7, 0.03)], ink)


def group(
    people: str, height: int, palette: Palette, random: Random, *, from_left: bool, holding: str = ""
) -> Image.Image:
    """Everybody who is in the scene, on one ground line, as wide as they need."""
    kinds = {
        "three": ("keeper", "man", "keeper"),
        "couple": ("gentleman", "lady"),
        "crowd": ("man", "lady", "man", "child", "keeper", "lady", "man"),
        "": ("man",),
    }.get(people, (people,))
    spread = height * (0.4 if len(kinds) < 5 else 0.31)
    picture = Image.new("RGBA", (round(spread * (len(kinds) - 1)) + height, height))
    for index, kind in enumerate(kinds):
        size = round(height * (random.uniform(0.9, 0.99) if len(kinds) > 1 else 1.0))
        has_it = holding if index == len(kinds) - 1 else ""
        one = person(kind, size, palette, from_left=from_left, holding=has_it)
        if index % 2 and kind in ("man", "keeper", "lady"):
            one = one.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        x = round(index * spread + (height - one.width) / 2)
        picture.alpha_composite(one, (max(0, x), height - size))
    return picture


def lighthouse(height: int, palette: Palette, *, is_dark: bool) -> Image.Image:
    """A tower on its rock.  The lamp is `LAMP_AT` of the height below the top."""
    pen = Pen(height, wide=0.75)
    shade = 0.62 if is_dark else 0.12
    white, red = mix(_WHITE, palette.near, shade), mix(_RED, palette.near, shade * 0.8)
    dark = mix(palette.ink, palette.near, 0.3)

    def half(y: float) -> float:
        return 0.052 + (y - 0.22) * 0.07

    bands = 5
    for band in range(bands):
        top, bottom = 0.215 + band * 0.135, 0.215 + (band + 1) * 0.135
        colour = red if band % 2 else white
        pen.shape([(-half(top), top), (half(top), top), (half(bottom), bottom), (-half(bottom), bottom)], colour)
        # Round: three steps into the shade.
        for step, share in ((0.35, 0.16), (0.62, 0.3), (0.84, 0.46)):
            edge = -1 + 2 * step
            pen.shape(
                [(half(top) * edge, top), (half(top), top), (half(bottom), bottom), (half(bottom) * edge, bottom)],
                mix(colour, dark, share),
            )
    for y in (0.33, 0.52, 0.7):
        pen.box(-0.02, y, 0.0, y + 0.04, mix(palette.lamp, dark, 0.2 if is_dark else 0.75))
    pen.box(-0.078, 0.2, 0.078, 0.22, dark)
    pen.line([(-0.082, 0.165), (0.082, 0.165)], 0.006, dark)
    for post in range(-4, 5):
        pen.line([(post * 0.0195, 0.165), (post * 0.0195, 0.2)], 0.004, dark)
    pen.box(-0.042, 0.105, 0.042, 0.2, (255, 236, 186) if is_dark else mix((220, 236, 240), palette.far, 0.2))
    for x in (-0.042, -0.014, 0.014, 0.042):
        pen.line([(x, 0.1), (x, 0.2)], 0.006, dark)
    pen.blob(
        [(-0.06, 0.108), (-0.04, 0.062), (0.0, 0.035), (0.04, 0.062), (0.06, 0.108), (0.0, 0.112)],
        mix(_RED, dark, 0.25 + shade / 2),
    )
    pen.line([(0.0, 0.0), (0.0, 0.05)], 0.007, dark)
    rock = mix(palette.ink, palette.near, 0.45)
    pen.shape(
        [
            (-0.37, 1.0),
            (-0.33, 0.955),
            (-0.25, 0.935),
            (-0.2, 0.9),
            (-0.115, 0.885),
            (-0.09, 0.86),
            (0.1, 0.865),
            (0.15, 0.89),
            (0.21, 0.9),
            (0.25, 0.94),
            (0.33, 0.96),
            (0.37, 1.0),
        ],
        rock,
    )
    light = mix(rock, palette.rim, 0.25)
    pen.shape([(-0.33, 0.957), (-0.25, 0.936), (-0.2, 0.9), (-0.115, 0.886), (-0.16, 0.925), (-0.2, 0.965)], light)
    pen.shape([(-0.08, 0.868), (0.0, 0.862), (-0.04, 0.91), (-0.1, 0.95)], light)
    pen.shape([(0.12, 0.884), (0.19, 0.898), (0.17, 0.94), (0.12, 0.965)], light)
    return pen.done()


LAMP_AT = 0.152


def fishing_boat(height: int, palette: Palette, *, is_dark: bool) -> Image.Image:
    """A small boat with a wheelhouse and a mast; water line at the bottom."""
    pen = Pen(height, wide=1.5)
    shade = 0.45 if is_dark else 0.1
    hull, cabin, dark = mix((132, 46, 40), palette.ink, shade), mix(_WHITE, palette.near, shade + 0.1), palette.ink
    pen.line([(0.06, 0.08), (0.06, 0.78)], 0.018, dark)
    pen.line([(0.06, 0.12), (-0.44, 0.7)], 0.008, dark)
    pen.line([(0.06, 0.12), (0.58, 0.64)], 0.008, dark)
    pen.line([(0.06, 0.34), (0.4, 0.18)], 0.014, dark)
    pen.shape([(-0.34, 0.72), (-0.33, 0.47), (-0.06, 0.47), (-0.04, 0.74)], cabin)
    pen.shape([(-0.13, 0.72), (-0.13, 0.47), (-0.06, 0.47), (-0.04, 0.74)], mix(cabin, dark, 0.3))
    pen.shape([(-0.38, 0.475), (-0.36, 0.43), (-0.04, 0.43), (-0.02, 0.475)], hull)
    window = (255, 216, 140) if is_dark else mix((190, 214, 224), dark, 0.25)
    pen.box(-0.3, 0.52, -0.22, 0.61, window)
    pen.box(-0.19, 0.52, -0.11, 0.61, window)
    pen.blob(
        [
            (-0.6, 0.69),
            (-0.2, 0.75),
            (0.25, 0.73),
            (0.6, 0.6),
            (0.66, 0.59),
            (0.55, 0.82),
            (0.42, 0.97),
            (0.0, 1.02),
            (-0.42, 0.99),
            (-0.56, 0.86),
        ],
        hull,
    )
    pen.line([(-0.59, 0.715), (-0.2, 0.775), (0.25, 0.755), (0.62, 0.625)], 0.022, mix(_WHITE, palette.near, shade))
    pen.oval((0.06, 0.075), (0.022, 0.022), (255, 230, 170) if is_dark else dark)
    return lit_edge(pen.done(), palette.rim, from_left=False, strength=0.5)


def sailing_ship(height: int, palette: Palette) -> Image.Image:
    """A two-masted ship under sail; water line at the bottom."""
    pen = Pen(height, wide=1.3)
    dark = palette.ink
    sail = mix((240, 230, 208), palette.near, 0.3)
    for x, tall in ((-0.16, 0.08), (0.16, 0.02)):
        pen.line([(x, tall), (x, 0.85)], 0.014, dark)
        for top, bottom, half in ((tall + 0.04, 0.34, 0.1), (0.36, 0.56, 0.14), (0.58, 0.76, 0.165)):
            pen.blob(
                [
                    (x - half * 0.8, top),
                    (x + half * 0.8, top),
                    (x + half * 1.12, (top + bottom) / 2),
                    (x + half, bottom),
                    (x, bottom - 0.025),
                    (x - half, bottom),
                    (x - half * 0.86, (top + bottom) / 2),
                ],
                sail,
            )
    pen.shape([(0.22, 0.3), (0.5, 0.77), (0.24, 0.74)], mix(sail, dark, 0.15))
    pen.line([(0.38, 0.8), (0.62, 0.69)], 0.012, dark)
    pen.blob(
        [(-0.5, 0.76), (-0.2, 0.83), (0.25, 0.83), (0.46, 0.77), (0.36, 0.98), (0.0, 1.02), (-0.38, 0.99)],
        mix(dark, (84, 54, 40), 0.5),
    )
    return lit_edge(pen.done(), palette.rim, from_left=False, strength=0.5)


def bell_buoy(height: int, palette: Palette) -> Image.Image:
    """A buoy with its bell in an open frame; water line at the bottom."""
    pen = Pen(height, wide=0.8)
    dark = palette.ink
    iron = mix(dark, (150, 60, 44), 0.42)
    pen.blob([(-0.32, 0.78), (0.32, 0.78), (0.36, 0.86), (0.25, 1.02), (-0.25, 1.02), (-0.36, 0.86)], iron)
    pen.shape([(-0.3, 0.8), (0.3, 0.8), (0.3, 0.83), (-0.3, 0.83)], mix(iron, palette.rim, 0.35))
    for side in (-1, 1):
        pen.line([(0.2 * side, 0.8), (0.075 * side, 0.2)], 0.03, dark)
        pen.line([(0.07 * side, 0.8), (0.03 * side, 0.2)], 0.014, dark)
    pen.line([(-0.18, 0.68), (0.18, 0.68)], 0.02, dark)
    pen.line([(-0.11, 0.36), (0.11, 0.36)], 0.02, dark)
    brass = mix((206, 160, 84), dark, 0.25)
    pen.blob(
        [
            (-0.03, 0.38),
            (0.03, 0.38),
            (0.065, 0.46),
            (0.075, 0.55),
            (0.115, 0.6),
            (-0.115, 0.6),
            (-0.075, 0.55),
            (-0.065, 0.46),
        ],
        brass,
    )
    pen.oval((0.0, 0.62), (0.026, 0.026), dark)
    pen.shape([(-0.1, 0.2), (0.1, 0.2), (0.06, 0.15), (-0.06, 0.15)], dark)
    pen.box(-0.045, 0.06, 0.045, 0.15, (255, 214, 140))
    pen.shape([(-0.06, 0.065), (0.06, 0.065), (0.0, 0.015)], dark)
    return lit_edge(pen.done(), palette.rim, from_left=True, strength=0.6)


def cottage(height: int, palette: Palette, *, is_dark: bool) -> Image.Image:
    """A small house with lit windows, standing at the bottom."""
    pen = Pen(height, wide=1.6)
    wall = mix((226, 212, 188), palette.near, 0.62 if is_dark else 0.15)
    roof = mix((112, 58, 48), palette.near, 0.5 if is_dark else 0.1)
    lit = palette.lamp if is_dark else mix((96, 116, 128), palette.near, 0.3)
    pen.box(0.26, 0.06, 0.38, 0.4, mix(roof, palette.ink, 0.3))
    pen.box(-0.52, 0.46, 0.52, 1.0, wall)
    pen.shape([(0.12, 0.46), (0.52, 0.46), (0.52, 1.0), (0.12, 1.0)], mix(wall, palette.ink, 0.14))
    pen.shape([(-0.64, 0.5), (-0.42, 0.14), (0.42, 0.14), (0.64, 0.5)], roof)
    pen.shape([(0.08, 0.14), (0.42, 0.14), (0.64, 0.5), (0.16, 0.5)], mix(roof, palette.ink, 0.2))
    for x in (-0.36, 0.3):
        pen.box(x - 0.09, 0.6, x + 0.09, 0.8, lit)
        pen.line([(x, 0.6), (x, 0.8)], 0.016, palette.ink)
        pen.line([(x - 0.09, 0.7), (x + 0.09, 0.7)], 0.016, palette.ink)
    pen.box(-0.1, 0.64, 0.08, 1.0, mix(palette.wood, palette.ink, 0.3))
    return pen.done()


def manor(height: int, palette: Palette, *, is_dark: bool) -> Image.Image:
    """A country house: two wings, a portico with a gable, rows of windows."""
    pen = Pen(height, wide=2.5)
    stone = mix((224, 208, 180), palette.near, 0.5 if is_dark else 0.1)
    shadow, roof = mix(stone, palette.ink, 0.22), mix((96, 92, 100), palette.near, 0.35)
    dark = mix(palette.ink, palette.near, 0.2)
    pane = mix((90, 104, 120), palette.near, 0.3)
    for x in (-0.86, -0.42, 0.42, 0.86):
        pen.box(x - 0.045, 0.1, x + 0.045, 0.34, shadow)
        pen.box(x - 0.06, 0.08, x + 0.06, 0.12, stone)
    pen.shape([(-1.16, 0.34), (-1.0, 0.2), (1.0, 0.2), (1.16, 0.34)], roof)
    pen.box(-1.12, 0.34, 1.12, 1.0, stone)
    pen.box(0.62, 0.34, 1.12, 1.0, mix(stone, palette.ink, 0.08))
    pen.box(-1.16, 0.325, 1.16, 0.36, mix(stone, (255, 255, 255), 0.15))
    pen.box(-1.12, 0.655, 1.12, 0.675, shadow)
    for row, (top, bottom) in enumerate(((0.42, 0.6), (0.73, 0.93))):
        for index in range(-6, 7):
            x = index * 0.167
            if abs(index) <= 1 and row:
                continue
            lit = is_dark and (index * 7 + row * 5) % 3 != 0
            pen.box(x - 0.045, top, x + 0.045, bottom, palette.lamp if lit else pane)
            pen.line([(x, top), (x, bottom)], 0.008, stone)
            pen.line([(x - 0.045, (top + bottom) / 2), (x + 0.045, (top + bottom) / 2)], 0.008, stone)
    pen.shape([(-0.36, 0.32), (0.0, 0.12), (0.36, 0.32)], stone)
    pen.shape([(-0.28, 0.305), (0.0, 0.15), (0.28, 0.305)], shadow)
    pen.oval((0.0, 0.25), (0.04, 0.04), stone)
    for x in (-0.3, -0.1, 0.1, 0.3):
        pen.box(x - 0.028, 0.36, x + 0.028, 1.0, mix(stone, (255, 255, 255), 0.22))
        pen.box(x + 0.008, 0.36, x + 0.028, 1.0, shadow)
    pen.box(-0.38, 0.31, 0.38, 0.36, mix(stone, (255, 255, 255), 0.2))
    pen.box(-0.055, 0.76, 0.055, 1.0, dark)
    return pen.done()


def car(height: int, palette: Palette, *, is_dark: bool) -> Image.Image:
    """A car from the side."""
    pen = Pen(height, wide=2.6)
    body = mix((150, 54, 46), palette.ink, 0.4)
    pen.blob(
        [
            (-1.1, 0.6),
            (-0.75, 0.48),
            (-0.45, 0.14),
            (0.1, 0.08),
            (0.45, 0.16),
            (0.72, 0.46),
            (1.1, 0.56),
            (1.16, 0.82),
            (0.0, 0.86),
            (-1.16, 0.84),
        ],
        body,
    )
    glass = mix(palette.sky[-1][1], palette.ink, 0.35)
    pen.shape([(-0.6, 0.46), (-0.38, 0.2), (-0.06, 0.16), (-0.06, 0.47)], glass)
    pen.shape([(0.0, 0.16), (0.34, 0.21), (0.56, 0.46), (0.0, 0.47)], glass)
    for x in (-0.66, 0.68):
        pen.oval((x, 0.82), (0.2, 0.18), palette.ink)
        pen.oval((x, 0.82), (0.09, 0.08), mix(palette.ink, palette.rim, 0.4))
    pen.oval((1.1, 0.64), (0.06, 0.06), (255, 236, 180) if is_dark else _WHITE)
    return lit_edge(pen.done(), palette.rim, from_left=True, strength=0.4)


def bird(span: int, lift: float, colour: Rgb) -> Image.Image:
    """A gull seen from afar; `lift` (-1..1) is how high its wings stand."""
    scale = OVERSAMPLING
    size = span * scale
    image = Image.new("RGBA", (size, size))
    draw = ImageDraw.Draw(image)
    middle = size / 2
    for side in (-1, 1):
        tip = (middle + side * size * 0.48, middle - lift * size * 0.24 + size * 0.05)
        elbow = (middle + side * size * 0.22, middle - size * 0.1 - lift * size * 0.12)
        draw.polygon(
            [
                (middle, middle - size * 0.02),
                elbow,
                tip,
                (elbow[0], elbow[1] + size * 0.06),
                (middle, middle + size * 0.06),
            ],
            fill=colour,
        )
    draw.ellipse(
        (middle - size * 0.06, middle - size * 0.045, middle + size * 0.09, middle + size * 0.065), fill=colour
    )
    return image.reduce(scale)
