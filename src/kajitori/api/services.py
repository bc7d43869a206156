"""What a Service's type brings with it: a cluster IP, node ports, and what goes when the type changes."""

from kajitori.api.defaults.status import keep_status
from kajitori.api.meta import Object

WITH_CLUSTER_IP = ("ClusterIP", "NodePort", "LoadBalancer")
_OF_CLUSTER_IP = (
    ("clusterIP", "clusterIPs"),
    ("ipFamilies",),
    ("ipFamilyPolicy",),
    ("internalTrafficPolicy",),
    ("externalTrafficPolicy",),
)


def has_cluster_ip(spec: Object) -> bool:
    return spec["type"] in WITH_CLUSTER_IP


def wants_node_ports(spec: Object) -> bool:
    kind = spec["type"]
    return kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False)


def node_ports(spec: Object) -> frozenset[int]:
    ports = {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
    return frozenset(ports | {spec["healthCheckNodePort"]}) if spec.get("healthCheckNodePort") else frozenset(ports)


def prepare_service_update(new: Object, old: Object) -> None:
    keep_status(new, old)
    _drop_of_former_type(new["spec"], old["spec"])
    _keep_allocated(new["spec"], old["spec"])


def _drop_of_former_type(new: Object, old: Object) -> None:
    """What only the former type had, and the update repeats unchanged, goes with it."""
    if has_cluster_ip(old) and not has_cluster_ip(new):
        for fields in _OF_CLUSTER_IP:
            if new.get(fields[0]) == old.get(fields[0]):
                for field in fields:
                    new.pop(field, None)
    if wants_node_ports(old) and not wants_node_ports(new):
        before = node_ports(old)
        for port in new.get("ports") or ():
            if port.get("nodePort") in before and new["type"] != "LoadBalancer":
                del port["nodePort"]
    local = new["type"] == "LoadBalancer" and new.get("externalTrafficPolicy") == "Local"
    if not local and new.get("healthCheckNodePort") == old.get("healthCheckNodePort"):
        new.pop("healthCheckNodePort", None)
    closed = new["type"] == "ClusterIP" and old["type"] != "ClusterIP" and not new.get("externalIPs")
    if closed and new.get("externalTrafficPolicy") == old.get("externalTrafficPolicy"):
        new.pop("externalTrafficPolicy", None)
    if old["type"] == "LoadBalancer" and new["type"] != "LoadBalancer":
        new.pop("allocateLoadBalancerNodePorts", None)
        if new.get("loadBalancerClass") == old.get("loadBalancerClass"):
            new.pop("loadBalancerClass", None)


def _keep_allocated(new: Object, old: Object) -> None:
    """An update that leaves out what the cluster gave means to keep it."""
    if has_cluster_ip(new) and has_cluster_ip(old):
        _keep_addresses(new, old)
    if wants_node_ports(new) and wants_node_ports(old):
        given = {port["nodePort"] for port in new.get("ports") or () if port.get("nodePort")}
        before = {(port.get("protocol"), port["port"]): port.get("nodePort") for port in old.get("ports") or ()}
        for port in new.get("ports") or ():
            kept = before.get((port.get("protocol"), port.get("port")))
            if not port.get("nodePort") and kept and kept not in given:
                port["nodePort"] = kept
        if new.get("externalTrafficPolicy") == "Local" and not new.get("healthCheckNodePort"):
            new["healthCheckNodePort"] = old.get("healthCheckNodePort")
            if not new["healthCheckNodePort"]:
                del new["healthCheckNodePort"]


def _keep_addresses(new: Object, old: Object) -> None:
    if not new.get("clusterIP") and not new.get("clusterIPs"):
        for field in ("clusterIP", "clusterIPs"):
            if field in old:
                new[field] = old[field]
    for field in ("ipFamilies", "ipFamilyPolicy"):
        if not new.get(field) and field in old:
            new[field] = old[field]
