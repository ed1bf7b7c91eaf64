"""What each video and language model can do and what it costs: facts with their source and the day they were read.

A model id is configuration, because models retire (Veo 2 on 30 June 2026); what the id stands for is this table.
A request is checked against it before anything is spent, because Vertex AI reports an impossible length only in the
finished operation, after other scenes were billed.
"""

from datetime import date, timedelta
from typing import Literal

from statemachine.record import Record

AspectRatio = Literal["16:9", "9:16"]

# Every clip is made, conformed and joined at this rate: Veo delivers 24 (model cards, read 2026-11-22).
FRAMES_PER_SECOND = 24


class VideoModel(Record):
    """One model that makes clips.

    Attributes:
        clip_seconds: the lengths that can be ordered, ascending.  Empty means any length up to `longest_seconds`.
        usd_per_second: price of one second of 720p video without sound.
        per_minute: submissions that the vendor accepts in a minute, or None where nothing limits them.
        p50, p90: how long one clip takes.
        slowest: the longest that a clip was ever seen to take.
        retired_on: the day from which the vendor answers 404, or None.
        served_until: the vendor has promised to serve it at least until this day.
        takes_resolution: whether a request may name the resolution; where it may not, the first one is made.
        has_audio_flag: whether sound can be switched off, and must be, or it is paid for.
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
    takes_resolution: bool = False
    served_until: date | None = None

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

# Veo on Vertex AI.  Lengths, forms and prices: model cards and price page, as compiled on 2026-09-02; quotas: Service
# Usage, 2026-09-12, and for Veo 2 the limits page of 2025; dates: model versions page, 2026-11-06; all read 2026-11-22.
# How long a clip takes: "11 seconds to 6 minutes" (Gemini API page); half of them within 45-60 s and nine of ten within
# 120-150 s by public measurements (32 s, 54.6 s, 113 s).
_VEO_READ_ON = date(2026, 11, 22)
_VEO_P50 = timedelta(seconds=50)
_VEO_P90 = timedelta(seconds=135)
_VEO_SLOWEST = timedelta(minutes=6)
_VEO_REGIONS = ("us-central1",)
_MODEL_CARDS = "docs.cloud.google.com/gemini-enterprise-agent-platform/models/veo"


def _veo_3_1(
    name: str, *, usd_per_second: float, resolutions: tuple[str, ...], served_until: date | None
) -> VideoModel:
    return VideoModel(
        name=name,
        clip_seconds=(4, 6, 8),
        longest_seconds=8.0,
        usd_per_second=usd_per_second,
        per_minute=50,
        p50=_VEO_P50,
        p90=_VEO_P90,
        slowest=_VEO_SLOWEST,
        source=f"{_MODEL_CARDS}/3-1-generate",
        read_on=_VEO_READ_ON,
        regions=_VEO_REGIONS,
        resolutions=resolutions,
        has_audio_flag=True,
        takes_resolution=True,
        served_until=served_until,
    )


VEO_2 = VideoModel(
    name="veo-2.0-generate-001",
    clip_seconds=(5, 6, 7, 8),
    longest_seconds=8.0,
    usd_per_second=0.50,
    per_minute=10,
    p50=_VEO_P50,
    p90=_VEO_P90,
    slowest=_VEO_SLOWEST,
    source=f"{_MODEL_CARDS}/2-0-generate",
    read_on=_VEO_READ_ON,
    retired_on=date(2026, 6, 30),
    regions=_VEO_REGIONS,
)
VEO_3_1 = _veo_3_1(
    "veo-3.1-generate-001",
    usd_per_second=0.20,
    resolutions=("720p", "1080p", "4k"),
    served_until=date(2027, 5, 4),
)
VEO_3_1_FAST = _veo_3_1(
    "veo-3.1-fast-generate-001",
    usd_per_second=0.08,
    resolutions=("720p", "1080p"),
    served_until=date(2027, 5, 4),
)
# A preview: nothing is promised.
VEO_3_1_LITE = _veo_3_1(
    "veo-3.1-lite-generate-001",
    usd_per_second=0.03,
    resolutions=("720p", "1080p"),
    served_until=None,
)

VEO_MODELS = {model.name: model for model in (VEO_2, VEO_3_1, VEO_3_1_FAST, VEO_3_1_LITE)}
DEFAULT_VEO_MODEL = VEO_3_1_FAST.name


class LanguageModel(Record):
    """One model that plans scenes.

    Attributes:
        usd_per_million_in, usd_per_million_out: price of a million tokens, or None where none was found.
        retired_on: the announced day from which the vendor answers 404, or None where none is announced.
    """

    name: str
    usd_per_million_in: float | None
    usd_per_million_out: float | None
    retired_on: date | None = None
    source: str = "developers.openai.com/api/docs/deprecations; openai 3.54.0, types/shared/chat_model.py"
    read_on: date = date(2026, 11, 22)

    def is_retired(self, today: date) -> bool:
        """Whether the vendor has stopped serving this model."""
        return self.retired_on is not None and today >= self.retired_on


# Prices are secondary: public copies of OpenAI's price page of April to June 2026 (the 5.4 and 5.5 models) and of 2025
# (older ones), and for gpt-6-luna a blog of November 2026; read 2026-11-22.
LANGUAGE_MODELS = {
    model.name: model
    for model in (
        LanguageModel("gpt-4", None, None, date(2026, 10, 23)),
        LanguageModel("gpt-4-turbo", None, None, date(2026, 10, 23)),
        LanguageModel("gpt-4.1-nano", 0.10, 0.40, date(2026, 10, 23)),
        LanguageModel("gpt-5", 1.25, 10.00, date(2026, 12, 11)),
        LanguageModel("gpt-5-mini", 0.25, 2.00, date(2026, 12, 11)),
        LanguageModel("gpt-5-nano", 0.05, 0.40, date(2026, 12, 11)),
        LanguageModel("gpt-4o", 2.50, 10.00, date(2027, 1, 14)),
        LanguageModel("gpt-4o-mini", 0.15, 0.60, date(2027, 1, 14)),
        LanguageModel("gpt-4.1", 2.00, 8.00, date(2027, 1, 14)),
        LanguageModel("gpt-4.1-mini", 0.40, 1.60, date(2027, 1, 14)),
        LanguageModel("gpt-5.1", None, None, date(2027, 4, 1)),
        LanguageModel("gpt-5.4-nano", 0.20, 1.25, date(2027, 4, 1)),
        LanguageModel("gpt-5.4-mini", 0.75, 4.50),
        LanguageModel("gpt-5.4", 2.50, 15.00),
        LanguageModel("gpt-5.5", 5.00, 30.00),
        LanguageModel("gpt-6-luna", 0.10, 0.50),
    )
}

# Answers today, has structured output, and no day is announced on which it will not.
DEFAULT_LANGUAGE_MODEL = "gpt-5.4-mini"
