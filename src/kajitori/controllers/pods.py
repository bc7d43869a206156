"""Pods as their controllers see them: made from a template, available after a while, deleted in an order."""

import copy
import math
from collections.abc import Iterable, Mapping

from kajitori.api.meta import Object, annotations_of, condition_of, name_of, owner_reference, uid_of
from kajitori.api.pods import is_ready, node_name, phase
from kajitori.api.times import parse_timestamp

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_NAME_LENGTH_MAX = 253
_PHASE_RANK = {"Pending": 0, "Unknown": 1, "Running": 2}


def pod_from_template(template: Object, owner: Object, *, name: str = "") -> Object:
    """A pod that `owner` controls. Without a name the server generates one from the owner's."""
    meta = template.get("metadata") or {}
    metadata: Object = {
        "labels": dict(meta.get("labels") or {}),
        "annotations": dict(meta.get("annotations") or {}),
        "ownerReferences": [owner_reference(owner)],
        "namespace": owner["metadata"]["namespace"],
    }
    if meta.get("finalizers"):
        metadata["finalizers"] = list(meta["finalizers"])
    if name:
        metadata["name"] = name
    else:
        metadata["generateName"] = f"{name_of(owner)}-"[:_NAME_LENGTH_MAX]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": copy.deepcopy(template["spec"])}


def available_in_s(pod: Object, min_ready_s: int, now_s: float) -> float | None:
    """Seconds until a pod has been ready for `min_ready_s`: 0 for an available one, None for one that is not ready."""
    if not is_ready(pod):
        return None
    if not min_ready_s:
        return 0.0
    since = (condition_of(pod, "Ready") or {}).get("lastTransitionTime")
    if not since:
        return None
    return max(0.0, parse_timestamp(since) + min_ready_s - now_s)


def is_available(pod: Object, min_ready_s: int, now_s: float) -> bool:
    return available_in_s(pod, min_ready_s, now_s) == 0.0


def next_available_s(pods: Iterable[Object], min_ready_s: int, now_s: float) -> float | None:
    """When the next of these ready pods becomes available; None when there is nothing to wait for."""
    waits = (available_in_s(pod, min_ready_s, now_s) for pod in pods)
    return min((wait for wait in waits if wait), default=None)


def deletion_order(pods: Iterable[Object], neighbours: Iterable[Object], now_s: float) -> list[Object]:
    """Pods, those to be deleted first coming first.

    Unassigned before assigned, Pending before Running, not ready before ready, cheap before dear, crowded nodes first
    (`neighbours` are the pods of the same application), then the young, the restarted and the newest. Ages within the
    same power of two count as equal (KEP-2185), so that a scale-down does not always hit the same failure domain.
    """
    crowd: dict[str, int] = {}
    for pod in neighbours:
        if phase(pod) not in ("Succeeded", "Failed"):
            crowd[node_name(pod)] = crowd.get(node_name(pod), 0) + 1
    return sorted(pods, key=lambda pod: _deletion_rank(pod, crowd, now_s))


def _deletion_rank(pod: Object, crowd: Mapping[str, int], now_s: float) -> tuple[object, ...]:
    ready = is_ready(pod)
    ready_since = (condition_of(pod, "Ready") or {}).get("lastTransitionTime") if ready else None
    return (
        bool(node_name(pod)),
        _PHASE_RANK.get(phase(pod), 0),
        ready,
        deletion_cost(pod),
        -crowd.get(node_name(pod), 0),
        _log_age(ready_since, now_s) if ready_since else 0,
        -_restarts(pod),
        _log_age(pod["metadata"].get("creationTimestamp"), now_s),
        uid_of(pod),
    )


def deletion_cost(pod: Object) -> int:
    text = annotations_of(pod).get(DELETION_COST, "0")
    try:
        return int(text)
    except ValueError:
        return 0


def _log_age(since: str | None, now_s: float) -> int:
    """Age in powers of two seconds; -1 for an unknown one, which is the youngest."""
    if not since:
        return -1
    age = now_s - parse_timestamp(since)
    return int(math.log2(age)) if age >= 1 else 0


def _restarts(pod: Object) -> int:
    """The highest count among its containers."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return max((status.get("restartCount", 0) for status in statuses), default=0)
