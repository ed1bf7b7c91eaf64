from collections.abc import Mapping
from typing import Any

import pytest

from statemachine import Advance, PermanentError
from tests.worker.fakes import FakeAssembler, FakeMediaStore, FakeTurn, planned_job_data, spoken
from worker.job import Options
from worker.steps.assemble import assemble

SPOKEN = spoken("the old lighthouse stood alone on the edge of the sea", seconds=15.0)


def a_turn(*, options: Options | None = None) -> FakeTurn:
    data: dict[str, Any] = planned_job_data(scenes=3, options=options)
    data["media"] = {"audio_key": "audio.m4a"}
    data["audio_transcription"] = {"full_json_s3_key": "transcript.json"}
    for key, task in data["vertex_ai_tasks"].items():
        assert isinstance(task, dict)
        task["clip_key"] = f"clips/{key}.mp4"
    return FakeTurn(data)


def media(extra: Mapping[str, bytes] | None = None) -> FakeMediaStore:
    store = FakeMediaStore()
    store.objects = {
        "audio.m4a": b"audio",
        "transcript.json": SPOKEN.model_dump_json().encode(),
        **{f"ai-video/job-1/run-1/clips/00{i}.mp4": f"clip {i};".encode() for i in range(3)},
        **(extra or {}),
    }
    return store


def test_the_video_has_every_clip_in_its_place_under_the_recording() -> None:
    turn, store, assembler = a_turn(), media(), FakeAssembler()

    outcome = assemble(turn.job, turn=turn, assembler=assembler, media=store)
    assert isinstance(outcome, Advance)
    turn.apply(outcome.patch)

    assert assembler.assembled == [(0.0, 5.0), (5.0, 10.0), (10.0, 15.0)]
    assert store.objects[turn.job.media.video_key or ""] == b"clip 0;clip 1;clip 2;audio"
    assert turn.job.final_video_url == f"s3://bucket/{turn.job.media.video_key}"
    assert turn.job.media.poster_key in store.objects


def test_captions_go_into_the_video_and_beside_it() -> None:
    turn, store, assembler = a_turn(), media(), FakeAssembler()

    outcome = assemble(turn.job, turn=turn, assembler=assembler, media=store)
    turn.apply(outcome.patch)

    assert " ".join(caption.text.replace("\n", " ") for caption in assembler.captions) == " ".join(
        word.text for word in SPOKEN.words
    )
    assert store.objects[turn.job.media.captions_key or ""].startswith(b"WEBVTT")


def test_without_captions_none_are_made() -> None:
    turn, store, assembler = a_turn(options=Options(captions=False)), media(), FakeAssembler()

    outcome = assemble(turn.job, turn=turn, assembler=assembler, media=store)
    turn.apply(outcome.patch)

    assert assembler.captions == ()
    assert turn.job.media.captions_key is None


def test_making_it_twice_writes_the_same_objects() -> None:
    """A stale owner that still uploads must overwrite nothing that is different."""
    turn, store = a_turn(), media()

    first = assemble(turn.job, turn=turn, assembler=FakeAssembler(), media=store)
    keys = set(store.objects)
    second = assemble(turn.job, turn=turn, assembler=FakeAssembler(), media=store)

    assert first == second
    assert set(store.objects) == keys


def test_a_missing_clip_is_told_before_anything_is_joined() -> None:
    turn = FakeTurn(planned_job_data())

    with pytest.raises(PermanentError) as raised:
        assemble(turn.job, turn=turn, assembler=FakeAssembler(), media=media())

    assert raised.value.code == "STITCH_FAILED"
