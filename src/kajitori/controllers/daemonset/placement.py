"""Which nodes a DaemonSet's pods belong on, and how a pod is bound to one of them. Pure."""

from collections.abc import Iterable

from kajitori.api.meta import Object, name_of
from kajitori.api.node_fit import matches_affinity, taints_of, untolerated
from kajitori.controllers.pods import pod_from_template

# A daemon stays on a node in trouble (it may be what mends it); the scheduler must be told so as well.
_TOLERATIONS = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_HOST_NETWORK_TOLERATION = ("node.kubernetes.io/network-unavailable", "NoSchedule")


def daemon_spec(template: Object) -> Object:
    """The template's pod spec with the tolerations of a daemon."""
    spec = template["spec"]
    wanted = [*_TOLERATIONS, *([_HOST_NETWORK_TOLERATION] if spec.get("hostNetwork") else [])]
    present = list(spec.get("tolerations") or ())
    known = {(t.get("key"), t.get("effect"), t.get("operator")) for t in present}
    added = [
        {"key": key, "operator": "Exists", "effect": effect}
        for key, effect in wanted
        if (key, effect, "Exists") not in known
    ]
    return {**spec, "tolerations": [*present, *added]}


def fit(template: Object, node: Object) -> tuple[bool, bool]:
    """Whether a pod should be started on the node, and whether one that is there may stay."""
    spec = daemon_spec(template)
    if not matches_affinity(spec, node):
        return False, False
    taints = taints_of(node)
    may_start = not untolerated(spec, taints, ("NoSchedule", "NoExecute"))
    may_stay = not untolerated(spec, taints, ("NoExecute",))
    return may_start, may_stay


def make_pod(daemonset: Object, node: str, pod_labels: dict[str, str]) -> Object:
    """A pod for one node: affinity by the node's name leaves the binding to the scheduler."""
    template = daemonset["spec"]["template"]
    pod = pod_from_template({**template, "spec": daemon_spec(template)}, daemonset)
    pod["metadata"]["labels"] |= pod_labels
    spec = pod["spec"]
    only = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    affinity = spec.setdefault("affinity", {})
    node_affinity = affinity.setdefault("nodeAffinity", {})
    # The template's own terms have been checked against this node; alternatives beside its name would widen them.
    node_affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": [only]}
    return pod


def node_of(pod: Object) -> str:
    """The node a daemon pod runs on, or will."""
    if pod["spec"].get("nodeName"):
        return str(pod["spec"]["nodeName"])
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field["key"] == "metadata.name" and field["operator"] == "In" and len(field["values"]) == 1:
                return str(field["values"][0])
    return ""


def by_node(pods: Iterable[Object]) -> dict[str, list[Object]]:
    """Oldest first."""
    found: dict[str, list[Object]] = {}
    for pod in sorted(pods, key=lambda p: (p["metadata"].get("creationTimestamp") or "", name_of(p))):
        found.setdefault(node_of(pod), []).append(pod)
    return found
