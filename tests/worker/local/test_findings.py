from dataclasses import replace
from datetime import date, timedelta

import pytest

from statemachine.aws.table_layout import TableLayout
from worker.local.findings import (
    SOON,
    Finding,
    of_free_disk,
    of_language_model,
    of_launch_stage,
    of_table,
    of_video_model,
)
from worker.models import VEO_2, VEO_3_1, VEO_3_1_LITE, LanguageModel
from worker.providers.aws_inspector import IndexFacts, TableFacts
from worker.providers.openai_inspector import ServedModel

TODAY = date(2026, 11, 22)
LAYOUT = TableLayout()
DUE = IndexFacts(
    name="ai_due",
    keys=(("ai_due_shard", "S"), ("ai_due_at", "N")),
    projection="INCLUDE",
    included=frozenset({"ai_version"}),
    is_active=True,
)
GOOD = TableFacts(status="ACTIVE", keys=(("video_id", "S"),), is_on_demand=True, has_stream=False, indexes=(DUE,))


def troubles(table: TableFacts, layout: TableLayout = LAYOUT) -> list[tuple[str, str]]:
    return [(each.level, each.text) for each in of_table(table, layout) if each.level != "fine"]


def with_due_index(index: IndexFacts) -> TableFacts:
    return replace(GOOD, indexes=(index,))


def test_a_table_as_terraform_makes_it_has_no_trouble() -> None:
    assert troubles(GOOD) == []


@pytest.mark.parametrize(
    ("table", "level", "words"),
    [
        (replace(GOOD, status="DELETING"), "broken", "is DELETING"),
        (replace(GOOD, keys=(("video_id", "N"),)), "broken", "video_id (N), and video_id (S) is configured"),
        (replace(GOOD, keys=(("video_id", "S"), ("at", "N"))), "broken", "video_id (S), at (N)"),
        (replace(GOOD, is_on_demand=False), "warning", "capacity is provisioned"),
        (replace(GOOD, has_stream=True), "warning", "a stream is on"),
        (replace(GOOD, indexes=(DUE, replace(DUE, name="mine", projection="ALL"))), "warning", "index mine copies"),
        (replace(GOOD, indexes=()), "broken", "there is no index ai_due"),
        (with_due_index(replace(DUE, keys=(("ai_due_shard", "S"), ("ai_due_at", "S")))), "broken", "ai_due_at (S)"),
        (with_due_index(replace(DUE, included=frozenset())), "broken", "does not project ai_version"),
        (with_due_index(replace(DUE, projection="KEYS_ONLY", included=frozenset())), "broken", "does not project"),
        (with_due_index(replace(DUE, projection="ALL", included=frozenset())), "warning", "ai_version is enough"),
        (with_due_index(replace(DUE, is_active=False)), "warning", "is being made"),
    ],
)
def test_one_trouble_of_a_table_is_one_finding(table: TableFacts, level: str, words: str) -> None:
    ((found_level, text),) = troubles(table)

    assert found_level == level
    assert words in text


def test_a_table_without_a_due_index_says_what_that_costs() -> None:
    ((level, text),) = troubles(replace(GOOD, indexes=()), TableLayout(index_name=None))

    assert level == "warning"
    assert "scans the whole table" in text


def test_every_trouble_of_a_table_names_a_remedy() -> None:
    worst = replace(GOOD, status="DELETING", keys=(), is_on_demand=False, has_stream=True, indexes=())

    found = [each for each in of_table(worst, LAYOUT) if each.level != "fine"]

    assert len(found) == 5
    assert all(each.remedy for each in found)


def of_model(shutdown_on: date | None, retired_on: date | None = None) -> list[str]:
    listed = LanguageModel("gpt-x", None, None, retired_on)
    return [each.level for each in of_language_model("gpt-x", ServedModel("gpt-x", shutdown_on), listed, today=TODAY)]


@pytest.mark.parametrize(
    ("days", "level"),
    [(-1, "broken"), (0, "broken"), (1, "warning"), (SOON.days, "warning"), (SOON.days + 1, "fine")],
)
def test_a_model_ends_on_the_day_that_was_announced(days: int, level: str) -> None:
    assert of_model(TODAY + timedelta(days=days)) == [level]


def test_the_earlier_of_two_announced_days_counts() -> None:
    assert of_model(date(2030, 1, 1), TODAY + timedelta(days=3)) == ["warning"]


def test_a_model_that_is_not_listed_is_used_at_an_unknown_price() -> None:
    found = of_language_model("gpt-x", ServedModel("gpt-x", None), None, today=TODAY)

    assert [(each.level, each.remedy) for each in found] == [("fine", ""), ("warning", "its price is not known")]


@pytest.mark.parametrize(
    ("today", "level"),
    [(TODAY, "fine"), (date(2027, 3, 5), "warning"), (date(2027, 3, 4), "fine"), (date(2028, 1, 1), "warning")],
)
def test_veo_is_promised_until_a_day_and_may_go_on(today: date, level: str) -> None:
    """Google's words are "4 May 2027 or later": after it nobody knows."""
    assert of_video_model(VEO_3_1, today=today).level == level


def test_a_retired_veo_is_broken_and_a_preview_is_promised_nothing() -> None:
    assert of_video_model(VEO_2, today=TODAY).level == "broken"
    assert of_video_model(VEO_3_1_LITE, today=TODAY).level == "fine"


@pytest.mark.parametrize(("stage", "level"), [("GA", "fine"), ("EXPERIMENTAL", "warning"), (None, "broken")])
def test_model_garden_knows_how_far_a_model_is_published(stage: str | None, level: str) -> None:
    assert of_launch_stage("veo-x", stage).level == level


def test_a_disk_without_room_for_a_long_job_is_a_warning() -> None:
    assert of_free_disk(10**9, "/home") == Finding(
        "home",
        "warning",
        "/home can be written; 1.0 GB are free",
        "free some space, 2 GB for a long recording, or choose another --home",
    )
    assert of_free_disk(3 * 10**9, "/home").level == "fine"
