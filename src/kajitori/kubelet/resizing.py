"""Changing the CPU and memory of containers that run (KEP-1287): what is applied, what is wanted, what may be given."""

import json
from collections.abc import Iterable, Mapping

from kajitori.api.meta import Object
from kajitori.api.pods import amount, pod_requests
from kajitori.kubelet import labels
from kajitori.kubelet.runtime import ContainerRecord

RESIZABLE = ("cpu", "memory")
DEFERRED, INFEASIBLE = "Deferred", "Infeasible"
Amounts = dict[str, dict[str, str]]
"""`limits` and `requests`, of CPU and memory."""


def resizable(container: Object) -> Amounts:
    resources = container.get("resources") or {}
    found = {
        side: {name: str(resources[side][name]) for name in RESIZABLE if name in resources[side]}
        for side in ("limits", "requests")
        if resources.get(side)
    }
    return {side: amounts for side, amounts in found.items() if amounts}


def note(container: Object) -> str:
    """What is written on a container when it is made."""
    return json.dumps(resizable(container), sort_keys=True)


def applied(record: ContainerRecord, remembered: Mapping[str, Amounts]) -> Amounts | None:
    """What a running container has; None for one that was made without a note."""
    if record.id in remembered:
        return remembered[record.id]
    text = record.annotations.get(labels.CONTAINER_RESOURCES)
    if not text:
        return None
    found: Amounts = json.loads(text)
    return found


def _same(left: Amounts, right: Amounts) -> bool:
    def counted(amounts: Amounts) -> dict[tuple[str, str], int]:
        return {(side, name): amount(name, text) for side, found in amounts.items() for name, text in found.items()}

    return counted(left) == counted(right)


def differs(container: Object, record: ContainerRecord, remembered: Mapping[str, Amounts]) -> bool:
    have = applied(record, remembered)
    return have is not None and not _same(have, resizable(container))


def needs_restart(container: Object, have: Amounts) -> bool:
    """Whether the container's resizePolicy wants a restart for a resource that changes."""
    want = resizable(container)
    changed = {
        name
        for side in ("limits", "requests")
        for name in RESIZABLE
        if (have.get(side) or {}).get(name) != (want.get(side) or {}).get(name)
    }
    policies = container.get("resizePolicy") or ()
    return any(p["resourceName"] in changed and p.get("restartPolicy") == "RestartContainer" for p in policies)


def refused(pod: Object, others: Iterable[Object], allocatable: Mapping[str, str]) -> tuple[str, str] | None:
    """Why the node cannot give what the pod now requests: never (Infeasible) or not now (Deferred)."""
    wanted = pod_requests(pod)
    used: dict[str, int] = dict.fromkeys(RESIZABLE, 0)
    for other in others:
        needs = pod_requests(other)
        for name in RESIZABLE:
            used[name] += needs.get(name, 0)
    for name in RESIZABLE:
        capacity, need = amount(name, allocatable.get(name, "0")), wanted.get(name, 0)
        if need > capacity:
            return INFEASIBLE, f"Node didn't have enough capacity: {name}, requested: {need}, capacity: {capacity}"
        if need + used[name] > capacity:
            amounts = f"requested: {need}, used: {used[name]}, capacity: {capacity}"
            return DEFERRED, f"Node didn't have enough resource: {name}, {amounts}"
    return None
