"""A scene as a stage: the sky, and in front of it the place that the words name."""

# ruff: noqa: PLR2004 - the numbers are the drawing

from random import Random

from PIL import Image, ImageChops, ImageDraw

from worker.providers.storyboard import interior, weather
from worker.providers.storyboard.city import build_city
from worker.providers.storyboard.coast import build_beach, build_sea, build_tower
from worker.providers.storyboard.countryside import (
    build_estate,
    build_field,
    build_forest,
    build_hills,
    build_mountains,
    build_river,
)
from worker.providers.storyboard.palette import palette_of
from worker.providers.storyboard.planes import Canvas, Sprite, gradient, mix
from worker.providers.storyboard.stage import Stage
from worker.providers.storyboard.vocabulary import Scene

# Each place out of doors: what builds it, and how far down the picture its horizon lies.
_PLACES = {
    "sea": (build_sea, 0.56),
    "beach": (build_beach, 0.5),
    "tower": (build_tower, 0.7),
    "hills": (build_hills, 0.54),
    "mountains": (build_mountains, 0.56),
    "forest": (build_forest, 0.52),
    "field": (build_field, 0.5),
    "river": (build_river, 0.5),
    "city": (build_city, 0.52),
    "estate": (build_estate, 0.5),
}


def build(scene: Scene, *, width: int, height: int, seconds: float, random: Random, scene_index: int) -> Stage:
    """Everything that is to be seen in a scene, the `scene_index`th of its film."""
    # From side to side, so that neighbours differ even where their words do not.
    pan = (1 if scene_index % 2 else -1) * random.uniform(70, 120) * min(width, height) / 720 * min(1.0, seconds / 5)
    stage = Stage(
        width, height, scene, palette_of(scene), random, seconds, pan, Canvas.blank(width, height), scene_index
    )
    if scene.place == "room":
        interior.build_room(stage)
    else:
        build_place, share = _PLACES[scene.place]
        horizon = share * height
        _sky(stage, horizon)
        build_place(stage, horizon)
        weather.add_fall(stage)
    _shade_below(stage)
    return stage


def _sky(stage: Stage, horizon: float) -> None:
    scene, palette, random, unit = stage.scene, stage.palette, stage.random, stage.unit
    reach = round(horizon) + 40
    sky = gradient(stage.width, reach // 2 * 2, palette.sky, random)
    Sprite.opaque(sky).paste(stage.backdrop, 0, 0)
    below = gradient(
        stage.width, (stage.height - reach) // 2 * 2 + 2, ((0.0, palette.sky[-1][1]), (1.0, palette.near)), random
    )
    Sprite.opaque(below).paste(stage.backdrop, 0, reach // 2 * 2)
    if scene.hour == "night" and scene.weather in ("clear", "wind"):
        weather.add_stars(stage, horizon)
    # The glow of the hour stands on the horizon, under or beside sun and moon.
    side = 0.7 if stage.pan > 0 else 0.3
    at = (stage.width * side, horizon * (0.66 if scene.weather == "storm" else _height_of_disc(scene.hour)))
    hidden = scene.weather == "rain" or (scene.weather == "storm" and random.random() < 0.5)
    stage.glow(palette.glow, at, horizon * 1.05, 0.3 if hidden else 0.52)
    if scene.hour in ("dawn", "dusk"):
        stage.glow(palette.glow, (at[0], horizon), stage.width * 0.5, 0.4)
    if not hidden:
        stage.glow(palette.disc, at, 128 * unit, 0.42)
        size = round((46 if scene.hour == "night" else 54) * unit)
        disc = Image.new("L", (size * 8, size * 8))
        ImageDraw.Draw(disc).ellipse((8, 8, size * 8 - 9, size * 8 - 9), fill=255 if scene.weather != "fog" else 150)
        disc = disc.reduce(4)
        moon = Sprite.from_mask(disc, ((0.0, palette.disc), (1.0, mix(palette.disc, palette.glow, 0.35))), random)
        moon.paste(stage.backdrop, round(at[0] - size), round(at[1] - size))
        if scene.hour == "night":
            _craters(stage, at, size)
    weather.add_clouds(stage, horizon)
    if scene.weather == "storm" and hidden:
        weather.add_lightning(stage, horizon)
    if "bird" in scene.things or (
        scene.place in ("sea", "beach", "field") and scene.hour in ("dawn", "day") and not hidden
    ):
        weather.add_birds(stage, horizon)


def _height_of_disc(hour: str) -> float:
    return {"night": 0.36, "day": 0.26, "dawn": 0.74, "dusk": 0.78}[hour]


def _craters(stage: Stage, at: tuple[float, float], size: int) -> None:
    shade = mix(stage.palette.disc, stage.palette.glow, 0.55)
    for x, y, radius, strength in (
        (-0.3, -0.25, 0.26, 0.5),
        (0.25, 0.1, 0.34, 0.42),
        (-0.2, 0.42, 0.18, 0.5),
        (0.35, -0.42, 0.14, 0.4),
    ):
        stage.glow(shade, (at[0] + x * size, at[1] + y * size), radius * size * 1.5, strength)


def _shade_below(stage: Stage) -> None:
    """The lower part a little darker, so that the caption can be read on any ground."""
    tall = round(stage.height * 0.4)
    ramp = [round(150 * (level / 255) ** 1.2) for level in range(256)]
    mask = Image.linear_gradient("L").resize((stage.width, tall), Image.Resampling.BICUBIC).point(ramp)
    noise = Image.frombytes("L", mask.size, stage.random.randbytes(tall * stage.width)).point(
        [level // 86 for level in range(256)]
    )
    stage.light((6, 8, 14), [ImageChops.add(mask, noise)], (stage.width / 2, stage.height - tall / 2))
