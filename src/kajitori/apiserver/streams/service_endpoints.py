"""From a Service to one of the addresses behind it, as the server itself reaches a service: straight to an endpoint."""

import random

from kajitori.api import discovery
from kajitori.api.errors import ServiceUnavailable
from kajitori.api.meta import Object
from kajitori.apiserver.interfaces import Objects


class ServiceEndpoints:
    def __init__(self, objects: Objects, rng: random.Random) -> None:
        self._objects = objects
        self._rng = rng

    def choose(self, service: Object, port: str) -> tuple[str, str]:
        """A ready endpoint at random, and the port that the service's port leads to. Raises ServiceUnavailable."""
        meta = service["metadata"]
        port_name = _port_name(service, port)
        found = []
        for endpoint_slice in self._objects.cached_list(discovery.ENDPOINT_SLICE, meta["namespace"]):
            labels = endpoint_slice["metadata"].get("labels") or {}
            if labels.get("kubernetes.io/service-name") != meta["name"]:
                continue
            ports = [p.get("port") for p in endpoint_slice.get("ports") or () if (p.get("name") or "") == port_name]
            for endpoint in endpoint_slice.get("endpoints") or ():
                if ports and (endpoint.get("conditions") or {}).get("ready") is not False:
                    found += [(address, str(ports[0])) for address in endpoint["addresses"]]
        if not found:
            raise ServiceUnavailable(f'no endpoints available for service "{meta["name"]}"')
        return self._rng.choice(found)


def _port_name(service: Object, asked: str) -> str:
    """A service of one port needs none named; a port is named by its name or its number."""
    ports = service["spec"].get("ports") or []
    if not asked and len(ports) == 1:
        return ports[0].get("name") or ""
    for port in ports:
        if asked in (port.get("name") or "", str(port["port"])):
            return port.get("name") or ""
    raise ServiceUnavailable(f'no service port "{asked}" found for service "{service["metadata"]["name"]}"')
