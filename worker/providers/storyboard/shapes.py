"""Outlines: ridges, waves, clouds and hand-drawn shapes, as masks."""

import math
from collections.abc import Sequence
from itertools import pairwise
from random import Random

from PIL import Image, ImageChops, ImageDraw

Point = tuple[float, float]

# Shapes are drawn so much larger and reduced: Pillow draws without smoothing.
OVERSAMPLING = 3


def spline(points: Sequence[Point], *, steps: int = 8) -> list[Point]:
    """A closed smooth curve through the points (Catmull-Rom)."""
    count = len(points)
    curve = []
    for index in range(count):
        before, start, end, after = (points[(index + shift) % count] for shift in (-1, 0, 1, 2))
        for step in range(steps):
            t = step / steps
            x, y = (
                0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
                for a, b, c, d in zip(before, start, end, after, strict=True)
            )
            curve.append((x, y))
    return curve


def ridge(width: int, height: int, top: Sequence[float]) -> Image.Image:
    """A mask that is filled below `top`: one height per column step, spread evenly over the width."""
    big = Image.new("L", (width * 2, height * 2))
    step = width * 2 / (len(top) - 1)
    outline = [(index * step, level * 2) for index, level in enumerate(top)]
    ImageDraw.Draw(big).polygon([*outline, (width * 2, height * 2), (0, height * 2)], fill=255)
    return big.reduce(2)


def rolling(random: Random, width: int, *, base: float, swing: float, wave: float, step: int = 4) -> list[float]:
    """Heights of gentle hills, one per `step` pixels: `wave` is the length of the longest swell."""
    parts = [
        (wave / factor, random.uniform(0, math.tau), swing * share)
        for factor, share in ((1, 0.6), (2.3, 0.28), (4.9, 0.12))
    ]
    return [
        base + sum(size * math.sin(math.tau * x / length + phase) for length, phase, size in parts)
        for x in range(0, width + step, step)
    ]


def jagged(random: Random, width: int, *, base: float, swing: float, wave: float) -> list[float]:
    """Heights of mountains: peaks with broken slopes."""
    count = max(3, round(width / wave * 2) + 2)
    anchors = [
        base + swing * (random.uniform(-1.0, -0.25) if index % 2 else random.uniform(0.25, 0.8))
        for index in range(count)
    ]
    roughness = swing * 0.3
    length = 1
    while (count - 1) * length < width / 14:
        finer = []
        for one, other in pairwise(anchors):
            finer += [one, (one + other) / 2 + random.uniform(-roughness, roughness)]
        anchors = [*finer, anchors[-1]]
        length *= 2
        roughness *= 0.5
    return anchors


def conifers(
    random: Random, width: int, height: int, *, ground: Sequence[float], size: float, spacing: float
) -> Image.Image:
    """A mask of firs standing on a ground line, the ground filled."""
    big = Image.new("L", (width * 2, height * 2))
    draw = ImageDraw.Draw(big)
    step = width / (len(ground) - 1)
    x = -spacing
    while x < width + spacing:
        tall = size * random.uniform(0.55, 1.15)
        foot = ground[min(len(ground) - 1, max(0, round(x / step)))] + size * 0.1
        _fir(draw, x * 2, foot * 2, tall * 2, random)
        x += spacing * random.uniform(0.5, 1.5)
    outline = [(index * step * 2, level * 2) for index, level in enumerate(ground)]
    draw.polygon([*outline, (width * 2, height * 2), (0, height * 2)], fill=255)
    return big.reduce(2)


def _fir(draw: ImageDraw.ImageDraw, x: float, foot: float, tall: float, random: Random) -> None:
    half = tall * random.uniform(0.17, 0.23)
    tiers = 5
    left, right = [], []
    for tier in range(tiers):
        high = foot - tall + tall * 0.92 * (tier + 1) / tiers
        reach = half * (tier + 1) / tiers
        left += [(x - reach * random.uniform(0.9, 1.1), high), (x - reach * 0.5, high - tall * 0.025)]
        right += [(x + reach * random.uniform(0.9, 1.1), high), (x + reach * 0.5, high - tall * 0.025)]
    draw.polygon([(x, foot - tall), *right, *reversed(left)], fill=255)
    draw.rectangle((x - tall * 0.02, foot - tall * 0.1, x + tall * 0.02, foot), fill=255)


def broadleaf(random: Random, size: int) -> Image.Image:
    """A mask of one leafy tree, `size` tall, standing at the bottom of the picture."""
    scale = OVERSAMPLING
    wide, tall = round(size * 0.95) * scale, size * scale
    big = Image.new("L", (wide, tall))
    draw = ImageDraw.Draw(big)
    middle = wide / 2
    draw.polygon(
        spline(
            [
                (middle - tall * 0.055, tall * 1.02),
                (middle - tall * 0.024, tall * 0.8),
                (middle - tall * 0.03, tall * 0.5),
                (middle + tall * 0.03, tall * 0.5),
                (middle + tall * 0.026, tall * 0.8),
                (middle + tall * 0.06, tall * 1.02),
            ]
        ),
        fill=255,
    )
    for side, reach, high in ((-1, 0.2, 0.5), (1, 0.22, 0.46), (-1, 0.1, 0.4)):
        draw.line((middle, tall * 0.68, middle + side * tall * reach, tall * high), fill=255, width=round(tall * 0.022))
    for _ in range(46):
        angle, far = random.uniform(0, math.tau), math.sqrt(random.random())
        x = middle + math.cos(angle) * far * tall * 0.34
        y = tall * 0.36 + math.sin(angle) * far * tall * 0.25
        radius = tall * random.uniform(0.05, 0.11) * (1.15 - 0.5 * far)
        draw.ellipse((x - radius * 1.15, y - radius, x + radius * 1.15, y + radius), fill=255)
    return big.reduce(scale)


def cloud(random: Random, width: int, height: int) -> Image.Image:
    """A mask of one cloud, flat below, piled above."""
    scale = 2
    big = Image.new("L", (width * scale, height * scale))
    draw = ImageDraw.Draw(big)
    floor = height * scale * 0.86
    for _ in range(14):
        place = random.uniform(-1, 1)
        x = width * scale * (0.5 + 0.36 * place)
        radius = height * scale * random.uniform(0.16, 0.34) * (1.15 - 0.75 * abs(place))
        draw.ellipse((x - radius * 1.7, floor - radius * 1.6, x + radius * 1.7, floor + radius * 0.6), fill=255)
    draw.rectangle((0, floor, width * scale, height * scale), fill=0)
    draw.rounded_rectangle(
        (width * scale * 0.06, floor - height * scale * 0.1, width * scale * 0.94, floor),
        radius=height * scale * 0.05,
        fill=255,
    )
    # Clouds thin out downwards.
    fade = (
        Image.linear_gradient("L")
        .rotate(180)
        .resize(big.size)
        .point([min(255, 70 + round(level * 0.95)) for level in range(256)])
    )
    return ImageChops.multiply(big, fade).reduce(scale)


def bank(random: Random, width: int, height: int) -> Image.Image:
    """A mask of a long heavy bank of cloud that hangs from above, ragged below."""
    big = Image.new("L", (width, height))
    draw = ImageDraw.Draw(big)
    draw.rectangle((0, 0, width, height * 0.35), fill=255)
    x = -height * 0.5
    while x < width + height * 0.5:
        radius = height * random.uniform(0.22, 0.45)
        level = height * random.uniform(0.2, 0.42)
        draw.ellipse((x - radius * 2.2, level - radius, x + radius * 2.2, level + radius), fill=255)
        x += radius * random.uniform(0.8, 1.6)
    return big
