"""`docs/benchmarks.md`, written from kept lines and from what each benchmark's own file says of it."""

import ast
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from benchmarks.report import Line, benchmark_of, cells

INTRODUCTION = """\
# Benchmarks

Written by `make bench` from [the lines it kept](../benchmarks/results.jsonl); `python -m benchmarks --page` prints it
anew from them. Edit neither: run `make bench`, or `make bench NAMES='engine peers'` for some, and commit both.

A bound is what a figure must not exceed (≤) or fall below (≥); `ok` says whether it did. A figure without a bound is
only told. What stands *beside* was measured in the same run, for scale: other ways, raw costs, or the peers.
"""


def page(lines: Sequence[Line], folder: Path) -> str:
    """The page for kept `lines`, of benchmarks that lie in `folder`."""
    missed = [str(line["name"]) for line in lines if not line["ok"]]
    verdict = f"Missed: {', '.join(f'`{name}`' for name in missed)}." if missed else "Every bound was kept."
    parts = [INTRODUCTION, f"{len(lines)} figures. {verdict}\n"]
    for benchmark, group in groupby(lines, key=benchmark_of):
        parts.append(_section(benchmark, list(group), _docstring(folder, benchmark)))
    return "\n".join(parts)


def _section(benchmark: str, lines: Sequence[Line], docstring: str) -> str:
    runs = sorted({f"{line['machine']}; {line['measured_on']}" for line in lines})
    table = [
        "| figure | value | unit | bound | ok | beside |",
        "| ------ | ----: | ---- | ----: | -- | ------ |",
        *("| " + " | ".join(_escaped(cell) for cell in cells(line)) + " |" for line in lines),
    ]
    where = "\n".join(f"`python -m benchmarks {benchmark}` on {run}" for run in runs)
    return f"## {benchmark}\n\n{docstring}\n\n{where}\n\n" + "\n".join(table) + "\n"


def _docstring(folder: Path, benchmark: str) -> str:
    """What the benchmark's file says first.  Read, not imported: some need what is not installed everywhere."""
    file = next(path for path in (folder / f"{benchmark}.py", folder / benchmark / "__init__.py") if path.exists())
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    if docstring is None:
        raise ValueError(f"{file.name} does not say what it measures")
    return docstring


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
