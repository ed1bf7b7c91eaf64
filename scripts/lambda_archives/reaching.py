"""Which of the project's own modules the function can ever run: those that its imports lead to."""

import ast
from collections.abc import Iterator
from pathlib import Path


def reached(root: Path, *, entry: str, packages: tuple[str, ...]) -> list[Path]:
    """The files of `entry` and of every module of `packages` that an import statement leads to, wherever it stands.

    A package's own `__init__` is among them when anything inside it is.  The project imports nothing by a name that
    is only known when it runs (tests/scripts/test_lambda_archives.py), so there are no others.
    """
    modules = {_name(path, root): path for package in packages for path in (root / package).rglob("*.py")}
    found: set[str] = set()
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        if name in modules and name not in found:
            found.add(name)
            waiting += (part for imported in _imported(modules[name], name) for part in _with_parents(imported))
    return sorted(modules[name] for name in found)


def _name(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:length]) for length in range(1, len(parts) + 1))


def _imported(path: Path, name: str) -> Iterator[str]:
    """Everything that may be a module in the file's import statements."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes(), path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            upwards = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*upwards, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
