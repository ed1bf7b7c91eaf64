"""Every setting, typed, from the environment (`AI_VIDEO_…`), validated once."""

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def default_home() -> Path:
    """Where one machine keeps its jobs: the user's data folder (XDG Base Directory Specification 0.8)."""
    return Path.home() / ".local" / "share" / "ai-video-worker"


class Settings(BaseSettings):
    """The worker's settings.  Each part is chosen on its own, so a real planner can feed the local renderer."""

    model_config = SettingsConfigDict(env_prefix="AI_VIDEO_", frozen=True, extra="ignore")

    home: Path = Field(default_factory=default_home)
    transcriber: Literal["sphinx"] = "sphinx"
    planner: Literal["rules"] = "rules"
    renderer: Literal["storyboard"] = "storyboard"
    longest_recording_seconds: float = Field(default=600, gt=0)
    drawing_processes: int = Field(default=2, ge=1)

    @property
    def longest_recording(self) -> timedelta:
        """The longest recording that is accepted."""
        return timedelta(seconds=self.longest_recording_seconds)
