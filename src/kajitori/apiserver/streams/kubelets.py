"""Where the kubelets are, and how this server proves to them who it is."""

import ssl
from functools import cached_property
from pathlib import Path

from kajitori.api import core
from kajitori.api.errors import BadRequest, NotFound
from kajitori.api.meta import Object, name_of
from kajitori.apiserver.interfaces import Objects
from kajitori.client.connection import Address

KUBELET_PORT = 10250
_ADDRESS_TYPES = ("InternalIP", "InternalDNS", "Hostname", "ExternalIP", "ExternalDNS")


class Kubelets:
    """Addresses from the Node objects; TLS with this server's client certificate, verified against the cluster's CA."""

    def __init__(self, objects: Objects, pki: Path) -> None:
        self._objects = objects
        self._pki = pki

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self._pki / "ca.crt"))
        stem = self._pki / "apiserver-kubelet-client"
        context.load_cert_chain(f"{stem}.crt", f"{stem}.key")
        context.set_alpn_protocols(["http/1.1"])
        return context

    def address_of(self, node: str) -> Address:
        """Raises NotFound, BadRequest."""
        found = self._objects.cached(core.NODE, node)
        if found is None:
            raise NotFound.of("", "nodes", node)
        status = found.get("status") or {}
        port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port") or KUBELET_PORT
        return Address(node_host(found), port, self._tls)


def node_host(node: Object) -> str:
    """The address by which other machines reach a node. Raises BadRequest."""
    addresses = {a["type"]: a["address"] for a in reversed((node.get("status") or {}).get("addresses") or ())}
    for kind in _ADDRESS_TYPES:
        if kind in addresses:
            return str(addresses[kind])
    raise BadRequest(f"no preferred addresses found; known addresses: [] (node {name_of(node)})")
