from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from worker.captions import captions_from, webvtt
from worker.job import Caption, Segment, Transcript, Word


def spoken(text: str, *, pause_after: dict[str, float] | None = None, segments: bool = False) -> Transcript:
    """A transcript of `text`, every word 0.3 s long and 0.05 s apart unless a pause is asked for after it."""
    words: list[Word] = []
    now = 0.0
    for token in text.split():
        words.append(Word(text=token, start_seconds=now, end_seconds=now + 0.3))
        now += 0.35 + (pause_after or {}).get(token, 0.0)
    whole = Segment(start_seconds=0.0, end_seconds=now, text=text)
    return Transcript(
        language="en",
        duration_seconds=now + 1,
        mode="speech",
        source="recognised",
        words=tuple(words),
        segments=(whole,) if segments else (),
    )


def texts(transcript: Transcript) -> list[str]:
    return [caption.text for caption in captions_from(transcript)]


def test_a_short_sentence_is_one_caption_of_one_line() -> None:
    assert texts(spoken("The lamp was lit at dusk.")) == ["The lamp was lit at dusk."]


def test_a_sentence_of_two_lines_is_divided_in_the_middle() -> None:
    sentence = "Old Martha climbed the stairs of the lighthouse every evening."

    assert texts(spoken(sentence)) == ["Old Martha climbed the stairs\nof the lighthouse every evening."]


def test_captions_break_after_sentences() -> None:
    transcript = spoken("The storm came in the night from the west. Nobody in the village slept until the morning.")

    assert [text.replace("\n", " ") for text in texts(transcript)] == [
        "The storm came in the night from the west.",
        "Nobody in the village slept until the morning.",
    ]


def test_a_full_stop_before_a_closing_quotation_mark_ends_a_sentence() -> None:
    transcript = spoken('She said "there is a boat out on the reef." Nobody else had seen it in the dark of night.')

    assert texts(transcript)[0].endswith('reef."')


def test_words_without_punctuation_break_at_the_pause() -> None:
    transcript = spoken(
        "the storm came in the night from the west nobody in the village slept until the morning came",
        pause_after={"west": 0.6},
    )

    assert [text.replace("\n", " ") for text in texts(transcript)] == [
        "the storm came in the night from the west",
        "nobody in the village slept until the morning came",
    ]


def test_no_caption_spans_a_long_pause() -> None:
    transcript = spoken("we waited there and then it came", pause_after={"there": 3.0})

    assert texts(transcript) == ["we waited there", "and then it came"]


def test_punctuation_comes_from_a_segment_that_has_the_same_words() -> None:
    transcript = spoken("the lamp was lit", segments=True).model_copy(
        update={"segments": (Segment(start_seconds=0, end_seconds=2, text="The lamp was lit."),)}
    )

    assert texts(transcript) == ["The lamp was lit."]


def test_the_words_stand_as_recognised_where_a_segment_has_others() -> None:
    transcript = spoken("the lamp was lit", segments=True).model_copy(
        update={"segments": (Segment(start_seconds=0, end_seconds=2, text="Something else."),)}
    )

    assert texts(transcript) == ["the lamp was lit"]


def test_each_word_belongs_to_the_segment_it_was_spoken_in() -> None:
    transcript = spoken("one two three four", pause_after={"two": 1.0}).model_copy(
        update={
            "segments": (
                Segment(start_seconds=0.0, end_seconds=0.65, text="One two."),
                Segment(start_seconds=1.7, end_seconds=2.4, text="Three four."),
            )
        }
    )

    assert texts(transcript) == ["One two.", "Three four."]


def test_segments_without_word_times_share_out_their_time() -> None:
    text = "A first sentence that is long enough for two lines of text, and a second half that is as long again."
    transcript = Transcript(
        language="en",
        duration_seconds=10,
        mode="speech",
        source="aligned",
        segments=(Segment(start_seconds=0, end_seconds=10, text=text),),
    )

    captions = captions_from(transcript)

    assert " ".join(caption.text.replace("\n", " ") for caption in captions) == text
    assert 4 < captions[0].end_seconds < 7


def test_a_recording_without_words_has_no_captions() -> None:
    transcript = Transcript(language="en", duration_seconds=60, mode="instrumental", source="recognised")

    assert captions_from(transcript) == ()


def test_a_short_word_stays_long_enough_to_be_read() -> None:
    caption = captions_from(spoken("Yes."))[0]

    assert caption.end_seconds - caption.start_seconds >= 1.0


def test_a_word_longer_than_a_line_stands_alone() -> None:
    word = "Donaudampfschifffahrtsgesellschaftskapitänswitwe"

    assert word in texts(spoken(f"This is {word} and she has been waiting here."))


WORDS = st.lists(
    st.tuples(
        st.text(alphabet="abcdefghij,.", min_size=1, max_size=50),
        st.floats(min_value=0, max_value=9),
        st.floats(min_value=0, max_value=4),
    ),
    max_size=60,
)


def transcript_of(drawn: list[tuple[str, float, float]]) -> Transcript:
    words: list[Word] = []
    now = 0.0
    for text, length, pause in drawn:
        words.append(Word(text=text, start_seconds=now, end_seconds=now + length))
        now += length + pause
    return Transcript(language="en", duration_seconds=now, mode="speech", source="recognised", words=tuple(words))


@given(WORDS)
def test_every_word_is_in_the_captions_once_and_in_order(drawn: list[tuple[str, float, float]]) -> None:
    shown = " ".join(texts(transcript_of(drawn))).split()

    assert shown == [text for text, _, _ in drawn]


@given(WORDS)
def test_captions_follow_one_another_and_never_overlap(drawn: list[tuple[str, float, float]]) -> None:
    captions = captions_from(transcript_of(drawn))

    assert all(caption.start_seconds < caption.end_seconds for caption in captions)
    assert all(earlier.end_seconds <= later.start_seconds for earlier, later in pairwise(captions))


@given(WORDS)
def test_no_caption_is_too_large_or_stays_too_long(drawn: list[tuple[str, float, float]]) -> None:
    for caption in captions_from(transcript_of(drawn)):
        lines = caption.text.split("\n")
        assert len(lines) <= 2
        assert all(len(line) <= 42 or " " not in line for line in lines)
        assert caption.end_seconds - caption.start_seconds <= 7.0 + 1e-6


def test_webvtt_writes_hours_minutes_and_milliseconds() -> None:
    file = webvtt([Caption(0.0, 1.5, "One"), Caption(3661.25, 3663.9996, "Two\nlines")])

    assert file == ("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nOne\n\n01:01:01.250 --> 01:01:04.000\nTwo\nlines\n")


def test_webvtt_escapes_what_would_be_read_as_markup() -> None:
    file = webvtt([Caption(0, 1, "a < b & c --> d")])

    assert file.endswith("\na &lt; b &amp; c --&gt; d\n")


def test_webvtt_drops_blank_lines_because_they_would_end_the_cue() -> None:
    file = webvtt([Caption(0, 1, "one\n\n  \ntwo")])

    assert file.endswith("00:00:01.000\none\ntwo\n")
