"""Print the API's OpenAPI document, with the examples of tests/fixtures/api: `docs/openapi.json` is its output."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the script runs from a checkout

from worker.handlers.api.openapi import document  # noqa: E402  found only now

EXAMPLES = ROOT / "tests" / "fixtures" / "api"


def printed() -> str:
    """The document as it is checked in."""
    examples = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(EXAMPLES.glob("*.json"))}
    return json.dumps(document(examples=examples), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(printed())
