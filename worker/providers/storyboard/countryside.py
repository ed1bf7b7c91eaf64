"""Places inland: ridge behind ridge, forest, field, river and country house."""

# ruff: noqa: PLR2004 - the numbers are the drawing

from collections.abc import Sequence

from PIL import Image, ImageChops, ImageDraw

from worker.providers.storyboard import figures, weather
from worker.providers.storyboard.foreground import add_grass, add_people_on_shore, add_tree, stand_people
from worker.providers.storyboard.planes import Rgb, Sprite, mix, soft
from worker.providers.storyboard.shapes import conifers, jagged, ridge, rolling
from worker.providers.storyboard.stage import Stage
from worker.providers.storyboard.water import add_floating, add_water


def build_hills(stage: Stage, horizon: float) -> None:
    """Round hills behind each other in a light haze."""
    _ranges(stage, horizon, rugged=False)
    _haze(stage, horizon)
    _near_ground(stage, horizon)


def build_mountains(stage: Stage, horizon: float) -> None:
    """Rugged ridges, with snow by day, and firs in front."""
    _ranges(stage, horizon, rugged=True)
    _near_ground(stage, horizon, firs=True)


def build_forest(stage: Stage, horizon: float) -> None:
    """Row behind row of firs, fog between them, and two trunks that frame the view."""
    palette, random, unit = stage.palette, stage.random, stage.unit
    for index in range(4):
        near = index / 3
        depth = 0.1 + 0.6 * near
        width = stage.width + 2 * stage.margin(depth)
        size = (120 + 190 * near) * unit
        line = rolling(random, width, base=size * 1.15, swing=20 * unit, wave=500 * unit)
        top = horizon - size * 0.95 + (stage.height - horizon) * 0.34 * near
        mask = conifers(
            random, width, round(stage.height - top), ground=line, size=size, spacing=(24 + 46 * near) * unit
        )
        colour = mix(mix(palette.ridge(0.1 + 0.9 * near), palette.grass, 0.18), palette.ink, 0.45 * near)
        stage.land(
            mask,
            ((0.0, colour), (0.5, mix(colour, palette.mist, 0.55 - 0.4 * near)), (1.0, mix(colour, palette.ink, 0.4))),
            top,
            depth=depth,
        )
        if index == 1:
            weather.add_fog(stage, horizon + 30 * unit, strength=0.5)
    if stage.scene.people:
        stand_people(
            stage,
            0.56,
            stage.height * 0.8,
            round(200 * unit),
            holding="lantern" if "lantern" in stage.scene.things else "",
        )
    # Two trunks frame the view.
    for at, wide in ((0.03, 74), (0.955, 96)):
        pen_width = round(wide * unit)
        trunk = Image.new("L", (pen_width * 2, stage.height))
        draw = ImageDraw.Draw(trunk)
        draw.polygon(
            [
                (pen_width * 0.62, 0),
                (pen_width * 1.38, 0),
                (pen_width * 1.6, stage.height),
                (pen_width * 0.4, stage.height),
            ],
            fill=255,
        )
        stage.put(
            Sprite.from_mask(trunk, ((0.0, palette.ink), (1.0, palette.ink)), random),
            stage.width * at - pen_width,
            0,
            depth=1.0,
        )
    add_grass(stage, stage.height, 1.0)


def build_field(stage: Stage, horizon: float) -> None:
    """Golden fields before low hills, with a few trees."""
    palette, random, unit = stage.palette, stage.random, stage.unit
    _ranges(stage, horizon, rugged=False)
    for index in range(3):
        depth = 0.45 + 0.18 * index
        width = stage.width + 2 * stage.margin(depth)
        top = horizon + (20 + 66 * index) * unit
        outline = rolling(random, width, base=30 * unit, swing=16 * unit, wave=width * 0.6)
        gold = mix(palette.grass, palette.glow, 0.34 - 0.12 * index)
        stage.land(
            ridge(width, round(stage.height - top), outline),
            ((0.0, mix(gold, palette.foam, 0.15)), (0.4, gold), (1.0, mix(gold, palette.ink, 0.45))),
            top,
            depth=depth,
        )
        if index == 0:
            for _ in range(3):
                add_tree(
                    stage, random.uniform(0.05, 0.95), top + 40 * unit, round(random.uniform(80, 130) * unit), depth
                )
    if stage.scene.people:
        stand_people(stage, 0.36 if stage.pan > 0 else 0.64, horizon + 190 * unit, round(215 * unit))
    add_grass(stage, stage.height, 1.0)


def build_river(stage: Stage, horizon: float) -> None:
    """A quiet river with firs along the far bank and mountains behind."""
    palette, random, unit = stage.palette, stage.random, stage.unit
    _ranges(stage, horizon, rugged=True)
    width = stage.width + 2 * stage.margin(0.3)
    line = rolling(random, width, base=96 * unit, swing=8 * unit, wave=500 * unit)
    shore = conifers(random, width, round(130 * unit), ground=line, size=80 * unit, spacing=20 * unit)
    stage.land(
        shore,
        ((0.0, palette.ridge(0.5)), (1.0, mix(palette.ridge(0.5), palette.mist, 0.5))),
        horizon - 66 * unit,
        depth=0.3,
    )
    add_water(stage, horizon + 44 * unit, stage.height, rough=0.35, depth_from=0.35)
    if stage.scene.things & {"boat", "ship"}:
        add_floating(
            stage,
            figures.fishing_boat(round(120 * unit), palette, is_dark=stage.is_dark),
            0.58,
            horizon + 130 * unit,
            2.5,
            lamp=True,
        )
    if stage.scene.people:
        add_people_on_shore(stage)
    else:
        add_grass(stage, stage.height, 1.0)


def build_estate(stage: Stage, horizon: float) -> None:
    """A country house behind its lawn, trees on either side, people walking in front."""
    palette, random, unit, scene = stage.palette, stage.random, stage.unit, stage.scene
    _ranges(stage, horizon, rugged=False)
    lawn = horizon + 66 * unit
    at = 0.5 if stage.is_tall else 0.58 if stage.pan > 0 else 0.42
    house = figures.manor(round((190 if stage.is_tall else 252) * unit), palette, is_dark=stage.is_dark)
    stage.stand(house, stage.width * at, lawn + 10 * unit, depth=0.4)
    if stage.is_dark:
        stage.glow(palette.lamp, (stage.width * at, lawn - 60 * unit), 400 * unit, 0.26, depth=0.4)
    width = stage.width + 2 * stage.margin(0.55)
    stage.land(
        ridge(
            width, round(stage.height - lawn) + 40, rolling(random, width, base=18 * unit, swing=7 * unit, wave=width)
        ),
        (
            (0.0, mix(palette.grass, palette.foam, 0.2)),
            (0.35, palette.grass),
            (1.0, mix(palette.grass, palette.ink, 0.55)),
        ),
        lawn - 10 * unit,
        depth=0.55,
    )
    drive = Image.new("L", (round(760 * unit), round(stage.height - lawn)))
    draw = ImageDraw.Draw(drive)
    middle = drive.width / 2
    draw.polygon(
        [(middle - 16 * unit, 0), (middle + 16 * unit, 0), (drive.width, drive.height), (0, drive.height)], fill=255
    )
    gravel = mix(palette.sand, palette.ink, 0.12)
    stage.put(
        Sprite.from_mask(
            soft(drive, 1.5), ((0.0, mix(gravel, palette.foam, 0.1)), (1.0, mix(gravel, palette.ink, 0.5))), random
        ),
        stage.width * at - middle,
        lawn + 8 * unit,
        depth=0.55,
    )
    for place, size in ((0.06, 300), (0.22, 190), (0.95, 320), (0.82, 200)):
        add_tree(stage, place, lawn + (36 + size * 0.1) * unit, round(size * unit), 0.6)
    if scene.people:
        stand_people(stage, 0.3 if at > 0.5 else 0.68, lawn + 150 * unit, round(225 * unit), depth=0.85)
    add_grass(stage, stage.height, 1.0)


def _ranges(stage: Stage, horizon: float, *, rugged: bool) -> None:
    """Ridge behind ridge, paler with distance, mist at their feet."""
    palette, random, unit = stage.palette, stage.random, stage.unit
    count = 4
    for index in range(count):
        near = (index + 0.2) / count
        depth = 0.08 + 0.42 * near
        width = stage.width + 2 * stage.margin(depth)
        height = stage.height - horizon + (230 - 150 * near) * unit
        swing = (110 - 66 * near) * unit if rugged and index < 3 else (52 - 14 * near) * unit
        base = swing * 1.1
        top = horizon - (170 - 205 * near) * unit * (1.2 if rugged else 0.62)
        outline = (
            jagged(random, width, base=base, swing=swing, wave=(330 + 120 * index) * unit)
            if rugged and index < 3
            else rolling(random, width, base=base, swing=swing, wave=(520 + 160 * index) * unit)
        )
        colour = palette.ridge(near)
        mask = ridge(width, round(height), outline)
        stage.land(
            mask, ((0.0, colour), (0.42, mix(colour, palette.mist, 0.62 - 0.3 * near)), (1.0, colour)), top, depth=depth
        )
        if rugged and index < 2 and stage.scene.hour != "night":
            _snow_caps(stage, outline, width, swing, top, depth, colour)
    if stage.scene.weather == "fog":
        weather.add_fog(stage, horizon, strength=0.75)


def _snow_caps(
    stage: Stage, outline: Sequence[float], width: int, swing: float, top: float, depth: float, colour: Rgb
) -> None:
    """White on the tops, broken along the slope."""
    random = stage.random
    lowest = swing * 0.85
    mask = ridge(width, round(lowest * 1.6), outline)
    ragged = ridge(width, mask.height, [lowest + random.uniform(-0.16, 0.16) * swing for _ in range(width // 12)])
    caps = ImageChops.subtract(mask, ragged)
    snow = mix((250, 250, 255), stage.palette.sky[-1][1], 0.3)
    stage.put(
        Sprite.from_mask(
            caps.point([round(v * 0.8) for v in range(256)]), ((0.0, snow), (1.0, mix(snow, colour, 0.5))), random
        ),
        -stage.margin(depth),
        top,
        depth=depth,
    )


def _haze(stage: Stage, horizon: float) -> None:
    """A light veil that holds the far ridges and the ground before us apart."""
    stage.glow(stage.palette.mist, (stage.width * 0.5, horizon + 60 * stage.unit), stage.width * 0.6, 0.16)


def _near_ground(stage: Stage, horizon: float, *, firs: bool = False) -> None:
    """The ground we stand on, with whatever the words put there."""
    scene, palette, random, unit = stage.scene, stage.palette, stage.random, stage.unit
    depth = 0.8
    width = stage.width + 2 * stage.margin(depth)
    top = horizon + (stage.height - horizon) * 0.3
    tall = round(stage.height - top + 60 * unit)
    outline = rolling(random, width, base=46 * unit, swing=26 * unit, wave=width * 0.75)
    ground = palette.grass
    side = 0.28 if stage.pan > 0 else 0.72
    if firs or scene.weather == "snow":
        for index in range(2):
            back = 0.5 + 0.2 * index
            back_width = stage.width + 2 * stage.margin(back)
            line = rolling(random, back_width, base=190 * unit, swing=22 * unit, wave=420 * unit)
            mask = conifers(
                random,
                back_width,
                round(stage.height - top + 190 * unit),
                ground=line,
                size=(95 + 55 * index) * unit,
                spacing=(26 + 16 * index) * unit,
            )
            colour = palette.ridge(0.55 + 0.25 * index)
            stage.land(
                mask,
                ((0.0, colour), (0.45, mix(colour, palette.mist, 0.35)), (1.0, colour)),
                top - (175 - 40 * index) * unit,
                depth=back,
            )
    stage.land(
        ridge(width, tall, outline),
        ((0.0, mix(ground, palette.foam, 0.12)), (0.25, ground), (1.0, mix(ground, palette.ink, 0.6))),
        top - 36 * unit,
        depth=depth,
    )
    feet = top + 46 * unit
    if "house" in scene.things:
        house = figures.cottage(round(150 * unit), palette, is_dark=stage.is_dark)
        stage.stand(house, stage.width * side, feet, depth=depth)
        if stage.is_dark:
            stage.glow(palette.lamp, (stage.width * side, feet - 40 * unit), 190 * unit, 0.34, depth=depth)
    elif "car" in scene.things:
        stage.stand(
            figures.car(round(88 * unit), palette, is_dark=stage.is_dark),
            stage.width * side,
            feet + 26 * unit,
            depth=depth,
            motion=lambda moment: (22 * unit * moment, 0.0),
        )
    elif "tree" in scene.things or not firs:
        add_tree(stage, side, feet + 10 * unit, round(random.uniform(270, 340) * unit), depth)
    if scene.people:
        stand_people(
            stage,
            1 - side if not stage.is_tall else 0.55,
            feet + 26 * unit,
            round(205 * unit),
            holding="lantern" if "lantern" in scene.things and stage.is_dark else "",
            depth=depth,
        )
    add_grass(stage, stage.height, 1.0)
