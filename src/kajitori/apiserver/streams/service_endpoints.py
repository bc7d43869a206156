"""From a Service to one of the addresses behind it, as the server itself reaches a service: straight to an endpoint."""

import random
from collections.abc import Iterable

from kajitori.api import core, discovery
from kajitori.api.errors import NotFound, ServiceUnavailable
from kajitori.api.meta import Object, name_of
from kajitori.apiserver.interfaces import Objects

_SERVICE_NAME = "kubernetes.io/service-name"


class ServiceEndpoints:
    def __init__(self, objects: Objects, rng: random.Random) -> None:
        self._objects = objects
        self._rng = rng

    def choose(self, service: Object, port: int) -> tuple[str, str]:
        """For what this server asks of its own accord: a ready endpoint at random, and the port that the service's port
        leads to. Raises ServiceUnavailable."""
        found = _ready(self._slices(service), _port_name(service, port))
        if not found:
            raise _none_available(name_of(service))
        _, address, target = self._rng.choice(found)
        return address, target

    def choose_pod(self, service: Object, port: str, named: str) -> tuple[str, str]:
        """For a client's request through the proxy: pods alone, else whoever may write an EndpointSlice would have this
        server connect to any address it reaches. `port` is a number or a name, `named` how the service was asked for.

        Raises NotFound where nothing was ever said of endpoints, ServiceUnavailable.
        """
        port_name = _port_name(service, int(port)) if port.isdecimal() else port
        slices = self._slices(service)
        if not slices:
            raise NotFound.of("", "services", name_of(service))
        if not any(each.get("endpoints") for each in slices):
            raise _none_available(name_of(service))
        found = [each for each in _ready(slices, port_name) if self._is_pod(service, each[0], each[1])]
        if not found:
            raise _none_available(named)
        _, address, target = self._rng.choice(found)
        return address, target

    def _slices(self, service: Object) -> list[Object]:
        return [
            endpoint_slice
            for endpoint_slice in self._objects.cached_list(discovery.ENDPOINT_SLICE, service["metadata"]["namespace"])
            if (endpoint_slice["metadata"].get("labels") or {}).get(_SERVICE_NAME) == name_of(service)
        ]

    def _is_pod(self, service: Object, endpoint: Object, address: str) -> bool:
        target, namespace = endpoint.get("targetRef") or {}, service["metadata"]["namespace"]
        if target.get("namespace") != namespace:
            return False
        pod = self._objects.cached(core.POD, target.get("name") or "", namespace)
        status = (pod or {}).get("status") or {}
        return address in (status.get("podIP"), *(each.get("ip") for each in status.get("podIPs") or ()))


def _ready(slices: Iterable[Object], port_name: str) -> list[tuple[Object, str, str]]:
    """Endpoints with each of their addresses and the port of this name."""
    found = []
    for endpoint_slice in slices:
        ports = [p.get("port") for p in endpoint_slice.get("ports") or () if (p.get("name") or "") == port_name]
        for endpoint in endpoint_slice.get("endpoints") or ():
            if ports and (endpoint.get("conditions") or {}).get("ready") is not False:
                found += [(endpoint, address, str(ports[0])) for address in endpoint["addresses"]]
    return found


def _port_name(service: Object, number: int) -> str:
    for port in service["spec"].get("ports") or ():
        if port["port"] == number:
            return port.get("name") or ""
    raise ServiceUnavailable(f'no service port {number} found for service "{name_of(service)}"')


def _none_available(named: str) -> ServiceUnavailable:
    return ServiceUnavailable(f'no endpoints available for service "{named}"')
