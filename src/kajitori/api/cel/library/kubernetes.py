"""Small functions of Kubernetes: regular expressions, quantities, versions, JSON patch keys."""

import re
from functools import total_ordering

from kajitori.api import quantity as quantities
from kajitori.api.cel.errors import EvaluationError
from kajitori.api.cel.functions import Overload, member, plain
from kajitori.api.cel.regexes import compiled
from kajitori.api.cel.types import opaque
from kajitori.api.cel.values import INT_MAX, INT_MIN, Opaque, bounded


def _find(text: str, pattern: str) -> str:
    match = compiled(pattern).search(text)
    return "" if match is None else str(match.group(0))


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found: list[str] = []
    if limit == 0:
        return found
    for match in compiled(pattern).finditer(text):
        found.append(str(match.group(0)))
        bounded(len(found))
        if len(found) == limit:
            break
    return found


class Quantity(Opaque):
    """Equal when as much, however it was written."""

    __slots__ = ("amount",)
    cel_type = opaque("kubernetes.Quantity")

    def __init__(self, amount: quantities.Quantity) -> None:
        self.amount = amount

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.amount.nanos == other.amount.nanos

    def __hash__(self) -> int:
        return hash(self.amount.nanos)

    def __str__(self) -> str:
        return str(self.amount)


_BILLION = 10**9


def _quantity(text: str) -> Quantity:
    try:
        return Quantity(quantities.parse(text))
    except ValueError as error:
        raise EvaluationError(str(error)) from None


def _is_quantity(text: str) -> bool:
    try:
        quantities.parse(text)
    except ValueError:
        return False
    return True


def _whole(given: Quantity | int) -> quantities.Quantity:
    return given.amount if isinstance(given, Quantity) else quantities.Quantity(given * _BILLION)


def _difference(one: Quantity, other: Quantity) -> int:
    mine, theirs = one.amount.nanos, other.amount.nanos
    return (mine > theirs) - (mine < theirs)


def _is_integer(given: Quantity) -> bool:
    nanos = given.amount.nanos
    return nanos % _BILLION == 0 and INT_MIN <= nanos // _BILLION <= INT_MAX


def _as_integer(given: Quantity) -> int:
    if not _is_integer(given):
        raise EvaluationError("cannot convert value to integer")
    return given.amount.nanos // _BILLION


_QUANTITY = "kubernetes.Quantity"
QUANTITIES: tuple[Overload, ...] = (
    plain("quantity", f"string -> {_QUANTITY}", _quantity),
    plain("isQuantity", "string -> bool", _is_quantity),
    plain("sign", f"{_QUANTITY} -> int", lambda given: (given.amount.nanos > 0) - (given.amount.nanos < 0)),
    member("isGreaterThan", f"{_QUANTITY}, {_QUANTITY} -> bool", lambda one, other: _difference(one, other) > 0),
    member("isLessThan", f"{_QUANTITY}, {_QUANTITY} -> bool", lambda one, other: _difference(one, other) < 0),
    member("compareTo", f"{_QUANTITY}, {_QUANTITY} -> int", _difference),
    member("asApproximateFloat", f"{_QUANTITY} -> double", lambda given: given.amount.nanos / _BILLION),
    member("asInteger", f"{_QUANTITY} -> int", _as_integer),
    member("isInteger", f"{_QUANTITY} -> bool", _is_integer),
    *(
        member("add", f"{_QUANTITY}, {other} -> {_QUANTITY}", lambda one, two: Quantity(one.amount.plus(_whole(two))))
        for other in (_QUANTITY, "int")
    ),
    *(
        member("sub", f"{_QUANTITY}, {other} -> {_QUANTITY}", lambda one, two: Quantity(one.amount.minus(_whole(two))))
        for other in (_QUANTITY, "int")
    ),
)

_NUMBER = r"(?:0|[1-9][0-9]*)"
_SEMVER = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
)


@total_ordering
class Semver(Opaque):
    """Ordered by precedence; what follows a plus does not count."""

    __slots__ = ("numbers", "order", "text")
    cel_type = opaque("kubernetes.Semver")

    def __init__(self, text: str, numbers: tuple[int, ...], pre: tuple[str, ...]) -> None:
        self.text = text
        self.numbers = numbers
        # A release is after its pre-releases; among those, numbers are before words.
        self.order = (numbers, not pre, tuple((0, int(each), "") if each.isdigit() else (1, 0, each) for each in pre))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Semver) and self.order == other.order

    def __lt__(self, other: "Semver") -> bool:
        return self.order < other.order

    def __hash__(self) -> int:
        return hash(self.order)

    def __str__(self) -> str:
        return self.text


def _normalized(text: str) -> str:
    """Without a leading v, with all three numbers and no leading zeros."""
    parts = text.removeprefix("v").split(".", 2)
    for number, part in enumerate(parts):
        if len(part) > 1:
            shorter = part.lstrip("0")
            parts[number] = shorter if shorter[:1].isdigit() else "0" + shorter
    if len(parts) < 3 and not re.search(r"[-+]", parts[-1]):
        parts += ["0"] * (3 - len(parts))
    return ".".join(parts)


def _semver(text: str, normalize: bool = False) -> Semver:
    match = _SEMVER.fullmatch(_normalized(text) if normalize else text) if len(text) <= 1024 else None
    if match is None or any(len(match[number]) > 19 for number in (1, 2, 3)):
        raise EvaluationError(
            "No Major.Minor.Patch elements found" if text.count(".") < 2 else f'Invalid version "{text}"'
        )
    pre = tuple(match[4].split(".")) if match[4] else ()
    if any(len(each) > 1 and each.isdigit() and each[0] == "0" for each in pre):
        raise EvaluationError(f'Numeric PreRelease version must not contain leading zeroes "{match[4]}"')
    return Semver(match[0], tuple(int(match[number]) for number in (1, 2, 3)), pre)


def _is_semver(text: str, normalize: bool = False) -> bool:
    try:
        _semver(text, normalize)
    except EvaluationError:
        return False
    return True


_VERSION = "kubernetes.Semver"
SEMVERS: tuple[Overload, ...] = (
    plain("semver", f"string -> {_VERSION}", _semver),
    plain("semver", f"string, bool -> {_VERSION}", _semver),
    plain("isSemver", "string -> bool", _is_semver),
    plain("isSemver", "string, bool -> bool", _is_semver),
    member("isGreaterThan", f"{_VERSION}, {_VERSION} -> bool", lambda one, other: one > other),
    member("isLessThan", f"{_VERSION}, {_VERSION} -> bool", lambda one, other: one < other),
    member("compareTo", f"{_VERSION}, {_VERSION} -> int", lambda one, other: (one > other) - (one < other)),
    member("major", f"{_VERSION} -> int", lambda version: version.numbers[0]),
    member("minor", f"{_VERSION} -> int", lambda version: version.numbers[1]),
    member("patch", f"{_VERSION} -> int", lambda version: version.numbers[2]),
)


def _escape_key(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


REGEXES: tuple[Overload, ...] = (
    member("find", "string, string -> string", _find),
    member("findAll", "string, string -> list(string)", _find_all),
    member("findAll", "string, string, int -> list(string)", _find_all),
)
JSON_PATCHES: tuple[Overload, ...] = (plain("jsonpatch.escapeKey", "string -> string", _escape_key),)
