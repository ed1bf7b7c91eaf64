import pytest

from worker.providers.sphinx.supplied import Cue, has_times, read_transcript, spoken_words

VTT = """WEBVTT - a title

STYLE
::cue { color: white }

NOTE
nobody says this

intro
00:01.000 --> 00:03.500 align:start position:10%
<v Ann>The old <i>lighthouse</i>
stood &amp; waited.

00:00:04.000 --> 00:00:05.250
Alone.
"""
SRT = (
    "1\r\n00:00:01,000 --> 00:00:03,500\r\nThe old lighthouse\r\n\r\n2\r\n01:00:04,000 --> 01:00:05,25\r\n- Alone.\r\n"
)


def texts(cues: list[Cue]) -> list[str]:
    return [" ".join(token.text for token in cue.tokens) for cue in cues]


def test_webvtt_gives_words_and_times_without_its_markup() -> None:
    cues = read_transcript(VTT.encode(), "talk.vtt")

    assert texts(cues) == ["The old lighthouse stood & waited.", "Alone."]
    assert [(cue.start_seconds, cue.end_seconds) for cue in cues] == [(1.0, 3.5), (4.0, 5.25)]


def test_subrip_gives_words_and_times_without_its_numbers() -> None:
    cues = read_transcript(SRT.encode(), "Talk.SRT")

    assert texts(cues) == ["The old lighthouse", "- Alone."]
    assert [(cue.start_seconds, cue.end_seconds) for cue in cues] == [(1.0, 3.5), (3604.0, 3605.25)]


def test_plain_text_is_one_cue_without_times() -> None:
    (cue,) = read_transcript(b"One line.\nAnother line", "talk.txt")

    assert cue.start_seconds is None
    assert [token.text for token in cue.tokens] == ["One", "line.", "Another", "line"]


@pytest.mark.parametrize("data", [b"", b" \n\n", b"\xef\xbb\xbf", "… — ♪".encode()])
def test_a_text_without_words_has_no_cues(data: bytes) -> None:
    assert read_transcript(data, "talk.txt") == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_text_is_read_whatever_editor_wrote_it(encoding: str) -> None:
    assert texts(read_transcript("Café “é”".encode(encoding), "talk.txt")) == ["Café “é”"]


def test_marks_that_are_not_said_stay_beside_their_word() -> None:
    (cue,) = read_transcript("– Well — he said ♪".encode(), "talk.txt")  # noqa: RUF001 - a dash of dialogue

    assert [token.text for token in cue.tokens] == ["– Well —", "he", "said ♪"]  # noqa: RUF001 - as above


def test_sentences_end_at_marks_and_paragraphs_but_not_after_abbreviations() -> None:
    (cue,) = read_transcript(b'Mr. J. Smith came.  "Why?" Nobody knew\n\nThe end', "talk.txt")

    assert [token.text for token in cue.tokens if token.ends_sentence] == ["came.", '"Why?"', "knew", "end"]


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Lighthouse,", ("lighthouse",)),
        ("ill-disposed", ("ill", "disposed")),
        ("don’t", ("don't",)),  # noqa: RUF001 - the apostrophe of print
        ("dogs'", ("dogs",)),
        ("Mr.", ("mister",)),
        ("st", ("st",)),
        ("Café", ("cafe",)),
        ("1811", ("eighteen", "eleven")),
        ("1905", ("nineteen", "oh", "five")),
        ("2026", ("two", "thousand", "twenty", "six")),
        ("50%", ("fifty", "percent")),
        ("007", ("zero", "zero", "seven")),
        ("море", ()),
    ],
)
def test_words_are_spelt_as_they_are_said(written: str, spoken: tuple[str, ...]) -> None:
    assert spoken_words(written) == spoken


def test_a_word_that_cannot_be_said_still_takes_its_time() -> None:
    (cue,) = read_transcript("the море".encode(), "talk.txt")

    assert all(token.spoken for token in cue.tokens)


@pytest.mark.parametrize(
    ("times", "duration", "fits"),
    [
        ([(0.0, 2.0), (2.0, 4.0)], 4.0, True),
        ([(0.0, 2.0), (2.0, 4.5)], 4.0, True),
        ([(0.0, 2.0), (2.0, 9.0)], 4.0, False),
        ([(2.0, 4.0), (0.0, 2.0)], 4.0, False),
        ([(0.0, 2.0), (3.0, 3.0)], 4.0, False),
        ([(None, None)], 4.0, False),
    ],
)
def test_times_count_only_where_they_can_be_those_of_the_recording(
    times: list[tuple[float | None, float | None]],
    duration: float,
    fits: bool,  # noqa: FBT001 - a column of the table above
) -> None:
    cues = [Cue((), start, end) for start, end in times]

    assert has_times(cues, duration) is fits
