"""What one job does on AWS, counted: the operations that `worker.costs` prices.  Needs dynoxide: `make dynoxide`.

The real machine, engine, store and quota on a DynamoDB, with vendors that take as long as they were seen to
(`latency`): means over ten jobs each of 8 scenes (48 s of recording) and of 24 (146 s), 50 submissions a minute.  A
turn's seconds are the virtual time for which it held its invocation: calls of vendors, the language model's thinking
and assembling, as long as `latency` says.  The worker's own CPU and DynamoDB's answers come on top (`worker.costs` says
how much).  Tokens are those of one plan by the real adapter and the simulated vendor, at four characters a token.  The
sweep's queries are those of one tick while a job waits, and while nothing is there.
"""

import io
import logging
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path

from mypy_boto3_dynamodb import DynamoDBClient

from benchmarks.dynamodb import OPERATION, PROMPT, Tally
from benchmarks.latency import SECONDS, Drawn, SlowPlanner, SlowRenderer, driven
from benchmarks.report import Measurement
from statemachine import Execution, TurnResult
from statemachine.aws.attribute_value import item_bytes
from statemachine.aws.dynamodb_store import DynamoStore
from statemachine.aws.table_layout import TableLayout
from statemachine.memory import MemoryDispatcher, MemoryStore
from statemachine.sweeper import Sweeper
from statemachine.testing import VirtualClock
from tests import dynamodb_tables as tables
from tests.dynoxide import running_dynoxide
from tests.simulators.openai import API_KEY
from tests.simulators.vendors import Vendors
from tests.worker.fakes import FakeMediaStore, spoken
from worker import telemetry
from worker.beats import cut_beats
from worker.job import BeatSlot, Job, Options, Transcript
from worker.models import VEO_3_1_FAST
from worker.ports import Clip, ClipRequest, OperationLost, Refused, ScenePlan
from worker.providers.dynamodb_quota import DynamoQuota
from worker.providers.openai_planner import OpenAiPlanner

DRAWS = 10
SENTENCE = "And when the morning came the keeper climbed the last stairs and looked over the quiet water once more ."


def measure() -> Iterator[Measurement]:
    """One line for each length, and one for the sweep."""
    with running_dynoxide() as url, Vendors() as vendors:
        for scenes, seconds in SECONDS.items():
            jobs = [_counted(url, scenes, draw) for draw in range(DRAWS)]
            means = {name: statistics.fmean(asdict(job)[name] for job in jobs) for name in asdict(jobs[0])}
            yield Measurement(
                f"operations.of_{scenes}_scenes",
                means.pop("turns"),
                "turns, each an invocation",
                beside={
                    "recording_seconds": seconds,
                    **{name: round(mean, 1) for name, mean in means.items()},
                    **_tokens(vendors, seconds),
                    "jobs": DRAWS,
                },
            )
    yield _sweep()


@dataclass(slots=True)
class _Counts:
    """Of one job, from its start to its completion."""

    turns: int = 0
    waits: int = 0
    turn_seconds: float = 0.0
    makespan_seconds: float = 0.0
    polls: int = 0
    writes: int = 0
    write_units: float = 0.0
    read_units: float = 0.0
    row_bytes: int = 0
    s3_writes: int = 0
    s3_reads: int = 0
    log_bytes: int = 0
    clip_seconds: float = 0.0

    def turn(self, result: TurnResult, seconds: float) -> None:
        """Count a turn, and what the function says of it."""
        self.turns += 1
        self.waits += result.kind == "waiting"
        self.turn_seconds += seconds
        telemetry.record_turn(result)
        telemetry.flush()


def _counted(url: str, scenes: int, draw: int) -> _Counts:
    luck, clock, counts = Drawn.of(scenes, draw), VirtualClock(), _Counts()
    media, renderer = _CountingMedia(), _WordyRenderer(clock, replace(VEO_3_1_FAST, per_minute=50), luck.clips)
    client, looker = tables.client_of(url), tables.client_of(url)
    # A table for each, because all of them begin at the same virtual moment and would share one minute's quota.
    layout = tables.created(looker, TableLayout(table_name=f"counted_{scenes}_{draw}"))
    execution_id = tables.with_row(looker, layout)
    tally = Tally()
    tally.attach(client)
    machine = luck.machine(
        clock,
        renderer=renderer,
        planner=_WordyPlanner(clock),
        media=media,
        quota=DynamoQuota(client, layout=layout),
    )
    began, said = clock.now(), io.StringIO()
    with redirect_stdout(said), _heard(said):
        store = _Store(client, looker, layout)
        job = driven(machine, clock, luck.chance, store=store, watch=counts.turn, execution_id=execution_id)
    _check(job, scenes)
    counts.makespan_seconds = (clock.now() - began).total_seconds()
    counts.polls = renderer.polls_made
    counts.writes, counts.write_units = len(tally.write_units), sum(tally.write_units)
    counts.read_units = tally.requests.get("GetItem", 0)  # the quota's row, consistently read, below 4 KB
    counts.row_bytes = item_bytes(tables.row(looker, layout, execution_id))
    counts.s3_writes, counts.s3_reads = media.written, media.read
    counts.log_bytes = len(said.getvalue().encode())
    counts.clip_seconds = sum(VEO_3_1_FAST.ordered_seconds(beat.seconds) for beat in job.beats)
    return counts


@contextmanager
def _heard(said: io.StringIO) -> Iterator[None]:
    """Let the log be written there, whatever other benchmarks of this run have done to it.

    Its handler keeps what was standard output when the process made its first logger of this name.
    """
    logger = telemetry.logger()
    logger.setLevel("INFO")
    handlers = [handler for handler in logger.handlers if isinstance(handler, logging.StreamHandler)]
    streams = [handler.setStream(said) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, streams, strict=True):
            handler.setStream(stream)


def _check(job: Job, scenes: int) -> None:
    if len(job.beats) != scenes or job.final_video_url is None:
        raise RuntimeError(f"the job made {len(job.beats)} scenes, not {scenes}: the figures would not compare")


class _Store(DynamoStore):
    """Looks at the record, which the engine never does, over a connection that nobody counts."""

    def __init__(self, client: DynamoDBClient, looker: DynamoDBClient, layout: TableLayout) -> None:
        super().__init__(client, layout=layout)
        self._looker = DynamoStore(looker, layout=layout)

    def get(self, execution_id: str) -> Execution:
        return self._looker.get(execution_id)


class _CountingMedia(FakeMediaStore):
    """Counts the requests that S3 would see: what writes, and what reads or lists."""

    def __init__(self) -> None:
        super().__init__()
        self.written = self.read = 0

    def upload(self, path: Path, key: str) -> None:
        self.written += 1
        super().upload(path, key)

    def write(self, data: bytes, key: str) -> None:
        self.written += 1
        super().write(data, key)

    def size(self, key: str) -> int | None:
        self.read += 1
        return super().size(key)

    def keys(self, prefix: str) -> Iterator[str]:
        self.written += 1  # listing is priced as writing
        return super().keys(prefix)

    def _found(self, key: str) -> bytes:
        self.read += 1
        return super()._found(key)


class _WordyPlanner(SlowPlanner):
    """Writes prompts as long as real ones."""

    def plan(
        self, slots: Sequence[BeatSlot], *, transcript: Transcript, options: Options, time_left: timedelta
    ) -> ScenePlan:
        plan = super().plan(slots, transcript=transcript, options=options, time_left=time_left)
        return replace(plan, beats=tuple(beat.model_copy(update={"visual_prompt": PROMPT}) for beat in plan.beats))


class _WordyRenderer(SlowRenderer):
    """Names operations as Vertex AI does."""

    def submit(self, request: ClipRequest) -> str:
        return OPERATION + super().submit(request)

    def poll(self, operation: str) -> Clip | Refused | OperationLost | None:
        return super().poll(operation.removeprefix(OPERATION))


def _tokens(vendors: Vendors, seconds: float) -> dict[str, float]:
    """What the adapter asks of the language model for a recording of this length, and what it is answered."""
    transcript = spoken(" ".join([SENTENCE] * round(seconds / 6)), seconds=seconds)
    slots = cut_beats(transcript.words, seconds, longest_seconds=VEO_3_1_FAST.longest_seconds, max_scenes=75)
    before = len(vendors.bill.responses)
    planner = OpenAiPlanner(API_KEY, clock=vendors.clock, base_url=f"{vendors.url}/v1")
    try:
        planner.plan(slots, transcript=transcript, options=Options(), time_left=timedelta(minutes=4))
    finally:
        planner.close()
    charges = vendors.bill.responses[before:]
    return {
        "tokens_in": sum(charge.input_tokens for charge in charges),
        "tokens_out": sum(charge.output_tokens for charge in charges),
    }


def _sweep() -> Measurement:
    """Queries of one tick, each of which asks every shard of the index."""
    waiting, idle = _queries(waits=True), _queries(waits=False)
    return Measurement(
        "operations.of_a_sweep",
        waiting.pop("queries"),
        "queries in one tick while a job waits",
        beside={"seconds": waiting["seconds"], "idle_queries": idle["queries"], "idle_seconds": idle["seconds"]},
    )


def _queries(*, waits: bool) -> dict[str, float]:
    clock, store = VirtualClock(), MemoryStore()
    if waits:
        now = clock.now()
        store.start(
            Execution(
                execution_id="waiting",
                machine="m",
                graph="g",
                state="working",
                status="processing",
                run_id="run",
                started_at=now,
                entered_at=now,
                updated_at=now,
                due_at=now + timedelta(minutes=10),
            ),
            replace=False,
        )
    report = Sweeper(store=store, dispatcher=MemoryDispatcher(), clock=clock).sweep()
    return {"queries": report.queries, "seconds": report.seconds}
