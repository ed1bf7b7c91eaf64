import json
import logging
import traceback
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from statemachine import PermanentError, TransientError
from statemachine.errors import StepError
from statemachine.testing.clock import VirtualClock
from tests.mocked_aws import mock_aws
from worker.providers.aws_secrets import LIFETIME, AwsSecrets, secrets_client

NAME = "ai-video"
KEY = "sk-very-secret"
ACCOUNT = {"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----"}
WHOLE = json.dumps({"OPENAI_API_KEY": KEY, "GOOGLE_SERVICE_ACCOUNT": ACCOUNT})


class Vault:
    """Secrets Manager as the adapter sees it: a text that somebody changes, or an error."""

    def __init__(self, text: str | None = WHOLE) -> None:
        self.text = text
        self.error: Exception | None = None
        self.reads = 0

    def get_secret_value(self, *args: Any, **kwargs: Any) -> Mapping[str, Any]:  # noqa: ANN401  as boto3's
        self.reads += 1
        if self.error is not None:
            raise self.error
        return {"SecretBinary": b"\x00"} if self.text is None else {"SecretString": self.text}


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"quotes {KEY}"}}, "GetSecretValue")


@pytest.fixture
def vault() -> Vault:
    return Vault()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def secrets(vault: Vault, clock: VirtualClock) -> AwsSecrets:
    return AwsSecrets(vault, secret_id=NAME, clock=clock)


def test_the_keys_are_what_the_secret_holds() -> None:
    with mock_aws():
        boto3.client("secretsmanager").create_secret(Name=NAME, SecretString=WHOLE)
        secrets = AwsSecrets(secrets_client(), secret_id=NAME, clock=VirtualClock())

        assert secrets.openai_key() == KEY
        assert json.loads(secrets.google_key()) == ACCOUNT


def test_a_service_account_may_stand_there_as_text(secrets: AwsSecrets, vault: Vault) -> None:
    vault.text = json.dumps({"GOOGLE_SERVICE_ACCOUNT": json.dumps(ACCOUNT)})

    assert json.loads(secrets.google_key()) == ACCOUNT


def test_a_secret_is_read_once_in_its_lifetime(secrets: AwsSecrets, vault: Vault, clock: VirtualClock) -> None:
    secrets.openai_key()
    secrets.google_key()
    clock.advance(LIFETIME - timedelta(seconds=1))
    secrets.openai_key()

    assert vault.reads == 1


def test_a_changed_key_is_seen_after_the_lifetime(secrets: AwsSecrets, vault: Vault, clock: VirtualClock) -> None:
    secrets.openai_key()
    vault.text = json.dumps({"OPENAI_API_KEY": "sk-new"})
    clock.advance(LIFETIME)

    assert secrets.openai_key() == "sk-new"


def test_a_refused_key_is_read_anew_at_once(secrets: AwsSecrets, vault: Vault) -> None:
    secrets.openai_key()
    vault.text = json.dumps({"OPENAI_API_KEY": "sk-new"})

    assert secrets.openai_key(refresh=True) == "sk-new"
    assert secrets.openai_key() == "sk-new"
    assert vault.reads == 2


def test_what_is_known_serves_while_the_service_is_down(
    secrets: AwsSecrets, vault: Vault, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    secrets.openai_key()
    vault.error = refused("InternalServiceError")
    clock.advance(LIFETIME)

    assert secrets.openai_key() == KEY
    assert secrets.openai_key() == KEY
    assert vault.reads == 2
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_refused_key_is_not_handed_out_again_while_the_service_is_down(secrets: AwsSecrets, vault: Vault) -> None:
    secrets.openai_key()
    vault.error = refused("InternalServiceError")

    with pytest.raises(TransientError, match="ai-video"):
        secrets.openai_key(refresh=True)


@pytest.mark.parametrize("error", [refused("ThrottlingException"), ConnectTimeoutError(endpoint_url="https://x")])
def test_a_service_that_cannot_answer_is_asked_again(secrets: AwsSecrets, vault: Vault, error: Exception) -> None:
    vault.error = error

    with pytest.raises(TransientError, match="secret ai-video cannot be read for now"):
        secrets.openai_key()


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("ResourceNotFoundException", "there is no such secret"),
        ("AccessDeniedException", "allow secretsmanager:GetSecretValue"),
        ("DecryptionFailure", "allow kms:Decrypt"),
        ("InvalidRequestException", "restore it"),
    ],
)
def test_a_secret_that_cannot_be_read_says_what_to_do(
    secrets: AwsSecrets, vault: Vault, code: str, remedy: str
) -> None:
    vault.error = refused(code)

    with pytest.raises(PermanentError, match=f"secret ai-video: .*{remedy}") as caught:
        secrets.openai_key()

    assert caught.value.code == "SECRET_MISSING"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "it holds bytes"),
        (KEY, "it is no JSON object"),
        (f'["{KEY}"]', "it is no JSON object"),
        (json.dumps({"OTHER": KEY}), "it has no OPENAI_API_KEY"),
        (json.dumps({"OPENAI_API_KEY": " ", "OTHER": KEY}), "it has no OPENAI_API_KEY"),
        (json.dumps({"OPENAI_API_KEY": [KEY]}), "OPENAI_API_KEY is no text"),
    ],
)
def test_a_secret_of_another_form_is_named_with_the_field_and_never_shown(
    secrets: AwsSecrets, vault: Vault, text: str | None, why: str
) -> None:
    vault.text = text

    with pytest.raises(PermanentError, match=f"secret ai-video: {why}") as caught:
        secrets.openai_key()

    assert caught.value.code == "SECRET_INVALID"
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_service_account_that_is_neither_object_nor_text_is_named(secrets: AwsSecrets, vault: Vault) -> None:
    vault.text = json.dumps({"GOOGLE_SERVICE_ACCOUNT": [1]})

    with pytest.raises(PermanentError, match="GOOGLE_SERVICE_ACCOUNT is neither an object nor text"):
        secrets.google_key()


def test_nothing_of_the_secret_stands_in_a_repr_or_a_message(
    secrets: AwsSecrets, vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets.openai_key()
    vault.error = refused("AccessDeniedException")

    with pytest.raises(StepError) as caught:
        secrets.openai_key(refresh=True)

    assert repr(secrets) == "AwsSecrets(secret_id='ai-video')"
    assert KEY not in str(caught.value)
    assert KEY not in caplog.text
