"""Writing what is missing, at every start: nothing when nothing is."""

import asyncio
from collections.abc import Callable, Iterable, Iterator

from kajitori.api.errors import AlreadyExists
from kajitori.api.meta import Object, name_of, namespace_of
from kajitori.api.resource import Resource
from kajitori.apiserver.bootstrap import cluster, flowcontrol, policy
from kajitori.apiserver.bootstrap.cluster import ClusterFacts
from kajitori.apiserver.interfaces import Objects

Reconcile = Callable[[Object, Object], Object]
"""(found, wanted) -> what to store; `found` itself when nothing is to be done."""


async def bootstrap(objects: Objects, facts: ClusterFacts) -> None:
    """Bring the store to where a cluster begins. Writes go together, so that a store may commit them as one."""
    await _ensure(objects, cluster.namespaces(), _as_it_is)
    await asyncio.gather(
        _ensure(objects, policy.policy(), policy.reconciled),
        _ensure(objects, flowcontrol.flow_control(), flowcontrol.reconciled),
        _ensure(objects, cluster.defaults(facts), _as_it_is),
        _ensure(objects, cluster.own(facts), _content),
    )


async def _ensure(objects: Objects, wanted: Iterable[tuple[Resource, Object]], reconcile: Reconcile) -> None:
    await asyncio.gather(*_writes(objects, wanted, reconcile))


def _writes(
    objects: Objects, wanted: Iterable[tuple[Resource, Object]], reconcile: Reconcile
) -> Iterator[asyncio.Future[None]]:
    for resource, obj in wanted:
        found = objects.cached(resource, name_of(obj), namespace_of(obj))
        if found is None:
            yield asyncio.ensure_future(_create(objects, resource, obj))
        elif reconcile(found, obj) is not found:
            yield asyncio.ensure_future(_update(objects, resource, obj, reconcile))


async def _create(objects: Objects, resource: Resource, obj: Object) -> None:
    try:
        await objects.create(resource, obj)
    except AlreadyExists:
        # Another API server of the same store was faster.
        return


async def _update(objects: Objects, resource: Resource, obj: Object, reconcile: Reconcile) -> None:
    await objects.update(resource, name_of(obj), namespace_of(obj), lambda found: reconcile(found, obj))


def _as_it_is(found: Object, wanted: Object) -> Object:
    return found


_IMMUTABLE = ("apiVersion", "kind", "metadata", "status")


def _content(found: Object, wanted: Object) -> Object:
    """Everything but metadata and status as wanted; a Service keeps what the API filled in beside."""
    after = dict(found)
    for field, value in wanted.items():
        if field in _IMMUTABLE:
            continue
        present = found.get(field)
        after[field] = {**present, **value} if isinstance(present, dict) and isinstance(value, dict) else value
    return found if after == found else after
