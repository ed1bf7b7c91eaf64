"""`python -m benchmarks [NAME …]`: run the named benchmarks (all, when none is named) and print JSON lines.

    --table    print one table at the end instead
    --keep     keep the lines in benchmarks/results.jsonl, in the place of the same benchmarks' older ones, and write
               docs/benchmarks.md from all that are kept
    --page     run nothing: print what docs/benchmarks.md has to be

What is being measured is told on standard error.  A benchmark that fails is reported, and the others run all the same.
Exit code 1 when one failed or a figure missed its bound, 2 for an unknown name.
"""

import argparse
import importlib
import json
import pkgutil
import shutil
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import benchmarks
from benchmarks.page import page
from benchmarks.report import failed_line, keep_results, machine, read_results, table

NOT_BENCHMARKS = {"__main__", "page", "report"}
FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.jsonl"
PAGE = FOLDER.parent / "docs" / "benchmarks.md"

# Where nobody says how wide the terminal is.
COLUMNS = 160


def main(arguments: Sequence[str]) -> int:
    """Run benchmarks by name; return the exit code."""
    known = names()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run benchmarks and print JSON lines.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument("--table", action="store_true", help="print one table at the end instead")
    parser.add_argument("--keep", action="store_true", help="keep the lines, and write docs/benchmarks.md from them")
    parser.add_argument("--page", action="store_true", help="run nothing: print docs/benchmarks.md from kept lines")
    asked = parser.parse_args(arguments)
    if asked.page:
        print(page(read_results(RESULTS), FOLDER), end="")
        return 0
    unknown = [name for name in asked.names if name not in known]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    lines: list[dict[str, object]] = []
    chosen = asked.names or known
    for number, name in enumerate(chosen, 1):
        print(f"[{number}/{len(chosen)}] {name} …", file=sys.stderr, flush=True)
        begun, measured = time.perf_counter(), []
        for line in _measured(name):
            measured.append(line)
            if not asked.table:
                print(json.dumps(line), flush=True)
        if asked.keep:  # now: who interrupts the next one has this one
            _keep(measured)
        lines += measured
        print(f"[{number}/{len(chosen)}] {name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    if asked.table:
        print(machine())
        print(table(lines, width=shutil.get_terminal_size((COLUMNS, 0)).columns), end="")
    wrong = [str(line["name"]) for line in lines if not line["ok"]]
    if wrong:
        print(f"missed or failed: {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


def names() -> list[str]:
    """Every benchmark there is."""
    return sorted(
        module.name
        for module in pkgutil.iter_modules(benchmarks.__path__)
        if module.name not in NOT_BENCHMARKS and not module.name.startswith("_")
    )


def _measured(name: str) -> Iterator[dict[str, object]]:
    """The lines of a benchmark, as they come; and one that says so, when it fails."""
    try:
        for measurement in importlib.import_module(f"benchmarks.{name}").measure():
            yield measurement.as_line()
    except Exception as error:  # noqa: BLE001  one that cannot measure here must not cost the others their run
        traceback.print_exc()
        yield failed_line(name, error)


def _keep(lines: Sequence[dict[str, object]]) -> None:
    keep_results(RESULTS, lines)
    PAGE.write_text(page(read_results(RESULTS), FOLDER), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
