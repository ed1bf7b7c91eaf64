import pytest

from tests.simulators.presets import PRESETS
from tests.simulators.scenario import Drop, Filtered, Rule, Scenario, Subject, Takes, scene_of


def effects_of(rule: Rule, *scenes: int | None) -> list[bool]:
    scenario = Scenario(rule)
    return [bool(scenario.effects("veo.submit", Subject(scene))) for scene in scenes]


def test_a_rule_holds_for_as_many_occasions_as_it_says() -> None:
    rule = Rule(place="veo.submit", effect=Drop(), first=2, times=2)

    assert effects_of(rule, None, None, None, None) == [False, True, True, False]


def test_a_rule_for_a_scene_leaves_the_others_alone() -> None:
    rule = Rule(place="veo.submit", effect=Drop(), scene=1)

    assert effects_of(rule, 0, 1, 1) == [False, True, False]


def test_a_rule_may_count_every_scene_on_its_own() -> None:
    rule = Rule(place="veo.submit", effect=Drop(), is_per_scene=True)

    assert effects_of(rule, 0, 1, 0, 1) == [True, True, False, False]


@pytest.mark.parametrize(
    ("prefix", "prompt", "scene"),
    [
        ("gs://b/ai-video/v/r/renders/012/i/", "scene 4", 12),
        ("gs://b/jobs/j1/scene-003/a1/", "", 3),
        ("", "Scene 4: a cat", 4),
        ("gs://b/2026/01/x/", "a cat", None),
    ],
)
def test_the_scene_is_known_by_its_prefix_or_its_prompt(prefix: str, prompt: str, scene: int | None) -> None:
    assert scene_of(prefix, prompt) == scene


def test_several_effects_may_befall_one_occasion() -> None:
    scenario = Scenario(
        Rule(place="veo.clip", effect=Takes(polls=1)), Rule(place="veo.clip", effect=Filtered(support_codes=(1,)))
    )

    assert scenario.effects("veo.clip", Subject()) == [Takes(polls=1), Filtered(support_codes=(1,))]


def test_a_rule_may_ask_for_words_in_the_order() -> None:
    scenario = Scenario(Rule(place="veo.clip", effect=Drop(), containing="a cat"))

    assert scenario.effects("veo.clip", Subject(None, "a dog")) == []
    assert scenario.effects("veo.clip", Subject(None, "a cat")) == [Drop()]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_the_way_to_another_process(name: str) -> None:
    assert tuple(Rule.model_validate_json(rule.model_dump_json()) for rule in PRESETS[name]) == PRESETS[name]
