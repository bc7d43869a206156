"""Service ports as Envoy clusters, with their ready endpoints."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kajitori.api.meta import Object, ObjectKey
from kajitori.network.ingress.routing import Backend

Resource = dict[str, Any]

EDS_DIRECTORY = "endpoints"
CONNECT_TIMEOUT = "2s"
# Less than the keep-alive of common servers (Node.js: 5 s), so that we are the one who closes an idle connection.
_IDLE_TIMEOUT = "4s"
_LIMITS = {"max_connections": 65536, "max_pending_requests": 65536, "max_requests": 65536, "max_retries": 1024}
_HTTP2 = frozenset({"kubernetes.io/h2c", "grpc", "h2c"})
_TYPE = "type.googleapis.com/envoy."


@dataclass(frozen=True, slots=True)
class Upstream:
    """A Service port that exists. `external` is the name that an ExternalName Service points to."""

    name: str
    port_name: str
    number: int
    app_protocol: str
    external: str
    key: ObjectKey


def find_upstream(backend: Backend, service_at: Callable[[ObjectKey], Object | None]) -> Upstream | str:
    """The Service port, or a sentence that says why there is none."""
    key = ObjectKey(backend.namespace, backend.service)
    service = service_at(key)
    if service is None:
        return f"Service {key} does not exist"
    spec = service.get("spec") or {}
    for port in spec.get("ports") or ():
        if backend.port in (port.get("name"), str(port["port"])) and (port.get("protocol") or "TCP") == "TCP":
            external = spec.get("externalName", "") if spec.get("type") == "ExternalName" else ""
            app_protocol = port.get("appProtocol") or ""
            return Upstream(f"{key}/{port['port']}", port.get("name") or "", port["port"], app_protocol, external, key)
    return f"Service {key} has no TCP port {backend.port}"


def cluster(upstream: Upstream) -> Resource:
    """An Envoy cluster (envoy.config.cluster.v3.Cluster)."""
    if upstream.external:
        return _common(upstream) | {"type": "STRICT_DNS", "load_assignment": _external_assignment(upstream)}
    path = f"{EDS_DIRECTORY}/{file_name(upstream.name)}"
    source = {"path_config_source": {"path": path}, "resource_api_version": "V3"}
    return _common(upstream) | {"type": "EDS", "eds_cluster_config": {"eds_config": source}}


def file_name(cluster_name: str) -> str:
    return f"{cluster_name.replace('/', '_')}.json"


def _common(upstream: Upstream) -> Resource:
    http2 = upstream.app_protocol in _HTTP2
    protocol: Resource = {"http2_protocol_options": {}} if http2 else {"http_protocol_options": {}}
    options = {
        "@type": f"{_TYPE}extensions.upstreams.http.v3.HttpProtocolOptions",
        "common_http_protocol_options": {"idle_timeout": _IDLE_TIMEOUT},
        "explicit_http_config": protocol,
    }
    resource: Resource = {
        "@type": f"{_TYPE}config.cluster.v3.Cluster",
        "name": upstream.name,
        "connect_timeout": CONNECT_TIMEOUT,
        "lb_policy": "ROUND_ROBIN",
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "circuit_breakers": {"thresholds": [_LIMITS]},
        "typed_extension_protocol_options": {
            f"{_TYPE.partition('/')[2]}extensions.upstreams.http.v3.HttpProtocolOptions": options
        },
    }
    if upstream.app_protocol.lower() == "https":
        tls = {"@type": f"{_TYPE}extensions.transport_sockets.tls.v3.UpstreamTlsContext"}
        resource["transport_socket"] = {"name": "tls", "typed_config": tls}
    return resource


def assignment(upstream: Upstream, slices: Iterable[Object]) -> Resource:
    """The ready endpoints (envoy.config.endpoint.v3.ClusterLoadAssignment)."""
    addresses = sorted(set(_ready_addresses(upstream.port_name, slices)))
    endpoints = [_endpoint(ip, port) for ip, port in addresses]
    return {
        "@type": f"{_TYPE}config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": upstream.name,
        "endpoints": [{"lb_endpoints": endpoints}] if endpoints else [],
    }


def _ready_addresses(port_name: str, slices: Iterable[Object]) -> Iterable[tuple[str, int]]:
    for piece in slices:
        if piece.get("addressType", "IPv4") == "FQDN":
            continue
        ports = [p["port"] for p in piece.get("ports") or () if (p.get("name") or "") == port_name and p.get("port")]
        for entry in piece.get("endpoints") or ():
            if (entry.get("conditions") or {}).get("ready") is not False:
                yield from ((ip, port) for ip in entry.get("addresses") or () for port in ports)


def _external_assignment(upstream: Upstream) -> Resource:
    endpoint = _endpoint(upstream.external, upstream.number)
    return {"cluster_name": upstream.name, "endpoints": [{"lb_endpoints": [endpoint]}]}


def _endpoint(address: str, port: int) -> Resource:
    return {"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}}
