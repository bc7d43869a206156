"""metav1.Table: what `kubectl get` prints."""

from collections.abc import Iterable, Sequence
from typing import Any

from kajitori.api.columns import pods
from kajitori.api.columns.descriptions import AGE_HELP, NAME_HELP, description_of
from kajitori.api.durations import time_since
from kajitori.api.errors import BadRequest
from kajitori.api.go_text import quoted
from kajitori.api.meta import Object
from kajitori.api.resource import Column, Resource


def _age(obj: Object, now_s: float) -> str:
    return time_since(obj["metadata"].get("creationTimestamp"), now_s)


_DEFAULT = (
    Column(name="Name", format="name", cell=lambda obj, _: obj["metadata"]["name"], description=NAME_HELP),
    Column(name="Age", cell=_age, description=AGE_HELP),
)


def columns_of(resource: Resource) -> Sequence[Column]:
    return resource.columns or _DEFAULT


def _cell(column: Column, obj: Object, now_s: float) -> Any:
    try:
        return column.cell(obj, now_s)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return None  # a column must never hide an object


def check_included(include: str) -> None:
    """Raises BadRequest."""
    if include not in ("", "Metadata", "Object", "None"):
        raise BadRequest(
            f"Unable to convert to Table as requested: includeObject: Invalid value: {quoted(include)}: must be "
            "'Metadata', 'Object', 'None', or empty"
        )


def table_of(
    resource: Resource, items: Iterable[Object], version: str, now_s: float, *, include: str = "Metadata"
) -> Object:
    """`include` is what each row carries of its object: Metadata (default), Object, None. Raises BadRequest."""
    check_included(include)
    columns = columns_of(resource)
    api_version = f"meta.k8s.io/{version}"
    conditions = pods.row_conditions if (resource.group, resource.plural) == ("", "pods") else None
    rows = []
    for obj in items if resource.row_order is None else sorted(items, key=resource.row_order):
        row: Object = {"cells": [_cell(column, obj, now_s) for column in columns]}
        if conditions is not None and (said := conditions(obj)):
            row["conditions"] = said
        if include == "Object":
            row["object"] = obj
        elif include == "None":
            row["object"] = None
        else:
            row["object"] = {"kind": "PartialObjectMetadata", "apiVersion": api_version, "metadata": obj["metadata"]}
        rows.append(row)
    definitions = [
        {
            "name": c.name,
            "type": c.type,
            "format": c.format,
            "description": description_of(resource, c),
            "priority": c.priority,
        }
        for c in columns
    ]
    return {"kind": "Table", "apiVersion": api_version, "metadata": {}, "columnDefinitions": definitions, "rows": rows}
