"""The document says what the code does, and its examples are what the API answers."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from openapi_spec_validator import validate

from tests.worker.handlers.api.examples import FOLDER, JOBS, as_file, examples
from worker.handlers.api.openapi import document
from worker.handlers.api.problems import KINDS
from worker.handlers.api.requests import parse_body

ROOT = Path(__file__).parents[4]
DOCUMENT = document()
MADE = examples()


def validator_of(schema: Mapping[str, Any], document: Mapping[str, Any] = DOCUMENT) -> OAS31Validator:
    """A validator that finds the document's components and minds formats."""
    return OAS31Validator({**schema, "components": document["components"]}, format_checker=oas31_format_checker)


def fits(value: object, name: str) -> bool:
    return bool(validator_of({"$ref": f"#/components/schemas/{name}"}).is_valid(value))


def assert_fits(value: object, name: str) -> None:
    validator_of({"$ref": f"#/components/schemas/{name}"}).validate(value)


def bodies(part: object) -> Iterator[Mapping[str, Any]]:
    """Every body that is described anywhere in a part of the document, with its schema and its examples."""
    if isinstance(part, Mapping):
        if "schema" in part and "examples" in part:
            yield part
        for inner in part.values():
            yield from bodies(inner)


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


def test_every_example_in_the_document_fits_the_schema_that_it_stands_at() -> None:
    """Of the document as it is checked in, so that a page may build on either."""
    document = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    shown = {}
    for body in bodies({name: document[name] for name in ("paths", "webhooks")}):
        for name, example in body["examples"].items():
            validator_of(body["schema"], document).validate(example["value"])
            shown[name] = example["value"]

    assert shown == MADE


@pytest.mark.parametrize("name", sorted(JOBS))
def test_a_job_fits_the_branch_of_its_status_and_no_other(name: str) -> None:
    branches = {"processing": "ProcessingJob", "completed": "CompletedJob", "failed": "FailedJob"}

    assert [branch for branch in branches.values() if fits(MADE[name], branch)] == [
        branches[MADE[name]["ai_generation_status"]]
    ]


def test_the_schema_of_a_job_tells_its_branches_apart_by_the_status() -> None:
    job = DOCUMENT["components"]["schemas"]["JobView"]

    assert job["discriminator"]["propertyName"] == "ai_generation_status"
    assert {name: place.rpartition("/")[2] for name, place in job["discriminator"]["mapping"].items()} == {
        "processing": "ProcessingJob",
        "completed": "CompletedJob",
        "failed": "FailedJob",
    }
    assert sorted(branch["$ref"] for branch in job["oneOf"]) == sorted(job["discriminator"]["mapping"].values())


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("completed", ("media", "video_url"), None),
        ("completed", ("media", "download_url"), None),
        ("completed", ("ai_generation_data", "final_video_url"), None),
        ("completed", ("urls_expire_at",), None),
        ("completed", ("poll_after_seconds",), 5),
        ("completed", ("error",), MADE["cancelled"]["error"]),
        ("failed_filtered", ("error",), None),
        ("failed_filtered", ("error", "code"), None),
        ("failed_filtered", ("error", "user_action"), None),
        ("failed_filtered", ("poll_after_seconds",), 5),
        ("rendering", ("error",), MADE["cancelled"]["error"]),
        ("rendering", ("poll_after_seconds",), None),
        ("rendering", ("ai_generation_status",), "completed"),
        ("rendering", ("ai_generation_status",), "done"),
        ("rendering", ("created_at",), "yesterday"),
        ("rendering", ("surplus",), 1),
    ],
)
def test_a_job_that_contradicts_its_status_does_not_fit(name: str, path: tuple[str, ...], value: object) -> None:
    """Or the tests above would pass with a schema that allows everything."""
    spoilt = json.loads(json.dumps(MADE[name]))
    place = spoilt
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value

    assert fits(MADE[name], "JobView")
    assert not fits(spoilt, "JobView")


@pytest.mark.parametrize("name", sorted(name for name in MADE if name.startswith("problem_")))
def test_an_example_of_a_problem_fits_the_schema(name: str) -> None:
    assert_fits(MADE[name], "ProblemBody")


@pytest.mark.parametrize("name", sorted(name for name in MADE if name.startswith("request_")))
def test_an_example_of_a_request_fits_the_schema_and_is_understood(name: str) -> None:
    assert_fits(MADE[name], "VideoRequest")

    parse_body(json.dumps(MADE[name]).encode())


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
