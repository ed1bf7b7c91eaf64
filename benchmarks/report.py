"""What one measurement says, how it is printed, and how it is kept."""

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

# A line of results, as it is printed and kept.
Line = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One figure.

    Attributes:
        name: dotted, the benchmark's name first: 'assemble.over_reencoding'.
        bound: what it must not exceed (or fall below, when `at_least`), or None when it is only told.
        beside: what else was measured in the same run, for scale.
    """

    name: str
    value: float
    unit: str
    bound: float | None = None
    at_least: bool = False
    beside: Mapping[str, float | str] = field(default_factory=dict)

    @property
    def is_within_bound(self) -> bool:
        """Whether the figure keeps its bound; true when it has none."""
        if self.bound is None:
            return True
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def as_line(self) -> dict[str, object]:
        """What is printed and kept of it."""
        return {
            "name": self.name,
            "value": round(self.value, 6),
            "unit": self.unit,
            "bound": self.bound,
            "at_least": self.at_least,
            "ok": self.is_within_bound,
            "beside": dict(self.beside),
            **_circumstances(),
        }

    def as_json(self) -> str:
        """The line that `python -m benchmarks` prints."""
        return json.dumps(self.as_line())


def failed_line(benchmark: str, error: Exception) -> dict[str, object]:
    """What stands in the place of the figures of a benchmark that could not measure."""
    told = (str(error).splitlines() or [""])[0][:200]
    return {
        "name": f"{benchmark}.failed",
        "value": None,
        "unit": f"{type(error).__name__}: {told}",
        "bound": None,
        "ok": False,
        "beside": {},
        **_circumstances(),
    }


def _circumstances() -> dict[str, str]:
    return {"machine": machine(), "measured_on": datetime.now(UTC).date().isoformat()}


def machine() -> str:
    """Where this was measured, without naming the host."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def benchmark_of(line: Line) -> str:
    """The benchmark that a line is of."""
    return str(line["name"]).partition(".")[0]


def read_results(path: Path) -> list[dict[str, object]]:
    """The kept lines; none where nothing was kept yet."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def keep_results(path: Path, lines: Sequence[Line]) -> None:
    """Keep the lines of the benchmarks that were run, in the place of those that the same ones left before."""
    anew = {benchmark_of(line) for line in lines}
    kept: list[Line] = [line for line in read_results(path) if benchmark_of(line) not in anew]
    kept = sorted([*kept, *lines], key=benchmark_of)  # stable: within a benchmark, as it measured
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")


def table(lines: Iterable[Line], *, width: int) -> str:
    """The lines for a terminal of `width` columns: what stands beside a figure is folded below it where it is long."""
    header = ("name", "value", "unit", "bound", "ok", "beside")
    rows = [cells(line) for line in lines]
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(5)]
    indent = sum(widths) + 2 * len(widths)
    room = max(width - indent, 40)
    printed = []
    for row in [header, *rows]:
        start = "  ".join(
            cell.rjust(size) if column in {1, 3} else cell.ljust(size)
            for column, (cell, size) in enumerate(zip(row, widths, strict=False))
        )
        folded = _folded(row[5], room)
        printed.append(f"{start}  {folded[0]}".rstrip())
        printed += [" " * indent + more for more in folded[1:]]
    return "\n".join(printed) + "\n"


def cells(line: Line) -> tuple[str, str, str, str, str, str]:
    """Name, value, unit, bound, ok and beside, as they are read."""
    bound = line["bound"]
    limit = "" if bound is None else f"{'≥' if line.get('at_least') else '≤'} {_number(bound)}"
    beside = line["beside"]
    told = beside.items() if isinstance(beside, Mapping) else ()
    verdict = "NO" if not line["ok"] else "" if bound is None else "yes"
    return (
        str(line["name"]),
        _number(line["value"]),
        str(line["unit"]),
        limit,
        verdict,
        ", ".join(f"{name} {_number(value)}" for name, value in told if value != ""),
    )


def _number(value: object) -> str:
    """A figure with four digits that count; whole ones whole."""
    if value is None:
        return ""
    if isinstance(value, bool | str):
        return str(value)
    if not isinstance(value, int | float):
        raise TypeError(f"a figure is a number or a text, not {value!r}")
    if value == round(value):
        return f"{round(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"  # noqa: PLR2004  four digits


def _folded(text: str, room: int) -> list[str]:
    """`text` in lines of at most `room`, broken after a comma."""
    lines = [""]
    for part in text.split(", "):
        if lines[-1] and len(lines[-1]) + len(", ,") + len(part) > room:
            lines[-1] += ","
            lines.append(part)
        else:
            lines[-1] = f"{lines[-1]}, {part}" if lines[-1] else part
    return lines
