"""How much memory this process holds, and has held.  Importable, so that a child can be asked.  Linux only.

Not by `getrusage`: over fork and exec a child inherits what its parent has held.  (getrusage(2), `ru_maxrss`)
"""

import re
from pathlib import Path


def resident_megabytes() -> float:
    """What is resident now."""
    return _told("VmRSS")


def peak_megabytes() -> float:
    """The most that was ever resident."""
    return _told("VmHWM")


def _told(name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"this system does not tell {name} of a process")
    return int(found[1]) / 1024
