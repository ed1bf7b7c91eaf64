"""The example with a stage of its own, applied onto a REST API that others deploy; then with what it leaves out.

The simulated AWS keeps what it is told and runs nothing: that such a stage answers is shown by tests/e2e/test_deployed.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.terraform.moto_plus import moto_plus
from tests.terraform.platform_facts import REGION, platform_facts
from tests.terraform.terraform_cli import Terraform, unavailable

ACCOUNT = "123456789012"
FUNCTION_ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:films"
BUCKET_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0b1c5f9e-7a51-4d2f-9f0e-2f6f7d1f0a11"
SECRET_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/7f0e2f6f-5f9e-4d2f-9f0e-0b1c7d1f0a22"
TABLE_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/5f9e0b1c-7a51-4d2f-9f0e-2f6f7d1f0a33"

# What the example leaves out; and another page, which the gateway's own answers name.
OPTIONS = {
    "cors_origins": ["https://other.example.com"],
    "table": {"name": "films", "partition_key": "owner", "sort_key": "film", "due_index": "", "kms_key_arn": TABLE_KEY},
    "bucket": {"name": "our-films", "recordings_prefixes": ["incoming/"], "kms_key_arn": BUCKET_KEY},
    "secret_kms_key_arn": SECRET_KEY,
}

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=unavailable() or "")


@dataclass(frozen=True, slots=True)
class Platform:
    """A REST API with one route, its stage and its authorizer, made by hand; and who may be asked about it."""

    gateway: Any
    iam: Any
    api: str
    root: str
    authorizer: str
    user_pool: str

    @property
    def variables(self) -> Mapping[str, object]:
        """Of the example."""
        rest_api = {"id": self.api, "parent_resource_id": self.root, "authorizer_id": self.authorizer}
        return {"rest_api": rest_api, "user_pool_id": self.user_pool}

    def deployments(self) -> dict[str, str]:
        """What each stage serves."""
        stages = self.gateway.get_stages(restApiId=self.api)["item"]
        return {stage["stageName"]: stage["deploymentId"] for stage in stages}

    def methods(self, path: str) -> dict[str, tuple[str, str | None, str, str]]:
        """Of a route: who may call each method, and where it leads to."""
        resources = self.gateway.get_resources(restApiId=self.api)["items"]
        (resource,) = (each for each in resources if each["path"] == path)
        found = {}
        for name in resource["resourceMethods"]:
            method = self.gateway.get_method(restApiId=self.api, resourceId=resource["id"], httpMethod=name)
            leads = method["methodIntegration"]
            found[name] = (method["authorizationType"], method.get("authorizerId"), leads["type"], leads["uri"])
        return found

    def statements(self) -> dict[str, Mapping[str, Any]]:
        """What the function's role may do, by statement."""
        policy = self.iam.get_role_policy(RoleName="films-function", PolicyName="ai-video")["PolicyDocument"]
        return {statement["Sid"]: statement for statement in policy["Statement"]}


@dataclass(frozen=True, slots=True)
class Story:
    """What became of the platform: the example applied, applied again with what it leaves out, destroyed.

    Attributes:
        changes: what a plan right after the first apply would change.
        url: that the example tells of its stage.
        stages: which deployment each stage serves, before and after each of the three.
        statements: of the function's role, after the first apply and after the second.
    """

    platform: Platform
    before: Mapping[str, object]
    with_worker: Mapping[str, object]
    after: Mapping[str, object]
    changes: str | None
    stages: list[dict[str, str]]
    methods: Mapping[str, tuple[str, str | None, str, str]]
    url: str
    statements: list[dict[str, Mapping[str, Any]]]


def stands(url: str) -> Platform:
    """A platform of which Terraform knows nothing."""
    session: Any = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION)  # noqa: S106  any word will do
    client = partial(session.client, endpoint_url=url)
    gateway, pool = client("apigateway"), client("cognito-idp").create_user_pool(PoolName="people")["UserPool"]
    api = gateway.create_rest_api(name="films")["id"]
    of_api = {"restApiId": api}
    root = gateway.get_resources(**of_api)["items"][0]["id"]
    authorizer = gateway.create_authorizer(
        **of_api, name="people", type="COGNITO_USER_POOLS", providerARNs=[pool["Arn"]]
    )["id"]
    films = {**of_api, "resourceId": gateway.create_resource(**of_api, parentId=root, pathPart="films")["id"]}
    gateway.put_method(**films, httpMethod="GET", authorizationType="NONE")
    gateway.put_integration(**films, httpMethod="GET", type="MOCK")
    gateway.create_deployment(**of_api, stageName="prod")
    return Platform(gateway, client("iam"), api, root, authorizer, pool["Id"])


@pytest.fixture(scope="module")
def story(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("own-stage")
    with moto_plus(folder) as url:
        platform = stands(url)
        example, variables = "examples/rest_api", {"package": str(package), **platform.variables}
        terraform = Terraform(example, folder / "copy", endpoint=url, variables=variables)
        terraform.init()
        before, stages = platform_facts(url), [platform.deployments()]

        terraform.apply()
        changes, with_worker = terraform.changes(), platform_facts(url)
        methods, address = platform.methods("/ai-video"), terraform.outputs()["url"]
        stages.append(platform.deployments())
        statements = [platform.statements()]

        # Terraform lays a file of this name over the others.
        (folder / "copy" / example / "options_override.tf.json").write_text(
            json.dumps({"module": {"ai_video": OPTIONS}})
        )
        terraform.apply()
        stages.append(platform.deployments())
        statements.append(platform.statements())

        terraform.destroy()
        stages.append(platform.deployments())
        yield Story(
            platform,
            before,
            with_worker,
            platform_facts(url),
            changes,
            stages,
            methods,
            address,
            statements,
        )


def test_a_second_plan_changes_nothing(story: Story) -> None:
    assert story.changes is None


def test_the_stage_serves_a_deployment_of_the_module_and_the_platforms_stage_its_own(story: Story) -> None:
    before, applied, *_ = story.stages

    assert applied.keys() == {"prod", "films"}
    assert applied["prod"] == before["prod"] != applied["films"]
    assert story.url.endswith("/films")


def test_every_method_leads_to_the_function_and_asks_who_calls(story: Story) -> None:
    leads = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{FUNCTION_ARN}/invocations"
    signed_in = ("COGNITO_USER_POOLS", story.platform.authorizer, "AWS_PROXY", leads)

    assert story.methods == {
        "GET": signed_in,
        "POST": signed_in,
        "DELETE": signed_in,
        "OPTIONS": ("NONE", None, "AWS_PROXY", leads),
    }


def test_a_change_of_the_api_is_deployed(story: Story) -> None:
    """On the module's stage only."""
    _, first, second, _ = story.stages

    assert second["films"] != first["films"]
    assert second["prod"] == first["prod"]


def test_the_platform_keeps_what_it_had_and_has_it_alone_afterwards(story: Story) -> None:
    lost = {name for name, fact in story.before.items() if story.with_worker.get(name) != fact}

    assert lost == set()
    assert {"REST route /ai-video", "REST stage films"} <= story.with_worker.keys()
    assert story.after == story.before
    assert story.stages[-1] == story.stages[0]


def test_without_a_due_index_the_sweep_may_read_the_table_and_query_nothing(story: Story) -> None:
    statements = story.statements[0]

    assert "FindDueByIndex" not in statements
    assert (statements["FindDueByScan"]["Action"], statements["FindDueByScan"]["Resource"]) == (
        ["dynamodb:Scan"],
        [f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/films"],
    )


def test_keys_of_the_platforms_own_may_be_used_by_way_of_their_services_only(story: Story) -> None:
    without, with_keys = story.statements

    assert with_keys.keys() - without.keys() == {"UseTableKey", "UseBucketKey", "UseSecretKey"}
    assert with_keys["UseTableKey"] == {
        "Sid": "UseTableKey",
        "Effect": "Allow",
        "Action": ["kms:Decrypt", "kms:DescribeKey"],
        "Resource": [TABLE_KEY],
        "Condition": {"StringEquals": {"kms:ViaService": f"dynamodb.{REGION}.amazonaws.com"}},
    }
    assert with_keys["UseBucketKey"] == {
        "Sid": "UseBucketKey",
        "Effect": "Allow",
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Resource": [BUCKET_KEY],
        "Condition": {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}},
    }
    assert with_keys["UseSecretKey"] == {
        "Sid": "UseSecretKey",
        "Effect": "Allow",
        "Action": ["kms:Decrypt"],
        "Resource": [SECRET_KEY],
        "Condition": {"StringEquals": {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}},
    }
