"""From what pods use to how many there should be. Pure; follows upstream's replica calculator.

Amounts are thousandths (millicores, milli-bytes). Pods that are not ready, and pods without metrics, are counted so
that they never push the size further in the direction it already goes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kajitori.api import quantity
from kajitori.api.meta import Object, condition_of, is_deleting, name_of
from kajitori.api.pods import phase
from kajitori.api.times import parse_timestamp

# Within this share of the target nothing moves.
TOLERANCE = 0.1
# A starting pod burns CPU that says nothing about its load.
CPU_START_S = 300.0
READINESS_DELAY_S = 30.0

Usage = Mapping[str, Mapping[str, int]]
"""By pod, by container: thousandths of what is measured."""


class NoMetrics(Exception):
    """Nothing can be computed; the message is for the condition."""


@dataclass(frozen=True, slots=True)
class Target:
    """`utilization` in percent of what pods request, or `average` in thousandths a pod. One of them."""

    resource: str
    utilization: int | None = None
    average: int | None = None
    container: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    replicas: int
    average: int
    utilization: int | None


def needed(target: Target, current: int, pods: Sequence[Object], usage: Usage, now_s: float) -> Measured:
    """How many replicas one metric asks for. Raises NoMetrics."""
    alive = [p for p in pods if not is_deleting(p) and phase(p) != "Failed"]
    used, ignored, missing = _group(target, alive, usage, now_s)
    if not used:
        raise NoMetrics(f"no metrics returned from resource metrics API for {target.resource}")
    wanted = {name_of(p): _wanted(target, p) for p in alive}
    ratio = _ratio(used, wanted)
    average = sum(used.values()) // len(used)
    utilization = None
    if target.utilization is not None:
        requested = sum(_requested(target, p) for p in alive if name_of(p) in used)
        utilization = 100 * sum(used.values()) // requested if requested else None
    if not ignored and not missing:
        replicas = current if _is_close(ratio) else _ceil(ratio * len(used))
        return Measured(replicas, average, utilization)
    filled = dict(used)
    for name in missing:
        # Unknown ones: as if at their target when shrinking, as if idle when growing.
        filled[name] = wanted[name] if ratio < 1 else 0
    if ratio > 1:
        filled |= dict.fromkeys(ignored, 0)
    new_ratio = _ratio(filled, wanted)
    turned = (ratio < 1 < new_ratio) or (new_ratio < 1 < ratio)
    replicas = current if _is_close(new_ratio) or turned else _ceil(new_ratio * len(filled))
    if (new_ratio < 1 and replicas > current) or (new_ratio > 1 and replicas < current):
        replicas = current
    return Measured(replicas, average, utilization)


def _group(
    target: Target, pods: Sequence[Object], usage: Usage, now_s: float
) -> tuple[dict[str, int], list[str], list[str]]:
    """What ready pods use; pods to ignore because they are not ready; pods without metrics."""
    used: dict[str, int] = {}
    ignored: list[str] = []
    missing: list[str] = []
    for pod in pods:
        name = name_of(pod)
        if phase(pod) == "Pending":
            ignored.append(name)
        elif name not in usage:
            missing.append(name)
        elif target.resource == "cpu" and _is_starting(pod, now_s):
            ignored.append(name)
        else:
            containers = usage[name]
            used[name] = containers.get(target.container, 0) if target.container else sum(containers.values())
    return used, ignored, missing


def _is_starting(pod: Object, now_s: float) -> bool:
    ready, start = condition_of(pod, "Ready"), (pod.get("status") or {}).get("startTime")
    if ready is None or not start:
        return True
    started_s, turned_s = parse_timestamp(start), parse_timestamp(ready.get("lastTransitionTime") or start)
    if now_s < started_s + CPU_START_S:
        return bool(ready["status"] == "False")
    return bool(ready["status"] == "False") and turned_s < started_s + READINESS_DELAY_S


def _wanted(target: Target, pod: Object) -> int:
    """What the pod should use, in thousandths."""
    if target.average is not None:
        return target.average
    return _requested(target, pod) * (target.utilization or 0) // 100


def _requested(target: Target, pod: Object) -> int:
    total = 0
    for container in pod["spec"].get("containers") or ():
        if target.container and container["name"] != target.container:
            continue
        request = ((container.get("resources") or {}).get("requests") or {}).get(target.resource)
        if request is None and target.utilization is not None:
            raise NoMetrics(
                f"missing request for {target.resource} in container {container['name']} of Pod {name_of(pod)}"
            )
        total += quantity.milli(request or 0)
    return total


def _ratio(used: Mapping[str, int], wanted: Mapping[str, int]) -> float:
    total = sum(wanted[name] for name in used)
    return sum(used.values()) / total if total else 0.0


def _is_close(ratio: float) -> bool:
    return abs(ratio - 1.0) <= TOLERANCE


def _ceil(number: float) -> int:
    """Up, but not for the dust of floating point."""
    return math.ceil(number - 1e-9)
