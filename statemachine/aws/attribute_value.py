"""AttributeValue, DynamoDB's typed JSON: from our JSON, back again, and how many bytes it is billed for.

Every number that goes in comes out equal.  DynamoDB keeps no difference between 8 and 8.0, so a whole float comes back
as the equal int; readers that care (pydantic) turn it into a float again.
(Amazon DynamoDB developer guide, "Supported data types" and "Item sizes and formats", read 2026-11-22)
"""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

from statemachine.errors import PatchError, StoreCorruptError
from statemachine.execution import JsonValue

AttributeValue: TypeAlias = Mapping[str, Any]
Item: TypeAlias = Mapping[str, AttributeValue]

# What an item may weigh, and how many levels it may have, the innermost text or number included.
MAX_ITEM_BYTES = 400 * 1024
MAX_DEPTH = 32

# DynamoDB keeps 38 digits and magnitudes from 1E-130 up to 9.99…E+125.
_INTEGER_LIMIT = 10**38
_SMALLEST = 1e-130
_TOO_LARGE = 1e126


def encode(value: JsonValue, *, depth: int = 1) -> dict[str, Any]:
    """The AttributeValue of a JSON value that stands `depth` levels deep in its item.

    Raises:
        PatchError: not a JSON value, or one that DynamoDB cannot keep: a number of more than 38 digits or outside its
            range, text that is no Unicode, more than 32 levels.
    """
    if depth > MAX_DEPTH:
        raise PatchError(f"a value nests deeper than the {MAX_DEPTH} levels that DynamoDB keeps")
    encoded: dict[str, Any]
    match value:
        case None:
            encoded = {"NULL": True}
        case bool():
            encoded = {"BOOL": value}
        case int():
            encoded = {"N": _from_int(value)}
        case float():
            encoded = {"N": _from_float(value)}
        case str():
            encoded = {"S": _unicode(value)}
        case Mapping():
            encoded = {"M": {_name(name): encode(entry, depth=depth + 1) for name, entry in value.items()}}
        case list() | tuple():
            encoded = {"L": [encode(entry, depth=depth + 1) for entry in value]}
        case _:
            raise PatchError(f"not a JSON value: {type(value).__name__}")
    return encoded


def decode(stored: AttributeValue) -> JsonValue:
    """The JSON value that `encode` made into this AttributeValue.

    Raises:
        StoreCorruptError: a type that `encode` never writes (a set, binary).
    """
    ((kind, value),) = stored.items()
    decoded: JsonValue
    match kind:
        case "NULL":
            decoded = None
        case "BOOL":
            decoded = bool(value)
        case "N":
            decoded = _number(str(value))
        case "S":
            decoded = str(value)
        case "M":
            decoded = {name: decode(entry) for name, entry in value.items()}
        case "L":
            decoded = [decode(entry) for entry in value]
        case _:
            raise StoreCorruptError(f"an attribute value of type {kind} is not ours")
    return decoded


def item_bytes(item: Item) -> int:
    """What DynamoDB counts for an item, or for some of its attributes: names and values."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(stored: AttributeValue) -> int:
    ((kind, value),) = stored.items()
    counted: int
    match kind:
        case "S":
            counted = len(value.encode())
        case "N":
            counted = _number_bytes(value)
        case "B":
            counted = len(value)
        case "M":
            counted = 3 + sum(1 + len(name.encode()) + _value_bytes(entry) for name, entry in value.items())
        case "L":
            counted = 3 + sum(1 + _value_bytes(entry) for entry in value)
        case "SS":
            counted = sum(len(entry.encode()) for entry in value)
        case "NS":
            counted = sum(_number_bytes(entry) for entry in value)
        case "BS":
            counted = sum(len(entry) for entry in value)
        case _:
            counted = 1  # NULL, BOOL
    return counted


def _number_bytes(text: str) -> int:
    """One byte for two digits and one for the rest; one more below zero.  AWS calls its own rule approximate."""
    digits = text.lstrip("-").split("E")[0].split("e")[0].replace(".", "").strip("0")
    return math.ceil(len(digits) / 2) + 1 + text.startswith("-")


def _from_int(value: int) -> str:
    if abs(value) >= _INTEGER_LIMIT:
        raise PatchError("a whole number has more than the 38 digits that DynamoDB keeps")
    return str(value)


def _from_float(value: float) -> str:
    if not math.isfinite(value):
        raise PatchError(f"not a JSON value: {value}")
    if value.is_integer() and abs(value) < _INTEGER_LIMIT:
        # Every digit and not the shortest text: 1e23 is not 10**23, and it would be read back as that.
        return str(int(value))
    if not _SMALLEST <= abs(value) < _TOO_LARGE:
        raise PatchError(f"DynamoDB keeps no number as small or as large as {value!r}")
    return repr(value)


def _number(text: str) -> int | float:
    value = Decimal(text)
    if value == value.to_integral_value():
        whole = int(value)  # and not abs(value), which would round to 28 digits
        if abs(whole) < _INTEGER_LIMIT:
            return whole
    # A whole number beyond the limit was a float: no such int is ever written.
    return float(text)


def _unicode(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PatchError("text holds half of a surrogate pair, which is no Unicode") from error
    return text


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise PatchError(f"the name of a map's entry is text, not {type(name).__name__}")
    return _unicode(name)


__all__: Sequence[str] = ("MAX_DEPTH", "MAX_ITEM_BYTES", "AttributeValue", "Item", "decode", "encode", "item_bytes")
