"""Resource quantities: `500m`, `1Gi`, `1e3`. Exact integers of billionths inside, upstream's canonical form outside.

A quantity keeps the family of suffixes that it was written in, because that decides how sums of it are written:
`binary` (Ki, Mi ...), `decimal` (n, u, m, k, M ...) or `exponent` (e3). Nothing finer than 1n exists: parsing rounds
away from zero. The rules are those of upstream's `resource.Quantity`.
"""

import re
from typing import NamedTuple

from kajitori.kit.text_cache import text_cache

_NANO = 10**9
_INT64_MAX = 2**63 - 1
_EXPONENT_MAX = 300
"""Larger exponents are refused: nothing real needs them, and they would cost memory."""

_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY_SUFFIXES = ("", *_BINARY)
_DECIMAL_SUFFIXES = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_FORM = re.compile(r"([+-]?)0*([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)

FORM_MESSAGE = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
SUFFIX_MESSAGE = "unable to parse quantity's suffix"
NUMBER_MESSAGE = "unable to parse numeric part of quantity"


class Quantity(NamedTuple):
    """`nanos` billionths of one, written with suffixes of `family` ("binary", "decimal" or "exponent")."""

    nanos: int
    family: str = "decimal"

    def __str__(self) -> str:
        if not self.nanos:
            return "0"
        if self.family == "binary" and abs(self.nanos) >= 1024 * _NANO and self.nanos % _NANO == 0:
            return _binary(self.nanos // _NANO)
        return _decimal(self.nanos, exponent_form=self.family == "exponent")

    def plus(self, other: "Quantity") -> "Quantity":
        return Quantity(self.nanos + other.nanos, self.family if self.nanos else other.family)

    def minus(self, other: "Quantity") -> "Quantity":
        return Quantity(self.nanos - other.nanos, self.family if self.nanos else other.family)

    def scaled(self, unit: int) -> int:
        """How many units of `unit` billionths, rounded away from zero."""
        return _divide_away(self.nanos, unit)


def _divide_away(number: int, by: int) -> int:
    return -(-number // by) if number >= 0 else number // by


def _binary(number: int) -> str:
    power = 0
    while power < len(_BINARY) and number % 1024 == 0:
        number //= 1024
        power += 1
    return f"{number}{_BINARY_SUFFIXES[power]}"


def _decimal(nanos: int, *, exponent_form: bool) -> str:
    exponent = -9
    while nanos % 1000 == 0:
        nanos //= 1000
        exponent += 3
    if exponent in _DECIMAL_SUFFIXES and not exponent_form:
        return f"{nanos}{_DECIMAL_SUFFIXES[exponent]}"
    return f"{nanos}e{exponent}" if exponent else str(nanos)


def _suffix(text: str) -> tuple[str, int]:
    """Family and power (of two for "binary", of ten for the others); raises ValueError."""
    if text in _DECIMAL:
        return "decimal", _DECIMAL[text]
    if text in _BINARY:
        return "binary", _BINARY[text]
    if text[0] in "eE" and re.fullmatch(r"[+-]?[0-9]+", text[1:], re.ASCII):
        exponent = int(text[1:])
        if abs(exponent) > _EXPONENT_MAX:
            raise ValueError(NUMBER_MESSAGE)
        return "exponent", exponent
    raise ValueError(SUFFIX_MESSAGE)


class _Parsed(NamedTuple):
    quantity: Quantity
    canonical: str


def _parse(text: str) -> _Parsed:
    match = _FORM.fullmatch(text)
    if match is None or not text:
        raise ValueError(FORM_MESSAGE)
    sign, whole, fraction, suffix = match.groups(default="")
    family, power = _suffix(suffix)
    whole = whole or "0"
    digits = int(whole + fraction)
    if family == "binary":
        nanos = _divide_away((digits << power) * _NANO, 10 ** len(fraction))
        nanos = min(nanos, _INT64_MAX * _NANO)
        family = "decimal" if 0 < nanos < _NANO else family
        as_written = not fraction and digits & 7 != 0 and len(whole) + -(-power * 3 // 10) + 1 <= 18
    else:
        scale = power - len(fraction)
        nanos = digits * 10 ** (scale + 9) if scale >= -9 else _divide_away(digits, 10 ** (-9 - scale))
        shifted = whole + fraction
        as_written = scale % 3 == 0 and scale >= -9 and not shifted.endswith("000") and not shifted.startswith("0")
        as_written = as_written and len(shifted) <= 18
    quantity = Quantity(-nanos if sign == "-" else nanos, family)
    # Upstream keeps short texts that look canonical, such as `1.500`, as they were written.
    return _Parsed(quantity, text if as_written else str(quantity))


_cached = text_cache(entries_max=8192, length_max=64)(_parse)


def _parsed(text: str | int | float) -> _Parsed:
    if isinstance(text, str):
        return _cached(text.strip())
    return _parse(str(text))


def parse(text: str | int | float) -> Quantity:
    """Read a quantity (a JSON number is one too); raises ValueError in upstream's words."""
    return _parsed(text).quantity


def canonical(text: str | int | float) -> str:
    """How upstream writes back what it read: `0.5` becomes `500m`, `1024Mi` becomes `1Gi`."""
    return _parsed(text).canonical


def milli(text: str | int | float) -> int:
    """In thousandths (millicores of CPU), rounded away from zero."""
    return _parsed(text).quantity.scaled(10**6)


def value(text: str | int | float) -> int:
    """In whole units (bytes of memory), rounded away from zero."""
    return _parsed(text).quantity.scaled(_NANO)


def compare(left: str | int | float, right: str | int | float) -> int:
    """Negative, 0 or positive, as `left` is less than, equal to or more than `right`."""
    a, b = parse(left).nanos, parse(right).nanos
    return (a > b) - (a < b)


def add(left: str | int | float, right: str | int | float) -> str:
    return str(parse(left).plus(parse(right)))


def sub(left: str | int | float, right: str | int | float) -> str:
    return str(parse(left).minus(parse(right)))


def round_up(text: str | int | float) -> str:
    """To thousandths, as upstream defaults every ResourceList; the text is kept when it already is that coarse."""
    parsed = _parsed(text)
    if parsed.quantity.nanos % 10**6 == 0:
        return parsed.canonical
    return str(Quantity(parsed.quantity.scaled(10**6) * 10**6, parsed.quantity.family))


def from_milli(amount: int, family: str = "decimal") -> str:
    return str(Quantity(amount * 10**6, family))


def from_value(amount: int, family: str = "decimal") -> str:
    return str(Quantity(amount * _NANO, family))
