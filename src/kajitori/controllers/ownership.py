"""Who controls what: adopting matching orphans, releasing what no longer matches (upstream's controller ref rules)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kajitori.api.errors import Invalid, NotFound
from kajitori.api.meta import (
    Object,
    ObjectKey,
    controller_of,
    is_deleting,
    key_of,
    labels_of,
    namespace_of,
    owner_reference,
    uid_of,
)
from kajitori.api.resource import Resource
from kajitori.api.selectors import LabelSelector
from kajitori.client.informer import Informer
from kajitori.controllers.context import BY_CONTROLLER, Context, orphans_of

SelectorOf = Callable[[Object], LabelSelector]


@dataclass(frozen=True, slots=True)
class Claim:
    """What an owner has, should take, and should let go."""

    owned: list[Object]
    adopt: list[Object]
    release: list[Object]


def plan_claim(owner: Object, selector: LabelSelector, candidates: Iterable[Object]) -> Claim:
    claim = Claim([], [], [])
    owner_uid, leaving = uid_of(owner), is_deleting(owner)
    for obj in candidates:
        controller = controller_of(obj)
        matches = selector.matches(labels_of(obj))
        if controller is not None:
            if controller["uid"] != owner_uid:
                continue
            if matches:
                claim.owned.append(obj)
            elif not leaving:
                claim.release.append(obj)
        elif matches and not leaving and not is_deleting(obj):
            claim.adopt.append(obj)
    return claim


async def claim(
    context: Context,
    owner_resource: Resource,
    owner: Object,
    selector: LabelSelector,
    resource: Resource,
    *,
    accepts: Callable[[Object], bool] = lambda _: True,
) -> list[Object]:
    """The objects of `resource` that `owner` controls once orphans are adopted and strays released.

    Only orphans that it `accepts` are adopted.
    """
    informer = context.informer(resource)
    found = plan_claim(owner, selector, candidates(informer, owner))
    found.adopt[:] = [orphan for orphan in found.adopt if accepts(orphan)]
    for stray in found.release:
        await _set_owners(context, resource, stray, [o for o in _owners(stray) if o["uid"] != uid_of(owner)])
    if not found.adopt or not await _still_lives(context, owner_resource, owner):
        return found.owned
    adopted = []
    for orphan in found.adopt:
        result = await _set_owners(context, resource, orphan, [*_owners(orphan), owner_reference(owner)])
        if result is not None:
            adopted.append(result)
    return [*found.owned, *adopted]


def candidates(informer: Informer, owner: Object) -> list[Object]:
    """What the owner controls and what nobody controls in its namespace; needs the index by controller."""
    return [
        *informer.by_index(BY_CONTROLLER, uid_of(owner)),
        *informer.by_index(BY_CONTROLLER, orphans_of(namespace_of(owner))),
    ]


def adopters(informer: Informer, obj: Object, selector_of_owner: SelectorOf) -> list[ObjectKey]:
    """Owners in an orphan's namespace that may adopt it."""
    if controller_of(obj) is not None:
        return []
    labels = labels_of(obj)
    return [key_of(owner) for owner in informer.list(namespace_of(obj)) if selector_of_owner(owner).matches(labels)]


def _owners(obj: Object) -> list[Object]:
    return list(obj["metadata"].get("ownerReferences") or ())


async def _set_owners(context: Context, resource: Resource, obj: Object, owners: list[Object]) -> Object | None:
    """None when the object is gone. A resourceVersion makes it a compare-and-swap."""
    meta = obj["metadata"]
    patch = {
        "metadata": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"], "ownerReferences": owners or None}
    }
    try:
        return await context.writes.patch(resource, obj, patch)
    except (NotFound, Invalid):
        return None


async def _still_lives(context: Context, resource: Resource, owner: Object) -> bool:
    """Ask the server, not the cache: an owner that is going must not take anyone with it."""
    key = key_of(owner)
    try:
        newest = await context.client.get(resource, key.name, key.namespace or None)
    except NotFound:
        return False
    return uid_of(newest) == uid_of(owner) and not is_deleting(newest)
