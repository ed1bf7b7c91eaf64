"""`planning`: cut the recording into beats, and decide what is to be seen in each."""

from collections.abc import Sequence
from datetime import timedelta

from statemachine import Advance, JsonValue, Outcome, PermanentError, TransientError, Turn, Wait
from worker.beats import cut_beats
from worker.job import SCENE_BEATS, TASKS, BeatSlot, Job, SceneBeat, Transcript, WholePrompts, scene_key
from worker.keys import content_key_of_bytes
from worker.models import VideoModel
from worker.ports import MediaStore, ScenePlan, ScenePlanner

# A full quota is asked again after this, where the vendor does not say when.
QUOTA_PAUSE = timedelta(minutes=1)

# What the record keeps of a scene's prompt; 75 scenes have to fit with everything else into 64 KB.
PROMPT_LIMIT = 200


def plan(job: Job, *, turn: Turn, planner: ScenePlanner, media: MediaStore, model: VideoModel) -> Outcome:
    """Number and boundaries of the scenes follow from the recording; the planner fills them."""
    duration = job.recording.duration_seconds
    key = job.audio_transcription.full_json_s3_key
    if duration is None or key is None:
        raise PermanentError("SCENE_PLAN_INVALID", "the recording was never measured or transcribed; start again")
    with media.open(key) as stream:
        transcript = Transcript.model_validate_json(stream.read())
    slots = cut_beats(
        transcript.words, duration, longest_seconds=model.longest_seconds, max_scenes=job.options.max_scenes
    )
    _check_price(slots, model, limit=job.options.max_cost_usd)
    try:
        planned = planner.plan(slots, transcript=transcript, options=job.options, time_left=turn.time_left)
    except TransientError as error:
        if error.code == "PROVIDER_QUOTA":  # nobody's fault, and no attempt
            return Wait(error.retry_after or QUOTA_PAUSE, waiting_for="quota")
        raise
    _check(planned, slots)
    whole = WholePrompts(prompts={scene_key(beat.scene_index): beat.visual_prompt for beat in planned.beats})
    content = whole.model_dump_json().encode()
    plan_key = content_key_of_bytes(content, prefix=job.prefix, name="plan", suffix=".json")
    media.write(content, plan_key)
    negative = planned.beats[0].negative_prompt
    beats: JsonValue = {scene_key(beat.scene_index): as_kept(beat, negative) for beat in planned.beats}
    tasks: JsonValue = {scene_key(beat.scene_index): {"status": "waiting", "attempts": {}} for beat in planned.beats}
    event = "drafted" if job.options.review_before_render else "planned"
    return Advance(
        event,
        {
            SCENE_BEATS: beats,
            TASKS: tasks,
            ("plan_key",): plan_key,
            ("negative_prompt",): negative,
            ("title",): planned.title,
            ("style_bible",): planned.style_bible,
        },
    )


def as_kept(beat: SceneBeat, negative: str) -> JsonValue:
    """A beat as the record keeps it: what follows from elsewhere left out, a long prompt cut."""
    prompt = beat.visual_prompt
    if len(prompt) > PROMPT_LIMIT:
        cut = prompt[: PROMPT_LIMIT - 1].rsplit(" ", 1)[0] + "…"
        beat = beat.model_copy(update={"visual_prompt": cut, "is_cut": True})
    left_out = {"scene_index"} | ({"negative_prompt"} if beat.negative_prompt == negative else set())
    return beat.model_dump(mode="json", exclude=left_out, exclude_defaults=True)


def _check_price(slots: Sequence[BeatSlot], model: VideoModel, *, limit: float | None) -> None:
    """The boundaries alone decide the price, so nobody is asked to fill scenes that may not be made."""
    price = sum(model.ordered_seconds(slot.end_seconds - slot.start_seconds) * model.usd_per_second for slot in slots)
    if limit is not None and price > limit + 1e-9:
        raise PermanentError(
            "COST_LIMIT_REACHED",
            f"{len(slots)} scenes cost ${price:.2f}, and the limit is ${limit:.2f}; raise it, or shorten the recording",
            user_action="raise_limit",
            details={"price_usd": round(price, 4), "limit_usd": limit},
        )


def _check(planned: ScenePlan, slots: Sequence[BeatSlot]) -> None:
    """A planner that moved, lost or invented a scene would put pictures under the wrong words."""
    given = [(slot.scene_index, slot.start_seconds, slot.end_seconds) for slot in slots]
    answered = [(beat.scene_index, beat.start_seconds, beat.end_seconds) for beat in planned.beats]
    if given != answered:
        raise PermanentError(
            "SCENE_PLAN_INVALID", f"the planner answered {len(answered)} scenes that are not the {len(given)} asked for"
        )
    empty = [beat.scene_index for beat in planned.beats if not beat.visual_prompt.strip()]
    if empty:
        raise PermanentError("SCENE_PLAN_INVALID", f"the planner left scene {empty[0] + 1} without a prompt")
