"""The import contracts of pyproject.toml hold, each of them can fail, and what import-linter cannot see holds too."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter import api

ROOT = Path(__file__).parent.parent
PYPROJECT = ROOT / "pyproject.toml"
PACKAGES = ("statemachine", "worker")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
CLOCK = ROOT / "statemachine" / "clock.py"
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
CONTRACTS = {options["id"]: options["name"] for options in api.read_configuration(str(PYPROJECT))["contracts_options"]}

# What `import statemachine` must not load: it is imported at every cold start, before anybody knows what will be done.
HEAVY = {
    "av",
    "boto3",
    "botocore",
    "google.auth",
    "google.genai",
    "openai",
    "PIL",
    "pocketsphinx",
    "pydantic",
    "rich",
    "sqlite3",
    "typer",
}
HEAVY_OF_THE_ENGINE = {"statemachine.aws", "statemachine.diagram", "statemachine.sqlite", "statemachine.testing"}
# pydantic is what `worker.job` is made of; the SDKs wait for the one step that needs them.
HEAVY_FOR_THE_WORKER = HEAVY - {"pydantic"}

# For each contract, an import that it forbids: the file to add to, and the line.
VIOLATIONS = {
    "engine-layers": ("statemachine/errors.py", "import statemachine.machine"),
    "worker-layers": ("worker/models.py", "import worker.job"),
    "engine-knows-no-worker": ("statemachine/clock.py", "import worker.models"),
    "independent-steps": ("worker/steps/one.py", "import worker.steps.other"),
    "independent-providers": ("worker/providers/one.py", "import worker.providers.other"),
    "independent-handlers": ("worker/handlers/one.py", "import worker.handlers.other"),
    "transitions-behind-machine": ("statemachine/clock.py", "import transitions"),
    "aws-behind-adapters": ("worker/models.py", "import boto3"),
    "vendors-behind-providers": ("worker/models.py", "import openai"),
}


def relative(path: Path) -> str:
    """The module's place in the repository, for the name of its test."""
    return str(path.relative_to(ROOT))


def lint(tree: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    """Check contracts on a tree, in a process of its own: import-linter finds packages by importing them."""
    command = [str(LINT_IMPORTS), "--no-logo", "--no-cache", *(f"--contract={contract}" for contract in contracts)]
    return subprocess.run(  # noqa: S603  # our own command
        command, cwd=tree, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def copied_tree(tmp_path: Path) -> Path:
    """The two packages and their contracts, to be spoilt."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PYPROJECT, tmp_path)
    return tmp_path


def write_module(path: Path, line: str) -> None:
    """Add a line to a module, making the module and its package where they do not exist."""
    path.parent.mkdir(exist_ok=True)
    (path.parent / "__init__.py").touch()
    with path.open("a") as file:
        file.write(f"\n{line}\n")


@pytest.fixture(scope="module")
def verdicts() -> str:
    """What import-linter says of the repository as it stands, all contracts in one run."""
    result = lint(ROOT, *CONTRACTS)
    return result.stdout + result.stderr


@pytest.mark.parametrize("name", list(CONTRACTS.values()), ids=list(CONTRACTS))
def test_contract_is_kept(name: str, verdicts: str) -> None:
    assert f"{name} KEPT" in verdicts, verdicts


@pytest.mark.parametrize("contract", list(CONTRACTS))
def test_contract_breaks_on_what_it_forbids(contract: str, copied_tree: Path) -> None:
    """A contract that names a module wrongly, or ignores too much, would be green for ever."""
    file, line = VIOLATIONS[contract]
    write_module(copied_tree / Path(file).parent / "other.py", "")
    write_module(copied_tree / file, line)

    result = lint(copied_tree, contract)

    assert result.returncode == 1
    assert f"{CONTRACTS[contract]} BROKEN" in result.stdout, result.stdout + result.stderr


@pytest.mark.parametrize(("package", "contract"), [("statemachine", "engine-layers"), ("worker", "worker-layers")])
def test_new_module_has_to_choose_its_layer(package: str, contract: str, copied_tree: Path) -> None:
    write_module(copied_tree / package / "unplaced.py", "")

    result = lint(copied_tree, contract)

    assert result.returncode == 1
    assert f"{package}.unplaced" in result.stdout


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [("statemachine", HEAVY | HEAVY_OF_THE_ENGINE), ("worker", HEAVY), ("worker.job", HEAVY_FOR_THE_WORKER)],
)
def test_importing_loads_nothing_heavy(package: str, forbidden: set[str]) -> None:
    """Measured on what is really loaded: a contract sees who imports whom, not when."""
    program = f"import sys, {package}; print(*sys.modules)"

    loaded = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert package in loaded.stdout.split()
    assert forbidden.intersection(loaded.stdout.split()) == set()


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_module_is_named_for_what_it_holds(path: Path) -> None:
    """A drawer for everything is where the layers would leak."""
    assert path.stem not in {"util", "utils", "helper", "helpers", "common", "manager", "misc"}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_module_hides_no_import_from_the_contracts(path: Path) -> None:
    """An import by name at run time, or one for type checkers only, is an arrow that the contracts would not see."""
    source = path.read_text()

    assert re.findall(r"\bTYPE_CHECKING\b|\bimport_module\(|\b__import__\(", source) == []


@pytest.mark.parametrize("path", [path for path in MODULES if path != CLOCK], ids=relative)
def test_only_the_clock_asks_the_time(path: Path) -> None:
    """Time is a port: a step that asks the machine's clock cannot be tested under frozen time."""
    asking = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time"}
    if path.is_relative_to(ROOT / "worker" / "providers") or path.is_relative_to(ROOT / "worker" / "local"):
        # How old a file is can only be told by the clock that dated it: the file system's.
        asking -= {"time.time"}

    asked = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in asking
    ]

    assert asked == []
