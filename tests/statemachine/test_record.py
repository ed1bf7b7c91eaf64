import copy
import dataclasses
import pickle
from dataclasses import field

import pytest

from statemachine.execution import Lease
from statemachine.record import Record
from tests.statemachine.store_contract import NOW


class Point(Record):
    """A record of every kind of field."""

    x: int
    y: int = 2
    marks: list[str] = field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class PlainPoint:
    """What a Point must not differ from."""

    x: int
    y: int = 2
    marks: list[str] = field(default_factory=list)


CALLS: dict[str, tuple[tuple[object, ...], dict[str, object]]] = {
    "positions": ((1, 3, ["a"]), {}),
    "names": ((), {"marks": ["a"], "y": 3, "x": 1}),
    "both": ((1,), {"marks": ["a"]}),
    "defaults": ((1,), {}),
    "nothing": ((), {}),
    "one missing": ((), {"y": 1}),
    "too many": ((1, 2, [], 4), {}),
    "twice": ((1,), {"x": 1}),
    "twice, as many as there are": ((1, 2), {"x": 1}),
    "unknown": ((1,), {"z": 1}),
    "unknown for a missing one": ((), {"y": 1, "marks": [], "z": 1}),
}


@pytest.mark.parametrize(("args", "given"), CALLS.values(), ids=CALLS)
def test_a_record_takes_what_a_dataclass_takes(args: tuple[object, ...], given: dict[str, object]) -> None:
    try:
        expected = dataclasses.asdict(PlainPoint(*args, **given))  # type: ignore[arg-type]  # some wrong on purpose
    except TypeError:
        with pytest.raises(TypeError, match="Point has the fields"):
            Point(*args, **given)  # type: ignore[arg-type]  # as above
    else:
        assert dataclasses.asdict(Point(*args, **given)) == expected  # type: ignore[arg-type]  # as above


def test_a_record_is_a_value() -> None:
    assert Point(1) == Point(y=2, x=1)
    assert Point(1) != Point(2)
    assert Point(1) != PlainPoint(1)
    assert hash(Lease("a", NOW)) == hash(Lease(expires_at=NOW, owner="a"))
    assert repr(Point(y=3, x=1)) == repr(PlainPoint(1, 3)).replace("Plain", "")


def test_records_share_no_default() -> None:
    assert Point(1).marks is not Point(1).marks


def test_a_record_is_frozen() -> None:
    point = Point(1)

    with pytest.raises(dataclasses.FrozenInstanceError):
        point.x = 2  # type: ignore[misc]  # wrong on purpose
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.x

    assert point == Point(1)


def test_a_record_can_be_replaced_copied_and_sent() -> None:
    point = Point(1, marks=["a"])

    assert dataclasses.replace(point, y=5) == Point(1, 5, ["a"])
    assert [each.name for each in dataclasses.fields(Point)] == ["x", "y", "marks"]
    assert copy.deepcopy(point) == point
    assert pickle.loads(pickle.dumps(Lease("a", NOW))) == Lease("a", NOW)  # noqa: S301  our own bytes


def test_a_record_is_matched_by_its_fields() -> None:
    match Point(1, 7):
        case Point(1, marks=[], y=y):
            assert y == 7
        case other:
            pytest.fail(f"{other!r} was not matched")


class Share(Record):
    """A record that not every value makes."""

    part: float

    def __post_init__(self) -> None:
        if not 0 <= self.part <= 1:
            raise ValueError(f"not a share: {self}")


def test_a_record_refuses_what_its_types_cannot_say() -> None:
    with pytest.raises(ValueError, match=r"not a share: Share\(part=2\)"):
        Share(2)

    with pytest.raises(ValueError, match="not a share"):
        dataclasses.replace(Share(1), part=-1)


def test_asking_what_records_are_leaves_each_its_own_fields() -> None:
    assert dataclasses.is_dataclass(Record)

    assert [each.name for each in dataclasses.fields(Share)] == ["part"]
    assert [each.name for each in dataclasses.fields(Point)] == ["x", "y", "marks"]
