"""Reading and writing what every object has: names, labels, owners, conditions.

An object is the plain JSON document (`Object`), as it travels and as it is stored. Nothing here copies one.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Object = dict[str, Any]


class ObjectKey(NamedTuple):
    """Namespace ("" for a cluster-scoped object) and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def name_of(obj: Object) -> str:
    return obj["metadata"].get("name", "")  # type: ignore[no-any-return]


def namespace_of(obj: Object) -> str:
    return obj["metadata"].get("namespace") or ""


def key_of(obj: Object) -> ObjectKey:
    return ObjectKey(namespace_of(obj), name_of(obj))


def uid_of(obj: Object) -> str:
    return obj["metadata"].get("uid", "")  # type: ignore[no-any-return]


def labels_of(obj: Object) -> Mapping[str, str]:
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: Object) -> Mapping[str, str]:
    return obj["metadata"].get("annotations") or {}


def is_deleting(obj: Object) -> bool:
    return obj["metadata"].get("deletionTimestamp") is not None


def controller_of(obj: Object) -> Object | None:
    """The owner reference that has `controller: true`, if any."""
    return next((o for o in obj["metadata"].get("ownerReferences") or () if o.get("controller")), None)


def owner_reference(owner: Object, *, controller: bool = True) -> Object:
    """A reference by which `owner` owns another object, blocking the owner's foreground deletion."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": controller,
        "blockOwnerDeletion": True,
    }


def object_reference(obj: Object) -> Object:
    """What an event's `involvedObject` says about an object."""
    meta = obj["metadata"]
    reference = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": meta["name"], "uid": meta.get("uid", "")}
    if meta.get("namespace"):
        reference["namespace"] = meta["namespace"]
    if meta.get("resourceVersion"):
        reference["resourceVersion"] = meta["resourceVersion"]
    return reference


def condition_of(obj: Object, kind: str) -> Object | None:
    conditions: Iterable[Object] = (obj.get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c.get("type") == kind), None)


def condition_is(obj: Object, kind: str, status: str = "True") -> bool:
    condition = condition_of(obj, kind)
    return condition is not None and condition.get("status") == status


def set_condition(conditions: list[Object], new: Object, now: str) -> bool:
    """Put a condition in place; `lastTransitionTime` moves only with its status. Returns whether anything changed."""
    old = next((c for c in conditions if c.get("type") == new["type"]), None)
    if old is None:
        conditions.append({"lastTransitionTime": now, **new})
        return True
    moved = old.get("status") != new["status"]
    merged = {**old, **new, "lastTransitionTime": now if moved else old.get("lastTransitionTime", now)}
    changed = merged != old
    old.update(merged)
    return changed
