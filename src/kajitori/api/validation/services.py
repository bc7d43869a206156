"""Services, endpoints and endpoint slices."""

import ipaddress

from kajitori.api.field_errors import FieldError, InOrder, duplicate, forbidden, invalid, required, too_many
from kajitori.api.meta import Object
from kajitori.api.selectors import label_key_errors, label_value_errors
from kajitori.api.service_addresses import change_errors, is_headless
from kajitori.api.validation.checks import (
    Errors,
    each,
    labels,
    must,
    one_of,
    port_number,
    port_number_or_name,
    when_given,
)
from kajitori.api.validation.formats import (
    canonical_ip_errors,
    cidr_errors,
    ip_errors,
    is_ip,
    label_errors,
    subdomain_errors,
)

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_AFFINITY_SECONDS_MAX = 24 * 60 * 60
_ENDPOINTS_MAX, _ADDRESSES_MAX, _PORTS_MAX = 1000, 100, 20_000


def validate_service(service: Object) -> list[FieldError]:
    return list(_service(service.get("spec") or {}))


def _service(spec: Object) -> Errors:
    kind, headless = spec.get("type") or "", is_headless(spec)
    ports = spec.get("ports") or []
    if not ports and not headless and kind != "ExternalName":
        yield required("spec.ports")
    if kind in ("LoadBalancer", "NodePort") and headless:
        yield invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
    if kind == "ExternalName":
        yield from _external_name(spec)
    yield from _ports(spec, several=len(ports) > 1)
    yield from labels("spec.selector", spec.get("selector"))
    yield from _affinity(spec)
    for index, address in enumerate(spec.get("externalIPs") or ()):
        yield from must(f"spec.externalIPs[{index}]", address, ip_errors(address))
        yield from _usable_address(f"spec.externalIPs[{index}]", address)
    yield from one_of("spec.type", kind, _TYPES)
    if kind == "ClusterIP":
        for port, at in each(spec, "ports", "spec"):
            if port.get("nodePort"):
                yield forbidden(f"{at}.nodePort", "may not be used when `type` is 'ClusterIP'")
    yield from _distinct_ports(spec)
    yield from _load_balancer(spec, kind)
    yield from _traffic_policies(spec, kind)


def _external_name(spec: Object) -> Errors:
    if spec.get("clusterIPs") or spec.get("clusterIP"):
        yield forbidden("spec.clusterIPs", "may not be set for ExternalName services")
    if spec.get("ipFamilies"):
        yield forbidden("spec.ipFamilies", "may not be set for ExternalName services")
    if spec.get("ipFamilyPolicy"):
        yield forbidden("spec.ipFamilyPolicy", "may not be set for ExternalName services")
    name = spec.get("externalName") or ""
    if name:
        yield from must("spec.externalName", name, subdomain_errors(name.removesuffix(".")))
    else:
        yield required("spec.externalName")


def _ports(spec: Object, *, several: bool) -> Errors:
    names: set[str] = set()
    for port, at in each(spec, "ports", "spec"):
        name = port.get("name") or ""
        if not name and several:
            yield required(f"{at}.name")
        elif name:
            yield from must(f"{at}.name", name, label_errors(name))
            if name in names:
                yield duplicate(f"{at}.name", name)
            names.add(name)
        yield from port_number(f"{at}.port", port.get("port", 0))
        yield from one_of(f"{at}.protocol", port.get("protocol"), _PROTOCOLS)
        yield from port_number_or_name(f"{at}.targetPort", port.get("targetPort", 0))
        protocol = port.get("appProtocol")
        if protocol is not None:
            yield from must(f"{at}.appProtocol", protocol, label_key_errors(protocol))


def _affinity(spec: Object) -> Errors:
    affinity = spec.get("sessionAffinity") or ""
    yield from one_of("spec.sessionAffinity", affinity, ("ClientIP", "None"))
    config = spec.get("sessionAffinityConfig")
    if affinity == "ClientIP":
        at = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
        seconds = ((config or {}).get("clientIP") or {}).get("timeoutSeconds")
        if seconds is None:
            yield required(at, "should be defaulted")
        elif not 0 < seconds <= _AFFINITY_SECONDS_MAX:
            detail = f"must be greater than 0 and less than {_AFFINITY_SECONDS_MAX}"
            yield invalid(at, seconds, detail)
    elif affinity == "None" and config is not None:
        detail = "must not be set when session affinity is None"
        yield forbidden("spec.sessionAffinityConfig", detail)


def _gets_node_ports(spec: Object) -> bool:
    kind = spec.get("type")
    return kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False)


def _distinct_ports(spec: Object) -> Errors:
    node_ports: set[tuple[str, int]] = set()
    unsaid: set[tuple[str, int]] = set()
    for port, at in each(spec, "ports", "spec"):
        node_port = port.get("nodePort") or 0
        key = (port.get("protocol") or "", node_port)
        if node_port and key in node_ports:
            yield duplicate(f"{at}.nodePort", node_port)
        node_ports.add(key)
        key = (key[0], port.get("port", 0))
        if not node_port and key in unsaid and _gets_node_ports(spec):
            yield duplicate(f"{at}.nodePort", node_port)  # the same port would be given to both
        unsaid.add(key)
    seen: set[tuple[str, int]] = set()
    for port, at in each(spec, "ports", "spec"):
        key = (port.get("protocol") or "", port.get("port", 0))
        if key in seen:
            shown = {
                "Name": "",
                "Protocol": key[0],
                "AppProtocol": None,
                "Port": key[1],
                "TargetPort": 0,
                "NodePort": 0,
            }
            yield FieldError("FieldValueDuplicate", at, InOrder(shown))
        seen.add(key)


def _load_balancer(spec: Object, kind: str) -> Errors:
    if spec.get("loadBalancerSourceRanges") and kind != "LoadBalancer":
        yield forbidden("spec.LoadBalancerSourceRanges", "may only be used when `type` is 'LoadBalancer'")
    for index, block in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        block = block.strip()
        yield from must(f"spec.LoadBalancerSourceRanges[{index}]", block, cidr_errors(block))
    allocates = spec.get("allocateLoadBalancerNodePorts")
    if kind == "LoadBalancer" and allocates is None:
        yield required("spec.allocateLoadBalancerNodePorts")
    if kind != "LoadBalancer" and allocates is not None:
        yield forbidden("spec.allocateLoadBalancerNodePorts", "may only be used when `type` is 'LoadBalancer'")
    balancer_class = spec.get("loadBalancerClass")
    if balancer_class is not None:
        if kind != "LoadBalancer":
            yield forbidden("spec.loadBalancerClass", "may only be used when `type` is 'LoadBalancer'")
        yield from must("spec.loadBalancerClass", balancer_class, label_key_errors(balancer_class))


def _traffic_policies(spec: Object, kind: str) -> Errors:
    external = spec.get("externalTrafficPolicy") or ""
    reachable = kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))
    if not reachable:
        if external:
            detail = "may only be set for externally-accessible services"
            yield invalid("spec.externalTrafficPolicy", external, detail)
    elif not external:
        yield required("spec.externalTrafficPolicy")
    else:
        yield from one_of("spec.externalTrafficPolicy", external, ("Cluster", "Local"))
    health = spec.get("healthCheckNodePort") or 0
    if health and not (kind == "LoadBalancer" and external == "Local"):
        detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield invalid("spec.healthCheckNodePort", health, detail)
    internal = spec.get("internalTrafficPolicy")
    if internal is not None:
        yield from one_of("spec.internalTrafficPolicy", internal, ("Cluster", "Local"))
    elif kind in ("ClusterIP", "NodePort", "LoadBalancer"):
        yield required("spec.internalTrafficPolicy")
    distribution = spec.get("trafficDistribution")
    if distribution is not None:
        yield from one_of("spec.trafficDistribution", distribution, ("PreferClose", "PreferSameZone", "PreferSameNode"))


def revalidate_service(new: Object, old: Object) -> list[FieldError]:
    """What may not change comes first, then all that is wrong with the service as it would be."""
    errors = list(change_errors(new["spec"], old["spec"]))
    if new["spec"].get("type") == old["spec"].get("type") == "LoadBalancer":
        balancer, was_class = new["spec"].get("loadBalancerClass"), old["spec"].get("loadBalancerClass")
        if balancer != was_class:
            errors.append(invalid("spec.loadBalancerClass", balancer, "may not change once set"))
    return [*errors, *_service(new["spec"])]


def _usable_address(path: str, text: str) -> Errors:
    """Endpoints may not lead back into the node itself."""
    if not is_ip(text):
        return
    address = ipaddress.ip_address(text)
    for found, where in (
        (address.is_unspecified, f"unspecified ({text})"),
        (address.is_loopback, "in the loopback range (127.0.0.0/8, ::1/128)"),
        (address.is_link_local, "in the link-local range (169.254.0.0/16, fe80::/10)"),
        (
            address.is_multicast and text.startswith(("224.0.0.", "ff02")),
            "in the link-local multicast range (224.0.0.0/24, ff02::/10)",
        ),
    ):
        if found:
            yield invalid(path, text, f"may not be {where}")


def validate_endpoints(endpoints: Object) -> list[FieldError]:
    return list(_endpoints(endpoints))


def _endpoints(endpoints: Object) -> Errors:
    for index, subset in enumerate(endpoints.get("subsets") or ()):
        path = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            yield required(path, "must specify `addresses` or `notReadyAddresses`")
        for field in ("addresses", "notReadyAddresses"):
            for address, at in each(subset, field, path):
                ip = address.get("ip") or ""
                yield from must(f"{at}.ip", ip, ip_errors(ip))
                if not is_ip(ip):
                    yield invalid(f"{at}.ip", ip, "must be a valid IP address")
                yield from when_given(f"{at}.hostname", address.get("hostname"), label_errors)
                yield from when_given(f"{at}.nodeName", address.get("nodeName"), subdomain_errors)
                yield from _usable_address(f"{at}.ip", ip)
        several = len(subset.get("ports") or ()) > 1
        for port, at in each(subset, "ports", path):
            if not port.get("name") and several:
                yield required(f"{at}.name")
            yield from when_given(f"{at}.name", port.get("name"), label_errors)
            yield from port_number(f"{at}.port", port.get("port", 0))
            yield from one_of(f"{at}.protocol", port.get("protocol"), _PROTOCOLS)


def validate_endpoint_slice(endpoint_slice: Object) -> list[FieldError]:
    return list(_endpoint_slice(endpoint_slice))


def _endpoint_slice(endpoint_slice: Object) -> Errors:
    kind = endpoint_slice.get("addressType") or ""
    if not kind:
        yield required("addressType")
    else:
        yield from one_of("addressType", kind, ("FQDN", "IPv4", "IPv6"))
    endpoints = endpoint_slice.get("endpoints") or ()
    if len(endpoints) > _ENDPOINTS_MAX:
        yield too_many("endpoints", len(endpoints), _ENDPOINTS_MAX)
    for index, endpoint in enumerate(endpoints):
        yield from _slice_endpoint(f"endpoints[{index}]", endpoint, kind)
    ports = endpoint_slice.get("ports") or ()
    if len(ports) > _PORTS_MAX:
        yield too_many("ports", len(ports), _PORTS_MAX)
    names: set[str] = set()
    for index, port in enumerate(ports):
        at, name = f"ports[{index}]", port.get("name") or ""
        yield from when_given(f"{at}.name", name, label_errors)
        if name in names:
            yield duplicate(f"{at}.name", name)
        names.add(name)
        yield from one_of(f"{at}.protocol", port.get("protocol"), _PROTOCOLS)
        if (protocol := port.get("appProtocol")) is not None:
            yield from must(f"{at}.appProtocol", protocol, label_key_errors(protocol))


def _full_name(path: str, name: str) -> Errors:
    if not name:
        yield required(path)
        return
    problems = subdomain_errors(name.removesuffix("."))
    yield from must(path, name, problems)
    if not problems and "." not in name.removesuffix("."):
        yield invalid(path, name, "should be a domain with at least two segments separated by dots")


def _slice_endpoint(path: str, endpoint: Object, kind: str) -> Errors:
    addresses = endpoint.get("addresses") or ()
    if not addresses:
        yield required(f"{path}.addresses", "must contain at least 1 address")
    elif len(addresses) > _ADDRESSES_MAX:
        yield too_many(f"{path}.addresses", len(addresses), _ADDRESSES_MAX)
    for index, address in enumerate(addresses):
        at = f"{path}.addresses[{index}]"
        if kind in ("IPv4", "IPv6"):
            if problems := (canonical_ip_errors if kind == "IPv6" else ip_errors)(address):
                yield from must(at, address, problems)
            else:
                if f"IPv{ipaddress.ip_address(address).version}" != kind:
                    yield invalid(f"{path}.addresses", address, f"must be an {kind} address")
                yield from _usable_address(at, address)
        elif kind == "FQDN":
            yield from _full_name(at, address)
    if (node := endpoint.get("nodeName")) is not None:
        yield from must(f"{path}.nodeName", node, subdomain_errors(node))
    if (hostname := endpoint.get("hostname")) is not None:
        yield from must(f"{path}.hostname", hostname, label_errors(hostname))
    for field, form in (("forZones", label_value_errors), ("forNodes", subdomain_errors)):
        seen: set[str] = set()
        for hint, at in each(endpoint.get("hints") or {}, field, f"{path}.hints"):
            name = hint.get("name") or ""
            yield from must(f"{at}.name", name, form(name))
            if name in seen:
                yield duplicate(f"{at}.name", name)
            seen.add(name)


def validate_endpoint_slice_update(new: Object, old: Object) -> list[FieldError]:
    if new.get("addressType") != old.get("addressType"):
        return [invalid("addressType", new.get("addressType"), "field is immutable")]
    return []
