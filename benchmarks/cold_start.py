"""From the start of a cold environment to the packaged function's first answer, beside one that does next to nothing.

That other function imports boto3 and reads one item.  Both run in the strict environment of tests/lambda_runtime, with
the archives of `make package`, on the same DynamoDB and in turn, so that whatever else the machine does meets both.
Medians.  What is bounded is CPU time, which is what a cold start is made of: on a machine with other work, wall time
(told beside it) is mostly theirs.  Needs `make lambda-runtimes`, `make dynoxide`, and root or user namespaces.
"""

import statistics
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.report import Measurement
from statemachine.aws.table_layout import TableLayout
from tests import dynamodb_tables as tables
from tests.dynoxide import running_dynoxide
from tests.lambda_runtime import sandbox
from tests.lambda_runtime.function import Function, Invocation
from tests.lambda_runtime.packaged import packaged_function
from tests.lambda_runtime.pythons import VERSIONS, python_of
from tests.lambda_runtime.service import LambdaService
from tests.worker.handlers.api.desk import ADA, VIDEO, Desk, http_event
from worker.handlers.api.routes import Api
from worker.providers.dynamodb_rows import DynamoRows

RUNS = 7
BOUND_MS = 250.0

BARE = """
import boto3

def handler(event, context):
    table, key = event["table"], event["key"]
    return "Item" in boto3.client("dynamodb").get_item(TableName=table, Key=key)
"""

LOOK = http_event("GET", "/ai-video", {"sub": ADA}, {"videoId": VIDEO}, None, {})
SWEEP = {"source": "aws.scheduler", "detail-type": "Scheduled Event"}


def measure() -> Iterator[Measurement]:
    """The first answer to a GET and to a tick of the schedule, on each Python of Lambda's that is here."""
    if (why := sandbox.missing()) is not None:
        raise RuntimeError(why)
    versions = [version for version in VERSIONS if python_of(version).exists()]
    if not versions:
        raise RuntimeError("no environment of Lambda's is here: make lambda-runtimes")
    with running_dynoxide() as url, tempfile.TemporaryDirectory() as folder:
        layout = _platform(url)
        for version in versions:
            yield from _measured(version, Path(folder, version), url=url, layout=layout)


def _platform(url: str) -> TableLayout:
    """A table with one job that has begun: what most requests look at.  It is not due, so a sweep ends at once."""
    client = tables.client_of(url)
    layout = tables.created(client, TableLayout())
    client.put_item(
        TableName=layout.table_name, Item={"video_id": {"S": VIDEO}, "user_id": {"S": ADA}, "s3_key": {"S": "one.mp3"}}
    )
    desk = Desk()
    rows = DynamoRows(client, layout=layout, key_parts="video", owner_attribute="user_id", source_attribute="s3_key")
    desk.api = Api(replace(desk.parts(), rows=rows))
    if (answer := desk.post()).status != 202:  # noqa: PLR2004  a status of HTTP
        raise RuntimeError(f"the job did not begin: {answer.text}")
    client.update_item(
        TableName=layout.table_name, Key={"video_id": {"S": VIDEO}}, UpdateExpression=f"REMOVE {layout.due_at}"
    )
    return layout


def _measured(version: str, folder: Path, *, url: str, layout: TableLayout) -> Iterator[Measurement]:
    packaged = replace(
        packaged_function(version, folder),
        environment={"AWS_ENDPOINT_URL": url, "AI_VIDEO_BUCKET": "platform", "AI_VIDEO_MEDIA": "s3"},
    )
    bare = replace(packaged, handler="bare.handler", code=folder / "bare", layers=folder / "nothing")
    bare.layers.mkdir()
    bare.code.mkdir()
    (bare.code / "bare.py").write_text(BARE)
    read = {"table": layout.table_name, "key": {"video_id": {"S": VIDEO}}}
    paths: Mapping[str, tuple[Function, Mapping[str, Any], bytes]] = {
        "bare": (bare, read, b"true"),
        "get": (packaged, LOOK, b'"statusCode": 200'),
        "sweep": (packaged, SWEEP, b'"failed": 0'),
    }
    cold: dict[str, list[Invocation]] = {name: [] for name in paths}
    for number in range(RUNS):
        for name, (function, event, expected) in paths.items():
            cold[name].append(_first_answer(function, event, folder / f"{name}-{number}", expected=expected))
    wall = {name: statistics.median(one.seconds for one in of_path) * 1000 for name, of_path in cold.items()}
    cpu = {name: statistics.median(one.cpu_seconds for one in of_path) * 1000 for name, of_path in cold.items()}
    for name in ("get", "sweep"):
        beside = {
            "first_answer_wall_ms": round(wall[name], 1),
            "bare_wall_ms": round(wall["bare"], 1),
            "over_bare_wall_ms": round(wall[name] - wall["bare"], 1),
            "first_answer_cpu_ms": round(cpu[name], 1),
            "bare_cpu_ms": round(cpu["bare"], 1),
            "memory_mib": round(max(one.peak_memory_bytes for one in cold[name]) / 2**20, 1),
            "runs": RUNS,
        }
        figure = f"cold_start.{name}_cpu_ms_over_bare.python_{version}"
        yield Measurement(figure, cpu[name] - cpu["bare"], "ms", bound=BOUND_MS, beside=beside)


def _first_answer(function: Function, event: Mapping[str, Any], folder: Path, *, expected: bytes) -> Invocation:
    with LambdaService(folder) as service:
        service.deploy(function)
        invocation = service.invoke(event)
        if invocation.error is not None or expected not in invocation.answer:
            raise RuntimeError(f"{invocation.error}: {invocation.answer!r}\n{service.log}")
    return invocation
