"""Which parts a job is made with: chosen when it begins, and kept with it.

A job that was begun with one renderer cannot go on with another: what the one has on order, the other does not know.
"""

from collections.abc import Mapping

from statemachine import Execution, JsonValue
from worker.settings import Settings

# Not the models: a retired one is replaced by setting another, and the job goes on.
CHOSEN = ("media", "bucket", "transcriber", "planner", "renderer")

# Who is asked for nothing, and needs no account; for commands that only look at a job or stop it.
UNASKED: Mapping[str, str] = {"transcriber": "sphinx", "planner": "rules", "renderer": "storyboard"}


def as_data(settings: Settings) -> dict[str, JsonValue]:
    """What is kept with the job."""
    return {"parts": {name: getattr(settings, name) for name in CHOSEN}}


def of_job(execution: Execution, settings: Settings) -> Settings:
    """The settings with the parts that this job was begun with; those of an older job are not known."""
    kept = execution.data.get("parts")
    if not isinstance(kept, Mapping):
        return settings
    return changed(settings, {name: str(kept[name]) for name in CHOSEN if name in kept})


def changed(settings: Settings, parts: Mapping[str, str]) -> Settings:
    """The settings with other parts, checked anew."""
    return Settings(**{**settings.model_dump(), **parts})
