"""What videos cost: arithmetic on counted operations, and where its numbers come from."""

import json
import math
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine import PermanentError
from worker.costs import (
    IDLE_SWEEP_QUERIES,
    LAMBDA_GB_SECOND,
    MONTH_SECONDS,
    OF_8_SCENES,
    OF_24_SCENES,
    PARTS,
    PRICES,
    SWEEP_QUERIES,
    SWEEP_SECONDS,
    USUAL,
    Operations,
    Plan,
    Sweeps,
    active_seconds,
    clips,
    operations,
    turn_seconds,
    ways,
)
from worker.local.cost_document import ALARM_USD_A_DAY
from worker.models import LANGUAGE_MODELS, STORYBOARD, VEO_2, VEO_3_1_FAST, VEO_3_1_LITE, VEO_MODELS, VideoModel
from worker.settings import Settings

ROOT = Path(__file__).parents[2]
MINI = LANGUAGE_MODELS["gpt-5.4-mini"]

# How far a later count may be from the one that is priced.
DRIFT = 0.05


def a_plan(*, seconds: float = 60.0, videos: float = 100, model: VideoModel = VEO_3_1_FAST) -> Plan:
    return Plan(seconds, videos, model, MINI)


@pytest.mark.parametrize("price", PRICES, ids=lambda price: price.what)
def test_every_price_says_where_it_was_read(price: object) -> None:
    assert re.fullmatch(r"(aws\.amazon|cloud\.google)\.com/\S+", getattr(price, "source", ""))
    assert getattr(price, "usd", 0) > 0


@pytest.mark.parametrize(("priced", "name"), [(OF_8_SCENES, "of_8_scenes"), (OF_24_SCENES, "of_24_scenes")])
def test_what_is_priced_is_what_was_counted(priced: Operations, name: str) -> None:
    """Who changes what a job does counts again (`make bench NAMES=operations`) and gives `worker.costs` the counts."""
    lines = (ROOT / "benchmarks" / "results.jsonl").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in map(json.loads, lines) if line["name"] == f"operations.{name}"]
    counted = {"turns": line["value"], **line["beside"]}

    figures = {figure: value for figure, value in asdict(priced).items() if figure != "scenes"}

    assert figures == pytest.approx({figure: counted[figure] for figure in figures}, rel=DRIFT)


def test_the_sweep_that_is_priced_is_the_one_that_was_counted() -> None:
    lines = (ROOT / "benchmarks" / "results.jsonl").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in map(json.loads, lines) if line["name"] == "operations.of_a_sweep"]

    assert (line["value"], line["beside"]["seconds"], line["beside"]["idle_queries"]) == (
        SWEEP_QUERIES,
        SWEEP_SECONDS,
        IDLE_SWEEP_QUERIES,
    )


def test_what_is_assumed_of_the_deployment_is_what_terraform_makes() -> None:
    variables = (ROOT / "terraform" / "variables.tf").read_text(encoding="utf-8")
    (memory,) = re.findall(r'variable "memory_mb" \{.*?default\s+= (\d+)', variables, re.DOTALL)
    alarms = re.findall(
        r"^    [\w-]+ = \{$", (ROOT / "terraform" / "alarms.tf").read_text(encoding="utf-8"), re.MULTILINE
    )
    (alarm_usd,) = re.findall(r"daily_usd\s+= optional\(number, (\d+)\)", variables)

    assert int(memory) == USUAL.memory_mb == USUAL.sweep_memory_mb
    assert float(alarm_usd) == ALARM_USD_A_DAY
    assert 0 < len(alarms) <= USUAL.alarms
    assert Settings.model_fields["due_shards"].default == USUAL.due_shards


def test_a_job_that_was_counted_does_what_was_counted() -> None:
    assert operations(8, 48.0) == OF_8_SCENES
    assert operations(24, 146.0) == OF_24_SCENES


@given(scenes=st.integers(1, 75))
def test_more_scenes_do_more_and_no_job_does_less_than_nothing(scenes: int) -> None:
    job, longer = operations(scenes, scenes * 6.0), operations(scenes + 1, scenes * 6.0)

    assert all(value >= 0 for value in asdict(job).values())
    assert longer.write_units > job.write_units
    assert longer.makespan_seconds > job.makespan_seconds


@pytest.mark.parametrize("model", VEO_MODELS.values(), ids=lambda model: model.name)
def test_clips_cost_what_the_models_table_says(model: VideoModel) -> None:
    made = clips(60.0, model=model, max_scenes=75)

    assert made.usd_low == pytest.approx(made.seconds_low * model.usd_per_second)
    assert made.usd_high == pytest.approx(made.scenes * 8 * model.usd_per_second)
    assert made.seconds_low >= 60.0


def test_short_scenes_are_ordered_at_the_shortest_clip_there_is() -> None:
    """A recording of 3 s is one scene, and Veo 3.1 sells no less than 4 s."""
    made = clips(3.0, model=VEO_3_1_FAST, max_scenes=75)

    assert (made.scenes, made.seconds_low, made.seconds_high) == (1, 4.0, 8)


def test_clips_that_are_drawn_cost_nothing() -> None:
    assert clips(60.0, model=STORYBOARD, max_scenes=75).usd_high == 0.0


def test_a_recording_that_needs_too_many_scenes_has_no_price() -> None:
    with pytest.raises(PermanentError, match="need 625 scenes"):
        a_plan(seconds=5000.0).bill()


def test_a_bill_is_the_sum_of_its_items() -> None:
    bill = a_plan().bill()

    assert bill.usd == pytest.approx(sum(bill.of(part) for part in PARTS))
    assert bill.usd - bill.usd_at_least == pytest.approx(100 * (bill.clips.usd_high - bill.clips.usd_low))
    assert bill.usd_per_video * 100 + bill.of("standing") == pytest.approx(bill.usd)


def test_a_month_without_videos_costs_what_stands_there() -> None:
    bill = a_plan(videos=0).bill()

    assert bill.usd == pytest.approx(bill.of("standing"))
    assert bill.usd_per_video == 0.0


def test_a_model_without_a_known_price_is_left_out_and_not_guessed() -> None:
    bill = replace(a_plan(), language_model=LANGUAGE_MODELS["gpt-5.1"]).bill()

    assert bill.of("words") == 0
    assert [item.part for item in bill.items].count("words") == 0


def test_a_short_recording_is_transcribed_at_the_least_that_is_billed() -> None:
    """Transcribe bills 15 s at least: a quarter of $0.024."""
    assert a_plan(seconds=3.0, videos=1).bill().of("speech") == pytest.approx(0.006)


@pytest.mark.parametrize("model", [VEO_2, VEO_3_1_FAST, VEO_3_1_LITE], ids=lambda model: model.name)
@pytest.mark.parametrize("budget", [102.0, 177.0])
def test_a_budget_buys_so_many_videos_and_not_one_more(model: VideoModel, budget: float) -> None:
    plan = a_plan(model=model)

    videos = plan.videos_for(budget)

    assert replace(plan, videos=videos).bill().usd <= budget < replace(plan, videos=videos + 1).bill().usd


def test_a_budget_below_what_stands_there_buys_none() -> None:
    assert a_plan().videos_for(1.0) == 0


# --- the shared sweep -------------------------------------------------------------------------------------------------


def test_a_job_alone_pays_for_its_own_sweep() -> None:
    """A sweep of 75 s for each minute: a quarter more than the job lasts."""
    sweeps = Sweeps.of(1, OF_8_SCENES, USUAL)

    assert sweeps.seconds == pytest.approx(1.25 * OF_8_SCENES.makespan_seconds, rel=1e-3)
    assert sweeps.usd(USUAL) == pytest.approx(LAMBDA_GB_SECOND.of(sweeps.seconds * 1769 / 1024))


@given(videos=st.floats(1, 1e6), more=st.floats(1.01, 100))
def test_the_more_jobs_share_a_sweep_the_less_each_pays(videos: float, more: float) -> None:
    few, many = Sweeps.of(videos, OF_8_SCENES, USUAL), Sweeps.of(videos * more, OF_8_SCENES, USUAL)

    assert few.seconds <= many.seconds <= MONTH_SECONDS * 1.25
    assert many.seconds / (videos * more) < few.seconds / videos


def test_no_more_of_a_month_is_active_than_there_is() -> None:
    assert active_seconds(1e9, 300.0) == pytest.approx(MONTH_SECONDS)
    assert active_seconds(0, 300.0) == 0


# --- other ways -------------------------------------------------------------------------------------------------------


def test_every_way_pays_for_the_same_turns() -> None:
    turning = LAMBDA_GB_SECOND.of(turn_seconds(OF_8_SCENES, USUAL) * 1769 / 1024)

    by_name = {way.name: way.usd for way in ways(48.0, 100, model=VEO_3_1_FAST)}

    assert len(by_name) == 6
    assert all(usd > turning for name, usd in by_name.items() if name != "sleeping in Lambda")


def test_step_functions_bill_three_transitions_for_each_look() -> None:
    ways_of = {way.name: way.usd for way in ways(48.0, 100, model=VEO_3_1_FAST)}
    # 23 looks and 4 other turns: 3 * 23 + 2 * 4 transitions, at $0.025 a thousand.
    transitions = 77 * 0.025 / 1000

    others = OF_8_SCENES.write_units * (OF_8_SCENES.writes - OF_8_SCENES.turns) / OF_8_SCENES.writes * 0.625e-6
    turning = LAMBDA_GB_SECOND.of(turn_seconds(OF_8_SCENES, USUAL) * 1769 / 1024) + OF_8_SCENES.turns * 0.2e-6

    assert ways_of["Step Functions Standard, one loop for all clips"] == pytest.approx(transitions + turning + others)


def test_sleeping_is_billed_from_start_to_end_and_ends_after_15_minutes() -> None:
    short = {way.name: way for way in ways(48.0, 100, model=VEO_3_1_FAST)}["sleeping in Lambda"]
    long = {way.name: way for way in ways(600.0, 100, model=VEO_3_1_FAST)}["sleeping in Lambda"]

    assert short.usd > LAMBDA_GB_SECOND.of(OF_8_SCENES.makespan_seconds * 1769 / 1024)
    assert "not possible" not in short.note
    assert long.note == "not possible: longer than 15 minutes"


def test_a_smaller_function_makes_the_sweep_cheaper_and_nothing_else() -> None:
    by_name = {way.name: way.usd for way in ways(48.0, 1, model=VEO_3_1_FAST)}
    saved = by_name["this engine"] - by_name["this engine, sweeping in a function of 256 MB"]

    assert saved == pytest.approx(Sweeps.of(1, OF_8_SCENES, USUAL).usd(USUAL) * (1 - 256 / 1769))
    assert math.isfinite(saved)


def test_the_readme_compares_what_the_model_says() -> None:
    row = re.search(
        r"^\| orchestrating a 48 s video, 100 a month +\|(.*)\|$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    cents = {way.name: f"{way.usd * 100:.1f} cent" for way in ways(48.0, 100, model=VEO_3_1_FAST)}

    assert row is not None
    assert [cell.strip().removesuffix("s") for cell in row[1].split("|")] == [
        cents["this engine"],
        cents["Lambda durable functions"],
        cents["Step Functions Standard, one loop for all clips"],
        "not priced",
        cents["sleeping in Lambda"],
    ]
