"""Words with times → captions that can be read, and captions → a WebVTT file.  Pure.

The limits are those of broadcasters' guides (BBC and Netflix, as generally followed): two lines of 42 characters, one
to seven seconds, not much more than 17 characters a second.  Where to break is chosen over the whole text at once:
after a sentence if possible, else at a pause or a comma, in the middle of a phrase only if nothing else is left.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, zip_longest

from worker.job import Caption, Segment, Transcript

LONGEST_LINE = 42
LONGEST_TEXT = 2 * LONGEST_LINE + 1
SHORTEST_SECONDS = 1.0
LONGEST_SECONDS = 7.0
CHARACTERS_PER_SECOND = 17.0
# Two captions this near to each other follow without a flicker between.
FLICKER_SECONDS = 0.3
PAUSE_SECONDS = 0.3
LONG_PAUSE_SECONDS = 1.5

# What a choice costs, against each other.  One caption more costs 1, so a break inside a phrase (6) is only bought by a
# limit, and a sentence end (0) always.
CAPTION_COST = 1.0
BREAK_AT_COMMA_COST = 1.5
BREAK_AT_PAUSE_COST = 2.0
BREAK_IN_PHRASE_COST = 6.0
TOO_SHORT_COST = 4.0
TOO_FAST_COST = 0.5  # for each character a second above the limit
LONG_PAUSE_INSIDE_COST = 8.0
SENTENCE_END_INSIDE_COST = 2.5

SENTENCE_ENDS = (".", "!", "?", "…")
PHRASE_ENDS = (",", ";", ":", "–", "—")  # noqa: RUF001 (the dashes that typeset text has)
CLOSING = "\"'”’»)]"  # noqa: RUF001 (quotation marks that may follow the full stop)


@dataclass(frozen=True, slots=True)
class _SpokenWord:
    text: str
    start_seconds: float
    end_seconds: float
    is_last_of_segment: bool


def captions_from(transcript: Transcript) -> tuple[Caption, ...]:
    """Captions for everything that was said: in order, never overlapping, no word left out or repeated.

    Punctuation and capitals come from the segments where they have the same words.  A transcript without words has its
    segments' time shared out among them by length.
    """
    words = list(_spoken_words(transcript))
    groups = [words[first:end] for first, end in pairwise(_breaks(words))]
    captions: list[Caption] = []
    begin = 0.0
    for group, following in zip_longest(groups, groups[1:]):
        begin = max(begin, group[0].start_seconds)
        limit = following[0].start_seconds if following else max(transcript.duration_seconds, group[-1].end_seconds)
        text = _in_lines([word.text for word in group])
        end = _end(begin, group[-1].end_seconds, limit, text)
        captions.append(Caption(begin, end, text))
        begin = end
    return tuple(captions)


def webvtt(captions: Iterable[Caption]) -> str:
    """The captions as a WebVTT file (https://www.w3.org/TR/webvtt1/)."""
    blocks = ["WEBVTT"]
    for caption in captions:
        # A blank line would end the cue, and markup characters would be read as markup.
        text = "\n".join(line for line in caption.text.splitlines() if line.strip())
        for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            text = text.replace(character, entity)
        blocks.append(f"{_clock(caption.start_seconds)} --> {_clock(caption.end_seconds)}\n{text}")
    return "\n\n".join(blocks) + "\n"


def _clock(seconds: float) -> str:
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{milliseconds // 1000:02d}.{milliseconds % 1000:03d}"


def _spoken_words(transcript: Transcript) -> Iterator[_SpokenWord]:
    """Every word once, in order; the words of a segment are those that begin before the next one does."""
    position = 0
    words = transcript.words
    segments = transcript.segments or (Segment(start_seconds=0.0, end_seconds=transcript.duration_seconds, text=""),)
    for segment, following in zip_longest(segments, segments[1:]):
        first = position
        while position < len(words) and (
            following is None
            or _middle(words[position].start_seconds, words[position].end_seconds)
            < _middle(segment.end_seconds, following.start_seconds)
        ):
            position += 1
        own, written = words[first:position], segment.text.split()
        if not own:
            # Where the transcript has words, a segment without one had only noise in it.
            yield from [] if words else _shared_out(segment)
            continue
        texts = written if len(written) == len(own) else [word.text for word in own]
        for number, (word, text) in enumerate(zip(own, texts, strict=True), start=1):
            yield _SpokenWord(text, word.start_seconds, word.end_seconds, number == len(own))


def _middle(start: float, end: float) -> float:
    return (start + end) / 2


def _shared_out(segment: Segment) -> Iterator[_SpokenWord]:
    """The words of a segment, each with a share of its time that goes by length."""
    texts = segment.text.split()
    ends = list(accumulate(len(text) + 1 for text in texts))
    for number, (text, end) in enumerate(zip(texts, ends, strict=True), start=1):
        scale = (segment.end_seconds - segment.start_seconds) / ends[-1]
        begins_at = segment.start_seconds + (end - len(text) - 1) * scale
        yield _SpokenWord(text, begins_at, segment.start_seconds + end * scale, number == len(texts))


def _breaks(words: Sequence[_SpokenWord]) -> list[int]:
    """Where captions begin, and the end: the cheapest choice over the whole text."""
    cost = [0.0] + [float("inf")] * len(words)
    before = [0] * (len(words) + 1)
    lengths = [0, *accumulate(len(word.text) + 1 for word in words)]
    for end in range(1, len(words) + 1):
        break_cost = _break_cost(words, end)
        inside_cost = 0.0
        for first in range(end - 1, -1, -1):
            is_one_word = first == end - 1
            if not is_one_word:
                inside_cost += _inside_cost(words, first + 1)
                if lengths[end] - lengths[first] - 1 > LONGEST_TEXT:
                    break
                if words[end - 1].end_seconds - words[first].start_seconds > LONGEST_SECONDS:
                    break
                if not _fits(lengths, first, end):
                    continue
            whole = cost[first] + CAPTION_COST + break_cost + inside_cost
            whole += _haste_cost(words, first, end, lengths[end] - lengths[first] - 1)
            if whole < cost[end]:
                cost[end], before[end] = whole, first
    breaks = [len(words)]
    while breaks[-1]:
        breaks.append(before[breaks[-1]])
    return breaks[::-1]


def _pause(words: Sequence[_SpokenWord], index: int) -> float:
    """How long nothing is said before the word at `index`."""
    return words[index].start_seconds - words[index - 1].end_seconds


def _break_cost(words: Sequence[_SpokenWord], end: int) -> float:
    """What it costs to end a caption before the word at `end`."""
    if end == len(words) or _ends_sentence(words[end - 1]):
        return 0.0
    if words[end - 1].text.rstrip(CLOSING).endswith(PHRASE_ENDS):
        return BREAK_AT_COMMA_COST
    return BREAK_AT_PAUSE_COST if _pause(words, end) >= PAUSE_SECONDS else BREAK_IN_PHRASE_COST


def _inside_cost(words: Sequence[_SpokenWord], index: int) -> float:
    """What it costs not to begin a caption with the word at `index`."""
    if _pause(words, index) >= LONG_PAUSE_SECONDS:
        return LONG_PAUSE_INSIDE_COST
    return SENTENCE_END_INSIDE_COST if _ends_sentence(words[index - 1]) else 0.0


def _ends_sentence(word: _SpokenWord) -> bool:
    return word.is_last_of_segment or word.text.rstrip(CLOSING).endswith(SENTENCE_ENDS)


def _haste_cost(words: Sequence[_SpokenWord], first: int, end: int, characters: int) -> float:
    """What it costs that there is too little time to read: until the next word, the caption may stay."""
    until = words[end].start_seconds if end < len(words) else float("inf")
    seconds = max(until - words[first].start_seconds, 0.001)
    surplus = max(0.0, characters / seconds - CHARACTERS_PER_SECOND)
    return min(TOO_FAST_COST * surplus, TOO_SHORT_COST) + TOO_SHORT_COST * (seconds < SHORTEST_SECONDS)


def _fits(lengths: Sequence[int], first: int, end: int) -> bool:
    """Whether the words go into one line or two."""
    if lengths[end] - lengths[first] - 1 <= LONGEST_LINE:
        return True
    return any(
        lengths[middle] - lengths[first] - 1 <= LONGEST_LINE and lengths[end] - lengths[middle] - 1 <= LONGEST_LINE
        for middle in range(first + 1, end)
    )


def _in_lines(texts: Sequence[str]) -> str:
    """The words in one line, or in two of about the same length."""
    line = " ".join(texts)
    if len(line) <= LONGEST_LINE or len(texts) == 1:
        return line
    halves = [(" ".join(texts[:middle]), " ".join(texts[middle:])) for middle in range(1, len(texts))]
    upper, lower = min(halves, key=lambda half: max(len(half[0]), len(half[1])))
    return f"{upper}\n{lower}"


def _end(begin: float, spoken_until: float, limit: float, text: str) -> float:
    """Until when a caption stays: long enough to be read, not into the next one, not longer than seven seconds."""
    wanted = max(spoken_until, begin + SHORTEST_SECONDS, begin + len(text) / CHARACTERS_PER_SECOND)
    if limit - wanted < FLICKER_SECONDS:
        wanted = limit
    # An aligner that gives up puts several words on one moment, without length; a caption still has to last.
    return max(min(wanted, begin + LONGEST_SECONDS), begin + 0.001)
