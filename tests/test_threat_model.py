"""What the threat model says is shown by tests is: they exist."""

import re
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "threat-model.md"
NAMED = re.compile(r"\]\(\.\./(tests/[\w/]+\.py)\)`::(\w+)`")


def test_every_test_that_the_page_names_exists() -> None:
    named = NAMED.findall(PAGE.read_text())

    assert len(named) > 15
    assert [name for path, name in named if f"def {name}(" not in (PAGE.parents[1] / path).read_text()] == []


def test_the_exceptions_from_the_security_rules_are_as_many_as_were_reviewed() -> None:
    """Whoever adds one reviews it, and says so on the page."""
    root = PAGE.parents[1]
    sources = [path for folder in ("worker", "statemachine", "scripts") for path in (root / folder).rglob("*.py")]
    found = [path for path in sources for _ in re.findall(r"noqa: [A-Z0-9, ]*\bS\d{3}", path.read_text())]

    reviewed = re.search(r"reviewed on [\d-]+, (\d+)\s+of them", PAGE.read_text())
    assert reviewed is not None
    assert len(found) == int(reviewed[1])
