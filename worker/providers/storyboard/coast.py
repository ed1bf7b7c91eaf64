"""Places by the sea: open water with ships and rocks, the beach, the lamp room high above."""

# ruff: noqa: PLR2004 - the numbers are the drawing

import math
from random import Random

from PIL import Image, ImageDraw

from worker.providers.storyboard import figures, weather
from worker.providers.storyboard.foreground import add_grass, add_people_on_shore, stand_people
from worker.providers.storyboard.lighthouse import add_beam, add_lighthouse, add_rail, lamp_room
from worker.providers.storyboard.planes import Canvas, Light, Sprite, mix, soft
from worker.providers.storyboard.shapes import ridge, rolling
from worker.providers.storyboard.stage import Stage, bobbing
from worker.providers.storyboard.water import add_floating, add_surf, add_water


def build_sea(stage: Stage, horizon: float) -> None:
    """Open water, with a headland, lighthouse, rocks, ships or boats as the words ask."""
    scene, unit, random = stage.scene, stage.unit, stage.random
    side = 0.3 if stage.pan > 0 else 0.72
    if scene.things & {"rock"} or random.random() < 0.6:
        _headland(stage, horizon, right=side < 0.5)
    add_water(stage, horizon, stage.height)
    if "lighthouse" in scene.things:
        add_lighthouse(stage, horizon, side, 0.66 if scene.things & {"boat", "ship", "bell"} else 0.86)
    if "rock" in scene.things:
        _rocks(stage, horizon, 1 - side)
    _afloat(stage, horizon, 1 - side if "lighthouse" in scene.things else random.choice((0.36, 0.62)))
    if scene.people and scene.people not in ("man", "keeper") and not scene.things & {"boat", "ship", "bell"}:
        add_people_on_shore(stage)
    if scene.weather == "fog":
        weather.add_fog(stage, horizon + 30 * unit, strength=0.6)


def build_beach(stage: Stage, horizon: float) -> None:
    """The shore seen from the dunes: water, foam, wet and dry sand, people or grass in front."""
    scene, unit, palette, random = stage.scene, stage.unit, stage.palette, stage.random
    side = 0.26 if stage.pan > 0 else 0.76
    shore = horizon + (stage.height - horizon) * 0.36
    _headland(stage, horizon, right=side > 0.5)
    if scene.things & {"lighthouse", "lantern", "lamp"}:
        add_lighthouse(stage, horizon, side, 0.46, depth=0.15)
    add_water(stage, horizon, shore + 30 * unit, rough=0.75)
    margin = stage.margin(0.8)
    width, tall = stage.width + 2 * margin, round(stage.height - shore + 34 * unit)
    heights = rolling(random, width, base=20 * unit, swing=13 * unit, wave=width * 0.8)
    wet = mix(mix(palette.sand, palette.deep, 0.45), palette.ink, 0.12)
    foam = ridge(width, tall, [level - 7 * unit for level in heights])
    stage.put(
        Sprite.from_mask(foam, ((0.0, palette.foam), (1.0, palette.foam)), random),
        -margin,
        shore - 22 * unit,
        depth=0.8,
        motion=bobbing(3.5 * unit, 3.4),
    )
    wet_mask = ridge(width, tall, heights)
    stage.put(
        Sprite.from_mask(wet_mask, ((0.0, mix(wet, palette.foam, 0.25)), (0.2, wet), (1.0, palette.sand)), random),
        -margin,
        shore - 20 * unit,
        depth=0.8,
    )
    dry = ridge(width, tall, rolling(random, width, base=20 * unit, swing=12 * unit, wave=width * 0.55))
    stage.put(
        Sprite.from_mask(
            dry,
            (
                (0.0, palette.sand),
                (0.5, mix(palette.sand, palette.ink, 0.3)),
                (1.0, mix(palette.sand, palette.ink, 0.55)),
            ),
            random,
        ),
        -margin,
        shore + 22 * unit,
        depth=0.82,
    )
    holding = "lantern" if scene.things & {"lantern", "lamp"} and stage.is_dark else ""
    feet = shore + (stage.height - shore) * 0.24
    if "boat" in scene.things or scene.people == "three":
        boat = figures.fishing_boat(round(150 * unit), palette, is_dark=stage.is_dark)
        stage.stand(
            boat,
            stage.width * (0.44 if side < 0.5 else 0.56),
            shore + 26 * unit,
            depth=0.7,
            motion=bobbing(2 * unit, 3.4),
        )
    if scene.people:
        tall_person = round((268 if scene.people in ("keeper", "man", "gentleman", "lady") else 205) * unit)
        stand_people(
            stage,
            1 - side if abs(side - 0.5) > 0.2 and not stage.is_tall else 0.52,
            feet,
            tall_person,
            holding=holding,
            depth=0.85,
        )
    else:
        add_grass(stage, stage.height * 0.99, 0.95)


def build_tower(stage: Stage, horizon: float) -> None:
    """The lamp room of the lighthouse close by, the sea far below."""
    unit, palette = stage.unit, stage.palette
    right = stage.pan < 0
    _headland(stage, horizon, right=not right)
    add_water(stage, horizon, stage.height)
    x = stage.width * (0.5 if stage.is_tall else 0.68 if right else 0.32)
    lamp = (x, stage.height * (0.41 if not stage.is_tall else 0.38))
    tall = round(800 * unit)
    top = lamp[1] - 0.36 * tall
    add_beam(stage, lamp, stage.width * 0.95, depth=0.7, seconds=7.5)
    stage.glow(palette.lamp, lamp, 330 * unit, 0.5, depth=0.7)
    room = lamp_room(stage, tall)
    stage.put(room, x - room.width / 2, top, depth=0.7)
    stage.glow((255, 232, 176), lamp, 132 * unit, 0.92, depth=0.7, flickers=True)
    keeper = figures.person("keeper", round(190 * unit), palette, from_left=not right)
    stage.put(
        keeper,
        x + (0.19 if right else -0.19) * tall * 0.66 - keeper.width / 2,
        top + 0.5 * tall - keeper.height + 4,
        depth=0.7,
    )
    add_rail(stage, x, top + 0.5 * tall, tall)


def _headland(stage: Stage, horizon: float, *, right: bool) -> None:
    """Two low capes that run out into the water from one side."""
    random, unit, palette = stage.random, stage.unit, stage.palette
    for index in range(2):
        width, tall = round(stage.width * (0.62 - 0.18 * index)), round((70 + 34 * index) * unit)
        heights = rolling(random, width, base=tall * 0.42, swing=tall * 0.26, wave=width * 0.6)
        slope = len(heights)
        heights = [
            level + (tall - level) * max(0.0, (place / slope - 0.25) / 0.75) ** 1.6
            for place, level in enumerate(heights)
        ]
        mask = ridge(width, tall, heights)
        if right:
            mask = mask.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        colour = palette.ridge(0.12 + 0.22 * index)
        x = stage.width - width + stage.margin(0.1) if right else -stage.margin(0.1)
        stage.put(
            Sprite.from_mask(mask, ((0.0, colour), (1.0, mix(colour, palette.mist, 0.4))), random),
            x,
            horizon - tall + 3,
            depth=0.08 + 0.04 * index,
        )


def _afloat(stage: Stage, horizon: float, at: float) -> None:
    """The ship, boat or bell of the words; a ship far out where they name none."""
    scene, unit, random = stage.scene, stage.unit, stage.random
    rough = 2.0 if scene.weather == "storm" else 1.0
    at_water = horizon + (stage.height - horizon) * 0.28
    if "ship" in scene.things:
        add_floating(stage, figures.sailing_ship(round(250 * unit), stage.palette), at, at_water, 4 * rough)
    elif "boat" in scene.things:
        boat = figures.fishing_boat(round(165 * unit), stage.palette, is_dark=stage.is_dark)
        if random.random() < 0.5:
            boat = boat.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        add_floating(stage, boat, at, at_water, 6 * rough, lamp=True)
        if "bell" in scene.things:
            add_floating(
                stage,
                figures.bell_buoy(round(120 * unit), stage.palette),
                at + (0.3 if at < 0.5 else -0.3),
                at_water + 30 * unit,
                7 * rough,
            )
    elif "bell" in scene.things:
        add_floating(
            stage, figures.bell_buoy(round(215 * unit), stage.palette), at, at_water + 40 * unit, 8 * rough, lamp=True
        )
    elif not scene.things & {"lighthouse", "rock"}:
        add_floating(
            stage,
            figures.sailing_ship(round(110 * unit), stage.palette),
            at,
            horizon + (stage.height - horizon) * 0.07,
            2 * rough,
        )


def _rocks(stage: Stage, horizon: float, at: float) -> None:
    """Rocks in the surf, and spray thrown up by every wave."""
    unit, palette, random = stage.unit, stage.palette, stage.random
    foot = horizon + (stage.height - horizon) * 0.36
    for place, size, depth in ((at - 0.2, 0.6, 0.5), (at, 1.0, 0.55), (at + 0.17, 0.7, 0.6)):
        pen = figures.Pen(round(190 * unit * size), wide=1.9)
        stone, lit = mix(palette.ink, palette.near, 0.4), mix(mix(palette.ink, palette.near, 0.4), palette.rim, 0.3)
        peak = random.uniform(-0.25, 0.2)
        outline = [
            (-0.92, 1.0),
            (-0.8, 0.7),
            (-0.55, 0.62),
            (-0.42, 0.36),
            (peak - 0.12, 0.24),
            (peak, 0.06),
            (peak + 0.16, 0.14),
            (peak + 0.26, 0.42),
            (0.56, 0.5),
            (0.68, 0.76),
            (0.9, 0.84),
            (0.93, 1.0),
        ]
        pen.shape([(x + random.uniform(-0.04, 0.04), y + random.uniform(-0.03, 0.03)) for x, y in outline], stone)
        pen.shape([(-0.8, 0.72), (-0.55, 0.63), (-0.42, 0.37), (-0.3, 0.52), (-0.44, 0.8)], lit)
        pen.shape([(peak - 0.12, 0.25), (peak, 0.07), (peak + 0.05, 0.3), (peak - 0.1, 0.6)], lit)
        pen.shape([(peak + 0.27, 0.44), (0.55, 0.51), (0.5, 0.7), (peak + 0.3, 0.66)], mix(stone, lit, 0.5))
        x = stage.width * place
        picture = figures.lit_edge(pen.done(), palette.rim, from_left=stage.pan < 0, strength=0.5)
        sprays = tuple(_spray(stage, round(190 * unit * size), share / 9) for share in range(10))
        stage.layers.append(
            _Spray(stage, sprays, x - 20 * unit, foot - 10 * unit, depth, random.uniform(0, 2), 2.7 + size * 0.6)
        )
        stage.stand(picture, x, foot + 12 * unit * size, depth=depth)
        add_surf(stage, x, foot + 8 * unit * size, 400 * unit * size, depth=depth, share=0.5)


def _spray(stage: Stage, size: int, age: float) -> Light:
    """What a wave throws up, `age` (0..1) of its way up and down again."""
    random = Random(size)  # noqa: S311 - the same drops at every age, so that they fly
    mask = Image.new("L", (size * 2, size * 2))
    draw = ImageDraw.Draw(mask)
    for _ in range(90):
        across, up = random.gauss(0, 0.34), random.uniform(0.25, 1.0) * math.exp(-abs(random.gauss(0, 0.5)))
        x = size * (1 + across * (0.35 + 0.65 * age))
        y = size * (1.9 - up * 6.4 * age * (1 - age) * 0.9)
        radius = size * random.uniform(0.012, 0.055) * (1.1 - 0.5 * age)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=round(230 * (1 - age) ** 0.8))
    return Light.of(mix(stage.palette.foam, (255, 255, 255), 0.25), soft(mask, size / 60))


class _Spray:
    """Spray that rises with every wave."""

    def __init__(
        self, stage: Stage, ages: tuple[Light, ...], x: float, y: float, depth: float, phase: float, seconds: float
    ) -> None:
        self._stage, self._ages, self._x, self._y, self._depth = stage, ages, x, y, depth
        self._phase, self._seconds = phase, seconds

    def draw(self, canvas: Canvas, moment: float) -> None:
        # A second and a half of flight, then the sea gathers itself.
        age = (moment + self._phase) % self._seconds / 1.5
        if age < 1.0:
            light = self._ages[int(age * len(self._ages))]
            x = self._x + self._stage.shift(self._depth, moment)
            light.paste(canvas, round(x - light.mask.width / 2), round(self._y - light.mask.height))
