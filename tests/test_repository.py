"""What the repository promises about itself: commands, locks, records of decisions, and what no file may say."""

import fnmatch
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAKEFILE = (ROOT / "Makefile").read_text()
TOOLS = (re.findall(r"^TOOLS := (.*)$", MAKEFILE, flags=re.MULTILINE) or [""])[0].split()
TARGETS = {*re.findall(r"^([a-z][a-z0-9-]*):", MAKEFILE, flags=re.MULTILINE), *TOOLS}
LOCKS = [ROOT / "requirements" / f"{name}.txt" for name in ("project", "uv", "lambda", *TOOLS)]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))

# A folder of one person's machine.  '~' and /tmp are everybody's.
MACHINE_PATH = re.compile(r"(?<![\w.{}$:/-])/(?:home|root|work|Users)/\w+")
INDEX_OPTION = re.compile(
    r"^\s*(?:-i|--(?:extra-)?index-url|--default-index|--index|--find-links|--trusted-host)\b", re.MULTILINE
)
INDEX_TABLE = re.compile(r"^\s*(?:\[\[tool\.uv\.index\]\]|(?:extra-)?index-url\s*=|find-links\s*=)", re.MULTILINE)


# A link of Markdown, and a heading that one may lead to.
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def own_files(root: Path = ROOT) -> list[Path]:
    """The text files that git would keep: tracked, or new and not ignored.  Without git, what .gitignore leaves."""
    paths = walked(root) if (listed := listed_by_git(root)) is None else listed
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:8192]]


def listed_by_git(root: Path) -> list[Path] | None:
    """The files that git would keep, or None where no git can say: an unpacked archive, a machine without it."""
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return None
    listed = subprocess.run(  # noqa: S603  # git as the person has it
        [git, "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=root,
        capture_output=True,
        check=False,
        env={key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
    )
    # It also refuses a folder that belongs to somebody else, as a mounted one does in a container.
    return [root / os.fsdecode(name) for name in listed.stdout.split(b"\0") if name] if listed.returncode == 0 else None


def walked(root: Path) -> Iterator[Path]:
    """Every file below that no name in .gitignore keeps out."""
    lines = (root / ".gitignore").read_text().splitlines()
    ignored = [".git", *(line.rstrip("/") for line in lines if line and not line.startswith("#"))]

    def is_ignored(name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in ignored)

    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not is_ignored(name))
        yield from (Path(folder) / name for name in sorted(names) if not is_ignored(name))


def anchors(path: Path) -> set[str]:
    """The places in a page that a link may name, spelled as GitHub spells them."""
    headings = HEADING.findall(FENCE.sub("", path.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_nowhere(page: Path, target: str) -> bool:
    """Whether a relative link names a file or a heading that is not there."""
    name, _, anchor = target.partition("#")
    found = (page.parent / name).resolve() if name else page
    if not found.exists():
        return True
    return bool(anchor) and found.suffix == ".md" and anchor not in anchors(found)


def pinned(lock: Path) -> list[str]:
    """The requirements of a lock, each with its hashes on one line."""
    text = re.sub(r"^\s*#.*$", "", lock.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("missing", [".git", "git"])
def test_without_git_what_somebody_wrote_is_read_and_nothing_else(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unpacked archive has no .git, a small image no git; neither may fail, or read the environment."""
    shutil.copy(ROOT / ".gitignore", tmp_path)
    for name in ("worker/job.py", ".venv/lib/x.py", ".venv-3.13/x.py", "a/node_modules/x.js", "build/x.txt", "x.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("something")
    if missing == "git":
        (tmp_path / ".git").mkdir()
        monkeypatch.setenv("PATH", "")

    found = own_files(tmp_path)

    assert {str(path.relative_to(tmp_path)) for path in found} == {".gitignore", "worker/job.py"}


# What the tests below are parametrised with.
PAGES = [path for path in own_files() if path.suffix == ".md"]


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


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_lock_is_compiled_by_the_command_in_its_header(lock: Path) -> None:
    """Whoever has no make repeats what the header says; it must be what make does."""
    compile_command = re.search(r"^COMPILE := \.venv/bin/(.*)$", MAKEFILE, flags=re.MULTILINE)
    assert compile_command is not None

    command = f"{compile_command[1]} {lock_arguments(lock.stem)}".replace("--quiet ", "")

    assert f"#    {command}\n" in lock.read_text()


def lock_arguments(name: str) -> str:
    """What make adds to its compile command for this lock."""
    if name in TOOLS:
        return f"requirements/{name}.in -o requirements/{name}.txt"
    (arguments,) = re.findall(rf"^{name.upper()}_LOCK := (.*)$", MAKEFILE, flags=re.MULTILINE)
    return str(arguments)


def test_make_compiles_and_checks_every_lock() -> None:
    for name in ("PROJECT", "UV", "LAMBDA"):
        assert MAKEFILE.count(f"$({name}_LOCK)") == 2  # make lock, make lock-check
    assert MAKEFILE.count("for tool in $(TOOLS); do") == 2
    assert "for lock in project uv lambda $(TOOLS);" in MAKEFILE
    assert set(LOCKS) == set((ROOT / "requirements").glob("*.txt"))


def test_everything_is_installed_with_its_hashes_verified() -> None:
    commands = [
        line
        for name in ("Makefile", "scripts/set_up.sh")
        for line in (ROOT / name).read_text().splitlines()
        if re.search(r"\bpip (?:install|sync) --", line)
    ]

    assert len(commands) == 4
    assert [line for line in commands if "--require-hashes" not in line] == []


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


@pytest.mark.parametrize("installs", [True, False])
def test_tests_go_on_when_dynoxide_cannot_be_installed(
    installs: bool,  # noqa: FBT001  # parametrize
    tmp_path: Path,
) -> None:
    """A registry out of reach costs the tests that need it, which say so, and not the whole run."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("package.json", "package-lock.json"):
        (tmp_path / "requirements" / "dynoxide").mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "requirements" / "dynoxide" / name, tmp_path / "requirements" / "dynoxide")
    programs = {
        "npm": "mkdir -p requirements/dynoxide/node_modules" if installs else "echo 'ECONNREFUSED' >&2; exit 1",
        "uname": "case $1 in -s) echo Linux ;; *) echo x86_64 ;; esac",
    }
    for name, program in programs.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{program}\n")
        path.chmod(0o755)

    result = subprocess.run(
        ["make", "try-dynoxide"],  # noqa: S607  # the person's make
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"},
    )

    assert result.returncode == 0, result.stderr
    assert ("the tests that need it will be skipped" in result.stderr) is not installs


def test_every_python_that_the_project_supports_is_tried() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    supported = [name.rpartition(" ")[2] for name in project["classifiers"] if ":: Python ::" in name]

    assert f"for version in {' '.join(supported)}; do" in (ROOT / "scripts" / "test_all.sh").read_text()


@pytest.mark.parametrize("name", [".ci/run", "scripts/chromium.sh", "scripts/set_up.sh", "scripts/test_all.sh"])
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


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_of_a_page_leads_somewhere(page: Path) -> None:
    targets = LINK.findall(FENCE.sub("", page.read_text()))

    assert [target for target in targets if "://" not in target and leads_nowhere(page, target)] == []


@pytest.mark.parametrize(("target", "is_dead"), [("two.md", False), ("two.md#a-place-b", False), ("none.md", True)])
def test_dead_link_is_noticed(target: str, is_dead: bool, tmp_path: Path) -> None:  # noqa: FBT001  # parametrize
    (tmp_path / "two.md").write_text("# A place, *b*\n")

    assert leads_nowhere(tmp_path / "one.md", target) is is_dead
    assert leads_nowhere(tmp_path / "one.md", f"{target}#elsewhere")


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
