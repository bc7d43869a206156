"""Named forms of strings: `format.dns1123Label().validate(text)` is none, or the list of what is wrong."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence

from kajitori.api.cel import times
from kajitori.api.cel.errors import EvaluationError
from kajitori.api.cel.functions import Overload, member, plain
from kajitori.api.cel.library.addresses import parse_url
from kajitori.api.cel.types import opaque
from kajitori.api.cel.values import NONE, Opaque, Optional
from kajitori.api.selectors import label_key_errors, label_value_errors
from kajitori.api.validation.formats import dns_1035_errors, label_errors, subdomain_errors

Errors = Callable[[str], Sequence[str]]


class Format(Opaque):
    """`pattern_size` stands for the length of its pattern when costs are counted."""

    __slots__ = ("errors", "name", "pattern_size")
    cel_type = opaque("kubernetes.NamedFormat")

    def __init__(self, name: str, errors: Errors, pattern_size: int) -> None:
        self.name = name
        self.errors = errors
        self.pattern_size = pattern_size

    def __str__(self) -> str:
        return self.name


def _prefix(errors: Errors) -> Errors:
    """A prefix may end with a hyphen, because something will follow."""
    return lambda text: errors(f"{text[:-1]}a" if len(text) > 1 and text.endswith("-") else text)


def _uri(text: str) -> list[str]:
    try:
        parse_url(text)
    except EvaluationError as error:
        return [str(error).removeprefix("URL parse error during conversion from string: ")]
    return []


_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


def _uuid(text: str) -> list[str]:
    return [] if _UUID.fullmatch(text) else ["does not match the UUID format"]


def _byte(text: str) -> list[str]:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return ["invalid base64"]
    return []


def _date(text: str) -> list[str]:
    try:
        times.parse_date(text)
    except ValueError:
        return ["invalid date"]
    return []


def _date_time(text: str) -> list[str]:
    try:
        times.parse_timestamp(text)
    except ValueError:
        return ["invalid datetime"]
    return []


FORMATS = {
    "dns1123Label": Format("DNS1123Label", label_errors, 30),
    "dns1123Subdomain": Format("DNS1123Subdomain", subdomain_errors, 60),
    "dns1035Label": Format("DNS1035Label", dns_1035_errors, 30),
    "qualifiedName": Format("QualifiedName", label_key_errors, 60),
    "dns1123LabelPrefix": Format("DNS1123LabelPrefix", _prefix(label_errors), 30),
    "dns1123SubdomainPrefix": Format("DNS1123SubdomainPrefix", _prefix(subdomain_errors), 60),
    "dns1035LabelPrefix": Format("DNS1035LabelPrefix", _prefix(dns_1035_errors), 30),
    "labelValue": Format("LabelValue", label_value_errors, 40),
    "uri": Format("URI", _uri, 1024),
    "uuid": Format("uuid", _uuid, 80),
    "byte": Format("byte", _byte, 84),
    "date": Format("date", _date, 220),
    "datetime": Format("datetime", _date_time, 220),
}


def _constant(named: Format) -> Callable[[], Format]:
    return lambda: named


def _validate(named: Format, text: str) -> Optional:
    errors = list(named.errors(text))
    return Optional(errors) if errors else NONE


def _named(name: str) -> Optional:
    return Optional(FORMATS[name]) if name in FORMATS else NONE


_FORMAT = "kubernetes.NamedFormat"
NAMED_FORMATS: tuple[Overload, ...] = (
    *(plain(f"format.{name}", f"-> {_FORMAT}", _constant(each)) for name, each in FORMATS.items()),
    plain("format.named", f"string -> optional({_FORMAT})", _named),
    member("validate", f"{_FORMAT}, string -> optional(list(string))", _validate),
)
