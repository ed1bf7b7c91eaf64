from random import Random

import pytest
from PIL import Image

from worker.providers.storyboard.planes import Canvas, Light, Rgb, Sprite, glow_mask, gradient, mix, yuv

# ruff: noqa: S311 - scenery, not secrets


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (120, 90, 60), (255, 255, 255), (0, 0, 0)])
def test_colours_stay_in_video_range(colour: Rgb) -> None:
    y, u, v = yuv(colour)

    assert 16 <= y <= 235
    assert 16 <= round(u) <= 240
    assert 16 <= round(v) <= 240


def test_grey_has_no_colour() -> None:
    _, u, v = yuv((90, 90, 90))

    assert (round(u), round(v)) == (128, 128)


def test_a_gradient_has_no_bands() -> None:
    """Two levels far apart in height would show as stripes if each row had one level only."""
    canvas = gradient(200, 200, ((0.0, (20, 20, 40)), (1.0, (40, 40, 70))), Random(1))

    mixed = sum(len(set(canvas.y.crop((0, row, 200, row + 1)).tobytes())) > 1 for row in range(200))

    assert mixed > 150


def test_a_sprite_covers_only_where_it_was_drawn() -> None:
    image = Image.new("RGBA", (40, 40))
    image.paste((255, 255, 255, 255), (10, 10, 20, 20))
    canvas = Canvas.blank(40, 40)

    Sprite.from_rgba(image).paste(canvas, 0, 0)

    assert canvas.y.point([0] * 17 + [255] * 239).getbbox() == (10, 10, 20, 20)


def test_a_sprite_may_stand_partly_outside() -> None:
    canvas = Canvas.blank(40, 40)

    Sprite.from_rgba(Image.new("RGBA", (40, 40), (255, 255, 255, 255))).paste(canvas, -30, -30)

    assert canvas.y.point([0] * 17 + [255] * 239).getbbox() == (0, 0, 10, 10)


def test_splitting_a_sprite_changes_nothing_that_is_seen() -> None:
    mask = Image.new("L", (64, 96))
    mask.paste(255, (0, 40, 64, 96))
    mask.paste(128, (10, 20, 50, 40))
    sprite = Sprite.from_mask(mask, ((0.0, (200, 80, 60)), (1.0, (20, 30, 90))), Random(1))
    whole, split = Canvas.blank(64, 96), Canvas.blank(64, 96)

    sprite.paste(whole, 0, 0)
    for part in sprite.parts():
        part.paste(split, 0, 0)

    assert len(sprite.parts()) == 2
    assert (split.y.tobytes(), split.u.tobytes()) == (whole.y.tobytes(), whole.u.tobytes())


def test_a_glow_ends_before_its_edge() -> None:
    mask = glow_mask(40, 40, 0.8, Random(1))

    assert mask.getpixel((0, 40)) == 0
    assert min(mask.crop((38, 38, 42, 42)).tobytes()) > 150


def test_a_light_leaves_what_it_does_not_reach() -> None:
    canvas = Canvas.blank(40, 40)

    Light.of((255, 255, 255), Image.new("L", (40, 40), 0)).paste(canvas, 0, 0)

    assert canvas.y.getextrema() == (16, 16)


def test_mixing_goes_from_one_colour_to_the_other() -> None:
    assert [mix((0, 0, 0), (100, 200, 50), share) for share in (0.0, 0.5, 1.0)] == [
        (0, 0, 0),
        (50, 100, 25),
        (100, 200, 50),
    ]
