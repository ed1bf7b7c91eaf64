"""A platform with the worker deployed on it, and somebody on call who types what the book says.

AWS is moto, the vendors are their simulators, time is virtual.  Commands of the book are run as they are written: those
of the worker by its own command line, those of AWS's by boto3, with the very parameters.
"""

import io
import json
import re
import shlex
import zipfile
from collections import Counter, deque
from collections.abc import Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from string import Template
from typing import Any

import boto3
import pytest
from botocore import xform_name
from typer.testing import CliRunner

from statemachine import Execution
from statemachine.testing.clock import VirtualClock
from tests.dynamodb_tables import ONE_PART, created
from tests.media import write_sound
from tests.simulators.vendors import Vendors
from worker import lambda_function
from worker.__main__ import app
from worker.bootstrap import Worker
from worker.job import Options, Recording, new_job_data
from worker.settings import Settings

BOOK = Path(__file__).parents[2] / "docs" / "operations.md"

FUNCTION, TABLE, BUCKET, SECRET = "ai-video-worker", "video_metadata", "platform-media", "ai-video"

# How long an invocation of the function may last.
_SECONDS_LEFT = 860

# Time jumps from one due row to the next, so a sweep need not stay: it has this long, and leaves 5 s to its process.
_SHORT_SWEEP_SECONDS = 6
_TICK = timedelta(minutes=1)


def commands_of(section: str) -> list[str]:
    """The commands in the blocks of one section of the book, in order; a line that ends in a backslash goes on."""
    text = BOOK.read_text()
    found = re.search(rf"^##+ {re.escape(section)}\n(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    assert found is not None, f"the book has no section {section!r}"
    blocks = re.findall(r"^```sh\n(.*?)^```", found[1], flags=re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def all_commands() -> list[str]:
    """Every command of the book."""
    sections = re.findall(r"^## (.*)$", BOOK.read_text(), flags=re.MULTILINE)
    return [command for section in sections for command in commands_of(section)]


def rows_of(out: str) -> list[dict[str, Any]]:
    """The lines of a `--json` answer."""
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


class QueueingLambda:
    """Lambda, as the dispatcher sees it: asynchronous events are queued."""

    def __init__(self, queue: "deque[bytes]") -> None:
        self._queue = queue

    def invoke(self, **request: Any) -> dict[str, int]:  # noqa: ANN401  boto3's
        assert request["InvocationType"] == "Event"
        assert request["FunctionName"] == FUNCTION
        self._queue.append(request["Payload"])
        return {"StatusCode": 202}


class Context:
    """An invocation."""

    def __init__(self, seconds_left: int) -> None:
        self._seconds_left = seconds_left

    def get_remaining_time_in_millis(self) -> int:
        return self._seconds_left * 1000


class Platform:
    """The platform, its function, and the terminal of whoever is on call.

    Attributes:
        queue: events that Lambda holds.
        is_scheduled: whether the schedule starts sweeps.
        out: what the last command printed.
    """

    def __init__(self, vendors: Vendors, clock: VirtualClock, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.vendors, self.clock, self._folder, self._patch = vendors, clock, folder, monkeypatch
        self.queue: deque[bytes] = deque()
        self.is_scheduled = True
        self.out, self.exit_code = "", 0
        self.variables = {"FUNCTION": FUNCTION, "TABLE": TABLE, "BUCKET": BUCKET, "SECRET": SECRET}
        self.dynamodb = boto3.client("dynamodb")
        self.s3 = boto3.client("s3")
        created(self.dynamodb, ONE_PART)
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        self._deployed: Worker | None = None
        self._create_function()

    # --- the team's own doings -----------------------------------------------------------------------------------

    def deploy(self, changed: Mapping[str, str], *, worker: type[Worker] = Worker) -> None:
        """Deploy a version of the worker, with changed variables."""
        function = boto3.client("lambda")
        variables = function.get_function_configuration(FunctionName=FUNCTION)["Environment"]["Variables"]
        variables |= changed
        function.update_function_configuration(FunctionName=FUNCTION, Environment={"Variables": variables})
        for name, value in variables.items():
            self._patch.setenv(name, value)
        if self._deployed is not None:
            self._deployed.close()
        deployed = self._deployed = worker(Settings(), clock=self.clock)
        for root in ("foundation", "worker"):  # of a sweep, and of every other event
            self._patch.setattr(lambda_function, root, lambda: deployed)
        self._patch.setattr(lambda_function, "engine", lambda: deployed.engine)

    def close(self) -> None:
        if self._deployed is not None:
            self._deployed.close()

    @property
    def worker(self) -> Worker:
        assert self._deployed is not None
        return self._deployed

    def upload(self, video_id: str, *, seconds: int = 3) -> None:
        """A person uploads a recording."""
        recording = self._folder / f"{seconds}.wav"
        if not recording.exists():
            write_sound(recording, seconds=seconds)
        self.s3.upload_file(str(recording), BUCKET, f"uploads/{video_id}.wav")
        row = {"video_id": {"S": video_id}, "user_id": {"S": "ada"}, "s3_key": {"S": f"uploads/{video_id}.wav"}}
        self.dynamodb.put_item(TableName=TABLE, Item=row)

    def start(self, video_id: str, *, options: Options | None = None, run_id: str = "run-1") -> None:
        """What POST does, of a video that was made already too; a recording that is not there is uploaded first."""
        if "Item" not in self.dynamodb.get_item(TableName=TABLE, Key={"video_id": {"S": video_id}}):
            self.upload(video_id)
        data = new_job_data(
            video_id=video_id,
            run_id=run_id,
            prefix=f"ai-video/{video_id}/{run_id}/",
            recording=Recording(key=f"uploads/{video_id}.wav", filename="story.wav"),
            options=options or Options(),
            owner_id="ada",
        )
        self.worker.engine.start(video_id, data, run_id=run_id, replace_execution=run_id != "run-1")

    def pass_time(self, minutes: float) -> None:
        """Let time pass; events are delivered, and the schedule sweeps every minute where it is on."""
        ends_at = self.clock.now() + timedelta(minutes=minutes)
        while True:
            self._deliver()
            now = self.clock.now()
            if now >= ends_at:
                return
            due = [row.due_at for row in self.worker.store.due(ends_at, limit=100)] if self.is_scheduled else []
            upcoming = [at for at in due if at > now]
            if len(upcoming) < len(due):  # late already: it was woken in vain, and is again by the next tick
                upcoming.append(now + _TICK)
            self.clock.advance(min([*upcoming, ends_at]) - now)
            if self.is_scheduled:
                self.invoke(self.schedule_event, seconds_left=_SHORT_SWEEP_SECONDS)

    def invoke(self, event: Mapping[str, Any], *, seconds_left: int = _SECONDS_LEFT) -> dict[str, Any]:
        """One invocation of the function; none while it may not run, and the event is lost."""
        reserved = boto3.client("lambda").get_function_concurrency(FunctionName=FUNCTION)
        if reserved.get("ReservedConcurrentExecutions") == 0:
            return {}
        return lambda_function.handler(event, Context(seconds_left))

    schedule_event: Mapping[str, Any] = {"source": "aws.scheduler", "detail-type": "Scheduled Event"}

    def job(self, video_id: str) -> Execution:
        return self.worker.store.get(video_id)

    def states(self, table_name: str | None = None) -> dict[str, str]:
        """The state of every job in this table, or in that which the function works on."""
        rows = self.dynamodb.scan(TableName=table_name or self.worker.settings.table_name)["Items"]
        jobs = {row["video_id"]["S"]: row["ai_execution"]["M"] for row in rows if "ai_version" in row}
        return {video_id: jobs[video_id]["state"]["S"] for video_id in sorted(jobs)}

    def clips_paid(self, video_id: str = "") -> Counter[tuple[str, int | None]]:
        """How often a clip was paid for, by video and scene; of one video or of all."""
        paid = Counter(
            (charge.prefix.partition("/ai-video/ai-video/")[2].partition("/")[0], charge.scene)
            for charge in self.vendors.bill.clips
        )
        return Counter({clip: times for clip, times in paid.items() if video_id in ("", clip[0])})

    @property
    def secret(self) -> str:
        return boto3.client("secretsmanager").get_secret_value(SecretId=SECRET)["SecretString"]

    @property
    def clips_at_vendor(self) -> list[str]:
        return [name for objects in self.vendors.google.storage.buckets.values() for name in objects]

    def _deliver(self) -> None:
        while self.queue:
            self.invoke(json.loads(self.queue.popleft()))

    def _aws_s3(self, words: list[str]) -> Any:  # noqa: ANN401  as above
        place = s3_place(words)
        bucket, _, key = place.removeprefix("s3://").partition("/")
        if words[0] == "presign":
            return self.s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
        if words[0] == "rm" and not key.endswith("/"):
            key += "/"  # what `rm --recursive` is given is a folder (awscli 1.46.3, `s3/fileformat.py`, 2026-11-23)
        listed = [entry["Key"] for entry in self.s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", [])]
        included = words[words.index("--include") + 1] if "--include" in words else "*"
        listed = [each for each in listed if fnmatchcase(each.removeprefix(key), included)]
        for each in listed if words[0] == "rm" else []:
            self.s3.delete_object(Bucket=bucket, Key=each)
        return listed

    def _create_function(self) -> None:
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        role = boto3.client("iam").create_role(RoleName="worker", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        boto3.client("lambda").create_function(
            FunctionName=FUNCTION,
            Runtime="python3.12",
            Handler="worker.lambda_function.handler",
            Role=role,
            Code={"ZipFile": _an_archive()},
            Environment={
                "Variables": {
                    "AI_VIDEO_TABLE_NAME": TABLE,
                    "AI_VIDEO_BUCKET": BUCKET,
                    "AI_VIDEO_MEDIA": "s3",
                    "AI_VIDEO_TRANSCRIBER": "aws",
                    "AI_VIDEO_PLANNER": "openai",
                    "AI_VIDEO_RENDERER": "veo",
                    "AI_VIDEO_VEO_OUTPUT_GCS_URI": "gs://clips/ai-video",
                    "AI_VIDEO_FUNCTION_NAME": FUNCTION,
                    "AI_VIDEO_SECRET_ID": SECRET,
                    "AI_VIDEO_DUE_SHARDS": "1",
                }
            },
        )

    # --- whoever is on call --------------------------------------------------------------------------------------

    def type(self, command: str, **variables: str) -> str:
        """Run a command of the book, with what its $VARIABLES stand for; what it printed."""
        line = Template(command).safe_substitute({**self.variables, **variables})
        program, *words = shlex.split(line)
        if program == "aws":
            self.out = json.dumps(self._aws(words), default=str)
        elif program == "gcloud":
            assert words[:3] == ["storage", "rm", "--recursive"]
            bucket, _, prefix = words[3].removeprefix("gs://").partition("/")
            objects = self.vendors.google.storage.buckets[bucket]
            for name in [name for name in objects if name.startswith(prefix)]:
                del objects[name]
        else:
            assert (program, words[:2]) == ("python", ["-m", "worker"]), line
            result = CliRunner().invoke(app, words[2:])
            if result.exception is not None and not isinstance(result.exception, SystemExit):
                raise result.exception
            self.out, self.exit_code = result.output, result.exit_code
        return self.out

    def _aws(self, words: list[str]) -> Any:  # noqa: ANN401  an answer of AWS
        if words[0] == "s3":
            return self._aws_s3(words[1:])
        service, operation, parameters = parsed_aws(words)
        if (service, operation) == ("lambda", "Invoke"):
            answer = self.invoke(json.loads(parameters["Payload"]))
            self._deliver()
            return answer
        return getattr(client_named(service), xform_name(operation))(**parameters)


def client_named(service: str) -> Any:  # noqa: ANN401  boto3 makes its clients at run time
    """The client of a service that a command names."""
    return boto3.client(service)  # type: ignore[call-overload]  # its types know names only as literals


def s3_place(words: list[str]) -> str:
    """The s3:// address in a command of `aws s3`, of those that the book has."""
    match words:
        case ["rm" | "ls", "--recursive", place]:
            pass
        case ["rm", "--recursive", place, "--exclude", "*", "--include", _]:
            pass
        case ["presign", place, "--expires-in", seconds]:
            assert 0 < int(seconds) <= 604_800  # a week, says AWS
        case _:
            raise AssertionError(f"nobody knows aws s3 {' '.join(words)}")
    assert place.startswith("s3://")
    return place


def parsed_aws(words: list[str]) -> tuple[str, str, dict[str, Any]]:
    """Service, operation and parameters of a command of AWS's command line, as its own model has them.

    Raises:
        KeyError: there is no such service, operation or parameter.
    """
    service, operation_words, *rest = words
    client = client_named(service)
    name = {xform_name(each).replace("_", "-"): each for each in client.meta.service_model.operation_names}[
        operation_words
    ]
    shape = client.meta.service_model.operation_model(name).input_shape
    members = {xform_name(each).replace("_", "-"): each for each in shape.members} if shape else {}
    parameters: dict[str, Any] = {}
    position = 0
    while position < len(rest):
        word = rest[position]
        position += 1
        if not word.startswith("--"):
            assert (service, name) == ("lambda", "Invoke"), f"{word} belongs to no parameter"
            continue  # the file for the answer
        option = word.removeprefix("--")
        if option in {"query", "output", "cli-binary-format"}:  # of the command line itself
            position += 1
            continue
        is_off = option.startswith("no-") and option.removeprefix("no-") in members
        member = members[option.removeprefix("no-") if is_off else option]
        kind = shape.members[member].type_name
        if kind == "boolean":
            parameters[member] = not is_off
            continue
        value = rest[position]
        position += 1
        parameters[member] = _as_kind(kind, value, rest, position)
        while kind == "list" and position < len(rest) and not rest[position].startswith("--"):
            position += 1
    missing = [each for each in (shape.required_members if shape else []) if each not in parameters]
    assert not missing, f"{service} {operation_words} needs {missing}"
    return service, name, parameters


def _as_kind(kind: str, value: str, rest: list[str], position: int) -> Any:  # noqa: ANN401  as the model says
    if kind in {"integer", "long"}:
        return int(value)
    if kind in {"structure", "map"} or (kind == "list" and value.startswith("[")):
        return json.loads(value)
    if kind == "list":
        more = []
        while position < len(rest) and not rest[position].startswith("--"):
            more.append(rest[position])
            position += 1
        return [value, *more]
    return value


def _an_archive() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("worker/lambda_function.py", "")
    return archive.getvalue()
