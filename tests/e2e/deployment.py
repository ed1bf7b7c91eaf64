"""The worker as Terraform deploys it onto a team's platform, in a simulated AWS that enforces policies."""

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from statemachine import Execution
from statemachine.aws.dynamodb_store import DynamoStore
from statemachine.aws.table_layout import TableLayout
from statemachine.clock import SystemClock
from statemachine.errors import ExecutionNotFoundError
from tests.e2e.ministack import REGION, MiniStack, ministack, packaged, python_version
from tests.e2e.witness import Witness
from tests.simulators.openai import API_KEY
from tests.simulators.scenario import Rule, Takes
from tests.simulators.transcribe import S3Objects
from tests.simulators.vendors import Vendors
from tests.terraform.terraform_cli import Terraform

RECORDING = Path(__file__).parents[2] / "samples" / "narration_human_librivox.mp3"
PASSWORD = "Correct-Horse-9"  # noqa: S105  of people who exist in a simulator only
ACCOUNT = "000000000000"  # MiniStack's, for whoever brings a key that is no account
POLICY = "ai-video"
LIMITS_PARAMETER = "/ai-video/limits"
OWN_STAGE = "worker"
TURN_EVERY_SECONDS = 0.5
LOOK_EVERY_SECONDS = 0.02
SWEEP = {"source": "aws.scheduler", "detail-type": "Scheduled Event"}

# What the example leaves out, so that as many of the policy's statements as possible stand and are used; `_options` has
# what is known only when there are keys.
OPTIONS = {
    "limits_parameter": LIMITS_PARAMETER,
    "completion_bus": "default",
    "completion_topic_arn": f"arn:aws:sns:{REGION}:{ACCOUNT}:ends-of-jobs",
    "rest_api": f'${{merge(module.platform.rest_api, {{ gateway_responses_cors = true, own_stage = "{OWN_STAGE}" }})}}',
}

# The platform's two, and the stage of the module's own on the second.
Gateway = Literal["http", "rest", "own stage"]
Policy = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who has signed in."""

    sub: str
    token: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gateway answered."""

    status: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Keys:
    """ARNs of keys of the platform's own, and of one that is nobody's business."""

    table: str
    bucket: str
    secret: str
    foreign: str


class VendorsClock(SystemClock):
    """The machine's time, and later when somebody turns it forward."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        """What the vendors take for now."""
        return super().now() + self._ahead

    def turn_forward(self, by: timedelta) -> None:
        """Let this time have passed at once."""
        self._ahead += by


class Deployment:
    """A platform with the worker on it.

    Attributes:
        apply_seconds: how long Terraform took for all of it.
    """

    def __init__(
        self,
        stack: MiniStack,
        vendors: Vendors,
        clock: VendorsClock,
        witness: Witness,
        terraform: Terraform,
        keys: Keys,
    ) -> None:
        self.stack, self.vendors, self.clock, self.witness, self.keys = stack, vendors, clock, witness, keys
        self._terraform = terraform
        self.apply_seconds = terraform.apply()
        outputs = terraform.outputs()
        self.platform, self.worker = outputs["platform"], outputs["worker"]
        self.dynamodb, self.s3, self._iam = stack.client("dynamodb"), stack.client("s3"), stack.client("iam")
        self._lambda, self._cognito = stack.client("lambda"), stack.client("cognito-idp")
        self.applied_policy: Policy = self._iam.get_role_policy(RoleName=self.worker["role_name"], PolicyName=POLICY)[
            "PolicyDocument"
        ]
        self._store = DynamoStore(self.dynamodb, layout=TableLayout(table_name=self.platform["table_name"]))

    # --- people ----------------------------------------------------------------------------------------------------

    def signed_in(self, name: str) -> Person:
        """A new user of the pool, signed in with name and password as from a page."""
        pool = {"UserPoolId": self.platform["user_pool_id"], "Username": name}
        made = self._cognito.admin_create_user(**pool, MessageAction="SUPPRESS")["User"]
        self._cognito.admin_set_user_password(**pool, Password=PASSWORD, Permanent=True)
        session: Any = boto3.Session()
        page = session.client(
            "cognito-idp",
            endpoint_url=self.stack.url,
            region_name=REGION,
            config=Config(signature_version=UNSIGNED),  # a page has no AWS key
        )
        tokens = page.initiate_auth(
            AuthFlow="USER_PASSWORD_AUTH",
            ClientId=self.platform["client_id"],
            AuthParameters={"USERNAME": name, "PASSWORD": PASSWORD},
        )["AuthenticationResult"]
        sub = next(each["Value"] for each in made["Attributes"] if each["Name"] == "sub")
        return Person(sub, tokens["IdToken"])

    def upload(self, person: Person, video_id: str) -> None:
        """A recording in the bucket and its row, as the old platform writes them."""
        key = f"uploads/{video_id}.mp3"
        self.s3.upload_file(str(RECORDING), self.platform["bucket_name"], key)
        row = {"video_id": {"S": video_id}, "user_id": {"S": person.sub}, "s3_key": {"S": key}, "title": {"S": "A"}}
        self.dynamodb.put_item(TableName=self.platform["table_name"], Item=row)

    def request(
        self, gateway: Gateway, method: str, video_id: str, *, token: str | None, body: Mapping[str, Any] | None = None
    ) -> Answer:
        """Send a request to one of the gateways; a body makes `video_id` a part of it."""
        api = self.platform["http_api" if gateway == "http" else "rest_api"]["id"]
        stages = {"http": "$default", "rest": self.platform["rest_stage_name"], "own stage": OWN_STAGE}
        stage = stages[gateway]
        query = "" if body is not None else f"?videoId={video_id}"
        request = urllib.request.Request(  # noqa: S310  our own address
            f"{self.stack.url}/_aws/execute-api/{api}/{stage}/ai-video{query}",
            method=method,
            data=None if body is None else json.dumps({"videoId": video_id, **body}).encode(),
            headers={"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {}),
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310  as above
                return Answer(answer.status, json.loads(answer.read()))
        except urllib.error.HTTPError as error:
            return Answer(error.code, json.loads(error.read()))

    def start(self, gateway: Gateway, person: Person, video_id: str) -> Answer:
        """Upload a recording and ask for its video."""
        self.upload(person, video_id)
        return self.request(gateway, "POST", video_id, token=person.token, body={"options": {"language": "en-US"}})

    # --- jobs ------------------------------------------------------------------------------------------------------

    def execution(self, video_id: str) -> Execution:
        """As it stands in the table."""
        return self._store.get(video_id)

    def wait_for(self, is_so: Callable[[], bool], *, seconds: float) -> None:
        """Wait for something that other processes do."""
        limit = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < limit, f"not within {seconds} s\n{self.stack.log.read_text()[-6000:]}"
            time.sleep(0.2)

    def completed(self, video_id: str, *, seconds: float) -> Execution:
        """Wait for the end of a job, which has to be a good one, and until nothing of it is left to do."""
        self.wait_for(lambda: self.execution(video_id).due_at is None, seconds=seconds)
        execution = self.execution(video_id)
        assert (execution.status, execution.failure) == ("completed", None)
        return execution

    def kill_turns(
        self, video_ids: list[str], *, state: str, turns: int, moments: Iterator[float], within_seconds: float
    ) -> int:
        """Kill all processes that run the function, a moment after one of the jobs is seen at work, again and again.

        The jobs are put to work here: the sweep that would do so is killed with them, and back at the next minute.

        Args:
            video_ids: the jobs.
            state: nothing is killed while one of them is at work in another.
            turns: how many shall be lost.
            moments: seconds from seeing to killing.
            within_seconds: when to give up.

        Returns:
            How many turns were lost by it: they held a lease before, and nobody can give it back.
        """
        lost: set[str] = set()
        limit = time.monotonic() + within_seconds
        self._dispatch(video_ids)
        while len(lost) < turns and time.monotonic() < limit:
            if not self._leases(video_ids).keys() - lost:
                time.sleep(LOOK_EVERY_SECONDS)
                continue
            time.sleep(next(moments))
            before = self._leases(video_ids)
            # A turn that was too quick is no reason to let everybody start cold.
            if before.keys() - lost and set(before.values()) == {state}:
                self.kill_function_processes()
                lost |= before.keys() & self._leases(video_ids).keys()
                self._dispatch(video_ids)
        return len(lost)

    def _dispatch(self, video_ids: Iterable[str]) -> None:
        """Invoke the function, as it does itself, for the next turn of each job that nobody is working on."""
        for execution in map(self.execution, video_ids):
            if execution.lease is None and execution.due_at is not None:
                self._invoke(_turn(execution), kind="Event")

    def _leases(self, video_ids: Iterable[str]) -> dict[str, str]:
        """The states in which jobs are at work, by the owners of their leases."""
        executions = map(self.execution, video_ids)
        return {each.lease.owner: each.state for each in executions if each.lease is not None}

    # --- the function ----------------------------------------------------------------------------------------------

    def kill_function_processes(self) -> None:
        """Kill all of them, at work or idle: the next event starts cold."""
        for pid in self.stack.function_processes():
            with suppress(ProcessLookupError):  # MiniStack ended it meanwhile
                os.kill(pid, signal.SIGKILL)

    def take_turn(self, video_id: str) -> None:
        """Invoke the function for a job's next turn, if there is one that nobody takes, and wait for the end of it."""
        time.sleep(TURN_EVERY_SECONDS)
        try:
            execution = self.execution(video_id)
        except ExecutionNotFoundError:
            return
        if execution.lease is None and execution.due_at is not None:
            self._invoke(_turn(execution))

    def sweep(self) -> None:
        """Invoke the function as its schedule does, and wait for the end of it."""
        self._invoke(SWEEP)

    def _invoke(
        self, event: Mapping[str, object], *, kind: Literal["RequestResponse", "Event"] = "RequestResponse"
    ) -> None:
        self._lambda.invoke(FunctionName=self.worker["function_name"], Payload=json.dumps(event), InvocationType=kind)

    @property
    def ticks(self) -> int:
        """How many times EventBridge has invoked the function so far."""
        return self.stack.log.read_text().count(f"EventBridge → Lambda {self.worker['function_name']}")

    def change_environment(self, changes: Mapping[str, str | None]) -> None:
        """Give the function other variables; None takes one away."""
        name = self.worker["function_name"]
        given = self._lambda.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        variables = {variable: value for variable, value in {**given, **changes}.items() if value is not None}
        self._lambda.update_function_configuration(FunctionName=name, Environment={"Variables": variables})

    def policy(self) -> Policy:
        """What the function's role may do now."""
        named = {"RoleName": self.worker["role_name"], "PolicyName": POLICY}
        document: Policy = self._iam.get_role_policy(**named)["PolicyDocument"]
        return document

    def put_policy(self, policy: Policy) -> None:
        """Let the role have this policy from now on."""
        self._iam.put_role_policy(
            RoleName=self.worker["role_name"], PolicyName=POLICY, PolicyDocument=json.dumps(policy)
        )

    def as_the_function(self, service: str) -> Any:  # noqa: ANN401  boto3 makes its clients at run time
        """A client with the role's own credentials, seen by the witness as the function is."""
        keys = self.stack.client("sts").assume_role(RoleArn=self.worker["role_arn"], RoleSessionName="evidence")
        session: Any = boto3.Session()
        return session.client(
            service,
            endpoint_url=self.witness.url,
            region_name=REGION,
            aws_access_key_id=keys["Credentials"]["AccessKeyId"],
            aws_secret_access_key=keys["Credentials"]["SecretAccessKey"],
            aws_session_token=keys["Credentials"]["SessionToken"],
        )

    @cached_property
    def _kms_of_the_function(self) -> Any:  # noqa: ANN401  as above
        return self.as_the_function("kms")

    def use_key(self, action: str, key: str) -> None:
        """Encrypt, decrypt, make a data key or describe the key as the function, asked of KMS itself."""
        kms = self._kms_of_the_function
        if action == "Encrypt":
            kms.encrypt(KeyId=key, Plaintext=b"text")
        elif action == "Decrypt":
            sealed = self.stack.client("kms").encrypt(KeyId=key, Plaintext=b"text")["CiphertextBlob"]
            kms.decrypt(KeyId=key, CiphertextBlob=sealed)
        elif action == "DescribeKey":
            kms.describe_key(KeyId=key)
        else:
            kms.generate_data_key(KeyId=key, KeySpec="AES_256")

    def forget(self, video_id: str) -> None:
        """Delete a video's row as the old platform does, which ends its job."""
        self.dynamodb.delete_item(TableName=self.platform["table_name"], Key={"video_id": {"S": video_id}})

    def remove_worker(self) -> float:
        """Take the worker away again, as the team would; the seconds that it took."""
        return self._terraform.apply(with_worker=False)


@contextmanager
def deployment(folder: Path, *rules: Rule) -> Iterator[Deployment]:
    """Start the simulated AWS and vendors, and apply the example of an existing platform with the real archives.

    Args:
        folder: where everything is written.
        rules: of the vendors.
    """
    clock = VendorsClock()
    with (
        ministack(folder, enforces_policies=True) as stack,
        Witness(stack.url) as witness,
        Vendors(
            *rules,
            clock=clock,
            clip_takes=Takes(seconds=3.0),
            transcription_takes=Takes(seconds=2.0),
            objects=S3Objects(stack.client("s3")),
        ) as vendors,
    ):
        stack.client("sns").create_topic(Name=OPTIONS["completion_topic_arn"].rpartition(":")[2])
        stack.client("ssm").put_parameter(Name=LIMITS_PARAMETER, Type="String", Value="{}")
        kms = stack.client("kms")
        keys = Keys(*(kms.create_key()["KeyMetadata"]["Arn"] for _ in fields(Keys)))
        variables = {
            "package": str(packaged()),
            "python_version": python_version(),
            "extra_environment": _of_simulators(vendors, folder) | {"AWS_ENDPOINT_URL": witness.url},
        }
        example = "examples/existing_platform"
        terraform = Terraform(example, folder / "terraform", endpoint=stack.url, variables=variables)
        # Terraform lays a file of this name over the others.
        options = folder / "terraform" / example / "options_override.tf.json"
        options.write_text(_options(keys))
        terraform.init()
        deployed = Deployment(stack, vendors, clock, witness, terraform, keys)
        secret = {"OPENAI_API_KEY": API_KEY, "GOOGLE_SERVICE_ACCOUNT": vendors.google.service_account_info(vendors.url)}
        stack.client("secretsmanager").put_secret_value(
            SecretId=deployed.worker["secret_arn"], SecretString=json.dumps(secret)
        )
        yield deployed


def _turn(execution: Execution) -> Mapping[str, object]:
    """The event for its next turn."""
    return {"execution_id": execution.execution_id, "version": execution.version}


def _options(keys: Keys) -> str:
    """What is laid over the example's call of the module."""
    table = {"name": "${module.platform.table_name}", "partition_key": "video_id", "kms_key_arn": keys.table}
    bucket = {
        "name": "${module.platform.bucket_name}",
        "recordings_prefixes": ["uploads/"],
        "kms_key_arn": keys.bucket,
    }
    of_keys = {"table": table, "bucket": bucket, "secret_kms_key_arn": keys.secret}
    return json.dumps({"module": {"ai_video": {**OPTIONS, **of_keys}}})


def _of_simulators(vendors: Vendors, folder: Path) -> dict[str, str]:
    """Where the vendors' SDKs find the simulators; keys stand in the secret, project and region are Terraform's."""
    not_here = {"OPENAI_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION"}
    return {name: value for name, value in vendors.environment(folder).items() if name not in not_here}
