"""A request as another version of its resource shows it, for whoever asked for that one (`matchPolicy: Equivalent`)."""

from collections.abc import Sequence

import orjson

from kajitori.api.meta import Object
from kajitori.api.registry import Registry
from kajitori.api.resource import Resource
from kajitori.apiserver.documents import stored_resource
from kajitori.apiserver.interfaces import AdmissionRequest
from kajitori.apiserver.rest.backend import in_version


class Versions:
    """Which versions of a kind are served, looked up in a table that follows the registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._changes = -1
        self._families: dict[tuple[str, str], list[Resource]] = {}

    def others(self, resource: Resource, subresource: str) -> Sequence[Resource]:
        """The other versions that have this subresource too, those of another group that share its store included."""
        if self._changes != self._registry.changes:
            self._families.clear()
            for each in self._registry:
                stored = stored_resource(each)
                self._families.setdefault((stored.group, stored.plural), []).append(each)
            self._changes = self._registry.changes
        stored = stored_resource(resource)
        family = self._families.get((stored.group, stored.plural), ())
        return [
            other
            for other in family
            if other.api_version != resource.api_version and (not subresource or other.has_subresource(subresource))
        ]


async def converted(obj: Object | None, source: Resource, target: Resource) -> Object | None:
    """A copy in another version of the same kind; the object itself where it is of that version already.

    Raises StatusError when a conversion webhook fails.
    """
    if obj is None or source.api_version == target.api_version:
        return obj
    revision = (obj.get("metadata") or {}).get("resourceVersion")
    stored: Object = orjson.loads(orjson.dumps(obj))
    if source.conversion is not None:
        stored = await source.conversion.stored(stored)
    elif (
        source.to_stored is not None and source.schema is None
    ):  # what a custom kind does not store is shown all the same
        stored = source.to_stored(stored)
    kept = stored_resource(source)
    stored["kind"], stored["apiVersion"] = kept.kind, kept.api_version
    if revision is not None:
        stored["metadata"]["resourceVersion"] = revision
    if target.conversion is not None and target.stored_as is not None:
        (shown,) = await target.conversion.shown([orjson.dumps(stored)], target.api_version)
        return orjson.loads(shown)  # type: ignore[no-any-return]
    return in_version(target, stored)


def kind_of_document(request: AdmissionRequest, version: Resource) -> Resource:
    """What `object` is when the request is shown in this version: a Scale is one in all of them."""
    return request.document or version


async def shown_in(request: AdmissionRequest, version: Resource) -> tuple[Object | None, Object | None]:
    """Object and old object, each with its kind and apiVersion. Shares what it does not have to convert."""
    kind = kind_of_document(request, version)
    shown = []
    for obj in (request.object, request.old):
        if request.document is None:
            obj = await converted(obj, request.resource, version)
        shown.append(None if obj is None else {"kind": kind.kind, "apiVersion": kind.api_version, **obj})
    return shown[0], shown[1]
