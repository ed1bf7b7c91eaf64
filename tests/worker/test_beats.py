import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.errors import PermanentError
from worker.beats import cut_beats, join_words
from worker.job import BeatSlot, Word

FRAME = 1 / 24


durations = st.floats(min_value=0.05, max_value=600, allow_nan=False)
longest = st.sampled_from([4.0, 5.0, 6.0, 8.0])
spoken = st.lists(
    st.tuples(
        st.floats(min_value=0, max_value=1),
        st.floats(min_value=0.01, max_value=1.5),
        st.sampled_from(["one", "two,", "three.", "four"]),
    ),
    max_size=150,
)


def words_from(gaps: list[tuple[float, float, str]]) -> tuple[Word, ...]:
    """Words after one another: (pause before it, its length, its text)."""
    words = []
    at = 0.0
    for gap, length, text in gaps:
        words.append(Word(text=text, start_seconds=at + gap, end_seconds=at + gap + length))
        at += gap + length
    return tuple(words)


def cut(words: tuple[Word, ...], duration: float, *, longest_seconds: float = 8.0) -> tuple[BeatSlot, ...]:
    return cut_beats(words, duration, longest_seconds=longest_seconds, max_scenes=1000)


@given(gaps=spoken, duration=durations, longest_seconds=longest)
def test_beats_cover_the_recording_without_gap_or_overlap(
    gaps: list[tuple[float, float, str]], duration: float, longest_seconds: float
) -> None:
    beats = cut(words_from(gaps), duration, longest_seconds=longest_seconds)

    assert beats[0].start_seconds == 0
    assert beats[-1].end_seconds == duration
    assert all(one.end_seconds == other.start_seconds for one, other in itertools.pairwise(beats))
    assert [beat.scene_index for beat in beats] == list(range(len(beats)))


@given(gaps=spoken, duration=durations, longest_seconds=longest)
def test_every_beat_keeps_the_limits(
    gaps: list[tuple[float, float, str]], duration: float, longest_seconds: float
) -> None:
    beats = cut(words_from(gaps), duration, longest_seconds=longest_seconds)

    lengths = [beat.end_seconds - beat.start_seconds for beat in beats]
    # Where the average itself is hardly longer than the shortest beat, two frames of room are left for the grid.
    shortest = min(2.5, duration / len(beats) - 2 * FRAME)
    assert max(lengths) <= longest_seconds + 1e-6
    assert min(lengths) >= shortest - 1e-6


@given(gaps=spoken, duration=durations)
def test_every_boundary_but_the_last_lies_on_a_frame(gaps: list[tuple[float, float, str]], duration: float) -> None:
    beats = cut(words_from(gaps), duration)

    assert all(math.isclose(beat.start_seconds * 24, round(beat.start_seconds * 24), abs_tol=1e-6) for beat in beats)


@given(gaps=spoken, duration=durations, longest_seconds=longest)
def test_the_number_of_beats_follows_from_the_duration_alone(
    gaps: list[tuple[float, float, str]], duration: float, longest_seconds: float
) -> None:
    with_words = cut(words_from(gaps), duration, longest_seconds=longest_seconds)
    without = cut((), duration, longest_seconds=longest_seconds)

    assert len(with_words) == len(without)


@given(gaps=spoken, duration=durations)
def test_the_same_words_are_cut_the_same_way_in_whatever_order_they_come(
    gaps: list[tuple[float, float, str]], duration: float
) -> None:
    words = words_from(gaps)

    assert cut(words, duration) == cut(words[::-1], duration)


@given(gaps=spoken, duration=durations)
def test_no_word_is_lost_and_none_is_told_twice(gaps: list[tuple[float, float, str]], duration: float) -> None:
    words = words_from(gaps)

    beats = cut(words, duration)

    told = " ".join(beat.narration for beat in beats).split()
    assert told == [word.text for word in words]


@given(duration=st.floats(min_value=0.05, max_value=2.5))
def test_a_recording_shorter_than_a_beat_is_one_beat(duration: float) -> None:
    assert len(cut((), duration)) == 1


def test_beats_are_about_six_seconds_long() -> None:
    assert [len(cut((), seconds)) for seconds in (5, 12, 27.2, 56.7)] == [1, 2, 5, 9]


def test_a_beat_without_words_is_as_long_as_the_others() -> None:
    lengths = [beat.end_seconds - beat.start_seconds for beat in cut((), 56.7)]

    assert max(lengths) - min(lengths) <= 2 * FRAME


def test_a_cut_falls_into_the_pause() -> None:
    words = words_from([(0.0, 0.4, "word")] * 11 + [(0.8, 0.4, "next")] + [(0.0, 0.4, "word")] * 17)

    beats = cut(words, words[-1].end_seconds)

    assert words[10].end_seconds < beats[1].start_seconds < words[11].start_seconds
    assert beats[1].narration.startswith("next")


def test_of_two_pauses_the_one_that_ends_a_sentence_is_cut() -> None:
    """The pauses are alike and alike far from the middle, so only the full stop tells them apart."""
    texts = ["word"] * 12
    texts[6] = "end."
    words = words_from([(0.3 if index in {5, 7} else 0.0, 1.0, text) for index, text in enumerate(texts)])

    beats = cut(words, words[-1].end_seconds)

    assert beats[0].narration.endswith("end.")


def test_no_word_is_cut_while_a_gap_between_words_is_near() -> None:
    words = words_from([(0.05, 0.7, "word")] * 80)

    beats = cut(words, words[-1].end_seconds)

    inside = [
        beat
        for beat in beats[1:]
        if any(word.start_seconds + 1e-9 < beat.start_seconds < word.end_seconds - FRAME for word in words)
    ]
    assert inside == []


def test_a_pause_outside_a_greedy_window_is_still_found() -> None:
    """Cut greedily, the first beat takes the pause at 6 s and leaves the second cut in the middle of a sentence."""
    words = (
        *words_from([(0.0, 0.5, "a")] * 9),  # to 4.5 s
        *(Word(text="b", start_seconds=5.2 + 0.5 * i, end_seconds=5.7 + 0.5 * i) for i in range(13)),  # to 11.7 s
        *(Word(text="c", start_seconds=12.4 + 0.5 * i, end_seconds=12.9 + 0.5 * i) for i in range(11)),  # to 17.9 s
    )

    beats = cut(words, 17.9)

    assert [set(beat.narration.split()) for beat in beats] == [{"a"}, {"b"}, {"c"}]


def test_a_recording_at_the_very_limit_is_cut_into_the_longest_beats() -> None:
    beats = cut_beats((), 600.0, longest_seconds=8.0, max_scenes=75)

    assert len(beats) == 75
    assert {beat.end_seconds - beat.start_seconds for beat in beats} == {8.0}


def test_more_scenes_than_allowed_are_refused() -> None:
    with pytest.raises(PermanentError) as refused:
        cut_beats((), 100.0, longest_seconds=8.0, max_scenes=12)

    assert refused.value.code == "TOO_LONG"
    assert refused.value.user_action == "upload_other_audio"
    assert refused.value.details == {"scenes": 13, "max_scenes": 12}


@pytest.mark.parametrize("duration", [0.0, -1.0, math.nan, math.inf])
def test_a_duration_that_is_none_is_a_mistake_of_the_caller(duration: float) -> None:
    with pytest.raises(ValueError, match="cannot be cut"):
        cut((), duration)


def test_marks_that_stand_alone_join_the_word_before_them() -> None:
    assert join_words(["Well", ",", "(", "yes", ")", "it", "is", "."]) == "Well, (yes) it is."
