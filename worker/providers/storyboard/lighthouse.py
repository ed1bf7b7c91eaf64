"""The lighthouse, far off or close by, and the two beams that turn around its lamp."""

import math
from collections.abc import Sequence

from PIL import Image, ImageChops, ImageDraw

from worker.providers.storyboard import figures
from worker.providers.storyboard.figures import LAMP_AT
from worker.providers.storyboard.planes import Canvas, Light, mix, soft
from worker.providers.storyboard.stage import Stage
from worker.providers.storyboard.water import add_surf


def add_lighthouse(stage: Stage, horizon: float, at: float, share: float, *, depth: float = 0.3) -> None:
    """The tower on its rock with the beam turning; `share` is its height, of the picture above the caption."""
    unit = stage.unit
    tall = round(min(stage.height * 0.62, 560 * unit) * share)
    foot = horizon + tall * 0.09
    tower = figures.lighthouse(tall, stage.palette, is_dark=stage.is_dark)
    x = stage.width * at
    lamp = (x, foot - tall + LAMP_AT * tall)
    if stage.is_dark:
        add_beam(stage, lamp, stage.width * 0.72, depth=depth)
    stage.stand(tower, x, foot, depth=depth)
    if stage.is_dark:
        stage.glow(stage.palette.lamp, lamp, tall * 0.34, 0.7, depth=depth)
    else:
        stage.glow((255, 250, 230), lamp, tall * 0.1, 0.3, depth=depth)
    add_surf(stage, x, foot, tall * 0.78, depth=depth, share=0.2)


def lamp_room(stage: Stage, tall: int) -> Image.Image:
    """Glass, dome and gallery of a lighthouse, `tall` pixels for tower and all; the lamp is at 0.36 from the top."""
    palette = stage.palette
    pen = figures.Pen(tall, wide=0.8)
    dark = mix(palette.ink, palette.near, 0.25)
    red, white = mix((150, 46, 40), palette.ink, 0.35), mix((214, 210, 202), palette.near, 0.62)
    glass = mix(palette.lamp, palette.sky[1][1], 0.25)
    pen.box(-0.13, 0.235, 0.13, 0.46, glass)
    pen.oval((0.0, 0.36), (0.05, 0.08), (255, 244, 210))
    for x in (-0.13, -0.065, 0.0, 0.065, 0.13):
        pen.line([(x, 0.225), (x, 0.47)], 0.008, dark)
    for y in (0.235, 0.31, 0.385, 0.46):
        pen.line([(-0.134, y), (0.134, y)], 0.007, dark)
    pen.blob(
        [
            (-0.165, 0.24),
            (-0.14, 0.2),
            (-0.075, 0.125),
            (0.0, 0.1),
            (0.075, 0.125),
            (0.14, 0.2),
            (0.165, 0.24),
            (0.0, 0.25),
        ],
        red,
    )
    pen.blob(
        [(0.04, 0.12), (0.09, 0.135), (0.145, 0.2), (0.165, 0.24), (0.09, 0.246), (0.08, 0.17)], mix(red, dark, 0.4)
    )
    pen.oval((0.0, 0.095), (0.022, 0.022), dark)
    pen.line([(0.0, 0.02), (0.0, 0.1)], 0.007, dark)
    pen.shape([(-0.27, 0.5), (0.27, 0.5), (0.24, 0.535), (-0.24, 0.535)], dark)
    pen.shape([(-0.2, 0.535), (0.2, 0.535), (0.165, 0.57), (-0.165, 0.57)], mix(dark, white, 0.25))
    for left, right, share in ((-1.0, 1.0, 0.0), (-0.2, 1.0, 0.2), (0.25, 1.0, 0.38), (0.62, 1.0, 0.55)):
        top, low = 0.165, 0.205
        pen.shape(
            [(top * left, 0.57), (top * right, 0.57), (low * right, 1.0), (low * left, 1.0)], mix(white, dark, share)
        )
    pen.shape([(-0.172, 0.74), (0.178, 0.74), (0.192, 0.93), (-0.19, 0.93)], mix(red, dark, 0.2))
    for left, share in ((-0.04, 0.2), (0.05, 0.38), (0.115, 0.55)):
        pen.shape([(left, 0.74), (0.178, 0.74), (0.192, 0.93), (left * 1.06, 0.93)], mix(red, dark, 0.2 + share))
    pen.box(-0.13, 0.46, 0.13, 0.5, mix(white, dark, 0.4))
    return pen.done()


def add_rail(stage: Stage, x: float, floor: float, tall: int) -> None:
    """The gallery's rail, in front of whoever stands there."""
    pen = figures.Pen(round(tall * 0.14), wide=4.4)
    dark = mix(stage.palette.ink, stage.palette.near, 0.15)
    wide = 0.27 / 0.14
    for post in range(-9, 10):
        pen.line([(post / 9 * wide, 0.1), (post / 9 * wide, 1.0)], 0.035, dark)
    for y in (0.12, 0.5):
        pen.line([(-wide - 0.02, y), (wide + 0.02, y)], 0.05, dark)
    picture = pen.done()
    stage.put(picture, x - picture.width / 2, floor - picture.height + 4, depth=0.7)


def add_beam(stage: Stage, lamp: tuple[float, float], reach: float, *, depth: float, seconds: float = 6.5) -> None:
    """Two opposite beams that turn; towards and away from us they are short and wide."""
    stage.layers.append(_Beam.of(stage, lamp, reach, depth, seconds))


class _Beam:
    """Two opposite beams turning around a lamp, seen from the side."""

    STEPS = 16

    def __init__(
        self,
        stage: Stage,
        lamp: tuple[float, float],
        depth: float,
        seconds: float,
        lights: Sequence[tuple[Light, Light]],
    ) -> None:
        self._stage, self._lamp, self._depth, self._seconds, self._lights = stage, lamp, depth, seconds, lights
        self._start = stage.random.uniform(0.1, 0.5)

    @classmethod
    def of(cls, stage: Stage, lamp: tuple[float, float], reach: float, depth: float, seconds: float) -> "_Beam":
        full_width, full_height = round(reach / 2), round(reach * 0.2)
        cone = Image.new("L", (full_width, full_height))
        draw = ImageDraw.Draw(cone)
        middle = full_height / 2
        for share, level in ((1.0, 70), (0.72, 120), (0.45, 170), (0.2, 215)):
            spread = middle * 0.8 * share
            draw.polygon(
                [
                    (0, middle - 5 * share),
                    (full_width, middle - spread),
                    (full_width, middle + spread),
                    (0, middle + 5 * share),
                ],
                fill=level,
            )
        fade = Image.linear_gradient("L").rotate(90).resize(cone.size)
        # Bright at the lamp, nothing at the far end.
        fade = fade.point([round(255 * ((255 - level) / 255) ** 1.4) for level in range(256)])
        cone = soft(ImageChops.multiply(cone, fade), 4)
        lights = []
        colour = mix(stage.palette.lamp, (255, 250, 232), 0.5)
        for step in range(1, cls.STEPS + 1):
            share = step / cls.STEPS
            size = (max(8, round(reach * share)), round(reach * 0.2 * (1.35 - 0.35 * share)))
            mask = cone.resize(size, Image.Resampling.BICUBIC).point(
                [round(level * (0.26 + 0.42 * share)) for level in range(256)]
            )
            lights.append((Light.of(colour, mask.transpose(Image.Transpose.FLIP_LEFT_RIGHT)), Light.of(colour, mask)))
        return cls(stage, lamp, depth, seconds, lights)

    def draw(self, canvas: Canvas, moment: float) -> None:
        across = math.cos(math.tau * (moment / self._seconds + self._start))
        step = min(self.STEPS - 1, int(abs(across) * self.STEPS))
        x, y = self._lamp[0] + self._stage.shift(self._depth, moment), self._lamp[1]
        left, right = self._lights[step]
        left.paste(canvas, round(x - left.mask.width), round(y - left.mask.height / 2))
        right.paste(canvas, round(x), round(y - right.mask.height / 2))
