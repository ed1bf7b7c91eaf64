"""Limits that can be changed without a deployment: a JSON object in an SSM parameter, laid over the settings.

`{"starts": false}` is the kill switch; `daily_usd`, `concurrent_jobs` and `max_cost_usd` may stand beside it.
"""

import logging
from datetime import timedelta
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from statemachine.clock import Clock
from statemachine.errors import PermanentError
from worker.limits import Limits

log = logging.getLogger(__name__)

# How long a change may take to be seen.
REFRESH_EVERY = timedelta(seconds=60)


class ParameterClient(Protocol):
    """What is used of boto3's client for SSM."""

    def get_parameter(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  boto3 makes its methods at run time
        """Read a parameter."""


def parameter_client() -> ParameterClient:
    """A client for SSM; credentials and region come from the environment."""
    config = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})
    return boto3.client("ssm", config=config)  # type: ignore[no-any-return]  # no stubs of it are installed


class _Overrides(BaseModel):
    """The parameter's value.  An unknown name is refused: a misspelt limit must not look as if it held."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    starts: bool | None = None
    max_cost_usd: float | None = Field(default=None, ge=0)
    daily_usd: float | None = Field(default=None, ge=0)
    concurrent_jobs: int | None = Field(default=None, ge=0)


class SsmLimits:
    """The limits of this moment, read at most once a minute."""

    def __init__(self, *, client: ParameterClient, name: str, settings: Limits, clock: Clock) -> None:
        self._client = client
        self._name = name
        self._settings = settings
        self._clock = clock
        self._known: Limits | None = None
        self._read_at = clock.now()

    def __call__(self) -> Limits:
        """The limits.

        Where the parameter cannot be read, the last known ones hold.

        Raises:
            PermanentError: code LIMITS_UNREADABLE: nothing is known of the kill switch, so nothing may begin.
        """
        now = self._clock.now()
        if self._known is None or now - self._read_at >= REFRESH_EVERY:
            try:
                self._known = self._read()
            except (ClientError, BotoCoreError, ValidationError, ValueError) as error:
                # Not the value itself: somebody may have put anything there.
                log.error("limits in parameter %s cannot be read: %s", self._name, type(error).__name__)  # noqa: TRY400  see above
                if self._known is None:
                    raise PermanentError(
                        "LIMITS_UNREADABLE",
                        f"the limits in SSM parameter {self._name} cannot be read; mend its JSON or the role",
                        user_action="contact_admin",
                    ) from error
            self._read_at = now
        return self._known

    def _read(self) -> Limits:
        answer = self._client.get_parameter(Name=self._name, WithDecryption=True)
        overrides = _Overrides.model_validate_json(answer["Parameter"]["Value"])
        settings = self._settings
        return Limits(
            starts=settings.starts if overrides.starts is None else overrides.starts,
            max_cost_usd=settings.max_cost_usd if overrides.max_cost_usd is None else overrides.max_cost_usd,
            daily_usd=settings.daily_usd if overrides.daily_usd is None else overrides.daily_usd,
            concurrent_jobs=(
                settings.concurrent_jobs if overrides.concurrent_jobs is None else overrides.concurrent_jobs
            ),
        )
