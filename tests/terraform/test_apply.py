"""The module applied onto a stand-in of a platform, on a simulated AWS that keeps what it is told and runs nothing."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.terraform.moto_plus import moto_plus
from tests.terraform.platform_facts import platform_facts
from tests.terraform.terraform_cli import Terraform, unavailable
from worker import telemetry
from worker.settings import Settings

REGION = "eu-central-1"
ACCOUNT = "123456789012"
NAME = "ai-video-example-worker"

# The only resources of the function's policy that end with, or are, a wildcard; each has its reason in iam.tf.
WILDCARDS = {
    ("ReadObjects", "arn:aws:s3:::ai-video-example-media-123456789012/uploads/*"),
    ("ReadObjects", "arn:aws:s3:::ai-video-example-media-123456789012/ai-video/*"),
    ("MakeObjects", "arn:aws:s3:::ai-video-example-media-123456789012/ai-video/*"),
    ("StartTranscriptions", "*"),
    ("FollowTranscriptions", f"arn:aws:transcribe:{REGION}:{ACCOUNT}:transcription-job/*"),
    ("WriteLogs", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/{NAME}:*"),
}
TABLE_ARN = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/ai-video-example-video-metadata"
BUCKET_ARN = "arn:aws:s3:::ai-video-example-media-123456789012"

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=unavailable() or "")


@dataclass(frozen=True, slots=True)
class Story:
    """What became of the platform: seen before the worker came, with it, and after it was taken away again.

    Attributes:
        changes: what a plan right after that apply would change.
        resources: of the worker, by address, as `terraform show -json` tells them.
    """

    before: Mapping[str, object]
    with_worker: Mapping[str, object]
    after: Mapping[str, object]
    changes: str | None
    resources: Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def story(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("terraform")
    with moto_plus(folder) as url:
        terraform = Terraform(
            "examples/existing_platform", folder / "copy", endpoint=url, variables={"package": str(package)}
        )
        terraform.init()
        terraform.apply(with_worker=False)
        before = platform_facts(url)
        print(f"apply onto a platform that stands: {terraform.apply():.1f} s")  # noqa: T201  a figure that people ask for
        changes, resources, with_worker = terraform.changes(), worker_resources(terraform.show()), platform_facts(url)
        terraform.apply(with_worker=False)
        yield Story(before, with_worker, platform_facts(url), changes, resources)


def test_a_second_plan_changes_nothing(story: Story) -> None:
    assert story.changes is None


def test_a_platform_keeps_everything_that_it_had(story: Story) -> None:
    """Its rows, objects, users, routes and stages, word for word; the worker only adds."""
    missing = {name for name, thing in story.before.items() if story.with_worker.get(name) != thing}

    assert missing == set()
    assert any("/ai-video" in name for name in story.with_worker)


def test_taking_the_worker_away_leaves_the_platform_as_it_was(story: Story) -> None:
    assert story.after == story.before


def test_one_function_is_made_and_nothing_that_the_platform_has(story: Story) -> None:
    kinds = [resource["type"] for resource in story.resources.values()]

    assert kinds.count("aws_lambda_function") == 1
    assert kinds.count("aws_scheduler_schedule") == 1
    assert {
        "aws_dynamodb_table",
        "aws_s3_bucket",
        "aws_cognito_user_pool",
        "aws_api_gateway_rest_api",
        "aws_apigatewayv2_api",
        "aws_apigatewayv2_authorizer",
        "aws_api_gateway_authorizer",
    }.isdisjoint(kinds)


def test_no_state_holds_a_secrets_value(story: Story) -> None:
    kinds = {resource["type"] for resource in story.resources.values()}

    assert "aws_secretsmanager_secret" in kinds
    assert "aws_secretsmanager_secret_version" not in kinds


def test_the_function_may_do_exactly_this(story: Story) -> None:
    statements = {statement["Sid"]: statement for statement in policy(story)}
    (secret,) = (r["values"]["arn"] for r in story.resources.values() if r["type"] == "aws_secretsmanager_secret")

    assert {sid: (set(each["Action"]), set(each["Resource"])) for sid, each in statements.items()} == {
        "MoveExecutions": ({"dynamodb:UpdateItem"}, {TABLE_ARN}),
        "LookAtRows": ({"dynamodb:GetItem"}, {TABLE_ARN}),
        "LookAtRowAndUser": ({"dynamodb:BatchGetItem"}, {TABLE_ARN}),
        "FindDueByIndex": ({"dynamodb:Query"}, {f"{TABLE_ARN}/index/ai_due"}),
        "ReadObjects": ({"s3:GetObject"}, {f"{BUCKET_ARN}/uploads/*", f"{BUCKET_ARN}/ai-video/*"}),
        "MakeObjects": (
            {"s3:AbortMultipartUpload", "s3:PutObject", "s3:PutObjectTagging"},
            {f"{BUCKET_ARN}/ai-video/*"},
        ),
        "TellMissingFromForbidden": ({"s3:ListBucket"}, {BUCKET_ARN}),
        "StartTranscriptions": ({"transcribe:StartTranscriptionJob"}, {"*"}),
        "FollowTranscriptions": (
            {"transcribe:GetTranscriptionJob", "transcribe:TagResource"},
            {f"arn:aws:transcribe:{REGION}:{ACCOUNT}:transcription-job/*"},
        ),
        "InvokeItself": ({"lambda:InvokeFunction"}, {f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{NAME}"}),
        "ReadVendorsKeys": ({"secretsmanager:GetSecretValue"}, {secret}),
        "WriteLogs": (
            {"logs:CreateLogStream", "logs:PutLogEvents"},
            {f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/{NAME}:*"},
        ),
    }
    assert {each["Effect"] for each in statements.values()} == {"Allow"}


def test_wildcards_stand_only_where_there_is_a_reason(story: Story) -> None:
    found = {(each["Sid"], name) for each in policy(story) for name in each["Resource"] if "*" in name}

    assert found == WILDCARDS
    assert [action for each in policy(story) for action in each["Action"] if "*" in action] == []


def test_what_cannot_be_scoped_by_resource_is_scoped_by_condition(story: Story) -> None:
    conditions = {each["Sid"]: each.get("Condition") for each in policy(story)}

    assert conditions["StartTranscriptions"] == {
        "StringEquals": {"transcribe:OutputBucketName": "ai-video-example-media-123456789012"},
        "StringLike": {"transcribe:OutputKey": "ai-video/transcribe/*"},
    }
    assert conditions["TellMissingFromForbidden"] == {"StringLikeIfExists": {"s3:prefix": ["uploads/*", "ai-video/*"]}}


def test_the_schedule_may_invoke_the_function_and_nothing_else(story: Story) -> None:
    (given,) = (
        json.loads(resource["values"]["policy"])["Statement"]
        for address, resource in story.resources.items()
        if address.endswith("aws_iam_role_policy.schedule")
    )

    assert [(each["Action"], each["Resource"]) for each in given] == [
        (["lambda:InvokeFunction"], [f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{NAME}"])
    ]


def test_the_worker_understands_every_setting_that_it_is_given(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt one would be ignored, and its default hold."""
    given = environment(story)
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    settings = Settings()

    known = {f"AI_VIDEO_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in given if name.startswith("AI_VIDEO_")} - known == set()
    assert (settings.media, settings.transcriber, settings.planner, settings.renderer) == ("s3", "aws", "openai", "veo")
    assert (settings.max_cost_usd, settings.daily_usd, settings.concurrent_jobs) == (10, 40, 3)
    assert (settings.table_name, settings.due_index) == ("ai-video-example-video-metadata", "ai_due")


@pytest.fixture
def own_telemetry(story: Story, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Telemetry as the function has it, under its own name."""
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", environment(story)["POWERTOOLS_SERVICE_NAME"])
    parts = (telemetry.service, telemetry.logger, telemetry.metrics)
    for part in parts:
        part.cache_clear()
    yield
    for part in parts:
        part.cache_clear()


def test_every_alarm_and_widget_of_the_worker_watches_a_metric_that_it_writes(
    story: Story, own_telemetry: None, capsys: pytest.CaptureFixture[str]
) -> None:
    watched = [r["values"] for r in story.resources.values() if r["type"] == "aws_cloudwatch_metric_alarm"]
    ours = [alarm for alarm in watched if alarm["namespace"] == telemetry.NAMESPACE]
    sources = "".join(path.read_text() for path in (Path(__file__).parents[2] / "worker").rglob("*.py"))
    written = {*re.findall(r'add_metric\(\s*(?:name=)?"(\w+)"', sources), *telemetry.TURN_METRICS.values()}

    (dashboard,) = (r["values"] for r in story.resources.values() if r["type"] == "aws_cloudwatch_dashboard")
    widgets = json.loads(dashboard["dashboard_body"])["widgets"]
    drawn = [metric for widget in widgets for metric in widget["properties"]["metrics"]]
    ours_drawn = [metric for metric in drawn if metric[0] == telemetry.NAMESPACE]

    assert {alarm["metric_name"] for alarm in ours} - written == set()
    assert {name for _, name, *_ in ours_drawn} - written == set()
    telemetry.metrics().add_metric("Sweeps", "Count", 1)
    telemetry.flush()
    line = json.loads(capsys.readouterr().out)
    (said,) = line["_aws"]["CloudWatchMetrics"]
    assert said["Namespace"] == telemetry.NAMESPACE
    dimensions = {name: line[name] for name in said["Dimensions"][0]}
    assert [alarm["dimensions"] for alarm in ours] == [dimensions] * len(ours)
    assert [{name: value} for _, _, name, value in ours_drawn] == [dimensions] * len(ours_drawn)


def policy(story: Story) -> list[Mapping[str, Any]]:
    """The statements of the function's role."""
    (found,) = (
        json.loads(resource["values"]["policy"])["Statement"]
        for address, resource in story.resources.items()
        if address.endswith("aws_iam_role_policy.function")
    )
    statements: list[Mapping[str, Any]] = found
    return statements


def environment(story: Story) -> dict[str, str]:
    """The variables of the function."""
    (function,) = (r["values"] for r in story.resources.values() if r["type"] == "aws_lambda_function")
    variables: dict[str, str] = function["environment"][0]["variables"]
    return variables


def worker_resources(state: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The module's own resources in a state, by address; what is only read is left out."""
    modules = state["values"]["root_module"]["child_modules"]
    (worker,) = (module for module in modules if module["address"].startswith("module.ai_video"))
    return {resource["address"]: resource for resource in worker["resources"] if resource["mode"] == "managed"}
