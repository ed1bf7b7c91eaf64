import json
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread

import pytest

from statemachine import PermanentError, TransientError
from tests.simulators.fixtures import vendor_clock, vendors
from tests.simulators.scenario import Answer, Rule
from tests.simulators.vendors import Vendors
from worker.providers.google_credentials import (
    AwsKeys,
    Federation,
    GoogleCredentials,
    from_aws_role,
    from_key,
    from_key_file,
)

__all__ = ["vendor_clock", "vendors"]

AUDIENCE = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/aws"
ACCOUNT = "veo@proj-1.iam.gserviceaccount.com"
KEYS = AwsKeys("AKIDEXAMPLE", "secret", "session")


class Vault:
    """A secret that is rotated: each reading without a cache gives the next one."""

    def __init__(self, *keys: str) -> None:
        self.keys: Iterator[str] = iter(keys)
        self.cached = next(self.keys)

    def __call__(self, *, refresh: bool) -> str:
        if refresh:
            self.cached = next(self.keys)
        return self.cached


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda _: None)


@pytest.fixture
def key(vendors: Vendors) -> str:
    return json.dumps(vendors.google.service_account_info(vendors.url))


def federation(vendors: Vendors, *, service_account: str | None = ACCOUNT) -> Federation:
    return Federation(AUDIENCE, service_account, "eu-central-1", sts_url=vendors.url, iam_url=vendors.url)


def test_a_key_gives_one_token_until_its_end(vendors: Vendors, key: str) -> None:
    credentials = from_key(Vault(key))

    assert credentials.token() == credentials.token()
    assert len(vendors.journal.at("google.token")) == 1


def test_threads_that_ask_at_once_share_one_token(vendors: Vendors, key: str) -> None:
    credentials, together, tokens = from_key(Vault(key)), Barrier(4), list[str]()

    def ask() -> None:
        together.wait()
        tokens.append(credentials.token())

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(tokens)) == 1
    assert len(vendors.journal.at("google.token")) == 1


def test_a_refused_token_is_renewed_once_for_everybody_who_held_it(vendors: Vendors, key: str) -> None:
    credentials = from_key(Vault(key))
    refused = credentials.token()

    first, second = credentials.renewed(refused), credentials.renewed(refused)

    assert first == second != refused
    assert len(vendors.journal.at("google.token")) == 2


def test_a_key_that_was_rotated_is_read_anew_when_the_old_one_is_refused(vendors: Vendors, key: str) -> None:
    vendors.scenario.add(Rule(place="google.token", effect=Answer(status=400, body={"error": "invalid_grant"})))
    credentials = from_key(Vault(key, key))
    held = credentials.credentials

    token = credentials.token()

    assert held.token == token, "who holds the object gets the new key's token too"
    assert held.valid


def test_a_key_that_is_refused_is_a_matter_for_a_person(vendors: Vendors, key: str) -> None:
    info = {**json.loads(key), "client_email": "nobody@proj-1.iam.gserviceaccount.com"}
    credentials = from_key(Vault(json.dumps(info), json.dumps(info)))

    with pytest.raises(PermanentError) as caught:
        credentials.token()

    assert (caught.value.code, caught.value.user_action) == ("PROVIDER_UNAUTHORIZED", "contact_admin")


@pytest.mark.parametrize("status", [500, 503])
def test_a_token_service_that_is_down_is_asked_again_later(vendors: Vendors, key: str, status: int) -> None:
    body = {"error": "internal_failure"}
    rule = Rule.model_validate(
        {"place": "google.token", "effect": {"kind": "answer", "status": status, "body": body}, "times": None}
    )
    vendors.scenario.add(rule)

    with pytest.raises(TransientError):
        from_key(Vault(key, key)).token()


def test_a_token_service_that_cannot_be_reached_is_asked_again_later(key: str) -> None:
    nowhere = json.dumps({**json.loads(key), "token_uri": "http://127.0.0.1:1/token"})

    with pytest.raises(TransientError):
        from_key(Vault(nowhere)).token()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"type": "authorized_user"}', '{"type": "service_account", "private_key": "SECRET"}']
)
def test_what_is_no_key_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(PermanentError) as caught:
        from_key(Vault(text)).token()

    assert caught.value.code == "PROVIDER_UNAUTHORIZED"
    assert "SECRET" not in str(caught.value)


def test_a_key_file_is_read_at_the_first_use(tmp_path: Path, key: str) -> None:
    path = tmp_path / "key.json"
    credentials = from_key_file(path)
    path.write_text(key)

    assert credentials.token()


def test_a_key_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"missing\.json"):
        from_key_file(tmp_path / "missing.json").token()


def test_an_aws_role_needs_no_key_and_asks_nothing_of_aws(vendors: Vendors) -> None:
    credentials = from_aws_role(federation(vendors), lambda: KEYS)

    assert credentials.token()
    assert [request.place for request in vendors.journal.requests] == ["google.sts", "google.impersonate"]


def test_an_aws_role_may_act_without_an_account_of_its_own(vendors: Vendors) -> None:
    credentials = from_aws_role(federation(vendors, service_account=None), lambda: KEYS)

    assert credentials.token()
    assert [request.place for request in vendors.journal.requests] == ["google.sts"]


def test_the_configuration_of_a_federation_may_stand_in_for_a_key(
    vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS.secret_access_key)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    configuration = {
        "type": "external_account",
        "audience": AUDIENCE,
        "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
        "token_url": f"{vendors.url}/v1/token",
        "credential_source": {
            "environment_id": "aws1",
            "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
        },
    }
    credentials: GoogleCredentials = from_key(Vault(json.dumps(configuration)))

    assert credentials.token()
