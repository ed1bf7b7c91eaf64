"""The record of the longest job that the worker takes by default, with texts as long as real ones."""

from datetime import UTC, datetime, timedelta
from typing import Any

from statemachine.aws.attribute_value import AttributeValue, encode
from statemachine.aws.table_layout import TableLayout
from statemachine.execution import Execution, JsonValue, header_as_json, to_ms
from worker.job import (
    ClipAttempt,
    Job,
    MediaKeys,
    Options,
    Recording,
    SceneBeat,
    SceneTask,
    TranscriptionState,
    relative_key,
    scene_key,
)
from worker.steps.plan import as_kept
from worker.steps.transcribe import TEXT_LIMIT

# Ten minutes in scenes of eight seconds, the longest that Veo makes.
SCENES = 75
SCENE_SECONDS = 8.0

_NOW = datetime(2026, 11, 22, 12, 0, 0, 250_000, tzinfo=UTC)
_PREFIX = f"ai-video/3f6a1c2e-9b54-4d0e-8f7a-2c1b0d9e8f7a/{'a' * 32}/"

# 150 words a minute are 20 words, some 115 characters, in a scene; planners write about 50 words of prompt for it.
_NARRATION = (
    "And when the morning came, the keeper climbed the last stairs, looked over the water and saw that nobody had left."
)
_PROMPT = (
    "Wide aerial shot of a lonely lighthouse on a rocky coast at dawn, waves breaking slowly below, warm light from "
    "the lantern room; the keeper in a dark blue coat walks along the railing and looks out over the sea. Slow dolly "
    "forward, soft haze, muted teal and amber, painterly light, no text."
)
_NEGATIVE = "text, letters, captions, subtitles, watermark, logo, frame, distorted faces, extra limbs, flicker"
_MODEL = "veo-3.1-fast-generate-001"


def longest_job() -> Job:
    """A completed job of ten minutes: every scene has its clip, every tenth needed a second attempt."""
    return Job(
        video_id="3f6a1c2e-9b54-4d0e-8f7a-2c1b0d9e8f7a",
        run_id="a" * 32,
        prefix=_PREFIX,
        owner_id="eu-central-1:1b2c3d4e-5f60-7182-93a4-b5c6d7e8f901",
        recording=Recording(
            key="uploads/2026/11/lighthouse.mp3", filename="The Lighthouse.mp3", duration_seconds=600.0
        ),
        options=Options(),
        audio_transcription=TranscriptionState(
            transcription_id=f"ai-video-{'a' * 32}-1",
            language="en-US",
            duration_seconds=600.0,
            mode="speech",
            source="transcribe",
            text=(_NARRATION * SCENES)[:TEXT_LIMIT],
            is_truncated=True,
            word_count=1500,
            full_json_s3_key=f"{_PREFIX}transcript-0123456789abcdef.json",
        ),
        scene_beats={scene_key(index): _beat(index) for index in range(SCENES)},
        vertex_ai_tasks={scene_key(index): _task(index) for index in range(SCENES)},
        media=MediaKeys(
            audio_key=f"{_PREFIX}audio-0123456789abcdef.m4a",
            video_key=f"{_PREFIX}video-0123456789abcdef.mp4",
            captions_key=f"{_PREFIX}captions-0123456789abcdef.vtt",
            poster_key=f"{_PREFIX}poster-0123456789abcdef.jpg",
            duration_seconds=600.0,
        ),
        final_video_url=f"s3://media/{_PREFIX}video-0123456789abcdef.mp4",
        negative_prompt=_NEGATIVE,
        style_bible=_PROMPT,
        title="The Lighthouse",
    )


def longest_record() -> dict[str, AttributeValue]:
    """What DynamoDB holds of that job in the attributes that are the worker's: data, header, and what stands beside."""
    steps: dict[str, JsonValue] = {
        state: {
            "status": "completed",
            "started_at": _NOW.isoformat(timespec="milliseconds"),
            "completed_at": _NOW.isoformat(timespec="milliseconds"),
            "deadline_at": _NOW.isoformat(timespec="milliseconds"),
            "attempt": 1,
            "error": None,
        }
        for state in ("transcribing", "planning", "rendering", "assembling")
    }
    job = longest_job()
    execution = Execution(
        execution_id=job.video_id,
        machine="ai-video",
        graph="0123456789ab",
        state="completed",
        status="completed",
        run_id=job.run_id,
        started_at=_NOW,
        entered_at=_NOW,
        updated_at=_NOW,
        version=240,
        revision=610,
        turns=239,
        last_turn="c" * 32,
        last_signal=job.run_id,
    )
    layout = TableLayout()
    data = _as_kept(job)
    return {
        layout.project_type: encode("ai_generated"),
        layout.status: encode(execution.status),
        layout.data: encode({**data, "processing_steps": steps}),
        layout.execution: encode(header_as_json(execution)),
        layout.version: encode(execution.version),
        layout.revision: encode(execution.revision),
        layout.due_shard: encode("0"),
        layout.due_at: encode(to_ms(_NOW)),
    }


def _as_kept(job: Job) -> dict[str, JsonValue]:
    """As the steps write it: see `plan.as_kept` and `ClipAttempt.as_kept`."""
    data: dict[str, Any] = job.model_dump(mode="json", exclude_none=True)
    data["scene_beats"] = {key: as_kept(beat, _NEGATIVE) for key, beat in job.scene_beats.items()}
    for key, task in job.vertex_ai_tasks.items():
        kept: dict[str, Any] = {
            "status": task.status,
            "clip_key": relative_key(task.clip_key or "", _PREFIX),
            "clip_seconds": task.clip_seconds,
            "attempts": {},
        }
        for name, attempt in task.attempts.items():
            whole = attempt.model_dump(mode="json", exclude_none=True)
            kept["attempts"][name] = attempt.as_kept() if attempt.outcome == "clip" else whole
        data["vertex_ai_tasks"][key] = kept
    return data


def _beat(index: int) -> SceneBeat:
    return SceneBeat(
        scene_index=index,
        start_seconds=index * SCENE_SECONDS,
        end_seconds=index * SCENE_SECONDS + 7.96,
        narration=_NARRATION,
        visual_prompt=_PROMPT,
        negative_prompt=_NEGATIVE,
    )


def _task(index: int) -> SceneTask:
    attempts = {"001": _attempt(index, "clip")}
    if index % 10 == 0:
        attempts = {"001": _attempt(index, "filtered"), "002": _attempt(index, "clip")}
    return SceneTask(
        scene_index=index,
        status="completed",
        attempts=attempts,
        clip_key=f"{_PREFIX}clips/{scene_key(index)}-0123456789abcdef.mp4",
        clip_seconds=SCENE_SECONDS,
        thumbnail_key=f"{_PREFIX}thumbnails/{scene_key(index)}-0123456789abcdef.jpg",
    )


def _attempt(index: int, outcome: str) -> ClipAttempt:
    filtered = outcome == "filtered"
    return ClipAttempt(
        intent_id="b" * 16,
        beat_revision=1,
        model=_MODEL,
        seconds=SCENE_SECONDS,
        seed=1_234_567_890,
        price_usd=0.8,
        intended_at=_NOW,
        watch_from=_NOW + timedelta(minutes=2),
        operation=(
            f"projects/video-platform-prod/locations/us-central1/publishers/google/models/{_MODEL}"
            "/operations/3f6a1c2e-9b54-4d0e-8f7a-2c1b0d9e8f7a"
        ),
        submitted_at=_NOW,
        ended_at=_NOW,
        outcome="filtered" if filtered else "clip",
        error_code="CONTENT_FILTERED" if filtered else None,
        error_message="The prompt was refused by the content filter (support code 58061214)." if filtered else None,
    )
