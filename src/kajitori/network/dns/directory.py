"""The objects that DNS answers from, in the informers' memory."""

from collections.abc import Iterable

from kajitori.api.core import SERVICE
from kajitori.api.meta import Object, ObjectKey
from kajitori.client.cache import Cache
from kajitori.network.service_slices import ServiceSlices, service_of

_BY_IP = "dns-cluster-ip"
_BY_ENDPOINT = "dns-endpoint-address"


class CacheDirectory:
    """A `zone.Directory` over a cache."""

    def __init__(self, cache: Cache) -> None:
        self.services = cache.informer(SERVICE)
        self.services.add_index(_BY_IP, _cluster_ips)
        self._slices = ServiceSlices(cache)
        self.endpoint_slices = self._slices.informer
        self.endpoint_slices.add_index(_BY_ENDPOINT, _endpoint_addresses)

    def service(self, key: ObjectKey) -> Object | None:
        return self.services.get(key)

    def slices(self, key: ObjectKey) -> Iterable[Object]:
        return self._slices.of(key)

    def services_at(self, ip: str) -> Iterable[Object]:
        return self.services.by_index(_BY_IP, ip)

    def slices_with(self, ip: str) -> Iterable[Object]:
        return self.endpoint_slices.by_index(_BY_ENDPOINT, ip)

    def has_namespace(self, name: str) -> bool:
        return bool(self.services.list(name))


def _cluster_ips(service: Object) -> Iterable[str]:
    spec = service.get("spec") or {}
    found = spec.get("clusterIPs") or [spec.get("clusterIP") or ""]
    return [ip for ip in found if ip and ip != "None"]


def _endpoint_addresses(piece: Object) -> Iterable[str]:
    if service_of(piece) is None:
        return ()
    return {ip for entry in piece.get("endpoints") or () for ip in entry.get("addresses") or ()}
