"""Finding the EndpointSlices of a Service."""

from collections import defaultdict
from collections.abc import Iterable

from kajitori.api.discovery import ENDPOINT_SLICE
from kajitori.api.meta import Object, ObjectKey, labels_of, namespace_of
from kajitori.client.cache import Cache, Informer

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
_INDEX = "network-service"


def service_of(piece: Object) -> ObjectKey | None:
    """The Service that an EndpointSlice belongs to."""
    name = labels_of(piece).get(SERVICE_NAME_LABEL)
    return ObjectKey(namespace_of(piece), name) if name else None


def slices_by_service(slices: Iterable[Object]) -> dict[ObjectKey, list[Object]]:
    found: dict[ObjectKey, list[Object]] = defaultdict(list)
    for piece in slices:
        if owner := service_of(piece):
            found[owner].append(piece)
    return found


class ServiceSlices:
    """The cluster's EndpointSlices by Service, from one informer that every network part shares."""

    def __init__(self, cache: Cache) -> None:
        self.informer: Informer = cache.informer(ENDPOINT_SLICE)
        self.informer.add_index(_INDEX, _index)

    def of(self, service: ObjectKey) -> list[Object]:
        return self.informer.by_index(_INDEX, str(service))


def _index(piece: Object) -> tuple[str, ...]:
    owner = service_of(piece)
    return (str(owner),) if owner else ()
