"""OpenAI's part, tried with the openai SDK."""

import json
from collections.abc import Iterator
from typing import Literal

import openai
import pytest
from openai.types.responses import ParsedResponse
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from tests.simulators.openai import API_KEY, format_fault, slots_in
from tests.simulators.scenario import (
    Answer,
    Drop,
    Effect,
    Malformed,
    Refusal,
    ResponseFailed,
    Rule,
    Truncated,
    WrongSceneCount,
)
from tests.simulators.vendors import Vendors


class SceneWire(BaseModel):
    """One scene as the model is to write it; some of it stands in the slot already."""

    model_config = ConfigDict(extra="forbid")

    index: int
    start_seconds: float
    narration: str
    subject: str
    mood: Literal["calm", "tense"]
    note: str | None


class PlanWire(BaseModel):
    """A bare wire model: no defaults, no bounds."""

    model_config = ConfigDict(extra="forbid")

    title: str
    style_bible: str
    scenes: list[SceneWire]


class DefaultWire(BaseModel):
    """Has a default, which the SDK leaves in the schema."""

    title: str = "untitled"


class LengthWire(BaseModel):
    """Has a bound, which the SDK leaves in the schema."""

    title: str = Field(min_length=1)


SLOTS = [{"index": place, "start_seconds": place * 7.5, "narration": f"words {place}"} for place in range(3)]


@pytest.fixture
def client(vendors: Vendors) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=API_KEY, base_url=f"{vendors.url}/v1", max_retries=0) as client:
        yield client


def planned(client: openai.OpenAI, wire: type[BaseModel] = PlanWire) -> ParsedResponse[BaseModel]:
    return client.responses.parse(
        model="gpt-6-luna",
        instructions="Plan the scenes.",
        input=[{"role": "user", "content": f"The slots:\n{json.dumps({'slots': SLOTS})}\nThat is all."}],
        text_format=wire,
        parse_as=None,
        max_output_tokens=4000,
        store=False,
    )


def befalls(vendors: Vendors, effect: Effect) -> None:
    vendors.scenario.add(Rule.model_validate({"place": "openai.plan", "effect": effect}))


def test_the_plan_fits_the_schema_and_has_a_scene_for_each_slot(client: openai.OpenAI) -> None:
    response = planned(client)

    plan = PlanWire.model_validate_json(response.output_text)
    assert response.status == "completed"
    assert [scene.model_dump(include=set(SLOTS[0])) for scene in plan.scenes] == SLOTS
    assert all(scene.subject for scene in plan.scenes)


def test_a_plan_may_be_given(vendors: Vendors, client: openai.OpenAI) -> None:
    asked: list[JsonValue] = []

    def plan(request: dict[str, JsonValue]) -> JsonValue:
        asked.append(request["instructions"])
        return {"title": "mine", "style_bible": "", "scenes": []}

    vendors.openai.plan = plan

    assert PlanWire.model_validate_json(planned(client).output_text).title == "mine"
    assert asked == ["Plan the scenes."]


def test_tokens_are_billed_and_whether_to_store_is_written_down(vendors: Vendors, client: openai.OpenAI) -> None:
    response = planned(client)

    (charge,) = vendors.bill.responses
    assert response.usage is not None
    assert (charge.input_tokens, charge.output_tokens) == (response.usage.input_tokens, response.usage.output_tokens)
    assert charge.usd == pytest.approx((charge.input_tokens * 0.10 + charge.output_tokens * 0.50) / 1e6)
    assert vendors.openai.requests[0]["store"] is False


@pytest.mark.parametrize(("wire", "keyword"), [(DefaultWire, "default"), (LengthWire, "minLength")])
def test_a_schema_that_the_real_one_refuses_is_refused_with_its_words(
    vendors: Vendors, client: openai.OpenAI, wire: type[BaseModel], keyword: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=f"'{keyword}' is not permitted") as refused:
        planned(client, wire)

    assert refused.value.code == "invalid_json_schema"
    assert vendors.bill.responses == []


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "array", "items": {"type": "string"}}, "type object"),
        ({"type": "object", "properties": {}}, "'additionalProperties' is required"),
        (
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": [], "additionalProperties": False},
            "Missing 'a'",
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "array", "items": {"type": "object"}}},
                "required": ["a"],
                "additionalProperties": False,
            },
            "('properties', 'a', 'items')",
        ),
    ],
)
def test_a_strict_schema_leaves_nothing_open(schema: dict[str, JsonValue], words: str) -> None:
    fault = format_fault({"type": "json_schema", "strict": True, "name": "Plan", "schema": schema})

    assert fault is not None
    assert words in fault


def test_a_refusal_comes_as_a_completed_response(vendors: Vendors, client: openai.OpenAI) -> None:
    befalls(vendors, Refusal())

    response = planned(client)

    message = next(part for part in response.output if part.type == "message")
    assert (response.status, message.content[0].type, response.output_text) == ("completed", "refusal", "")


@pytest.mark.parametrize("keep", [0.0, 0.5])
def test_a_plan_breaks_off_where_the_tokens_end(vendors: Vendors, client: openai.OpenAI, keep: float) -> None:
    befalls(vendors, Truncated(keep=keep))

    response = planned(client)

    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    with pytest.raises(ValueError, match="Invalid JSON"):
        PlanWire.model_validate_json(response.output_text)


def test_a_plan_is_malformed(vendors: Vendors, client: openai.OpenAI) -> None:
    befalls(vendors, Malformed())

    with pytest.raises(ValueError, match="Invalid JSON"):
        PlanWire.model_validate_json(planned(client).output_text)


@pytest.mark.parametrize(("by", "count"), [(-1, 2), (2, 5)])
def test_a_plan_has_another_number_of_scenes(vendors: Vendors, client: openai.OpenAI, by: int, count: int) -> None:
    befalls(vendors, WrongSceneCount(by=by))

    assert len(PlanWire.model_validate_json(planned(client).output_text).scenes) == count


def test_a_response_that_fails_says_so_with_a_code(vendors: Vendors, client: openai.OpenAI) -> None:
    befalls(vendors, ResponseFailed())

    response = planned(client)

    assert response.status == "failed"
    assert response.error is not None
    assert response.error.code == "server_error"


def test_quota_and_rate_are_told_apart_by_their_code(vendors: Vendors, client: openai.OpenAI) -> None:
    vendors.scenario.add(
        Rule(place="openai.respond", effect=Answer(status=429)),
        Rule(place="openai.respond", effect=Answer(status=429, reason="insufficient_quota"), first=2),
    )

    codes = []
    for _ in range(2):
        with pytest.raises(openai.RateLimitError) as refused:
            planned(client)
        codes.append(refused.value.code)

    assert codes == ["rate_limit_exceeded", "insufficient_quota"]


def test_the_sdk_obeys_retry_after_ms(vendors: Vendors, client: openai.OpenAI) -> None:
    vendors.scenario.add(Rule(place="openai.respond", effect=Answer(status=429, headers={"retry-after-ms": "1"})))

    response = planned(client.with_options(max_retries=1))

    assert response.status == "completed"
    assert [request.status for request in vendors.journal.at("openai.respond")] == [429, 200]


def test_a_response_is_billed_though_its_answer_is_lost(vendors: Vendors, client: openai.OpenAI) -> None:
    vendors.scenario.add(Rule(place="openai.respond", effect=Drop(is_done=True)))

    with pytest.raises(openai.APIConnectionError):
        planned(client)

    assert len(vendors.bill.responses) == 1


def test_a_model_that_is_gone_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        client.responses.create(model="gpt-4", input="Hello")

    assert refused.value.code == "model_not_found"


def test_another_key_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError) as refused:
        client.with_options(api_key="sk-other").models.list()

    assert refused.value.code == "invalid_api_key"


def test_a_model_tells_its_last_day_when_it_is_announced(client: openai.OpenAI) -> None:
    described = {model.id: model.model_dump() for model in client.models.list()}

    assert described["gpt-5"]["shutdown_date"] == "2026-12-11"
    assert described["gpt-6-luna"].get("shutdown_date") is None
    assert client.models.retrieve("gpt-6-luna").id == "gpt-6-luna"


@pytest.mark.parametrize(
    "given",
    [
        json.dumps(SLOTS),
        f"Two notes [1] and [2], then the list: {json.dumps(SLOTS, indent=2)} and [an end",
        [{"role": "user", "content": [{"type": "input_text", "text": json.dumps({"a": {"b": SLOTS}})}]}],
    ],
)
def test_slots_are_found_however_they_are_introduced(given: JsonValue) -> None:
    assert slots_in({"input": given}) == SLOTS
