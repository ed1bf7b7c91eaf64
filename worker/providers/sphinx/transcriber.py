"""The offline `Transcriber`: recognises English, or places the words of a transcript that lies beside the recording."""

import difflib
import importlib.util
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import fmean
from typing import TypeVar

from statemachine.clock import Clock
from statemachine.errors import PermanentError, TransientError
from worker.job import Recording, Segment, Transcript, Word
from worker.ports import MediaStore
from worker.processes import ChildProcessDiedError, WorkerPool
from worker.providers.sphinx.decoding import BYTES_PER_SECOND, AlignmentError, Heard, align, recognise
from worker.providers.sphinx.listening import Utterance, cut_out, decode, utterances
from worker.providers.sphinx.supplied import Cue, Token, has_times, read_transcript

# What the bundled model understands.
LANGUAGE = "en-US"

# The transcript is compared with so much speech: enough to tell two texts apart (below), and less than a minute.
CHECKED_SECONDS = 20.0
# Of the words recognised, so many must occur in the transcript, in the same order.  On the two sample recordings the
# right text reaches 0.80 to 0.95, a wrong one 0.03 to 0.12 (2026-11-22).  Without the order, two English texts share
# up to 0.40.
_BELONGS = 0.30
_TOO_FEW_TO_JUDGE = 5

# Music is recognised as a few unsure words.  Of six synthetic melodies and chords five gave 0 to 0.8 words/s, at a
# mean confidence of up to 0.9, and one 1.4 at 0.34; the two sample recordings give 3.0 at 0.73 and 3.4 at 0.79
# (2026-11-22).  So the rate decides, and the confidence only where the rate leaves a doubt.
_MUSIC_WORDS_PER_SECOND = 1.0
_SPEECH_WORDS_PER_SECOND = 1.5
_LEAST_CONFIDENCE = 0.5
_SILENCE_AROUND_SECONDS = 0.6  # that the endpointer leaves around an utterance

# Aligning takes longer than in proportion: 0.3 s for 27 s, 6.2 s for 257 s.  Longer recordings are aligned in parts.
_LONGEST_ALIGNMENT_SECONDS = 300.0
_PART_SECONDS = 45.0
_LONGEST_PART_SECONDS = 120.0
_CUE_PART_SECONDS = 30.0
_CUE_MARGIN_SECONDS = 0.3

# Utterances waiting for a child, at most: what keeps memory flat however long the recording.
_UNDER_WAY = 6

# A text without full stops is parted at pauses, after so many words.
_LONG_SENTENCE_WORDS = 30
_SENTENCE_PAUSE_SECONDS = 0.3

_T = TypeVar("_T")
_Given = TypeVar("_Given")


class SphinxTranscriber:
    """Does its work in `fetch`, in two child processes, and forgets everything in between.

    Args:
        media: holds the recording.
        pool: of its own.  Its children are ended after every `fetch`, so that their memory is free for drawing.
    """

    def __init__(self, *, media: MediaStore, pool: WorkerPool, clock: Clock) -> None:
        self._media = media
        self._pool = pool
        self._clock = clock

    def start(self, recording: Recording, *, job_id: str, language: str) -> str:  # noqa: ARG002 - the port's signature
        """An id made of what was asked for; nothing begins yet, so asking twice costs nothing."""
        return f"sphinx:{language}:{job_id}"

    def fetch(self, transcription_id: str, recording: Recording, *, time_left: timedelta) -> Transcript:
        """Recognise or align the whole recording; never None.

        A language other than English is not guessed at: its transcript is spread over the speech where one was
        supplied, else the recording counts as instrumental; both with a warning.  So does music, or silence.

        Raises:
            TransientError: code RECOGNITION_TOO_SLOW (`time_left` is over), RECOGNISER_DIED.
            PermanentError: code TRANSCRIPT_MISMATCH, RECOGNISER_MISSING, NOT_AUDIO, NO_AUDIO_STREAM, OBJECT_MISSING.
        """
        if importlib.util.find_spec("pocketsphinx") is None:
            raise PermanentError(
                "RECOGNISER_MISSING",
                "the offline speech recogniser is not installed; run: pip install 'ai-video-worker[local]'",
                user_action="contact_admin",
            )
        language = transcription_id.split(":", 2)[1]
        deadline = _Deadline(self._clock, time_left, recording.filename)
        try:
            with self._media.local_copy(recording.key) as path:
                hearing = _Hearing(path, recording, self._pool, deadline)
                cues, warnings = self._supplied(recording)
                if not _is_english(language):
                    return hearing.foreign(cues, language, warnings)
                if cues:
                    return hearing.aligned(cues, warnings)
                return hearing.recognised(warnings)
        except ChildProcessDiedError as error:
            raise TransientError(
                "RECOGNISER_DIED",
                f"recognising {recording.filename} was cut short: {error}; continue to try again",
            ) from error
        finally:
            self._pool.kill()

    def _supplied(self, recording: Recording) -> tuple[list[Cue], tuple[str, ...]]:
        if recording.transcript_key is None:
            return [], ()
        with self._media.open(recording.transcript_key) as stream:
            cues = read_transcript(stream.read(), recording.transcript_key)
        if cues:
            return cues, ()
        return [], (f"TRANSCRIPT_EMPTY: {_transcript_name(recording)} holds no words and was not used.",)


class _Deadline:
    """Says when to stop."""

    def __init__(self, clock: Clock, time_left: timedelta, filename: str) -> None:
        self._clock = clock
        self._time_left = time_left
        self._ends_at = clock.now() + time_left
        self._filename = filename

    def result(self, future: "Future[_T]") -> _T:
        """The future's result, or the error that time is up."""
        self.check()
        try:
            return future.result(timeout=(self._ends_at - self._clock.now()).total_seconds())
        except TimeoutError:
            raise self._too_slow() from None

    def check(self) -> None:
        """Raise when time is up."""
        if self._clock.now() >= self._ends_at:
            raise self._too_slow()

    def _too_slow(self) -> TransientError:
        return TransientError(
            "RECOGNITION_TOO_SLOW",
            f"{self._filename} was not recognised within {self._time_left.total_seconds():.0f} s; try again when the "
            "machine is less busy, or put a transcript (.txt, .vtt, .srt) beside the recording",
        )


@dataclass(frozen=True, slots=True)
class _Said:
    """What was recognised in one utterance, in seconds of the recording."""

    utterance_seconds: float
    words: tuple[Heard, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of the recording and the tokens spoken in it."""

    start_seconds: float
    end_seconds: float
    tokens: tuple[Token, ...]


class _Hearing:
    """One recording, heard once."""

    def __init__(self, path: Path, recording: Recording, pool: WorkerPool, deadline: _Deadline) -> None:
        self._path = path
        self._recording = recording
        self._pool = pool
        self._deadline = deadline
        self._duration = recording.duration_seconds or sum(map(len, self._blocks())) / BYTES_PER_SECOND

    def recognised(self, warnings: tuple[str, ...]) -> Transcript:
        """The words that the recogniser hears; utterances serve as sentences."""
        said = list(self._recognise(utterances(self._blocks())))
        if not _is_speech(said):
            return self._instrumental((*warnings, self._no_speech()))
        words: list[Word] = []
        segments: list[Segment] = []
        for one in said:
            texts = [_written(heard.text, is_first=index == 0) for index, heard in enumerate(one.words)]
            mine = [
                self._word(text, heard.start_seconds, heard.end_seconds, heard.confidence)
                for text, heard in zip(texts, one.words, strict=True)
            ]
            if mine:
                words += mine
                segments.append(_segment(mine))
        return self._transcript("recognised", words, segments, warnings)

    def aligned(self, cues: Sequence[Cue], warnings: tuple[str, ...]) -> Transcript:
        """The words that were supplied, where they are spoken, once it is clear that they belong to the recording."""
        tokens = tuple(token for cue in cues for token in cue.tokens)
        is_long = self._duration > _LONGEST_ALIGNMENT_SECONDS
        if has_times(cues, self._duration):
            parts = _parts_of_cues(cues, self._duration)
        elif not is_long:
            parts = [_Part(0.0, self._duration, tokens)]
        else:
            parts = []  # known when all of it is recognised
        # One part is aligned while the check below recognises: there are two children.
        early = list(self._align(parts)) if len(parts) == 1 else []
        spoken = utterances(self._blocks())
        said = list(self._recognise(spoken if is_long and not parts else _first_seconds(spoken, CHECKED_SECONDS)))
        if not _is_speech(said):
            # The check heard only the beginning, and music may be an introduction.
            said = list(self._recognise(utterances(self._blocks())))
            if not _is_speech(said):
                return self._instrumental((*warnings, self._no_speech()))
        self._check_belongs(said, tokens)
        if not parts:
            parts = _parts_between_anchors([word for one in said for word in one.words], tokens, self._duration)
        return self._placed(parts, early or self._align(parts), warnings)

    def foreign(self, cues: Sequence[Cue], language: str, warnings: tuple[str, ...]) -> Transcript:
        """A language that this recogniser does not know: confident nonsense would help nobody."""
        spans = [(one.start_seconds, one.start_seconds + one.seconds) for one in utterances(self._blocks())]
        if not spans:
            return self._instrumental((*warnings, self._no_speech()), language)
        not_known = (
            f"LANGUAGE_NOT_SUPPORTED: the offline recogniser understands English only, not {language!r}; "
            + ("the transcript's words are placed by their length." if cues else "the scenes are cut by time.")
            + (" Put a transcript (.txt, .vtt, .srt) beside the recording to have its words shown." if not cues else "")
        )
        if not cues:
            return self._instrumental((*warnings, not_known), language)
        tokens = tuple(token for cue in cues for token in cue.tokens)
        if has_times(cues, self._duration):
            words = [word for cue in cues for word in self._spread(cue.tokens, [_span(cue)])]
        else:
            words = self._spread(tokens, spans)
        return self._transcript("supplied", words, _sentences(words, tokens), (*warnings, not_known), language)

    def _blocks(self) -> Iterator[bytes]:
        return decode(self._path, self._recording.filename)

    def _recognise(self, spoken: Iterator[Utterance]) -> Iterator[_Said]:
        """What is said in each utterance, in order; only a few are in memory at a time."""
        for utterance, heard in self._in_children(recognise, ((one, (one.pcm,)) for one in spoken)):
            moved = tuple(
                Heard(
                    word.text,
                    utterance.start_seconds + word.start_seconds,
                    utterance.start_seconds + word.end_seconds,
                    word.confidence,
                )
                for word in self._deadline.result(heard)
            )
            yield _Said(utterance.seconds, moved)

    def _align(self, parts: Sequence[_Part]) -> "Iterator[Future[list[Heard]]]":
        """The alignment of each part, in order, under way as soon as it is asked for."""
        sounds = cut_out(self._blocks(), [(part.start_seconds, part.end_seconds) for part in parts])
        work = (
            (part, (sound, [word for token in part.tokens for word in token.spoken]))
            for part, sound in zip(parts, sounds, strict=True)
        )
        return (future for _, future in self._in_children(align, work))

    def _in_children(
        self, work: Callable[..., _T], given: Iterator[tuple[_Given, tuple[object, ...]]]
    ) -> "Iterator[tuple[_Given, Future[_T]]]":
        """What the work is about, and its future, in order; no more than a few ahead of whoever takes them."""
        under_way: deque[tuple[_Given, Future[_T]]] = deque()
        for about, arguments in given:
            self._deadline.check()
            under_way.append((about, self._pool.submit(work, *arguments)))
            if len(under_way) == _UNDER_WAY:
                yield under_way.popleft()
        yield from under_way

    def _check_belongs(self, said: Sequence[_Said], tokens: Sequence[Token]) -> None:
        """Refuse a transcript of something else: the aligner would place any words on any sound."""
        heard = [word.text for one in said for word in one.words]
        if len(heard) < _TOO_FEW_TO_JUDGE:
            return
        # Only so much of the text can have been said meanwhile; a longer one would contain any words in any order.
        expected = [word for token in tokens for word in token.spoken][: 2 * len(heard) + 50]
        blocks = difflib.SequenceMatcher(None, heard, expected, autojunk=False).get_matching_blocks()
        share = sum(block.size for block in blocks) / len(heard)
        if share < _BELONGS:
            transcript = _transcript_name(self._recording)
            raise PermanentError(
                "TRANSCRIPT_MISMATCH",
                f"{transcript} does not belong to {self._recording.filename}: {share:.0%} of the words heard stand in "
                "it; remove it or put the right transcript in its place, and begin anew",
                user_action="fix_transcript",
                details={"recording": self._recording.filename, "transcript": transcript, "share": round(share, 3)},
            )

    def _placed(
        self, parts: Sequence[_Part], aligning: "Iterable[Future[list[Heard]]]", warnings: tuple[str, ...]
    ) -> Transcript:
        words: list[Word] = []
        estimated = 0
        for part, future in zip(parts, aligning, strict=True):
            try:
                heard = self._deadline.result(future)
            except AlignmentError as error:
                if len(parts) == 1:
                    failed = f"ALIGNMENT_FAILED: the transcript does not fit the recording ({error}); the words shown "
                    return self.recognised((*warnings, failed + "are those that were recognised."))
                estimated += len(part.tokens)
                words += self._spread(part.tokens, [(part.start_seconds, part.end_seconds)])
                continue
            at = 0
            for token in part.tokens:
                first, at = at, at + len(token.spoken)
                start, end = heard[first].start_seconds, heard[at - 1].end_seconds
                words.append(self._word(token.text, part.start_seconds + start, part.start_seconds + end))
        if estimated:
            rough = (
                f"TIMES_ESTIMATED: {estimated} of {len(words)} words of the transcript could only be placed roughly."
            )
            warnings = (*warnings, rough)
        tokens = [token for part in parts for token in part.tokens]
        return self._transcript("aligned", words, _sentences(words, tokens), warnings)

    def _spread(self, tokens: Sequence[Token], spans: Sequence[tuple[float, float]]) -> list[Word]:
        """Tokens over the time of `spans`, each as long as it has letters."""
        speech = sum(end - start for start, end in spans)
        letters = sum(len(token.text) for token in tokens)
        words: list[Word] = []
        done = 0
        for token in tokens:
            start = _moment(spans, speech * done / letters)
            done += len(token.text)
            words.append(self._word(token.text, start, max(start, _moment(spans, speech * done / letters))))
        return words

    def _word(self, text: str, start: float, end: float, confidence: float | None = None) -> Word:
        return Word(
            text=text,
            start_seconds=round(min(start, self._duration), 3),
            end_seconds=round(min(end, self._duration), 3),
            confidence=None if confidence is None else round(confidence, 4),
        )

    def _transcript(
        self,
        source: str,
        words: Sequence[Word],
        segments: Sequence[Segment],
        warnings: tuple[str, ...],
        language: str = LANGUAGE,
    ) -> Transcript:
        return Transcript(
            language=language,
            duration_seconds=self._duration,
            mode="speech",
            source=source,
            words=tuple(words),
            segments=tuple(segments),
            warnings=warnings,
        )

    def _instrumental(self, warnings: tuple[str, ...], language: str = LANGUAGE) -> Transcript:
        return Transcript(
            language=language,
            duration_seconds=self._duration,
            mode="instrumental",
            source="recognised",
            warnings=warnings,
        )

    def _no_speech(self) -> str:
        unused = f" {_transcript_name(self._recording)} was not used." if self._recording.transcript_key else ""
        return (
            f"INPUT_NO_SPEECH: no speech was understood in {self._recording.filename}; the scenes are cut by time."
            + unused
        )


def _is_english(language: str) -> bool:
    return language.lower().replace("_", "-").split("-")[0] in {"auto", "en", "eng", "english"}


def _transcript_name(recording: Recording) -> str:
    """The transcript as it lay beside the recording; its key names a copy that nobody knows."""
    return str(Path(recording.filename).with_suffix(Path(recording.transcript_key or "").suffix))


def _is_speech(said: Sequence[_Said]) -> bool:
    """Whether anything intelligible was said: music gives few words, and none of them sure."""
    words = [word for one in said for word in one.words]
    if not words:
        return False
    spoken = sum(max(one.utterance_seconds - _SILENCE_AROUND_SECONDS, 0.1) for one in said)
    per_second = len(words) / spoken
    if per_second < _MUSIC_WORDS_PER_SECOND:
        return False
    return per_second >= _SPEECH_WORDS_PER_SECOND or fmean(word.confidence for word in words) >= _LEAST_CONFIDENCE


def _first_seconds(spoken: Iterator[Utterance], seconds: float) -> Iterator[Utterance]:
    total = 0.0
    for utterance in spoken:
        yield utterance
        total += utterance.seconds
        if total >= seconds:
            return


def _written(text: str, *, is_first: bool) -> str:
    """A recognised word as it is written: all are lower case, and only one word is always capital."""
    if is_first or text == "i" or text.startswith("i'"):
        return text[0].upper() + text[1:]
    return text


def _segment(words: Sequence[Word]) -> Segment:
    return Segment(
        start_seconds=words[0].start_seconds,
        end_seconds=words[-1].end_seconds,
        text=" ".join(word.text for word in words),
    )


def _sentences(words: Sequence[Word], tokens: Sequence[Token]) -> list[Segment]:
    """Supplied words, sentence by sentence; where the text has no full stops, up to a pause."""
    segments: list[Segment] = []
    sentence: list[Word] = []
    for index, (word, token) in enumerate(zip(words, tokens, strict=True)):
        sentence.append(word)
        is_last = index == len(words) - 1
        is_pause = (
            not is_last
            and len(sentence) >= _LONG_SENTENCE_WORDS
            and words[index + 1].start_seconds - word.end_seconds >= _SENTENCE_PAUSE_SECONDS
        )
        if is_last or is_pause or token.ends_sentence:
            segments.append(_segment(sentence))
            sentence = []
    return segments


def _span(cue: Cue) -> tuple[float, float]:
    if cue.start_seconds is None or cue.end_seconds is None:
        raise ValueError("this cue has no times")
    return cue.start_seconds, cue.end_seconds


def _moment(spans: Sequence[tuple[float, float]], seconds: float) -> float:
    """The moment of the recording at which `seconds` of the spans have passed."""
    for start, end in spans:
        if seconds <= end - start:
            return start + seconds
        seconds -= end - start
    return spans[-1][1]


def _parts_of_cues(cues: Sequence[Cue], duration: float) -> list[_Part]:
    """Neighbouring cues together, so that a part is long enough for a cue that is a little early or late."""
    groups: list[list[Cue]] = []
    for cue in cues:
        if groups and _span(cue)[1] - _span(groups[-1][0])[0] <= _CUE_PART_SECONDS:
            groups[-1].append(cue)
        else:
            groups.append([cue])
    parts: list[_Part] = []
    for index, group in enumerate(groups):
        start, end = _span(group[0])[0], min(_span(group[-1])[1], duration)
        following = _span(groups[index + 1][0])[0] if index + 1 < len(groups) else duration
        # Half of the silence at most: the other half is the neighbour's.
        until = min(end + _CUE_MARGIN_SECONDS, max(end, (end + following) / 2))
        since = max(start - _CUE_MARGIN_SECONDS, parts[-1].end_seconds if parts else 0.0)
        parts.append(_Part(since, until, tuple(token for cue in group for token in cue.tokens)))
    return parts


def _parts_between_anchors(heard: Sequence[Heard], tokens: Sequence[Token], duration: float) -> list[_Part]:
    """The text in parts, cut where two neighbouring words were recognised as they stand in it.

    Of the places that make parts of a good length, the longest pause is taken.
    """
    spoken = [(word, index) for index, token in enumerate(tokens) for word in token.spoken]
    matcher = difflib.SequenceMatcher(None, [word.text for word in heard], [word for word, _ in spoken], autojunk=False)
    # Each anchor: the moment, the pause around it, and the first token after it.
    anchors: list[tuple[float, float, int]] = []
    for block in matcher.get_matching_blocks():
        for before in range(block.size - 1):
            one, other = heard[block.a + before], heard[block.a + before + 1]
            token = spoken[block.b + before + 1][1]
            if token != spoken[block.b + before][1]:
                pause = other.start_seconds - one.end_seconds
                anchors.append(((one.end_seconds + other.start_seconds) / 2, pause, token))
    parts: list[_Part] = []
    start, first = 0.0, 0
    while duration - start > _LONGEST_PART_SECONDS:
        later = [anchor for anchor in anchors if anchor[0] >= start + _PART_SECONDS]
        near = [anchor for anchor in later if anchor[0] <= start + _LONGEST_PART_SECONDS] or later[:1]
        if not near:
            break
        moment, _, token = max(near, key=lambda anchor: (anchor[1], -anchor[0]))
        parts.append(_Part(start, moment, tuple(tokens[first:token])))
        start, first = moment, token
    return [*parts, _Part(start, duration, tuple(tokens[first:]))]
