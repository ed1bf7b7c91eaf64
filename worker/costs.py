"""What videos cost: counted operations of a job, times unit prices that name their source.  Pure.

Veo's and the language models' prices stand in `worker.models`, and nowhere else.  Everything else is `PRICES`, for the
region us-east-1.  No free tier and no discount is taken off.  What a job does was counted by `python -m benchmarks
operations`; what could not be counted without an account is an assumption, and is listed as one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from worker.beats import cut_beats
from worker.models import LanguageModel, VideoModel

READ_ON = date(2026, 11, 22)
COUNTED_ON = date(2026, 11, 23)
REGION = "us-east-1"

MONTH_SECONDS = 365.25 / 12 * 86_400
GB = 1024**3
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """What a unit of something costs.

    Attributes:
        per: the units that `usd` buys.
        source: the vendor's page.
        is_secondary: read in public copies of the page, which itself showed no figures or was not to be had.
    """

    what: str
    usd: float
    per: float
    unit: str
    source: str
    is_secondary: bool = True
    note: str = ""

    def of(self, quantity: float) -> float:
        """What `quantity` units cost."""
        return quantity * self.usd / self.per


_LAMBDA = "aws.amazon.com/lambda/pricing"
_DYNAMODB = "aws.amazon.com/dynamodb/pricing/on-demand"
_S3 = "aws.amazon.com/s3/pricing"
_CLOUDWATCH = "aws.amazon.com/cloudwatch/pricing"

LAMBDA_GB_SECOND = Price("Lambda, x86", 0.0000166667, 1, "GB-second", _LAMBDA, note="arm64: a fifth less")
LAMBDA_REQUEST = Price("Lambda requests", 0.20, MILLION, "requests", _LAMBDA)
DYNAMODB_WRITE = Price("DynamoDB on demand", 0.625, MILLION, "write units", _DYNAMODB)
DYNAMODB_READ = Price("DynamoDB on demand", 0.125, MILLION, "read units", _DYNAMODB)
S3_WRITE = Price("S3 requests that write or list", 0.005, 1000, "requests", _S3)
S3_READ = Price("S3 requests that read", 0.0004, 1000, "requests", _S3)
S3_STORAGE = Price("S3 Standard", 0.023, 1, "GB-months", _S3)
SCHEDULE = Price("EventBridge Scheduler", 1.00, MILLION, "invocations", "aws.amazon.com/eventbridge/pricing")
LOGS = Price("CloudWatch Logs, ingested", 0.50, 1, "GB", _CLOUDWATCH)
METRIC = Price(
    "CloudWatch metrics", 0.30, 1, "metric-months", _CLOUDWATCH, note="an hour without a value costs nothing"
)
ALARM = Price("CloudWatch alarms", 0.10, 1, "alarm-months", _CLOUDWATCH)
SECRET = Price("Secrets Manager", 0.40, 1, "secret-months", "aws.amazon.com/secrets-manager/pricing")
GATEWAY = Price(
    "API Gateway, REST", 3.50, MILLION, "requests", "aws.amazon.com/api-gateway/pricing", note="an HTTP API: 1.00"
)
TRANSCRIBE = Price(
    "Transcribe, batch",
    0.024,
    60,
    "seconds",
    "aws.amazon.com/transcribe/pricing",
    note="at least 15 s a job; copies of the price list of September 2026 have a quarter of this",
)
GCS_EGRESS = Price("Google, data to the internet", 0.12, 1, "GB", "cloud.google.com/vpc/network-pricing")
GCS_STORAGE = Price("Cloud Storage Standard", 0.020, 1, "GB-months", "cloud.google.com/storage/pricing")
TRANSITION = Price(
    "Step Functions Standard",
    0.025,
    1000,
    "state transitions",
    "aws.amazon.com/step-functions/pricing",
    is_secondary=False,
    note="read in a stored copy of the page itself",
)
DURABLE_OPERATION = Price("Lambda durable functions", 8.00, MILLION, "operations", _LAMBDA)
DURABLE_WRITTEN = Price("Lambda durable functions, written", 0.25, 1, "GB", _LAMBDA)
DURABLE_KEPT = Price("Lambda durable functions, kept", 0.15, 1, "GB-months", _LAMBDA)

PRICES = (
    LAMBDA_GB_SECOND,
    LAMBDA_REQUEST,
    DYNAMODB_WRITE,
    DYNAMODB_READ,
    S3_WRITE,
    S3_READ,
    S3_STORAGE,
    SCHEDULE,
    LOGS,
    METRIC,
    ALARM,
    SECRET,
    GATEWAY,
    TRANSCRIBE,
    GCS_EGRESS,
    GCS_STORAGE,
    TRANSITION,
    DURABLE_OPERATION,
    DURABLE_WRITTEN,
    DURABLE_KEPT,
)


# --- what a job does ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Operations:
    """What one job does; every figure but the last two is a mean of counted jobs.

    Attributes:
        turns: invocations that run a step; `waits` of them end with a wait.
        turn_seconds: for how long those invocations call vendors and assemble.
        makespan_seconds: from the start to the finished video.
        polls: of single clips.
        write_units: of the table and its due index.
        read_units: of the quota's row.
        s3_writes, s3_reads: requests; listing counts as writing.
        log_bytes: of the function's own lines.
        tokens_in, tokens_out: of the plan, at four characters a token.
    """

    scenes: float
    recording_seconds: float
    turns: float
    waits: float
    turn_seconds: float
    makespan_seconds: float
    polls: float
    writes: float
    write_units: float
    read_units: float
    row_bytes: float
    s3_writes: float
    s3_reads: float
    log_bytes: float
    tokens_in: float
    tokens_out: float


# `python -m benchmarks operations`, on the day above, kept in benchmarks/results.jsonl (a test compares the two).
OF_8_SCENES = Operations(
    scenes=8,
    recording_seconds=48.0,
    turns=27.0,
    waits=23.0,
    turn_seconds=43.0,
    makespan_seconds=237.8,
    polls=39.2,
    writes=74.0,
    write_units=612.6,
    read_units=1.0,
    row_bytes=7787.0,
    s3_writes=23.0,
    s3_reads=14.0,
    log_bytes=21286.2,
    tokens_in=1143,
    tokens_out=676,
)
OF_24_SCENES = Operations(
    scenes=24,
    recording_seconds=146.0,
    turns=24.0,
    waits=20.0,
    turn_seconds=82.5,
    makespan_seconds=358.3,
    polls=75.5,
    writes=104.0,
    write_units=1641.1,
    read_units=3.0,
    row_bytes=18767.6,
    s3_writes=55.0,
    s3_reads=30.0,
    log_bytes=18296.6,
    tokens_in=3628,
    tokens_out=1856,
)
SWEEP_SECONDS = 75.0
SWEEP_QUERIES = 150
IDLE_SWEEP_QUERIES = 2


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What was not counted, and what a deployment chooses.

    Attributes:
        memory_mb: of the function, as the Terraform module has it.
        sweep_memory_mb: of what sweeps, which is the same function.
        turn_overhead_seconds: of each turn, for DynamoDB's answers and our own processor time.
        cold_share, cold_seconds: how many invocations start cold, and what that adds to their bill.
        idle_sweep_seconds: of a sweep that finds nothing.
        due_shards: of the due index; each query asks all of them, for half a read unit each.
        sweep_log_bytes: of one sweep, with what Lambda itself writes.
        watch_every_seconds: how often a page asks while its video is made (the API says so in `Retry-After`); one page.
        request_seconds: of one such answer.
        clip_bytes_per_second: of clips at 720p: 4.6 Mbit/s.
        months_kept: for how long clips and video are kept, in the bucket; Google's copies go after one.
        log_platform_bytes: what Lambda itself writes for each invocation (START, END, REPORT).
        metrics, alarms, secrets: as the Terraform module makes them; the metrics are those that every month has.
    """

    memory_mb: int = 1769
    sweep_memory_mb: int = 1769
    turn_overhead_seconds: float = 0.05
    cold_share: float = 0.05
    cold_seconds: float = 1.5
    idle_sweep_seconds: float = 0.1
    due_shards: int = 4
    sweep_log_bytes: float = 900.0
    watch_every_seconds: float = 5.0
    request_seconds: float = 0.05
    clip_bytes_per_second: float = 0.58e6
    months_kept: float = 1.0
    log_platform_bytes: float = 350.0
    metrics: int = 14
    alarms: int = 9
    secrets: int = 1

    @property
    def read_units_a_query(self) -> float:
        """What one look at the due index costs."""
        return 0.5 * self.due_shards

    def lambda_usd(self, seconds: float, *, memory_mb: int | None = None) -> float:
        """What so many billed seconds of the function cost."""
        return LAMBDA_GB_SECOND.of(seconds * (memory_mb or self.memory_mb) / 1024)


USUAL = Assumptions()


def operations(scenes: int, recording_seconds: float) -> Operations:
    """What a job of so many scenes does: on the line through the two that were counted, and never less than nothing."""
    share = (scenes - OF_8_SCENES.scenes) / (OF_24_SCENES.scenes - OF_8_SCENES.scenes)
    figures = {
        name: max(0.0, getattr(OF_8_SCENES, name) + share * (getattr(OF_24_SCENES, name) - getattr(OF_8_SCENES, name)))
        for name in Operations.__dataclass_fields__
    }
    return replace(Operations(**figures), scenes=scenes, recording_seconds=recording_seconds)


@dataclass(frozen=True, slots=True)
class Clips:
    """The clips of one video: from the least that they can be to the most; where the cuts fall decides between them."""

    scenes: int
    seconds_low: float
    seconds_high: float
    usd_low: float
    usd_high: float


def clips(recording_seconds: float, *, model: VideoModel, max_scenes: int) -> Clips:
    """The clips for a recording of this length, by the rule that cuts it into scenes.

    Raises:
        PermanentError: code TOO_LONG, the scenes that are allowed do not cover it.
    """
    slots = cut_beats((), recording_seconds, longest_seconds=model.longest_seconds, max_scenes=max_scenes)
    shortest_clip = min(model.clip_seconds, default=0)
    low = max(recording_seconds, len(slots) * float(shortest_clip))
    longest_clip = model.ordered_seconds(model.longest_seconds)
    high = len(slots) * longest_clip if model.clip_seconds else recording_seconds
    return Clips(len(slots), low, high, low * model.usd_per_second, high * model.usd_per_second)


# --- what that costs ------------------------------------------------------------------------------------------------

Part = Literal["clips", "words", "speech", "orchestration", "storage", "page", "standing"]

# Of a bill, in the order in which they are told.
PARTS: Mapping[Part, str] = {
    "clips": "Google: the video model",
    "words": "OpenAI: the language model's plan",
    "speech": "AWS: Transcribe",
    "orchestration": "AWS: turns, sweep, table, logs",
    "storage": "AWS: objects; Google: clips on their way here",
    "page": "AWS: one page that watches",
    "standing": "AWS: what stands there whether or not any video is made",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a bill: so much of something, and what it costs."""

    part: Part
    what: str
    quantity: float
    unit: str
    usd: float


@dataclass(frozen=True, slots=True)
class Bill:
    """What one month costs in which so many videos of one length are made.

    Attributes:
        items: of the whole month; clips at the most that they can be.
        clips: of one video.
    """

    videos: float
    clips: Clips
    items: tuple[Item, ...]

    @property
    def usd(self) -> float:
        """Everything."""
        return math.fsum(item.usd for item in self.items)

    @property
    def usd_at_least(self) -> float:
        """Everything, with the clips at the least that they can be."""
        return self.usd - self.videos * (self.clips.usd_high - self.clips.usd_low)

    def of(self, *parts: Part) -> float:
        """What these parts cost."""
        return math.fsum(item.usd for item in self.items if item.part in parts)

    @property
    def usd_per_video(self) -> float:
        """A video's share of everything but what stands there whether or not any is made."""
        return (self.usd - self.of("standing")) / self.videos if self.videos else 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be made: so many videos a month of recordings of one length, with these models."""

    recording_seconds: float
    videos: float
    video_model: VideoModel
    language_model: LanguageModel
    max_scenes: int = 75
    assumed: Assumptions = USUAL

    def bill(self) -> Bill:
        """What a month of it costs.

        Raises:
            PermanentError: code TOO_LONG, as `clips`.
        """
        made = clips(self.recording_seconds, model=self.video_model, max_scenes=self.max_scenes)
        job = operations(made.scenes, self.recording_seconds)
        return Bill(
            self.videos,
            made,
            (
                *self._vendors(made, job),
                *self._orchestration(job),
                *self._storage(made, job),
                *self._page(job),
                *self._standing(),
            ),
        )

    def videos_for(self, usd: float) -> int:
        """The most videos that a month can have without costing more than `usd`, clips at the most they can be."""
        if replace(self, videos=0).bill().usd > usd:
            return 0
        fits, too_many = 0, 1
        while replace(self, videos=too_many).bill().usd <= usd:
            fits, too_many = too_many, 2 * too_many
        while too_many - fits > 1:
            middle = (fits + too_many) // 2
            if replace(self, videos=middle).bill().usd <= usd:
                fits = middle
            else:
                too_many = middle
        return fits

    def _vendors(self, made: Clips, job: Operations) -> Sequence[Item]:
        model, speech = self.language_model, max(15.0, self.recording_seconds)
        items = [
            Item(
                "clips",
                self.video_model.name,
                self.videos * made.seconds_high,
                "seconds of video, at most",
                self.videos * made.usd_high,
            ),
            Item("speech", TRANSCRIBE.what, self.videos * speech, TRANSCRIBE.unit, TRANSCRIBE.of(self.videos * speech)),
        ]
        words = words_usd(model, job)
        if words is not None:
            tokens = self.videos * (job.tokens_in + job.tokens_out)
            items.append(Item("words", model.name, tokens, "tokens, in and out", self.videos * words))
        return items

    def _orchestration(self, job: Operations) -> Sequence[Item]:
        assumed, videos = self.assumed, self.videos
        sweeps = Sweeps.of(videos, job, assumed)
        turning = videos * turn_seconds(job, assumed)
        logged = videos * (job.log_bytes + job.turns * assumed.log_platform_bytes)
        return (
            Item("orchestration", "Lambda: turns", turning, "seconds", assumed.lambda_usd(turning)),
            Item("orchestration", "Lambda: the shared sweep", sweeps.seconds, "seconds", sweeps.usd(assumed)),
            _item("orchestration", "Lambda: requests", videos * job.turns, LAMBDA_REQUEST),
            _item("orchestration", "DynamoDB: writes", videos * job.write_units, DYNAMODB_WRITE),
            _item("orchestration", "DynamoDB: reads", sweeps.read_units + videos * job.read_units, DYNAMODB_READ),
            _item("orchestration", "logs", logged / GB, LOGS),
        )

    def _storage(self, made: Clips, job: Operations) -> Sequence[Item]:
        videos, clips_gb = self.videos, made.seconds_high * self.assumed.clip_bytes_per_second / GB
        # Clips, and the video that is made of them.
        kept = videos * 2 * clips_gb * self.assumed.months_kept
        return (
            _item("storage", S3_WRITE.what, videos * job.s3_writes, S3_WRITE),
            _item("storage", S3_READ.what, videos * job.s3_reads, S3_READ),
            _item("storage", S3_STORAGE.what, kept, S3_STORAGE),
            _item("storage", "Google: clips on their way here", videos * clips_gb, GCS_EGRESS),
            _item("storage", GCS_STORAGE.what, videos * clips_gb, GCS_STORAGE),
        )

    def _page(self, job: Operations) -> Sequence[Item]:
        looks = self.videos * (1 + job.makespan_seconds / self.assumed.watch_every_seconds)
        row_units = math.ceil(job.row_bytes / 4096)
        seconds = looks * self.assumed.request_seconds
        return (
            _item("page", GATEWAY.what, looks, GATEWAY),
            Item("page", "Lambda: answers", seconds, "seconds", self.assumed.lambda_usd(seconds)),
            _item("page", "Lambda: requests of the page", looks, LAMBDA_REQUEST),
            _item("page", "DynamoDB: looks", looks * row_units, DYNAMODB_READ),
        )

    def _standing(self) -> Sequence[Item]:
        assumed, minutes = self.assumed, MONTH_SECONDS / 60
        looking = minutes * assumed.idle_sweep_seconds
        queries = minutes * IDLE_SWEEP_QUERIES
        return (
            Item(
                "standing",
                "Lambda: sweeps that find nothing, at most",
                looking,
                "seconds",
                assumed.lambda_usd(looking, memory_mb=assumed.sweep_memory_mb),
            ),
            _item("standing", "Lambda: requests of the schedule", minutes, LAMBDA_REQUEST),
            _item("standing", "DynamoDB: reads that find nothing", queries * assumed.read_units_a_query, DYNAMODB_READ),
            _item("standing", SCHEDULE.what, minutes, SCHEDULE),
            _item("standing", LOGS.what, minutes * assumed.sweep_log_bytes / GB, LOGS),
            _item("standing", METRIC.what, assumed.metrics, METRIC),
            _item("standing", ALARM.what, assumed.alarms, ALARM),
            _item("standing", SECRET.what, assumed.secrets, SECRET),
        )


@dataclass(frozen=True, slots=True)
class Sweeps:
    """The sweeps of a month that stay because some job is active; one stays for all jobs at once."""

    seconds: float
    read_units: float

    @classmethod
    def of(cls, videos: float, job: Operations, assumed: Assumptions) -> "Sweeps":
        """For so many jobs, that begin whenever they like."""
        # Each stays a little into the next one's minute.
        seconds = active_seconds(videos, job.makespan_seconds) * SWEEP_SECONDS / 60
        return cls(seconds, seconds * SWEEP_QUERIES / SWEEP_SECONDS * assumed.read_units_a_query)

    def usd(self, assumed: Assumptions) -> float:
        """What the function costs meanwhile."""
        return assumed.lambda_usd(self.seconds, memory_mb=assumed.sweep_memory_mb)


def _item(part: Part, what: str, quantity: float, price: Price) -> Item:
    return Item(part, what, quantity, price.unit, price.of(quantity))


def words_usd(model: LanguageModel, job: Operations) -> float | None:
    """What the plan of one video costs; None where the model's price is not known."""
    if model.usd_per_million_in is None or model.usd_per_million_out is None:
        return None
    return (job.tokens_in * model.usd_per_million_in + job.tokens_out * model.usd_per_million_out) / MILLION


def turn_seconds(job: Operations, assumed: Assumptions) -> float:
    """Billed seconds of one job's turns."""
    each = assumed.turn_overhead_seconds + assumed.cold_share * assumed.cold_seconds
    return job.turn_seconds + job.turns * each


def active_seconds(videos: float, makespan_seconds: float) -> float:
    """For how much of a month at least one of so many jobs runs, if they begin whenever they like (Poisson)."""
    return MONTH_SECONDS * -math.expm1(-videos * makespan_seconds / MONTH_SECONDS)


# --- the same job by other ways -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Way:
    """One way to orchestrate a job, and what a video of it costs beside its vendors.

    Attributes:
        usd: of one video, among so many a month.
        note: what it cannot do, or what was supposed.
    """

    name: str
    usd: float
    note: str


def ways(
    recording_seconds: float, videos: float, *, model: VideoModel, assumed: Assumptions = USUAL
) -> tuple[Way, ...]:
    """What the orchestration of one video costs in different ways, all with the same calls and the same facts kept.

    Left out everywhere: vendors, storage, page, logs, and what stands there anyway.
    """
    made = clips(recording_seconds, model=model, max_scenes=10**6)
    job = operations(made.scenes, recording_seconds)
    turning = assumed.lambda_usd(turn_seconds(job, assumed)) + LAMBDA_REQUEST.of(job.turns)
    # Whoever orchestrates, the row says how far the job is and what was paid for; only the leases fall away.
    facts = DYNAMODB_WRITE.of(job.write_units * (job.writes - job.turns) / job.writes)
    one_loop = 3 * job.waits + 2 * (job.turns - job.waits)
    of_each_clip = 3 * job.polls + 3 * made.scenes + one_loop - 3 * job.waits
    by_clip = assumed.lambda_usd(
        job.polls * (assumed.turn_overhead_seconds + assumed.cold_share * assumed.cold_seconds)
    )
    kept_gb = job.row_bytes / GB
    durable = DURABLE_OPERATION.of(1 + job.turns + job.waits) + DURABLE_WRITTEN.of(kept_gb)
    too_long = job.makespan_seconds > 900  # noqa: PLR2004  Lambda's limit, seconds (AWS Lambda quotas)
    return (
        Way("this engine", _engine_usd(job, videos, assumed), "the sweep is shared by all jobs at once"),
        Way(
            "this engine, sweeping in a function of 256 MB",
            _engine_usd(job, videos, replace(assumed, sweep_memory_mb=256)),
            "a second function with the same archive, which the Terraform module does not make",
        ),
        Way(
            "Step Functions Standard, one loop for all clips",
            TRANSITION.of(one_loop) + turning + facts,
            "a wait, a task and a choice for each look; no sweep",
        ),
        Way(
            "Step Functions Standard, a Map over the scenes",
            TRANSITION.of(of_each_clip) + turning + by_clip + LAMBDA_REQUEST.of(job.polls) + facts,
            "each clip has its own loop",
        ),
        Way(
            "sleeping in Lambda",
            assumed.lambda_usd(job.makespan_seconds) + LAMBDA_REQUEST.of(1) + facts,
            "not possible: longer than 15 minutes"
            if too_long
            else "one invocation that waits; a job of more than 15 minutes is cut, and a killed one begins anew",
        ),
        Way(
            "Lambda durable functions",
            durable + DURABLE_KEPT.of(kept_gb * 14 / 30) + turning + facts,
            "uncertain: an operation for the start, each step and each wait; history of 14 days; replay not counted",
        ),
    )


def _engine_usd(job: Operations, videos: float, assumed: Assumptions) -> float:
    """Of one video: its turns, its writes, and its share of the sweeps that stay."""
    sweeps = Sweeps.of(videos, job, assumed)
    shared = sweeps.usd(assumed) + DYNAMODB_READ.of(sweeps.read_units)
    turning = assumed.lambda_usd(turn_seconds(job, assumed)) + LAMBDA_REQUEST.of(job.turns)
    return turning + DYNAMODB_WRITE.of(job.write_units) + DYNAMODB_READ.of(job.read_units) + shared / videos
