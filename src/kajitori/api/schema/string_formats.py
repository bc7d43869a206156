"""The formats of texts in schemas of custom resources: those that upstream knows.

A format that is unknown, or not one of its type, says nothing.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from typing import Any

from kajitori.api import urls
from kajitori.api.meta import Object
from kajitori.api.schema.scalars import timestamp

_OF_TEXTS = frozenset({
    "bsonobjectid", "uri", "email", "hostname", "ipv4", "ipv6", "cidr", "mac", "uuid", "uuid3", "uuid4", "uuid5",
    "isbn", "isbn10", "isbn13", "creditcard", "ssn", "hexcolor", "rgbcolor", "byte", "password", "date",
    "duration", "datetime", "k8sshortname", "k8slongname",
})  # fmt: skip
_OF_NUMBERS = {"integer": ("int32", "int64"), "number": ("float", "double")}


def known_format(schema: Object) -> str:
    """The format of a schema, or nothing when it has none that counts."""
    form, kind = schema.get("format") or "", schema.get("type") or "string"
    if kind == "string":
        return form if form.replace("-", "") in _OF_TEXTS else ""
    return form if form in _OF_NUMBERS.get(kind, ()) else ""


def _succeeds(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return check


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda text: compiled.fullmatch(text) is not None


_HOSTNAME = re.compile(
    r"(?:[^\W_](?:-?[^\W_]{0,62})?|(?:[^\W_](?:[^\W_-]|-){0,61}[^\W_]\.|[^\W_]\.)+[^\W\d_]{2,63})",
)


def _is_hostname(text: str) -> bool:
    """A single name with a hyphen after its first character at most, or several of which the last has letters only."""
    plain = "".join("0" if unicodedata.category(each)[0] == "S" else each for each in text)  # symbols may be in it
    whole = _HOSTNAME.fullmatch(plain) is not None
    return whole and len(text) <= 255 and all(len(part) <= 63 for part in text.split("."))


_CREDIT_CARD = re.compile(
    r"4\d{12}(?:\d{3})?|5[1-5]\d{14}|6(?:011|5\d\d)\d{12}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|(?:2131|1800|35\d{3})\d{11}",
    re.ASCII,
)


def _has_check_digit(digits: str) -> bool:
    """By the algorithm of Luhn."""
    if not _CREDIT_CARD.fullmatch(digits):
        return False
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(each - 9 if each > 9 else each for each in doubled) % 10 == 0


def _is_isbn10(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    if not re.fullmatch(r"\d{9}[\dX]", digits, re.ASCII):
        return False
    values = [10 if digit == "X" else int(digit) for digit in digits]
    return sum(place * value for place, value in enumerate(values, 1)) % 11 == 0


def _is_isbn13(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    return (
        re.fullmatch(r"\d{13}", digits, re.ASCII) is not None
        and sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits)) % 10 == 0
    )


_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:.\d+)?(?:z|[+-]\d{2}:\d{2})", re.ASCII)


def _is_datetime(text: str) -> bool:
    day, _, rest = text.lower().partition("t")
    return FORMATS["date"](day) and _CLOCK.fullmatch(rest.partition("t")[0]) is not None


_CHANNEL = r"\s*(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*"
_UUID = r"(?i:[0-9a-f]{8}-?[0-9a-f]{4}-?%s[0-9a-f]{3}-?%s[0-9a-f]{3}-?[0-9a-f]{12})"
FORMATS: dict[str, Callable[[str], bool]] = {
    "date-time": _succeeds(timestamp),
    "date": _succeeds(lambda text: timestamp(f"{text}T00:00:00Z")),
    "ipv4": _succeeds(ipaddress.IPv4Address),
    "ipv6": _succeeds(ipaddress.IPv6Address),
    "cidr": _succeeds(lambda text: ipaddress.ip_interface(text) if "/" in text else int("")),
    "uri": _succeeds(urls.parse_of_request),
    "email": _matches(r"[^@\s]+@[^@\s]+"),
    "hostname": _is_hostname,
    "k8s-short-name": _matches(r"(?=.{1,63}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?"),
    "k8s-long-name": _matches(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"),
    "bsonobjectid": _matches(r"[0-9a-fA-F]{24}"),
    "ssn": _matches(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "rgbcolor": _matches(r"rgb\(%s,%s,%s\)" % ((_CHANNEL,) * 3)),
    "datetime": _is_datetime,
    "hexcolor": _matches(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "creditcard": lambda text: _has_check_digit(re.sub(r"\D", "", text)),
    "isbn": lambda text: _is_isbn10(text) or _is_isbn13(text),
    "isbn10": lambda text: _is_isbn10(text),
    "isbn13": lambda text: _is_isbn13(text),
    "mac": _matches(r"([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}"),
    "byte": _matches(r"(?=.)(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"),
    "duration": _matches(r"[+-]?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d|w) ?)+|0"),
    "uuid": _matches(_UUID % ("[0-9a-f]", "[0-9a-f]")),
    "uuid3": _matches(_UUID % ("3", "[0-9a-f]")),
    "uuid4": _matches(_UUID % ("4", "[89ab]")),
    "uuid5": _matches(_UUID % ("5", "[89ab]")),
}
