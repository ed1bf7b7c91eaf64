"""What runs in a child process: sound in, timed words out.  The decoders live as long as the child."""

import functools
import re
from typing import Any, NamedTuple

from worker.providers.sphinx.pronouncing import pronounce

SAMPLE_RATE = 16_000
BYTES_PER_SECOND = 2 * SAMPLE_RATE

# Frames of the decoder's answer; `Config()['frate']` of pocketsphinx 5.1.1.
_FRAMES_PER_SECOND = 100

# The second pass (`fwdflat`) makes it slower and no better.  The two limits keep only the likeliest states and words:
# half the processor time, and no more errors (2026-11-22, the human and the synthetic sample in one run: 7.3 -> 2.7 s
# and 8.7 -> 4.2 s, word error rate 22.5 -> 21.1 % and 4.8 -> 4.8 %; now: `python -m benchmarks recognise`).
_SETTINGS = {"fwdflat": False, "maxhmmpf": 3000, "maxwpf": 10}

_ALTERNATE = re.compile(r"\(\d+\)$")  # been(2): the second way to say it


class Heard(NamedTuple):
    """A word and its place in the sound that was given, in seconds."""

    text: str
    start_seconds: float
    end_seconds: float
    confidence: float


class AlignmentError(Exception):
    """The words do not fit the sound."""


def recognise(pcm: bytes) -> list[Heard]:
    """The words in `pcm` (mono, 16 bit, 16 kHz): one utterance, lower case, no punctuation.

    What was heard before has no influence, so that every child gives the same answer.
    """
    decoder = _recogniser()
    # The noise estimate is carried from one utterance to the next, unless the front end starts afresh.
    decoder.reinit_feat()
    _decode(decoder, pcm)
    return _words(decoder)


def align(pcm: bytes, words: list[str]) -> list[Heard]:
    """Where each of `words` (lower case, as spoken) lies in `pcm`.  It never notices that words are wrong.

    Raises:
        AlignmentError: no way through: the sound is too short for the words, or the search lost its path.
    """
    decoder = _aligner()
    try:
        for word in dict.fromkeys(words):
            if decoder.lookup_word(word) is None:
                decoder.add_word(word, pronounce(word), False)  # no update: the search is made anew below
        decoder.set_align_text(" ".join(words))
        decoder.reinit_feat()
        _decode(decoder, pcm)
        found = _words(decoder)
    except RuntimeError as error:  # pocketsphinx has no narrower one
        raise AlignmentError(str(error)) from error
    if [word.text for word in found] != words:
        raise AlignmentError(f"{len(found)} of {len(words)} words were placed")
    return found


def _decode(decoder: Any, pcm: bytes) -> None:  # noqa: ANN401 - pocketsphinx ships no types
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()


def _words(decoder: Any) -> list[Heard]:  # noqa: ANN401 - as above
    """Without fillers (<sil>, [NOISE]); a posterior of 1.0001 occurs."""
    return [
        Heard(
            _ALTERNATE.sub("", segment.word),
            segment.start_frame / _FRAMES_PER_SECOND,
            (segment.end_frame + 1) / _FRAMES_PER_SECOND,
            min(max(segment.prob, 0.0), 1.0),
        )
        for segment in decoder.seg() or ()
        if segment.word[0] not in "<[+"
    ]


@functools.cache
def _recogniser() -> Any:  # noqa: ANN401 - as above
    from pocketsphinx import Decoder  # noqa: PLC0415 - an optional extra, 38 MB

    return Decoder(loglevel="FATAL", **_SETTINGS)


@functools.cache
def _aligner() -> Any:  # noqa: ANN401 - as above
    """Without the language model, which is most of the start-up time and says nothing where the words are given."""
    from pocketsphinx import Decoder  # noqa: PLC0415 - as above

    return Decoder(lm=None, loglevel="FATAL", **_SETTINGS)
