"""Services, their endpoints, ingresses and network policies."""

from collections.abc import Iterator

from kajitori.api.meta import Object
from kajitori.api.warnings.addresses import address_warnings, cidr_warnings

_TOPOLOGY_HINTS = "service.kubernetes.io/topology-aware-hints"
_INGRESS_CLASS = "kubernetes.io/ingress.class"
_MANAGED_ENDPOINTS = ("endpoints.kubernetes.io/managed-by", ("endpoint-controller",))
_MANAGED_SLICES = (
    "endpointslice.kubernetes.io/managed-by",
    ("endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"),
)


def service_warnings(new: Object, old: Object | None) -> list[str]:
    return list(_service(new))


def _service(service: Object) -> Iterator[str]:
    spec = service.get("spec") or {}
    kind, external = spec.get("type"), spec.get("externalIPs") or ()
    headless = kind == "ClusterIP" and spec.get("clusterIP") == "None"
    if _TOPOLOGY_HINTS in (service["metadata"].get("annotations") or ()):
        yield (f"annotation {_TOPOLOGY_HINTS} is deprecated, please use service.kubernetes.io/topology-mode instead")
    if spec.get("clusterIP") not in (None, "", "None"):
        for index, address in enumerate(spec.get("clusterIPs") or ()):
            yield from address_warnings(f"spec.clusterIPs[{index}]", address)
    if headless:
        if spec.get("loadBalancerIP"):
            yield "spec.loadBalancerIP is ignored for headless services"
        if external:
            yield "spec.externalIPs is ignored for headless services"
        if spec.get("sessionAffinity", "None") != "None":
            yield "spec.SessionAffinity is ignored for headless services"
    for index, address in enumerate(external):
        yield from address_warnings(f"spec.externalIPs[{index}]", address)
    if external and not headless and kind != "ExternalName":
        yield "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
    yield from address_warnings("spec.loadBalancerIP", spec.get("loadBalancerIP") or "")
    for index, block in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        yield from cidr_warnings(f"spec.loadBalancerSourceRanges[{index}]", block)
    if kind == "ExternalName" and external:
        yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    if kind != "ExternalName" and spec.get("externalName"):
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
    if spec.get("trafficDistribution") == "PreferClose":
        yield 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'


def endpoints_warnings(new: Object, old: Object | None) -> list[str]:
    if _is_managed(new, *_MANAGED_ENDPOINTS):
        return []
    return [
        text
        for i, subset in enumerate(new.get("subsets") or ())
        for group in ("addresses", "notReadyAddresses")
        for j, address in enumerate(subset.get(group) or ())
        for text in address_warnings(f"subsets[{i}].{group}[{j}].ip", address.get("ip") or "")
    ]


def endpoint_slice_warnings(new: Object, old: Object | None) -> list[str]:
    found = []
    if old is None and new.get("addressType") == "FQDN":
        found.append("spec.addressType: FQDN endpoints are deprecated")
    if not _is_managed(new, *_MANAGED_SLICES):
        found += [
            text
            for i, endpoint in enumerate(new.get("endpoints") or ())
            for j, address in enumerate(endpoint.get("addresses") or ())
            for text in address_warnings(f"endpoints[{i}].addresses[{j}]", address)
        ]
    return found


def _is_managed(obj: Object, label: str, controllers: tuple[str, ...]) -> bool:
    """What our own controllers write needs no look: they write addresses in their canonical form."""
    return (obj["metadata"].get("labels") or {}).get(label) in controllers


def ingress_warnings(new: Object, old: Object | None) -> list[str]:
    annotated = _INGRESS_CLASS in (new["metadata"].get("annotations") or ())
    if old is not None or not annotated or (new.get("spec") or {}).get("ingressClassName") is not None:
        return []
    return [f"annotation \"{_INGRESS_CLASS}\" is deprecated, please use 'spec.ingressClassName' instead"]


def network_policy_warnings(new: Object, old: Object | None) -> list[str]:
    return [
        text
        for direction, peers in (("ingress", "from"), ("egress", "to"))
        for i, rule in enumerate((new.get("spec") or {}).get(direction) or ())
        for j, peer in enumerate(rule.get(peers) or ())
        if (block := peer.get("ipBlock"))
        for text in _block(f"spec.{direction}[{i}].{peers}[{j}].ipBlock", block)
    ]


def _block(at: str, block: Object) -> Iterator[str]:
    yield from cidr_warnings(f"{at}.cidr", block.get("cidr") or "")
    for index, excepted in enumerate(block.get("except") or ()):
        yield from cidr_warnings(f"{at}.except[{index}]", excepted)


def node_warnings(new: Object, old: Object | None) -> list[str]:
    spec = new.get("spec") or {}
    found = []
    if spec.get("configSource") is not None:
        found.append("spec.configSource: the feature is removed")
    if spec.get("externalID"):
        found.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
    for index, block in enumerate(spec.get("podCIDRs") or ()):
        found += cidr_warnings(f"spec.podCIDRs[{index}]", block)
    return found
