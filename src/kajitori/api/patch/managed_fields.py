"""metadata.managedFields: which manager set which field, kept through every write (KEP-555).

Entries are of operation Update (a plain write) or Apply (server-side apply), told apart by manager, operation, version
and subresource. An object that exists without entries is not tracked until it is first applied.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from kajitori.api.meta import Object
from kajitori.api.patch.field_sets import EMPTY, FieldSet, from_fields_v1, holds, to_fields_v1
from kajitori.api.patch.given_managers import is_version, knows, readable
from kajitori.api.patch.reset_fields import nobodys_at_creation, written_here
from kajitori.api.patch.typed import MISSING, InvalidList, changed_fields, child_of, compare
from kajitori.api.resource import Resource
from kajitori.api.schema.conform import empty_object
from kajitori.api.schema.structural import resource_node

UPDATE, APPLY = "Update", "Apply"
BEFORE_FIRST_APPLY = "before-first-apply"
UPDATE_MANAGERS_MAX = 10
"""More Update entries than this are merged, the oldest first, into one of `ancient-changes`."""
ANCIENT = "ancient-changes"

STRIPPED: FieldSet = frozenset(
    {("f:apiVersion",), ("f:kind",), ("f:metadata",)}
    | {
        ("f:metadata", f"f:{name}")
        for name in (
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
        )
    }
)
"""What nobody owns: the system sets it."""
_STRIPPED_METADATA = frozenset(path[1].removeprefix("f:") for path in STRIPPED if len(path) == 2)


class Owner(NamedTuple):
    manager: str
    operation: str
    api_version: str
    subresource: str = ""


class Owned:
    """What one owner holds. As long as nothing changes, the stored document is neither decoded nor made anew."""

    __slots__ = ("_document", "_fields", "time")

    def __init__(self, fields: FieldSet | None, time: str = "", document: Object | None = None) -> None:
        self._fields = fields
        self._document = document
        self.time = time

    @property
    def fields(self) -> FieldSet:
        if self._fields is None:
            self._fields = from_fields_v1(self._document or {})
        return self._fields

    @fields.setter
    def fields(self, fields: FieldSet) -> None:
        self._fields, self._document = fields, None

    @property
    def document(self) -> Object:
        if self._document is None:
            self._document = to_fields_v1(self._fields or EMPTY)
        return self._document

    @property
    def empty(self) -> bool:
        return not (self._document if self._document is not None else self._fields)

    def holds_any(self, paths: FieldSet) -> bool:
        if self._document is None:
            return not paths.isdisjoint(self.fields)
        return any(holds(self._document, path) for path in paths)


Managers = dict[Owner, Owned]


def read_managers(entries: object) -> Managers:
    """From managedFields; what cannot be read is left out, and of two entries of one owner the last counts."""
    found: Managers = {}
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict) or not isinstance(entry.get("fieldsV1"), dict):
            continue
        owner = Owner(
            entry.get("manager", ""),
            entry.get("operation", ""),
            entry.get("apiVersion", ""),
            entry.get("subresource", ""),
        )
        found[owner] = Owned(None, entry.get("time") or "", entry["fieldsV1"])
    return found


def write_managers(obj: Object, managers: Managers) -> None:
    write_entries(obj, managers.items())


def write_entries(obj: Object, owners: Iterable[tuple[Owner, Owned]]) -> None:
    """Put the entries into an object."""
    if written := entries(owners):
        obj["metadata"]["managedFields"] = written
    else:
        obj["metadata"].pop("managedFields", None)


def entries(owners: Iterable[tuple[Owner, Owned]]) -> list[Object]:
    """In upstream's order: by operation, time, manager, version, subresource. Who owns nothing is left out."""
    kept = [(owner, owned) for owner, owned in owners if not owned.empty]
    kept.sort(key=lambda pair: (pair[0].operation, pair[1].time, *pair[0]))
    return [_entry(owner, owned) for owner, owned in kept]


def _entry(owner: Owner, owned: Owned) -> Object:
    entry: Object = {"manager": owner.manager, "operation": owner.operation, "apiVersion": owner.api_version}
    if not owner.manager:
        del entry["manager"]
    if owned.time:
        entry["time"] = owned.time
    entry |= {"fieldsType": "FieldsV1", "fieldsV1": owned.document}
    if owner.subresource:
        entry["subresource"] = owner.subresource
    return entry


def unmanaged(obj: Object) -> Object:
    """The object without its managedFields; everything else is shared."""
    if "managedFields" not in obj.get("metadata", ()):
        return obj
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}


def update(resource: Resource, new: Object, old: Object | None, manager: str, now: str, subresource: str = "") -> None:
    """Record in `new` what this write changed. `old` is None for a create; `now` a timestamp.

    Changed fields pass from their owners to `manager`. A client may write managedFields itself: `[{}]` and `[]` clear
    them.
    """
    managers = _starting_point(resource, new, old, subresource)
    if managers is None or (not managers and old is not None):
        new["metadata"].pop("managedFields", None)
        return
    for unknown in [owner for owner in managers if not knows(resource, owner.api_version)]:
        del managers[unknown]
    owner = Owner(manager, UPDATE, resource.api_version, subresource)
    if old is None and not managers:
        try:
            fields = _fields_of_new(resource, new)
        except InvalidList:
            return
        if fields:
            new["metadata"]["managedFields"] = [_entry(owner, Owned(None, now, fields))]
        return
    live = empty_object(resource) if old is None else unmanaged(old)
    try:
        changes = compare(resource_node(resource), live, unmanaged(new))
    except InvalidList:  # nobody can say who owns what
        new["metadata"].pop("managedFields", None)
        return
    written = written_here(resource, subresource, changes.added | changes.modified)
    _take(managers, owner, written, written_here(resource, subresource, changes.removed), now)
    _cap(managers)
    write_managers(new, managers)


def _fields_of_new(resource: Resource, new: Object) -> Object:
    """All that a create set, without what nobody owns."""
    fields: Object = {}
    nobodys = nobodys_at_creation(resource)
    for name in sorted(new):
        if name in ("apiVersion", "kind") or f"f:{name}" in nobodys:
            continue
        value = new[name]
        if name == "metadata":
            value = {key: part for key, part in value.items() if key not in _STRIPPED_METADATA}
        if (found := _fields_below(resource, name, value)) is not None:
            fields[f"f:{name}"] = found
    return fields


_REMEMBERED, _REMEMBERED_BYTES_MAX = 512, 8192
_empty = lru_cache(maxsize=_REMEMBERED)(empty_object)


def forget_kinds() -> None:
    """Nothing here holds on to a kind that is served no more."""
    _empty.cache_clear()
    _remembered_below.cache_clear()


def _fields_below(resource: Resource, name: str, value: Any) -> Object | None:
    """What a create set in one field of the object. Remembered by the value's bytes, so that for the second of a
    thousand equal pod specs nothing is walked; shared between them, so read only."""
    encoded = orjson.dumps(value)
    if len(encoded) > _REMEMBERED_BYTES_MAX:
        return _walk_below(resource, name, value)
    return _remembered_below(resource, name, encoded)


@lru_cache(maxsize=_REMEMBERED)
def _remembered_below(resource: Resource, name: str, encoded: bytes) -> Object | None:
    return _walk_below(resource, name, orjson.loads(encoded))


def _walk_below(resource: Resource, name: str, value: Any) -> Object | None:
    root = resource_node(resource)
    absent = None if name in root.nulls else MISSING
    found = changed_fields(child_of(root, name), _empty(resource).get(name, absent), value)
    if name == "metadata" and found is not None:
        found.pop(".", None)
        return found or None
    return found


def _starting_point(resource: Resource, new: Object, old: Object | None, subresource: str) -> Managers | None:
    """None: what the client says makes all of them unreadable."""
    stored = old["metadata"].get("managedFields") if old is not None else None
    given = new["metadata"].get("managedFields")
    if given is stored or subresource or given is None or given == stored:
        return read_managers(stored)
    if given in ([{}], []):
        return {}
    if not readable(given):
        return read_managers(stored)
    if not all(is_version(entry["apiVersion"]) for entry in given):
        return None
    return read_managers([{**entry, "fieldsV1": entry.get("fieldsV1") or {}} for entry in given])


def _take(managers: Managers, owner: Owner, written: FieldSet, gone: FieldSet, now: str) -> None:
    taken = written - STRIPPED
    release(managers, taken | gone)
    if taken:
        before = managers.get(owner)
        managers[owner] = Owned(taken | (before.fields if before else EMPTY), now)


def release(managers: Managers, fields: FieldSet, *, keep: Owner | None = None) -> None:
    """Take these fields from every manager but `keep`; who has none left goes."""
    for owner in list(managers):
        if owner == keep:
            continue
        owned = managers[owner]
        if owned.holds_any(fields):
            owned.fields -= fields
            if not owned.fields:
                del managers[owner]


def _cap(managers: Managers) -> None:
    updaters = sorted((owned.time, owner) for owner, owned in managers.items() if owner.operation == UPDATE)
    excess = len(updaters) - UPDATE_MANAGERS_MAX
    if excess <= 0:
        return
    for time, owner in updaters[: excess + 1]:
        ancient = Owner(ANCIENT, UPDATE, owner.api_version)
        fields = managers.pop(owner).fields
        known = managers.get(ancient)
        managers[ancient] = Owned(fields | (known.fields if known else EMPTY), time)


def first_apply(resource: Resource, live: Object, managers: Managers, now: str, subresource: str = "") -> None:
    """An object that was never tracked is applied for the first time: what it has and this endpoint writes belongs to
    `before-first-apply`."""
    changes = compare(resource_node(resource), empty_object(resource), unmanaged(live))
    held = written_here(resource, subresource, changes.added | changes.modified)
    _take(managers, Owner(BEFORE_FIRST_APPLY, UPDATE, resource.api_version, subresource), held, EMPTY, now)
