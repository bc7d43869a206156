"""What a node's conditions and silence amount to: conditions that became unknown, and taints. Pure.

Taints follow conditions (KEP-382): NoSchedule keeps pods away, NoExecute makes those leave that do not tolerate it.
"""

from collections.abc import Iterable

from kajitori.api.meta import Object, condition_of
from kajitori.api.times import timestamp

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"

# condition -> status -> taint
_BY_CONDITION = {
    "Ready": {"False": NOT_READY, "Unknown": UNREACHABLE},
    "MemoryPressure": {"True": "node.kubernetes.io/memory-pressure"},
    "DiskPressure": {"True": "node.kubernetes.io/disk-pressure"},
    "PIDPressure": {"True": "node.kubernetes.io/pid-pressure"},
    "NetworkUnavailable": {"True": "node.kubernetes.io/network-unavailable"},
}
_NO_SCHEDULE = {UNSCHEDULABLE, *(key for taints in _BY_CONDITION.values() for key in taints.values())}
_NO_EXECUTE = {NOT_READY, UNREACHABLE}
_WATCHED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


def is_ready(node: Object) -> bool:
    return (condition_of(node, "Ready") or {}).get("status") == "True"


def silent_status(node: Object, now_s: float) -> Object:
    """The status of a node that no longer says anything."""
    status = {**(node.get("status") or {})}
    now = timestamp(now_s)
    conditions = [dict(c) for c in status.get("conditions") or ()]
    by_type = {c["type"]: c for c in conditions}
    for kind in _WATCHED:
        present = by_type.get(kind)
        if present is None:
            conditions.append(
                {
                    "type": kind,
                    "status": "Unknown",
                    "reason": "NodeStatusNeverUpdated",
                    "message": "Kubelet never posted node status.",
                    "lastHeartbeatTime": node["metadata"].get("creationTimestamp") or now,
                    "lastTransitionTime": now,
                }
            )
        elif present["status"] != "Unknown":
            present |= {
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": now,
            }
    return {**status, "conditions": conditions}


def taints_for(node: Object, *, evicting: bool, now_s: float) -> list[Object]:
    """The node's taints as its conditions want them; those that others put there stay.

    `evicting` is false while no node of the cluster is ready: then the fault is more likely on this side, and
    moving pods would only do harm.
    """
    wanted = [(key, "NoSchedule") for key in _keys(node)]
    if evicting:
        wanted += [(key, "NoExecute") for key in _keys(node) if key in _NO_EXECUTE]
    present = node["spec"].get("taints") or []
    kept = [t for t in present if not _is_ours(t) or (t["key"], t["effect"]) in wanted]
    known = {(t["key"], t["effect"]) for t in kept}
    return kept + [_taint(key, effect, now_s) for key, effect in wanted if (key, effect) not in known]


def _keys(node: Object) -> list[str]:
    keys = []
    for condition in (node.get("status") or {}).get("conditions") or ():
        key = _BY_CONDITION.get(condition["type"], {}).get(condition["status"])
        if key:
            keys.append(key)
    if condition_of(node, "Ready") is None:
        keys.append(NOT_READY)
    if node["spec"].get("unschedulable"):
        keys.append(UNSCHEDULABLE)
    return keys


def _is_ours(taint: Object) -> bool:
    return (taint["effect"] == "NoSchedule" and taint["key"] in _NO_SCHEDULE) or (
        taint["effect"] == "NoExecute" and taint["key"] in _NO_EXECUTE
    )


def _taint(key: str, effect: str, now_s: float) -> Object:
    taint: Object = {"key": key, "effect": effect}
    if effect == "NoExecute":
        taint["timeAdded"] = timestamp(now_s)
    return taint


def may_evict(nodes: Iterable[Object]) -> bool:
    return any(is_ready(node) for node in nodes)
