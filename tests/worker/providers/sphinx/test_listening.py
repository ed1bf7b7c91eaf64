import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.providers.sphinx.decoding import BYTES_PER_SECOND
from worker.providers.sphinx.listening import LONGEST_UTTERANCE_SECONDS, Utterance, cut_out, decode, utterances

SAMPLE = Path(__file__).parents[4] / "samples" / "narration_human_librivox.mp3"


@pytest.fixture(scope="module")
def sound() -> bytes:
    return b"".join(decode(SAMPLE, SAMPLE.name))


@pytest.fixture(scope="module")
def spoken(sound: bytes) -> list[Utterance]:
    return list(utterances([sound]))


def test_the_whole_recording_is_decoded(sound: bytes) -> None:
    assert len(sound) / BYTES_PER_SECOND == pytest.approx(27.23, abs=0.01)


def test_each_sentence_between_pauses_is_an_utterance(spoken: list[Utterance]) -> None:
    assert [round(one.start_seconds, 1) for one in spoken] == [0.2, 7.6, 11.1, 16.9, 23.4]


def test_an_utterance_holds_the_sound_of_its_time(sound: bytes, spoken: list[Utterance]) -> None:
    for one in spoken:
        start = round(one.start_seconds * BYTES_PER_SECOND / 2) * 2
        assert one.pcm == sound[start : start + len(one.pcm)]


@pytest.mark.parametrize("block", [2, 959, 960, 961, 100_000])
def test_utterances_do_not_depend_on_how_the_sound_arrives(sound: bytes, spoken: list[Utterance], block: int) -> None:
    first = sound[: 12 * BYTES_PER_SECOND]

    heard = list(utterances(first[at : at + block] for at in range(0, len(first), block)))

    assert heard[:2] == spoken[:2]


def test_speech_without_a_pause_is_cut_where_it_is_quietest(spoken: list[Utterance]) -> None:
    without_pause = spoken[0].pcm[BYTES_PER_SECOND // 2 : -BYTES_PER_SECOND // 2] * 8

    heard = list(utterances([without_pause]))

    assert len(heard) > 1
    assert all(one.seconds <= LONGEST_UTTERANCE_SECONDS + 0.1 for one in heard)
    for one, other in itertools.pairwise(heard):
        assert other.start_seconds == pytest.approx(one.start_seconds + one.seconds, abs=0.5)


def test_silence_holds_no_utterance() -> None:
    assert list(utterances([bytes(5 * BYTES_PER_SECOND)])) == []


def test_no_sound_at_all_holds_no_utterance() -> None:
    assert list(utterances([])) == []


@given(
    cuts=st.lists(st.integers(min_value=0, max_value=200), min_size=2, max_size=8, unique=True),
    block=st.integers(min_value=1, max_value=500),
)
def test_spans_are_cut_out_exactly_however_the_sound_arrives(cuts: list[int], block: int) -> None:
    sound = bytes(at % 251 for at in range(200 * 320))  # 200 times 10 ms
    moments = sorted(cuts)
    spans = [(start / 100, end / 100) for start, end in zip(moments[::2], moments[1::2], strict=False)]

    found = list(cut_out((sound[at : at + block * 2] for at in range(0, len(sound), block * 2)), spans))

    assert found == [sound[round(start * 100) * 320 : round(end * 100) * 320] for start, end in spans]
