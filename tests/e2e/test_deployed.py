"""The module applied onto a platform of a simulated AWS that runs it: signed in, started, killed, taken away again.

MiniStack enforces the role's policy here, and stops short of this: it evaluates neither `dynamodb:LeadingKeys` nor keys
of Amazon Transcribe, does not ask for Lambda's own permission when a gateway invokes (`aws_lambda_permission`; its
source is held by `terraform test`), answers 404 where S3 answers 403 for want of a right to list, and uses no KMS key.
"""

import random
import re
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import av
import pytest
from botocore.exceptions import ClientError

from statemachine import Execution
from tests.e2e.deployment import Answer, Deployment, Gateway, Person, Policy, deployment
from tests.e2e.ministack import PYTHON, python_version
from tests.e2e.witness import Call
from tests.terraform.platform_facts import platform_facts
from tests.terraform.terraform_cli import MODULE, unavailable
from worker.job import Job

# What one apply may take, on a machine that does nothing else; on a busy one it gets its share of the processors.
APPLY_WITHIN_SECONDS = 60.0
JOB_WITHIN_SECONDS = 240.0
# A lost turn costs its lease, 125 s while rendering, and the next sweep.
KILLED_JOB_WITHIN_SECONDS = 480.0
FRAME_SECONDS = 1 / 24

DENIED_WITHIN_SECONDS = 60.0

SEED = 20261122
GATEWAYS: tuple[Gateway, ...] = ("http", "rest")
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
    with deployment(tmp_path_factory.mktemp("deployed")) as running:
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
        video: as fetched by its signed address.
        ticks: of the schedule while it was made.
        denied: actions that the policy did not allow to the function meanwhile.
    """

    job: Job
    seen: Answer
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
def made(deployed: Deployment, begun: Begun, tmp_path_factory: pytest.TempPathFactory) -> Made:
    execution = deployed.completed("first", seconds=JOB_WITHIN_SECONDS)
    seen = deployed.request("rest", "GET", "first", token=begun.owner.token)
    video = tmp_path_factory.mktemp("video") / "video.mp4"
    with urllib.request.urlopen(seen.body["media"]["video_url"], timeout=60) as fetched:  # noqa: S310  the simulator's
        video.write_bytes(fetched.read())
    return Made(
        job=Job.model_validate(execution.data),
        seen=seen,
        video=video,
        ticks=deployed.ticks,
        calls=deployed.witness.calls,
        denied=deployed.witness.denied(),
    )


def test_one_apply_takes_a_minute_at_most(deployed: Deployment) -> None:
    assert deployed.apply_seconds <= APPLY_WITHIN_SECONDS * deployed.apply_crowding


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
def killed(deployed: Deployment) -> Killed:
    eve, video_ids = deployed.signed_in("eve"), [f"killed-{gateway}" for gateway in GATEWAYS]
    for gateway, video_id in zip(GATEWAYS, video_ids, strict=True):
        assert deployed.start(gateway, eve, video_id).status == 202
    # Only while clips are made, which are fetched in turns of seconds.  A turn that is lost between an order and its
    # record costs a search of 20 minutes, one of assembling its lease, a quarter of an hour: tests/e2e/test_kill.py
    # and the crash explorer do that without the wait.
    deployed.wait_for(
        lambda: all(awaits_clips(deployed.execution(video_id)) for video_id in video_ids), seconds=JOB_WITHIN_SECONDS
    )
    chance = random.Random(SEED)  # noqa: S311  the same moments again
    lost = deployed.kill_turns(
        video_ids,
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
    """The policy with three statements widened to what MiniStack can evaluate; as they stand they allow nothing there.

    It knows no condition keys of Amazon Transcribe, takes every transcription for `*`, and a log group's ARN to end
    with its name.
    """
    widened = {
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

    def write_a_log(self) -> None:
        group = self.deployed.worker["log_group_name"]
        self.deployed.as_the_function("logs").create_log_stream(logGroupName=group, logStreamName=self.video_id)


# Of keys of the platform's own; nothing in MiniStack uses one.
WITHOUT_KEYS = {"UseBucketKey", "UseSecretKey"}

# What a warm process has read and does not read again.
REMEMBERED = {"ReadLimits", "ReadVendorsKeys"}

# The shortest event that takes the statement's right.  The last two are not calls of the code: S3 asks for the one
# itself to tell 404 from 403, Lambda makes the other in the role's name.
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
    "WriteLogs": Trial.write_a_log,
}


@dataclass(frozen=True, slots=True)
class Denial:
    """What the function was denied while a statement of its policy was missing, and what the statement allows."""

    allowed: set[str]
    denied: set[str]


@pytest.fixture(scope="module")
def denials(deployed: Deployment, made: Made, killed: Killed) -> Mapping[str, Denial]:
    """Of each statement of the role's policy: with the due index first, then without one."""
    del made, killed  # they need the whole policy, and Transcribe as it is simulated with the other vendors
    deployed.change_environment(without="AWS_ENDPOINT_URL_TRANSCRIBE")  # MiniStack's own asks for the right
    found = dict(denials_of(deployed, deployed.worker["statements"].keys()))
    deployed.lose_index()
    return found | dict(denials_of(deployed, ["FindDueByScan"]))


def denials_of(deployed: Deployment, sids: Iterable[str]) -> Iterator[tuple[str, Denial]]:
    """Take each of the statements away in turn, and put it back."""
    applied = deployed.policy()
    policy = as_ministack_reads(applied)
    for sid in sids:
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


def test_every_statement_of_the_module_is_tried(denials: Mapping[str, Denial]) -> None:
    written = re.findall(r"^    ([A-Z]\w+) = \{$", (MODULE / "iam.tf").read_text(), flags=re.MULTILINE)

    assert sorted(denials.keys() | WITHOUT_KEYS) == sorted(written)


@pytest.mark.parametrize("sid", EVENTS)
def test_without_a_statement_its_own_actions_are_denied(denials: Mapping[str, Denial], sid: str) -> None:
    assert denials[sid].denied
    assert denials[sid].denied <= denials[sid].allowed


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
