"""What the facts about a part mean, and what to do about it.  Pure: facts in, findings out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from statemachine.aws.table_layout import TableLayout
from worker.models import LanguageModel, VideoModel
from worker.providers.aws_inspector import IndexFacts, TableFacts
from worker.providers.openai_inspector import ServedModel

Level = Literal["fine", "warning", "broken"]

# A model that ends within this is to be replaced now: jobs begun until then must still find it.
SOON = timedelta(days=60)

# 75 clips of some 8 MB, once more where they are conformed, and the video that they make.
LEAST_FREE_BYTES = 2 * 10**9


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        level: `broken` is what keeps jobs from being made; `warning` is what will, or what costs more than it must.
        remedy: what to do; empty where nothing is.
    """

    part: str
    level: Level
    text: str
    remedy: str = ""


def of_free_disk(free_bytes: int, place: str) -> Finding:
    """Whether a job fits on the disk."""
    text = f"{place} can be written; {free_bytes / 10**9:.1f} GB are free"
    if free_bytes < LEAST_FREE_BYTES:
        remedy = f"free some space, {LEAST_FREE_BYTES / 10**9:.0f} GB for a long recording, or choose another --home"
        return Finding("home", "warning", text, remedy)
    return Finding("home", "fine", text)


def of_language_model(
    name: str, served: ServedModel | None, listed: LanguageModel | None, *, today: date
) -> Iterator[Finding]:
    """What the vendor says of the model, and what our own table knows of its last day."""
    choose = "choose another with AI_VIDEO_OPENAI_MODEL"
    if served is None:
        yield Finding("planner", "broken", f"OpenAI has no model {name} for this key", choose)
        return
    days = [day for day in (served.shutdown_on, listed.retired_on if listed else None) if day is not None]
    yield _of_last_day("planner", f"OpenAI's {name} answers", min(days, default=None), choose, today=today)
    if listed is None:
        yield Finding("planner", "warning", f"{name} is not in the table of known models", "its price is not known")


def of_video_model(model: VideoModel, *, today: date) -> Finding:
    """What our own table knows of the model's last day, which the vendor's promise may precede."""
    choose = "choose another with AI_VIDEO_VEO_MODEL"
    promised = model.served_until
    if model.retired_on is not None or promised is None:
        return _of_last_day("renderer", f"{model.name} is known", model.retired_on, choose, today=today)
    text = f"{model.name} is promised until {promised}"
    if promised - today <= SOON:
        return Finding("renderer", "warning", text, choose)
    return Finding("renderer", "fine", text)


def of_launch_stage(name: str, stage: str | None) -> Finding:
    """What Model Garden says of the model."""
    if stage is None:
        return Finding(
            "renderer",
            "broken",
            f"Model Garden has no {name} in this region",
            "it was retired, or is served elsewhere: choose another with AI_VIDEO_VEO_MODEL or GOOGLE_CLOUD_LOCATION",
        )
    if stage not in ("GA", "LAUNCH_STAGE_UNSPECIFIED"):
        remedy = "nothing is promised for it: prefer one that is generally available"
        return Finding("renderer", "warning", f"Model Garden publishes {name} as {stage}", remedy)
    return Finding("renderer", "fine", f"Model Garden publishes {name}")


def of_table(table: TableFacts, layout: TableLayout) -> Iterator[Finding]:
    """Whether jobs can be kept on this table, and what about it costs more than it must."""
    name = layout.table_name
    if table.status not in ("ACTIVE", "UPDATING"):
        yield Finding("table", "broken", f"table {name} is {table.status}", "wait, or restore it")
    wanted = list(zip(layout.key_names, (layout.partition_key_type, layout.sort_key_type), strict=False))
    if list(table.keys) != wanted:
        yield Finding(
            "table",
            "broken",
            f"the key of table {name} is {_told(table.keys)}, and {_told(wanted)} is configured",
            "mend AI_VIDEO_PARTITION_KEY, AI_VIDEO_SORT_KEY and their …_TYPE, and AI_VIDEO_ROW_KEY",
        )
    else:
        yield Finding("table", "fine", f"table {name} has the key {_told(wanted)}")
    yield from _of_due_index(table, layout)
    if not table.is_on_demand:
        yield Finding(
            "table",
            "warning",
            "capacity is provisioned, and a job writes its whole row, tens of KB, several times in a burst",
            "see that auto scaling leaves room, or bill on demand",
        )
    for index in table.indexes:
        if index.projection == "ALL" and index.name != layout.index_name:
            yield Finding(
                "table",
                "warning",
                f"index {index.name} copies every attribute, and so every write of a job once more",
                "let it project only what its queries read",
            )
    if table.has_stream:
        yield Finding(
            "table",
            "warning",
            "a stream is on: every write of a job wakes its consumers",
            "filter their events, for instance to rows whose ai_generation_status changed",
        )


def _of_due_index(table: TableFacts, layout: TableLayout) -> Iterator[Finding]:
    if layout.index_name is None:
        yield Finding(
            "table",
            "warning",
            "no due index is configured: every tick scans the whole table, and waiting jobs wake by the minute",
            "let Terraform add the index, then set AI_VIDEO_DUE_INDEX",
        )
        return
    index = next((each for each in table.indexes if each.name == layout.index_name), None)
    remedy = "make it anew, as the Terraform module does"
    if index is None:
        yield Finding(
            "table",
            "broken",
            f"there is no index {layout.index_name}: nobody finds the jobs that wait",
            "let Terraform add it, or set AI_VIDEO_DUE_INDEX to nothing",
        )
        return
    fault = _fault_of_due_index(index, layout)
    if fault:
        yield Finding("table", "broken", f"index {index.name} {fault}", remedy)
    elif index.projection == "ALL":
        yield Finding(
            "table", "warning", f"index {index.name} copies every attribute; {layout.version} is enough", remedy
        )
    elif not index.is_active:
        yield Finding("table", "warning", f"index {index.name} is being made", "wait until it is active")
    else:
        yield Finding("table", "fine", f"index {index.name} is as it should be")


def _fault_of_due_index(index: IndexFacts, layout: TableLayout) -> str:
    wanted = ((layout.due_shard, "S"), (layout.due_at, "N"))
    if index.keys != wanted:
        return f"has the key {_told(index.keys)} instead of {_told(wanted)}"
    if index.projection != "ALL" and layout.version not in index.included:
        return f"does not project {layout.version}"
    return ""


def _of_last_day(part: str, text: str, last_day: date | None, remedy: str, *, today: date) -> Finding:
    if last_day is None:
        return Finding(part, "fine", f"{text}, and no end is announced")
    if last_day <= today:
        return Finding(part, "broken", f"{text}, but was announced to end on {last_day}", remedy)
    if last_day - today <= SOON:
        return Finding(part, "warning", f"{text} until {last_day}, in {(last_day - today).days} days", remedy)
    return Finding(part, "fine", f"{text} until {last_day}")


def _told(keys: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in keys)
