"""The values of CEL in Python, and when two are equal or in order.

    int UInt float str bytes bool None      int, uint, double, string, bytes, bool, null
    list dict                               list and map; dict is an object of a schema too
    SetList MapList                         lists whose order does not count (x-kubernetes-list-type)
    Timestamp Duration Optional             of whole nanoseconds; of a value or none
    Type                                    the type of a value
    anything with `cel_type`                values of libraries: quantities, URLs, addresses ...

Lists and maps are never changed once made: they may be parts of stored objects.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from kajitori.api.cel import types
from kajitori.api.cel.errors import CostExceeded, EvaluationError, no_overload
from kajitori.api.cel.types import Type

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
UINT_MAX = 2**64 - 1
# Larger values end the evaluation as one that costs too much: costs count calls, not what they allocate.
ELEMENTS_MAX = 1_000_000
CHARACTERS_MAX = 8 * 1024 * 1024
# Pairs of values that one comparison looks at.
_COMPARED_MAX = 2_000_000


class UInt(int):
    """An unsigned integer of 64 bits."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """Nanoseconds since 1970 in UTC. `offset_s` is the zone that it was written in, and is written in again."""

    ns: int
    offset_s: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    ns: int


@dataclass(frozen=True, slots=True)
class Optional:
    """An optional; `present` False has no value."""

    value: Any = None
    present: bool = True


NONE = Optional(present=False)


class SetList(list[Any]):
    """A list of x-kubernetes-list-type set: equal whatever the order; `+` is the union."""

    __slots__ = ()


class MapList(list[Any]):
    """A list of x-kubernetes-list-type map: equal whatever the order; `+` merges by the keys."""

    __slots__ = ("keys",)

    def __init__(self, items: Iterable[Any], keys: tuple[str, ...]) -> None:
        super().__init__(items)
        self.keys = keys

    def key_of(self, item: Any) -> tuple[Any, ...]:
        return tuple(item.get(key) for key in self.keys) if isinstance(item, Mapping) else (item,)


class StructValue(dict[str, Any]):
    """What `name{field: value}` makes."""

    __slots__ = ("name",)

    def __init__(self, name: str, fields: Mapping[str, Any]) -> None:
        super().__init__(fields)
        self.name = name


class Opaque:
    """What values of a library share: their type."""

    __slots__ = ()
    cel_type: ClassVar[Type]


_TYPES: dict[type, Type] = {
    bool: types.BOOL,
    int: types.INT,
    UInt: types.UINT,
    float: types.DOUBLE,
    str: types.STRING,
    bytes: types.BYTES,
    type(None): types.NULL,
    Timestamp: types.TIMESTAMP,
    Duration: types.DURATION,
    Type: types.type_of(types.DYN),
    Optional: Type("opaque", "optional_type"),
}
_LIST, _MAP = Type("list"), Type("map")


def type_of(value: Any) -> Type:
    """The type of a value at run time, without parameters."""
    found = _TYPES.get(type(value))
    if found is not None:
        return found
    if isinstance(value, StructValue):
        return Type("object", value.name)
    if isinstance(value, list):
        return _LIST
    if isinstance(value, Mapping):
        return _MAP
    own = getattr(value, "cel_type", None)
    if isinstance(own, Type):
        return own
    raise EvaluationError(f"unsupported conversion to ref.Val: ({type(value).__name__})")


_NUMBERS = (int, UInt, float)
_PLAIN = (str, int, bytes, UInt)


def equal(one: Any, other: Any) -> bool:
    """CEL's equality: numbers of all types compare by value, values of different types are unequal."""
    if type(one) is type(other) and type(one) in _PLAIN:
        return bool(one == other)
    return _Comparison().equal(one, other)


class _Comparison:
    """One comparison, which ends when it looks at too much."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen = 0

    def equal(self, one: Any, other: Any) -> bool:
        self._seen += 1
        if self._seen > _COMPARED_MAX:
            raise CostExceeded
        kind, kind2 = type(one), type(other)
        if kind in _NUMBERS:
            return kind2 in _NUMBERS and bool(one == other)
        if isinstance(one, list):
            return isinstance(other, list) and self._lists(one, other)
        if isinstance(one, Mapping):
            return isinstance(other, Mapping) and self._maps(one, other)
        if kind is not kind2:
            return False
        if kind is Optional:
            return one.present == other.present and (not one.present or self.equal(one.value, other.value))
        return bool(one == other)

    def _lists(self, one: list[Any], other: list[Any]) -> bool:
        if len(one) != len(other):
            return False
        if isinstance(one, MapList) or isinstance(other, MapList):
            by = one if isinstance(one, MapList) else other
            assert isinstance(by, MapList)
            return self._keyed(by, one, other)
        if isinstance(one, SetList) or isinstance(other, SetList):
            return all(any(self.equal(each, theirs) for theirs in other) for each in one)
        return all(self.equal(mine, theirs) for mine, theirs in zip(one, other, strict=True))

    def _keyed(self, by: MapList, one: list[Any], other: list[Any]) -> bool:
        theirs = {by.key_of(item): item for item in other}
        mine = {by.key_of(item): item for item in one}
        return mine.keys() == theirs.keys() and all(self.equal(item, theirs[key]) for key, item in mine.items())

    def _maps(self, one: Mapping[Any, Any], other: Mapping[Any, Any]) -> bool:
        if len(one) != len(other):
            return False
        return all(key in other and self.equal(value, other[key]) for key, value in one.items())


_ORDERED = (str, bytes, bool, Timestamp, Duration)


def compare(one: Any, other: Any) -> int:
    """-1, 0 or 1; raises EvaluationError for values that have no order."""
    kind, kind2 = type(one), type(other)
    if kind in _NUMBERS and kind2 in _NUMBERS:
        return _sign(one, other)
    if kind is kind2:
        if kind in _ORDERED:
            return _sign(one, other)
        theirs = getattr(one, "compare_to", None)
        if theirs is not None:
            return int(theirs(other))
    raise no_overload()


def _sign(one: Any, other: Any) -> int:
    return -1 if one < other else 1 if one > other else 0


def contains(items: list[Any], wanted: Any) -> bool:
    if type(wanted) is str:
        return wanted in items
    return any(equal(each, wanted) for each in items)


def size_of(value: Any) -> int:
    """What costs count: the length of a string, list or map; 1 for everything else."""
    if isinstance(value, str | bytes | list | Mapping):
        return len(value)
    if type(value) is Optional and value.present:
        return size_of(value.value)
    return int(getattr(value, "cel_size", 1))


def checked_int(value: int) -> int:
    if INT_MIN <= value <= INT_MAX:
        return value
    raise EvaluationError("integer overflow")


def checked_uint(value: int) -> UInt:
    if 0 <= value <= UINT_MAX:
        return UInt(value)
    raise EvaluationError("unsigned integer overflow")


def bounded(items: int) -> None:
    """Refuses to make a list or map of that many items."""
    if items > ELEMENTS_MAX:
        raise CostExceeded


def bounded_text(characters: int) -> None:
    if characters > CHARACTERS_MAX:
        raise CostExceeded


def plain(value: Any) -> Any:
    """A value as JSON has it. Optionals are their value or null; uints are ints; times are text."""
    from kajitori.api.cel.times import duration_text, timestamp_text

    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    match value:
        case Optional():
            return plain(value.value) if value.present else None
        case Timestamp():
            return timestamp_text(value)
        case Duration():
            return duration_text(value)
        case UInt():
            return int(value)
        case bytes():
            import base64

            return base64.b64encode(value).decode()
        case Opaque() | Type():
            return str(value)
    return value
