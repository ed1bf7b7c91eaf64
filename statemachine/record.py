"""Record: a frozen dataclass that costs next to nothing to import."""

from collections.abc import Mapping
from dataclasses import Field, FrozenInstanceError, field, fields, make_dataclass
from functools import cache
from typing import Any, ClassVar, NoReturn, dataclass_transform


class _Fields:
    """What `dataclasses` asks a class for before it replaces, lists or converts; made when it asks."""

    def __get__(self, instance: object, owner: type["Record"]) -> Mapping[str, Any]:
        return _dataclass_fields(owner)  # type: ignore[arg-type]  # a class can be hashed, whatever its values do


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Record:
    """What `@dataclass(frozen=True)` makes of a class, for its users and for type checkers, without compiling code.

    `dataclass` writes and compiles six methods for each class.  For the engine's twenty that was half of what importing
    it took, at every cold start: 10 of 20 ms (CPython 3.11, 2026-11-22; now: `python -m benchmarks engine`).
    `dataclasses.replace`, `fields` and `asdict` work on a record.  Records are not derived from records.
    """

    __match_args__: ClassVar[tuple[str, ...]] = ()
    __dataclass_fields__: ClassVar[Any] = _Fields()
    _known: ClassVar[frozenset[str]] = frozenset()
    _defaults: ClassVar[Mapping[str, Any]] = {}
    _factories: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.__match_args__ = tuple(cls.__annotations__)  # type: ignore[misc]  # said of classes that write it out
        cls._known = frozenset(cls.__match_args__)
        given = {name: cls.__dict__[name] for name in cls.__match_args__ if name in cls.__dict__}
        cls._factories = {name: value.default_factory for name, value in given.items() if isinstance(value, Field)}
        cls._defaults = {name: value for name, value in given.items() if name not in cls._factories}
        for name in cls._factories:
            delattr(cls, name)  # what has a factory has no value of the class's own

    def __init__(self, *args: object, **given: object) -> None:
        values, names = self.__dict__, self.__match_args__
        values.update(zip(names, args, strict=False), **given)
        is_sound = len(values) == len(args) + len(given)  # nothing was given twice, or beyond the fields
        if len(values) < len(names):
            for name, default in self._defaults.items():
                if name not in values:
                    values[name] = default
            for name, make in self._factories.items():
                if name not in values:
                    values[name] = make()
        if not is_sound or values.keys() != self._known:
            raise TypeError(f"{type(self).__name__} has the fields {names}, and was given {args!r} and {given!r}")
        self.__post_init__()

    def __post_init__(self) -> None:
        """Refuse what the types cannot say, with ValueError; called when every field has its value."""

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if type(self) is type(other) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self.__dict__[name] for name in self.__match_args__))

    def __repr__(self) -> str:
        values = self.__dict__
        return f"{type(self).__qualname__}({', '.join(f'{name}={values[name]!r}' for name in self.__match_args__)})"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise FrozenInstanceError(f"cannot delete field {name!r}")


@cache
def _dataclass_fields(record: type[Record]) -> Mapping[str, Any]:
    given = {
        **record._defaults,  # noqa: SLF001  a record's own
        **{name: field(default_factory=make) for name, make in record._factories.items()},  # noqa: SLF001  as above
    }
    template = make_dataclass(
        record.__name__,
        [(name, record.__annotations__[name], given.get(name, field())) for name in record.__match_args__],
        init=False,  # only its fields are wanted: methods are what takes long
        repr=False,
        eq=False,
    )
    return {each.name: each for each in fields(template)}
