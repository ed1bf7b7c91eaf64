"""`worker estimate`: what videos would cost, told to a person and to a script."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from worker.__main__ import app
from worker.costs import Plan
from worker.models import DEFAULT_LANGUAGE_MODEL, LANGUAGE_MODELS, VEO_3_1_FAST

SAMPLE = Path(__file__).parents[3] / "samples" / "narration_human_librivox.mp3"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AI_VIDEO_VEO_MODEL", "AI_VIDEO_OPENAI_MODEL"):
        monkeypatch.delenv(name, raising=False)


def test_a_script_gets_what_the_cost_model_says() -> None:
    bill = Plan(90.0, 40, VEO_3_1_FAST, LANGUAGE_MODELS[DEFAULT_LANGUAGE_MODEL]).bill()

    result = CliRunner().invoke(app, ["estimate", "--seconds", "90", "--videos-per-month", "40", "--json"])

    told = json.loads(result.stdout)
    assert (result.exit_code, told["event"], told["scenes"]) == (0, "estimated", bill.clips.scenes)
    assert told["usd_per_month"] == {"low": round(bill.usd_at_least, 4), "high": round(bill.usd, 4)}
    assert sum(item["usd"] for item in told["items"]) == pytest.approx(bill.usd, abs=1e-4)
    assert sum(told["parts_usd_per_month"].values()) == pytest.approx(bill.usd, abs=1e-4)


def test_a_person_reads_clips_first_and_what_stands_there_last() -> None:
    result = CliRunner().invoke(app, ["estimate"])

    lines = [line for line in result.stdout.splitlines() if line]
    assert result.exit_code == 0
    assert lines[0] == "60.0 s of recording: 10 scenes by veo-3.1-fast-generate-001"
    assert lines[2] == "  clips          $4.80 to $6.40, for 60 to 80 s"
    assert lines[-2].startswith("  standing       $")


def test_a_recording_is_measured(tmp_path: Path) -> None:
    recording = Path(shutil.copy(SAMPLE, tmp_path))

    result = CliRunner().invoke(app, ["estimate", "--recording", str(recording), "--json"])

    assert json.loads(result.stdout)["recording_seconds"] == pytest.approx(27.2, abs=0.1)


def test_models_are_those_of_the_settings_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_VIDEO_VEO_MODEL", "veo-3.1-generate-001")

    of_settings = json.loads(CliRunner().invoke(app, ["estimate", "--json"]).stdout)
    named = json.loads(
        CliRunner().invoke(app, ["estimate", "--veo-model", "veo-3.1-lite-generate-001", "--json"]).stdout
    )

    assert (of_settings["veo_model"], named["veo_model"]) == ("veo-3.1-generate-001", "veo-3.1-lite-generate-001")


def test_an_unknown_price_is_told() -> None:
    result = CliRunner().invoke(app, ["estimate", "--openai-model", "gpt-5.1"])

    assert "no price of gpt-5.1 is known" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--veo-model", "veo-9"), "veo-9 is not known; there are veo-2.0-generate-001"),
        (("--openai-model", "gpt-9"), "gpt-9 is not known; there are gpt-4,"),
        (("--seconds", "9", "--recording", "x.mp3"), "both say how long the recording is"),
        (("--recording", "nowhere.mp3"), "there is no recording nowhere.mp3"),
        (("--seconds", "5000"), "5000 s need 625 scenes"),
    ],
)
def test_what_cannot_be_estimated_is_refused(arguments: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(app, ["estimate", *arguments])

    assert result.exit_code == 2
    assert message in result.stderr


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.mp3").write_text("no sound in here")

    result = CliRunner().invoke(app, ["estimate", "--recording", str(tmp_path / "notes.mp3")])

    assert result.exit_code == 2
    assert "Traceback" not in result.stderr
