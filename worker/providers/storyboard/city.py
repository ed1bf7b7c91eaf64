"""The city: blocks behind blocks, and a street before them."""

# ruff: noqa: PLR2004 - the numbers are the drawing

from PIL import Image, ImageDraw

from worker.providers.storyboard import figures
from worker.providers.storyboard.foreground import stand_people
from worker.providers.storyboard.planes import Rgb, mix
from worker.providers.storyboard.stage import Stage


def build_city(stage: Stage, horizon: float) -> None:
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
    stand_people(stage, 0.56, ground + 70 * unit, round(205 * unit))


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
