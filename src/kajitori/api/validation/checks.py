"""The small checks that every family of kinds is made of. A path such as `spec.ports[0]` leads to each error."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kajitori.api.field_errors import FieldError, duplicate, forbidden, invalid, required, too_long, too_many
from kajitori.api.meta import Object
from kajitori.api.selectors import label_key_errors, label_value_errors
from kajitori.api.validation.formats import (
    HTTP_PATH,
    PORT_RANGE,
    Format,
    percent_errors,
    port_name_errors,
    subdomain_errors,
)

Errors = Iterator[FieldError]

IMMUTABLE = "field is immutable"
INT32_MAX = 2**31 - 1
_DRIVER_NAME_BYTES_MAX = 63


def each(obj: Object, key: str, path: str) -> Iterator[tuple[Object, str]]:
    """The objects of a list that may be absent, each with its path."""
    name = key.rpartition(".")[2]
    for index, item in enumerate(obj.get(name) or ()):
        yield item, f"{path}.{key}[{index}]"


def must(path: str, value: Any, problems: Iterable[str]) -> Errors:
    """One error for each problem of a value."""
    return (invalid(path, value, problem) for problem in problems)


def must_be_given(path: str, value: Any, form: Format | None = None, detail: str = "") -> Errors:
    """A text that may not be empty and, when it is not, has a form."""
    if not value:
        yield required(path, detail)
    elif form is not None:
        yield from must(path, value, form(value))


def domain_prefixed_path(path: str, text: str) -> Errors:
    """`example.com/any/path`."""
    domain, _, rest = text.partition("/")
    if not text:
        yield required(path)
    elif not domain or not rest:
        yield invalid(path, text, 'must be a domain-prefixed path (such as "acme.io/foo")')
    else:
        yield from must(path, domain, subdomain_errors(domain))
        if not HTTP_PATH.fullmatch(rest):
            yield invalid(path, rest, f"Invalid path (regex used for validation is '{HTTP_PATH.pattern}')")


def when_given(path: str, value: Any, form: Format) -> Errors:
    if value:
        yield from must(path, value, form(value))


def unsupported(path: str, value: Any, supported: Iterable[str]) -> FieldError:
    """Like `field_errors.not_supported`, but lists the supported values in the order given."""
    listed = ", ".join(f'"{text}"' for text in supported)
    return FieldError("FieldValueNotSupported", path, value, f"supported values: {listed}")


def one_of(path: str, value: Any, supported: Sequence[str]) -> Errors:
    if value not in supported:
        yield unsupported(path, value if value is not None else "", supported)


def optional_one_of(path: str, value: Any, supported: Sequence[str]) -> Errors:
    if value is not None:
        yield from one_of(path, value, supported)


def not_negative(path: str, value: int | None) -> Errors:
    if value is not None and value < 0:
        yield invalid(path, value, "must be greater than or equal to 0")


def positive(path: str, value: int | None, detail: str = "must be greater than zero") -> Errors:
    if value is not None and value <= 0:
        yield invalid(path, value, detail)


def within(path: str, value: int | None, least: int, most: int) -> Errors:
    if value is not None and not least <= value <= most:
        yield invalid(path, value, f"must be between {least} and {most}, inclusive")


def port_number(path: str, value: int) -> Errors:
    if not 1 <= value <= 65535:
        yield invalid(path, value, PORT_RANGE)


def port_number_or_name(path: str, value: int | str) -> Errors:
    if isinstance(value, int):
        yield from port_number(path, value)
    else:
        yield from must(path, value, port_name_errors(value))


def amount_or_percent(path: str, value: int | str | None) -> Errors:
    """A count or a percentage (`intstr`), not negative."""
    if isinstance(value, str):
        yield from must(path, value, percent_errors(value))
    elif value is not None:
        yield from not_negative(path, value)


def percent_of(value: int | str | None) -> int | None:
    """The number of `25%`; None for a count."""
    if isinstance(value, str) and not percent_errors(value):
        return int(value[:-1])
    return None


def at_most_all(path: str, value: int | str | None) -> Errors:
    percent = percent_of(value)
    if percent is not None and percent > 100:
        yield invalid(path, value, "must not be greater than 100%")


def same_as_before(path: str, new: Any, old: Any) -> Errors:
    if new != old:
        yield invalid(path, new, IMMUTABLE)


def distinct(paths: Iterable[tuple[str, Any]]) -> Errors:
    """A duplicate for each value that came before."""
    seen: list[Any] = []
    for path, value in paths:
        if value in seen:
            yield duplicate(path, value)
        else:
            seen.append(value)


def labels(path: str, found: Mapping[str, str] | None) -> Errors:
    for key, value in sorted((found or {}).items()):
        yield from must(path, key, label_key_errors(key))
        yield from must(path, value, label_value_errors(value))


def annotations(path: str, found: Mapping[str, str] | None) -> Errors:
    for key in sorted(found or {}):
        yield from must(path, key, label_key_errors(key.lower()))


def label_selector(path: str, selector: Object | None) -> Errors:
    """A metav1.LabelSelector."""
    if selector is None:
        return
    yield from labels(f"{path}.matchLabels", selector.get("matchLabels"))
    for requirement, at in each(selector, "matchExpressions", path):
        operator, values = requirement.get("operator") or "", requirement.get("values")
        if operator in ("In", "NotIn"):
            if not values:
                yield required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                yield forbidden(f"{at}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
        else:
            yield invalid(f"{at}.operator", operator, "not a valid selector operator")
        yield from must(f"{at}.key", requirement.get("key") or "", label_key_errors(requirement.get("key") or ""))
        for index, value in enumerate(values or ()):
            yield from must(f"{at}.values[{index}]", value, label_value_errors(value))


def is_empty_selector(selector: Object) -> bool:
    return not selector.get("matchLabels") and not selector.get("matchExpressions")


def driver_name(path: str, driver: str) -> Errors:
    """Of a CSI driver, or of one of devices."""
    if not driver:
        yield required(path)
        return
    if len(driver) > _DRIVER_NAME_BYTES_MAX:
        yield too_long(path, driver, _DRIVER_NAME_BYTES_MAX)
    yield from must(path, driver, subdomain_errors(driver.lower()))


def limited(path: str, items: Sequence[Any] | Mapping[str, Any] | None, most: int) -> Errors:
    """One error for a list or map that is too long: then its items are not looked at."""
    if items is not None and len(items) > most:
        yield too_many(path, len(items), most)


def relative_path(path: str, value: str) -> Errors:
    """A path inside a volume."""
    if value.startswith("/"):
        yield invalid(path, value, "must be a relative path")
    yield from no_backsteps(path, value)


def no_backsteps(path: str, value: str) -> Errors:
    if ".." in re.split("/", value):
        yield invalid(path, value, "must not contain '..'")
