"""nodes/proxy, pods/proxy, services/proxy: an HTTP request handed to a kubelet, a pod, or a pod behind a service.

A name may be `[scheme:]name[:port]` (API reference, "proxy subresource"); port is a number or a name.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import quote

from kajitori.api import core
from kajitori.api.errors import BadRequest, NotFound, ServiceUnavailable
from kajitori.api.meta import Object
from kajitori.apiserver.http_types import Handler, HandlerKey, RequestContext, Response
from kajitori.apiserver.interfaces import Objects
from kajitori.apiserver.streams.kubelets import Kubelets
from kajitori.apiserver.streams.links import Links
from kajitori.apiserver.streams.relay import relay
from kajitori.apiserver.streams.service_endpoints import ServiceEndpoints
from kajitori.apiserver.streams.tunnel import forwarded_headers, pass_through, wants_upgrade
from kajitori.client.connection import Address

_OF_ONE_HOP = ("connection", "upgrade", "keep-alive", "te", "trailer", "proxy-connection")
_PATH_CHARACTERS = "/:@!$&'()*+,;=-._~%"


class ProxyName(NamedTuple):
    scheme: str
    name: str
    port: str


def parse_proxy_name(text: str, kind: str) -> ProxyName:
    """Raises BadRequest."""
    parts = text.split(":")
    if len(parts) == 1:
        return ProxyName("", text, "")
    if len(parts) == 2:
        return ProxyName("", parts[0], parts[1])
    if len(parts) == 3 and parts[0] in ("", "http", "https"):
        return ProxyName(parts[0], parts[1], parts[2])
    raise BadRequest(f'invalid {kind} request "{text}"')


def is_global_unicast(address: str) -> bool:
    """As Go has it: private addresses are, this host's own, its link's and those of many are not."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    none = ip.is_unspecified or ip.is_loopback or ip.is_multicast or ip.is_link_local
    return not none and str(ip) != "255.255.255.255"


class Proxies:
    def __init__(
        self,
        objects: Objects,
        kubelets: Kubelets,
        endpoints: ServiceEndpoints,
        allowed: Callable[[str], bool] = is_global_unicast,
    ) -> None:
        """`allowed`: the addresses to which a client may be led, who could write any into a status."""
        self._objects = objects
        self._allowed = allowed
        self._kubelets = kubelets
        self._endpoints = endpoints

    def handlers(self) -> Mapping[HandlerKey, Handler]:
        return {
            ("", "nodes", "proxy"): self._node,
            ("", "pods", "proxy"): self._pod,
            ("", "services", "proxy"): self._service,
        }

    async def _node(self, context: RequestContext) -> Response:
        asked = parse_proxy_name(context.name, "node")
        address = self._kubelets.address_of(asked.name)
        await self._check_host(address.host)
        if asked.port and asked.port != str(address.port):
            address = _address(address.host, asked.port, asked.scheme)
        return await self._forward(context, address)

    async def _check_host(self, host: str) -> None:
        """Raises BadRequest."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, None)
        except OSError:
            raise BadRequest(f"lookup {host}: no such host") from None
        if not all(self._allowed(str(address[0])) for *_, address in found):
            raise BadRequest("address not allowed")

    async def _pod(self, context: RequestContext) -> Response:
        asked = parse_proxy_name(context.name, "pod")
        pod = await self._objects.get(core.POD, asked.name, context.namespace)
        ip = (pod.get("status") or {}).get("podIP")
        if not ip or not self._allowed(ip):
            raise BadRequest("address not allowed")
        return await self._forward(context, _address(ip, _pod_port(pod, asked.port), asked.scheme))

    async def _service(self, context: RequestContext) -> Response:
        asked = parse_proxy_name(context.name, "service")
        service = await self._objects.get(core.SERVICE, asked.name, context.namespace)
        ip, port = self._endpoints.choose_pod(service, asked.port, context.name)
        return await self._forward(context, _address(ip, port, asked.scheme))

    async def _forward(self, context: RequestContext, address: Address) -> Response:
        target = _target(context)
        if wants_upgrade(context):
            return await pass_through(context, address, target)
        prefix = f"{context.path.partition(_marker(context))[0]}{_marker(context)}"
        if not context.path.removeprefix(prefix) and context.method in ("GET", "HEAD"):
            # What a page at the root links to is relative to a path that ends with a slash.
            query = f"?{context.query.text}" if context.query.text else ""
            return Response(301, b"", "", (("Location", quote(f"{prefix}/", safe=_PATH_CHARACTERS) + query),))
        headers = forwarded_headers(context.headers, str(address))
        for name in _OF_ONE_HOP:
            headers.pop(name, None)
        if "text/html" in headers.get("accept", ""):
            headers["accept-encoding"] = "identity"  # links of a compressed page could not be changed
        headers["x-forwarded-uri"] = quote(prefix, safe=_PATH_CHARACTERS) + target.partition("?")[0]
        answer = await relay(address, context.method, target, headers, context.body)
        return through_proxy(answer, Links(prefix, (str(address), address.host, context.headers.get("host", ""))))


def _pod_port(pod: Object, port: str) -> str:
    containers = pod["spec"].get("containers") or ()
    if not port:
        return next((str(p["containerPort"]) for c in containers for p in c.get("ports") or ()), "80")
    if port.isdecimal():
        return port
    for container in containers:
        for declared in container.get("ports") or ():
            if declared.get("name") == port:
                return str(declared["containerPort"])
    raise NotFound(f'pod {pod["metadata"]["name"]} has no port named "{port}"')


def _address(host: str, port: str, scheme: str) -> Address:
    if not port.isdecimal() or len(port) > 5 or not 0 < int(port) < 65536:
        raise ServiceUnavailable(f"error trying to reach service: dial tcp: address {port}: invalid port")
    tls = None
    if scheme == "https":
        # As upstream: what a pod serves with is its own affair, nobody could verify it.
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    return Address(host, int(port), tls)


def _marker(context: RequestContext) -> str:
    return f"/{context.name}/proxy"


def through_proxy(answer: Response, links: Links) -> Response:
    """Redirects and the links of HTML pages lead through the proxy."""
    headers = dict(answer.headers)
    if any(name.lower() == "location" for name in headers):
        answer.headers = tuple(
            (name, links.moved(value) if name.lower() == "location" else value) for name, value in answer.headers
        )
    elif answer.stream is not None and _is_plain_html(answer.content_type, headers):
        answer.stream = links.page(answer.stream)
    return answer


def _is_plain_html(content_type: str, headers: Mapping[str, str]) -> bool:
    encoded = any(name.lower() == "content-encoding" for name in headers)
    return content_type.partition(";")[0].strip().lower() == "text/html" and not encoded


def _target(context: RequestContext) -> str:
    """What follows `/proxy` in the path, and the query as it came."""
    _, found, rest = context.request.raw_path.partition(_marker(context))
    if not found:
        rest = quote(context.path.partition(_marker(context))[2], safe=_PATH_CHARACTERS)
    path = rest or "/"
    return f"{path}?{context.query.text}" if context.query.text else path
