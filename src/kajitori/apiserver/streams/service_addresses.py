"""From the Service that a webhook or an APIService names straight to a ready endpoint of it, over TLS."""

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

CONTEXTS_MAX = 64


class ServiceAddresses:
    """Holds a TLS context for each of the last `CONTEXTS_MAX` authorities; more are made anew when they are needed."""

    def __init__(self, objects: Objects, endpoints: ServiceEndpoints, client: tuple[Path, Path] | None = None) -> None:
        """`client`: the files of the certificate and key that this server shows, where it does."""
        self._objects = objects
        self._endpoints = endpoints
        self._client = client
        self._contexts: OrderedDict[tuple[str, bool], ssl.SSLContext] = OrderedDict()

    def of_service(self, reference: Object, bundle: str, *, insecure: bool = False) -> Address:
        """`bundle` as in caBundle. Raises ServiceUnavailable, ValueError for a bad bundle."""
        namespace, name, port = reference["namespace"], reference["name"], reference.get("port") or 443
        service = self._objects.cached(core.SERVICE, name, namespace)
        if service is None:
            raise ServiceUnavailable(f'service "{name}" not found')
        context = self.context(bundle, insecure=insecure)
        server_name = f"{name}.{namespace}.svc"
        if (service["spec"].get("type") or "ClusterIP") == "ExternalName":
            return Address(service["spec"]["externalName"], port, context, server_name=server_name)
        ip, target = self._endpoints.choose(service, port)
        return Address(ip, int(target), context, server_name=server_name)

    def context(self, bundle: str, *, insecure: bool = False) -> ssl.SSLContext:
        """Without a bundle, the host's authorities are trusted. Raises ValueError."""
        key = (bundle, insecure)
        found = self._contexts.get(key)
        if found is None:
            found = ssl.create_default_context(cadata=b64decode(bundle).decode() if bundle else None)
            if insecure:
                found.check_hostname = False
                found.verify_mode = ssl.CERT_NONE
            if self._client is not None:
                found.load_cert_chain(*self._client)
            self._contexts[key] = found
            if len(self._contexts) > CONTEXTS_MAX:
                self._contexts.popitem(last=False)
        self._contexts.move_to_end(key)
        return found
