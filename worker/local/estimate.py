"""What `worker estimate` does: what videos would cost, before any is made.  Asks nobody and spends nothing."""

import json
import sys
from pathlib import Path

from statemachine import JsonValue, PermanentError
from worker.costs import PARTS, READ_ON, REGION, Bill, Plan
from worker.local.cost_document import cost_document, usd
from worker.models import LANGUAGE_MODELS, VEO_MODELS, LanguageModel, VideoModel
from worker.providers.pyav_assembler import PyAvAssembler
from worker.settings import Settings

# A minute of film, where nobody says how long the recording is.
USUAL_SECONDS = 60.0


def estimate(
    *,
    seconds: float | None,
    recording: Path | None,
    veo_model: str | None,
    openai_model: str | None,
    videos_per_month: int,
    as_json: bool,
) -> int:
    """Tell what a video costs, and a month of them; models that are not named are those of the settings."""
    if seconds is not None and recording is not None:
        raise PermanentError("WRONG_USE", "--seconds and --recording both say how long the recording is; give one")
    length = _measured(recording) if recording is not None else USUAL_SECONDS if seconds is None else seconds
    settings = Settings()
    plan = Plan(
        length,
        videos_per_month,
        _video_model(veo_model or settings.veo_model),
        _language_model(openai_model or settings.openai_model),
    )
    bill = plan.bill()
    sys.stdout.write(json.dumps(_facts(plan, bill), ensure_ascii=False) + "\n" if as_json else _page(plan, bill))
    return 0


def document() -> int:
    """Print `docs/costs.md`."""
    sys.stdout.write(cost_document())
    return 0


def _measured(recording: Path) -> float:
    if not recording.is_file():
        raise PermanentError("WRONG_USE", f"there is no recording {recording}")
    return PyAvAssembler().measure(recording).duration_seconds


def _video_model(name: str) -> VideoModel:
    if name not in VEO_MODELS:
        raise PermanentError("UNKNOWN_MODEL", f"--veo-model {name} is not known; there are {', '.join(VEO_MODELS)}")
    return VEO_MODELS[name]


def _language_model(name: str) -> LanguageModel:
    if name not in LANGUAGE_MODELS:
        raise PermanentError(
            "UNKNOWN_MODEL", f"--openai-model {name} is not known; there are {', '.join(LANGUAGE_MODELS)}"
        )
    return LANGUAGE_MODELS[name]


def _page(plan: Plan, bill: Bill) -> str:
    made, videos = bill.clips, bill.videos
    clip_seconds = f"{made.seconds_low:.0f} to {made.seconds_high:.0f}"
    rest = bill.usd_per_video - made.usd_high
    lines = [
        f"{plan.recording_seconds:.1f} s of recording: {made.scenes} scenes by {plan.video_model.name}",
        "",
        f"a video          {usd(made.usd_low + rest)} to {usd(made.usd_high + rest)}",
        f"  clips          {usd(made.usd_low)} to {usd(made.usd_high)}, for {clip_seconds} s",
        *(f"  {part:<15}{usd(bill.of(part) / videos)}" for part in PARTS if part not in {"clips", "standing"}),
        "",
        f"{f'{videos:,.0f} a month':<17}{usd(bill.usd_at_least)} to {usd(bill.usd)}",
        f"  standing       {usd(bill.of('standing'))} of it, whether or not any is made",
    ]
    if not bill.of("words"):
        lines.append(f"note: no price of {plan.language_model.name} is known; planning is not in the sum")
    lines += ["", f"Prices of {REGION}, read {READ_ON}; docs/costs.md says what was counted and what was assumed.", ""]
    return "\n".join(lines)


def _facts(plan: Plan, bill: Bill) -> dict[str, JsonValue]:
    made = bill.clips
    rest = bill.usd_per_video - made.usd_high
    return {
        "event": "estimated",
        "recording_seconds": round(plan.recording_seconds, 3),
        "veo_model": plan.video_model.name,
        "openai_model": plan.language_model.name,
        "scenes": made.scenes,
        "clip_seconds": {"low": round(made.seconds_low, 3), "high": round(made.seconds_high, 3)},
        "usd_per_video": {"low": round(made.usd_low + rest, 6), "high": round(made.usd_high + rest, 6)},
        "videos_per_month": bill.videos,
        "usd_per_month": {"low": round(bill.usd_at_least, 4), "high": round(bill.usd, 4)},
        "parts_usd_per_month": {part: round(bill.of(part), 6) for part in PARTS},
        "items": [
            {
                "part": item.part,
                "what": item.what,
                "quantity": round(item.quantity, 3),
                "unit": item.unit,
                "usd": round(item.usd, 6),
            }
            for item in bill.items
        ],
        "region": REGION,
        "as_of": READ_ON.isoformat(),
    }
