"""The document says what the code does, and its examples are what the API answers."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from tests.worker.handlers.api.examples import FOLDER, JOBS, as_file, examples
from worker.handlers.api.openapi import document
from worker.handlers.api.problems import KINDS
from worker.handlers.api.requests import parse_body

ROOT = Path(__file__).parents[4]
DOCUMENT = document()
MADE = examples()


def assert_fits(value: object, schema: str) -> None:
    components = {"components": DOCUMENT["components"]}
    OAS31Validator({"$ref": f"#/components/schemas/{schema}", **components}).validate(value)


def operations() -> dict[str, Any]:
    return dict(DOCUMENT["paths"]["/ai-video"])


def test_the_document_is_valid_openapi() -> None:
    validate(DOCUMENT)


def test_the_document_in_docs_is_the_one_that_the_code_makes() -> None:
    result = subprocess.run(  # noqa: S603  our own script
        [sys.executable, ROOT / "scripts" / "openapi.py"], capture_output=True, text=True, check=True, encoding="utf-8"
    )

    stored = (ROOT / "docs" / "openapi.json").read_text(encoding="utf-8")
    assert stored == result.stdout, "make it anew: python scripts/openapi.py > docs/openapi.json"


@pytest.mark.parametrize("name", sorted(MADE))
def test_an_example_is_what_the_api_answers(name: str) -> None:
    stored = (FOLDER / f"{name}.json").read_text(encoding="utf-8")

    assert stored == as_file(MADE[name]), "make them anew: python -m tests.worker.handlers.api.examples"


def test_there_is_no_example_that_nobody_makes() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(MADE)


@pytest.mark.parametrize("name", sorted(JOBS))
def test_an_example_of_a_job_fits_the_schema(name: str) -> None:
    assert_fits(MADE[name], "JobView")


@pytest.mark.parametrize("name", sorted(name for name in MADE if name.startswith("problem_")))
def test_an_example_of_a_problem_fits_the_schema(name: str) -> None:
    assert_fits(MADE[name], "ProblemBody")


@pytest.mark.parametrize("name", sorted(name for name in MADE if name.startswith("completion_")))
def test_an_example_of_an_event_fits_the_schema(name: str) -> None:
    assert_fits(MADE[name], "CompletionBody")


def test_the_example_of_an_estimate_fits_the_schema() -> None:
    assert_fits(MADE["dry_run"], "DryRunView")


@pytest.mark.parametrize("name", sorted(name for name in MADE if name.startswith("request_")))
def test_an_example_of_a_request_fits_the_schema_and_is_understood(name: str) -> None:
    assert_fits(MADE[name], "VideoRequest")

    parse_body(json.dumps(MADE[name]).encode())


def test_a_schema_refuses_what_does_not_fit() -> None:
    """Or the tests above would pass with a schema that allows everything."""
    for spoilt in ({**MADE["completed"], "surplus": 1}, {**MADE["completed"], "phase": 7}, {}):
        validator = OAS31Validator({"$ref": "#/components/schemas/JobView", "components": DOCUMENT["components"]})
        assert not validator.is_valid(spoilt)


def test_every_problem_that_the_routes_have_is_in_the_document() -> None:
    described = json.dumps(operations())

    missing = {code for code in KINDS if f"`{code}`" not in described}
    assert missing == {"NOT_FOUND", "METHOD_NOT_ALLOWED"}  # of other paths and methods


def test_every_name_in_the_phases_of_an_example_is_a_state_of_the_machine() -> None:
    assert {MADE[name]["phase"] for name in JOBS} == {
        "transcribing",
        "rendering",
        "reviewing",
        "completed",
        "failed",
    }
