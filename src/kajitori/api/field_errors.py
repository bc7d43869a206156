"""One wrong field: where, what, why, in the words of upstream's field.Error."""

import re
from dataclasses import dataclass, replace
from typing import Any

import orjson

from kajitori.api.go_text import quoted
from kajitori.api.meta import Object

# reason of the cause -> the words its message begins with
_WORDS = {
    "FieldValueNotFound": "Not found",
    "FieldValueRequired": "Required value",
    "FieldValueDuplicate": "Duplicate value",
    "FieldValueInvalid": "Invalid value",
    "FieldValueNotSupported": "Unsupported value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueTooLong": "Too long",
    "FieldValueTooMany": "Too many",
    "InternalError": "Internal error",
    "FieldValueTypeInvalid": "Invalid value",
}
_WITHOUT_VALUE = {"FieldValueRequired", "FieldValueForbidden", "FieldValueTooLong", "InternalError"}


class Verbatim(str):
    """A value that is shown as it is, without quotes: upstream's quantities."""

    __slots__ = ()


class InOrder(dict[str, Any]):
    """A value whose keys are shown in the order given, as the fields of a Go struct are."""


OMITTED = Verbatim()
"""The value of an error that names none."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """`reason` is a metav1.CauseType, `field` a path such as `spec.containers[0].image`."""

    reason: str
    field: str
    value: Any = None
    detail: str = ""
    value_field: str = ""
    """Where the value stands, if not at `field`."""

    @property
    def message(self) -> str:
        words = _WORDS[self.reason]
        if self.reason not in _WITHOUT_VALUE and self.value is not OMITTED:
            words = f"{words}: {_shown(self.value)}"
        return f"{words}: {self.detail}" if self.detail else words

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"

    def cause(self) -> Object:
        return {"reason": self.reason, "message": self.message, "field": self.field}


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, Verbatim):
        return str(value)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    sorting = 0 if isinstance(value, list | InOrder) else orjson.OPT_SORT_KEYS
    return escaped(orjson.dumps(value, option=sorting))


def escaped(document: bytes) -> str:
    """JSON as Go's encoder writes it: safe inside of HTML."""
    text = document.decode()
    for mark, code in _IN_HTML.items():
        text = text.replace(mark, code)
    return text


_IN_HTML = {mark: f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"}
"""What Go's JSON encoder does not write as it is."""


_STEP = re.compile(r"[^.\[\]]+")


def as_sent(errors: list[FieldError], document: Any) -> list[FieldError]:
    """Empty lists and maps do not survive decoding, but a refusal tells them from absent ones: shown as they came."""
    return [
        replace(error, value=sent)
        if error.value is None and (sent := _sent(document, error.value_field or error.field)) in ([], {})
        else error
        for error in errors
    ]


def _sent(document: Any, path: str) -> Any:
    found = document
    for step in _STEP.findall(path):
        if isinstance(found, list):
            found = found[int(step)] if step.isdecimal() and int(step) < len(found) else None
        else:
            found = found.get(step) if isinstance(found, dict) else None
    return found


def required(field: str, detail: str = "") -> FieldError:
    return FieldError("FieldValueRequired", field, "", detail)


def invalid(field: str, value: Any, detail: str) -> FieldError:
    return FieldError("FieldValueInvalid", field, value, detail)


def forbidden(field: str, detail: str) -> FieldError:
    return FieldError("FieldValueForbidden", field, "", detail)


def duplicate(field: str, value: Any) -> FieldError:
    return FieldError("FieldValueDuplicate", field, value)


def not_found(field: str, value: Any) -> FieldError:
    return FieldError("FieldValueNotFound", field, value)


def not_supported(field: str, value: Any, supported: list[str]) -> FieldError:
    listed = ", ".join(_shown(s) for s in sorted(supported, key=str))
    return FieldError("FieldValueNotSupported", field, value, f"supported values: {listed}")


def too_long(field: str, value: Any, max_bytes: int) -> FieldError:
    unit = "byte" if max_bytes == 1 else "bytes"
    return FieldError("FieldValueTooLong", field, value, f"may not be more than {max_bytes} {unit}")


def too_many(field: str, actual: int, most: int) -> FieldError:
    return FieldError(
        "FieldValueTooMany", field, actual, f"must have at most {most} {'item' if most == 1 else 'items'}"
    )
