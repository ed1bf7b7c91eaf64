import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.aws.attribute_value import Item, decode, encode, item_bytes
from statemachine.errors import PatchError, StoreCorruptError
from statemachine.execution import JsonValue

FLOATS = st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda value: not value or 1e-130 <= abs(value) < 1e126
)
INTEGERS = st.integers(min_value=-(10**38) + 1, max_value=10**38 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | FLOATS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_every_json_value_comes_back_equal(value: JsonValue) -> None:
    assert decode(encode(value)) == value


@given(INTEGERS | st.booleans() | TEXT | st.none())
def test_integers_booleans_and_text_keep_their_type(value: JsonValue) -> None:
    assert type(decode(encode(value))) is type(value)


@given(FLOATS.filter(lambda value: not value.is_integer()))
def test_a_broken_number_stays_a_float(value: float) -> None:
    assert type(decode(encode(value))) is float


@pytest.mark.parametrize("written", ["1E+23", "100000000000000000000000"])
def test_a_number_is_read_the_same_in_either_notation(written: str) -> None:
    assert decode({"N": written}) == 10**23


def test_a_whole_float_without_a_short_text_keeps_every_digit() -> None:
    """1e23 lies beside 10**23: the shortest text would come back as another number."""
    assert decode(encode(1e23)) == 1e23


@pytest.mark.parametrize(
    "value",
    [
        10**38,
        -(10**38),
        1e126,
        1e-131,
        float("nan"),
        float("inf"),
        "half a pair \ud83d",
        {"\ud83d": 1},
        {1: "a number as a name"},
        {"a", "set"},
        b"bytes",
    ],
)
def test_what_dynamodb_cannot_keep_is_refused(value: JsonValue) -> None:
    with pytest.raises(PatchError):
        encode(value)


def test_a_value_that_nests_too_deep_is_refused() -> None:
    deep: JsonValue = []
    for _ in range(32):
        deep = [deep]

    with pytest.raises(PatchError, match="32 levels"):
        encode(deep)


def test_a_type_that_is_never_written_is_not_ours() -> None:
    with pytest.raises(StoreCorruptError, match="SS"):
        decode({"SS": ["a"]})


def test_an_item_is_billed_for_names_and_values_in_utf_8() -> None:
    """The rules of the developer guide, "DynamoDB item sizes and formats": one line of the sum for one attribute."""
    item: Item = {
        "ä": {"S": "größe"},
        "n": {"N": "-123.45"},
        "t": {"BOOL": True},
        "z": {"NULL": True},
        "b": {"B": b"\x00\x01"},
        "l": {"L": [{"S": "a"}, {"N": "7"}]},
        "m": {"M": {"key": {"S": "v"}}},
        "e": {"M": {}},
        "ss": {"SS": ["ab", "c"]},
        "ns": {"NS": ["10"]},
        "bs": {"BS": [b"x"]},
    }

    assert item_bytes(item) == (
        (2 + 7)
        + (1 + 5)
        + (1 + 1)
        + (1 + 1)
        + (1 + 2)
        + (1 + 3 + (1 + 1) + (1 + 2))
        + (1 + 3 + (1 + 3 + 1))
        + (1 + 3)
        + (2 + 3)
        + (2 + 2)
        + (2 + 1)
    )
