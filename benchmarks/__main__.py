"""`python -m benchmarks [NAME …]`: run the named benchmarks (all, when none is named) and print JSON lines.

Exit code 1 when a figure misses its bound, 2 for an unknown name.
"""

import importlib
import pkgutil
import sys

import benchmarks

NOT_BENCHMARKS = {"__main__", "report"}


def main(names: list[str]) -> int:
    """Run benchmarks by name; return the exit code."""
    known = sorted(
        module.name
        for module in pkgutil.iter_modules(benchmarks.__path__)
        if module.name not in NOT_BENCHMARKS and not module.name.startswith("_")
    )
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    all_ok = True
    for name in names or known:
        for measurement in importlib.import_module(f"benchmarks.{name}").measure():
            print(measurement.as_json(), flush=True)
            all_ok = all_ok and measurement.is_within_bound
    return 0 if all_ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
