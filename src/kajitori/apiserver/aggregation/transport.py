"""From an APIService to a TLS connection that presents the front proxy's client certificate."""

import ssl
from base64 import b64decode
from collections import OrderedDict
from pathlib import Path

from kajitori.api import core
from kajitori.api.errors import ServiceUnavailable
from kajitori.api.meta import Object
from kajitori.apiserver.interfaces import Objects
from kajitori.apiserver.streams.service_endpoints import ServiceEndpoints
from kajitori.client.connection import Address

_CONTEXTS_MAX = 64


class Transport:
    """Keeps the TLS contexts of the last 64 authorities. `pki` is the directory with front-proxy-client.{crt,key}."""

    def __init__(self, objects: Objects, endpoints: ServiceEndpoints, pki: Path) -> None:
        self._objects = objects
        self._endpoints = endpoints
        self._pki = pki
        self._contexts: OrderedDict[tuple[str, bool], ssl.SSLContext] = OrderedDict()

    def address_of(self, spec: Object) -> Address:
        """Straight to a ready endpoint of the service. Raises ServiceUnavailable, ValueError for a bad caBundle."""
        reference = spec["service"]
        namespace, name, port = reference["namespace"], reference["name"], reference.get("port") or 443
        service = self._objects.cached(core.SERVICE, name, namespace)
        if service is None:
            raise ServiceUnavailable(f'service "{name}" not found')
        context = self._context(spec.get("caBundle") or "", bool(spec.get("insecureSkipTLSVerify")))
        server_name = f"{name}.{namespace}.svc"
        if (service["spec"].get("type") or "ClusterIP") == "ExternalName":
            return Address(service["spec"]["externalName"], port, context, server_name=server_name)
        ip, target = self._endpoints.choose(service, str(port))
        return Address(ip, int(target), context, server_name=server_name)

    def _context(self, bundle: str, insecure: bool) -> ssl.SSLContext:
        found = self._contexts.get((bundle, insecure))
        if found is None:
            found = ssl.create_default_context(cadata=b64decode(bundle).decode() if bundle else None)
            if insecure:
                found.check_hostname = False
                found.verify_mode = ssl.CERT_NONE
            found.load_cert_chain(self._pki / "front-proxy-client.crt", self._pki / "front-proxy-client.key")
            self._contexts[bundle, insecure] = found
            if len(self._contexts) > _CONTEXTS_MAX:
                self._contexts.popitem(last=False)
        return found
