"""Rows that something else wrote into: a clear failure or a named error, never a crash loop."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from statemachine import Execution
from statemachine.aws.attribute_value import encode
from statemachine.aws.dynamodb_store import DynamoStore
from statemachine.errors import StateMachineError, StoreCorruptError
from statemachine.execution import execution_from_json, header_as_json
from statemachine.memory import MemoryStore
from statemachine.testing import Stepper, StuckError
from tests.dynamodb_tables import ONE_PART, client_of
from tests.fuzz.documents import ANY_JSON, fuzzed, nearly
from tests.worker.fakes import (
    NOON,
    FakeAssembler,
    FakeMediaStore,
    FakePlanner,
    FakeRenderer,
    FakeTranscriber,
    planned_job_data,
    spoken,
)
from worker.job import Job
from worker.limits import Usage
from worker.pipeline import pipeline
from worker.quota import Ledger, take
from worker.steps.render import RenderPorts

HEADER = header_as_json(
    Execution(
        execution_id="video-1",
        machine="ai-video",
        graph="graph",
        state="rendering",
        status="processing",
        run_id="run-1",
        started_at=NOON,
        entered_at=NOON,
        updated_at=NOON,
        due_at=NOON,
    )
)

PLANNED = {
    **planned_job_data(scenes=2),
    "vertex_ai_tasks": {
        "000": {
            "status": "submitted",
            "attempts": {
                "001": {"intent_id": "i", "seconds": 6.0, "price_usd": 0.6, "operation": "op", "intended_at": 5}
            },
        },
        "001": {"status": "waiting", "attempts": {}},
    },
    "media": {"audio_key": "audio.m4a"},
}


def a_machine() -> Any:  # noqa: ANN401  the pipeline
    return pipeline(
        transcriber=FakeTranscriber(spoken("once upon a time", seconds=10.0)),
        planner=FakePlanner(),
        parts=RenderPorts(
            renderer=FakeRenderer(),
            assembler=FakeAssembler(),
            media=FakeMediaStore(),
            new_id=iter(map(str, range(10**6))).__next__,
        ),
        longest_recording=NOON - NOON.replace(hour=11),
        transcribing_turn=NOON - NOON.replace(hour=11),
        rendering_turn=NOON - NOON.replace(hour=11),
    )


@given(data=nearly(PLANNED))
@fuzzed
def test_a_job_whose_data_is_spoilt_comes_to_an_end_or_waits_and_never_breaks_a_turn(data: Any) -> None:  # noqa: ANN401  any JSON
    if not isinstance(data, dict) or not isinstance(data.get("processing_steps"), dict):
        return  # the engine's own history, which it makes anew at the start
    stepper = Stepper(a_machine(), store=MemoryStore())
    try:
        stepper.start(data)
    except StateMachineError:
        return  # not storable: refused at once

    for _ in range(30):
        try:
            stepper.step()
        except StuckError:
            due_at = stepper.execution.due_at
            if due_at is None:
                break
            stepper.advance(due_at - stepper.clock.now())
            stepper.sweep()

    assert stepper.execution.crashes == 0
    if stepper.state == "failed":
        assert stepper.execution.failure is not None


@given(header=nearly(HEADER), data=nearly(PLANNED, changes=1))
@fuzzed
def test_a_header_that_is_spoilt_is_read_or_named_as_damaged(header: Any, data: Any) -> None:  # noqa: ANN401  any JSON
    if not isinstance(header, dict) or not isinstance(data, dict):
        return
    try:
        execution = execution_from_json(
            header, execution_id="x", version=1, revision=1, status="processing", due_at=NOON, data=data
        )
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return  # what every store catches and calls StoreCorruptError

    assert execution.execution_id == "x"


ROW = {
    ONE_PART.execution: HEADER,
    ONE_PART.version: 1,
    ONE_PART.revision: 1,
    ONE_PART.status: "processing",
    ONE_PART.due_at: 1_700_000_000_000,
    ONE_PART.data: PLANNED,
}


@given(row=nearly(ROW))
@fuzzed
def test_a_row_that_is_spoilt_holds_an_execution_or_is_named_as_damaged(row: Any) -> None:  # noqa: ANN401  any JSON
    if not isinstance(row, dict):
        return
    try:
        item = {name: encode(value) for name, value in row.items()}
    except StateMachineError:
        return  # DynamoDB holds no such value

    try:
        execution = DynamoStore(client_of(None)).execution_on("video-1", item)
    except StoreCorruptError as error:
        damage = str(error)
        assert "video-1" in damage
        return

    assert execution is None or execution.execution_id == "video-1"


@given(
    slots=ANY_JSON
    | nearly({"run-1": {"expires_at": 1, "version": 1, "day": "2026-11-22", "usd": 1.5, "spent_before_usd": 0}})
)
@fuzzed
def test_a_control_row_that_is_spoilt_is_named_as_damaged(slots: Any) -> None:  # noqa: ANN401  any JSON
    from worker.providers.dynamodb_rows import _usage  # noqa: PLC0415  reads what DynamoDB gave, and nothing else

    try:
        item = {
            "ai_control_revision": {"N": "1"},
            "ai_day": {"S": "x"},
            "ai_spent_usd": {"N": "1"},
            "ai_slots": encode(slots),
        }
    except (StateMachineError, ValueError, TypeError):
        return
    try:
        usage = _usage(item)
    except StoreCorruptError:
        return

    assert isinstance(usage, Usage)


LEDGER = {"taken": [["ada", 1, 1, 2]], "waiting": {"job": ["ada", 1, 1, 1]}, "turn": 3}


@given(text=nearly(LEDGER).map(json.dumps) | st.text())
@fuzzed
def test_a_quota_row_that_is_spoilt_begins_anew_instead_of_stopping_every_job(text: str) -> None:
    ledger = Ledger.from_json(text)

    after, grant = take(ledger, per_minute=50, owner="ada", job="job", wanted=3, now_ms=1_700_000_000_000)

    assert 0 <= grant.count <= 3
    assert Ledger.from_json(after.as_json()) == after


@given(data=nearly(PLANNED).filter(lambda data: isinstance(data, dict)))
@fuzzed
def test_what_a_job_says_of_itself_is_never_quoted_by_its_error(data: Any) -> None:  # noqa: ANN401  any JSON
    secret = "the plot of my unpublished novel"  # noqa: S105  what must not be logged

    with pytest.raises(ValidationError) as caught:
        Job.model_validate({**data, "recording": secret, "options": {"max_scenes": secret}})

    assert secret not in str(caught.value)
