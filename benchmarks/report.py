"""What one measurement says, and how it is printed."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field


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

    def as_json(self) -> str:
        """The line that `python -m benchmarks` prints."""
        return json.dumps(
            {
                "name": self.name,
                "value": round(self.value, 6),
                "unit": self.unit,
                "bound": self.bound,
                "ok": self.is_within_bound,
                "beside": dict(self.beside),
                "machine": machine(),
            }
        )


def machine() -> str:
    """Where this was measured, without naming the host."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
