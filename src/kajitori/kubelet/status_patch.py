"""A pod's new status as a strategic merge patch that touches only what is the node agent's own."""

from kajitori.api.meta import Object
from kajitori.kubelet.pod_status import is_own

_REPLACED_LISTS = ("podIPs", "hostIPs")
"""Lists that the patch would merge by address: ours are whole."""
_OPTIONAL = (
    "reason",
    "message",
    "podIP",
    "podIPs",
    "hostIP",
    "hostIPs",
    "initContainerStatuses",
    "containerStatuses",
    "ephemeralContainerStatuses",
)


def status_patch(uid: str, old: Object, new: Object) -> Object:
    """`uid` keeps it from reaching another pod of the same name. What `new` lacks but `old` has is removed."""
    status: Object = {key: value for key, value in new.items() if key != "conditions"}
    for key in _OPTIONAL:
        if key in old and key not in new:
            status[key] = None
    for key in _REPLACED_LISTS:
        if status.get(key):
            status[key] = [{"$patch": "replace"}, *status[key]]
    present = {c["type"] for c in new.get("conditions") or ()}
    gone = [c["type"] for c in old.get("conditions") or () if is_own(c)]
    mine = [c for c in new.get("conditions") or () if is_own(c)]
    if mine:
        status["conditions"] = [{"reason": None, "message": None, **c} for c in mine]
        status["conditions"] += [{"type": kind, "$patch": "delete"} for kind in gone if kind not in present]
    return {"metadata": {"uid": uid}, "status": status}
