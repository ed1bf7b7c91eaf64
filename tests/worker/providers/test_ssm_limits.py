from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from statemachine import PermanentError
from tests.worker.handlers.api.desk import FakeClock
from worker.limits import Limits
from worker.providers.ssm_limits import SsmLimits

SETTINGS = Limits(starts=True, max_cost_usd=50.0, daily_usd=20.0, concurrent_jobs=2)


class FakeParameters:
    """One parameter, and how often it was read."""

    def __init__(self, value: str | Exception) -> None:
        self.value = value
        self.reads = 0

    def get_parameter(self, **request: Any) -> Any:  # noqa: ANN401  as boto3
        self.reads += 1
        if isinstance(self.value, Exception):
            raise self.value
        return {"Parameter": {"Value": self.value}}


def limits_of(parameters: FakeParameters, clock: FakeClock | None = None) -> SsmLimits:
    return SsmLimits(client=parameters, name="/ai-video/limits", settings=SETTINGS, clock=clock or FakeClock())


def test_the_parameter_is_laid_over_the_settings() -> None:
    limits = limits_of(FakeParameters('{"starts": false, "daily_usd": 5}'))()

    assert limits == Limits(starts=False, max_cost_usd=50.0, daily_usd=5.0, concurrent_jobs=2)


def test_it_is_read_once_a_minute() -> None:
    clock, parameters = FakeClock(), FakeParameters("{}")
    limits = limits_of(parameters, clock)

    limits()
    clock.moment += timedelta(seconds=59)
    limits()
    assert parameters.reads == 1
    parameters.value = '{"starts": false}'
    clock.moment += timedelta(seconds=1)

    assert limits().starts is False
    assert parameters.reads == 2


@pytest.mark.parametrize(
    "value",
    ["", "off", "[]", '{"start": false}', '{"daily_usd": -1}', EndpointConnectionError(endpoint_url="https://ssm")],
)
def test_nothing_may_begin_while_nothing_is_known(value: str | Exception) -> None:
    """A kill switch that cannot be read may be on."""
    with pytest.raises(PermanentError) as refused:
        limits_of(FakeParameters(value))()

    assert refused.value.code == "LIMITS_UNREADABLE"


def test_the_last_known_limits_hold_while_the_parameter_cannot_be_read() -> None:
    clock, parameters = FakeClock(), FakeParameters('{"concurrent_jobs": 7}')
    limits = limits_of(parameters, clock)
    limits()
    clock.moment += timedelta(minutes=5)
    parameters.value = EndpointConnectionError(endpoint_url="https://ssm")

    assert limits().concurrent_jobs == 7
