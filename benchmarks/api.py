"""What the HTTP API adds to the table's own answer, and what a start sends.  Needs dynoxide: `make dynoxide`.

The time of the read is taken inside each answer, so that whatever else the machine does meets both.  On a busy machine
read the ratio to `constant_ms`, work of a fixed amount that is done after each answer.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import boto3
from moto.server import ThreadedMotoServer

from benchmarks.report import Measurement
from statemachine.aws.dynamodb_store import DynamoStore
from statemachine.aws.lambda_dispatcher import LambdaDispatcher
from statemachine.aws.table_layout import TableLayout
from tests import dynamodb_tables as tables
from tests.aws_wire import Answer, Wire
from tests.dynoxide import running_dynoxide
from tests.worker.fakes import planned_job_data
from tests.worker.handlers.api.desk import ADA, VIDEO, Desk, rest_event
from worker import telemetry
from worker.handlers.api.routes import Api
from worker.limits import Limits
from worker.providers.dynamodb_rows import DynamoRows
from worker.providers.pyav_probe import probe
from worker.providers.s3_links import S3Links, SigningKey
from worker.providers.s3_media_store import S3MediaStore
from worker.rows import Row, Rows

# A usual job, and the longest.  Every address of a completed one is signed: two for each scene, and some more.
SCENES, MOST_SCENES = 9, 75
LOOKS = 300
SAMPLE = Path(__file__).parents[1] / "samples" / "narration_human_librivox.mp3"
BUCKET, KEY = "platform", "uploads/reading.mp3"
COUNTED = Limits(daily_usd=100, concurrent_jobs=5)


def measure() -> Iterator[Measurement]:
    """Every figure of the API."""
    telemetry.logger().setLevel("ERROR")  # what it logs would stand among the figures
    with running_dynoxide() as url:
        yield _looking(tables.client_of(url), "api.get_ms_over_read", scenes=SCENES, bound=2.0)
        yield _looking(tables.client_of(url), "api.get_longest_ms_over_read", scenes=MOST_SCENES, bound=None)
        for number, limits in enumerate((Limits(), COUNTED)):
            yield from _starting(tables.client_of(url), number, limits)
    yield _signing()


class _Timed:
    """Rows that say how long their last look took."""

    def __init__(self, rows: DynamoRows) -> None:
        self._rows = rows
        self.wall_ms = 0.0
        self.cpu_ms = 0.0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever else rows do
        return getattr(self._rows, name)

    def find(self, video_id: str, *, user_id: str, any_owner: bool = False) -> Row | None:
        """Look, and keep how long it took."""
        begun, begun_cpu = time.perf_counter(), time.process_time()
        row = self._rows.find(video_id, user_id=user_id, any_owner=any_owner)
        self.cpu_ms = (time.process_time() - begun_cpu) * 1000
        self.wall_ms = (time.perf_counter() - begun) * 1000
        return row


def _looking(client: Any, name: str, *, scenes: int, bound: float | None) -> Measurement:  # noqa: ANN401  boto3 makes its clients at run time
    desk, store, rows = _desk(client, f"looking_{scenes}", Limits())
    desk.post()
    _complete(store, scenes)
    event = rest_event("GET", "/ai-video", {"sub": ADA}, {"videoId": VIDEO}, None, {})
    answer = desk.answer(event)
    known = rest_event(
        "GET", "/ai-video", {"sub": ADA}, {"videoId": VIDEO}, None, {"If-None-Match": answer.headers["ETag"]}
    )
    if answer.status != 200 or desk.answer(known).status != 304:  # noqa: PLR2004  a status of HTTP
        raise RuntimeError(f"the API answered {answer.status}: {answer.text[:200]}")
    timed, signer = _Timed(rows), _signer()
    desk.api = Api(replace(desk.parts(), rows=cast(Rows, timed), links=lambda: signer))
    whole, same, read, over, cpu, constant = [], [], [], [], [], []
    for _ in range(LOOKS):
        begun_cpu = time.process_time()
        whole.append(_ms(lambda: desk.api.answer(event)))
        cpu.append((time.process_time() - begun_cpu) * 1000 - timed.cpu_ms)
        read.append(timed.wall_ms)
        over.append(whole[-1] - timed.wall_ms)
        same.append(_ms(lambda: desk.api.answer(known)) - timed.wall_ms)
        telemetry.metrics().clear_metrics()
        constant.append(_ms(_constant_work))
    return Measurement(
        name,
        statistics.median(over),
        "ms",
        bound=bound,
        beside={
            "handler_ms": statistics.median(whole),
            "read_ms": statistics.median(read),
            "cpu_ms_over_read": statistics.median(cpu),
            "not_modified_ms_over_read": statistics.median(same),
            "constant_ms": statistics.median(constant),
            "ratio_to_constant": statistics.median(over) / statistics.median(constant),
            "body_bytes": len(answer.text),
            "scenes": scenes,
            "looks": LOOKS,
        },
    )


def _starting(client: Any, number: int, limits: Limits) -> Iterator[Measurement]:  # noqa: ANN401  as above
    how = "counted" if limits.counts_users else "uncounted"
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        session = boto3.Session("none", "none", region_name="eu-central-1")
        s3 = session.client("s3", endpoint_url=f"http://{host}:{port}")
        bucket = f"{BUCKET}-{how}"
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        s3.upload_file(str(SAMPLE), bucket, KEY)
        function = session.client("lambda", endpoint_url=f"http://{host}:{port}")
        wires = {"table": Wire(client), "bucket": Wire(s3), "function": Wire(function)}
        wires["function"].troubles.append(Answer(202))
        media = S3MediaStore(s3, bucket)
        desk, _, rows = _desk(client, f"starting_{number}", limits, source=KEY)
        desk.dispatcher = LambdaDispatcher(function, function_name="ai-video")  # type: ignore[assignment]  # same port
        parts = replace(desk.parts(), rows=rows, probe=lambda key, check: probe(media, key, before_each_read=check))
        desk.api = Api(parts)
        for wire in wires.values():
            wire.requests.clear()
        answer = desk.post()
        if answer.status != 202:  # noqa: PLR2004  a status of HTTP
            raise RuntimeError(f"the API answered {answer.status}: {answer.text[:200]}")
    finally:
        server.stop()
    sent = wires["table"].operations
    reads = sum(operation in {"GetItem", "BatchGetItem", "Query"} for operation in sent)
    read_bytes = sum(
        int(end) - int(start) + 1
        for request in wires["bucket"].requests
        if "Range" in request.headers
        for start, end in [request.headers["Range"].removeprefix("bytes=").split("-")]
    )
    beside: Mapping[str, float | str] = {
        "table": ", ".join(sent),
        "bucket": ", ".join(wires["bucket"].operations),
        "probe_bytes": read_bytes,
        "recording_bytes": SAMPLE.stat().st_size,
    }
    yield Measurement(f"api.start_{how}_reads", reads, "requests", bound=1, beside=beside)
    yield Measurement(f"api.start_{how}_writes", len(sent) - reads, "requests", bound=1)
    yield Measurement(f"api.start_{how}_dispatches", len(wires["function"].requests), "requests", bound=1)


def _signing() -> Measurement:
    signer = _signer()
    window = signer.window(Desk().clock.now())
    taken = [
        _ms(lambda: [signer.link(f"ai-video/v/r/clips/{n:03d}.mp4", window) for n in range(150)]) for _ in range(30)
    ]
    client = boto3.Session("none", "none", region_name="eu-central-1").client("s3")
    params = {"Bucket": BUCKET, "Key": "ai-video/v/r/clips/000.mp4"}
    theirs = [_ms(lambda: client.generate_presigned_url("get_object", Params=params)) for _ in range(100)]
    return Measurement(
        "api.signed_address_us",
        statistics.median(taken) / 150 * 1000,
        "µs",
        beside={"boto3_us": statistics.median(theirs) * 1000},
    )


def _desk(client: Any, name: str, limits: Limits, *, source: str = "s") -> tuple[Desk, DynamoStore, DynamoRows]:  # noqa: ANN401  as above
    layout = tables.created(client, tables.named(TableLayout(), f"api_{name}"))
    item = {"video_id": {"S": VIDEO}, "user_id": {"S": ADA}, "s3_key": {"S": source}}
    client.put_item(TableName=layout.table_name, Item=item)
    store = DynamoStore(client, layout=layout)
    desk = Desk(limits=limits)
    signer = _signer()
    rows = DynamoRows(client, layout=layout, key_parts="video", owner_attribute="user_id", source_attribute="s3_key")
    desk.api = Api(replace(desk.parts(), rows=rows, links=lambda: signer))
    return desk, store, rows


def _complete(store: DynamoStore, scenes: int) -> None:
    """Make of the job that was begun a completed one, by putting the data of one in its place."""
    data = json.loads(json.dumps(planned_job_data(scenes=scenes)))
    prefix = data["prefix"]
    for key, task in data["vertex_ai_tasks"].items():
        task |= {"status": "completed", "clip_key": f"{prefix}clips/{key}.mp4", "thumbnail_key": f"{prefix}t/{key}.jpg"}
        task["attempts"]["001"] = {
            "intent_id": f"intent-{key}",
            "beat_revision": 1,
            "model": "fake",
            "seconds": 6.0,
            "price_usd": 0.6,
            "operation": f"operations/{key}",
            "outcome": "clip",
        }
    data["media"] = {name: f"{prefix}{name}" for name in ("video_key", "poster_key", "captions_key")}
    data["audio_transcription"] = {"text": "word " * 800, "full_json_s3_key": f"{prefix}transcript.json"}
    begun = store.get(VIDEO)
    ended = begun.changed(version=begun.version + 1, state="completed", status="completed", last_signal="done")
    store.signal(ended.changed(due_at=None), patch={(name,): value for name, value in data.items()})


def _constant_work() -> int:
    return sum(number * number for number in range(10_000))


def _signer() -> S3Links:
    key = SigningKey("AKIDEXAMPLE", "none", "a" * 400)
    return S3Links(endpoint=f"https://{BUCKET}.s3.eu-central-1.amazonaws.com", region="eu-central-1", key=lambda: key)


def _ms(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1000
