"""What a StatefulSet does next. Pure: the set, its templates and its pods in; creations, deletions and a status out.

OrderedReady does one thing at a time and waits for each pod to be ready before the next; Parallel does not wait, except
that updates keep to `maxUnavailable`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from kajitori.api.meta import Object, is_deleting, labels_of
from kajitori.api.pods import is_ready, phase
from kajitori.controllers.history import POD_HASH_LABEL
from kajitori.controllers.pods import is_available
from kajitori.controllers.replicas import replicas_of, resolve
from kajitori.controllers.statefulset.identity import first_ordinal, ordinal_of


@dataclass(frozen=True, slots=True)
class Create:
    ordinal: int
    revision: str


@dataclass(frozen=True, slots=True)
class Delete:
    pod: Object
    reason: str = ""
    """Event reason when a pod is deleted in order to be made again."""


Action = Create | Delete


@dataclass(slots=True)
class Plan:
    actions: list[Action] = field(default_factory=list)
    condemned: list[Object] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Revisions:
    current: str
    update: str


def is_ordered(statefulset: Object) -> bool:
    return bool(statefulset["spec"].get("podManagementPolicy", "OrderedReady") == "OrderedReady")


def _strategy(statefulset: Object) -> str:
    return (statefulset["spec"].get("updateStrategy") or {}).get("type") or "RollingUpdate"


def partition_of(statefulset: Object) -> int:
    rolling = (statefulset["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    return int(rolling.get("partition") or 0)


def max_unavailable(statefulset: Object) -> int:
    rolling = (statefulset["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    return max(1, resolve(rolling.get("maxUnavailable", 1), replicas_of(statefulset), up=False))


def plan(statefulset: Object, pods: Sequence[Object], revisions: Revisions, now_s: float) -> Plan:
    result = Plan()
    if is_deleting(statefulset):
        return result
    places, result.condemned = _place(statefulset, pods)
    if (
        _fill(statefulset, places, revisions, now_s, result)
        and _scale_down(statefulset, [p for p in places.values() if p], now_s, result)
        and _strategy(statefulset) == "RollingUpdate"
    ):
        _update(statefulset, places, revisions, now_s, result)
    return result


def _place(statefulset: Object, pods: Sequence[Object]) -> tuple[dict[int, Object | None], list[Object]]:
    """Pods by ordinal, None for a missing one; and those beyond the wanted range, the highest first."""
    start = first_ordinal(statefulset)
    places: dict[int, Object | None] = dict.fromkeys(range(start, start + replicas_of(statefulset)))
    condemned: list[tuple[int, Object]] = []
    for pod in pods:
        ordinal = ordinal_of(statefulset, pod)
        if ordinal is None:
            continue
        if ordinal in places:
            places[ordinal] = pod
        else:
            condemned.append((ordinal, pod))
    return places, [pod for _, pod in sorted(condemned, key=lambda entry: -entry[0])]


def _is_healthy(statefulset: Object, pod: Object, now_s: float) -> bool:
    min_ready_s = statefulset["spec"].get("minReadySeconds") or 0
    return phase(pod) == "Running" and not is_deleting(pod) and is_ready(pod) and is_available(pod, min_ready_s, now_s)


def _fill(
    statefulset: Object, places: dict[int, Object | None], revisions: Revisions, now_s: float, result: Plan
) -> bool:
    """Create what is missing, remake what has ended. False when order demands to wait."""
    ordered = is_ordered(statefulset)
    for ordinal, pod in places.items():
        if pod is None:
            result.actions.append(Create(ordinal, _revision_for(statefulset, ordinal, revisions)))
        elif phase(pod) in ("Failed", "Succeeded") and not is_deleting(pod):
            reason = "RecreatingFailedPod" if phase(pod) == "Failed" else "RecreatingTerminatedPod"
            result.actions.append(Delete(pod, reason))
        elif not ordered or _is_healthy(statefulset, pod, now_s):
            continue
        if ordered:
            return False
    return not result.actions


def _revision_for(statefulset: Object, ordinal: int, revisions: Revisions) -> str:
    """A pod below the partition is remade as it was."""
    if _strategy(statefulset) != "RollingUpdate":
        return revisions.update
    return revisions.current if ordinal < first_ordinal(statefulset) + partition_of(statefulset) else revisions.update


def _scale_down(statefulset: Object, kept: list[Object], now_s: float, result: Plan) -> bool:
    """Delete what is beyond the wanted number, the highest ordinal first. False when order demands to wait."""
    ordered = is_ordered(statefulset)
    unhealthy = [p for p in [*kept, *reversed(result.condemned)] if not _is_healthy(statefulset, p, now_s)]
    for pod in result.condemned:
        if is_deleting(pod):
            if ordered:
                return False
            continue
        if ordered and not _is_healthy(statefulset, pod, now_s) and unhealthy and pod is not unhealthy[0]:
            # Another pod is in trouble: removing this one as well would shrink the quorum twice.
            return False
        result.actions.append(Delete(pod))
        if ordered:
            return False
    return not result.actions


def _update(
    statefulset: Object, places: dict[int, Object | None], revisions: Revisions, now_s: float, result: Plan
) -> None:
    """Replace pods of another revision from the highest ordinal down to the partition."""
    allowed = max_unavailable(statefulset)
    if is_ordered(statefulset) and "maxUnavailable" not in (
        (statefulset["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    ):
        allowed = 1
    present = {ordinal: pod for ordinal, pod in places.items() if pod is not None}
    floor = first_ordinal(statefulset) + partition_of(statefulset)
    unavailable = sum(not _is_healthy(statefulset, pod, now_s) for ordinal, pod in present.items() if ordinal >= floor)
    for ordinal in sorted((o for o in present if o >= floor), reverse=True):
        pod = present[ordinal]
        outdated = labels_of(pod).get(POD_HASH_LABEL) != revisions.update
        if not outdated or is_deleting(pod):
            continue
        if not _is_healthy(statefulset, pod, now_s):
            # It does not serve anyway.
            result.actions.append(Delete(pod))
        elif unavailable < allowed:
            result.actions.append(Delete(pod))
            unavailable += 1
        else:
            return
        if allowed == 1:
            return


def status_of(
    statefulset: Object, pods: Sequence[Object], revisions: Revisions, collisions: int | None, now_s: float
) -> Object:
    old = statefulset.get("status") or {}
    min_ready_s = statefulset["spec"].get("minReadySeconds") or 0
    mine = [pod for pod in pods if ordinal_of(statefulset, pod) is not None]
    ready = [pod for pod in mine if phase(pod) == "Running" and is_ready(pod)]
    alive = [pod for pod in mine if not is_deleting(pod)]

    def of_revision(revision: str) -> int:
        return sum(labels_of(pod).get(POD_HASH_LABEL) == revision for pod in alive)

    status: Object = {
        "replicas": len(mine),
        "readyReplicas": len(ready),
        "availableReplicas": sum(is_available(pod, min_ready_s, now_s) for pod in ready),
        "currentReplicas": of_revision(revisions.current),
        "updatedReplicas": of_revision(revisions.update),
        "currentRevision": revisions.current,
        "updateRevision": revisions.update,
        "observedGeneration": statefulset["metadata"].get("generation", 0),
        "collisionCount": collisions or 0,
    }
    replicas = replicas_of(statefulset)
    if _strategy(statefulset) == "RollingUpdate" and status["updatedReplicas"] == replicas == status["replicas"] == len(
        ready
    ):
        status["currentReplicas"] = status["updatedReplicas"]
        status["currentRevision"] = revisions.update
    for count in ("readyReplicas", "currentReplicas", "updatedReplicas"):
        if not status[count]:
            del status[count]
    if old.get("conditions"):
        status["conditions"] = old["conditions"]
    return status
