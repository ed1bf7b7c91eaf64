"""What another process, or a person, reaches: the command, the addresses below `/_simulator/`, the journal."""

import json
from pathlib import Path
from threading import Event

import httpx
import pytest

from tests.simulators.__main__ import main
from tests.simulators.fixtures import NO_TLS
from tests.simulators.openai import API_KEY
from tests.simulators.presets import PRESETS
from tests.simulators.vendors import Vendors

RULE = {"place": "openai.models", "effect": {"kind": "answer", "status": 503}}


def post(vendors: Vendors, path: str, body: object) -> httpx.Response:
    return httpx.post(f"{vendors.url}/_simulator/{path}", json=body, verify=NO_TLS, trust_env=False)


def get(vendors: Vendors, path: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    return httpx.get(f"{vendors.url}/{path}", headers=headers, verify=NO_TLS, trust_env=False)


def test_a_scenario_is_changed_from_outside(vendors: Vendors) -> None:
    answer = post(vendors, "scenario", {"rules": [RULE]})

    assert [rule["place"] for rule in answer.json()["rules"]] == ["openai.models"]
    assert [get(vendors, "v1/models").status_code for _ in range(2)] == [503, 200]


def test_a_new_scenario_ends_the_old_one_unless_told_otherwise(vendors: Vendors) -> None:
    post(vendors, "scenario", {"name": "slow"})
    both = post(vendors, "scenario", {"name": "refusal", "keeps_rules": True}).json()
    one = post(vendors, "scenario", {"name": "refusal"}).json()

    assert len(both["rules"]) == len(PRESETS["slow"]) + 1
    assert [rule["effect"]["kind"] for rule in one["rules"]] == ["refusal"]


@pytest.mark.parametrize(
    "change",
    [{"name": "unheard of"}, {"nmae": "slow"}, {"rules": [{"place": "moon", "effect": {"kind": "drop"}}]}, []],
)
def test_a_change_that_is_not_understood_is_refused_and_changes_nothing(vendors: Vendors, change: object) -> None:
    post(vendors, "scenario", {"name": "slow"})

    assert post(vendors, "scenario", change).status_code == 400
    assert vendors.scenario.rules == PRESETS["slow"]


def test_the_bill_is_read_from_outside(vendors: Vendors) -> None:
    httpx.post(
        f"{vendors.url}/v1/responses",
        headers={"Authorization": f"Bearer {API_KEY}"},
        json={"model": "gpt-6-luna", "input": "Hello"},
        verify=NO_TLS,
        trust_env=False,
    )

    bill = get(vendors, "_simulator/bill").json()

    assert [charge["model"] for charge in bill["responses"]] == ["gpt-6-luna"]
    assert bill["usd"] == pytest.approx(vendors.bill.usd)
    assert bill["usd"] > 0


def test_the_requests_are_read_from_outside(vendors: Vendors) -> None:
    get(vendors, "v1/models")

    (request,) = get(vendors, "_simulator/requests").json()["requests"]

    assert (request["method"], request["path"], request["place"], request["status"]) == (
        "GET",
        "/v1/models",
        "openai.models",
        200,
    )
    assert request["headers"]["Authorization"] == "Bearer [redacted]"


def test_tokens_expire_when_told_from_outside(vendors: Vendors) -> None:
    token = vendors.google.issue_token()

    post(vendors, "expire_tokens", {})

    answer = httpx.get(
        f"{vendors.url}/storage/v1/b/clips",
        headers={"Authorization": f"Bearer {token}"},
        verify=NO_TLS,
        trust_env=False,
    )
    assert answer.status_code == 401


def test_an_address_that_no_vendor_has_is_not_found_and_no_fault(vendors: Vendors) -> None:
    assert get(vendors, "v1/embeddings").status_code == 404
    assert vendors.journal.requests[0].status == 404


def test_a_fault_of_the_simulator_itself_is_told_apart_from_a_vendors_error() -> None:
    def broken(request: object) -> None:
        raise KeyError(request)

    with Vendors(plan=broken) as vendors:
        answer = httpx.post(
            f"{vendors.url}/v1/responses",
            headers={"Authorization": f"Bearer {API_KEY}"},
            json={"model": "gpt-6-luna", "input": "Hello"},
            verify=NO_TLS,
            trust_env=False,
        )

    assert answer.status_code == 500
    assert len(vendors.journal.faults) == 1
    assert "KeyError" in vendors.journal.faults[0]


def test_the_command_prints_what_a_shell_has_to_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stopped = Event()
    stopped.set()

    assert main(["--scenario", "slow", "--data", str(tmp_path)], stop=stopped) == 0

    lines = capsys.readouterr().out.splitlines()
    exported = dict(line.removeprefix("export ").split("=", 1) for line in lines if line.startswith("export "))
    assert all(line.startswith(("export ", "# ")) for line in lines)
    assert exported["OPENAI_BASE_URL"] == f"{exported['GOOGLE_VERTEX_BASE_URL']}/v1"
    key_file = json.loads(Path(exported["GOOGLE_APPLICATION_CREDENTIALS"]).read_text(encoding="utf-8"))
    assert key_file["token_uri"] == f"{exported['GOOGLE_VERTEX_BASE_URL']}/token"
