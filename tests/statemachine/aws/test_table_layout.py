from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.aws.table_layout import TableLayout

ONE_PART = TableLayout()
TWO_PARTS = TableLayout(partition_key="user", sort_key="video")
NUMBERED = TableLayout(partition_key="user", sort_key="at", sort_key_type="N")

PARTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("/%2F5"), min_size=1, max_size=40)


@given(PARTS, PARTS)
def test_an_id_holds_the_whole_key(partition: str, sort: str) -> None:
    assert TWO_PARTS.key(TWO_PARTS.execution_id(partition, sort)) == {"user": {"S": partition}, "video": {"S": sort}}


@given(PARTS, PARTS, PARTS, PARTS)
def test_two_keys_never_share_an_id(partition: str, sort: str, other_partition: str, other_sort: str) -> None:
    is_same_id = TWO_PARTS.execution_id(partition, sort) == TWO_PARTS.execution_id(other_partition, other_sort)

    assert is_same_id == ((partition, sort) == (other_partition, other_sort))


@given(st.text())
def test_two_ids_never_share_a_row(execution_id: str) -> None:
    key = TWO_PARTS.key(execution_id)

    assert key is None or TWO_PARTS.execution_id_of(key) == execution_id


def test_the_only_part_of_a_key_is_the_id_as_it_stands() -> None:
    assert ONE_PART.execution_id("50%/a") == "50%/a"
    assert ONE_PART.key("50%/a") == {"video_id": {"S": "50%/a"}}


@pytest.mark.parametrize("number", ["0", "5", "-5", "10.5", "1700000000000", "0.001", "9" * 38])
def test_a_number_is_a_key_as_a_number(number: str) -> None:
    assert NUMBERED.key(f"someone/{number}") == {"user": {"S": "someone"}, "at": {"N": number}}


@pytest.mark.parametrize("number", ["", "05", "5.0", "+5", "-0", "1e3", " 5", "\u0665", "five", "NaN", "9" * 39])
def test_a_number_written_in_another_way_is_no_id(number: str) -> None:
    """Two spellings of one number would be two ids of one row."""
    assert NUMBERED.key(f"someone/{number}") is None


@pytest.mark.parametrize("execution_id", ["", "one", "one/", "/two", "one/two/three", "one/%41", "x" * 2049 + "/y"])
def test_what_can_be_no_key_is_no_id(execution_id: str) -> None:
    assert TWO_PARTS.key(execution_id) is None


def test_a_key_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="not a key"):
        ONE_PART.execution_id("video", "more")
    with pytest.raises(ValueError, match="not a key"):
        TWO_PARTS.execution_id("user")


def test_attributes_with_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="used twice"):
        replace(ONE_PART, status="video_id")


def test_an_index_has_at_least_one_shard() -> None:
    with pytest.raises(ValueError, match="shard_count"):
        replace(ONE_PART, shard_count=0)


def test_executions_are_spread_over_all_shards() -> None:
    assert {ONE_PART.shard(f"video-{number}") for number in range(100)} == set(ONE_PART.shards)
