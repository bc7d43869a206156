"""Whether a pod fits on this node: the last check, for pods that did not come through the scheduler or raced."""

from collections.abc import Iterable, Mapping

from kajitori.api.meta import Object, labels_of
from kajitori.api.pods import SAFE_SYSCTLS, amount, host_ports, host_ports_clash, pod_requests
from kajitori.api.validation.resources import is_extended

_REASONS = {"cpu": "OutOfcpu", "memory": "OutOfmemory", "ephemeral-storage": "OutOfephemeral-storage"}


def refusal(
    pod: Object, others: Iterable[Object], allocatable: Mapping[str, str], node_labels: Mapping[str, str]
) -> tuple[str, str] | None:
    """Reason and message, or None when it may run. `others` are the pods that hold resources already."""
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
    selector = pod["spec"].get("nodeSelector") or {}
    if any(node_labels.get(key) != value for key, value in selector.items()):
        return "NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
    ports = host_ports(pod["spec"])
    if ports and host_ports_clash(ports, [port for other in held for port in host_ports(other["spec"])]):
        return "NodePorts", "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
    return None


def labels_or_empty(node: Object | None) -> Mapping[str, str]:
    return labels_of(node) if node else {}
