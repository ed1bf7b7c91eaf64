"""What the repository promises about itself: commands, locks, records of decisions, and what no file may say."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z0-9-]*):", MAKEFILE, flags=re.MULTILINE))
LOCKS = [ROOT / "requirements" / name for name in ("project.txt", "uv.txt")]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))

# A folder of one person's machine.  '~' and /tmp are everybody's.
MACHINE_PATH = re.compile(r"(?<![\w.{}$:/-])/(?:home|root|work|Users)/\w+")
INDEX_OPTION = re.compile(
    r"^\s*(?:-i|--(?:extra-)?index-url|--default-index|--index|--find-links|--trusted-host)\b", re.MULTILINE
)
INDEX_TABLE = re.compile(r"^\s*(?:\[\[tool\.uv\.index\]\]|(?:extra-)?index-url\s*=|find-links\s*=)", re.MULTILINE)


def own_files() -> list[Path]:
    """The text files that git would keep: tracked, or new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],  # noqa: S607  # git as the person has it
        cwd=ROOT,
        capture_output=True,
        check=True,
        env={key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
    )
    paths = [ROOT / os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:8192]]


def pinned(lock: Path) -> list[str]:
    """The requirements of a lock, each with its hashes on one line."""
    text = re.sub(r"^\s*#.*$", "", lock.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip()]


def test_no_file_names_a_folder_of_one_machine() -> None:
    """Such a path works for one person, and tells everybody else about their machine."""
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in own_files()
        for match in MACHINE_PATH.finditer(path.read_text(errors="replace"))
    ]

    assert found == []


def test_no_file_chooses_a_package_index() -> None:
    """Where packages come from is the installing person's choice: a mirror, a proxy, a folder."""
    found = [
        str(path.relative_to(ROOT))
        for path in own_files()
        if path.suffix in {".txt", ".in", ".toml", ".cfg", ".ini", ".lock"} or path.name in {"Makefile", "run"}
        if INDEX_OPTION.search(text := path.read_text()) or INDEX_TABLE.search(text)
    ]

    assert found == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_requirement_of_a_lock_is_pinned_and_hashed(lock: Path) -> None:
    lines = pinned(lock)

    assert lines
    assert [line for line in lines if not re.match(r"[\w.\[\],-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line)] == []


def test_lock_is_compiled_by_the_command_in_its_header() -> None:
    """Whoever has no make repeats what the header says; it must be what make does."""
    compile_command = re.search(r"^COMPILE := \.venv/bin/(.*)$", MAKEFILE, flags=re.MULTILINE)
    arguments = re.search(r"^PROJECT_LOCK := (.*)$", MAKEFILE, flags=re.MULTILINE)
    assert compile_command is not None
    assert arguments is not None

    command = f"{compile_command[1]} {arguments[1]}".replace("--quiet ", "")

    assert f"#    {command}\n" in LOCKS[0].read_text()


def test_every_dependency_of_the_project_is_in_the_lock() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [project["project"]["dependencies"], project["dependency-groups"]["dev"]]
    groups += project["project"]["optional-dependencies"].values()
    asked = {re.split(r"[\[<>=!~ ]", requirement)[0].lower() for group in groups for requirement in group}

    locked = {line.partition("==")[0].lower() for line in pinned(LOCKS[0])}

    assert asked - locked == set()


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", ".ci/run", ".pre-commit-config.yaml"])
def test_every_make_target_that_a_file_names_exists(name: str) -> None:
    # In prose, only what stands in code marks is a command.
    named = set(
        re.findall(r"(?:^|[`$]|stage |entry: )make +([a-z][a-z0-9-]*)", (ROOT / name).read_text(), re.MULTILINE)
    )

    assert named
    assert named - TARGETS == set()


def test_make_alone_lists_every_described_target() -> None:
    described = set(re.findall(r"^([a-z][a-z0-9-]*):.*## ", MAKEFILE, flags=re.MULTILINE))

    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607  # the person's make

    assert {line.split()[0] for line in listed.stdout.splitlines()} == described
    assert {"setup", "demo", "test", "check"} <= described


def test_ci_runs_every_gate() -> None:
    script = (ROOT / ".ci" / "run").read_text()

    gates = re.findall(r"^stage make ([a-z0-9-]+)", script, flags=re.MULTILINE)

    assert gates == ["setup", "check", "test", "e2e-smoke"]


@pytest.mark.parametrize("name", [".ci/run", "scripts/set_up.sh"])
def test_command_can_be_executed(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(path.name[:4]) for path in DECISIONS]

    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_decision_says_why_and_what_was_rejected(path: Path) -> None:
    text = path.read_text()

    assert re.match(rf"# {path.name[:4]}: \S", text)
    assert re.findall(r"^## (.*)$", text, flags=re.MULTILINE) == ["Context", "Decision", "Rejected"]
    assert re.search(r"^(Accepted|Superseded by \d{4}), \d{4}-\d{2}-\d{2}\.$", text, flags=re.MULTILINE)


def test_changelog_has_a_section_for_what_is_not_released_and_none_for_an_unknown_version() -> None:
    headings = re.findall(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    assert headings[0] == "Unreleased"
    assert headings[1:2] in ([], [version])


def test_every_linter_exception_has_its_reason_on_the_line() -> None:
    exception = re.compile(r"#\s*(?:noqa(?::\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?|type:\s*ignore(?:\[[\w, -]+\])?)(.*)$")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in own_files()
        if path.suffix == ".py"
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if (match := exception.search(line)) and not re.search(r"[a-z]{2,}", exception.sub(r"\1", match[1]))
    ]

    assert found == []
