"""Every setting, typed, from the environment (`AI_VIDEO_…`), validated once."""

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from worker.models import DEFAULT_LANGUAGE_MODEL, DEFAULT_VEO_MODEL, VEO_MODELS


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
        partition_key_type, sort_key_type: S (text) or N (number).
        row_key: how the key of a video's row follows from the caller and `videoId`.
        owner_attribute, source_attribute: of a row: whose it is (the Cognito `sub`), and the recording's key.
        operators_group: of the user pool; its members may read any job and see vendors' details.  Empty: nobody.
        api_path: of the API's one resource.
        cors_origins: that may call from a browser, with commas; `*` is everybody.
        starts: the kill switch: false refuses whatever would cost money.
        max_cost_usd: of one job, whatever its owner allows.
        daily_usd, concurrent_jobs: of one user; unset, nothing is counted.
        limits_parameter: an SSM parameter with a JSON object that changes these four without a deployment.
        completion_bus, completion_topic_arn: where the end of a job is told: an EventBridge bus, an SNS topic.
        veo_model, openai_model: of `worker.models`.
        veo_per_minute: submissions a minute that this project may make, where that is not what the table says.
        veo_output_gcs_uri: `gs://bucket/prefix` into which Veo writes its clips.
        veo_allow_inline: do without that bucket, and accept that a clip may be paid twice.
        google_audience, google_service_account: of the federation that lets the function's role act at Google without
            a key; see `worker.providers.google_credentials.Federation`.
        secret_id: name or ARN of the secret with the vendors' keys, see `worker.providers.aws_secrets`; empty: the
            SDKs' own environment variables are read.
        shares_quota: whether jobs take turns at the model's quota, by a control row in the table.
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
    partition_key_type: Literal["S", "N"] = "S"
    sort_key_type: Literal["S", "N"] = "S"
    row_key: Literal["video", "user/video", "video/user"] = "video"
    owner_attribute: str = "user_id"
    source_attribute: str = "s3_key"

    operators_group: str = ""
    api_path: str = Field(default="/ai-video", pattern=r"^(/[A-Za-z0-9._~-]+)+$")
    cors_origins: str = "*"
    starts: bool = True
    max_cost_usd: float | None = Field(default=50.0, ge=0)
    daily_usd: float | None = Field(default=None, ge=0)
    concurrent_jobs: int | None = Field(default=None, ge=0)
    limits_parameter: str = ""
    completion_bus: str = ""
    completion_topic_arn: str = ""

    veo_model: str = DEFAULT_VEO_MODEL
    veo_per_minute: int | None = Field(default=None, ge=1)
    veo_output_gcs_uri: str = ""
    veo_allow_inline: bool = False
    google_audience: str = ""
    google_service_account: str = ""
    openai_model: str = DEFAULT_LANGUAGE_MODEL
    secret_id: str = ""
    shares_quota: bool = True

    @property
    def longest_recording(self) -> timedelta:
        """The longest recording that is accepted."""
        return timedelta(seconds=self.longest_recording_seconds)

    @model_validator(mode="after")
    def _names_what_its_parts_need(self) -> "Settings":
        if self.media == "s3" and not self.bucket:
            raise ValueError("AI_VIDEO_MEDIA=s3 needs AI_VIDEO_BUCKET, the platform's bucket")
        if len(self.row_key.split("/")) != (2 if self.sort_key else 1):
            raise ValueError(
                f"AI_VIDEO_ROW_KEY={self.row_key} does not make a key of AI_VIDEO_PARTITION_KEY={self.partition_key} "
                f"and AI_VIDEO_SORT_KEY={self.sort_key or '(none)'}"
            )
        if self.veo_model not in VEO_MODELS:
            raise ValueError(f"AI_VIDEO_VEO_MODEL={self.veo_model} is not known; there are {', '.join(VEO_MODELS)}")
        return self
