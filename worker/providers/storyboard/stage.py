"""A scene as layers at different depths, seen by a camera that glides sideways."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from PIL import Image

from worker.providers.storyboard.palette import Palette
from worker.providers.storyboard.planes import Canvas, Light, Rgb, Sprite, Stops, glow_mask
from worker.providers.storyboard.vocabulary import Scene

# Where something is at a moment, beside its own place.
Motion = Callable[[float], tuple[float, float]]


class Layer(Protocol):
    """Something that is drawn into every frame."""

    def draw(self, canvas: Canvas, moment: float) -> None:
        """Draw it as it looks `moment` seconds after the scene began."""


@dataclass(slots=True)
class Stage:
    """What a scene is built on.

    Attributes:
        backdrop: what never moves; the first thing in every frame.
        layers: the rest, from far to near.
        pan: how far the nearest layer travels during the scene, in pixels; negative to the other side.
    """

    width: int
    height: int
    scene: Scene
    palette: Palette
    random: Random
    seconds: float
    pan: float
    backdrop: Canvas
    scene_index: int
    layers: list[Layer] = field(default_factory=list)
    flashes: list[float] = field(default_factory=list)  # moments of lightning

    @property
    def unit(self) -> float:
        """Pixels per pixel of a drawing made for a short side of 720."""
        return min(self.width, self.height) / 720

    @property
    def is_tall(self) -> bool:
        """The picture stands upright."""
        return self.height > self.width

    @property
    def is_dark(self) -> bool:
        """Lamps are lit."""
        return self.scene.hour in ("night", "dusk") or self.scene.weather == "storm"

    def margin(self, depth: float) -> int:
        """How far a layer at `depth` must reach beyond the picture on either side."""
        return math.ceil(abs(self.pan) * depth / 2) + 4

    def shift(self, depth: float, moment: float) -> float:
        """Where the camera's glide puts a layer at `depth`."""
        return -self.pan * depth * (moment / self.seconds - 0.5)

    def put(
        self, picture: Image.Image | Sprite, x: float, y: float, *, depth: float = 0.0, motion: Motion | None = None
    ) -> None:
        """Add a drawing with its corner at (x, y) when the camera is in the middle."""
        sprite = picture if isinstance(picture, Sprite) else Sprite.from_rgba(picture)
        if depth == 0 and motion is None and not self.layers:
            sprite.paste(self.backdrop, round(x), round(y))
            return
        self.layers.append(_Placed(self, sprite.parts(), x, y, depth, motion))

    def stand(
        self, picture: Image.Image, middle: float, foot: float, *, depth: float, motion: Motion | None = None
    ) -> None:
        """Add a drawing that stands with the middle of its lower edge at (middle, foot)."""
        self.put(picture, middle - picture.width / 2, foot - picture.height, depth=depth, motion=motion)

    def land(self, mask: Image.Image, stops: Stops, top: float, *, depth: float) -> None:
        """Add a ridge as wide as the picture and its margins."""
        self.put(Sprite.from_mask(mask, stops, self.random), -self.margin(depth), top, depth=depth)

    def light(
        self,
        colour: Rgb,
        masks: Sequence[Image.Image],
        middle: tuple[float, float],
        *,
        depth: float = 0.0,
        motion: Motion | None = None,
        choose: Callable[[float], int] | None = None,
    ) -> None:
        """Add a light around `middle`; of several masks, `choose` says which shows at a moment."""
        lights = [Light.of(colour, mask) for mask in masks]
        if len(lights) == 1 and depth == 0 and motion is None and not self.layers:
            lights[0].paste(
                self.backdrop, round(middle[0] - masks[0].width / 2), round(middle[1] - masks[0].height / 2)
            )
            return
        self.layers.append(_Shining(self, tuple(lights), middle, depth, motion, choose or (lambda _: 0)))

    def glow(
        self,
        colour: Rgb,
        middle: tuple[float, float],
        radius: float,
        strength: float,
        *,
        depth: float = 0.0,
        motion: Motion | None = None,
        flickers: bool = False,
    ) -> None:
        """Add a round glow, steady or flickering like a flame."""
        size = round(radius)
        shares = (1.0, 0.86, 0.94, 0.8, 0.9) if flickers else (1.0,)
        masks = [glow_mask(size, size, strength * share, self.random) for share in shares]
        order = [self.random.randrange(len(shares)) for _ in range(97)]
        self.light(
            colour,
            masks,
            middle,
            depth=depth,
            motion=motion,
            choose=(lambda moment: order[int(moment * 9) % len(order)]) if flickers else None,
        )


@dataclass(frozen=True, slots=True)
class _Placed:
    stage: Stage
    parts: tuple[Sprite, ...]
    x: float
    y: float
    depth: float
    motion: Motion | None

    def draw(self, canvas: Canvas, moment: float) -> None:
        moved_x, moved_y = self.motion(moment) if self.motion else (0.0, 0.0)
        x = round(self.x + moved_x + self.stage.shift(self.depth, moment))
        y = round(self.y + moved_y)
        for part in self.parts:
            part.paste(canvas, x, y)


@dataclass(frozen=True, slots=True)
class _Shining:
    stage: Stage
    lights: tuple[Light, ...]
    middle: tuple[float, float]
    depth: float
    motion: Motion | None
    choose: Callable[[float], int]

    def draw(self, canvas: Canvas, moment: float) -> None:
        light = self.lights[self.choose(moment)]
        moved_x, moved_y = self.motion(moment) if self.motion else (0.0, 0.0)
        x = self.middle[0] + moved_x + self.stage.shift(self.depth, moment) - light.mask.width / 2
        y = self.middle[1] + moved_y - light.mask.height / 2
        light.paste(canvas, round(x), round(y))


def bobbing(size: float, seconds: float, phase: float = 0.0, *, drift: float = 0.0) -> Motion:
    """Up and down by `size` pixels every `seconds`, drifting sideways by `drift` pixels a second."""
    return lambda moment: (drift * moment, size * math.sin(math.tau * moment / seconds + phase))


def drifting(speed: float) -> Motion:
    """Sideways by `speed` pixels a second; less than 0 is leftwards."""
    return lambda moment: (speed * moment, 0.0)
