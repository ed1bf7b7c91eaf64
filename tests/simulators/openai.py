"""OpenAI's Responses API and its list of models, as far as the planner speaks to them.

Structured output is taken seriously: a schema that the real API refuses is refused here with its words, and the
default plan is an instance of whatever schema comes, with one scene for each slot found in the input.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pydantic import JsonValue
from werkzeug.wrappers import Request, Response

from statemachine.clock import Clock
from tests.simulators.bill import Bill, TokenCharge
from tests.simulators.scenario import (
    Answer,
    Effect,
    Malformed,
    Place,
    Refusal,
    ResponseFailed,
    Scenario,
    Subject,
    Truncated,
    WrongSceneCount,
    first_of,
)
from tests.simulators.server import Route

API_KEY = "sk-simulated"
REASONING_TOKENS = 40  # in every response

JsonObject = dict[str, JsonValue]
Plan = Callable[[JsonObject], JsonValue]


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """One model of the list, its price per million tokens and, if announced, its last day."""

    usd_per_million_in: float
    usd_per_million_out: float
    shutdown_date: date | None = None


# Dates: OpenAI's deprecations page, read 2026-11-22; prices: public compilations of the same week.
MODELS: Mapping[str, LanguageModel] = {
    "gpt-6-luna": LanguageModel(0.10, 0.50),
    "gpt-5.4-mini": LanguageModel(0.25, 2.00),
    "gpt-4.1": LanguageModel(2.00, 8.00, date(2027, 1, 14)),
    "gpt-4.1-mini": LanguageModel(0.40, 1.60, date(2027, 1, 14)),
    "gpt-5": LanguageModel(1.25, 10.00, date(2026, 12, 11)),
}

# Not permitted in a strict schema (structured outputs guide, and live errors quoted up to September 2026).
REFUSED_KEYWORDS = frozenset(
    {
        "default",
        "minLength",
        "maxLength",
        "allOf",
        "not",
        "if",
        "then",
        "else",
        "dependentRequired",
        "dependentSchemas",
        "patternProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
        "unevaluatedProperties",
        "unevaluatedItems",
        "contains",
        "minContains",
        "maxContains",
        "uniqueItems",
    }
)

# status → (type, code, message) of the usual error body
ERRORS: Mapping[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "Invalid request."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("invalid_request_error", "unsupported_country_region_territory", "Country or region not supported"),
    404: ("invalid_request_error", "model_not_found", "The requested model does not exist."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests. Please try again later."),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    503: ("server_error", None, "The engine is currently overloaded, please try again later."),
}
REASONS: Mapping[str, tuple[str, str | None, str]] = {
    "insufficient_quota": (
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "context_length_exceeded": (
        "invalid_request_error",
        "context_length_exceeded",
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
    ),
}


class OpenAi:
    """OpenAI's part of the server.

    Attributes:
        plan: from a request's JSON to what the model answers; None: an instance of the request's schema.
        requests: the bodies that were accepted, in order (`store` and all).
    """

    def __init__(
        self,
        *,
        scenario: Scenario,
        bill: Bill,
        clock: Clock,
        models: Mapping[str, LanguageModel] = MODELS,
        plan: Plan | None = None,
    ) -> None:
        self.scenario = scenario
        self.bill = bill
        self.clock = clock
        self.models = dict(models)
        self.plan = plan
        self.requests: list[JsonObject] = []

    def routes(self) -> Iterable[Route]:
        """Responses and models."""
        yield Route("/v1/responses", "POST", self._respond, _at("openai.respond"), _about)
        yield Route("/v1/models", "GET", self._list_models, _at("openai.models"), _about)
        yield Route("/v1/models/<model>", "GET", self._get_model, _at("openai.models"), _about)

    def fault(self, answer: Answer) -> Response:
        """OpenAI's error body for a status or a reason."""
        kind, code, message = REASONS.get(answer.reason) or ERRORS.get(answer.status, ERRORS[500])
        return _error(answer.status, message, kind=kind, code=code)

    # --- responses ---------------------------------------------------------------------------------------------------

    def _respond(self, request: Request) -> Response:
        refused = self._refused(request)
        if refused is not None:
            return refused
        try:
            body = json.loads(request.get_data(as_text=True))
        except ValueError:
            return _error(400, "We could not parse the JSON body of your request.", kind="invalid_request_error")
        model = str(body.get("model", ""))
        if model not in self.models:
            return self._no_model(model)
        if "input" not in body:
            return _error(400, "Missing required parameter: 'input'.", param="input", code="missing_required_parameter")
        wanted = _format(body)
        fault = None if wanted is None else format_fault(wanted)
        if fault is not None:
            return _error(400, fault, param="text.format.schema", code="invalid_json_schema")
        self.requests.append(body)
        effects = self.scenario.effects("openai.plan", Subject(None, request.get_data(as_text=True)))
        return self._answered(body, model, effects)

    def _answered(self, body: JsonObject, model: str, effects: list[Effect]) -> Response:
        ordinal = len(self.requests)
        text = self._text(body, effects)
        cut, failed = first_of(effects, Truncated), first_of(effects, ResponseFailed)
        refusal = first_of(effects, Refusal)
        if cut is not None:
            text = text[: int(len(text) * cut.keep)]
        content: JsonValue = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        if refusal is not None:
            content = {"type": "refusal", "refusal": refusal.text}
        message: JsonValue = {
            "id": f"msg_{ordinal}",
            "type": "message",
            "status": "incomplete" if cut else "completed",
            "role": "assistant",
            "content": [content],
        }
        is_silent = failed is not None or (cut is not None and not text)
        reasoning: JsonValue = {"id": f"rs_{ordinal}", "type": "reasoning", "summary": []}
        charge = self._charged(f"resp_{ordinal}", body, model, text)
        answer: JsonObject = {
            "id": charge.response_id,
            "object": "response",
            "created_at": int(charge.at.timestamp()),
            "status": "failed" if failed else "incomplete" if cut else "completed",
            "error": {"code": failed.code, "message": failed.message} if failed else None,
            "incomplete_details": {"reason": cut.reason} if cut else None,
            "instructions": body.get("instructions"),
            "max_output_tokens": body.get("max_output_tokens"),
            "metadata": body.get("metadata", {}),
            "model": model,
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "reasoning": {"effort": "low", "summary": None},
            "store": body.get("store", True),
            "temperature": 1.0,
            "top_p": 1.0,
            "tool_choice": "auto",
            "tools": [],
            "truncation": "disabled",
            "text": body.get("text", {"format": {"type": "text"}}),
            "output": [reasoning] if is_silent else [reasoning, message],
            "usage": {
                "input_tokens": charge.input_tokens,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": charge.output_tokens,
                "output_tokens_details": {"reasoning_tokens": REASONING_TOKENS},
                "total_tokens": charge.input_tokens + charge.output_tokens,
            },
        }
        return _json(answer, headers={"x-request-id": f"req_{ordinal}"})

    def _text(self, body: JsonObject, effects: list[Effect]) -> str:
        malformed = first_of(effects, Malformed)
        if malformed is not None:
            return malformed.text
        wrong = first_of(effects, WrongSceneCount)
        by = 0 if wrong is None else wrong.by
        plan = default_plan(body) if self.plan is None else self.plan(body)
        return json.dumps(_with_scenes(plan, by) if by else plan)

    def _charged(self, response_id: str, body: JsonObject, model: str, text: str) -> TokenCharge:
        # Four characters a token, the vendor's own rule of thumb for English.
        tokens_in = len(json.dumps([body.get("instructions"), body.get("input")])) // 4
        tokens_out = len(text) // 4 + REASONING_TOKENS
        price = self.models[model]
        charge = TokenCharge(
            response_id=response_id,
            model=model,
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            usd=(tokens_in * price.usd_per_million_in + tokens_out * price.usd_per_million_out) / 1_000_000,
            at=self.clock.now(),
        )
        self.bill.responses.append(charge)
        return charge

    # --- models ------------------------------------------------------------------------------------------------------

    def _list_models(self, request: Request) -> Response:
        refused = self._refused(request)
        if refused is not None:
            return refused
        return _json({"object": "list", "data": [_model_entry(name, model) for name, model in self.models.items()]})

    def _get_model(self, request: Request, model: str) -> Response:
        refused = self._refused(request)
        if refused is not None:
            return refused
        if model not in self.models:
            return self._no_model(model)
        return _json(_model_entry(model, self.models[model]))

    def _no_model(self, model: str) -> Response:
        message = f"The model `{model}` does not exist or you do not have access to it."
        return _error(404, message, code="model_not_found")

    def _refused(self, request: Request) -> Response | None:
        kind, _, key = request.headers.get("Authorization", "").partition(" ")
        if kind == "Bearer" and key == API_KEY:
            return None
        if not key:
            return _error(401, "You didn't provide an API key.")
        return _error(401, f"Incorrect API key provided: {key[:3]}***.", code="invalid_api_key")


def format_fault(wanted: Mapping[str, JsonValue]) -> str | None:
    """Why the API refuses a `text.format`, in its words; None when it does not."""
    if wanted.get("type") != "json_schema":
        return None
    name, schema = wanted.get("name"), wanted.get("schema")
    said = f"Invalid schema for response_format '{name}': "
    if not isinstance(schema, dict) or schema.get("type") != "object" or "anyOf" in schema:
        return f"{said}schema must be a JSON Schema of type object."
    if not wanted.get("strict"):
        return None
    fault = _schema_fault(schema, ())
    return None if fault is None else said + fault


def _schema_fault(schema: JsonObject, path: tuple[str, ...]) -> str | None:
    """The first fault of a strict schema, its own or one of its parts'."""
    faults = (_schema_fault(part, (*path, *where)) for where, part in _parts(schema))
    return _own_fault(schema, f"In context={path!r}, ") or next((fault for fault in faults if fault), None)


def _own_fault(schema: JsonObject, context: str) -> str | None:
    refused = sorted(REFUSED_KEYWORDS & set(schema))
    if refused:
        return f"{context}'{refused[0]}' is not permitted."
    if "$ref" in schema and len(schema) > 1:
        return f"{context}$ref cannot have keywords {set(schema) - {'$ref'}}."
    if schema.get("type") != "object":
        return None
    if schema.get("additionalProperties") is not False:
        return f"{context}'additionalProperties' is required to be supplied and to be false."
    properties, required = schema.get("properties"), schema.get("required")
    names = properties if isinstance(properties, dict) else {}
    missing = sorted(set(names) - set(required if isinstance(required, list) else ()))
    if missing:
        return (
            f"{context}'required' is required to be supplied and to be an array including every key in properties. "
            f"Missing '{missing[0]}'."
        )
    return None


def _parts(schema: JsonObject) -> Iterable[tuple[tuple[str, ...], JsonObject]]:
    """The schemas inside of a schema, and where they stand in it."""
    for keyword in ("properties", "$defs", "anyOf", "items"):
        match schema.get(keyword):
            case dict(inner) if keyword == "items":
                yield (keyword,), inner
            case dict(inner):
                yield from (((keyword, name), part) for name, part in inner.items() if isinstance(part, dict))
            case list(inner):
                yield from (((keyword, str(at)), part) for at, part in enumerate(inner) if isinstance(part, dict))
            case _:
                pass


def slots_in(body: Mapping[str, JsonValue]) -> list[JsonObject]:
    """The longest JSON list of objects in the first text of the input that has one: the slots, however introduced.

    A later text may repeat an answer that had too many scenes, with what is wrong with it.
    """
    for text in _input_texts(body.get("input")):
        if found := max(_lists_in(text), key=len, default=[]):
            return found
    return []


def default_plan(body: JsonObject) -> JsonValue:
    """An instance of the request's schema, with one item for each slot in its lists of objects.

    What an item has in common with its slot by name (index, times, narration) is taken over from it.
    """
    wanted = _format(body)
    schema = None if wanted is None else wanted.get("schema")
    if not isinstance(schema, dict):
        return {"text": "There is nothing to plan."}
    defs = schema.get("$defs", {})
    return _instance(schema, "", _Around(defs if isinstance(defs, dict) else {}, slots_in(body)))


@dataclass(frozen=True, slots=True)
class _Around:
    """What an instance is made from: definitions, slots, and the slot that the present item is for."""

    defs: Mapping[str, JsonValue]
    slots: Sequence[JsonObject]
    ordinal: int = 0
    slot: Mapping[str, JsonValue] | None = None


# Words for the elements of a prompt (Google's Veo guide names them); the number of the scene picks one.
WORDS: Mapping[str, Sequence[str]] = {
    "title": ("A quiet story by the sea",),
    "style": ("Warm painterly realism with soft film grain and long gentle shadows",),
    "character": ("a tall grey-haired keeper in a yellow oilskin coat and a dark woollen cap",),
    "negative": ("text, watermark, logo, subtitles",),
    "subject": ("a tall grey-haired keeper", "a small fishing boat", "an old white lighthouse", "a lantern on a table"),
    "action": ("walking slowly along the shore", "turning toward the light", "standing firm in the wind"),
    "setting": ("on a rocky coast at dusk", "inside a round stone room", "on the open sea under low clouds"),
    "camera": ("slow dolly forward at eye level", "wide aerial view drifting left", "steady tracking movement"),
    "composition": ("wide composition with a low horizon", "medium composition with the subject on the left"),
    "ambiance": ("golden light with deep blue shadows", "cool grey light and fine rain"),
}


def _instance(schema: JsonValue, name: str, around: _Around) -> JsonValue:  # noqa: PLR0911 (one return per type)
    assert isinstance(schema, dict)
    if "$ref" in schema:
        return _instance(around.defs[str(schema["$ref"]).rpartition("/")[2]], name, around)
    alternatives, values = schema.get("anyOf"), schema.get("enum")
    if isinstance(alternatives, list):
        chosen = next(part for part in alternatives if not (isinstance(part, dict) and part.get("type") == "null"))
        return _instance(chosen, name, around)
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type")
    slot = around.slot or {}
    if name in slot and kind in _KINDS and isinstance(slot[name], _KINDS[str(kind)]):
        return slot[name]
    if isinstance(values, list):
        return values[around.ordinal % len(values)]
    match kind:
        case "object":
            properties = schema.get("properties", {})
            assert isinstance(properties, dict)
            return {key: _instance(part, key, around) for key, part in properties.items()}
        case "array":
            return _items(schema, name, around)
        case "integer" | "number":
            return around.ordinal
        case "boolean":
            return False
        case _:
            return _sentence(name, around.ordinal)


_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}


def _items(schema: JsonObject, name: str, around: _Around) -> list[JsonValue]:
    items = schema.get("items")
    target = items
    if isinstance(items, dict) and "$ref" in items:
        target = around.defs[str(items["$ref"]).rpartition("/")[2]]
    is_list_of_objects = isinstance(target, dict) and target.get("type") == "object"
    if not is_list_of_objects or around.slot is not None:
        return [_instance(items, name, around)]
    return [
        _instance(items, name, _Around(around.defs, around.slots, ordinal, slot))
        for ordinal, slot in enumerate(around.slots)
    ]


def _sentence(name: str, ordinal: int) -> str:
    for word, choices in WORDS.items():
        if word in name:
            return choices[ordinal % len(choices)]
    # A prompt in one piece, or a field that nobody foresaw: all elements in Google's order.
    order = ("camera", "composition", "subject", "action", "setting", "ambiance")
    return ", ".join(WORDS[element][ordinal % len(WORDS[element])] for element in order)


def _with_scenes(plan: JsonValue, by: int) -> JsonValue:
    """The plan with its longest list of objects lengthened or cut."""
    if not isinstance(plan, dict):
        return plan
    lists = {name: part for name, part in plan.items() if isinstance(part, list) and part and isinstance(part[0], dict)}
    if not lists:
        return plan
    name = max(lists, key=lambda key: len(lists[key]))
    scenes = lists[name]
    return {**plan, name: scenes[:by] if by < 0 else scenes + [scenes[-1]] * by}


def _input_texts(given: JsonValue) -> Iterable[str]:
    match given:
        case str():
            yield given
        case list():
            for part in given:
                yield from _input_texts(part)
        case {"content": content}:
            yield from _input_texts(content)
        case {"text": str(text)}:
            yield text
        case _:
            return


def _lists_in(text: str) -> Iterable[list[JsonObject]]:
    """Every list of objects that stands in a text as JSON, also inside of other JSON."""
    decoder, position = json.JSONDecoder(), 0
    while (position := text.find("[", position)) >= 0:
        try:
            value, _ = decoder.raw_decode(text, position)
        except ValueError:
            value = None
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            yield value
        position += 1


def _format(body: Mapping[str, JsonValue]) -> JsonObject | None:
    text = body.get("text")
    wanted = text.get("format") if isinstance(text, dict) else None
    return wanted if isinstance(wanted, dict) else None


def _model_entry(name: str, model: LanguageModel) -> JsonObject:
    entry: JsonObject = {"id": name, "object": "model", "created": 1_780_000_000, "owned_by": "openai"}
    if model.shutdown_date is not None:
        entry["shutdown_date"] = model.shutdown_date.isoformat()
    return entry


def _at(place: Place) -> Callable[[Request], Place]:
    return lambda _: place


def _about(request: Request, **_: str) -> Subject:
    return Subject(None, request.get_data(as_text=True))


def _json(body: JsonObject, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(body), status, dict(headers or {}), mimetype="application/json")


def _error(
    status: int, message: str, *, kind: str = "invalid_request_error", code: str | None = None, param: str | None = None
) -> Response:
    return _json(
        {"error": {"message": message, "type": kind, "param": param, "code": code}},
        status,
        {"x-request-id": "req_refused"},
    )
