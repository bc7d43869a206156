"""How fast a size may move: bounds, stabilisation, and policies such as "four pods or double, every 15 s". Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from kajitori.api.meta import Object

_UP: Object = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
_DOWN: Object = {
    "stabilizationWindowSeconds": 300,
    "selectPolicy": "Max",
    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
}


@dataclass(slots=True)
class Memory:
    """What an autoscaler remembers between rounds: (moment, size) proposed, and (moment, change) made."""

    proposals: list[tuple[float, int]] = field(default_factory=list)
    changes: list[tuple[float, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Decision:
    """`limited` is the reason and message for ScalingLimited, "" when nothing held the size back."""

    replicas: int
    limited: str = ""
    message: str = ""


def rules_of(autoscaler: Object, direction: str) -> Object:
    base = _UP if direction == "scaleUp" else _DOWN
    given = (autoscaler["spec"].get("behavior") or {}).get(direction) or {}
    return {**base, **{key: value for key, value in given.items() if value is not None}}


def limit(autoscaler: Object, current: int, proposed: int, memory: Memory, now_s: float) -> Decision:
    """The size to set now; remembers the proposal."""
    stable = _stabilise(autoscaler, current, proposed, memory, now_s)
    least = autoscaler["spec"].get("minReplicas", 1)
    most = autoscaler["spec"]["maxReplicas"]
    if stable > current:
        ceiling = _ceiling(rules_of(autoscaler, "scaleUp"), current, memory.changes, now_s)
        allowed = min(stable, ceiling)
    elif stable < current:
        floor = _floor(rules_of(autoscaler, "scaleDown"), current, memory.changes, now_s)
        allowed = max(stable, floor)
    else:
        allowed = stable
    if allowed > most:
        return Decision(most, "TooManyReplicas", "the desired replica count is more than the maximum replica count")
    if allowed < least:
        return Decision(least, "TooFewReplicas", "the desired replica count is less than the minimum replica count")
    if allowed < stable:
        return Decision(
            allowed, "ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate"
        )
    if allowed > stable:
        return Decision(
            allowed, "ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate"
        )
    return Decision(allowed)


def _stabilise(autoscaler: Object, current: int, proposed: int, memory: Memory, now_s: float) -> int:
    """Do not grow beyond the lowest, nor shrink below the highest, of what was proposed lately."""
    up_s = rules_of(autoscaler, "scaleUp")["stabilizationWindowSeconds"]
    down_s = rules_of(autoscaler, "scaleDown")["stabilizationWindowSeconds"]
    memory.proposals = [(at, size) for at, size in memory.proposals if at > now_s - max(up_s, down_s)]
    least = min([proposed, *(size for at, size in memory.proposals if at > now_s - up_s)])
    most = max([proposed, *(size for at, size in memory.proposals if at > now_s - down_s)])
    memory.proposals.append((now_s, proposed))
    return int(min(max(current, least), most))


def _changed(changes: Sequence[tuple[float, int]], period_s: float, now_s: float, sign: int) -> int:
    return sum(change * sign for at, change in changes if at > now_s - period_s and change * sign > 0)


def _ceiling(rules: Object, current: int, changes: Sequence[tuple[float, int]], now_s: float) -> int:
    if rules["selectPolicy"] == "Disabled":
        return current
    sizes = []
    for policy in rules["policies"]:
        period_s = policy["periodSeconds"]
        start = current - _changed(changes, period_s, now_s, 1) + _changed(changes, period_s, now_s, -1)
        by_percent = math.ceil(start * (1 + policy["value"] / 100))
        sizes.append(start + policy["value"] if policy["type"] == "Pods" else by_percent)
    return max(current, int(max(sizes) if rules["selectPolicy"] == "Max" else min(sizes)))


def _floor(rules: Object, current: int, changes: Sequence[tuple[float, int]], now_s: float) -> int:
    if rules["selectPolicy"] == "Disabled":
        return current
    sizes = []
    for policy in rules["policies"]:
        period_s = policy["periodSeconds"]
        start = current + _changed(changes, period_s, now_s, -1) - _changed(changes, period_s, now_s, 1)
        by_percent = int(start * (1 - policy["value"] / 100))
        sizes.append(start - policy["value"] if policy["type"] == "Pods" else by_percent)
    return min(current, min(sizes) if rules["selectPolicy"] == "Max" else max(sizes))


def remember_change(memory: Memory, change: int, now_s: float) -> None:
    """Policies look back at most half an hour."""
    memory.changes = [(at, size) for at, size in memory.changes if at > now_s - 1800] + [(now_s, change)]
