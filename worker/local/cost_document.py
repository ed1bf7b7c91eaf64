"""`docs/costs.md`: what videos cost, from `worker.costs`.  Pure: the same code gives the same page."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from worker.costs import (
    COUNTED_ON,
    IDLE_SWEEP_QUERIES,
    OF_8_SCENES,
    OF_24_SCENES,
    PARTS,
    PRICES,
    READ_ON,
    REGION,
    SWEEP_QUERIES,
    SWEEP_SECONDS,
    USUAL,
    Plan,
    Price,
    Sweeps,
    clips,
    operations,
    turn_seconds,
    ways,
    words_usd,
)
from worker.models import (
    DEFAULT_LANGUAGE_MODEL,
    DEFAULT_VEO_MODEL,
    LANGUAGE_MODELS,
    VEO_MODELS,
    LanguageModel,
    VideoModel,
)

LENGTHS = (30.0, 60.0, 180.0)
VIDEOS = (10, 100, 1_000)
BUSY = (1, 100, 1_000, 10_000, 100_000)
BUDGETS_USD = (102.0, 177.0)
MINUTE = 60.0
DAYS_A_MONTH = 365.25 / 12

# Above what is ordered in a day the Terraform module's alarm rings where nobody says otherwise (`alarms.daily_usd`).
ALARM_USD_A_DAY = 10.0

Row = Sequence[str]


def usd(amount: float) -> str:
    """Money with as many digits as can matter."""
    if amount >= 100:  # noqa: PLR2004  cents of hundreds do not matter
        return f"${amount:,.0f}"
    if amount >= 1 or amount == 0:
        return f"${amount:.2f}"
    return f"${amount:.3f}" if amount >= 0.01 else f"${amount:.5f}"  # noqa: PLR2004  below a cent, parts of one


def cost_document() -> str:
    """The whole page."""
    sections = (
        _introduction,
        _by_model,
        _by_month,
        _budgets,
        _orchestration,
        _other_ways,
        _prices,
        _counted,
        _assumed,
        _left_out,
    )
    return "\n".join(section() for section in sections)


def _introduction() -> str:
    fast = _plan(VEO_MODELS[DEFAULT_VEO_MODEL]).bill()
    share = fast.of("clips") / (fast.usd - fast.of("standing"))
    return f"""\
# What videos cost

Printed by `python -m worker estimate --document` from [worker/costs.py](../worker/costs.py), and compared by a test;
`make docs` writes it anew. `python -m worker estimate --seconds 90 --videos-per-month 40` tells it for other lengths
and numbers, `--recording FILE` for a recording that is there.

**The video model is {share:.1%} of what a video costs** with the default models: {usd(fast.clips.usd_low)} to
{usd(fast.clips.usd_high)} for a minute, whatever runs around it. What saves money is another model, fewer seconds, and
never ordering a clip twice. Orchestration is a rounding error, and this engine's is not the smallest one
([below](#the-same-job-by-other-ways)).

Clips are ordered in whole lengths (4, 6 or 8 s with Veo 3.1), so a video costs between the seconds of its recording and
the longest clip for every scene. Where one figure stands, it is the upper one.
"""


def _by_model() -> str:
    rows = []
    for model in VEO_MODELS.values():
        for seconds in LENGTHS:
            bill = _plan(model, seconds=seconds).bill()
            rest = bill.usd_per_video - bill.clips.usd_high
            rows.append(
                (
                    _with_fate(model),
                    f"{seconds:g} s, {bill.clips.scenes} scenes",
                    f"{usd(bill.clips.usd_low)} to {usd(bill.clips.usd_high)}",
                    usd(rest),
                    f"{usd(bill.clips.usd_low + rest)} to {usd(bill.clips.usd_high + rest)}",
                )
            )
    words = [
        (
            f"`{model.name}`{_retired(model)}",
            *(_words(model, seconds) for seconds in LENGTHS),
        )
        for model in LANGUAGE_MODELS.values()
    ]
    return f"""\
## A video

With `{DEFAULT_LANGUAGE_MODEL}`, at 100 videos a month, silent, 720p.

{_table(("video model", "recording", "clips", "everything else", "a video"), rows)}
What the plan costs, by language model. Tokens are counted at four characters each, of a simulated answer; real ones are
longer, and a model that thinks bills that too, so expect some times as much:

{_table(("language model", *(f"{seconds:g} s" for seconds in LENGTHS)), words)}"""


def _by_month() -> str:
    rows = []
    for model in VEO_MODELS.values():
        bills = [_plan(model, videos=videos).bill() for videos in VIDEOS]
        rows.append((_with_fate(model), *(f"{usd(bill.usd_at_least)} to {usd(bill.usd)}" for bill in bills)))
    parts = [
        (
            part,
            what,
            *(usd(_plan(VEO_MODELS[DEFAULT_VEO_MODEL], videos=videos).bill().of(part)) for videos in VIDEOS),
        )
        for part, what in PARTS.items()
    ]
    header = [f"{videos:,} a month" for videos in VIDEOS]
    return f"""\
## A month

Videos of one minute.

{_table(("video model", *header), rows)}
The same by part, with `{DEFAULT_VEO_MODEL}`:

{_table(("part", "of whom, for what", *header), parts)}"""


def _budgets() -> str:
    rows = [
        (
            _with_fate(model),
            *(
                f"{_plan(model, seconds=seconds).videos_for(budget)}"
                for budget in BUDGETS_USD
                for seconds in LENGTHS[:2]
            ),
        )
        for model in VEO_MODELS.values()
    ]
    header = [f"${budget:g}: of {seconds:g} s" for budget in BUDGETS_USD for seconds in LENGTHS[:2]]
    standing = _plan(VEO_MODELS[DEFAULT_VEO_MODEL]).bill().of("standing")
    a_day = [(budget - standing) / DAYS_A_MONTH for budget in BUDGETS_USD]
    return f"""\
## What $102 to $177 a month buys

The platform around this is run for $102 to $177 a month. Without any video the worker adds {usd(standing)} to that. If
videos may cost the platform's sum once more, so many a month fit, clips at the most they can be, and what stands there
included:

{_table(("video model", *header), rows)}
Nothing ends a month at such a sum by itself. What holds it (variables of the Terraform module):

- `alarms.daily_usd` rings on what all users order in a day: {" or ".join(usd(each) for each in a_day)} would be
  the two sums. The module's own {usd(ALARM_USD_A_DAY)} a day is {usd(ALARM_USD_A_DAY * DAYS_A_MONTH)} a month.
- `daily_usd` is what one user may order in a day: a month costs at most 31 times that for each user. `max_cost_usd` is
  what the clips of one job may cost, and is looked at before the first is ordered.
- `veo_model` decides what a video costs: see the table.
- `starts` in the limits' parameter is the kill switch, for the day when the alarm rings
  ([operations](operations.md#stop-spending)).
"""


def _orchestration() -> str:
    model = VEO_MODELS[DEFAULT_VEO_MODEL]
    bill = _plan(model, seconds=OF_8_SCENES.recording_seconds).bill()
    items = [
        (item.what, f"{item.quantity:,.0f}" if item.quantity >= 1 else f"{item.quantity:.4f}", item.unit, usd(item.usd))
        for item in bill.items
        if item.part in {"orchestration", "standing"}
    ]
    shares = []
    for videos in BUSY:
        month = _plan(model, seconds=OF_8_SCENES.recording_seconds, videos=videos).bill()
        shares.append(
            (
                f"{videos:,}",
                usd(month.of("orchestration")),
                usd(month.of("orchestration") / videos),
                usd((month.of("orchestration") + month.of("standing")) / videos),
            )
        )
    return f"""\
## Orchestration by itself

100 videos of {OF_8_SCENES.recording_seconds:g} s ({OF_8_SCENES.scenes} scenes) in a month:

{_table(("what", "quantity", "unit", "a month"), items)}
A sweep stays while any job is active, one for all jobs together, and that is most of it: {SWEEP_SECONDS:g} s of the
function for each minute in which something runs, at {USUAL.memory_mb} MB. So a video's share falls with the number of
jobs at once, and the sweep never costs more than a month of it, {usd(_sweeping_always())}:

{_table(("videos a month", "orchestration", "a video", "with what stands there"), shares)}"""


def _sweeping_always() -> float:
    """A sweep that stays the whole month."""
    seconds_a_month = 365.25 / 12 * 86_400 * SWEEP_SECONDS / MINUTE
    return USUAL.lambda_usd(seconds_a_month)


def _other_ways() -> str:
    model = VEO_MODELS[DEFAULT_VEO_MODEL]
    jobs = [(OF_8_SCENES.recording_seconds, 100), (OF_8_SCENES.recording_seconds, 10_000)]
    jobs.append((OF_24_SCENES.recording_seconds, 100))
    columns = [ways(seconds, videos, model=model) for seconds, videos in jobs]
    rows = [(each[0].name, *(usd(way.usd) for way in each), each[0].note) for each in zip(*columns, strict=True)]
    header = [f"{seconds:g} s, {videos:,} a month" for seconds, videos in jobs]
    made = clips(OF_8_SCENES.recording_seconds, model=model, max_scenes=75)
    return f"""\
## The same job by other ways

USD a video, for orchestration alone: the same calls of the same vendors, the same facts kept in the table. The clips of
the first column cost {usd(made.usd_low)} to {usd(made.usd_high)} besides.

{_table(("way", *header, "note"), rows)}
So on price alone nobody would choose this engine over durable functions or Step Functions, nor against them: the
difference of a video is about a cent beside dollars. Even sleeping in Lambda costs less, until {_crossing():,} videos
of that length a month share the sweep. What decides is elsewhere: a place to write an order down before it is paid,
jobs longer than 15 minutes, no replay and no rule of determinism, one table row that people can read, and the same
worker on one machine. Who wants the sweep cheaper gives it a smaller function (second line), or less memory to all
(`memory_mb`, at the cost of assembling).
"""


def _crossing() -> int:
    """From how many videos a month, in thousands, the shared sweep costs less than sleeping."""
    model = VEO_MODELS[DEFAULT_VEO_MODEL]
    thousand = 1000
    for videos in range(thousand, 1000 * thousand, thousand):
        cost = {way.name: way.usd for way in ways(OF_8_SCENES.recording_seconds, videos, model=model)}
        if cost["this engine"] < cost["sleeping in Lambda"]:
            return videos
    raise ValueError("no number of videos makes the sweep cheaper than sleeping: the text has to say so")


def _prices() -> str:
    rows = [
        (
            price.what,
            _price(price),
            price.source,
            "copies of it" if price.is_secondary else "the page",
            price.note,
        )
        for price in PRICES
    ]
    rows += [
        (
            f"`{model.name}`",
            f"${model.usd_per_second:.2f} a second",
            model.source,
            "a compilation of 2026-09-02 that quotes it",
            "silent 720p",
        )
        for model in VEO_MODELS.values()
    ]
    rows += [
        (
            f"`{model.name}`",
            f"${model.usd_per_million_in:.2f} in, ${model.usd_per_million_out:.2f} out, a million tokens",
            "openai.com/api/pricing",
            "copies of it",
            "",
        )
        for model in LANGUAGE_MODELS.values()
        if model.usd_per_million_in is not None and model.usd_per_million_out is not None
    ]
    return f"""\
## Unit prices

Of {REGION}, all read on {READ_ON}, none of them with a free tier or a discount taken off. *Read in* says where: AWS's
price pages fill in their figures in the browser, so most could only be read where others had copied them; look there
before a decision hangs on one. Other regions have other prices; Veo 3.1 is made in us-central1 wherever the rest is.

{_table(("what", "price", "source", "read in", "note"), rows)}"""


def _counted() -> str:
    short, long = asdict(OF_8_SCENES), asdict(OF_24_SCENES)
    rows = [(name.replace("_", " "), f"{short[name]:,g}", f"{long[name]:,g}") for name in short]
    return f"""\
## What was counted

`python -m benchmarks operations`, {COUNTED_ON}: the real machine, engine and store on a DynamoDB, with vendors that
take as long as they were seen to; means over ten jobs each. Other lengths lie on the line through these two.

{_table(("of one job", f"{OF_8_SCENES.recording_seconds:g} s", f"{OF_24_SCENES.recording_seconds:g} s"), rows)}
A sweep that stays asks {SWEEP_QUERIES} times in {SWEEP_SECONDS:g} s, one that finds nothing {IDLE_SWEEP_QUERIES} times;
each asks every shard of the index.
"""


def _assumed() -> str:
    assumed = USUAL
    return f"""\
## What was assumed

- The function has {assumed.memory_mb} MB (x86), as the Terraform module makes it.
- A turn holds it {assumed.turn_overhead_seconds * 1000:g} ms besides its vendors; {assumed.cold_share:.0%} of the turns
  start cold and are billed {assumed.cold_seconds:g} s more; a sweep that finds nothing takes
  {assumed.idle_sweep_seconds * 1000:g} ms.
- The plan of a language model takes 15 s, during which the function waits; assembling takes 8 s and 0.3 s for each
  second of recording (both as `benchmarks/latency.py` has them).
- Jobs begin whenever they like (Poisson), so the time in which any is active follows from their number.
- One page watches each video and asks every {assumed.watch_every_seconds:g} s; an answer takes
  {assumed.request_seconds * 1000:g} ms.
- Clips have {assumed.clip_bytes_per_second / 1e6:g} MB a second; clips and video are kept for
  {assumed.months_kept:g} month, and Google's copies as long.
- {assumed.metrics} metrics, {assumed.alarms} alarms and {assumed.secrets} secret stand there every month.
- No clip is ordered twice. Each clip that a filter refuses, or that fails, is paid again, at most three times in all.
"""


def _left_out() -> str:
    return f"""\
## What is not in it

Taxes, discounts, support plans and free tiers (Lambda's alone, 400,000 GB-seconds a month, holds the turns and sweeps
of some {_videos_within_the_free_tier():,} videos of {OF_8_SCENES.recording_seconds:g} s); what people download and
watch (data out of the bucket is $0.09 a GB, or a CDN's price); the platform itself; indexes of the platform's table
that copy every attribute, which multiply the table's writes (`python -m benchmarks dynamodb` measures one); provisioned
instead of on-demand capacity.
"""


def _videos_within_the_free_tier() -> int:
    """Whose turns and sweeps take 400,000 GB-seconds, in hundreds; each with a sweep of its own."""
    each = turn_seconds(OF_8_SCENES, USUAL) + Sweeps.of(1, OF_8_SCENES, USUAL).seconds
    return round(400_000 / (each * USUAL.memory_mb / 1024) / 100) * 100


def _plan(model: VideoModel, *, seconds: float = MINUTE, videos: float = 100) -> Plan:
    return Plan(seconds, videos, model, LANGUAGE_MODELS[DEFAULT_LANGUAGE_MODEL])


def _words(model: LanguageModel, seconds: float) -> str:
    scenes = clips(seconds, model=VEO_MODELS[DEFAULT_VEO_MODEL], max_scenes=75).scenes
    price = words_usd(model, operations(scenes, seconds))
    return "not known" if price is None else usd(price)


def _with_fate(model: VideoModel) -> str:
    return f"`{model.name}`" + (f" (retired {model.retired_on})" if model.retired_on else "")


def _retired(model: LanguageModel) -> str:
    return f" (until {model.retired_on})" if model.retired_on else ""


def _price(price: Price) -> str:
    amount = f"{price.usd:.10f}".rstrip("0")
    amount += "0" * max(0, 2 - len(amount.partition(".")[2]))
    if price.per != 1:
        return f"${amount} for {price.per:,.0f} {price.unit}"
    unit = price.unit.removesuffix("s")
    return f"${amount} {'an' if unit[0] in 'aeiou' else 'a'} {unit}"


def _table(header: Iterable[str], rows: Iterable[Row]) -> str:
    """A Markdown table, and an empty line."""
    header = list(header)
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
