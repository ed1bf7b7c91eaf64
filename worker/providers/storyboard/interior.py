"""Rooms: a wall, a window with the weather in it, a fire, furniture, people in warm light."""

# ruff: noqa: PLR2004 - the numbers are the drawing

import math
from dataclasses import replace

from PIL import Image, ImageChops, ImageDraw

from worker.providers.storyboard import figures, weather
from worker.providers.storyboard.planes import Canvas, Rgb, Sprite, gradient, mix, soft
from worker.providers.storyboard.shapes import ridge, rolling
from worker.providers.storyboard.stage import Stage

_STONE = (122, 108, 98)


def build_room(stage: Stage) -> None:
    """A kitchen where people eat or it is warm, else a study or drawing room."""
    # Silhouettes indoors are brown, not blue: fire and candles light them.
    stage.palette = replace(
        stage.palette,
        ink=mix(stage.palette.ink, (34, 18, 18), 0.75),
        rim=(255, 190, 120) if stage.is_dark else stage.palette.glow,
    )
    is_kitchen = bool(stage.scene.things & {"meal", "fire"}) and not stage.scene.is_period
    _wall(stage, panelled=not is_kitchen)
    left = stage.pan > 0
    window_at, fire_at = (0.24, 0.76) if left else (0.76, 0.24)
    if stage.is_tall:
        window_at, fire_at = (0.32, 0.7) if left else (0.68, 0.3)
    _window(stage, window_at, curtains=not is_kitchen)
    by_the_fire = stage.scene_index % 3 == 1 or "fire" in stage.scene.things
    if is_kitchen or by_the_fire:
        _fireplace(stage, fire_at, cooking=is_kitchen)
    else:
        _bookcase(stage, fire_at)
    if is_kitchen:
        _kitchen_table(stage, fire_at)
        _vignette(stage)
        return
    if not stage.is_tall:
        _portrait(stage, 0.5)
    if by_the_fire and not stage.is_tall and "letter" not in stage.scene.things:
        _fireside(stage, fire_at)
    else:
        _study(stage, window_at, fire_at)
    _vignette(stage)


def _floor(stage: Stage) -> float:
    return stage.height * (0.7 if not stage.is_tall else 0.66)


def _wall(stage: Stage, *, panelled: bool) -> None:
    palette, random, unit = stage.palette, stage.random, stage.unit
    shade = 0.5 if stage.is_dark else 0.14
    paper = (78, 92, 88) if panelled and stage.random.random() < 0.5 else (104, 62, 58) if panelled else palette.wall
    wall = mix(mix(palette.wall, paper, 0.55), (24, 16, 20), shade)
    floor = _floor(stage)
    Sprite.opaque(
        gradient(
            stage.width,
            stage.height,
            ((0.0, mix(wall, (14, 10, 16), 0.4)), (0.6, wall), (1.0, mix(wall, (12, 8, 12), 0.3))),
            random,
        )
    ).paste(stage.backdrop, 0, 0)
    line = Image.new("RGBA", (stage.width, stage.height))
    draw = ImageDraw.Draw(line)
    if panelled:
        dado = floor - 118 * unit
        panel = mix(palette.wood, wall, 0.25)
        draw.rectangle((0, dado, stage.width, floor), fill=(*mix(panel, (20, 12, 14), shade * 0.7), 255))
        draw.rectangle(
            (0, dado - 5 * unit, stage.width, dado + 4 * unit), fill=(*mix(panel, (255, 230, 190), 0.16), 255)
        )
        step = 150 * unit
        for index in range(math.ceil(stage.width / step)):
            x = index * step + 22 * unit
            box = (x, dado + 22 * unit, x + step - 44 * unit, floor - 20 * unit)
            draw.rectangle(box, outline=(*mix(panel, (255, 230, 190), 0.1), 150), width=max(1, round(2 * unit)))
        for column in range(0, stage.width, max(1, round(46 * unit))):
            draw.rectangle(
                (column, 0, column + 15 * unit, dado - 6 * unit), fill=(*mix(wall, (255, 236, 206), 0.18), 30)
            )
    else:
        beam = mix(palette.wood, (20, 12, 12), 0.3 + shade * 0.4)
        draw.rectangle((0, 0, stage.width, 34 * unit), fill=(*beam, 255))
        for index in range(-1, math.ceil(stage.width / (230 * unit)) + 1):
            x = index * 230 * unit + 90 * unit
            draw.polygon(
                [(x, 34 * unit), (x + 44 * unit, 34 * unit), (x + 36 * unit, 62 * unit), (x + 8 * unit, 62 * unit)],
                fill=(*mix(beam, (0, 0, 0), 0.25), 255),
            )
        for _ in range(46):
            x, y = random.uniform(0, stage.width), random.uniform(70 * unit, floor)
            wide, tall = random.uniform(30, 74) * unit, random.uniform(14, 24) * unit
            draw.rounded_rectangle(
                (x, y, x + wide, y + tall), radius=6 * unit, fill=(*mix(wall, (255, 220, 180), 0.25), 26)
            )
    Sprite.from_rgba(line).paste(stage.backdrop, 0, 0)
    boards = mix(palette.wood, (22, 14, 14), shade)
    ground = gradient(
        stage.width,
        (stage.height - round(floor)) // 2 * 2 + 2,
        ((0.0, mix(boards, (12, 8, 10), 0.3)), (0.25, boards), (1.0, mix(boards, (8, 6, 8), 0.5))),
        random,
    )
    Sprite.opaque(ground).paste(stage.backdrop, 0, round(floor) // 2 * 2)
    planks = Image.new("RGBA", (stage.width, stage.height))
    draw = ImageDraw.Draw(planks)
    for index in range(-14, 15):
        top, low = stage.width / 2 + index * 70 * unit, stage.width / 2 + index * 150 * unit
        draw.line((top, floor, low, stage.height), fill=(0, 0, 0, 60), width=max(1, round(2 * unit)))
    draw.rectangle((0, floor - 12 * unit, stage.width, floor), fill=(*mix(boards, (0, 0, 0), 0.35), 255))
    Sprite.from_rgba(planks).paste(stage.backdrop, 0, 0)


def _window(stage: Stage, at: float, *, curtains: bool) -> None:
    """A tall window; behind it the sky of the hour, hills or the sea, and what falls."""
    palette, random, unit = stage.palette, stage.random, stage.unit
    wide, tall = round(250 * unit) // 2 * 2, round(330 * unit) // 2 * 2
    x, y = round(stage.width * at - wide / 2), round(_floor(stage) - tall - 118 * unit)
    sky = gradient(wide, tall, tuple((place * 0.8, colour) for place, colour in palette.sky), random)
    for index in range(2):
        colour = palette.ridge(0.2 + 0.4 * index)
        mask = ridge(
            wide, round(tall * 0.4), rolling(random, wide, base=tall * 0.1, swing=tall * 0.05, wave=wide * 0.9)
        )
        Sprite.from_mask(mask, ((0.0, colour), (1.0, mix(colour, palette.mist, 0.3))), random).paste(
            sky, 0, round(tall * (0.62 + 0.14 * index))
        )
    if stage.scene.weather in ("clear", "wind"):
        disc = figures.Pen(round(54 * unit))
        disc.oval((0, 0.5), (0.46, 0.46), palette.disc)
        low = {"night": 0.14, "day": 0.12}.get(stage.scene.hour, 0.46)
        Sprite.from_rgba(disc.done()).paste(sky, round(wide * 0.58), round(tall * low))
    # The window itself never moves, what falls behind it does.
    Sprite.opaque(sky).paste(stage.backdrop, x // 2 * 2, y // 2 * 2)
    if stage.scene.weather in ("snow", "rain", "storm"):
        stage.layers.append(_Outside(stage, (x, y, wide, tall)))
    pen = Image.new("RGBA", (wide + round(90 * unit), tall + round(70 * unit)))
    draw = ImageDraw.Draw(pen)
    frame = mix((214, 200, 178), palette.wall, 0.4) if curtains else palette.wood
    frame = mix(frame, (26, 18, 20), 0.42 if stage.is_dark else 0.08)
    ox, oy = 45 * unit, 20 * unit
    bar = 11 * unit
    draw.rectangle((ox - bar, oy - bar, ox + wide + bar, oy), fill=frame)
    draw.rectangle((ox - bar, oy + tall, ox + wide + bar, oy + tall + bar), fill=frame)
    for place in (0.0, 0.5, 1.0):
        draw.rectangle(
            (
                ox + wide * place - bar * (0.5 if place == 0.5 else 1 - place),
                oy,
                ox + wide * place + bar * (0.5 if place == 0.5 else place),
                oy + tall,
            ),
            fill=frame,
        )
    draw.rectangle((ox - bar, oy, ox, oy + tall), fill=frame)
    draw.rectangle((ox + wide, oy, ox + wide + bar, oy + tall), fill=frame)
    for place in (0.33, 0.66):
        draw.rectangle((ox, oy + tall * place - bar * 0.3, ox + wide, oy + tall * place + bar * 0.3), fill=frame)
    draw.rectangle(
        (ox - 26 * unit, oy + tall + bar, ox + wide + 26 * unit, oy + tall + bar + 15 * unit),
        fill=mix(frame, (255, 240, 214), 0.12),
    )
    stage.put(pen, x - ox, y - oy, depth=0.0)
    if curtains:
        _curtains(stage, x, y, wide, tall)
    if not stage.is_dark:
        # Daylight falls in.
        beam = Image.new("L", (round(780 * unit), round(760 * unit)))
        lean = 1 if x < stage.width / 2 else -1
        middle = beam.width / 2
        near, far = 95 * unit, 190 * unit
        ImageDraw.Draw(beam).polygon(
            [
                (middle - near, beam.height * 0.18),
                (middle + near, beam.height * 0.18),
                (middle + far + lean * 110 * unit, beam.height * 0.84),
                (middle - far + lean * 110 * unit, beam.height * 0.84),
            ],
            fill=62,
        )
        stage.light(palette.glow, [soft(beam, 34 * unit)], (x + wide / 2, y + tall * 0.5 + beam.height * 0.32))
        stage.glow(palette.glow, (x + wide / 2, y + tall / 2), 400 * unit, 0.3)


def _curtains(stage: Stage, x: int, y: int, wide: int, tall: int) -> None:
    unit = stage.unit
    cloth = mix(
        (128, 44, 50) if stage.random.random() < 0.5 else (58, 84, 82), (20, 12, 16), 0.45 if stage.is_dark else 0.12
    )
    high, reach = tall + round(92 * unit), round(118 * unit)
    for side in (-1, 1):
        image = Image.new("RGBA", (reach * 2, high * 2))
        draw = ImageDraw.Draw(image)
        folds = 5
        for fold in range(folds):
            left = reach * 2 * fold / folds
            right = reach * 2 * (fold + 1) / folds
            waist = 0.72 + 0.05 * fold
            colour = mix(cloth, (255, 220, 190) if fold % 2 else (0, 0, 0), 0.1 if fold % 2 else 0.16)
            draw.polygon(
                [
                    (left, 0),
                    (right + 2, 0),
                    (right * waist + 2, high * 1.1),
                    (right * 0.96 + 2, high * 2),
                    (left * 0.96, high * 2),
                    (left * waist, high * 1.1),
                ],
                fill=colour,
            )
        picture = image.reduce(2)
        if side > 0:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        stage.put(picture, x - 78 * unit if side < 0 else x + wide + 78 * unit - reach, y - 40 * unit)
    rail = Image.new("RGBA", (wide + round(200 * unit), round(14 * unit)))
    ImageDraw.Draw(rail).rounded_rectangle(
        (0, 0, rail.width - 1, rail.height - 1),
        radius=rail.height // 2,
        fill=(*mix((176, 134, 74), (20, 14, 14), 0.3), 255),
    )
    stage.put(rail, x - 100 * unit, y - 50 * unit)


def _fireplace(stage: Stage, at: float, *, cooking: bool) -> None:
    palette, unit, random = stage.palette, stage.unit, stage.random
    floor = _floor(stage)
    tall = round(330 * unit)
    pen = figures.Pen(tall, wide=1.3)
    stone = mix(_STONE if cooking else (196, 186, 172), (24, 16, 18), 0.42 if stage.is_dark else 0.2)
    pen.box(-0.5, 0.16, 0.5, 1.0, stone)
    for row in range(6):
        for column in range(-4, 5):
            x = column * 0.125 + (0.0625 if row % 2 else 0.0)
            if abs(x) >= 0.55:
                continue
            pen.box(
                max(-0.5, x - 0.056),
                0.185 + row * 0.137,
                min(0.5, x + 0.056),
                0.185 + row * 0.137 + 0.118,
                mix(stone, (255, 226, 196) if random.random() < 0.5 else (0, 0, 0), random.uniform(0.02, 0.09)),
            )
    pen.box(-0.6, 0.09, 0.6, 0.165, mix(palette.wood, (20, 10, 8), 0.3))
    pen.box(-0.6, 0.09, 0.6, 0.11, mix(palette.wood, (255, 220, 170), 0.2))
    hollow = (24, 12, 10)
    pen.shape([(-0.34, 1.0), (-0.34, 0.55), (-0.26, 0.44), (0.0, 0.4), (0.26, 0.44), (0.34, 0.55), (0.34, 1.0)], hollow)
    pen.blob([(-0.27, 0.66), (-0.17, 0.5), (0.17, 0.5), (0.27, 0.66), (0.28, 0.99), (-0.28, 0.99)], (66, 26, 14))
    for x in (-0.14, 0.1):
        pen.limb([(x - 0.12, 0.955, 0.055), (x + 0.14, 0.93, 0.055)], (44, 24, 18))
    for x, high in ((-0.42, 0.05), (-0.3, 0.03), (0.36, 0.045), (0.46, 0.02)):
        pen.box(x - 0.025, 0.09 - high, x + 0.025, 0.09, mix(palette.lamp, palette.ink, 0.55))
    x = stage.width * at
    stage.stand(pen.done(), x, floor + 6 * unit, depth=0.05)
    flames = [_flames(stage, round(168 * unit)) for _ in range(6)]
    sprites = tuple(Sprite.from_rgba(flame) for flame in flames)
    stage.layers.append(_Flames(stage, sprites, x - flames[0].width / 2, floor - flames[0].height - 2 * unit, 0.05))
    if cooking:
        pot = figures.Pen(round(96 * unit), wide=1.3)
        pot.line([(0.0, 0.0), (0.0, 0.4)], 0.03, (20, 12, 12))
        pot.line([(-0.4, 0.5), (-0.2, 0.3), (0.2, 0.3), (0.4, 0.5)], 0.03, (20, 12, 12))
        pot.blob([(-0.42, 0.5), (0.42, 0.5), (0.46, 0.7), (0.28, 0.95), (-0.28, 0.95), (-0.46, 0.7)], (26, 18, 18))
        stage.stand(pot.done(), x, floor - 78 * unit, depth=0.05)
    strength = 0.62 if stage.is_dark else 0.34
    stage.glow((255, 150, 70), (x, floor - 60 * unit), 460 * unit, strength, depth=0.05, flickers=True)


def _flames(stage: Stage, tall: int) -> Image.Image:
    random = stage.random
    pen = figures.Pen(tall, wide=1.3)
    for colour, size, count in (((208, 66, 24), 1.0, 5), ((248, 142, 40), 0.74, 5), ((255, 220, 120), 0.46, 4)):
        for index in range(count):
            x = (index - (count - 1) / 2) * 0.19 * (0.6 + 0.4 * size) + random.uniform(-0.03, 0.03)
            high = size * random.uniform(0.55, 0.95) * (1 - abs(x) * 0.7)
            lean = random.uniform(-0.08, 0.08)
            pen.blob(
                [
                    (x - 0.09 * size - 0.02, 0.98),
                    (x - 0.1 * size, 0.98 - high * 0.4),
                    (x - 0.02 + lean, 0.98 - high * 0.75),
                    (x + lean * 1.6, 0.98 - high),
                    (x + 0.05 + lean, 0.98 - high * 0.7),
                    (x + 0.1 * size, 0.98 - high * 0.35),
                    (x + 0.09 * size + 0.02, 0.98),
                ],
                colour,
            )
    return pen.done()


def _bookcase(stage: Stage, at: float) -> None:
    palette, random, unit = stage.palette, stage.random, stage.unit
    wide, tall = round(330 * unit), round(430 * unit)
    picture = Image.new("RGBA", (wide * 2, tall * 2))
    draw = ImageDraw.Draw(picture)
    shade = 0.5 if stage.is_dark else 0.15
    wood = mix(palette.wood, (20, 12, 12), shade * 0.7)
    draw.rectangle((0, 0, wide * 2, tall * 2), fill=wood)
    rows = 5
    step = (tall * 2 - 40 * unit) / rows
    covers = ((126, 50, 44), (54, 74, 92), (76, 96, 72), (168, 130, 78), (98, 62, 86), (186, 172, 148), (62, 48, 44))
    for row in range(rows):
        top, low = 26 * unit + row * step, 26 * unit + (row + 1) * step - 16 * unit
        draw.rectangle((24 * unit, top, wide * 2 - 24 * unit, low), fill=mix(wood, (0, 0, 0), 0.5))
        x = 32 * unit
        while x < wide * 2 - 60 * unit:
            if random.random() < 0.07:
                x += random.uniform(20, 60) * unit
                continue
            thick, high = random.uniform(16, 34) * unit, (low - top) * random.uniform(0.62, 0.92)
            cover = mix(random.choice(covers), (18, 12, 14), shade + random.uniform(0, 0.15))
            draw.rectangle((x, low - high, x + thick, low), fill=cover)
            draw.rectangle(
                (x + thick * 0.2, low - high * 0.82, x + thick * 0.8, low - high * 0.76),
                fill=mix(cover, (230, 190, 110), 0.5),
            )
            x += thick + 2 * unit
    draw.rectangle((0, 0, wide * 2, 16 * unit), fill=mix(wood, (255, 220, 180), 0.14))
    stage.stand(picture.reduce(2), stage.width * at, _floor(stage) + 8 * unit, depth=0.05)


def _kitchen_table(stage: Stage, fire_at: float) -> None:
    """People around a table, soup steaming, bread, a lamp above them."""
    palette, unit, random = stage.palette, stage.unit, stage.random
    edge = stage.height * (0.625 if not stage.is_tall else 0.66)
    # Beside the fire, not before it.
    middle = 0.5 + (0.5 - fire_at) * (0.42 if not stage.is_tall else 0.0)
    # The hanging lamp lights the wall behind the company, or they would be dark on dark.
    stage.glow(
        (255, 176, 104),
        (stage.width * middle, edge - 150 * unit),
        520 * unit,
        0.42 if stage.is_dark else 0.2,
        depth=0.3,
    )
    count = 4 if stage.scene.people in ("three", "crowd", "") or "meal" in stage.scene.things else 2
    spread = (500 if not stage.is_tall else 480) * unit
    for index in range(count):
        x = stage.width * middle + spread * (index / (count - 1) - 0.5)
        tall = round(random.uniform(400, 432) * unit)
        kind = "keeper" if index in (0, count - 1) else "man"
        one = figures.person(kind, tall, palette, from_left=x > stage.width * 0.5)
        if index % 2:
            one = one.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        one = figures.lit_edge(
            one, (255, 186, 112), from_left=x > stage.width * 0.5, strength=0.7, width=max(2, round(3 * unit))
        )
        # Seated: only what is above the table is kept.
        one = one.crop((0, 0, one.width, round(tall * 0.5)))
        stage.put(one, x - one.width / 2, edge - one.height + 6 * unit, depth=0.35)
    wide = round(spread + 250 * unit)
    top = Image.new("RGBA", (wide, round(stage.height - edge) + 4))
    draw = ImageDraw.Draw(top)
    board = mix(palette.wood, (255, 200, 140), 0.14)
    draw.polygon([(60 * unit, 0), (wide - 60 * unit, 0), (wide, 74 * unit), (0, 74 * unit)], fill=board)
    draw.rectangle((0, 74 * unit, wide, 98 * unit), fill=mix(board, (20, 10, 8), 0.5))
    for x in (30 * unit, wide - 66 * unit):
        draw.rectangle((x, 98 * unit, x + 36 * unit, top.height), fill=mix(board, (20, 10, 8), 0.65))
    stage.put(top, stage.width * middle - wide / 2, edge, depth=0.38)
    for index in range(count):
        x = stage.width * middle + spread * (index / (count - 1) - 0.5) * 0.94
        _bowl(stage, x, edge + 40 * unit)
    _bread(stage, stage.width * middle + 40 * unit, edge + 62 * unit)
    _candle(stage, stage.width * middle - 60 * unit, edge + 56 * unit, 0.38)


def _bowl(stage: Stage, x: float, y: float) -> None:
    unit = stage.unit
    pen = figures.Pen(round(54 * unit), wide=2.0)
    clay = mix((186, 132, 92), (20, 12, 12), 0.2)
    pen.blob([(-0.72, 0.3), (0.72, 0.3), (0.56, 0.8), (0.3, 0.98), (-0.3, 0.98), (-0.56, 0.8)], clay)
    pen.oval((0.0, 0.3), (0.74, 0.2), mix(clay, (255, 220, 180), 0.3))
    pen.oval((0.0, 0.32), (0.62, 0.14), (178, 104, 52))
    stage.stand(pen.done(), x, y, depth=0.38)
    steam = weather.smoke(stage.random, round(58 * unit), (255, 236, 214))
    phase = stage.random.uniform(0, 6)
    stage.stand(
        steam,
        x,
        y - 30 * unit,
        depth=0.38,
        motion=lambda moment: (4 * unit * math.sin(moment * 1.5 + phase), -5 * unit * math.sin(moment * 0.9 + phase)),
    )


def _bread(stage: Stage, x: float, y: float) -> None:
    pen = figures.Pen(round(58 * stage.unit), wide=2.4)
    crust = (176, 108, 54)
    pen.blob([(-0.85, 0.8), (-0.8, 0.42), (-0.4, 0.16), (0.3, 0.14), (0.8, 0.42), (0.88, 0.82), (0.0, 0.96)], crust)
    for place in (-0.45, -0.05, 0.35):
        pen.limb([(place, 0.24, 0.06), (place + 0.16, 0.5, 0.05)], mix(crust, (255, 226, 176), 0.5))
    stage.stand(pen.done(), x, y, depth=0.38)


def _candle(stage: Stage, x: float, y: float, depth: float) -> None:
    palette, unit = stage.palette, stage.unit
    pen = figures.Pen(round(96 * unit), wide=0.8)
    pen.blob([(-0.26, 0.93), (0.26, 0.93), (0.2, 1.0), (-0.2, 1.0)], mix((190, 150, 84), (20, 14, 12), 0.3))
    pen.box(-0.065, 0.34, 0.065, 0.94, (238, 226, 200))
    pen.box(0.02, 0.34, 0.065, 0.94, (206, 188, 158))
    pen.blob([(-0.045, 0.3), (-0.03, 0.2), (0.0, 0.08), (0.03, 0.2), (0.045, 0.3), (0.0, 0.345)], (255, 226, 150))
    stage.stand(pen.done(), x, y, depth=depth)
    stage.glow(
        palette.lamp, (x, y - 76 * unit), 210 * unit, 0.46 if stage.is_dark else 0.26, depth=depth, flickers=True
    )


def _study(stage: Stage, window_at: float, fire_at: float) -> None:
    """A desk with candle, books and letters; somebody thinking at the window or beside the desk."""
    palette, unit, scene = stage.palette, stage.unit, stage.scene
    floor = _floor(stage)
    desk_at = 0.52 + (0.06 if fire_at < 0.5 else -0.02)
    left_of_desk = window_at < 0.5
    people = scene.people or ("gentleman" if scene.is_period else "man")
    at = (window_at + (0.13 if left_of_desk else -0.13)) if not stage.is_tall else 0.5
    tall = round((380 if people not in ("three", "crowd") else 330) * unit)
    picture = figures.group(people, tall, palette, stage.random, from_left=left_of_desk != stage.is_dark)
    edge = (255, 190, 120) if stage.is_dark else palette.glow
    picture = figures.lit_edge(
        picture, edge, from_left=left_of_desk != stage.is_dark, strength=0.8, width=max(2, round(3 * unit))
    )
    stage.stand(picture, stage.width * at, floor + 58 * unit, depth=0.25)
    wide, tall_desk = round(430 * unit), round(186 * unit)
    desk = Image.new("RGBA", (wide * 2, tall_desk * 2))
    draw = ImageDraw.Draw(desk)
    wood = mix(palette.wood, (30, 16, 12), 0.3 if stage.is_dark else 0.05)
    draw.rounded_rectangle((0, 0, wide * 2, 30 * unit), radius=8 * unit, fill=mix(wood, (255, 214, 160), 0.2))
    draw.rectangle((24 * unit, 30 * unit, wide * 2 - 24 * unit, 110 * unit), fill=wood)
    draw.rectangle(
        (150 * unit, 110 * unit, wide * 2 - 150 * unit, tall_desk * 2 - 40 * unit), fill=mix(wood, (0, 0, 0), 0.45)
    )
    for x in (24 * unit, wide * 2 - 150 * unit):
        draw.rectangle((x, 30 * unit, x + 126 * unit, tall_desk * 2), fill=mix(wood, (0, 0, 0), 0.18))
        for row in range(3):
            top = 46 * unit + row * 100 * unit
            draw.rectangle(
                (x + 12 * unit, top, x + 114 * unit, top + 84 * unit),
                outline=mix(wood, (255, 214, 160), 0.18),
                width=max(1, round(3 * unit)),
            )
            draw.ellipse((x + 56 * unit, top + 36 * unit, x + 70 * unit, top + 50 * unit), fill=(190, 150, 84))
    x = stage.width * (desk_at + (0.12 if left_of_desk else -0.12))
    if stage.is_tall:
        x = stage.width * 0.5
    foot = floor + 96 * unit
    stage.stand(desk.reduce(2), x, foot, depth=0.38)
    top_y = foot - tall_desk + 2 * unit
    _books(stage, x - 120 * unit, top_y, 0.38)
    _letter(stage, x + 10 * unit, top_y, 0.38)
    _candle(stage, x + 130 * unit, top_y + 2 * unit, 0.38)


def _fireside(stage: Stage, fire_at: float) -> None:
    """An armchair drawn up to the fire, somebody standing by it."""
    palette, unit, scene = stage.palette, stage.unit, stage.scene
    floor = _floor(stage)
    side = -1 if fire_at > 0.5 else 1
    picture = figures.group(scene.people or "gentleman", round(372 * unit), palette, stage.random, from_left=side > 0)
    picture = figures.lit_edge(
        picture, (255, 176, 100), from_left=side > 0, strength=0.8, width=max(2, round(3 * unit))
    )
    stage.stand(picture, stage.width * (fire_at + 0.17 * side), floor + 56 * unit, depth=0.25)
    pen = figures.Pen(round(262 * unit), wide=1.1)
    cloth = mix(
        (122, 50, 48) if stage.random.random() < 0.5 else (56, 84, 78), (26, 14, 16), 0.4 if stage.is_dark else 0.15
    )
    dark, pale = mix(cloth, (0, 0, 0), 0.35), mix(cloth, (255, 220, 180), 0.14)
    for x in (-0.3, 0.28):
        pen.limb([(x, 0.88, 0.05), (x * 1.05, 0.985, 0.03)], mix(palette.wood, (10, 6, 6), 0.5))
    pen.blob([(-0.4, 0.9), (-0.42, 0.3), (-0.34, 0.06), (-0.12, 0.0), (0.06, 0.06), (0.1, 0.5), (0.12, 0.9)], cloth)
    pen.blob([(-0.32, 0.3), (-0.26, 0.12), (-0.1, 0.07), (0.0, 0.14), (0.02, 0.5), (-0.24, 0.56)], pale)
    pen.blob([(-0.3, 0.56), (0.3, 0.54), (0.4, 0.62), (0.36, 0.72), (-0.3, 0.74)], pale)
    pen.blob([(-0.36, 0.68), (0.38, 0.66), (0.38, 0.9), (-0.38, 0.92)], dark)
    pen.blob([(-0.4, 0.5), (0.1, 0.44), (0.32, 0.46), (0.34, 0.56), (0.2, 0.6), (0.22, 0.9), (-0.38, 0.92)], cloth)
    pen.oval((0.27, 0.51), (0.075, 0.06), pale)
    chair = pen.done()
    if side > 0:
        chair = chair.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    chair = figures.lit_edge(chair, (255, 176, 100), from_left=side > 0, strength=0.5, width=max(2, round(2 * unit)))
    stage.stand(chair, stage.width * (fire_at + 0.33 * side), floor + 86 * unit, depth=0.38)


def _portrait(stage: Stage, at: float) -> None:
    """A landscape in a gilt frame on the wall."""
    random, unit = stage.random, stage.unit
    wide, tall = round(190 * unit) // 2 * 2, round(136 * unit) // 2 * 2
    x, y = round(stage.width * at - wide / 2) // 2 * 2, round(stage.height * 0.19) // 2 * 2
    gilt = mix((186, 142, 76), (24, 14, 14), 0.45 if stage.is_dark else 0.2)
    frame = Image.new("RGBA", (wide + round(28 * unit), tall + round(28 * unit)), (*gilt, 255))
    draw = ImageDraw.Draw(frame)
    draw.rectangle(
        (4 * unit, 4 * unit, frame.width - 5 * unit, frame.height - 5 * unit), outline=mix(gilt, (255, 236, 190), 0.35)
    )
    stage.put(frame, x - 14 * unit, y - 14 * unit)
    dim = 0.5 if stage.is_dark else 0.2
    scene = gradient(
        wide,
        tall,
        ((0.0, mix((120, 140, 150), (20, 14, 16), dim)), (0.7, mix((214, 186, 140), (20, 14, 16), dim))),
        random,
    )
    for index, colour in enumerate(((96, 108, 96), (62, 78, 62), (44, 50, 40))):
        mask = ridge(
            wide, tall, rolling(random, wide, base=tall * (0.5 + 0.17 * index), swing=tall * 0.09, wave=wide * 0.8)
        )
        Sprite.from_mask(
            mask, ((0.0, mix(colour, (20, 14, 16), dim)), (1.0, mix(colour, (14, 10, 12), dim + 0.2))), random
        ).paste(scene, 0, 0)
    stage.put(Sprite.opaque(scene), x, y)


def _books(stage: Stage, x: float, y: float, depth: float) -> None:
    pen = figures.Pen(round(74 * stage.unit), wide=1.9)
    colours: tuple[Rgb, ...] = ((120, 48, 44), (60, 80, 98), (150, 116, 70))
    for index, colour in enumerate(colours):
        top, half = 1.0 - 0.25 * (index + 1), 0.78 - 0.1 * index
        pen.box(-half, top, half, top + 0.235, mix(colour, stage.palette.ink, 0.25))
        pen.box(-half + 0.06, top + 0.05, half - 0.02, top + 0.19, (226, 212, 184))
        pen.box(-half, top, -half + 0.1, top + 0.235, mix(colour, stage.palette.ink, 0.35))
    stage.stand(pen.done(), x, y, depth=depth)


def _letter(stage: Stage, x: float, y: float, depth: float) -> None:
    """Paper on the desk, ink and a feather."""
    pen = figures.Pen(round(110 * stage.unit), wide=1.5)
    pen.shape([(-0.6, 0.985), (-0.5, 0.93), (0.1, 0.93), (0.16, 0.985)], (236, 226, 204))
    pen.blob([(0.3, 0.8), (0.46, 0.8), (0.5, 0.98), (0.26, 0.98)], (30, 26, 38))
    pen.line([(0.38, 0.84), (0.58, 0.3)], 0.018, (226, 216, 198))
    pen.blob([(0.46, 0.6), (0.5, 0.36), (0.66, 0.08), (0.66, 0.34), (0.56, 0.58)], (232, 224, 210))
    stage.stand(pen.done(), x, y, depth=depth)


def _vignette(stage: Stage) -> None:
    """A soft dark frame: the corners of a room are out of the light."""
    size = (stage.width, stage.height)
    ring = Image.radial_gradient("L").resize(size, Image.Resampling.BICUBIC)
    mask = ring.point([round(max(0.0, (level - 96) / 159) ** 1.4 * 190) for level in range(256)])
    noise = Image.frombytes("L", size, stage.random.randbytes(size[0] * size[1])).point(
        [level // 100 for level in range(256)]
    )
    stage.light((8, 6, 10), [ImageChops.add(mask, noise)], (stage.width / 2, stage.height / 2))


class _Outside:
    """Rain or snow behind the panes."""

    def __init__(self, stage: Stage, box: tuple[int, int, int, int]) -> None:
        random = stage.random
        self._box = box
        self._is_snow = stage.scene.weather == "snow"
        self._drops = [(random.random(), random.random(), random.uniform(0.8, 1.3)) for _ in range(46)]
        self._mark = Image.new("L", (4, 4) if self._is_snow else (2, 20), 150 if self._is_snow else 70)
        if self._is_snow:
            self._mark = soft(self._mark, 0.8)

    def draw(self, canvas: Canvas, moment: float) -> None:
        x, y, wide, tall = self._box
        speed = 0.09 if self._is_snow else 1.1
        for across, start, pace in self._drops:
            fallen = (start + speed * pace * moment) % 1.0
            sway = 5 * math.sin(moment + start * 9) if self._is_snow else 0
            left = round(x + 4 + across * (wide - 12) + sway)
            top = round(y + 2 + fallen * (tall - self._mark.height - 4))
            canvas.y.paste(224, (left, top, left + self._mark.width, top + self._mark.height), self._mark)


class _Flames:
    def __init__(self, stage: Stage, poses: tuple[Sprite, ...], x: float, y: float, depth: float) -> None:
        self._stage, self._poses, self._x, self._y, self._depth = stage, poses, x, y, depth

    def draw(self, canvas: Canvas, moment: float) -> None:
        pose = self._poses[int(moment * 8) * 5 % len(self._poses)]
        pose.paste(canvas, round(self._x + self._stage.shift(self._depth, moment)), round(self._y))
