"""What each video model can do and what it costs: facts with their source and the day they were read.

A model id is configuration, because models retire (Veo 2 on 30 June 2026); what the id stands for is this table.
A request is checked against it before anything is spent, because Vertex AI reports an impossible length only in the
finished operation, after other scenes were billed.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

AspectRatio = Literal["16:9", "9:16"]

# Every clip is made, conformed and joined at this rate: Veo delivers 24 (model cards, read 2026-11-22).
FRAMES_PER_SECOND = 24


@dataclass(frozen=True, slots=True)
class VideoModel:
    """One model that makes clips.

    Attributes:
        clip_seconds: the lengths that can be ordered, ascending.  Empty means any length up to `longest_seconds`.
        usd_per_second: price of one second of 720p video without sound.
        per_minute: submissions that the vendor accepts in a minute, or None where nothing limits them.
        p50, p90: how long one clip takes.
        slowest: the longest that a clip was ever seen to take.
        retired_on: the day from which the vendor answers 404, or None.
    """

    name: str
    clip_seconds: tuple[int, ...]
    longest_seconds: float
    usd_per_second: float
    per_minute: int | None
    p50: timedelta
    p90: timedelta
    slowest: timedelta
    source: str
    read_on: date
    retired_on: date | None = None
    regions: tuple[str, ...] = ()
    aspect_ratios: tuple[AspectRatio, ...] = ("16:9", "9:16")
    resolutions: tuple[str, ...] = ("720p",)
    has_audio_flag: bool = False

    def ordered_seconds(self, beat_seconds: float) -> float:
        """The shortest clip that can be ordered and covers a beat of `beat_seconds`.

        Raises:
            ValueError: no clip of this model is that long.
        """
        if beat_seconds > self.longest_seconds + 1e-6:
            raise ValueError(f"{self.name} makes clips of at most {self.longest_seconds} s, not {beat_seconds:.3f} s")
        if not self.clip_seconds:
            return beat_seconds
        return next(seconds for seconds in self.clip_seconds if seconds >= beat_seconds - 1e-6)

    def is_retired(self, today: date) -> bool:
        """Whether the vendor has stopped serving this model."""
        return self.retired_on is not None and today >= self.retired_on


# The offline renderer: it draws any length, costs nothing, and is limited by the processor alone.
STORYBOARD = VideoModel(
    name="storyboard",
    clip_seconds=(),
    longest_seconds=8.0,
    usd_per_second=0.0,
    per_minute=None,
    p50=timedelta(seconds=3),
    p90=timedelta(seconds=8),
    slowest=timedelta(seconds=120),
    source="python -m benchmarks run",
    read_on=date(2026, 11, 22),
)
