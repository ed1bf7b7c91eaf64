"""Water: rows of waves, the path of light on them, what floats, and the surf before what stands in it."""

# ruff: noqa: PLR2004 - the numbers are the drawing

import math

from PIL import Image, ImageChops, ImageDraw

from worker.providers.storyboard.planes import Canvas, Sprite, gradient, mix, soft
from worker.providers.storyboard.shapes import ridge
from worker.providers.storyboard.stage import Motion, Stage, bobbing


def add_water(stage: Stage, horizon: float, bottom: float, *, rough: float = 1.0, depth_from: float = 0.12) -> None:
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


def add_floating(
    stage: Stage, picture: Image.Image, at: float, water: float, size: float, *, lamp: bool = False
) -> None:
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
    add_surf(
        stage,
        stage.width * at,
        water,
        picture.width * 2.4,
        depth=0.5,
        share=share + 0.1,
        motion=bobbing(3 * unit, 2.3, phase + 1, drift=drift - 6 * unit),
    )


def add_surf(
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


class _Fixed:
    def __init__(self, sprite: Sprite, x: int, y: int) -> None:
        self._sprite, self._x, self._y = sprite, x, y

    def draw(self, canvas: Canvas, moment: float) -> None:
        del moment
        self._sprite.paste(canvas, self._x, self._y)


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
