"""Whether a pod fits on this node: the last check, for pods that did not come through the scheduler or raced."""

from collections.abc import Iterable, Mapping

from kajitori.api.meta import Object
from kajitori.api.node_fit import matches_affinity, taints_of, untolerated
from kajitori.api.pods import SAFE_SYSCTLS, amount, host_ports, host_ports_clash, pod_requests
from kajitori.api.validation.resources import is_extended

AFFINITY = "NodeAffinity"
_REASONS = {"cpu": "OutOfcpu", "memory": "OutOfmemory", "ephemeral-storage": "OutOfephemeral-storage"}


def refusal(
    pod: Object, others: Iterable[Object], allocatable: Mapping[str, str], node: Object | None
) -> tuple[str, str] | None:
    """Reason and message, or None when it may run. `others` are the pods that hold resources already; `node` is None
    as long as its object is not known: then its labels and taints are nobody's reason."""
    held = list(others)
    limit = int(allocatable.get("pods", "110"))
    if len(held) + 1 > limit:
        return (
            "OutOfpods",
            f"Node didn't have enough resource: pods, requested: 1, used: {len(held)}, capacity: {limit}",
        )
    used: dict[str, int] = {}
    for other in held:
        for name, number in pod_requests(other).items():
            used[name] = used.get(name, 0) + number
    for name, wanted in pod_requests(pod).items():
        if not wanted or (name not in allocatable and is_extended(name)):
            # An extended resource that no node has is the cluster's affair, not this node's.
            continue
        capacity = amount(name, allocatable.get(name, "0"))
        taken = used.get(name, 0)
        if taken + wanted > capacity:
            reason = _REASONS.get(name, f"OutOf{name}")
            amounts = f"requested: {wanted}, used: {taken}, capacity: {capacity}"
            return reason, f"Node didn't have enough resource: {name}, {amounts}"
    for sysctl in (pod["spec"].get("securityContext") or {}).get("sysctls") or ():
        if sysctl["name"].replace("/", ".") not in SAFE_SYSCTLS:
            return "SysctlForbidden", f'forbidden sysctl: "{sysctl["name"]}" not allowlisted'
    if node is not None and not matches_affinity(pod["spec"], node):
        return AFFINITY, "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
    ports = host_ports(pod["spec"])
    if ports and host_ports_clash(ports, [port for other in held for port in host_ports(other["spec"])]):
        return "NodePorts", "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
    if node is not None and untolerated(pod["spec"], taints_of(node), ("NoExecute",)):
        return "TaintToleration", "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
    return None
