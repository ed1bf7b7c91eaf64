"""`worker doctor` against simulated vendors, a table and a bucket by moto."""

import json
import sys
import threading
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner
from werkzeug.wrappers import Request, Response

from statemachine import PermanentError
from statemachine.testing.clock import VirtualClock
from tests.dynamodb_tables import ONE_PART, client_of, created
from tests.mocked_aws import mock_aws
from tests.simulators.scenario import Answer, Rule, Scenario, Subject
from tests.simulators.server import Route, Server
from tests.simulators.vendors import Vendors
from worker.__main__ import app
from worker.local import doctor
from worker.local.doctor import Check, checks_of, examine
from worker.local.findings import Finding
from worker.local.worker import LocalWorker
from worker.settings import Settings

VEO = "veo-3.1-fast-generate-001"


class ModelGarden:
    """Model Garden, as far as the doctor asks it."""

    def __init__(self) -> None:
        self.published = {VEO: "GA"}
        self.url = ""

    def routes(self) -> Iterable[Route]:
        yield Route(
            "/v1/publishers/google/models/<model>", "GET", self._get, lambda _: None, lambda *_, **__: Subject()
        )

    def fault(self, answer: Answer) -> Response:
        return Response(status=answer.status)

    def _get(self, request: Request, model: str) -> Response:
        name = f"publishers/google/models/{model}"
        if model not in self.published:
            error = {"error": {"code": 404, "message": f"{name} not found", "status": "NOT_FOUND"}}
            return Response(json.dumps(error), 404, mimetype="application/json")
        body = {"name": name, "launchStage": self.published[model]}
        return Response(json.dumps(body), mimetype="application/json")


class Office:
    """Where the doctor looks: settings by their environment, everything else simulated."""

    def __init__(self, folder: Path, vendors: Vendors, garden: ModelGarden, clock: VirtualClock) -> None:
        self.folder = folder
        self.vendors = vendors
        self.garden = garden
        self.clock = clock

    def findings(self, **settings: Any) -> list[Finding]:  # noqa: ANN401  whatever Settings takes
        with LocalWorker(Settings(home=self.folder / "home", **settings), clock=self.clock) as worker:
            return examine(checks_of(worker))

    def about(self, part: str, **settings: Any) -> list[tuple[str, str, str]]:  # noqa: ANN401  as above
        return [
            (finding.level, finding.text, finding.remedy)
            for finding in self.findings(**settings)
            if finding.part == part
        ]


@pytest.fixture
def garden() -> Iterator[ModelGarden]:
    garden = ModelGarden()
    server = Server(Scenario())
    server.add(garden)
    server.start()
    garden.url = server.url
    yield garden
    server.stop()


@pytest.fixture
def office(
    garden: ModelGarden,
    vendors: Vendors,
    vendor_clock: VirtualClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Office:
    for name, value in vendors.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GOOGLE_VERTEX_BASE_URL", garden.url)
    return Office(tmp_path, vendors, garden, vendor_clock)


# --- one machine -----------------------------------------------------------------------------------------------------


def test_the_local_parts_are_fine_and_nobody_else_is_asked(office: Office) -> None:
    found = office.findings()

    assert [(finding.part, finding.level) for finding in found] == [
        ("media", "fine"),
        ("home", "fine"),
        ("transcriber", "fine"),
        ("renderer", "fine"),
    ]
    assert office.vendors.journal.requests == []


def test_a_home_that_cannot_be_written_is_broken(office: Office) -> None:
    (office.folder / "home").write_text("a file")

    ((level, text, remedy),) = office.about("home")

    assert (level, remedy) == ("broken", "choose another folder with --home or AI_VIDEO_HOME")
    assert "cannot write to" in text


# --- vendors ---------------------------------------------------------------------------------------------------------


def test_a_model_without_an_end_is_fine(office: Office) -> None:
    assert office.about("planner", planner="openai") == [
        ("fine", "OpenAI's gpt-5.4-mini answers, and no end is announced", "")
    ]


def test_a_model_that_the_vendor_will_shut_down_soon_is_a_warning(office: Office) -> None:
    office.clock.advance(timedelta(days=340))  # to 7 December 2026; gpt-5 ends on the 11th

    assert office.about("planner", planner="openai", openai_model="gpt-5") == [
        ("warning", "OpenAI's gpt-5 answers until 2026-12-11, in 4 days", "choose another with AI_VIDEO_OPENAI_MODEL")
    ]


def test_a_model_that_the_vendor_does_not_have_is_broken(office: Office) -> None:
    assert office.about("planner", planner="openai", openai_model="gpt-4") == [
        ("broken", "OpenAI has no model gpt-4 for this key", "choose another with AI_VIDEO_OPENAI_MODEL")
    ]


def test_a_key_that_is_not_accepted_is_broken_and_not_shown(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")

    ((level, text, remedy),) = office.about("planner", planner="openai")

    assert (level, text) == ("broken", "OpenAI does not accept the key (CREDENTIALS_INVALID)")
    assert "very-secret" not in text + remedy


def test_a_key_comes_from_the_secret_where_one_is_named(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "sk-simulated"
    monkeypatch.delenv("OPENAI_API_KEY")
    with mock_aws():
        boto3.client("secretsmanager").create_secret(Name="keys", SecretString=json.dumps({"OPENAI_API_KEY": key}))

        assert [level for level, _, _ in office.about("planner", planner="openai", secret_id="keys")] == ["fine"]  # noqa: S106  a name
        assert [text for _, text, _ in office.about("planner", planner="openai", secret_id="other")] == [  # noqa: S106  as above
            "secret other: there is no such secret in this region, or it has no value yet (SECRET_MISSING)"
        ]


def test_veo_is_fine_where_bucket_and_model_garden_answer(office: Office) -> None:
    found = office.about("renderer", renderer="veo", veo_output_gcs_uri="gs://clips/ai")

    assert found == [
        ("fine", f"{VEO} is promised until 2027-05-04", ""),
        ("fine", "Google accepts the credentials, and gs://clips/ai can be listed", ""),
        ("fine", f"Model Garden publishes {VEO}", ""),
    ]
    assert office.vendors.bill.clips == []


def test_a_model_that_left_model_garden_is_broken(office: Office) -> None:
    office.garden.published.clear()

    *_, (level, text, remedy) = office.about("renderer", renderer="veo", veo_output_gcs_uri="gs://clips/ai")

    assert (level, text) == ("broken", f"Model Garden has no {VEO} in this region")
    assert "AI_VIDEO_VEO_MODEL" in remedy


def test_a_stand_in_for_vertex_that_serves_no_model_garden_is_a_warning(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_VERTEX_BASE_URL", office.vendors.url)

    *_, (level, text, _) = office.about("renderer", renderer="veo", veo_output_gcs_uri="gs://clips/ai")

    assert (level, text) == (
        "warning",
        f"what answers for Vertex AI serves no Model Garden, so {VEO} was not looked up",
    )


def test_a_preview_is_a_warning(office: Office) -> None:
    office.garden.published[VEO] = "PUBLIC_PREVIEW"

    *_, (level, text, _) = office.about("renderer", renderer="veo", veo_output_gcs_uri="gs://clips/ai")

    assert (level, text) == ("warning", f"Model Garden publishes {VEO} as PUBLIC_PREVIEW")


def test_a_retired_veo_is_broken_whatever_the_vendor_says(office: Office) -> None:
    office.clock.advance(timedelta(days=200))
    found = office.about("renderer", renderer="veo", veo_model="veo-2.0-generate-001", veo_output_gcs_uri="gs://clips")

    assert found[0][:2] == ("broken", "veo-2.0-generate-001 is known, but was announced to end on 2026-06-30")


def test_a_bucket_of_googles_that_may_not_be_listed_is_broken(office: Office) -> None:
    office.vendors.scenario.add(Rule(place="gcs.list", effect=Answer(status=403), times=None))

    levels = [level for level, _, _ in office.about("renderer", renderer="veo", veo_output_gcs_uri="gs://clips/ai")]

    assert levels == ["broken", "fine"]


def test_without_the_extra_model_garden_is_not_asked(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.cloud.aiplatform_v1", None)

    *_, last = office.about("renderer", renderer="veo", veo_output_gcs_uri="gs://clips/ai")

    assert last == (
        "warning",
        f"Model Garden was not asked whether {VEO} still exists",
        "pip install 'ai-video-worker[doctor]'",
    )


# --- AWS -------------------------------------------------------------------------------------------------------------


def test_table_bucket_and_transcribe_are_fine(office: Office) -> None:
    with mock_aws():
        created(client_of(None), ONE_PART)
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="media", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})

        found = office.findings(transcriber="aws", media="s3", bucket="media", table_name="video_metadata")
        left = s3.list_objects_v2(Bucket="media").get("Contents", [])

    assert {finding.part: finding.level for finding in found} == dict.fromkeys(
        ("media", "home", "renderer", "bucket", "table", "transcriber"), "fine"
    )
    assert left == []


def test_a_bucket_that_does_not_exist_is_broken(office: Office) -> None:
    with mock_aws():
        ((level, text, _),) = office.about("bucket", media="s3", bucket="media")

    assert level == "broken"
    assert "bucket media: PutObject is answered NoSuchBucket" in text


def test_a_table_of_another_form_is_told(office: Office) -> None:
    with mock_aws():
        created(client_of(None), ONE_PART, copies_everything=True)

        found = office.about("table", table_name="video_metadata", partition_key="id", due_index="other")

    assert [level for level, _, _ in found] == ["broken", "broken", "warning"]
    assert "is video_id (S), and id (S) is configured" in found[0][1]
    assert "there is no index other" in found[1][1]
    assert "index by_owner copies every attribute" in found[2][1]


# --- examining -------------------------------------------------------------------------------------------------------


def test_a_check_that_hangs_hides_nobody_elses_answer() -> None:
    let_go = threading.Event()

    def hang() -> list[Finding]:
        let_go.wait()
        return []

    answered = Check("media", "asking", lambda: [Finding("media", "fine", "well")])

    found = examine([Check("renderer", "asking somebody", hang), answered], time_limit=timedelta(seconds=0.5))

    let_go.set()
    assert [(finding.part, finding.level) for finding in found] == [("renderer", "broken"), ("media", "fine")]
    assert "took longer" in found[0].text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PermanentError("CODE", "what is wrong; what to do", user_action="none"), "what is wrong (CODE)"),
        (OSError("disk gone"), "looking failed: disk gone"),
        (ValueError("quotes sk-secret"), "looking failed with ValueError"),
    ],
)
def test_an_error_is_a_finding_that_quotes_nothing_unknown(error: Exception, text: str) -> None:
    def fail() -> list[Finding]:
        raise error

    (finding,) = examine([Check("part", "looking", fail)])

    assert (finding.level, finding.text) == ("broken", text)


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "code"), [("fine", 0), ("warning", 0), ("broken", 1)])
def test_only_what_is_broken_fails_a_pipeline(
    level: Any,  # noqa: ANN401  a Level
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        doctor, "checks_of", lambda _: [Check("part", "looking", lambda: [Finding("part", level, "found", "do")])]
    )

    result = CliRunner().invoke(app, ["doctor", "--json", "--home", str(tmp_path)])

    assert result.exit_code == code
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"event": "finding", "part": "part", "level": level, "text": "found", "remedy": "do"},
        {"event": "examined", "broken": int(level == "broken"), "warnings": int(level == "warning")},
    ]


def test_a_person_reads_a_table_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        doctor,
        "checks_of",
        lambda _: [Check("part", "looking", lambda: [Finding("part", "broken", "found", "do this")])],
    )

    result = CliRunner().invoke(app, ["doctor", "--home", str(tmp_path)])

    assert result.stdout.splitlines()[1].rstrip().split(maxsplit=3) == ["broken", "part", "found", "do this"]
