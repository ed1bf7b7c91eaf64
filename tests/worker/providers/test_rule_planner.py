from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.job import BeatSlot, Options, Segment, Transcript
from worker.ports import ScenePlan
from worker.providers.rule_planner import STYLE_LENGTH, TITLE_LENGTH, RulePlanner

STORY = (
    "The old lighthouse stood alone on the edge of the sea. Every evening, the keeper climbed the stairs.",
    "One night, a great storm came in from the west.",
    "He heard a bell ringing somewhere in the dark. It was a small fishing boat, lost and far from home.",
    "The keeper took his coat and a lantern and walked down to the beach.",
    "Slowly, the little boat turned toward the shore.",
    "They followed the keeper back to his warm kitchen.",
    "They told him stories until the morning came.",
    "He walked out to the beach.",
)


def plan(*narrations: str, style: str = "cinematic", title: str = "") -> ScenePlan:
    slots = [BeatSlot(index, 6.0 * index, 6.0 * index + 6.0, text) for index, text in enumerate(narrations)]
    segments = (Segment(start_seconds=0.0, end_seconds=6.0, text=title),) if title else ()
    transcript = Transcript(
        language="en-US", duration_seconds=60.0, mode="speech", source="recognised", segments=segments
    )
    return RulePlanner().plan(
        slots, transcript=transcript, options=Options(style=style), time_left=timedelta(minutes=1)
    )


def prompts(*narrations: str) -> list[str]:
    return [beat.visual_prompt.lower() for beat in plan(*narrations).beats]


def test_every_slot_becomes_one_beat_with_its_times_and_words() -> None:
    beats = plan(*STORY).beats

    assert [(beat.scene_index, beat.start_seconds, beat.end_seconds) for beat in beats] == [
        (index, 6.0 * index, 6.0 * index + 6.0) for index in range(len(STORY))
    ]
    assert tuple(beat.narration for beat in beats) == STORY


@pytest.mark.parametrize(
    ("scene", "nouns"),
    [
        (0, ["lighthouse", "sea", "evening", "keeper"]),
        (1, ["lighthouse", "storm", "night"]),
        (2, ["boat", "bell", "sea", "storm"]),
        (3, ["keeper", "lantern", "beach"]),
        (4, ["boat", "shore"]),
        (5, ["keeper", "kitchen", "fire"]),
        (6, ["kitchen", "morning"]),
    ],
)
def test_what_the_words_name_is_seen(scene: int, nouns: list[str]) -> None:
    prompt = prompts(*STORY)[scene]

    assert [noun for noun in nouns if noun not in prompt] == []


def test_a_novel_of_manners_plays_in_a_drawing_room() -> None:
    for prompt in prompts(
        "And Mister John Dashwood had then leisure to consider.",
        "He was not an ill disposed young man.",
        "Had he married a more amiable woman, he might have been more respectable.",
        "He might even have been made amiable himself.",
    ):
        assert "drawing room of an english country house" in prompt


def test_a_storm_at_night_lasts_until_the_morning() -> None:
    told = prompts(*STORY)

    assert all("storm" in told[scene] and "night" in told[scene] for scene in (1, 2, 3, 4))
    assert "storm" not in told[7]
    assert "morning" in told[7]


def test_rain_is_part_of_a_storm_and_not_its_end() -> None:
    assert "storm" in prompts("A storm came over the sea.", "The rain fell hard.")[1]


def test_no_storm_rages_indoors() -> None:
    assert "storm" not in prompts("A storm came over the sea.", "He sat in the kitchen.")[1]


def test_a_pronoun_means_whom_it_can_mean() -> None:
    told = prompts("A sailor met a woman at the harbour.", "The queen wept.", "He went away.", "She stayed.")

    assert told[2].startswith("a fisherman")
    assert told[3].startswith("a woman")


@pytest.mark.parametrize("words", ["A selfish man.", "They were understanding.", "He even came.", "A scarf."])
def test_only_whole_words_count(words: str) -> None:
    """'selfish' holds no fish, 'understanding' no sand, 'even' no evening, 'scarf' no car."""
    (prompt,) = prompts(words)

    assert not any(noun in prompt.split(", camera")[0] for noun in ("fish", "sand", "evening", "car "))


def test_words_that_name_nothing_get_scenery_of_their_own() -> None:
    told = [prompts(f"Considering proposition {name} thoroughly.")[0] for name in ("one", "two", "alpha", "beta", "x")]

    assert len(set(told)) > 1


def test_music_gets_changing_scenery() -> None:
    told = prompts("", "", "", "")

    assert len({prompt.split(",")[0] for prompt in told}) == 4


def test_the_same_words_give_the_same_plan() -> None:
    assert plan(*STORY, title=STORY[0]) == plan(*STORY, title=STORY[0])


def test_a_prompt_goes_from_the_subject_to_the_style() -> None:
    prompt = prompts(*STORY)[3]

    parts = ["keeper", "walking", "beach", "camera:", "shot", "night", "cinematic"]
    places = [prompt.index(part) for part in parts]
    assert places == sorted(places)


@given(narration=st.text(max_size=200), style=st.text(max_size=300))
def test_a_prompt_is_long_enough_short_enough_and_without_quotation_marks(narration: str, style: str) -> None:
    """Under 30 words Veo rewrites a prompt; what is quoted it writes on the screen."""
    (beat,) = plan(narration, style=style).beats

    assert len(beat.visual_prompt.split()) >= 30
    assert len(beat.visual_prompt) < 1500
    assert not set(beat.visual_prompt) & set('"“”„«»‘')  # noqa: RUF001 - quotation marks


def test_a_style_of_the_persons_own_is_kept() -> None:
    planned = plan("The sea.", style='paper cut-outs in "blue"')

    assert "paper cut-outs in blue" in planned.beats[0].visual_prompt
    assert planned.style_bible.startswith("Paper cut-outs in blue.")


def test_an_endless_style_is_cut() -> None:
    assert "x" * STYLE_LENGTH + "," in plan("The sea.", style="x" * 1000).beats[0].visual_prompt


@pytest.mark.parametrize(
    ("spoken", "title"),
    [
        ("The old lighthouse stood alone. Every evening came.", "The old lighthouse stood alone"),
        ("“Why?” he asked", "Why?"),
        ("", "Instrumental"),
    ],
)
def test_the_title_is_the_first_sentence(spoken: str, title: str) -> None:
    assert plan("", title=spoken).title == title


def test_a_long_title_is_cut_at_a_word() -> None:
    title = plan("", title="word " * 40).title

    assert len(title) <= TITLE_LENGTH
    assert title.endswith("word…")
