"""The simulators' own addresses: scenario, bill and requests for a test in another process."""

import json
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, JsonValue, TypeAdapter, ValidationError
from werkzeug.wrappers import Request, Response

from tests.simulators.bill import Bill
from tests.simulators.google_tokens import GoogleTokens
from tests.simulators.presets import PRESETS
from tests.simulators.scenario import Answer, Place, Rule, Scenario, Subject
from tests.simulators.server import Journal, LoggedRequest, Route

BILL = TypeAdapter(Bill)
REQUESTS = TypeAdapter(list[LoggedRequest])


class ScenarioChange(BaseModel):
    """What `POST /_simulator/scenario` takes.

    Attributes:
        name: of a preset, whose rules come first.
        keeps_rules: the rules that hold already go on holding; otherwise they end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "well"
    rules: tuple[Rule, ...] = ()
    keeps_rules: bool = False


class Control:
    """The simulators' own part of the server; scenarios do not meet it."""

    def __init__(self, *, scenario: Scenario, bill: Bill, journal: Journal, tokens: GoogleTokens) -> None:
        self._scenario = scenario
        self._bill = bill
        self._journal = journal
        self._tokens = tokens

    def routes(self) -> Iterable[Route]:
        """Everything below `/_simulator/`."""
        yield Route("/_simulator/scenario", "POST", self._change, _nowhere, _about_nothing)
        yield Route("/_simulator/scenario", "GET", self._show_scenario, _nowhere, _about_nothing)
        yield Route("/_simulator/bill", "GET", self._show_bill, _nowhere, _about_nothing)
        yield Route("/_simulator/requests", "GET", self._show_requests, _nowhere, _about_nothing)
        yield Route("/_simulator/expire_tokens", "POST", self._expire_tokens, _nowhere, _about_nothing)

    def fault(self, answer: Answer) -> Response:
        """Not asked for: no scenario meets these addresses."""
        return _json({"error": f"status {answer.status}"}, answer.status)

    def _change(self, request: Request) -> Response:
        try:
            change = ScenarioChange.model_validate_json(request.get_data() or b"{}")
        except ValidationError as error:
            return _json({"error": json.loads(error.json(include_url=False))}, 400)
        if change.name not in PRESETS:
            return _json({"error": f"no scenario {change.name!r}", "known": [*sorted(PRESETS)]}, 400)
        if not change.keeps_rules:
            self._scenario.clear()
        self._scenario.add(*PRESETS[change.name], *change.rules)
        return self._show_scenario(request)

    def _show_scenario(self, request: Request) -> Response:
        return _json({"rules": [rule.model_dump(mode="json") for rule in self._scenario.rules]})

    def _show_bill(self, request: Request) -> Response:
        return _json({**BILL.dump_python(self._bill, mode="json"), "usd": self._bill.usd})

    def _show_requests(self, request: Request) -> Response:
        requests = REQUESTS.dump_python(list(self._journal.requests), mode="json")
        return _json({"requests": requests, "faults": list(self._journal.faults)})

    def _expire_tokens(self, request: Request) -> Response:
        self._tokens.expire_tokens()
        return _json({"expired": self._tokens.count})


def _nowhere(request: Request) -> Place | None:
    return None


def _about_nothing(request: Request) -> Subject:
    return Subject()


def _json(body: dict[str, JsonValue], status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
