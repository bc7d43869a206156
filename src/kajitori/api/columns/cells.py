"""What cells are made of: paths, ages, labels, selectors, and lists that are cut short."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kajitori.api.durations import time_since
from kajitori.api.errors import StatusError
from kajitori.api.meta import Object
from kajitori.api.resource import Column
from kajitori.api.selectors import from_label_selector

NONE = "<none>"
UNSET = "<unset>"
UNKNOWN = "<unknown>"

_SHOWN_AT_MOST = 3

Cell = Callable[[Object], Any]


def at(obj: Object, path: str, default: Any = None) -> Any:
    """The value at a dotted path; `default` where anything on the way is absent or null."""
    found: Any = obj
    for key in path.split("."):
        if not isinstance(found, dict):
            return default
        found = found.get(key)
    return default if found is None else found


def column(name: str, cell: Cell | str, *, type: str = "string", wide: bool = False, default: Any = "") -> Column:
    """A column whose cell does not depend on the time: a function of the object, or a path into it."""
    if isinstance(cell, str):
        path = cell
        return Column(name=name, cell=lambda obj, _: at(obj, path, default), type=type, priority=int(wide))
    read = cell
    return Column(name=name, cell=lambda obj, _: read(obj), type=type, priority=int(wide))


def since(name: str, path: str, *, absent: str = UNKNOWN) -> Column:
    """A column that shows how long ago the timestamp at `path` was."""

    def cell(obj: Object, now_s: float) -> str:
        timestamp = at(obj, path)
        return time_since(timestamp, now_s) if timestamp else absent

    return Column(name=name, cell=cell)


NAME = Column(name="Name", cell=lambda obj, _: obj["metadata"].get("name", ""), format="name")
AGE = since("Age", "metadata.creationTimestamp")
CREATED_AT = Column(name="Created At", cell=lambda obj, _: at(obj, "metadata.creationTimestamp"), type="date")

WITHOUT_OWN_COLUMNS = (NAME, CREATED_AT)
"""What a kind shows for which upstream declares nothing."""


def joined(values: Iterable[str], *, empty: str = NONE, separator: str = ",") -> str:
    return separator.join(values) or empty


def first_few(values: Sequence[str], *, empty: str = NONE) -> str:
    """At most three, and how many more there are."""
    if not values:
        return empty
    shown = ",".join(values[:_SHOWN_AT_MOST])
    more = len(values) - _SHOWN_AT_MOST
    return f"{shown} + {more} more..." if more > 0 else shown


def labels(found: Mapping[str, str] | None) -> str:
    return joined(f"{key}={value}" for key, value in sorted((found or {}).items()))


def selector(document: Object | None) -> str:
    """A metav1.LabelSelector in the language of lists."""
    try:
        return str(from_label_selector(document)) or NONE
    except StatusError:
        return "<error>"


def container_columns(template: str) -> tuple[Column, Column]:
    """Names and images of the containers of the pod template at a path."""
    path = f"{template}.spec.containers"
    return (
        column("Containers", lambda obj: _field_of_each(obj, path, "name"), wide=True),
        column("Images", lambda obj: _field_of_each(obj, path, "image"), wide=True),
    )


def selector_column(path: str) -> Column:
    return column("Selector", lambda obj: selector(at(obj, path)), wide=True)


def _field_of_each(obj: Object, path: str, field: str) -> str:
    return ",".join(item.get(field, "") for item in at(obj, path, ()))


def addresses(statuses: Iterable[Object] | None) -> str:
    """IP addresses or names of a load balancer, each once."""
    found = (status.get("ip") or status.get("hostname") or "" for status in statuses or ())
    return ",".join(sorted({address for address in found if address}))
