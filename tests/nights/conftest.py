import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from statemachine.aws import lambda_dispatcher
from statemachine.testing.clock import VirtualClock
from tests.mocked_aws import mock_aws
from tests.nights.platform import SECRET, Platform, QueueingLambda
from tests.simulators.transcribe import S3Objects
from tests.simulators.vendors import Vendors
from worker.local import operate


@pytest.fixture
def platform(
    vendors: Vendors, vendor_clock: VirtualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Platform]:
    """The platform with the worker deployed, the vendors' keys in the secret, and nothing begun."""
    with mock_aws(config={"lambda": {"use_docker": False}}):
        platform = Platform(vendors, vendor_clock, tmp_path, monkeypatch)
        queue = platform.queue
        monkeypatch.setattr(lambda_dispatcher, "lambda_client", lambda **_: QueueingLambda(queue))
        monkeypatch.setattr(operate, "SystemClock", lambda: vendor_clock)
        variables = vendors.environment(tmp_path)
        key = json.loads(Path(variables.pop("GOOGLE_APPLICATION_CREDENTIALS")).read_text())
        keys = {"OPENAI_API_KEY": variables.pop("OPENAI_API_KEY"), "GOOGLE_SERVICE_ACCOUNT": key}
        boto3.client("secretsmanager").create_secret(Name=SECRET, SecretString=json.dumps(keys))
        vendors.transcribe.objects = S3Objects(platform.s3)
        platform.deploy(variables)
        yield platform
        platform.close()
