"""Pictures as the encoder wants them: one plane of brightness and two of colour at half the size.

Composing in these planes instead of RGB touches a third of the bytes and leaves nothing to convert per frame: a
masked paste over the brightness of a whole 720p picture takes 0.5 ms (Pillow 13.0, 2026-11-22), where one in RGBA took
4.3.
Colours are given as RGB and become BT.709 in video range, which is what players assume of HD.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Self

from PIL import Image, ImageChops, ImageFilter

Rgb = tuple[int, int, int]
Stops = Sequence[tuple[float, Rgb]]  # (0..1 from the top, colour), ascending

_LUMA = (0.2126, 0.7152, 0.0722)
_NEUTRAL = 128
_Y_MATRIX = (*(219 / 255 * share for share in _LUMA), 16.0)
_U_MATRIX = (-224 / 255 * 0.2126 / 1.8556, -224 / 255 * 0.7152 / 1.8556, 224 / 255 * 0.5, 128.0)
_V_MATRIX = (224 / 255 * 0.5, -224 / 255 * 0.7152 / 1.5748, -224 / 255 * 0.0722 / 1.5748, 128.0)


def yuv(colour: Rgb) -> tuple[float, float, float]:
    """Brightness (16..235) and the two colour differences (16..240) of an RGB colour."""
    red, green, blue = colour
    return (
        _Y_MATRIX[0] * red + _Y_MATRIX[1] * green + _Y_MATRIX[2] * blue + _Y_MATRIX[3],
        _U_MATRIX[0] * red + _U_MATRIX[1] * green + _U_MATRIX[2] * blue + _U_MATRIX[3],
        _V_MATRIX[0] * red + _V_MATRIX[1] * green + _V_MATRIX[2] * blue + _V_MATRIX[3],
    )


def mix(one: Rgb, other: Rgb, share: float) -> Rgb:
    """`share` (0..1) of the way from one colour to the other."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return (red, green, blue)


def half(value: int) -> int:
    """A length or place in the colour planes."""
    return value // 2


@dataclass(slots=True)
class Canvas:
    """The three planes of one picture.  They may be a little wider than the picture, as the encoder's rows are."""

    width: int
    height: int
    y: Image.Image
    u: Image.Image
    v: Image.Image

    @classmethod
    def blank(cls, width: int, height: int, *, row: int | None = None, colour_row: int | None = None) -> Self:
        """A black picture with rows of the given lengths in memory."""
        colour_size = (colour_row or half(width), half(height))
        return cls(
            width,
            height,
            Image.new("L", (row or width, height), 16),
            Image.new("L", colour_size, _NEUTRAL),
            Image.new("L", colour_size, _NEUTRAL),
        )

    def copy_from(self, other: "Canvas") -> None:
        """Become a copy of another canvas of the same size."""
        self.y.paste(other.y)
        self.u.paste(other.u)
        self.v.paste(other.v)

    def faded(self, share: float) -> "Canvas":
        """This picture at `share` (0..1) of its light."""
        dim = [round(16 + (level - 16) * share) for level in range(256)]
        pale = [round(_NEUTRAL + (level - _NEUTRAL) * share) for level in range(256)]
        return Canvas(self.width, self.height, self.y.point(dim), self.u.point(pale), self.v.point(pale))

    def rgb(self) -> Image.Image:
        """The picture as RGB, for looking at."""
        size = (self.width, self.height)
        full = [round(min(255, max(0, (level - 16) * 255 / 219))) for level in range(256)]
        spread = [round(min(255, max(0, 128 + (level - 128) * 255 / 224))) for level in range(256)]
        y = self.y.crop((0, 0, *size)).point(full)
        planes = [
            plane.crop((0, 0, half(self.width), half(self.height))).resize(size, Image.Resampling.BILINEAR)
            for plane in (self.u, self.v)
        ]
        return Image.merge("YCbCr", [y, *(plane.point(spread) for plane in planes)]).convert("RGB")


@dataclass(frozen=True, slots=True)
class Sprite:
    """A picture to be pasted into a canvas: planes, and where it covers (everywhere, without a mask)."""

    y: Image.Image
    u: Image.Image
    v: Image.Image
    mask: Image.Image | None
    colour_mask: Image.Image | None
    left: int = 0  # of the kept part within what was given
    top: int = 0

    @property
    def width(self) -> int:
        """Of the kept part, in pixels."""
        return self.y.width

    @property
    def height(self) -> int:
        """Of the kept part, in pixels."""
        return self.y.height

    def paste(self, canvas: Canvas, x: int, y: int) -> None:
        """Lay it over the canvas with the corner of what it was made from at (x, y); outside is cut off."""
        x, y = x + self.left, y + self.top
        canvas.y.paste(self.y, (x, y), self.mask)
        at = (half(x), half(y))
        canvas.u.paste(self.u, at, self.colour_mask)
        canvas.v.paste(self.v, at, self.colour_mask)

    @classmethod
    def from_rgba(cls, image: Image.Image) -> Self:
        """What is not transparent of a drawing."""
        box = image.getchannel("A").getbbox() or (0, 0, 2, 2)
        left, top = box[0] // 2 * 2, box[1] // 2 * 2
        image = _even(image.crop((left, top, box[2], box[3])))
        solid = image.convert("RGB")
        size = (half(image.width), half(image.height))
        small = solid.resize(size, Image.Resampling.BOX)
        mask = image.getchannel("A")
        return cls(
            solid.convert("L", _Y_MATRIX),
            small.convert("L", _U_MATRIX),
            small.convert("L", _V_MATRIX),
            mask,
            mask.resize(size, Image.Resampling.BOX),
            left,
            top,
        )

    @classmethod
    def from_mask(cls, mask: Image.Image, stops: Stops, random: Random) -> Self:
        """A shape filled with a vertical gradient that spans the shape's own height."""
        box = mask.getbbox() or (0, 0, 2, 2)
        left, top = box[0] // 2 * 2, box[1] // 2 * 2
        mask = _even(mask.crop((left, top, box[2], box[3])))
        filled = gradient(mask.width, mask.height, stops, random)
        size = (half(mask.width), half(mask.height))
        return cls(filled.y, filled.u, filled.v, mask, mask.resize(size, Image.Resampling.BOX), left, top)

    @classmethod
    def opaque(cls, canvas: Canvas) -> Self:
        """A canvas as a sprite that covers everywhere."""
        return cls(canvas.y, canvas.u, canvas.v, None, None)

    def parts(self) -> "tuple[Sprite, ...]":
        """The same, split where it becomes solid: a ridge needs its mask, what lies below it does not."""
        if self.mask is None or self.colour_mask is None:
            return (self,)
        holes = self.mask.point([255] * 255 + [0]).getbbox()
        solid_from = (holes[3] + 1) // 2 * 2 if holes else 0
        if solid_from > self.height - 16:
            return (self,)
        ridge = self._rows(0, solid_from, masked=True)
        body = self._rows(solid_from, self.height, masked=False)
        return (ridge, body) if solid_from else (body,)

    def _rows(self, top: int, bottom: int, *, masked: bool) -> "Sprite":
        box, colour_box = (0, top, self.width, bottom), (0, half(top), self.u.width, half(bottom))
        return Sprite(
            self.y.crop(box),
            self.u.crop(colour_box),
            self.v.crop(colour_box),
            self.mask.crop(box) if masked and self.mask else None,
            self.colour_mask.crop(colour_box) if masked and self.colour_mask else None,
            self.left,
            self.top + top,
        )


@dataclass(frozen=True, slots=True)
class Light:
    """A colour laid on through a soft mask: a glow, a beam, a shadow.  It has no edge of its own."""

    colour: tuple[int, int, int]  # y, u, v
    mask: Image.Image
    colour_mask: Image.Image

    @classmethod
    def of(cls, colour: Rgb, mask: Image.Image) -> Self:
        """`mask` is how much of the colour arrives where."""
        mask = _even(mask)
        y, u, v = (round(part) for part in yuv(colour))
        return cls((y, u, v), mask, mask.resize((half(mask.width), half(mask.height)), Image.Resampling.BOX))

    def paste(self, canvas: Canvas, x: int, y: int) -> None:
        """Shine on the canvas with the mask's corner at (x, y); outside is cut off."""
        canvas.y.paste(self.colour[0], (x, y, x + self.mask.width, y + self.mask.height), self.mask)
        x, y = half(x), half(y)
        box = (x, y, x + self.colour_mask.width, y + self.colour_mask.height)
        canvas.u.paste(self.colour[1], box, self.colour_mask)
        canvas.v.paste(self.colour[2], box, self.colour_mask)


def gradient(width: int, height: int, stops: Stops, random: Random) -> Canvas:
    """A vertical gradient without bands: between two levels, pixels take either by chance."""
    canvas = Canvas.blank(width, height)
    for plane, part in ((canvas.y, 0), (canvas.u, 1), (canvas.v, 2)):
        noise = random.randbytes(plane.width * 3)
        rows = []
        for row in range(plane.height):
            level = yuv_at(stops, row / max(1, plane.height - 1))[part]
            base = int(level)
            split = round((level - base) * 256)
            chosen = bytes([base + 1]) * split + bytes([base]) * (256 - split)
            start = random.randrange(plane.width * 2)
            rows.append(noise[start : start + plane.width].translate(chosen))
        plane.frombytes(b"".join(rows))
    return canvas


def yuv_at(stops: Stops, place: float) -> tuple[float, float, float]:
    """The colour of a gradient at `place` (0..1), not rounded."""
    before = stops[0]
    for stop in stops:
        if stop[0] >= place:
            if stop[0] == before[0]:
                return yuv(stop[1])
            share = (place - before[0]) / (stop[0] - before[0])
            # Smooth at the stops, or the eye finds a line there.
            share = share * share * (3 - 2 * share)
            one, other = yuv(before[1]), yuv(stop[1])
            y, u, v = (a + (b - a) * share for a, b in zip(one, other, strict=True))
            return (y, u, v)
        before = stop
    return yuv(before[1])


def colour_at(stops: Stops, place: float) -> Rgb:
    """The colour of a gradient at `place` (0..1)."""
    before = stops[0]
    for stop in stops:
        if stop[0] >= place:
            if stop[0] == before[0]:
                return stop[1]
            return mix(before[1], stop[1], (place - before[0]) / (stop[0] - before[0]))
        before = stop
    return before[1]


def glow_mask(radius_x: int, radius_y: int, strength: float, random: Random, *, power: float = 2.2) -> Image.Image:
    """A round falling-off of light, `strength` (0..1) in the middle and nothing at the rim, without rings."""
    # Pillow's gradient counts 181 at the circle that touches the sides.
    ramp = [max(0.0, 1 - level / 181) ** power for level in range(256)]
    size = (max(2, 2 * radius_x), max(2, 2 * radius_y))
    mask = Image.radial_gradient("L").point([round(255 * share) for share in ramp])
    mask = mask.resize(size, Image.Resampling.BICUBIC)
    # What is lost by applying `strength` to 8 bits is decided pixel by pixel by chance.
    whole = mask.point([int(level * strength) for level in range(256)])
    lost = mask.point([int(level * strength % 1 * 256) for level in range(256)])
    noise = Image.frombytes("L", size, random.randbytes(size[0] * size[1]))
    return ImageChops.add(whole, ImageChops.subtract(lost, noise).point([0] + [1] * 255))


def soft(mask: Image.Image, radius: float) -> Image.Image:
    """A mask with blurred edges."""
    return mask.filter(ImageFilter.GaussianBlur(radius))


def _even(image: Image.Image) -> Image.Image:
    """The image, grown to even sides: colour planes have half of them."""
    width, height = image.width + image.width % 2, image.height + image.height % 2
    if (width, height) == image.size:
        return image
    grown = Image.new(image.mode, (width, height))
    grown.paste(image)
    return grown
