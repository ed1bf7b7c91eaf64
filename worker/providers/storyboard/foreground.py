"""What stands in front of any place: people, trees, grass."""

import math

from PIL import Image, ImageDraw

from worker.providers.storyboard import figures
from worker.providers.storyboard.figures import LANTERN_AT
from worker.providers.storyboard.planes import Sprite, mix, soft
from worker.providers.storyboard.shapes import broadleaf, ridge, rolling
from worker.providers.storyboard.stage import Stage


def stand_people(stage: Stage, at: float, feet: float, tall: int, *, holding: str = "", depth: float = 0.85) -> None:
    """The scene's people, their shadow at their feet, and the light of what they hold."""
    scene, palette = stage.scene, stage.palette
    lit_from_left = (0.7 if stage.pan > 0 else 0.3) < at
    picture = figures.group(scene.people, tall, palette, stage.random, from_left=lit_from_left, holding=holding)
    x = stage.width * at
    shade = Image.new("L", (round(picture.width * 1.1), max(8, tall // 9)))
    ImageDraw.Draw(shade).ellipse((shade.width * 0.1, 2, shade.width * 0.9, shade.height - 3), fill=130)
    stage.light(palette.ink, [soft(shade, 4)], (x, feet - tall * 0.005), depth=depth)
    last = x + (picture.width - tall) / 2
    lantern = (last + LANTERN_AT[0] * tall, feet - tall + LANTERN_AT[1] * tall)
    if holding == "lantern":
        stage.glow(palette.lamp, lantern, tall * 1.25, 0.5, depth=depth, flickers=True)
    stage.stand(picture, x, feet, depth=depth)
    if holding == "lantern":
        stage.glow((255, 236, 190), lantern, tall * 0.24, 0.85, depth=depth, flickers=True)


def add_people_on_shore(stage: Stage) -> None:
    """People on a dark rise in front."""
    unit, palette, random = stage.unit, stage.palette, stage.random
    margin = stage.margin(1.0)
    width, tall = stage.width + 2 * margin, round(stage.height * 0.24)
    mask = ridge(width, tall, rolling(random, width, base=30 * unit, swing=14 * unit, wave=width * 0.7))
    ground = mix(palette.grass, palette.ink, 0.6)
    stage.put(
        Sprite.from_mask(mask, ((0.0, ground), (1.0, palette.ink)), random), -margin, stage.height - tall, depth=1.0
    )
    stand_people(stage, 0.66, stage.height - tall + 40 * unit, round(220 * unit), depth=1.0)


def add_tree(stage: Stage, at: float, foot: float, tall: int, depth: float) -> None:
    """A broad-leaved tree, `tall` pixels high."""
    palette = stage.palette
    colour = mix(palette.near, palette.ink, 0.35)
    leaf = Sprite.from_mask(
        broadleaf(stage.random, tall),
        ((0.0, mix(colour, palette.grass, 0.5)), (0.6, colour), (1.0, palette.ink)),
        stage.random,
    )
    stage.put(leaf, stage.width * at - tall * 0.47, foot - tall, depth=depth)


def add_grass(stage: Stage, foot: float, depth: float) -> None:
    """Dark grass along the lower edge, swaying a little in front of everything."""
    random, unit = stage.random, stage.unit
    width = stage.width + 2 * stage.margin(depth) + 24
    tall = round(96 * unit)
    big = Image.new("L", (width * 2, tall * 2))
    draw = ImageDraw.Draw(big)
    x = 0.0
    while x < width:
        share = 0.5 + 0.5 * math.sin(x / (150 * unit) + stage.pan)
        blade = random.uniform(0.25, 0.55 + 0.45 * share) * tall
        lean = random.uniform(-0.35, 0.35) * blade
        draw.polygon(
            [((x - 2.2 * unit) * 2, tall * 2), ((x + 2.2 * unit) * 2, tall * 2), ((x + lean) * 2, (tall - blade) * 2)],
            fill=255,
        )
        x += random.uniform(1.5, 6.5) * unit
    dark = mix(stage.palette.ink, stage.palette.grass, 0.18)
    stage.put(
        Sprite.from_mask(
            big.reduce(2), ((0.0, mix(dark, stage.palette.grass, 0.25)), (1.0, stage.palette.ink)), random
        ),
        -stage.margin(depth) - 12,
        foot - tall + 4,
        depth=depth,
        motion=lambda moment: (3 * unit * math.sin(moment * 1.2), 0.0),
    )
