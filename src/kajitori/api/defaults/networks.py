"""Defaults of services, endpoints, ingresses and network policies."""

from kajitori.api.defaults.filling import each, fill, fill_zero, part
from kajitori.api.meta import Object

AFFINITY_TIMEOUT_S = 3 * 60 * 60


def default_service(service: Object) -> None:
    """All but what needs the cluster's ranges: addresses and node ports are the API server's to give."""
    spec = part(service, "spec")
    fill_zero(spec, sessionAffinity="None", type="ClusterIP")
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        fill(part(spec, "sessionAffinityConfig", "clientIP"), timeoutSeconds=AFFINITY_TIMEOUT_S)
    for port in each(spec, "ports"):
        fill_zero(port, protocol="TCP")
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port", 0)
    kind = spec["type"]
    if kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and spec.get("externalIPs")):
        fill_zero(spec, externalTrafficPolicy="Cluster")
    if kind in ("ClusterIP", "NodePort", "LoadBalancer"):
        fill(spec, internalTrafficPolicy="Cluster")
    if kind == "LoadBalancer":
        fill(spec, allocateLoadBalancerNodePorts=True)
        for point in each((service.get("status") or {}).get("loadBalancer") or {}, "ingress"):
            if point.get("ip"):
                fill(point, ipMode="VIP")


def default_endpoints(endpoints: Object) -> None:
    for subset in each(endpoints, "subsets"):
        for port in each(subset, "ports"):
            fill_zero(port, protocol="TCP")


def default_endpoint_slice(endpoint_slice: Object) -> None:
    for endpoint in each(endpoint_slice, "endpoints"):
        fill(endpoint, conditions={})
        endpoint.pop("deprecatedTopology", None)  # nobody has written it since v1
    for port in each(endpoint_slice, "ports"):
        fill(port, name="", protocol="TCP")


def default_ingress_class(ingress_class: Object) -> None:
    parameters = part(ingress_class, "spec").get("parameters")
    if parameters is not None:
        fill(parameters, scope="Cluster")


def default_network_policy(policy: Object) -> None:
    spec = part(policy, "spec")
    fill(spec, podSelector={})
    for direction in ("ingress", "egress"):
        for rule in each(spec, direction):
            for port in each(rule, "ports"):
                fill(port, protocol="TCP")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
