"""What arrives from outside: any JSON, documents that are nearly right, files with some bytes changed.

`FUZZ_EXAMPLES` says how many examples every test tries (`make fuzz` takes thousands, other ones each time).
"""

import os
from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "50"))

# The same examples for everybody in `make test`; a longer search takes new ones.
fuzzed = settings(
    max_examples=EXAMPLES,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

# Numbers that programs trip over; text with surrogates, nulls and bytes that look like something.
NUMBERS = (
    st.integers()
    | st.sampled_from([0, -1, 2**31, 2**63, 10**30, 10**400])
    | st.floats()
    | st.sampled_from([1e308, -0.0])
)
TEXTS = st.text(max_size=30) | st.sampled_from(
    ["", "NaN", "1e999", "-1", "\ud800", "\x00", "../..", "9" * 5000, "true"]
)

ANY_JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=10,
)


@st.composite
def nearly(draw: st.DrawFn, document: Any, *, changes: int = 3) -> Any:  # noqa: ANN401  any JSON
    """The document with up to so many parts replaced, removed, doubled or added."""
    for _ in range(draw(st.integers(1, changes))):
        document = _changed(draw, document)
    return document


def _changed(draw: st.DrawFn, document: Any) -> Any:  # noqa: ANN401, PLR0911  as above; one return for each change
    is_leaf = not isinstance(document, dict | list) or not document
    if is_leaf or draw(st.integers(0, 5)) == 0:
        return draw(ANY_JSON)
    if isinstance(document, Mapping):
        name = draw(st.sampled_from(sorted(document)))
        match draw(st.sampled_from(["deeper", "deeper", "remove", "add"])):
            case "remove":
                return {other: value for other, value in document.items() if other != name}
            case "add":
                return {**document, draw(st.text(max_size=8)): draw(ANY_JSON)}
            case _:
                return {**document, name: _changed(draw, document[name])}
    index = draw(st.integers(0, len(document) - 1))
    match draw(st.sampled_from(["deeper", "deeper", "remove", "double"])):
        case "remove":
            return [*document[:index], *document[index + 1 :]]
        case "double":
            return [*document[: index + 1], *document[index:]]
        case _:
            return [*document[:index], _changed(draw, document[index]), *document[index + 1 :]]


class File(bytes):
    """The bytes of a file, which nobody wants to see whole when a test fails."""

    def __repr__(self) -> str:
        """Its beginning."""
        return f"File({bytes(self[:24])!r}…, {len(self)} bytes)"


@st.composite
def damaged(draw: st.DrawFn, file: bytes, *, changes: int = 8) -> "File":
    """The file with bytes changed (rather in its head, where the structure is), cut off, or with a piece repeated."""
    content = bytearray(file)
    for _ in range(draw(st.integers(1, changes))):
        reach = draw(st.sampled_from([64, 512, len(content)]))
        at = draw(st.integers(0, max(0, min(reach, len(content)) - 1)))
        match draw(st.sampled_from(["byte", "byte", "bytes", "insert", "remove"])):
            case "byte":
                content[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "bytes":
                new = draw(
                    st.sampled_from([b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x7f\xff\xff\xff", b"\x80\x00"])
                )
                content[at : at + len(new)] = new
            case "insert":
                content[at:at] = draw(st.binary(max_size=16))
            case _:
                del content[at : at + draw(st.integers(1, 64))]
    if draw(st.integers(0, 9)) == 0:
        del content[draw(st.integers(0, len(content))) :]
    return File(content)
