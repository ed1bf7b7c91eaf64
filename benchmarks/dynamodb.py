"""What a job costs on DynamoDB, and whether a lease ever has two winners.  Needs dynoxide: `make dynoxide`.

The job is the real machine with fakes behind its ports, on 48 seconds of speech: eight scenes, a clip found ready at
the third look.  Write units are those that dynoxide reports with every answer, indexes included; its arithmetic agreed
with DynamoDB's rules in 11 checks of 11 (2026-11-22).
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

from mypy_boto3_dynamodb import DynamoDBClient

from benchmarks.report import Measurement
from statemachine.aws.attribute_value import MAX_ITEM_BYTES, item_bytes
from statemachine.aws.dynamodb_store import DynamoStore
from statemachine.aws.table_layout import TableLayout
from statemachine.dispatcher import Event
from statemachine.engine import Engine
from statemachine.execution import Execution, Patch, Path
from statemachine.memory import MemoryDispatcher
from statemachine.testing import VirtualClock
from tests import dynamodb_tables as tables
from tests.dynoxide import running_dynoxide
from tests.racing import raced
from tests.records import longest_record
from tests.worker.fakes import FakeAssembler, FakeMediaStore, FakePlanner, FakeRenderer, FakeTranscriber, spoken
from worker.job import BeatSlot, Job, Options, Recording, Transcript, new_job_data
from worker.pipeline import pipeline
from worker.ports import Clip, ClipRequest, OperationLost, Refused, ScenePlan
from worker.steps.render import RenderPorts

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SCENES = 8
SPEECH_SECONDS = 48.0
SENTENCE = "And when the morning came the keeper climbed the last stairs and looked over the quiet water once more ."
PROMPT = (
    "Wide aerial shot of a lonely lighthouse on a rocky coast at dawn, waves breaking slowly below, warm light from "
    "the lantern room; the keeper in a dark blue coat walks along the railing and looks out over the sea. Slow dolly "
    "forward, soft haze, muted teal and amber, painterly light, no text."
)
OPERATION = "projects/video-platform-prod/locations/us-central1/publishers/google/models/veo-3.1-fast-generate-001/"
VIDEO_ID = "3f6a1c2e-9b54-4d0e-8f7a-2c1b0d9e8f7a"

RACERS = 100
ROUNDS = 100

# What design asks of the record of the longest job: a sixth of what an item may hold.
LONGEST_RECORD_BYTES = 64 * 1024


def measure() -> Iterator[Measurement]:
    """Every figure of the store on DynamoDB."""
    yield _record_bytes()
    with running_dynoxide() as url:
        yield from _jobs(tables.client_of(url))
        yield _races(tables.client_of(url, max_connections=RACERS))


def _record_bytes() -> Measurement:
    record = longest_record()
    data = record["ai_generation_data"]["M"]
    return Measurement(
        "dynamodb.longest_record_bytes",
        item_bytes(record),
        "bytes",
        bound=LONGEST_RECORD_BYTES,
        beside={
            "item_limit": MAX_ITEM_BYTES,
            "scenes": len(data["scene_beats"]["M"]),
            "bytes_of_beats": item_bytes({"scene_beats": data["scene_beats"]}),
            "bytes_of_tasks": item_bytes({"vertex_ai_tasks": data["vertex_ai_tasks"]}),
        },
    )


# --- a job ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Tally:
    """What went over the wire: requests by name, and the units of every write."""

    requests: dict[str, int] = field(default_factory=dict)
    write_units: list[float] = field(default_factory=list)

    def attach(self, client: DynamoDBClient) -> None:
        """Count what this client does from now on."""
        events = client.meta.events
        events.register("before-send.dynamodb", self._sent)
        events.register("before-parameter-build.dynamodb.UpdateItem", _ask_for_units)
        events.register("after-call.dynamodb.UpdateItem", self._answered)

    def _sent(self, event_name: str, **_: object) -> None:
        operation = event_name.rsplit(".", 1)[-1]
        self.requests[operation] = self.requests.get(operation, 0) + 1

    def _answered(self, parsed: Mapping[str, Any], **_: object) -> None:
        if "Error" not in parsed:  # a condition did not hold; what was asked for then is repeated
            self.write_units.append(parsed["ConsumedCapacity"]["CapacityUnits"])


def _ask_for_units(params: dict[str, Any], **_: object) -> None:
    params["ReturnConsumedCapacity"] = "TOTAL"


class _CountingStore(DynamoStore):
    """Knows how often a step asked for a write of its own."""

    asked_by_steps = 0

    def checkpoint(self, execution_id: str, *, owner: str, patch: Patch) -> None:
        self.asked_by_steps += 1
        super().checkpoint(execution_id, owner=owner, patch=patch)

    def record_fact(self, execution_id: str, *, path: Path, intent_id: str, operation: str, owner: str) -> bool:
        self.asked_by_steps += 1
        return super().record_fact(execution_id, path=path, intent_id=intent_id, operation=operation, owner=owner)


class _WordyPlanner(FakePlanner):
    """Writes prompts as long as real ones."""

    def plan(
        self, slots: Sequence[BeatSlot], *, transcript: Transcript, options: Options, time_left: timedelta
    ) -> ScenePlan:
        plan = super().plan(slots, transcript=transcript, options=options, time_left=time_left)
        return replace(plan, beats=tuple(beat.model_copy(update={"visual_prompt": PROMPT}) for beat in plan.beats))


class _WordyRenderer(FakeRenderer):
    """Names operations as Vertex AI does."""

    def submit(self, request: ClipRequest) -> str:
        return OPERATION + super().submit(request)

    def poll(self, operation: str) -> Clip | Refused | OperationLost | None:
        return super().poll(operation.removeprefix(OPERATION))


def _jobs(client: DynamoDBClient) -> Iterator[Measurement]:
    layouts = {
        "no_index": TableLayout(table_name="no_index", index_name=None),
        "due_index": TableLayout(table_name="due_index"),
        "due_and_all_index": TableLayout(table_name="due_and_all_index"),
    }
    for name, layout in layouts.items():
        tables.created(client, layout, copies_everything=name == "due_and_all_index")
    runs = {name: _run(client, layout) for name, layout in layouts.items()}

    first = runs["due_index"]
    yield Measurement(
        "dynamodb.writes_per_turn",
        (first.tally.requests["UpdateItem"] - 1 - first.asked_by_steps) / first.turns,
        "writes beside those that a step asked for",
        bound=2.0,
        beside={
            "turns": first.turns,
            "asked_by_steps": first.asked_by_steps,
            "reads": sum(first.tally.requests.values()) - first.tally.requests["UpdateItem"],
        },
    )
    for name, run in runs.items():
        units = run.tally.write_units
        yield Measurement(
            f"dynamodb.write_units_per_job_{name}",
            sum(units),
            "write units",
            beside={
                "scenes": SCENES,
                "turns": run.turns,
                "writes": len(units),
                "units_per_turn": round(sum(units) / run.turns, 2),
                "median_units_per_write": statistics.median(units),
                "row_bytes_at_end": run.row_bytes,
            },
        )


@dataclass(frozen=True, slots=True)
class _Run:
    """One job from start to end."""

    tally: Tally
    turns: int
    asked_by_steps: int
    row_bytes: int


def _run(client: DynamoDBClient, layout: TableLayout) -> _Run:
    own_client = tables.client_of(client.meta.endpoint_url)
    store, tally = _CountingStore(own_client, layout=layout), Tally()
    client.put_item(
        TableName=layout.table_name,
        Item={**tables.FOREIGN, "video_id": {"S": VIDEO_ID}, "owner": {"S": "1b2c3d4e-5f60-7182-93a4-b5c6d7e8f901"}},
    )
    tally.attach(own_client)
    turns = _drive(store)
    job = Job.model_validate(DynamoStore(client, layout=layout).get(VIDEO_ID).data)
    if len(job.beats) != SCENES or job.final_video_url is None:
        raise RuntimeError(f"the job made {len(job.beats)} scenes, not {SCENES}: the figures would not compare")
    return _Run(tally, turns, store.asked_by_steps, item_bytes(tables.row(client, layout, VIDEO_ID)))


def _drive(store: DynamoStore) -> int:
    """Run one job to its end; return how many turns it took."""
    media, ids = FakeMediaStore(), count(1)
    media.write(b"a recording", "uploads/story.mp3")
    transcript = spoken(f"{SENTENCE} " * SCENES, seconds=SPEECH_SECONDS)
    machine = pipeline(
        transcriber=FakeTranscriber(transcript, polls=3),
        planner=_WordyPlanner(),
        parts=RenderPorts(
            _WordyRenderer(polls=2),
            FakeAssembler(duration_seconds=SPEECH_SECONDS),
            media,
            lambda: f"{next(ids):032x}",
        ),
        longest_recording=timedelta(minutes=10),
        transcribing_turn=timedelta(minutes=3),
        rendering_turn=timedelta(minutes=2),
    )
    clock, dispatcher, turns = VirtualClock(), MemoryDispatcher(), 0
    engine = Engine(machine, store=store, dispatcher=dispatcher, clock=clock)
    execution: Execution | None = engine.start(
        VIDEO_ID,
        new_job_data(
            video_id=VIDEO_ID,
            run_id="a" * 32,
            prefix=f"ai-video/{VIDEO_ID}/{'a' * 32}/",
            recording=Recording(key="uploads/story.mp3", filename="story.mp3"),
            options=Options(),
        ),
    )
    while execution is not None and execution.due_at is not None:
        if not dispatcher.events:
            clock.sleep(execution.due_at - clock.now())
            dispatcher.dispatch(Event(execution.execution_id, execution.version))
        execution = engine.run_turn(dispatcher.events.popleft(), time_left=timedelta(minutes=15)).execution
        turns += 1
    return turns


# --- races ------------------------------------------------------------------------------------------------------------


def _races(client: DynamoDBClient) -> Measurement:
    """Rounds in which exactly one of all racers got the lease, and the row says the same."""
    layout = tables.created(client, TableLayout(table_name="races"))
    store = DynamoStore(client, layout=layout)
    fair = 0
    with ThreadPoolExecutor(max_workers=RACERS) as pool:
        for number in range(ROUNDS):
            execution_id = tables.with_row(client, layout, number)
            store.start(_one_turn(execution_id), replace=False)
            answers = raced(pool, RACERS, partial(_take, store, execution_id))
            won = [answer for answer in answers if isinstance(answer, Execution)]
            fair += won == [store.get(execution_id)]
    return Measurement(
        "dynamodb.rounds_with_one_winner", fair, "rounds", bound=ROUNDS, at_least=True, beside={"racers": RACERS}
    )


def _one_turn(execution_id: str) -> Execution:
    return Execution(
        execution_id=execution_id,
        machine="race",
        graph="0",
        state="running",
        status="processing",
        run_id="run",
        started_at=NOON,
        entered_at=NOON,
        updated_at=NOON,
    )


def _take(store: DynamoStore, execution_id: str, number: int) -> Execution:
    return store.lease(
        execution_id, version=1, owner=f"racer-{number}", now=NOON, at_most=timedelta.max, margin=timedelta(0)
    )
