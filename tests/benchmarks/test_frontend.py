"""What the page's own measurements say is read whole, or refused."""

import pytest

from benchmarks import frontend

SAID = """
Running 3 tests using 2 workers
{"measured":"first contentful paint","milliseconds":312,"limit":1000}
  ok 1 the first words are painted within a second
{"measured":"layout shift while progress updates","value":0.02}
{"measured":"layout shift while progress updates, 320 px","value":0}
  3 passed (40s)
"""


def test_every_figure_of_the_page_is_held_against_its_bound() -> None:
    figures = {each.name: (each.value, each.as_line()["ok"]) for each in frontend.seen(SAID)}

    assert figures == {
        "frontend.first_contentful_paint_ms": (312, True),
        "frontend.layout_shift": (0.02, False),
        "frontend.layout_shift_320_px": (0, True),
    }


def test_a_measurement_that_is_missing_is_not_passed_over() -> None:
    with pytest.raises(RuntimeError, match="the tests of the page measured"):
        list(frontend.seen(SAID.replace("first contentful paint", "something else")))


def test_the_size_is_what_a_browser_must_have_first() -> None:
    said = "before the first state, bytes gzipped\n   10413 index.js\n14412 of 15000 at first, 24011 in the whole\n"

    figure = frontend.size(said)

    assert (figure.value, figure.bound, figure.beside) == (14412, 15000, {"in_the_whole": 24011})
    with pytest.raises(RuntimeError, match="does not say"):
        frontend.size("built")
