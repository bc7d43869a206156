"""Reading the scalars that have their own text form: timestamps, base64, quantities, int-or-string.

Each function returns the value as upstream would write it back and raises ValueError with Go's words.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from kajitori.api import quantity

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

_CANONICAL_TIME = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ", re.ASCII)
_LAYOUT = "2006-01-02T15:04:05Z07:00"
_MICRO_LAYOUT = "2006-01-02T15:04:05.000000Z07:00"
_PARTS = (
    ("2006", r"\d{4}"),
    ("-", "-"),
    ("01", r"\d\d"),
    ("-", "-"),
    ("02", r"\d\d"),
    ("T", "T"),
    ("15", r"\d{1,2}"),
    (":", ":"),
    ("04", r"\d\d"),
    (":", ":"),
    ("05", r"\d\d"),
)
_ZONE = ("Z07:00", r"Z|[+-]\d\d:\d\d")
_RANGES = (("month", 1, 12), ("day", 1, 31), ("hour", 0, 23), ("minute", 0, 59), ("second", 0, 59))
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_BASE64_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def timestamp(text: str) -> str:
    """metav1.Time: any RFC 3339 text becomes UTC, to the second."""
    if _CANONICAL_TIME.fullmatch(text):
        return text
    return _utc_text(_parse_time(text, _LAYOUT), "seconds")


def micro_timestamp(text: str) -> str:
    """metav1.MicroTime: six digits of fraction are required."""
    return _utc_text(_parse_time(text, _MICRO_LAYOUT), "microseconds")


def _utc_text(moment: datetime, precision: str) -> str:
    # strftime writes the year 1 as "1", which no RFC 3339 parser reads.
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def _parse_time(text: str, layout: str) -> datetime:
    fraction = (".000000", r"\.\d{6}") if layout == _MICRO_LAYOUT else ("", r"(?:\.\d+)?")
    position, numbers = 0, []
    for element, pattern in (*_PARTS, fraction, _ZONE):
        match = re.compile(pattern, re.ASCII).match(text, position)
        if match is None:
            raise ValueError(f'parsing time "{text}" as "{layout}": cannot parse "{text[position:]}" as "{element}"')
        numbers.append(match.group())
        position = match.end()
    if position != len(text):
        raise ValueError(f'parsing time "{text}": extra text: "{text[position:]}"')
    year, *rest = (int(numbers[index]) for index in (0, 2, 4, 6, 8, 10))
    for value, (name, least, most) in zip(rest, _RANGES, strict=True):
        if not least <= value <= most:
            raise ValueError(f'parsing time "{text}": {name} out of range')
    microseconds = int(numbers[-2][1:7].ljust(6, "0")) if len(numbers[-2]) > 1 else 0
    month, day, hour, minute, second = rest
    try:
        moment = datetime(max(year, 1), month, day, hour, minute, second, microseconds, UTC)
    except ValueError:
        raise ValueError(f'parsing time "{text}": day out of range') from None
    zone = numbers[-1]
    if zone != "Z":
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
        moment += -offset if zone[0] == "+" else offset
    return moment


def base64_bytes(text: str) -> str:
    """A []byte field. Line breaks are dropped, as Go's decoder does."""
    if _BASE64.fullmatch(text):
        return text
    plain = text.replace("\r", "").replace("\n", "")
    if _BASE64.fullmatch(plain):
        return plain
    raise ValueError(f"illegal base64 data at input byte {_first_illegal_byte(text)}")


def _first_illegal_byte(text: str) -> int:
    """Where Go's decoder gives up. It counts line breaks, which it passes over."""
    taken = at = 0
    while at < len(text):
        letter = text[at]
        if letter in _BASE64_LETTERS:
            taken = (taken + 1) % 4
        elif letter == "=" and taken in (2, 3):
            return _after_padding(text, at, missing=taken == 2)
        elif letter not in "\r\n":
            break
        at += 1
    return at if at < len(text) else at - taken


def _after_padding(text: str, at: int, *, missing: bool) -> int:
    """What is wrong behind the first `=`: another is missing, or something follows."""
    rest = at + 1
    if missing:
        while text[rest : rest + 1] in ("\r", "\n"):
            rest += 1
        if text[rest : rest + 1] != "=":
            return rest if rest == len(text) else rest - 1
        rest += 1
    while text[rest : rest + 1] in ("\r", "\n"):
        rest += 1
    return rest


def quantity_text(value: Any) -> str:
    """A resource.Quantity, from a string or a number."""
    if isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        return quantity.canonical(value)
    raise ValueError(quantity.FORM_MESSAGE)
