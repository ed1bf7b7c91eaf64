"""Every setting, typed, from the environment (`AI_VIDEO_…`), validated once."""

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


def default_home() -> Path:
    """Where one machine keeps its jobs: the user's data folder (XDG Base Directory Specification 0.8)."""
    return Path.home() / ".local" / "share" / "ai-video-worker"


class Settings(BaseSettings):
    """The worker's settings.  Each part is chosen on its own, so a real planner can feed the local renderer.

    Attributes:
        home: where one machine keeps jobs, media and working files.
        child_processes: how many recognise, and how many draw, at once on one machine.
        media: where one machine keeps objects; the function keeps them in the bucket.
        bucket: of the platform.
        table_name, partition_key, sort_key, due_index, due_shards: of the platform's table; an empty `sort_key` or
            `due_index` means that there is none.
        function_name: of the function that invokes itself.
    """

    model_config = SettingsConfigDict(env_prefix="AI_VIDEO_", frozen=True, extra="ignore")

    home: Path = Field(default_factory=default_home)
    media: Literal["directory", "s3"] = "directory"
    transcriber: Literal["sphinx", "aws"] = "sphinx"
    planner: Literal["rules", "openai"] = "rules"
    renderer: Literal["storyboard", "veo"] = "storyboard"

    longest_recording_seconds: float = Field(default=600, gt=0)
    child_processes: int = Field(default=2, ge=1)

    bucket: str = ""
    table_name: str = "video_metadata"
    partition_key: str = "video_id"
    sort_key: str = ""
    due_index: str = "ai_due"
    due_shards: int = Field(default=4, ge=1)
    function_name: str = ""

    @property
    def longest_recording(self) -> timedelta:
        """The longest recording that is accepted."""
        return timedelta(seconds=self.longest_recording_seconds)

    @model_validator(mode="after")
    def _names_what_its_parts_need(self) -> "Settings":
        if self.media == "s3" and not self.bucket:
            raise ValueError("AI_VIDEO_MEDIA=s3 needs AI_VIDEO_BUCKET, the platform's bucket")
        return self
