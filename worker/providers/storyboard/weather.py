"""What falls from the sky, crosses it or lights it up."""

# ruff: noqa: PLR2004 - the numbers are the drawing

import math
from random import Random

from PIL import Image, ImageChops, ImageDraw

from worker.providers.storyboard.figures import bird
from worker.providers.storyboard.planes import Canvas, Light, Rgb, Sprite, mix, soft, yuv
from worker.providers.storyboard.shapes import bank, cloud, spline
from worker.providers.storyboard.stage import Stage, drifting


def add_clouds(stage: Stage, horizon: float) -> None:
    """Clouds that fit the weather, drifting."""
    random, unit, palette = stage.random, stage.unit, stage.palette
    weather = stage.scene.weather
    if weather in ("storm", "rain"):
        for index, share in enumerate((0.45, 0.8)):
            width = stage.width + round(260 * unit)
            height = round(horizon * (0.62 - 0.2 * index))
            mask = soft(bank(random, width, height), 7 * unit)
            top = mix(palette.sky[0][1], palette.ink, 0.25 + 0.25 * index)
            low = mix(mix(palette.sky[1][1], palette.sky[2][1], 0.4), palette.ink, 0.1 + 0.22 * index)
            sprite = Sprite.from_mask(mask, ((0.0, top), (0.5, mix(top, low, 0.3)), (1.0, low)), random)
            speed = (9 + 14 * share) * unit * (1 if stage.pan > 0 else -1)
            start = -130 * unit - speed * stage.seconds / 2
            stage.put(sprite, start, -4, motion=drifting(speed))
        return
    count = {"fog": 2, "snow": 3, "wind": 5}.get(weather, 4)
    if stage.scene.hour == "night":
        count -= 1
    colour = mix(palette.sky[2][1], palette.glow, 0.55)
    for index in range(count):
        width = round(random.uniform(230, 460) * unit)
        height = round(width * random.uniform(0.24, 0.34))
        mask = soft(cloud(random, width, height), 1.2 * unit)
        strength = 0.34 if stage.scene.hour == "night" else 0.74
        light = Light.of(colour, mask.point([round(level * strength) for level in range(256)]))
        x = stage.width * ((index + random.uniform(0.1, 0.9)) / count)
        y = horizon * random.uniform(0.14, 0.66)
        speed = unit * random.uniform(2.5, 7) * (4 if weather == "wind" else 1)
        stage.layers.append(_Passing(light, round(x - width / 2), round(y - height / 2), speed))


def add_stars(stage: Stage, horizon: float) -> None:
    """Stars, fewer towards the horizon; they are part of the backdrop."""
    random = stage.random
    level = round(yuv((232, 236, 250))[0])
    small, large = Image.new("L", (2, 2)), Image.new("L", (3, 3))
    small.putdata([255, 110, 110, 40])
    large.putdata([40, 140, 40, 140, 255, 140, 40, 140, 40])
    for _ in range(round(150 * stage.unit)):
        x, y = random.randrange(stage.width), random.randrange(max(1, round(horizon * 0.9)))
        strength = random.uniform(0.25, 0.95) * (1 - 0.75 * y / horizon)
        shape = large if random.random() < 0.16 else small  # one in six
        mask = shape.point([round(part * strength) for part in range(256)])
        stage.backdrop.y.paste(level, (x, y, x + mask.width, y + mask.height), mask)


def add_birds(stage: Stage, horizon: float) -> None:
    """A few gulls, gliding and beating."""
    random, unit = stage.random, stage.unit
    colour = mix(stage.palette.ink, stage.palette.far, 0.25)
    for _ in range(random.randint(4, 6)):
        span = round(random.uniform(20, 44) * unit)
        poses = [Sprite.from_rgba(bird(span, lift, colour)) for lift in (-0.6, -0.1, 0.5, 1.0, 0.5, -0.1)]
        x, y = random.uniform(0.12, 0.88) * stage.width, random.uniform(0.22, 0.7) * horizon
        stage.layers.append(
            _Flying(tuple(poses), x, y, random.uniform(14, 34) * unit, random.uniform(0, 6), stage.seconds)
        )


def add_fall(stage: Stage) -> None:
    """Rain or snow over everything, if the weather has any."""
    random, unit = stage.random, stage.unit
    weather = stage.scene.weather
    if weather in ("rain", "storm"):
        slant = 0.34 if weather == "storm" else 0.13
        share = 0.36 if weather == "storm" else 0.3
        kinds = tuple(
            _streak(round(length * unit), slant, strength * share)
            for length, strength in ((38, 0.5), (58, 0.75), (84, 1.0))
        )
        drops = [
            (random.uniform(-0.2, 1.3), random.random(), random.choice((0, 0, 0, 1, 1, 2)))
            for _ in range(round((170 if weather == "storm" else 120) * stage.width * stage.height / 921600))
        ]
        stage.layers.append(_Rain(stage, kinds, drops, slant, round(yuv((206, 218, 236))[0])))
    elif weather == "snow":
        kinds = tuple(_flake(round(size * unit), strength) for size, strength in ((5, 0.6), (8, 0.72), (13, 0.62)))
        flakes = [
            (random.random(), random.random(), random.choice((0, 0, 0, 0, 1, 1, 2)), random.uniform(0, math.tau))
            for _ in range(round(150 * stage.width * stage.height / 921600))
        ]
        stage.layers.append(_Snow(stage, kinds, flakes))


def add_fog(stage: Stage, level: float, *, strength: float = 0.4) -> None:
    """A bank of mist across the picture around `level`."""
    wide, tall = stage.width + round(240 * stage.unit), round(190 * stage.unit)
    big = Image.new("L", (wide // 4, tall // 4))
    draw = ImageDraw.Draw(big)
    for _ in range(26):
        x, y = stage.random.uniform(0, wide / 4), stage.random.uniform(0.38, 0.62) * tall / 4
        radius = stage.random.uniform(0.1, 0.2) * tall / 4
        draw.ellipse((x - radius * 6, y - radius, x + radius * 6, y + radius), fill=255)
    mask = (
        soft(big, tall / 32)
        .resize((wide, tall), Image.Resampling.BICUBIC)
        .point([round(v * strength) for v in range(256)])
    )
    speed = stage.random.choice((-1, 1)) * 9 * stage.unit
    stage.light(
        stage.palette.mist,
        [mask],
        (stage.width / 2 - speed * stage.seconds / 2, level),
        motion=lambda moment: (speed * moment, 0.0),
    )


def add_lightning(stage: Stage, horizon: float) -> None:
    """One bolt, and the sky lit up by it; `stage.flashes` says when."""
    random, unit = stage.random, stage.unit
    moment = stage.seconds * random.uniform(0.3, 0.62)
    stage.flashes += [moment, moment + 0.17]
    mask = Image.new("L", (round(220 * unit), round(horizon * 0.95)))
    draw = ImageDraw.Draw(mask)
    x, y = mask.width * 0.5, 0.0
    path = [(x, y)]
    while y < mask.height:
        x, y = x + random.uniform(-26, 26) * unit, y + random.uniform(14, 40) * unit
        path.append((x, y))
    fork = path[len(path) // 3]
    branch = [fork]
    while len(branch) < 7:
        branch.append((branch[-1][0] + random.uniform(2, 26) * unit, branch[-1][1] + random.uniform(10, 30) * unit))
    draw.line(path, fill=255, width=max(2, round(4 * unit)), joint="curve")
    draw.line(branch, fill=190, width=max(1, round(2 * unit)), joint="curve")
    glowing = soft(mask, 9 * unit).point([min(255, level * 2) for level in range(256)])
    glowing.paste(255, mask=soft(mask, 0.8))
    place = random.choice((0.24, 0.72))
    light = Light.of((226, 232, 255), glowing)
    veil = Light.of((188, 202, 236), Image.new("L", (stage.width, round(horizon)), 74))
    stage.layers.append(_Flash(stage, light, veil, round(stage.width * place - mask.width / 2)))


def _streak(length: int, slant: float, strength: float) -> Image.Image:
    wide = max(3, round(length * slant) + 3)
    image = Image.new("L", (wide * 2, length * 2))
    ImageDraw.Draw(image).line((wide * 2 - 3, 0, 2, length * 2), fill=round(255 * strength), width=3)
    fade = Image.linear_gradient("L").resize(image.size)
    return Image.composite(image, Image.new("L", image.size), fade).reduce(2)


def _flake(size: int, strength: float) -> Image.Image:
    image = Image.new("L", ((size + 4) * 2, (size + 4) * 2))
    ImageDraw.Draw(image).ellipse((4, 4, size * 2 + 3, size * 2 + 3), fill=round(255 * strength))
    return soft(image, size * 0.22).reduce(2)


class _Passing:
    """A cloud, drifting slowly."""

    def __init__(self, light: Light, x: int, y: int, speed: float) -> None:
        self._light, self._x, self._y, self._speed = light, x, y, speed

    def draw(self, canvas: Canvas, moment: float) -> None:
        self._light.paste(canvas, round(self._x + self._speed * moment), self._y)


class _Flying:
    def __init__(
        self, poses: tuple[Sprite, ...], x: float, y: float, speed: float, phase: float, seconds: float
    ) -> None:
        self._poses, self._x, self._y, self._speed, self._phase, self._seconds = poses, x, y, speed, phase, seconds

    def draw(self, canvas: Canvas, moment: float) -> None:
        beat = moment * 9 + self._phase * 3
        # A few strokes, then a glide on stretched wings.
        pose = (
            self._poses[int(beat) % len(self._poses)] if math.sin(moment * 0.9 + self._phase) > -0.2 else self._poses[1]
        )
        x = self._x + self._speed * (moment - self._seconds / 2)
        pose.paste(canvas, round(x), round(self._y + 6 * math.sin(moment * 1.3 + self._phase)))


class _Rain:
    """Streaks change brightness only; that is a third of the work, and rain has no colour."""

    def __init__(
        self,
        stage: Stage,
        kinds: tuple[Image.Image, ...],
        drops: list[tuple[float, float, int]],
        slant: float,
        level: int,
    ) -> None:
        self._width, self._height = stage.width, stage.height
        self._kinds, self._drops, self._slant, self._level = kinds, drops, slant, level

    def draw(self, canvas: Canvas, moment: float) -> None:
        for across, start, kind in self._drops:
            mask = self._kinds[kind]
            speed = (0.95, 1.15, 1.4)[kind]
            fallen = (start + speed * moment) % 1.0
            y = round(fallen * (self._height + 2 * mask.height)) - mask.height
            x = round(across * self._width - y * self._slant)
            canvas.y.paste(self._level, (x, y, x + mask.width, y + mask.height), mask)


class _Snow:
    def __init__(
        self, stage: Stage, kinds: tuple[Image.Image, ...], flakes: list[tuple[float, float, int, float]]
    ) -> None:
        self._width, self._height = stage.width, stage.height
        self._kinds, self._flakes = kinds, flakes

    def draw(self, canvas: Canvas, moment: float) -> None:
        for across, start, kind, phase in self._flakes:
            mask = self._kinds[kind]
            speed = (0.07, 0.1, 0.15)[kind]
            y = round(((start + speed * moment) % 1.0) * (self._height + 40)) - 20
            x = round(across * self._width + 14 * math.sin(moment * 1.1 + phase) + 12 * moment)
            canvas.y.paste(236, (x, y, x + mask.width, y + mask.height), mask)


class _Flash:
    def __init__(self, stage: Stage, light: Light, veil: Light, x: int) -> None:
        self._stage, self._light, self._veil, self._x = stage, light, veil, x

    def draw(self, canvas: Canvas, moment: float) -> None:
        for start in self._stage.flashes:
            if start <= moment < start + 0.09:
                self._veil.paste(canvas, 0, 0)
                self._light.paste(canvas, self._x, 0)


def smoke(random: Random, size: int, colour: Rgb) -> Image.Image:
    """A curl of steam or smoke."""
    image = Image.new("L", (size, size * 2))
    points = [
        (size * (0.5 + 0.2 * math.sin(step * 1.1 + random.uniform(0, 0.6))), size * 2 * (1 - step / 6))
        for step in range(7)
    ]
    ImageDraw.Draw(image).line(spline(points)[: 6 * 8], fill=70, width=max(2, size // 6), joint="curve")
    picture = Image.new("RGBA", image.size, (*colour, 0))
    # It thins out as it rises.
    fade = Image.linear_gradient("L").resize(image.size)
    picture.putalpha(ImageChops.multiply(soft(image, size / 9), fade))
    return picture
