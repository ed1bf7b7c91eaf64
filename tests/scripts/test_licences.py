from email.message import Message
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

import pytest

from scripts.licences import ALLOWED, WORDS, licence_of, licences, locked, main


class Package(Distribution):
    """An installed package that says these things of itself."""

    def __init__(self, name: str, **fields: str) -> None:
        self._fields = {"Metadata-Version": "2.4", "Name": name, "Version": "1.0", **fields}

    @property
    def metadata(self) -> Any:  # noqa: ANN401  what importlib reads from a file
        from importlib.metadata import _adapters  # type: ignore[attr-defined]  # noqa: PLC0415  the class that reads it

        message = Message()
        for name, value in self._fields.items():
            message[name.replace("_", "-")] = value
        return _adapters.Message(message)

    def read_text(self, filename: str) -> str | None:
        return None

    def locate_file(self, path: Any) -> Path:  # noqa: ANN401  importlib's
        return Path(path)


def test_everything_that_the_locks_bring_is_under_an_allowed_licence() -> None:
    found = licences(distributions())

    assert len(found) > 100
    assert [f"{licence.package}: {licence.said}" for licence in found if not licence.is_allowed] == []


@pytest.mark.parametrize(
    ("fields", "is_allowed"),
    [
        ({"License_Expression": "MIT"}, True),
        ({"License_Expression": "GPL-3.0-only"}, False),
        ({"License_Expression": "GPL-3.0-only OR MIT"}, True),
        ({"License_Expression": "Apache-2.0 AND CNRI-Python"}, True),
        ({"License_Expression": "Apache-2.0 AND AGPL-3.0-only"}, False),
        ({"Classifier": "License :: OSI Approved :: MIT License"}, True),
        ({"Classifier": "License :: OSI Approved :: GNU General Public License v3 (GPLv3)"}, False),
        ({"License": "Apache 2.0"}, True),
        ({"License": "Proprietary"}, False),
        ({"License": "MIT\nwith a text below"}, True),
        ({}, False),
    ],
)
def test_a_licence_is_read_from_whatever_the_package_says(fields: dict[str, str], is_allowed: bool) -> None:  # noqa: FBT001  a case
    assert licence_of(Package("package", **fields)).is_allowed is is_allowed


def test_only_packages_of_the_locks_are_looked_at() -> None:
    found = licences([Package("Pydantic_Core", License_Expression="MIT"), Package("somebody-elses")])

    assert [licence.package for licence in found] == ["Pydantic_Core"]
    assert {"pydantic", "boto3", "uv"} <= locked()


def test_every_word_for_a_licence_means_an_allowed_one() -> None:
    assert set(WORDS.values()) <= ALLOWED


def test_the_list_names_what_is_in_a_wheel_beside_python(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0

    assert "libx265, GPL-2.0-or-later" in capsys.readouterr().out
