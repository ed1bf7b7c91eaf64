"""What the page costs whoever opens it: bytes to load, time to the first words, and what moves while a job comes on.

The bytes are those that a browser must have before the component shows its first state, gzipped; the rest, which comes
meanwhile, stands beside.  The others are measured in Chromium, against `worker serve` on this machine, by tests of
frontend/e2e: the least disturbed of some loads, and the layout shifts of a whole job.  Needs npm (`make bench` installs
what it locks) and Chromium.
"""

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.report import Measurement

ROOT = Path(__file__).parent.parent

# The tests that measure, by a part of their names.
TESTS = "@smoke|on a phone nothing moves|painted within a second"

# What they say they measured, and how it is called and bounded here.
FIGURES = {
    "first contentful paint": ("frontend.first_contentful_paint_ms", "milliseconds", "ms", 1000.0),
    "layout shift while progress updates": ("frontend.layout_shift", "value", "score", 0.0),
    "layout shift while progress updates, 320 px": ("frontend.layout_shift_320_px", "value", "score", 0.0),
}


def measure() -> Iterator[Measurement]:
    """The bundle's size, and what the page's own tests measure."""
    yield size(_run("npm", "run", "check:size", "--silent"))
    _run("../scripts/chromium.sh")
    _run("npm", "run", "demo:build", "--silent")
    yield from seen(_run("npm", "run", "test:page", "--silent", "--", "--grep", TESTS))


def size(said: str) -> Measurement:
    """The sum that `scripts/bundle_size.js` says last."""
    found = re.search(r"(\d+) of (\d+) at first, (\d+) in the whole", said)
    if found is None:
        raise RuntimeError(f"bundle_size.js does not say what it measured:\n{said}")
    first, budget, whole = map(int, found.groups())
    return Measurement("frontend.first_bytes", first, "bytes gzipped", bound=budget, beside={"in_the_whole": whole})


def seen(said: str) -> Iterator[Measurement]:
    """The figures among what the tests of the page print."""
    lines = [json.loads(line) for line in said.splitlines() if line.startswith('{"measured":')]
    figures = {line["measured"]: line for line in lines}
    if figures.keys() != FIGURES.keys():
        raise RuntimeError(f"the tests of the page measured {sorted(figures)}, not {sorted(FIGURES)}")
    for measured, (name, key, unit, bound) in FIGURES.items():
        yield Measurement(name, figures[measured][key], unit, bound=bound)


def _run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT / "frontend", capture_output=True, text=True, check=False)  # noqa: S603  our own
    if done.returncode:
        words: Sequence[str] = (done.stdout + done.stderr).strip().splitlines()[-30:]
        raise RuntimeError(f"{' '.join(command)} failed:\n" + "\n".join(words))
    return done.stdout
