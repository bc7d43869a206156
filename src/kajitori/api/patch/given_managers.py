"""managedFields that a client writes itself: whether they can be read, and whether their version is one of the kind."""

import json
import re
from typing import Any

from kajitori.api.meta import Object
from kajitori.api.resource import Resource

_INDEX = re.compile(r"-?[0-9]+")
_OLD_HOME = "extensions"
"""The group in which several kinds began, and whose entries old objects still have."""
_SHARED = {"Event": ("", "events.k8s.io")}
"""Kinds that are one in several groups."""


def entry_problem(index: int, entry: Object) -> str:
    """What is wrong with an entry but for its fields, in upstream's words; "" when nothing is."""
    if entry.get("operation") not in ("Apply", "Update"):
        return "operation must be `Apply` or `Update`"
    if not entry.get("apiVersion"):
        return "apiVersion must not be empty"
    kind = entry.get("fieldsType") or ""
    if not kind:
        return f"missing fieldsType in managed fields entry {index}"
    return f'invalid fieldsType "{kind}" in managed fields entry {index}' if kind != "FieldsV1" else ""


def readable(entries: list[Object]) -> bool:
    """One entry that is not spoils them all."""
    return all(
        not entry_problem(index, entry) and (entry.get("fieldsV1") is None or _is_set(entry["fieldsV1"]))
        for index, entry in enumerate(entries)
    )


def _is_set(fields: Any) -> bool:
    if not isinstance(fields, dict):
        return False
    return all(_is_element(element) and _is_set(below) for element, below in fields.items())


def _is_element(element: str) -> bool:
    if element == ".":
        return True
    kind, text = element[:1], element[2:]
    if element[1:2] != ":":
        return False
    if kind == "i":
        return _INDEX.fullmatch(text) is not None
    if kind not in ("k", "v"):
        return True
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return kind == "v" or isinstance(value, dict)


def is_version(api_version: str) -> bool:
    return api_version.count("/") <= 1


def knows(resource: Resource, api_version: str) -> bool:
    """Whether the kind is, or was, of this version: what a manager said in another kind's is nobody's."""
    if api_version == resource.api_version:
        return True
    group = api_version.rpartition("/")[0]
    return group in (resource.group, _OLD_HOME) or group in _SHARED.get(resource.kind, ())
