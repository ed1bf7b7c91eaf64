"""Many jobs at once on one region: the deployed worker, the simulated vendor of clips, and whoever counts.

Real are the machine, its steps, engine, store, quota, dispatcher and sweeper as `worker.bootstrap` builds them, every
call to DynamoDB (dynoxide) and every call to Vertex AI (the simulator, through the vendor's SDK).  Transcript, plan and
media are fakes that take as long as the real ones, since nothing of the load meets there.
"""

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from itertools import count
from pathlib import Path

from benchmarks._memory import resident_megabytes
from benchmarks._region import DISPATCH_TAKES, FUNCTION, AsynchronousLambda, Region, Wire
from benchmarks.latency import FETCH, POLL, SUBMIT, SlowAssembler, SlowPlanner, clip_seconds
from statemachine import Event, Execution, JsonValue, Machine, TransientError
from statemachine.aws.dynamodb_store import DynamoStore
from statemachine.aws.lambda_dispatcher import LambdaDispatcher
from statemachine.aws.table_layout import TableLayout
from statemachine.errors import StoreUnavailableError
from statemachine.record import Record
from statemachine.sweeper import Sweeper
from tests import dynamodb_tables as tables
from tests.simulators.scenario import Answer, Drop, Filtered, Lost, OperationFailed, Rule, Takes
from tests.simulators.vendors import Vendors
from tests.worker.fakes import FakeMediaStore, FakeSoftener, FakeTranscriber, spoken
from worker.bootstrap import Worker
from worker.edits import BeatEdit, retry_patch
from worker.foundation import SWEEP_THREADS, Clients
from worker.job import Job, Options, Recording, Transcript, new_job_data
from worker.models import VEO_3_1_FAST, VideoModel
from worker.pipeline import pipeline
from worker.ports import Clip, ClipRequest, OperationLost, Refused
from worker.providers.google_credentials import from_key
from worker.providers.veo import VeoRenderer, VertexProject
from worker.settings import Settings
from worker.steps.render import RenderPorts
from worker.steps.render.refusals import CONTENT_FILTERED

# A day on which the model is served.
BEGINS = datetime(2026, 11, 22, 12, tzinfo=UTC)

TIME_LEFT = timedelta(seconds=860)
STEP = timedelta(minutes=1)
SECONDS_OF_A_SCENE = 6.0
TRANSCRIBING_SECONDS = 20.0
NEVER = 1_000_000_000

TABLE = "video_metadata"
RULES_OF = {
    "429": Rule(place="veo.submit", effect=Answer(status=429)),
    "503": Rule(place="veo.submit", effect=Answer(status=503)),
    "503, accepted": Rule(place="veo.submit", effect=Answer(status=503, is_done=True)),
    "no answer, accepted": Rule(place="veo.submit", effect=Drop(is_done=True)),
    "poll 503": Rule(place="veo.poll", effect=Answer(status=503)),
    "filtered": Rule(place="veo.clip", effect=Filtered(support_codes=(61493863,))),
    "failed": Rule(place="veo.clip", effect=OperationFailed(code=13)),
    "forgotten": Rule(place="veo.clip", effect=Lost(is_made=True)),
    "never done": Rule(place="veo.clip", effect=Takes(polls=NEVER)),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One job that is asked for."""

    execution_id: str
    owner: str


def uneven(users: Mapping[str, int]) -> list[Asked]:
    """So many jobs of each user, in turn as far as they have any: job 1 of everybody, job 2 of everybody, and so on."""
    rounds = max(users.values())
    return [
        Asked(f"{owner}-{number:04d}", owner)
        for number in range(rounds)
        for owner, jobs in users.items()
        if number < jobs
    ]


class Crowd:
    """All jobs, from their start to their end.

    Attributes:
        wake_lateness: of every wait, from its due time to the first line of the turn, seconds.
        ended_at: by job.
        codes: of failures, by how often.
        megabytes: resident, when a tenth of the jobs had ended, and when all had.
    """

    def __init__(
        self,
        asked: Sequence[Asked],
        *,
        url: str,
        vendors: Vendors,
        region: Region,
        scenes: int,
    ) -> None:
        self.asked = asked
        self.vendors = vendors
        self.region = region
        self.wake_lateness: list[float] = []
        self.ended_at: dict[str, datetime] = {}
        self.waited_for_quota: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.sweeps = self.turns = 0
        self.megabytes: dict[int, float] = {}
        self.wall_seconds = self.cpu_seconds = 0.0
        self._due: dict[str, tuple[int, datetime]] = {}
        self._client = tables.client_of(url)
        self.wire = Wire(self._client, region)
        layout = tables.created(self._client, TableLayout(table_name=TABLE))
        for job in asked:
            self._client.put_item(TableName=layout.table_name, Item={"video_id": {"S": job.execution_id}})
        self.renderer = Vendor(vendors, region, model=VEO_3_1_FAST)
        self.worker = DeployedWorker(region, self.wire, self.renderer, run=self._turn, scenes=scenes)

    @property
    def began_at(self) -> datetime:
        """When everybody asked."""
        return BEGINS

    def start_all(self) -> None:
        """Everybody asks at once; the schedule is on."""
        for job in self.asked:
            self.region.after(timedelta(0), partial(self._start, job))
        self.region.schedule(self._sweep)

    def run(self, *, until: datetime, all_ended: bool = True) -> None:
        """Let time pass until every job has ended, or at most until then."""
        wall, cpu = time.perf_counter(), time.process_time()
        logging.disable(logging.ERROR)  # what goes wrong on purpose is counted, and would be told a thousand times
        try:
            while self.region.now() < until and not (all_ended and len(self.ended_at) == len(self.asked)):
                self.region.run(until=min(until, self.region.now() + STEP))
                self.vendors.journal.requests.clear()  # the stand-in's, and of no interest: they would count as memory
                share = 100 * len(self.ended_at) // len(self.asked)
                for percent in (10, 100):
                    if share >= percent and percent not in self.megabytes:
                        self.megabytes[percent] = resident_megabytes()
        finally:
            logging.disable(logging.NOTSET)
        self.wall_seconds += time.perf_counter() - wall
        self.cpu_seconds += time.process_time() - cpu

    def retry_failed(self) -> list[str]:
        """A person retries everything that failed; which jobs that are."""
        failed = [execution for job in self.asked if (execution := self.standing(job)).state == "failed"]
        for execution in failed:
            self.ended_at.pop(execution.execution_id, None)
            patch = _retry_of(Job.model_validate(execution.data))
            retry = partial(self.worker.engine.signal, execution.execution_id, "retried", patch=patch)
            self.region.after(timedelta(0), retry)
        return [execution.execution_id for execution in failed]

    def standing(self, job: Asked) -> Execution:
        """The record as it stands, over a connection that nobody counts and nothing befalls."""
        return DynamoStore(self._client, layout=TableLayout(table_name=TABLE)).get(job.execution_id)

    def close(self) -> None:
        """Close what the run held open."""
        self.renderer.close()
        self.worker.close()

    def _start(self, job: Asked) -> None:
        data = new_job_data(
            video_id=job.execution_id,
            run_id=f"run-{job.execution_id}",
            prefix=f"ai-video/{job.execution_id}/run/",
            recording=Recording(key="uploads/story.mp3", filename="story.mp3"),
            options=Options(),
            owner_id=job.owner,
        )
        while True:  # what a client does that gets no answer: the same request again
            try:
                self.worker.engine.start(job.execution_id, data, run_id=f"run-{job.execution_id}")
            except StoreUnavailableError:
                self.region.sleep(timedelta(seconds=5))
            else:
                return

    def _turn(self, execution_id: str, version: int) -> None:
        due = self._due.get(execution_id)
        if due is not None and due[0] == version:
            del self._due[execution_id]
            self.wake_lateness.append((self.region.now() - due[1]).total_seconds())
        self.turns += 1
        try:
            result = self.worker.engine.run_turn(Event(execution_id, version), time_left=TIME_LEFT)
        except StoreUnavailableError:
            self.kinds["store unavailable"] += 1
            return
        self.kinds[result.kind] += 1
        after = result.execution
        if after is None:
            return
        if result.kind == "waiting" and after.due_at is not None:
            self._due[execution_id] = (after.version, after.due_at)
        if after.status != "processing":
            self.ended_at[execution_id] = self.region.now()
            if after.status == "completed":
                self.worker.forget(execution_id)

    def _sweep(self) -> None:
        self.sweeps += 1
        self.worker.sweeper.sweep(time_left=TIME_LEFT)


class DeployedWorker(Worker):
    """The worker as it is deployed, with fakes where no load meets."""

    def __init__(
        self, region: Region, wire: Wire, renderer: "Vendor", *, run: Callable[[str, int], None], scenes: int
    ) -> None:
        settings = Settings(
            renderer="veo", transcriber="aws", planner="openai", table_name=TABLE, function_name=FUNCTION
        )
        clients = Clients()
        clients.dynamodb, clients.function = wire, AsynchronousLambda(region, run)
        super().__init__(settings, clock=region, clients=clients)
        # Sixteen at a time in one thread: each takes a sixteenth.
        side_by_side = AsynchronousLambda(region, run, takes=DISPATCH_TAKES / SWEEP_THREADS)
        dispatcher = LambdaDispatcher(side_by_side, FUNCTION)
        self.sweeper = Sweeper(store=self.store, dispatcher=dispatcher, clock=region)
        self._renderer = renderer
        self._region = region
        self._seconds = scenes * SECONDS_OF_A_SCENE
        self._media = FakeMediaStore()
        self._media.write(b"a recording", "uploads/story.mp3")

    @property
    def model(self) -> VideoModel:
        """As configured."""
        return VEO_3_1_FAST

    @cached_property
    def machine(self) -> Machine[Job]:
        """The pipeline; the order of the worker's own parts is that of `Worker.machine`."""
        ids = count(1)
        words = " ".join(f"the keeper lit lamp number {number} ." for number in range(round(self._seconds / 4)))
        return pipeline(
            transcriber=_Transcriber(spoken(words, seconds=self._seconds), self._region),
            planner=SlowPlanner(self._region),
            parts=RenderPorts(
                renderer=self._renderer,
                assembler=SlowAssembler(self._region, duration_seconds=self._seconds),
                media=self._media,
                new_id=lambda: f"{next(ids):016x}",
                softener=FakeSoftener(),
                quota=self.quota,
                threads=1,  # a thread of the step's own would have no place in virtual time
            ),
            longest_recording=self.settings.longest_recording,
            transcribing_turn=self.transcribing_turn,
            rendering_turn=self.rendering_turn,
            model=self.model,
        )

    def forget(self, execution_id: str) -> None:
        """Drop the objects of a job that has ended: they are in S3, and here they would count as memory."""
        prefix = f"ai-video/{execution_id}/"
        for key in [key for key in self._media.objects if key.startswith(prefix)]:
            del self._media.objects[key]


class _Transcriber(FakeTranscriber):
    """Has each transcript some time after it was asked for."""

    def __init__(self, transcript: Transcript, region: Region) -> None:
        super().__init__(transcript)
        self._region = region
        self._ready_at: dict[str, datetime] = {}

    def start(self, recording: Recording, *, job_id: str, language: str) -> str:  # noqa: ARG002  the port's
        takes = timedelta(seconds=TRANSCRIBING_SECONDS * self._region.chance.uniform(0.8, 1.5))
        self._ready_at.setdefault(job_id, self._region.now() + takes)
        return job_id

    def fetch(
        self,
        transcription_id: str,
        recording: Recording,  # noqa: ARG002  the port's
        *,
        time_left: timedelta,  # noqa: ARG002  the port's
    ) -> Transcript | None:
        return self.transcript if self._region.now() >= self._ready_at[transcription_id] else None


class Vendor:
    """The real renderer, in front of the simulated Vertex AI: takes time, and meets what the region's faults choose.

    The bytes of a clip are not fetched: the simulator would encode each of them.
    """

    def __init__(self, vendors: Vendors, region: Region, *, model: VideoModel) -> None:
        self._vendors = vendors
        self._region = region
        info = json.dumps(vendors.google.service_account_info(vendors.url))
        self._renderer = VeoRenderer(
            model,
            place=VertexProject("proj-1", "us-central1", vendors.url, vendors.url),
            tokens=from_key(lambda *, refresh: info),  # noqa: ARG005  the key stays the same
            output_uri="gs://clips",
            clock=region,
        )
        self.model = model
        self.group_size = self._renderer.group_size
        self.poll_every = self._renderer.poll_every
        self.first_poll_after = self._renderer.first_poll_after
        self.watch_for = self._renderer.watch_for
        self.calls: Counter[str] = Counter()

    def submit(self, request: ClipRequest) -> str:
        """Order a clip, whose time and fate are drawn now."""
        fault = self._before("submit", SUBMIT, request)
        self._vendors.google.veo.clip_takes = Takes(seconds=clip_seconds(self._region.chance))
        operation = self._renderer.submit(request)
        if fault == "killed after":
            self._region.kill()
        return operation

    def poll(self, operation: str) -> Clip | Refused | OperationLost | None:
        """Look at an operation."""
        self._before("poll", POLL, None)
        return self._renderer.poll(operation)

    def find(self, request: ClipRequest) -> str | Clip | None:
        """Look for a clip whose operation is not known."""
        self._before("find", POLL, None)
        return self._renderer.find(request)

    def fetch(self, clip: Clip, destination: Path) -> None:
        """Bring it home."""
        if self._before("fetch", FETCH, None) == "unavailable":
            raise TransientError("PROVIDER_UNAVAILABLE", "Cloud Storage is busy")
        destination.write_bytes(f"clip {clip.location}".encode())

    def close(self) -> None:
        """Close the connections."""
        self._renderer.close()

    def _before(self, call: str, seconds: float, request: ClipRequest | None) -> str:
        self.calls[call] += 1
        fault = self._region.boundary(call, takes=timedelta(seconds=seconds))
        scenario = self._vendors.scenario
        scenario.clear()
        chosen = [fault]
        if request is not None:
            fate = self._region.faults.at("clip")
            if fate:
                self._region.told[f"clip: {fate}"] += 1
            chosen.append(fate)
        scenario.add(*(RULES_OF[name] for name in chosen if name in RULES_OF))
        return fault


def _retry_of(job: Job) -> Mapping[tuple[str, ...], JsonValue]:
    """What a person's retry changes, who writes other words for what a filter refused."""
    refused = [task.scene_index for task in job.tasks if (task.status, task.error_code) == ("failed", CONTENT_FILTERED)]
    return retry_patch(job, [BeatEdit(scene_index=scene, visual_prompt="a calm harbour at dusk") for scene in refused])


class OrderedPlace(Record):
    """For what a clip was ordered, as the place says to which the vendor is to write it."""

    job: str
    scene: int
    intent_id: str


def place_of(storage_uri: str) -> OrderedPlace:
    """'gs://clips/ai-video/JOB/run/render/SCENE/INTENT/', taken apart."""
    parts = storage_uri.rstrip("/").split("/")
    return OrderedPlace(parts[parts.index("ai-video") + 1], int(parts[-2]), parts[-1])
