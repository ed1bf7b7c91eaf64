"""Schemathesis asks the real handler what its document allows, and what it does not; both have to be right."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.core.result import Err, Ok

from tests.worker.local.server.premises import Premises, premises
from worker.handlers.api.openapi import document
from worker.ports import Refused

# Of each operation, and for what is right and what is wrong; some 15 s in all (2026-11-22).
EXAMPLES = 60

# Options that contradict each other are 422 however well they are formed: no schema says so.
ACCEPTED = ["2xx", "3xx", "401", "404", "409", "422", "429"]
CHECKS = {
    "positive_data_acceptance": {"expected-statuses": ACCEPTED},
    "ignored_auth": {"enabled": False},  # asks again, over a network; `test_app` asks without a token
}
SCHEMA = schemathesis.openapi.from_dict(document(), config=schemathesis.Config.from_dict({"seed": 1, "checks": CHECKS}))


def _sound(found: Ok[Any] | Err[Any]) -> APIOperation[Any, Any, Any, Any]:
    assert isinstance(found, Ok), found
    operation: APIOperation[Any, Any, Any, Any] = found.ok()
    return operation


OPERATIONS = {operation.label: operation for operation in map(_sound, SCHEMA.get_all_operations())}


def videos(house: Premises) -> list[str]:
    """A video in each of the states that a request may meet."""
    uploaded, running, reviewing, completed, failed = (house.upload()["videoId"] for _ in range(5))
    house.start(completed)
    house.run(completed)
    house.start(reviewing, options={"reviewBeforeRender": True})
    house.run(reviewing)
    house.renderer.answers[1] = [Refused("CONTENT_FILTERED", "refused", is_retryable=False, category="violence")]
    house.start(failed)
    house.run(failed)
    house.start(running)
    return [uploaded, running, reviewing, completed, failed, house.upload(user="ben")["videoId"], "there-is-none"]


class Kept:
    """The jobs as they stand, to be had again before every example: none may depend on those before it."""

    def __init__(self, house: Premises) -> None:
        self._path = house.worker.store.path
        for table in ("executions", "parts"):
            self._run(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}")  # noqa: S608  two tables, named here

    def restore(self) -> None:
        """Put them back."""
        for table in ("executions", "parts"):
            self._run(f"DELETE FROM {table}", f"INSERT INTO {table} SELECT * FROM kept_{table}")  # noqa: S608  as above

    def _run(self, *statements: str) -> None:
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_one_of_the_document(label: str, mode: GenerationMode, tmp_path: Path) -> None:
    """No 5xx; status, headers and body as documented; what is well formed is taken, what is not is refused."""
    with premises(tmp_path) as house:
        known, kept = st.sampled_from(videos(house)), Kept(house)

        @settings(
            max_examples=EXAMPLES, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
        )
        @given(case=OPERATIONS[label].as_strategy(mode, headers=house.as_user("ada")), video=known)
        def ask(case: Case[Any], video: str) -> None:
            kept.restore()
            if mode is GenerationMode.POSITIVE:
                _about(case, video)
            request = case.as_transport_kwargs(base_url="http://localhost:8080/api")
            answer = house.client.request(
                request["method"],
                request["url"],
                params=request.get("params"),
                headers=request["headers"],
                json=request.get("json"),
                content=request.get("data"),
            )
            case.validate_response(answer)

        ask()


def _about(case: Case[Any], video: str) -> None:
    """Ask about a video that may be there: no generator finds its id."""
    where: Any = case.body if isinstance(case.body, dict) else case.query
    where["videoId"] = video
