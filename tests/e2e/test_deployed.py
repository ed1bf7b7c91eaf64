"""The module applied onto a platform of a simulated AWS that runs it: signed in, started, killed, taken away again.

MiniStack enforces the role's policy here, and stops short of this: it evaluates neither `dynamodb:LeadingKeys` nor keys
of Amazon Transcribe, does not ask for Lambda's own permission when a gateway invokes (`aws_lambda_permission`; its
source is held by `terraform test`), answers 404 where S3 answers 403 for want of a right to list, and its S3 and
Secrets Manager use no KMS key: what the role may do with one is asked of its KMS.
"""

import random
import re
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path

import av
import pytest
from botocore.exceptions import ClientError

from statemachine import Execution
from tests.e2e.deployment import Answer, Deployment, Gateway, Person, Policy, deployment
from tests.e2e.ministack import PYTHON, python_version
from tests.e2e.witness import Call
from tests.simulators.scenario import Rule, Takes
from tests.terraform.platform_facts import platform_facts
from tests.terraform.terraform_cli import MODULE, unavailable
from worker.job import Job

JOB_WITHIN_SECONDS = 240.0
# A lost turn costs its lease, 125 s while rendering, and the next sweep.
KILLED_JOB_WITHIN_SECONDS = 480.0
FRAME_SECONDS = 1 / 24

DENIED_WITHIN_SECONDS = 60.0

SEED = 20261122
GATEWAYS: tuple[Gateway, ...] = ("http", "rest", "own stage")

# Of the jobs that get killed: their clips are finished when the vendors' clock is turned forward, not before.
TO_BE_KILLED: Mapping[str, Gateway] = {"killed-http": "http", "killed-rest": "rest"}
LONG = timedelta(hours=1)
LONG_CLIPS = Rule(place="veo.clip", effect=Takes(seconds=LONG.total_seconds()), containing="/killed-", times=None)
LOST_TURNS = 2

OLDEST_PYTHON = (3, 12)  # that the module lets the function have


def _why_not() -> str | None:
    if not PYTHON.exists():
        return "there is no MiniStack: make ministack"
    if tuple(map(int, python_version().split("."))) < OLDEST_PYTHON:
        return (
            f"MiniStack runs functions by Python {python_version()}: make ministack, with Python 3.12 or 3.13 installed"
        )
    return unavailable()


WHY_NOT = _why_not()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployment(tmp_path_factory.mktemp("deployed"), LONG_CLIPS) as running:
        print(f"apply of platform and worker: {running.apply_seconds:.1f} s")  # noqa: T201  a figure that people ask for
        yield running


# --- one job, by one who signed in ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begun:
    """A job that somebody has started through the HTTP API.

    Attributes:
        refused: what was answered to those who may not look at it, by who and where.
    """

    owner: Person
    started: Answer
    refused: Mapping[tuple[str, Gateway], int]


@dataclass(frozen=True, slots=True)
class Made:
    """The video, looked at through the REST API.

    Attributes:
        seen_elsewhere: on the module's own stage.
        video: as fetched by its signed address.
        ticks: of the schedule while it was made.
        denied: actions that the policy did not allow to the function meanwhile.
    """

    job: Job
    seen: Answer
    seen_elsewhere: Answer
    video: Path
    ticks: int
    calls: list[Call]
    denied: set[str]


@pytest.fixture(scope="module")
def begun(deployed: Deployment) -> Begun:
    ada, bob = deployed.signed_in("ada"), deployed.signed_in("bob")
    started = deployed.start("http", ada, "first")
    tokens = {"nobody": None, "whoever makes one up": ada.token[:-4] + "AAAA", "somebody else": bob.token}
    refused = {
        (who, gateway): deployed.request(gateway, "GET", "first", token=token).status
        for who, token in tokens.items()
        for gateway in GATEWAYS
    }
    return Begun(ada, started, refused)


@pytest.fixture(scope="module")
def doomed(deployed: Deployment) -> Iterable[str]:
    """The jobs that get killed, started: while clips are made for them, the other one is finished."""
    eve = deployed.signed_in("eve")
    for video_id, gateway in TO_BE_KILLED.items():
        assert deployed.start(gateway, eve, video_id).status == 202
    return TO_BE_KILLED.keys()


@pytest.fixture(scope="module")
def made(deployed: Deployment, begun: Begun, doomed: Iterable[str], tmp_path_factory: pytest.TempPathFactory) -> Made:
    del doomed  # they wait beside it, for the same ticks of the schedule
    execution = deployed.completed("first", seconds=JOB_WITHIN_SECONDS)
    seen = deployed.request("rest", "GET", "first", token=begun.owner.token)
    video = tmp_path_factory.mktemp("video") / "video.mp4"
    with urllib.request.urlopen(seen.body["media"]["video_url"], timeout=60) as fetched:  # noqa: S310  the simulator's
        video.write_bytes(fetched.read())
    return Made(
        job=Job.model_validate(execution.data),
        seen=seen,
        seen_elsewhere=deployed.request("own stage", "GET", "first", token=begun.owner.token),
        video=video,
        ticks=deployed.ticks,
        calls=deployed.witness.calls,
        denied=deployed.witness.denied(),
    )


def test_a_person_gets_the_video_of_a_recording(made: Made, deployed: Deployment) -> None:
    """Started through the HTTP API, looked at through the REST API, fetched by the address in the answer."""
    assert (made.seen.status, made.seen.body["ai_generation_status"]) == (200, "completed")
    with av.open(str(made.video)) as video:
        assert video.duration is not None
        assert abs(video.duration / av.time_base - (made.job.recording.duration_seconds or 0)) <= FRAME_SECONDS
        assert {stream.type for stream in video.streams} >= {"video", "audio"}
    paid = [clip for clip in deployed.vendors.bill.clips if "/first/" in clip.prefix]
    assert len(paid) == len(made.job.beats) > 0


def test_a_job_is_started_by_its_owner_and_seen_by_nobody_else(begun: Begun) -> None:
    expected = {"nobody": 401, "whoever makes one up": 401, "somebody else": 404}

    assert begun.started.status == 202, begun.started
    assert begun.refused == {(who, gateway): status for who, status in expected.items() for gateway in GATEWAYS}


def test_a_stage_of_the_modules_own_shows_the_same(made: Made) -> None:
    assert (made.seen_elsewhere.status, made.seen_elsewhere.body["revision"]) == (200, made.seen.body["revision"])


def test_the_schedule_wakes_what_waits(made: Made) -> None:
    """Only a sweep queries, and only EventBridge has asked for one: a job waits for its transcript and its clips."""
    assert made.ticks > 0
    assert any(call.asked == "Query" for call in made.calls)


def test_the_whole_policy_denies_the_function_nothing(made: Made) -> None:
    """And it asks for something: every call is signed with the role's credentials."""
    assert made.denied == set()
    assert {call.service for call in made.calls} >= {
        "dynamodb",
        "s3",
        "lambda",
        "secretsmanager",
        "ssm",
        "sns",
        "events",
    }


# --- killed meanwhile ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Killed:
    """Two jobs, one of each gateway, whose processes were killed at random moments.

    Attributes:
        lost: turns that ended so.
        clips: that were paid for.
    """

    jobs: list[Job]
    lost: int
    clips: int


@pytest.fixture(scope="module")
def killed(deployed: Deployment, doomed: Iterable[str], made: Made) -> Killed:
    del made  # nobody else is at work when processes are killed
    video_ids = list(doomed)
    # Only while clips are made, which are fetched in turns of seconds.  A turn that is lost between an order and its
    # record costs a search of 20 minutes, one of assembling its lease, a quarter of an hour: tests/e2e/test_kill.py
    # and the crash explorer do that without the wait.
    deployed.wait_for(
        lambda: all(awaits_clips(deployed.execution(video_id)) for video_id in video_ids), seconds=JOB_WITHIN_SECONDS
    )
    deployed.clock.turn_forward(LONG)
    chance = random.Random(SEED)  # noqa: S311  the same moments again
    lost = deployed.kill_turns(
        video_ids,
        state="rendering",
        turns=LOST_TURNS,
        moments=(chance.uniform(0.0, 0.4) for _ in count()),
        within_seconds=JOB_WITHIN_SECONDS,
    )
    ends = [deployed.completed(video_id, seconds=KILLED_JOB_WITHIN_SECONDS) for video_id in video_ids]
    return Killed(
        jobs=[Job.model_validate(execution.data) for execution in ends],
        lost=lost,
        clips=sum("/killed-" in clip.prefix for clip in deployed.vendors.bill.clips),
    )


def awaits_clips(execution: Execution) -> bool:
    """Whether every clip of the job is ordered, and the order known."""
    tasks = Job.model_validate(execution.data).tasks
    ordered = [any(attempt.operation for attempt in task.attempts.values()) for task in tasks]
    return execution.state == "rendering" and execution.lease is None and all(ordered)


def test_jobs_whose_processes_are_killed_are_taken_up_by_the_sweep(killed: Killed) -> None:
    """And every scene is paid for once."""
    assert killed.lost > 0, "nothing was killed at work"
    assert killed.clips == sum(len(job.beats) for job in killed.jobs)
    assert all(job.media.video_key for job in killed.jobs)


# --- the policy, statement by statement ----------------------------------------------------------------------------


def as_ministack_reads(policy: Policy) -> Policy:
    """The policy with some statements widened to what MiniStack can evaluate; as they stand they allow nothing there.

    It knows no condition keys of Amazon Transcribe, takes every transcription for `*`, and a log group's ARN to end
    with its name.  Its DynamoDB, S3 and Secrets Manager do not call its KMS, so nothing comes by way of them
    (`kms:ViaService`).
    """
    widened = {
        "UseTableKey": lambda statement: {**statement, "Condition": {}},
        "UseBucketKey": lambda statement: {**statement, "Condition": {}},
        "UseSecretKey": lambda statement: {**statement, "Condition": {}},
        "StartTranscriptions": lambda statement: {**statement, "Condition": {}},
        "FollowTranscriptions": lambda statement: {**statement, "Resource": ["*"]},
        "WriteLogs": lambda statement: {
            **statement,
            "Resource": [arn.removesuffix(":*") for arn in statement["Resource"]],
        },
    }
    return {**policy, "Statement": [widened.get(each["Sid"], dict)(each) for each in policy["Statement"]]}


@dataclass(frozen=True, slots=True)
class Trial:
    """What one person does while a statement is missing."""

    deployed: Deployment
    person: Person
    video_id: str

    def start(self) -> None:
        self.deployed.start("http", self.person, self.video_id)

    def look(self) -> None:
        self.deployed.request("http", "GET", self.video_id, token=self.person.token)

    def cancel(self) -> None:
        self.start()
        self.deployed.request("http", "DELETE", self.video_id, token=self.person.token)

    def sweep(self) -> None:
        self.deployed.sweep()

    def list_objects(self) -> None:
        self.deployed.as_the_function("s3").list_objects_v2(
            Bucket=self.deployed.platform["bucket_name"], Prefix="ai-video/"
        )

    def use_table_key(self) -> None:
        self.deployed.use_key("Decrypt", self.deployed.keys.table)

    def use_bucket_key(self) -> None:
        self.deployed.use_key("GenerateDataKey", self.deployed.keys.bucket)

    def use_secret_key(self) -> None:
        self.deployed.use_key("Decrypt", self.deployed.keys.secret)

    def write_a_log(self) -> None:
        group = self.deployed.worker["log_group_name"]
        self.deployed.as_the_function("logs").create_log_stream(logGroupName=group, logStreamName=self.video_id)


# What a warm process has read and does not read again.
REMEMBERED = {"ReadLimits", "ReadVendorsKeys"}

# The shortest event that takes the statement's right.  The last five are not calls of the code: S3 asks for the first
# itself to tell 404 from 403, the services use their keys, and Lambda writes logs in the role's name.
EVENTS: Mapping[str, Callable[[Trial], None]] = {
    "MoveExecutions": Trial.start,
    "LookAtRows": Trial.look,
    "LookAtRowAndUser": Trial.start,
    "FindDueByIndex": Trial.sweep,
    "FindDueByScan": Trial.sweep,
    "ReadObjects": Trial.start,
    "MakeObjects": Trial.start,
    "StartTranscriptions": Trial.start,
    "FollowTranscriptions": Trial.start,
    "InvokeItself": Trial.start,
    "ReadVendorsKeys": Trial.start,
    "ReadLimits": Trial.start,
    "TellBus": Trial.cancel,
    "TellTopic": Trial.cancel,
    "TellMissingFromForbidden": Trial.list_objects,
    "UseTableKey": Trial.use_table_key,
    "UseBucketKey": Trial.use_bucket_key,
    "UseSecretKey": Trial.use_secret_key,
    "WriteLogs": Trial.write_a_log,
}


@dataclass(frozen=True, slots=True)
class Denial:
    """What the function was denied while a statement of its policy was missing, and what the statement allows."""

    allowed: set[str]
    denied: set[str]


@pytest.fixture(scope="module")
def denials(deployed: Deployment, made: Made, killed: Killed) -> Mapping[str, Denial]:
    """Of each statement of the role's policy; then, of the one that stands in another's place without a due index."""
    del made, killed  # they need the whole policy, and Transcribe as it is simulated with the other vendors
    deployed.change_environment({"AWS_ENDPOINT_URL_TRANSCRIBE": None})  # MiniStack's own asks for the right
    found = dict(denials_of(deployed, deployed.worker["statements"].keys()))
    deployed.change_environment({"AI_VIDEO_DUE_INDEX": ""})
    deployed.put_policy(without_an_index(deployed.policy()))
    return found | dict(denials_of(deployed, ["FindDueByScan"]))


def without_an_index(policy: Policy) -> Policy:
    """The policy as the module makes it without a due index, which tests/terraform/test_own_stage.py applies."""
    by_sid = {statement["Sid"]: statement for statement in policy["Statement"]}
    scan = {**by_sid["MoveExecutions"], "Sid": "FindDueByScan", "Action": ["dynamodb:Scan"]}
    del by_sid["FindDueByIndex"]
    return {**policy, "Statement": [*by_sid.values(), scan]}


def denials_of(deployed: Deployment, sids: Iterable[str]) -> Iterator[tuple[str, Denial]]:
    """Take each of the statements away in turn, and put it back."""
    applied = deployed.policy()
    policy = as_ministack_reads(applied)
    for sid in sorted(sids, key=lambda sid: sid not in REMEMBERED):  # those while processes are cold anyway
        (statement,) = (each for each in policy["Statement"] if each["Sid"] == sid)
        deployed.put_policy({**policy, "Statement": [each for each in policy["Statement"] if each is not statement]})
        if sid in REMEMBERED:
            deployed.kill_function_processes()
        trial, event = Trial(deployed, deployed.signed_in(f"trial-{sid}"), f"trial-{sid}"), EVENTS[sid]
        denial = Denial(set(statement["Action"]), denied_in(trial, event))
        print(f"without {sid:<25} {event.__name__:<13} denied {', '.join(sorted(denial.denied))}")  # noqa: T201  the table
        yield sid, denial
    deployed.put_policy(applied)


def denied_in(trial: Trial, event: Callable[[Trial], None]) -> set[str]:
    """Let something happen, and the job go on, until the function is denied something."""
    deployed = trial.deployed
    deployed.upload(trial.person, trial.video_id)
    before = len(deployed.witness.calls)
    with suppress(ClientError):  # only where the role's own client is used
        event(trial)
    limit = time.monotonic() + DENIED_WITHIN_SECONDS
    while not deployed.witness.denied(since=before) and time.monotonic() < limit:
        deployed.take_turn(trial.video_id)
    deployed.forget(trial.video_id)
    return deployed.witness.denied(since=before)


def test_every_statement_of_the_module_is_tried() -> None:
    written = re.findall(r"^    ([A-Z]\w+) = \{$", (MODULE / "iam.tf").read_text(), flags=re.MULTILINE)

    assert sorted(EVENTS) == sorted(written)


@pytest.mark.parametrize("sid", EVENTS)
def test_without_a_statement_its_own_actions_are_denied(denials: Mapping[str, Denial], sid: str) -> None:
    assert denials[sid].denied
    assert denials[sid].denied <= denials[sid].allowed


# --- keys of the platform's own -------------------------------------------------------------------------------------


def uses_allowed(deployed: Deployment) -> set[tuple[str, str]]:
    """What the function may do with which key, asked of KMS itself and not by way of another service."""
    allowed = set()
    for name, key in asdict(deployed.keys).items():
        for action in ("Decrypt", "Encrypt", "GenerateDataKey", "DescribeKey"):
            with suppress(ClientError):  # denied, which `uses` holds against the witness
                deployed.use_key(action, key)
                allowed.add((name, action))
    return allowed


@dataclass(frozen=True, slots=True)
class Uses:
    """Of keys: as the policy stands, and where the condition that MiniStack cannot meet is left out of it."""

    directly: set[tuple[str, str]]
    by_the_services: set[tuple[str, str]]
    denied: set[str]


@pytest.fixture(scope="module")
def uses(deployed: Deployment, made: Made, killed: Killed) -> Uses:
    del made, killed  # they need the policy as it is
    before, applied = len(deployed.witness.calls), deployed.policy()
    directly = uses_allowed(deployed)
    denied = deployed.witness.denied(since=before)
    deployed.put_policy(as_ministack_reads(applied))
    by_the_services = uses_allowed(deployed)
    deployed.put_policy(applied)
    return Uses(directly, by_the_services, denied)


def test_no_key_is_used_but_by_way_of_its_service(uses: Uses) -> None:
    assert uses.directly == set()
    assert uses.denied == {"kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"}


def test_of_each_key_only_what_its_service_needs_is_allowed(uses: Uses) -> None:
    """DynamoDB opens its table's data key, S3 makes and reads objects, Secrets Manager a secret; others stay closed."""
    assert uses.by_the_services == {
        ("table", "Decrypt"),
        ("table", "DescribeKey"),
        ("bucket", "Decrypt"),
        ("bucket", "GenerateDataKey"),
        ("secret", "Decrypt"),
    }


# --- taken away ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Removed:
    """The platform's own things, by name, with the worker and after it was taken away."""

    before: Mapping[str, object]
    after: Mapping[str, object]


@pytest.fixture(scope="module")
def removed(deployed: Deployment, denials: Mapping[str, Denial]) -> Removed:
    del denials  # nobody needs the worker any more
    before = platform_facts(deployed.stack.url)
    deployed.remove_worker()
    return Removed(before, platform_facts(deployed.stack.url))


def test_taking_the_worker_away_leaves_every_row_and_object(removed: Removed) -> None:
    """Those of the old platform, and what jobs have made."""
    data = {name for name in removed.before if name.startswith(("row ", "object ", "pool ", "client ", "bucket "))}

    assert {name: removed.after.get(name) for name in data} == {name: removed.before[name] for name in data}
    assert any(name.startswith("row first of ") for name in data)
    assert any(
        name.endswith(".mp4 of ai-video-example-media-000000000000") and "ai-video/first/" in name for name in data
    )


def test_taking_the_worker_away_takes_only_its_own_routes(removed: Removed) -> None:
    gone = {name for name in removed.before if name not in removed.after}

    assert {name for name in gone if name.startswith("HTTP route")} == {
        f"HTTP route {method} /ai-video" for method in ("GET", "POST", "DELETE", "OPTIONS")
    }
    assert {name for name in gone if name.startswith("REST route")} == {"REST route /ai-video"}
    assert {"REST route /videos", "HTTP route GET /videos"} <= removed.after.keys()
