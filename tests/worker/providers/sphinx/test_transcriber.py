"""With the real recogniser, on the sample recordings and on sounds made here."""

import array
import math
import multiprocessing
import wave
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from statemachine.clock import SystemClock
from statemachine.errors import PermanentError, TransientError
from worker.job import Recording, Transcript
from worker.processes import WorkerPool
from worker.providers.directory_media_store import DirectoryMediaStore
from worker.providers.sphinx import transcriber as module
from worker.providers.sphinx.listening import cut_out, decode
from worker.providers.sphinx.transcriber import SphinxTranscriber

SAMPLES = Path(__file__).parents[4] / "samples"
AUSTEN = "narration_human_librivox"
LIGHTHOUSE = "narration_synth_flite_rms"
EXCERPT_TEXT = (
    "And Mister John Dashwood had then leisure to consider how much there might be prudently in his power to do for "
    "them. He was not an ill disposed young man,"
)
AUSTEN_TEXT = (SAMPLES / f"{AUSTEN}.txt").read_text(encoding="utf-8")
LIGHTHOUSE_TEXT = (SAMPLES / f"{LIGHTHOUSE}.txt").read_text(encoding="utf-8")
LONG_ENOUGH = timedelta(minutes=5)


class Library:
    """A media store with the recordings of a test, and a transcriber on it."""

    def __init__(self, root: Path, pool: WorkerPool) -> None:
        self.store = DirectoryMediaStore(root)
        self.transcriber = SphinxTranscriber(media=self.store, pool=pool, clock=SystemClock())

    def austen(self, transcript: str | None = None, *, suffix: str = ".txt") -> Recording:
        """The human reading, with this text beside it."""
        self.store.upload(SAMPLES / f"{AUSTEN}.mp3", "austen.mp3")
        if transcript is not None:
            self.store.write(transcript.encode(), f"austen{suffix}")
        return Recording(
            key="austen.mp3",
            filename="austen.mp3",
            duration_seconds=27.23,
            transcript_key=None if transcript is None else f"austen{suffix}",
        )

    def excerpt(self, transcript: str | None = None) -> Recording:
        """The first two utterances of the human reading, 11 s, with this text beside them."""
        sound = next(cut_out(decode(SAMPLES / f"{AUSTEN}.mp3", AUSTEN), [(0.0, 11.0)]))
        recording = self.sound([sample / 32_767 for sample in array.array("h", sound)], "excerpt.wav")
        if transcript is None:
            return recording
        self.store.write(transcript.encode(), "excerpt.txt")
        return recording.model_copy(update={"transcript_key": "excerpt.txt"})

    def sound(self, samples: Sequence[float], name: str = "sound.wav") -> Recording:
        """A WAV file of samples (-1 to 1) at 16 kHz, whose length nobody has measured."""
        path = self.store.uri(name).removeprefix("file://")
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with wave.open(path, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16_000)
            file.writeframes(array.array("h", (int(32_767 * sample) for sample in samples)).tobytes())
        return Recording(key=name, filename=name)

    def hear(self, recording: Recording, *, language: str = "auto", time_left: timedelta = LONG_ENOUGH) -> Transcript:
        """Start and fetch."""
        started = self.transcriber.start(recording, job_id="job-1", language=language)
        return self.transcriber.fetch(started, recording, time_left=time_left)


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(processes=2) as pool:
        yield pool


@pytest.fixture
def library(tmp_path: Path, pool: WorkerPool) -> Library:
    return Library(tmp_path / "media", pool)


@pytest.fixture(scope="module")
def recognised(tmp_path_factory: pytest.TempPathFactory, pool: WorkerPool) -> Transcript:
    library = Library(tmp_path_factory.mktemp("recognised"), pool)
    return library.hear(library.austen())


@pytest.fixture(scope="module")
def aligned(tmp_path_factory: pytest.TempPathFactory, pool: WorkerPool) -> Transcript:
    library = Library(tmp_path_factory.mktemp("aligned"), pool)
    return library.hear(library.austen(AUSTEN_TEXT))


@pytest.fixture(scope="module")
def excerpt(tmp_path_factory: pytest.TempPathFactory, pool: WorkerPool) -> Transcript:
    library = Library(tmp_path_factory.mktemp("excerpt"), pool)
    return library.hear(library.excerpt())


def tones(seconds: int) -> list[float]:
    """A melody: four sines after one another, again and again, without a voice."""
    notes = [262.0, 330.0, 392.0, 523.0]
    return [0.4 * math.sin(2 * math.pi * notes[at // 8_000 % 4] * at / 16_000) for at in range(16_000 * seconds)]


def test_starting_twice_gives_the_first_id(library: Library) -> None:
    recording = library.austen()

    ids = {library.transcriber.start(recording, job_id="job-1", language="en") for _ in range(2)}

    assert len(ids) == 1
    assert library.transcriber.start(recording, job_id="job-2", language="en") not in ids


def test_most_of_a_human_reading_is_recognised(recognised: Transcript) -> None:
    words = recognised.text.lower()

    assert recognised.mode == "speech"
    assert recognised.source == "recognised"
    assert all(
        phrase in words
        for phrase in ("leisure to consider how much", "rather cold hearted and rather selfish", "made amiable himself")
    )


def test_words_come_in_the_order_of_the_recording(recognised: Transcript) -> None:
    starts = [word.start_seconds for word in recognised.words]

    assert starts == sorted(starts)
    assert all(word.start_seconds <= word.end_seconds <= 27.23 for word in recognised.words)
    assert all(word.confidence is not None and 0 <= word.confidence <= 1 for word in recognised.words)


def test_words_are_free_of_the_recognisers_marks(recognised: Transcript) -> None:
    assert all(word.text.replace("'", "").isalpha() for word in recognised.words)


def test_every_utterance_begins_with_a_capital(recognised: Transcript) -> None:
    assert len(recognised.segments) == 5
    assert all(segment.text[0].isupper() for segment in recognised.segments)
    assert recognised.text.split() == [word.text for word in recognised.words]


def test_one_child_hears_what_two_hear(library: Library, excerpt: Transcript) -> None:
    """What an utterance sounds like does not depend on who heard which one before."""
    with WorkerPool(processes=1) as single:
        transcriber = SphinxTranscriber(media=library.store, pool=single, clock=SystemClock())

        heard = transcriber.fetch("sphinx:auto:job-1", library.excerpt(), time_left=LONG_ENOUGH)

    assert heard == excerpt


def test_a_supplied_text_is_kept_as_written(aligned: Transcript) -> None:
    assert aligned.source == "aligned"
    assert " ".join(word.text for word in aligned.words) == " ".join(AUSTEN_TEXT.split())
    assert aligned.warnings == ()


def test_its_sentences_become_segments(aligned: Transcript) -> None:
    assert [segment.text.split()[0] for segment in aligned.segments] == ["And", "He", "Had", "He"]
    assert all(segment.text.endswith(".") for segment in aligned.segments)


def test_its_words_are_placed_where_they_are_recognised(recognised: Transcript, aligned: Transcript) -> None:
    heard = {word.text: word for word in recognised.words}
    placed = {word.text.strip(".,"): word for word in aligned.words}

    for word in ("leisure", "power", "hearted", "selfish", "woman", "respectable"):
        assert placed[word].start_seconds == pytest.approx(heard[word].start_seconds, abs=0.2)


def test_a_transcript_of_something_else_is_refused(library: Library) -> None:
    """The aligner itself would place any words on any sound."""
    with pytest.raises(PermanentError) as refused:
        library.hear(library.excerpt(LIGHTHOUSE_TEXT))

    assert refused.value.code == "TRANSCRIPT_MISMATCH"
    assert "excerpt.wav" in refused.value.message
    assert "excerpt.txt" in refused.value.message


def test_the_times_of_cues_help_to_place_their_words(library: Library, aligned: Transcript) -> None:
    cues = [
        f"{index}\n00:00:{one.start_seconds - 0.1:06.3f} --> 00:00:{one.end_seconds + 0.1:06.3f}\n{one.text}"
        for index, one in enumerate(aligned.segments, 1)
    ]

    heard = library.hear(library.austen("\n\n".join(["WEBVTT", *cues]), suffix=".vtt"))

    assert [word.text for word in heard.words] == [word.text for word in aligned.words]
    for mine, other in zip(heard.words, aligned.words, strict=True):
        assert mine.start_seconds == pytest.approx(other.start_seconds, abs=0.3)


def test_a_long_recording_is_aligned_in_parts(
    library: Library, aligned: Transcript, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts are cut where the recogniser is sure of the text, so each holds its own words."""
    monkeypatch.setattr(module, "_LONGEST_ALIGNMENT_SECONDS", 10.0)
    monkeypatch.setattr(module, "_PART_SECONDS", 6.0)
    monkeypatch.setattr(module, "_LONGEST_PART_SECONDS", 12.0)

    heard = library.hear(library.austen(AUSTEN_TEXT))

    assert heard.warnings == ()
    assert [word.text for word in heard.words] == [word.text for word in aligned.words]
    for mine, other in zip(heard.words, aligned.words, strict=True):
        assert mine.start_seconds == pytest.approx(other.start_seconds, abs=0.3)


def test_a_word_in_no_dictionary_is_placed_by_its_sound(library: Library) -> None:
    text = EXCERPT_TEXT.replace("Dashwood", "Dashwoode")

    heard = library.hear(library.excerpt(text))

    assert heard.source == "aligned"
    assert heard.words[3].text == "Dashwoode"
    assert heard.words[3].start_seconds == pytest.approx(0.98, abs=0.2)


def test_a_text_that_cannot_fit_gives_way_to_what_was_recognised(library: Library, excerpt: Transcript) -> None:
    heard = library.hear(library.excerpt(" ".join([EXCERPT_TEXT] * 12)))

    assert heard.words == excerpt.words
    assert [warning.partition(":")[0] for warning in heard.warnings] == ["ALIGNMENT_FAILED"]


def test_an_empty_transcript_is_not_used_and_said_so(library: Library, excerpt: Transcript) -> None:
    heard = library.hear(library.excerpt(" \n"))

    assert heard.words == excerpt.words
    assert [warning.partition(":")[0] for warning in heard.warnings] == ["TRANSCRIPT_EMPTY"]


@pytest.mark.parametrize("samples", [[0.0] * 48_000, tones(6)], ids=["silence", "music"])
@pytest.mark.parametrize("transcript", [None, AUSTEN_TEXT], ids=["alone", "with a text"])
def test_without_speech_the_job_goes_on_instrumental(
    library: Library, samples: list[float], transcript: str | None
) -> None:
    recording = library.sound(samples)
    if transcript is not None:
        library.store.write(transcript.encode(), "sound.txt")
        recording = recording.model_copy(update={"transcript_key": "sound.txt"})

    heard = library.hear(recording)

    assert heard.mode == "instrumental"
    assert heard.words == ()
    assert heard.duration_seconds == pytest.approx(len(samples) / 16_000, abs=0.01)
    assert [warning.partition(":")[0] for warning in heard.warnings] == ["INPUT_NO_SPEECH"]


def test_a_language_that_is_not_english_is_not_guessed_at(library: Library) -> None:
    heard = library.hear(library.austen(), language="pl")

    assert heard.mode == "instrumental"
    assert heard.language == "pl"
    assert heard.warnings[0].startswith("LANGUAGE_NOT_SUPPORTED: ")


def test_a_text_in_another_language_is_spread_over_the_speech(library: Library) -> None:
    text = "Litwo, ojczyzno moja! Ty jesteś jak zdrowie; ile cię trzeba cenić, ten tylko się dowie, kto cię stracił."

    heard = library.hear(library.austen(text), language="pl")

    assert heard.mode == "speech"
    assert [word.text for word in heard.words] == text.split()
    assert heard.words[0].start_seconds == pytest.approx(0.24, abs=0.05)
    assert heard.words[-1].end_seconds == pytest.approx(26.94, abs=0.05)
    assert [segment.text for segment in heard.segments] == [text[:21], text[22:]]
    assert heard.warnings[0].startswith("LANGUAGE_NOT_SUPPORTED: ")


@pytest.mark.parametrize("transcript", [None, AUSTEN_TEXT], ids=["recognising", "aligning"])
def test_when_time_is_up_the_children_are_ended(library: Library, transcript: str | None) -> None:
    with pytest.raises(TransientError) as slow:
        library.hear(library.austen(transcript), time_left=timedelta(milliseconds=250))

    assert slow.value.code == "RECOGNITION_TOO_SLOW"
    assert "austen.mp3" in slow.value.message
    assert multiprocessing.active_children() == []


def test_text_that_calls_itself_a_recording_is_refused(library: Library) -> None:
    library.store.write(b"These are words, not sound.\n" * 100, "notes.mp3")

    with pytest.raises(PermanentError) as refused:
        library.hear(Recording(key="notes.mp3", filename="notes.mp3"))

    assert refused.value.code == "NOT_AUDIO"
    assert "notes.mp3" in refused.value.message


def test_a_recording_that_is_gone_is_missing(library: Library) -> None:
    with pytest.raises(PermanentError) as refused:
        library.hear(Recording(key="gone.mp3", filename="gone.mp3"))

    assert refused.value.code == "OBJECT_MISSING"


def test_without_the_recogniser_it_is_said_how_to_get_it(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(PermanentError) as refused:
        library.hear(library.austen())

    assert refused.value.code == "RECOGNISER_MISSING"
    assert "pip install" in refused.value.message
