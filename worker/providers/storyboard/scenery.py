"""Places out of doors: what stands where, from the sky to what is at our feet."""

# ruff: noqa: PLR2004 - the numbers are the drawing

import math
from collections.abc import Sequence
from random import Random

from PIL import Image, ImageChops, ImageDraw

from worker.providers.storyboard import figures, interior, weather
from worker.providers.storyboard.figures import LAMP_AT, LANTERN_AT
from worker.providers.storyboard.palette import palette_of
from worker.providers.storyboard.planes import Canvas, Light, Rgb, Sprite, gradient, mix, soft
from worker.providers.storyboard.shapes import broadleaf, conifers, jagged, ridge, rolling
from worker.providers.storyboard.stage import Motion, Stage, bobbing
from worker.providers.storyboard.vocabulary import Scene


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
        horizon = _HORIZONS.get(scene.place, 0.6) * height
        _sky(stage, horizon)
        _PLACES[scene.place](stage, horizon)
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


def _water(stage: Stage, horizon: float, bottom: float, *, rough: float = 1.0, depth_from: float = 0.12) -> None:
    """Rows of waves from the horizon down, each sliding its own way, with the light of the sky on them."""
    palette, random, unit = stage.palette, stage.random, stage.unit
    rows = 8
    storm = 2.8 if stage.scene.weather == "storm" else 1.35 if stage.scene.weather in ("rain", "wind") else 1.0
    far = mix(palette.deep, palette.sky[-1][1], 0.25)
    flat = gradient(
        stage.width,
        round(bottom - horizon) // 2 * 2 + 2,
        ((0.0, far), (0.5, mix(far, palette.shallow, 0.6)), (1.0, palette.shallow)),
        random,
    )
    stage.layers.append(_Fixed(Sprite.opaque(flat), 0, round(horizon) // 2 * 2))
    for row in range(rows):
        share = (row + 0.35) / rows
        top = horizon + (bottom - horizon) * share**1.7
        next_top = horizon + (bottom - horizon) * ((row + 1.6) / rows) ** 1.7
        swing = (1.2 + 13 * share**1.3) * unit * rough * storm
        wave = (60 + 260 * share) * unit
        depth = depth_from + (1 - depth_from) * share
        speed = (5 + 30 * share) * unit * (1 if row % 2 else -1) * min(storm, 1.8)
        margin = stage.margin(depth) + math.ceil(abs(speed) * stage.seconds / 2) + 8
        width = stage.width + 2 * margin
        tall = round(next_top - top + swing * 3)
        body = mix(far, palette.shallow, min(1.0, share * 1.25))
        crest = mix(body, palette.foam, 0.22 + 0.14 * share + (0.3 if storm > 2 else 0.0))
        heights = _waves(stage, width, swing, wave, sharp=storm > 2)
        mask = ridge(width, tall, heights)
        edge = min(0.9, (2.4 * swing + 4) / tall)
        stops = (
            (0.0, crest),
            (edge * 0.55, mix(crest, body, 0.75)),
            (edge, body),
            (1.0, mix(body, palette.shallow, 0.35)),
        )
        # The lower rim melts into the next row.
        if row < rows - 1:
            mask = ImageChops.multiply(mask, _melting(mask.size, 0.62))
        stage.layers.append(
            _Swell(
                stage,
                Sprite.from_mask(mask, stops, random).parts(),
                -margin,
                top - swing * 1.5,
                depth,
                speed,
                swing * 0.4,
                row * 1.7,
            )
        )
        if row in (1, 4) and stage.scene.weather not in ("storm", "rain", "fog", "snow"):
            _glitter(stage, horizon, bottom, narrow=row == 1)


def _waves(stage: Stage, width: int, swing: float, wave: float, *, sharp: bool) -> list[float]:
    random = stage.random
    parts = [
        (wave * factor, random.uniform(0, math.tau), share) for factor, share in ((1.0, 0.6), (0.47, 0.28), (2.7, 0.5))
    ]
    heights = []
    for x in range(0, width + 4, 4):
        level = 0.0
        for length, phase, share in parts:
            value = math.sin(math.tau * x / length + phase)
            # Storm waves have peaks, calm ones do not.
            level += share * ((1 - 2 * abs(value)) if sharp and share == 0.6 else value)
        heights.append(1.5 * swing - swing * level)
    return heights


def _melting(size: tuple[int, int], solid: float) -> Image.Image:
    """A mask that is full down to `solid` and then thins out."""
    ramp = [255 if level < 255 * solid else round(255 * (255 - level) / (255 * (1 - solid))) for level in range(256)]
    return Image.linear_gradient("L").resize(size).point(ramp)


def _glitter(stage: Stage, horizon: float, bottom: float, *, narrow: bool) -> None:
    """The path of sun or moon on the water."""
    palette, random, unit = stage.palette, stage.random, stage.unit
    side = 0.7 if stage.pan > 0 else 0.3
    tall = round((bottom - horizon) * (0.4 if narrow else 0.8))
    wide = round(250 * unit)
    masks = []
    for _ in range(4):
        mask = Image.new("L", (wide * 2, tall * 2))
        draw = ImageDraw.Draw(mask)
        y = 4.0
        while y < tall * 2:
            share = y / (tall * 2)
            spread = wide * (0.16 + 0.6 * share)
            for _ in range(2):
                x = wide + random.gauss(0, 0.45) * spread
                long = random.uniform(6, 26) * (0.7 + 2.2 * share) * unit
                thick = (1.5 + 3.5 * share) * unit
                draw.ellipse((x - long, y - thick, x + long, y + thick), fill=random.randint(90, 200))
            y += (5 + 16 * share) * unit
        masks.append(soft(mask, 1.4).reduce(2))
    count = len(masks)
    stage.light(
        palette.disc, masks, (stage.width * side, horizon + tall / 2), choose=lambda moment: int(moment * 5) % count
    )


def _sea(stage: Stage, horizon: float) -> None:
    scene, unit, random = stage.scene, stage.unit, stage.random
    side = 0.3 if stage.pan > 0 else 0.72
    if scene.things & {"rock"} or random.random() < 0.6:
        _headland(stage, horizon, right=side < 0.5)
    _water(stage, horizon, stage.height)
    if "lighthouse" in scene.things:
        _lighthouse(stage, horizon, side, 0.66 if scene.things & {"boat", "ship", "bell"} else 0.86)
    if "rock" in scene.things:
        _rocks(stage, horizon, 1 - side)
    _afloat(stage, horizon, 1 - side if "lighthouse" in scene.things else random.choice((0.36, 0.62)))
    if scene.people and scene.people not in ("man", "keeper") and not scene.things & {"boat", "ship", "bell"}:
        _people_on_shore(stage)
    if scene.weather == "fog":
        weather.add_fog(stage, horizon + 30 * unit, strength=0.6)


def _afloat(stage: Stage, horizon: float, at: float) -> None:
    """The ship, boat or bell of the words; a ship far out where they name none."""
    scene, unit, random = stage.scene, stage.unit, stage.random
    rough = 2.0 if scene.weather == "storm" else 1.0
    at_water = horizon + (stage.height - horizon) * 0.28
    if "ship" in scene.things:
        _float(stage, figures.sailing_ship(round(250 * unit), stage.palette), at, at_water, 4 * rough)
    elif "boat" in scene.things:
        boat = figures.fishing_boat(round(165 * unit), stage.palette, is_dark=stage.is_dark)
        if random.random() < 0.5:
            boat = boat.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        _float(stage, boat, at, at_water, 6 * rough, lamp=True)
        if "bell" in scene.things:
            _float(
                stage,
                figures.bell_buoy(round(120 * unit), stage.palette),
                at + (0.3 if at < 0.5 else -0.3),
                at_water + 30 * unit,
                7 * rough,
            )
    elif "bell" in scene.things:
        _float(
            stage, figures.bell_buoy(round(215 * unit), stage.palette), at, at_water + 40 * unit, 8 * rough, lamp=True
        )
    elif not scene.things & {"lighthouse", "rock"}:
        _float(
            stage,
            figures.sailing_ship(round(110 * unit), stage.palette),
            at,
            horizon + (stage.height - horizon) * 0.07,
            2 * rough,
        )


def _float(stage: Stage, picture: Image.Image, at: float, water: float, size: float, *, lamp: bool = False) -> None:
    """Something that swims: it bobs, tilts a little and stands in a wave of its own."""
    random, unit, palette = stage.random, stage.unit, stage.palette
    tilt = 3.0 if size > 8 else 1.4
    phase = random.uniform(0, 6)
    seconds = 3.1
    poses = []
    for step in range(12):
        angle = tilt * math.sin(math.tau * step / 12)
        poses.append(
            Sprite.from_rgba(
                picture.rotate(
                    angle, Image.Resampling.BICUBIC, expand=False, center=(picture.width / 2, picture.height * 0.9)
                )
            )
        )
    drift = 5 * unit
    stage.layers.append(
        _Rocking(
            stage,
            tuple(poses),
            (stage.width * at - picture.width / 2, water - picture.height),
            0.5,
            size=size * unit,
            seconds=seconds,
            phase=phase,
            drift=drift,
        )
    )
    if lamp and stage.is_dark:
        stage.glow(
            palette.lamp,
            (stage.width * at, water - picture.height * 0.55),
            picture.height * 1.25,
            0.36,
            depth=0.5,
            motion=bobbing(size * unit, seconds, phase, drift=drift),
        )
    share = (water - stage.height * 0.56) / (stage.height * 0.44)
    _surf(
        stage,
        stage.width * at,
        water,
        picture.width * 2.4,
        depth=0.5,
        share=share + 0.1,
        motion=bobbing(3 * unit, 2.3, phase + 1, drift=drift - 6 * unit),
    )


def _headland(stage: Stage, horizon: float, *, right: bool) -> None:
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


def _lighthouse(stage: Stage, horizon: float, at: float, share: float, *, depth: float = 0.3) -> None:
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
    _surf(stage, x, foot, tall * 0.78, depth=depth, share=0.2)


def _surf(
    stage: Stage, x: float, water: float, wide: float, *, depth: float, share: float, motion: Motion | None = None
) -> None:
    """A wave that stands before the foot of something in the water."""
    unit, palette = stage.unit, stage.palette
    storm = stage.scene.weather == "storm"
    width, swing = round(wide), (4.5 if storm else 2.2) * unit
    tall = round(34 * unit + swing * 3)
    mask = ridge(width, tall, _waves(stage, width, swing, wide * 0.34, sharp=storm))
    ends = (
        Image.linear_gradient("L")
        .rotate(90)
        .resize((width, tall))
        .point([min(255, 4 * min(level, 255 - level)) for level in range(256)])
    )
    mask = ImageChops.multiply(ImageChops.multiply(mask, _melting(mask.size, 0.3)), ends)
    body = mix(mix(palette.deep, palette.shallow, min(1.0, share * 1.25)), palette.foam, 0.06)
    stops = ((0.0, mix(body, palette.foam, 0.5)), (0.35, mix(body, palette.foam, 0.1)), (1.0, body))
    stage.put(
        Sprite.from_mask(mask, stops, stage.random),
        x - width / 2,
        water - 12 * unit - swing,
        depth=depth,
        motion=motion or bobbing(2.2 * unit, 2.6),
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
        _surf(stage, x, foot + 8 * unit * size, 400 * unit * size, depth=depth, share=0.5)


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


def add_beam(stage: Stage, lamp: tuple[float, float], reach: float, *, depth: float, seconds: float = 6.5) -> None:
    """Two opposite beams that turn; towards and away from us they are short and wide."""
    stage.layers.append(_Beam.of(stage, lamp, reach, depth, seconds))


def _beach(stage: Stage, horizon: float) -> None:
    scene, unit, palette, random = stage.scene, stage.unit, stage.palette, stage.random
    side = 0.26 if stage.pan > 0 else 0.76
    shore = horizon + (stage.height - horizon) * 0.36
    _headland(stage, horizon, right=side > 0.5)
    if scene.things & {"lighthouse", "lantern", "lamp"}:
        _lighthouse(stage, horizon, side, 0.46, depth=0.15)
    _water(stage, horizon, shore + 30 * unit, rough=0.75)
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
        _stand_people(
            stage,
            1 - side if abs(side - 0.5) > 0.2 and not stage.is_tall else 0.52,
            feet,
            tall_person,
            holding=holding,
            depth=0.85,
        )
    else:
        _grass_tufts(stage, stage.height * 0.99, 0.95)


def _stand_people(stage: Stage, at: float, feet: float, tall: int, *, holding: str = "", depth: float = 0.85) -> None:
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


def _people_on_shore(stage: Stage) -> None:
    """People on a dark rise in front."""
    unit, palette, random = stage.unit, stage.palette, stage.random
    margin = stage.margin(1.0)
    width, tall = stage.width + 2 * margin, round(stage.height * 0.24)
    mask = ridge(width, tall, rolling(random, width, base=30 * unit, swing=14 * unit, wave=width * 0.7))
    ground = mix(palette.grass, palette.ink, 0.6)
    stage.put(
        Sprite.from_mask(mask, ((0.0, ground), (1.0, palette.ink)), random), -margin, stage.height - tall, depth=1.0
    )
    _stand_people(stage, 0.66, stage.height - tall + 40 * unit, round(220 * unit), depth=1.0)


def _tower(stage: Stage, horizon: float) -> None:
    """The lamp room of the lighthouse close by, the sea far below."""
    unit, palette = stage.unit, stage.palette
    right = stage.pan < 0
    _headland(stage, horizon, right=not right)
    _water(stage, horizon, stage.height)
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
    _rail(stage, x, top + 0.5 * tall, tall)


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


def _rail(stage: Stage, x: float, floor: float, tall: int) -> None:
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


def _hills(stage: Stage, horizon: float) -> None:
    _ranges(stage, horizon, rugged=False)
    _haze(stage, horizon)
    _foreground(stage, horizon)


def _mountains(stage: Stage, horizon: float) -> None:
    _ranges(stage, horizon, rugged=True)
    _foreground(stage, horizon, firs=True)


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


def _foreground(stage: Stage, horizon: float, *, firs: bool = False) -> None:
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
        _tree(stage, side, feet + 10 * unit, round(random.uniform(270, 340) * unit), depth)
    if scene.people:
        _stand_people(
            stage,
            1 - side if not stage.is_tall else 0.55,
            feet + 26 * unit,
            round(205 * unit),
            holding="lantern" if "lantern" in scene.things and stage.is_dark else "",
            depth=depth,
        )
    _grass_tufts(stage, stage.height, 1.0)


def _tree(stage: Stage, at: float, foot: float, tall: int, depth: float) -> None:
    palette = stage.palette
    colour = mix(palette.near, palette.ink, 0.35)
    leaf = Sprite.from_mask(
        broadleaf(stage.random, tall),
        ((0.0, mix(colour, palette.grass, 0.5)), (0.6, colour), (1.0, palette.ink)),
        stage.random,
    )
    stage.put(leaf, stage.width * at - tall * 0.47, foot - tall, depth=depth)


def _grass_tufts(stage: Stage, foot: float, depth: float) -> None:
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


def _haze(stage: Stage, horizon: float) -> None:
    """A light veil that holds the far ridges and the ground before us apart."""
    stage.glow(stage.palette.mist, (stage.width * 0.5, horizon + 60 * stage.unit), stage.width * 0.6, 0.16)


def _forest(stage: Stage, horizon: float) -> None:
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
        _stand_people(
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
    _grass_tufts(stage, stage.height, 1.0)


def _field(stage: Stage, horizon: float) -> None:
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
                _tree(stage, random.uniform(0.05, 0.95), top + 40 * unit, round(random.uniform(80, 130) * unit), depth)
    if stage.scene.people:
        _stand_people(stage, 0.36 if stage.pan > 0 else 0.64, horizon + 190 * unit, round(215 * unit))
    _grass_tufts(stage, stage.height, 1.0)


def _river(stage: Stage, horizon: float) -> None:
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
    _water(stage, horizon + 44 * unit, stage.height, rough=0.35, depth_from=0.35)
    if stage.scene.things & {"boat", "ship"}:
        _float(
            stage,
            figures.fishing_boat(round(120 * unit), palette, is_dark=stage.is_dark),
            0.58,
            horizon + 130 * unit,
            2.5,
            lamp=True,
        )
    if stage.scene.people:
        _people_on_shore(stage)
    else:
        _grass_tufts(stage, stage.height, 1.0)


def _city(stage: Stage, horizon: float) -> None:
    """Blocks behind blocks with lit windows, a street lamp and people in front."""
    palette, unit = stage.palette, stage.unit
    ground = horizon + (stage.height - horizon) * 0.42
    for index in range(3):
        near = index / 2
        depth = 0.12 + 0.4 * near
        width = stage.width + 2 * stage.margin(depth)
        tallest = (330 - 60 * near) * unit
        tall = round(ground - horizon + tallest + 20 * unit)
        colour = mix(palette.ridge(0.15 + 0.65 * near), palette.ink, 0.1 * near)
        picture = _blocks(stage, width, tall, colour, lit=0.3 if stage.is_dark else 0.0, size=(62 + 50 * near) * unit)
        stage.put(picture, -stage.margin(depth), ground - tall, depth=depth)
        if index < 2:
            stage.glow(palette.mist, (stage.width * 0.5, ground), stage.width * 0.55, 0.3)
    width = stage.width + 2 * stage.margin(0.85)
    street = mix(palette.near, palette.ink, 0.4)
    stage.land(
        Image.new("L", (width, round(stage.height - ground) + 2), 255),
        ((0.0, mix(street, palette.mist, 0.22)), (0.3, street), (1.0, palette.ink)),
        ground,
        depth=0.85,
    )
    for at in (0.16, 0.84):
        pen = figures.Pen(round(290 * unit), wide=0.5)
        pen.line([(0.0, 0.12), (0.0, 1.0)], 0.022, palette.ink)
        pen.blob([(-0.05, 0.96), (0.05, 0.96), (0.06, 1.0), (-0.06, 1.0)], palette.ink)
        pen.shape(
            [(-0.045, 0.13), (0.045, 0.13), (0.034, 0.03), (-0.034, 0.03)],
            palette.lamp if stage.is_dark else mix(palette.foam, palette.ink, 0.3),
        )
        pen.shape([(-0.05, 0.035), (0.05, 0.035), (0.0, 0.0)], palette.ink)
        stage.stand(pen.done(), stage.width * at, ground + 52 * unit, depth=0.85)
        if stage.is_dark:
            stage.glow(palette.lamp, (stage.width * at, ground - 215 * unit), 200 * unit, 0.5, depth=0.85)
    if "car" in stage.scene.things:
        stage.stand(
            figures.car(round(84 * unit), palette, is_dark=stage.is_dark),
            stage.width * 0.4,
            ground + 62 * unit,
            depth=0.85,
            motion=lambda moment: (26 * unit * moment, 0.0),
        )
    _stand_people(stage, 0.56, ground + 70 * unit, round(205 * unit))


def _blocks(stage: Stage, width: int, tall: int, colour: Rgb, *, lit: float, size: float) -> Image.Image:
    random, palette, unit = stage.random, stage.palette, stage.unit
    picture = Image.new("RGBA", (width, tall))
    draw = ImageDraw.Draw(picture)
    x = -size / 2
    while x < width:
        wide, high = size * random.uniform(0.7, 1.5), tall * random.uniform(0.3, 0.95)
        shade = mix(colour, palette.mist, random.uniform(0.0, 0.1))
        draw.rectangle((x, tall - high, x + wide, tall), fill=shade)
        if random.random() < 0.4:
            draw.rectangle((x + wide * 0.3, tall - high - 14 * unit, x + wide * 0.6, tall - high), fill=shade)
        step = 15 * unit
        pane = palette.lamp if lit else mix(shade, palette.sky[1][1], 0.3)
        row = tall - high + step
        while row < tall - 8:
            column = x + step * 0.7
            while column < x + wide - step * 0.8:
                if random.random() < (lit or 0.55):
                    draw.rectangle(
                        (column, row, column + step * 0.42, row + step * 0.52),
                        fill=mix(shade, pane, random.uniform(0.35, 0.9)),
                    )
                column += step
            row += step * 1.25
        x += wide + random.uniform(-6, 10) * unit
    return picture


def _estate(stage: Stage, horizon: float) -> None:
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
        _tree(stage, place, lawn + (36 + size * 0.1) * unit, round(size * unit), 0.6)
    if scene.people:
        _stand_people(stage, 0.3 if at > 0.5 else 0.68, lawn + 150 * unit, round(225 * unit), depth=0.85)
    _grass_tufts(stage, stage.height, 1.0)


def _shade_below(stage: Stage) -> None:
    """The lower part a little darker, so that the caption can be read on any ground."""
    tall = round(stage.height * 0.4)
    ramp = [round(150 * (level / 255) ** 1.2) for level in range(256)]
    mask = Image.linear_gradient("L").resize((stage.width, tall), Image.Resampling.BICUBIC).point(ramp)
    noise = Image.frombytes("L", mask.size, stage.random.randbytes(tall * stage.width)).point(
        [level // 86 for level in range(256)]
    )
    stage.light((6, 8, 14), [ImageChops.add(mask, noise)], (stage.width / 2, stage.height - tall / 2))


class _Fixed:
    def __init__(self, sprite: Sprite, x: int, y: int) -> None:
        self._sprite, self._x, self._y = sprite, x, y

    def draw(self, canvas: Canvas, moment: float) -> None:
        del moment
        self._sprite.paste(canvas, self._x, self._y)


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


class _Swell:
    """One row of waves."""

    def __init__(
        self,
        stage: Stage,
        parts: tuple[Sprite, ...],
        x: float,
        y: float,
        depth: float,
        speed: float,
        size: float,
        phase: float,
    ) -> None:
        self._stage, self._parts, self._x, self._y = stage, parts, x, y
        self._depth, self._speed, self._size, self._phase = depth, speed, size, phase

    def draw(self, canvas: Canvas, moment: float) -> None:
        x = self._x + self._stage.shift(self._depth, moment) + self._speed * (moment - self._stage.seconds / 2)
        y = self._y + self._size * math.sin(moment * 1.7 + self._phase)
        for part in self._parts:
            part.paste(canvas, round(x), round(y))


class _Rocking:
    """Something that swims, in poses from one side to the other."""

    def __init__(
        self,
        stage: Stage,
        poses: tuple[Sprite, ...],
        at: tuple[float, float],
        depth: float,
        *,
        size: float,
        seconds: float,
        phase: float,
        drift: float,
    ) -> None:
        self._stage, self._poses, self._depth = stage, poses, depth
        self._x, self._y = at
        self._size, self._seconds, self._phase, self._drift = size, seconds, phase, drift

    def draw(self, canvas: Canvas, moment: float) -> None:
        turn = moment / self._seconds + self._phase / math.tau
        pose = self._poses[int((turn + 0.25) * len(self._poses)) % len(self._poses)]
        x = self._x + self._stage.shift(self._depth, moment) + self._drift * moment
        pose.paste(canvas, round(x), round(self._y + self._size * math.sin(math.tau * turn)))


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


_HORIZONS = {
    "sea": 0.56,
    "beach": 0.5,
    "tower": 0.7,
    "mountains": 0.56,
    "forest": 0.52,
    "field": 0.5,
    "river": 0.5,
    "city": 0.52,
    "estate": 0.5,
    "hills": 0.54,
}
_PLACES = {
    "sea": _sea,
    "beach": _beach,
    "tower": _tower,
    "hills": _hills,
    "mountains": _mountains,
    "forest": _forest,
    "field": _field,
    "river": _river,
    "city": _city,
    "estate": _estate,
}
