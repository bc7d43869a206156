"""Server-side apply (KEP-555): a manager says which fields it wants, and owns them.

Fields that it said before and does not say now are removed unless somebody else owns them; fields that another owns
with another value are conflicts, unless `force` takes them over.
"""

from collections.abc import Set
from typing import Any

import orjson

from kajitori.api.errors import Conflict
from kajitori.api.meta import Object
from kajitori.api.patch.configuration import check_live, not_convertible
from kajitori.api.patch.field_sets import EMPTY, FieldSet, Path, in_set_order, shown
from kajitori.api.patch.managed_fields import (
    APPLY,
    STRIPPED,
    UPDATE,
    Managers,
    Owned,
    Owner,
    first_apply,
    read_managers,
    release,
    unmanaged,
    write_managers,
)
from kajitori.api.patch.reset_fields import written_here
from kajitori.api.patch.typed import (
    InvalidList,
    compare,
    field_set,
    merge,
    remove,
    with_named_fields,
)
from kajitori.api.resource import Resource
from kajitori.api.schema.conform import conform, empty_object
from kajitori.api.schema.decode_errors import Undecodable
from kajitori.api.schema.nodes import Node
from kajitori.api.schema.structural import resource_node

KUBECTL = "kubectl"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
ANNOTATIONS_BYTES_MAX = 256 * 1024


def apply(
    resource: Resource,
    live: Object | None,
    config: Object,
    manager: str,
    now: str,
    *,
    force: bool = False,
    subresource: str = "",
) -> Object:
    """The live object (None: it does not exist yet) after `manager` applied `config`, with its managedFields.

    `config` has been through `check_configuration`. The result conforms to the schema but is neither defaulted nor
    validated. Raises Conflict for fields of others, StatusError for a value that its type cannot hold.
    """
    if live is not None and resource.schema is not None:
        check_live(resource, live)
    node = resource_node(resource)
    base = empty_object(resource) | {"metadata": {}} if live is None else live
    managers = read_managers(base["metadata"].get("managedFields"))
    if live is not None and not managers:
        first_apply(resource, live, managers, now, subresource)
    owner = Owner(manager, APPLY, resource.api_version, subresource)
    before, last, same_version = unmanaged(base), _last_applied(managers, owner), owner in managers
    fields = written_here(resource, subresource, field_set(node, config))
    managers[owner] = Owned(fields, last.time if last else "")
    said: Object = _pruned(node, merge(node, before, config), managers, last.fields if last else EMPTY)
    literal = compare(node, before, said)
    # As it is written, not as it is meant: 1024Mi conflicts with 1Gi.
    wanted = written_here(resource, subresource, literal.added | literal.modified)
    conflicts = [] if force else _conflicts(managers, owner, wanted)
    if conflicts and not (manager == KUBECTL and _was_applied_before(node, before, conflicts)):
        raise _conflict(conflicts)
    merged: Object = orjson.loads(orjson.dumps(said))
    merged.setdefault("metadata", {})
    try:
        conform(resource, merged, keep_nulls=True)
    except Undecodable as error:
        raise not_convertible(resource, config, error.conversion) from None
    changes = compare(node, before, merged)
    changed = changes.added | changes.modified | changes.removed | literal.added | literal.modified
    release(managers, written_here(resource, subresource, changed), keep=owner)
    if literal.added or literal.modified or literal.removed or (last is not None and not same_version):
        managers[owner].time = now  # who finds everything as it should be has no time
    managers[owner].fields -= STRIPPED
    if manager == KUBECTL:
        _sync_last_applied(merged, config)
    write_managers(merged, managers)
    return merged


def _last_applied(managers: Managers, owner: Owner) -> Owned | None:
    """What this manager applied before. It has one entry, whatever version it applies in: others are taken out."""
    earlier = [
        o for o in managers if (o.manager, o.operation, o.subresource) == (owner.manager, APPLY, owner.subresource)
    ]
    found = [managers[each] if each == owner else managers.pop(each) for each in earlier]
    if len(found) < 2:
        return found[0] if found else None
    return Owned(frozenset().union(*(owned.fields for owned in found)), max(owned.time for owned in found))


def _pruned(node: Node, merged: Object, managers: Managers, last: FieldSet) -> Any:
    """Without what the manager applied last time and nobody, itself included, holds now."""
    if not last:
        return merged
    said_before = with_named_fields(node, last)
    held: set[Path] = set()
    for owned in managers.values():
        held |= owned.fields
    there = with_named_fields(node, field_set(node, merged))
    rest = _fields_left(node, remove(node, merged, said_before))
    unheld = there - (rest | with_named_fields(node, frozenset(held)))
    left = _fields_left(node, remove(node, merged, unheld))
    return remove(node, merged, (there - left) & said_before) or {}


def _fields_left(node: Node, document: Any) -> FieldSet:
    return with_named_fields(node, field_set(node, document)) if document else EMPTY


def _conflicts(managers: Managers, owner: Owner, changed: Set[Path]) -> list[tuple[Owner, Path]]:
    found = [(other, path) for other, owned in managers.items() if other != owner for path in owned.fields & changed]
    return sorted(found, key=lambda conflict: (_identity(conflict[0]), in_set_order(conflict[1])))


def _identity(owner: Owner) -> str:
    """How upstream writes an owner down, and so in which order it tells of several."""
    parts = {"manager": owner.manager, "operation": owner.operation}
    if owner.operation == UPDATE:
        parts["apiVersion"] = owner.api_version
    if owner.subresource:
        parts["subresource"] = owner.subresource
    return orjson.dumps(parts).decode()


def _conflict(conflicts: list[tuple[Owner, Path]]) -> Conflict:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f"conflict with {_shown_owner(owner)}",
            "field": shown(path),
        }
        for owner, path in conflicts
    ]
    if len(conflicts) == 1:
        owner, path = conflicts[0]
        message = f"Apply failed with 1 conflict: conflict with {_shown_owner(owner)}: {shown(path)}"
        return Conflict(message, {"causes": causes})
    by_owner: dict[Owner, list[str]] = {}
    for owner, path in conflicts:
        by_owner.setdefault(owner, []).append(f"- {shown(path)}")
    listed = "\n".join(
        f"conflicts with {_shown_owner(owner)}:\n" + "\n".join(paths) for owner, paths in by_owner.items()
    )
    return Conflict(f"Apply failed with {len(conflicts)} conflicts: {listed}", {"causes": causes})


def _shown_owner(owner: Owner) -> str:
    name = orjson.dumps(owner.manager).decode()
    if owner.subresource:
        name = f'{name} with subresource "{owner.subresource}"'
    return f"{name} using {owner.api_version}" if owner.operation == UPDATE else name


def _was_applied_before(node: Node, live: Object, conflicts: list[tuple[Owner, Path]]) -> bool:
    """Whether all conflicting fields are what kubectl's client-side apply set and nobody changed since."""
    annotation = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    if not annotation:
        return False
    try:
        last_applied = orjson.loads(annotation)
        changes = compare(node, merge(node, live, last_applied), live)
        unchanged = field_set(node, last_applied) - changes.modified - changes.removed
    except (orjson.JSONDecodeError, InvalidList, AttributeError):
        return False
    return all(path in unchanged for _, path in conflicts)


def _sync_last_applied(merged: Object, config: Object) -> None:
    """kubectl's own annotation follows its server-side apply, where the object has one."""
    annotations = merged["metadata"].get("annotations") or {}
    if LAST_APPLIED not in annotations:
        return
    metadata = dict(config.get("metadata", {}))
    metadata["annotations"] = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != LAST_APPLIED}
    text = orjson.dumps({**config, "metadata": metadata}, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    size = sum(len(k) + len(v) for k, v in annotations.items() if k != LAST_APPLIED) + len(text)
    if size <= ANNOTATIONS_BYTES_MAX:
        annotations[LAST_APPLIED] = text
