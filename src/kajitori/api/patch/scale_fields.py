"""Who owns the replicas, as the scale endpoint sees it and writes it back.

A Scale is a document of its own kind, so its managedFields are those of the object that own its replicas, under the
version of Scale. What a write makes of them goes back: a plain writer's replicas leave the entry that they were part
of and stand in one of their own, without a time, as upstream keeps them.
"""

from kajitori.api.meta import Object
from kajitori.api.patch.field_sets import Path, field
from kajitori.api.patch.managed_fields import APPLY, Managers, Owned, Owner, entries, read_managers, write_entries
from kajitori.api.resource import Resource

SCALE_VERSION = "autoscaling/v1"
_REPLICAS: Path = ("f:spec", "f:replicas")


def to_scale(resource: Resource, path: str, managed_fields: object) -> list[Object]:
    """The managedFields of the Scale; `path` is where the object keeps its replicas."""
    replicas = _path(path)
    managers = {
        owner._replace(api_version=SCALE_VERSION): Owned(frozenset((_REPLICAS,)), owned.time)
        for owner, owned in read_managers(managed_fields).items()
        if owner.api_version == resource.api_version and replicas in owned.fields
    }
    return entries(managers.items())


def to_parent(resource: Resource, path: str, obj: Object, scale_fields: object) -> None:
    """Write into the object what became of the Scale's managedFields."""
    replicas = _path(path)
    before, scale = read_managers(obj["metadata"].get("managedFields")), read_managers(scale_fields)
    kept: list[tuple[Owner, Owned]] = []
    for owner, owned in before.items():
        if owner.api_version == resource.api_version and replicas in owned.fields:
            if owner.operation == APPLY and scale.pop(owner._replace(api_version=SCALE_VERSION), None) is not None:
                kept.append((owner, owned))
            elif rest := owned.fields - {replicas}:
                kept.append((owner, Owned(rest, owned.time)))
        elif owner.api_version.rpartition("/")[0] == resource.group:
            kept.append((owner, owned))
    for owner, owned in scale.items():
        if _REPLICAS in owned.fields:
            at_home = owner._replace(api_version=resource.api_version)
            time = _time_of(before, at_home) if owner.operation == APPLY else ""
            kept.append((at_home, Owned(frozenset((replicas,)), time)))
    write_entries(obj, kept)


def _time_of(managers: Managers, owner: Owner) -> str:
    known = managers.get(owner)
    return known.time if known else ""


def _path(path: str) -> Path:
    return tuple(field(part) for part in path.strip(".").split("."))
