"""The words of a scene at the foot of the picture, each lighting up as it is spoken."""

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources

from PIL import Image, ImageDraw, ImageFont

from worker.job import Word
from worker.providers.storyboard.planes import Canvas, Light, soft

FONT_FILE = "InterDisplay-SemiBold.otf"

# Most of a line's width, and where the block's lower edge stands.
_WIDEST = 0.82
_LOWER_EDGE = 0.925
_MOST_LINES = {"wide": 3, "tall": 5}
_WAITING, _SPOKEN = 132, 255  # how much of a word is to be seen
_LIGHTING_SECONDS = 0.12
_SMALLEST = 18
_UNKNOWN = "?"
# Private use: no font of text has a glyph here, so it shows what "no glyph" looks like.
_NO_GLYPH = "\U0010fff0"


class Captioning:
    """The words of one scene, laid out; `draw` shows them as they stand at a moment."""

    def __init__(self, words: Sequence[Word], *, width: int, height: int, scene_starts: float) -> None:
        self._words = [(text, word.start_seconds - scene_starts) for word in words if (text := drawable(word.text))]
        is_tall = height > width
        size = round(min(width, height) / (17.5 if not is_tall else 16.5))
        most = _MOST_LINES["tall" if is_tall else "wide"]
        while True:
            loaded = font(size)
            lines = balanced_lines([text for text, _ in self._words], widest=width * _WIDEST, font=loaded)
            if len(lines) <= most or size <= _SMALLEST:
                break
            size -= 2
        self._boxes: list[tuple[int, int, int, int]] = []
        step = round(size * 1.32)
        margin = size // 2
        block = Image.new("L", (width // 2 * 2, (len(lines) * step + 2 * margin) // 2 * 2))
        draw = ImageDraw.Draw(block)
        space = loaded.getlength(" ")
        for row, line in enumerate(lines):
            x = (width - line_width(line, loaded)) / 2
            for text in line:
                long = loaded.getlength(text)
                top = margin + row * step
                draw.text((round(x), top), text, fill=255, font=loaded)
                self._boxes.append((round(x) - 2, top - margin // 2, round(x + long) + 3, top + step))
                x += long + space
        self._full = block
        self._shown = block.point([round(level * _WAITING / 255) for level in range(256)])
        self._levels = [_WAITING] * len(self._words)
        self._x, self._y = 0, round(height * _LOWER_EDGE - block.height) // 2 * 2
        shade = soft(block, size * 0.3).point([min(205, level * 2) for level in range(256)])
        shade.paste(
            soft(block, size * 0.09).point([min(235, round(level * 1.6)) for level in range(256)]),
            mask=soft(block, size * 0.09),
        )
        self._shade = Light.of((4, 5, 9), shade)

    def draw(self, canvas: Canvas, moment: float) -> None:
        """Lay the words over the canvas, those spoken by `moment` in full light."""
        if not self._words:
            return
        for index, (_, starts) in enumerate(self._words):
            share = min(1.0, max(0.0, (moment - starts) / _LIGHTING_SECONDS + 0.5))
            level = round(_WAITING + (_SPOKEN - _WAITING) * share)
            if level != self._levels[index]:
                self._levels[index] = level
                box = self._boxes[index]
                word = self._full.crop(box).point([round(part * level / 255) for part in range(256)])
                self._shown.paste(word, box[:2])
        self._shade.paste(canvas, self._x, self._y)
        stamp(canvas, self._shown, self._x, self._y)


class Mark:
    """The small line that says this is a preview."""

    def __init__(self, text: str, *, width: int, height: int) -> None:
        size = max(13, round(min(width, height) / 40))
        loaded = font(size)
        text = drawable(text)
        mask = Image.new("L", (round(loaded.getlength(text)) + 12, size * 2))
        ImageDraw.Draw(mask).text((4, size // 3), text, fill=190, font=loaded)
        self._mask = mask.crop((0, 0, mask.width // 2 * 2, mask.height // 2 * 2))
        self._shade = Light.of((4, 5, 9), soft(self._mask, 3).point([min(200, level * 5) for level in range(256)]))
        self._x, self._y = round(size * 1.4) // 2 * 2, round(size * 1.1) // 2 * 2

    def draw(self, canvas: Canvas, moment: float) -> None:
        """Lay the mark over the canvas; it looks the same at every moment."""
        del moment
        self._shade.paste(canvas, self._x, self._y)
        stamp(canvas, self._mask, self._x, self._y)


def stamp(canvas: Canvas, mask: Image.Image, x: int, y: int) -> None:
    """White through a mask, without the colour of what lies under it."""
    canvas.y.paste(235, (x, y, x + mask.width, y + mask.height), mask)
    small = mask.reduce(2)
    box = (x // 2, y // 2, x // 2 + small.width, y // 2 + small.height)
    canvas.u.paste(128, box, small)
    canvas.v.paste(128, box, small)


def balanced_lines(words: Sequence[str], *, widest: float, font: ImageFont.FreeTypeFont) -> list[list[str]]:
    """The words in as few lines as fit `widest`, and these as even as they can be.

    A single word that is wider than `widest` stands on a line of its own.
    """
    if not words:
        return []
    widths = [font.getlength(word) for word in words]
    space = font.getlength(" ")
    fewest = len(_filled(widths, space, widest))
    low, high = max(widths), max(widest, *widths)
    # The narrowest measure that still needs no more lines makes them even.
    for _ in range(12):
        measure = (low + high) / 2
        if len(_filled(widths, space, measure)) <= fewest:
            high = measure
        else:
            low = measure
    lines, start = [], 0
    for count in _filled(widths, space, high):
        lines.append(list(words[start : start + count]))
        start += count
    return lines


def _filled(widths: Sequence[float], space: float, measure: float) -> list[int]:
    """How many words go on each line when every line takes what fits."""
    counts, used = [0], 0.0
    for width in widths:
        if counts[-1] and used + space + width > measure:
            counts.append(0)
            used = 0.0
        used += width + (space if counts[-1] else 0.0)
        counts[-1] += 1
    return counts


def line_width(line: Sequence[str], font: ImageFont.FreeTypeFont) -> float:
    """How wide a line of words is."""
    return sum(font.getlength(word) for word in line) + font.getlength(" ") * (len(line) - 1)


@lru_cache(maxsize=16)
def font(size: int) -> ImageFont.FreeTypeFont:
    """The shipped font.  Its layout is the simple one: what the other needs is not on every machine."""
    with resources.as_file(resources.files(__package__) / "fonts" / FONT_FILE) as path:
        return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def drawable(text: str) -> str:
    """The text with every character that the font lacks replaced: by its plain letter, else by a question mark."""
    return "".join(_drawable(character) for character in unicodedata.normalize("NFC", text)).strip()


@lru_cache(maxsize=4096)
def _drawable(character: str) -> str:
    if character.isspace():
        return " "
    if unicodedata.category(character) in ("Cc", "Cf", "Mn"):
        return ""
    if has_glyph(character):
        return character
    plain = "".join(
        part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part) and has_glyph(part)
    )
    return plain or _UNKNOWN


@lru_cache(maxsize=4096)
def has_glyph(character: str) -> bool:
    """Whether the font draws this character as itself and not as its empty box."""
    return _picture(character) != _picture(_NO_GLYPH)


def _picture(character: str) -> tuple[tuple[int, int], bytes]:
    mask = font(40).getmask(character)
    return (mask.size, bytes(mask))
