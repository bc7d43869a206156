"""What a Service's type brings with it: a cluster IP, node ports, and what goes when the type changes."""

from kajitori.api.defaults.status import keep_status
from kajitori.api.errors import Invalid
from kajitori.api.field_errors import FieldError
from kajitori.api.meta import Object, name_of
from kajitori.api.service_addresses import (
    address_errors,
    has_cluster_ip,
    settle_addresses,
    settle_families,
    settle_new_addresses,
)

_ON_EVERY_NODE = ("NodePort", "LoadBalancer")


def wants_node_ports(spec: Object) -> bool:
    kind = spec["type"]
    return kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False)


def node_ports(spec: Object) -> frozenset[int]:
    health = spec.get("healthCheckNodePort")
    return frozenset(_ports(spec) | ({health} if health else set()))


def wants_health_port(spec: Object) -> bool:
    return bool(spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local")


def is_reachable(spec: Object) -> bool:
    """From outside the cluster, so that it matters which nodes answer."""
    return spec["type"] in _ON_EVERY_NODE or bool(spec["type"] == "ClusterIP" and spec.get("externalIPs"))


def prepare_service(service: Object) -> None:
    """Raises Invalid: addresses are looked at before anything else of a Service, its name included."""
    service["status"] = {"loadBalancer": {}}
    settle_new_addresses(service["spec"])
    _refuse(service, address_errors(service["spec"]))


def prepare_service_update(new: Object, old: Object) -> None:
    """Raises Invalid."""
    keep_status(new, old)
    spec, before = new["spec"], old["spec"]
    settle_addresses(spec, before)
    _refuse(new, address_errors(spec, before))
    settle_families(spec, before)
    _keep_ports(spec, before)
    _drop_of_former_type(spec, before)


def _refuse(service: Object, errors: list[FieldError]) -> None:
    if errors:
        raise Invalid.of("", "Service", name_of(service), errors)


def _drop_of_former_type(new: Object, old: Object) -> None:
    """What only the former type had, and the update repeats unchanged, goes with it."""

    def drop(*fields: str) -> None:
        if all(new.get(field) == old.get(field) for field in fields):
            for field in fields:
                new.pop(field, None)

    if has_cluster_ip(old) and not has_cluster_ip(new):
        for fields in (("clusterIP", "clusterIPs"), ("ipFamilies",), ("ipFamilyPolicy",), ("internalTrafficPolicy",)):
            drop(*fields)
    if old["type"] in _ON_EVERY_NODE and new["type"] not in _ON_EVERY_NODE and _ports(new) <= _ports(old):
        for port in new.get("ports") or ():
            port.pop("nodePort", None)
    if wants_health_port(old) and not wants_health_port(new):
        drop("healthCheckNodePort")
    if old["type"] == "LoadBalancer" != new["type"]:
        drop("allocateLoadBalancerNodePorts")
        drop("loadBalancerClass")
    if is_reachable(old) and not is_reachable(new):
        drop("externalTrafficPolicy")


def _ports(spec: Object) -> set[int]:
    return {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}


def _keep_ports(new: Object, old: Object) -> None:
    """An update that leaves out the ports that the cluster gave means to keep them."""
    if wants_node_ports(new) and wants_node_ports(old):
        both = _ports(new) & _ports(old)
        before = {port.get("name"): port.get("nodePort") for port in old.get("ports") or ()}
        for port in new.get("ports") or ():
            kept = before.get(port.get("name"))
            if not port.get("nodePort") and kept and kept not in both:
                port["nodePort"] = kept
    if wants_health_port(new) and wants_health_port(old) and not new.get("healthCheckNodePort"):
        new["healthCheckNodePort"] = old.get("healthCheckNodePort") or 0
