"""Every command in the operations book is one that its program knows."""

import re
import shlex
from string import Template
from typing import Any

import pytest
import typer

from tests.mocked_aws import mock_aws
from tests.nights.platform import BOOK, all_commands, commands_of, parsed_aws, s3_place
from worker.__main__ import app

ROOT = BOOK.parents[1]

# What stands for something in the book; any word will do.
KNOWN = """FUNCTION TABLE BUCKET SECRET GROUP JOB SUB VIDEO LIMITS SCHEDULE RESTORED FOLDER RUN TRANSCRIPTION CLIPS
MOMENT BACKUP KEY POOL EMAIL"""
VARIABLES = dict.fromkeys(KNOWN.split(), "word") | {"MILLISECONDS": "1764000000000"}


def test_the_book_has_commands() -> None:
    assert len(all_commands()) > 30


@pytest.mark.parametrize("command", sorted(set(all_commands())))
def test_a_command_of_the_book_is_one_that_its_program_takes(command: str) -> None:
    program, *words = shlex.split(Template(command).safe_substitute(VARIABLES))

    assert "$" not in " ".join(words).replace("$.execution_id", "").replace("$.next_state", "")
    match program:
        case "python":
            assert words[:2] == ["-m", "worker"]
            parse(typer.main.get_command(app), words[2:])
        case "aws" if words[0] == "s3":
            assert s3_place(words[1:]).startswith("s3://word/")
        case "aws":
            with mock_aws():
                parsed_aws(words)
        case "gcloud":
            assert words[:3] == ["storage", "rm", "--recursive"]
        case _:
            pytest.fail(f"nobody knows {program}")


def parse(command: Any, words: list[str]) -> None:  # noqa: ANN401  a click command, which typer ships without types
    """Let the command line read its options, and do nothing."""
    commands = getattr(command, "commands", None)
    if commands is not None and words[0] != "--help":
        parse(commands[words[0]], words[1:])
        return
    if words != ["--help"]:
        command.make_context("word", words)


def test_every_alarm_that_is_made_stands_in_the_book_and_no_other() -> None:
    alarms = re.findall(r"^    ([a-z-]+) = \{$", (ROOT / "terraform" / "alarms.tf").read_text(), flags=re.MULTILINE)
    rows = re.findall(r"^\| `([a-z-]+)` ", BOOK.read_text().partition("## Alarms")[2].partition("###")[0], re.MULTILINE)

    assert len(alarms) > 5
    assert sorted(rows) == sorted(alarms)


def test_every_failure_code_that_a_step_may_give_stands_in_the_book() -> None:
    """Those that are ours to mend; what the owner has to do, the page says to the owner."""
    sources = [
        path.read_text()
        for folder in ("worker/steps", "worker/providers")
        for path in (ROOT / folder).rglob("*.py")
        if not path.name.endswith("_inspector.py")  # for `doctor`, which no job meets
        and path.parent.name != "sphinx"  # for one machine, which nobody is on call for
    ]
    ours = {
        code
        for text in sources
        for code in re.findall(r'"([A-Z]+(?:_[A-Z]+)+)",?[^"]*(?:f?"[^"]*",?\s*)+user_action="contact_admin"', text)
    }

    assert len(ours) > 5
    assert sorted(code for code in ours if f"`{code}`" not in BOOK.read_text()) == []


def test_every_section_that_says_it_is_simulated_is_played_by_a_night() -> None:
    simulated = [part.partition("\n")[0] for part in BOOK.read_text().split("\n## ") if "*Simulated.*" in part]
    nights = BOOK.parents[1] / "tests" / "nights"
    played = (nights / "test_nights.py").read_text() + (nights / "test_restored_table.py").read_text()

    assert len(simulated) >= 5
    assert [section for section in simulated if f'commands_of("{section}")' not in played] == []
    assert all(commands_of(section) for section in simulated)
