"""Where one scene ends and the next begins: pure arithmetic over the spoken words.

The number of beats follows from the duration alone, so the same recording never becomes 16 scenes today and 31
tomorrow.  Where the cuts fall follows from the words: dynamic programming finds the cheapest set of cuts, because
a cut chosen greedily leaves the next one without a pause to fall into.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from statemachine.errors import PermanentError
from worker.job import BeatSlot, Word
from worker.models import FRAMES_PER_SECOND

# A person follows a scene of this length at ease; shorter ones flicker.
PREFERRED_SECONDS = 6.0
SHORTEST_SECONDS = 2.5

# What a cut costs.  Inside a word it costs more than any number of uneven scenes could save.
_IN_A_WORD = 100.0
_WITHOUT_A_PAUSE = 10.0
_PAUSE_SCALE_SECONDS = 0.25  # a pause of this length costs 1/e of no pause at all
_AFTER_SENTENCE = 0.25  # factor, where the transcript has punctuation
_AFTER_CLAUSE = 0.6
_AT_THE_EDGE = 1.5  # added where a sound is nearer than word times are exact
_EDGE_SECONDS = 0.1
_UNEVEN = 6.0  # times the squared deviation from the average length, relative to it

# No cut lies further from where equal beats would put it than so many of the longest beats.  It keeps the work linear
# in the duration, and the scenes spread over the recording.
_REACH = 2

# Between the pauses a cut may fall on every half second; enough where somebody speaks without drawing breath.
_COARSE_SECONDS = 0.5

_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’)\]]*$")  # noqa: RUF001 - quotes and full-width marks are meant
_CLAUSE_END = re.compile(r"[,;:—–、，][\"'”’)\]]*$")  # noqa: RUF001 - as above


def cut_beats(
    words: Sequence[Word],
    duration_seconds: float,
    *,
    longest_seconds: float,
    max_scenes: int,
    shortest_seconds: float = SHORTEST_SECONDS,
    preferred_seconds: float = PREFERRED_SECONDS,
    frames_per_second: int = FRAMES_PER_SECOND,
) -> tuple[BeatSlot, ...]:
    """Beats that cover the recording from 0 to its end, without gap or overlap, in order.

    Every boundary but the last lies on a frame.  No beat is longer than `longest_seconds`, and none shorter than
    `shortest_seconds` unless the recording leaves no choice.  Without words the beats are equally long.

    Raises:
        PermanentError: code TOO_LONG, `max_scenes` beats of the longest length do not cover the recording.
        ValueError: a duration or limit that is not positive.
    """
    if not duration_seconds > 0 or not math.isfinite(duration_seconds):
        raise ValueError(f"a recording of {duration_seconds} s cannot be cut")
    longest = math.floor(longest_seconds * frames_per_second + 1e-6)
    if longest < 1 or max_scenes < 1:
        raise ValueError(f"no scene fits: longest {longest_seconds} s, at most {max_scenes} scenes")
    total = duration_seconds * frames_per_second
    count = _count(
        total,
        longest=longest,
        shortest=shortest_seconds * frames_per_second,
        preferred=min(preferred_seconds, 0.75 * longest_seconds) * frames_per_second,
        max_scenes=max_scenes,
    )
    if count > max_scenes:
        raise PermanentError(
            "TOO_LONG",
            f"{duration_seconds:.0f} s need {count} scenes of at most {longest_seconds:g} s, and {max_scenes} are "
            "allowed; cut the recording, or allow more scenes (--max-scenes, or maxScenes of the API)",
            user_action="upload_other_audio",
            details={"scenes": count, "max_scenes": max_scenes},
        )
    grid = _Grid(total, count, longest, _shortest(total / count, shortest_seconds * frames_per_second))
    speech = _Speech.of(words, frames_per_second)
    cuts = _cheapest_cuts(grid, speech) if words else grid.even
    times = [0.0, *(cut / frames_per_second for cut in cuts), duration_seconds]
    return tuple(
        BeatSlot(index, start, end, narration)
        for index, (start, end, narration) in enumerate(
            zip(times[:-1], times[1:], _narrations(words, times), strict=True)
        )
    )


def join_words(texts: Sequence[str]) -> str:
    """Words as a sentence is written: a mark that stands alone joins the word before it."""
    return re.sub(r" +([,.;:!?…%)\]”]+)(?= |$)", r"\1", re.sub(r"([(\[“]) +", r"\1", " ".join(texts)))


def _count(total: float, *, longest: int, shortest: float, preferred: float, max_scenes: int) -> int:
    """How many beats: near the preferred length, within the limits, and never fewer than the longest clip asks."""
    fewest = math.ceil(total / longest - 1e-9)
    wanted = min(math.floor(total / preferred + 0.5), math.floor(total / shortest) if shortest > 0 else max_scenes)
    return max(1, fewest, min(wanted, max_scenes))


def _shortest(average: float, shortest: float) -> int:
    """The shortest beat in frames, such that equal beats on the grid are always possible."""
    return max(0, min(math.ceil(shortest - 1e-6), math.floor(average) - 1))


@dataclass(frozen=True, slots=True)
class _Grid:
    """`count` beats over `total` frames, of which the last need not be whole."""

    total: float
    count: int
    longest: int
    shortest: int

    @property
    def even(self) -> list[int]:
        """Equal beats.  Rounded up, so that the last one, which ends between two frames, is not the longest."""
        return [math.ceil(index * self.total / self.count - 1e-9) for index in range(1, self.count)]

    def window(self, index: int) -> range:
        """Where cut `index` (from 1) may fall, so that the beats before and after it can keep their limits."""
        left = self.count - index
        even = math.ceil(index * self.total / self.count - 1e-9)
        reach = _REACH * self.longest
        first = max(index * self.shortest, math.ceil(self.total - left * self.longest - 1e-6), even - reach)
        last = min(index * self.longest, math.floor(self.total - left * self.shortest + 1e-6), even + reach)
        return range(first, last + 1)


@dataclass(frozen=True, slots=True)
class _Speech:
    """The words in frames, by start; `heard_until[i]` is where the first i+1 words have all ended."""

    frames_per_second: int
    texts: tuple[str, ...]
    starts: tuple[float, ...]
    heard_until: tuple[float, ...]

    @classmethod
    def of(cls, words: Sequence[Word], frames_per_second: int) -> "_Speech":
        ordered = sorted(words, key=lambda word: (word.start_seconds, word.end_seconds))
        return cls(
            frames_per_second,
            tuple(word.text for word in ordered),
            tuple(word.start_seconds * frames_per_second for word in ordered),
            tuple(accumulate((word.end_seconds * frames_per_second for word in ordered), max)),
        )

    def pauses(self) -> list[int]:
        """The frames in which a cut suits: the middle of each pause, and of a long one also near its ends."""
        near = 0.25 * self.frames_per_second
        cuts: set[int] = set()
        for end, start in zip(self.heard_until[:-1], self.starts[1:], strict=True):
            if start >= end:
                cuts.add(round((start + end) / 2))
            if start - end > 4 * near:
                cuts |= {round(end + near), round(start - near)}
        return sorted(cuts)

    def cost(self, frame: int) -> float:
        """What a cut at `frame` costs."""
        index = bisect_right(self.starts, frame) - 1
        if index < 0 or index == len(self.starts) - 1:
            # Before the first word, or after the last one began: only that last word can be in the way.
            return _IN_A_WORD if index >= 0 and self.heard_until[index] > frame else 0.0
        end, start = self.heard_until[index], self.starts[index + 1]
        if end > frame:
            return _IN_A_WORD
        cost = _WITHOUT_A_PAUSE * math.exp(-(start - end) / self.frames_per_second / _PAUSE_SCALE_SECONDS)
        if _SENTENCE_END.search(self.texts[index]):
            cost *= _AFTER_SENTENCE
        elif _CLAUSE_END.search(self.texts[index]):
            cost *= _AFTER_CLAUSE
        if min(frame - end, start - frame) < _EDGE_SECONDS * self.frames_per_second:
            cost += _AT_THE_EDGE
        return cost


def _cheapest_cuts(grid: _Grid, speech: _Speech) -> list[int]:
    """The cuts with the lowest cost of all; among equals the earliest."""
    average = grid.total / grid.count
    coarse = range(0, math.floor(grid.total), max(1, round(_COARSE_SECONDS * speech.frames_per_second)))
    candidates = sorted({*speech.pauses(), *coarse, *grid.even})
    costs = {frame: speech.cost(frame) for frame in candidates}
    # By cut: the cheapest cost of everything up to it, and the cut before it.
    layers: list[dict[int, tuple[float, int]]] = [{0: (0.0, 0)}]

    def unevenness(frames: float) -> float:
        return _UNEVEN * ((frames - average) / average) ** 2

    for index in range(1, grid.count):
        window = grid.window(index)
        before = sorted(layers[-1].items())
        starts = [start for start, _ in before]
        layer: dict[int, tuple[float, int]] = {}
        for frame in candidates[bisect_right(candidates, window.start - 1) : bisect_right(candidates, window.stop - 1)]:
            reachable = before[
                bisect_right(starts, frame - grid.longest - 1) : bisect_right(starts, frame - grid.shortest)
            ]
            if reachable:
                layer[frame] = min(
                    (cost + costs[frame] + unevenness(frame - start), start) for start, (cost, _) in reachable
                )
        layers.append(layer)
    # The window of the last cut has already seen to it that the last beat keeps its limits.
    cut = min((cost + unevenness(grid.total - frame), frame) for frame, (cost, _) in layers[-1].items())[1]
    cuts: list[int] = []
    for layer in reversed(layers[1:]):
        cuts.append(cut)
        cut = layer[cut][1]
    return cuts[::-1]


def _narrations(words: Sequence[Word], times: Sequence[float]) -> list[str]:
    """The words of each beat; a word belongs where its middle lies."""
    texts: list[list[str]] = [[] for _ in times[1:]]
    for word in sorted(words, key=lambda word: (word.start_seconds, word.end_seconds)):
        middle = (word.start_seconds + word.end_seconds) / 2
        texts[min(max(bisect_right(times, middle) - 1, 0), len(texts) - 1)].append(word.text)
    return [join_words(text) for text in texts]
