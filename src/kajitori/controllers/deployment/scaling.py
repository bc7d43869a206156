"""The arithmetic of a rollout: how large each ReplicaSet should be. Pure; follows upstream's deployment controller."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kajitori.api.meta import Object, annotations_of, name_of
from kajitori.controllers.replicas import replicas_of, resolve
from kajitori.kit.numbers import unsigned

DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"


@dataclass(frozen=True, slots=True)
class Resize:
    replica_set: Object
    replicas: int


def available_of(replica_set: Object) -> int:
    return int((replica_set.get("status") or {}).get("availableReplicas") or 0)


def total_replicas(replica_sets: Sequence[Object]) -> int:
    return sum(replicas_of(rs) for rs in replica_sets)


def is_rolling(deployment: Object) -> bool:
    return bool((deployment["spec"].get("strategy") or {}).get("type", "RollingUpdate") == "RollingUpdate")


def max_surge(deployment: Object) -> int:
    return _fenceposts(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: Object) -> int:
    replicas = replicas_of(deployment)
    if not is_rolling(deployment) or not replicas:
        return 0
    return min(_fenceposts(deployment)[1], replicas)


def _fenceposts(deployment: Object) -> tuple[int, int]:
    """Surge and unavailable; never both zero, or nothing could ever move."""
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    replicas = replicas_of(deployment)
    surge = resolve(rolling.get("maxSurge"), replicas, up=True)
    unavailable = resolve(rolling.get("maxUnavailable"), replicas, up=False)
    return surge, 1 if surge == 0 and unavailable == 0 else unavailable


def new_replicas(deployment: Object, every: Sequence[Object], new: Object | None) -> int:
    """How large the current template's set may be now: within what maxSurge leaves."""
    wanted = replicas_of(deployment)
    if not is_rolling(deployment):
        return wanted
    current = replicas_of(new) if new is not None else 0
    if current > wanted:
        return wanted
    room = wanted + max_surge(deployment) - total_replicas(every)
    return current + max(0, min(room, wanted - current))


def shrink_old(deployment: Object, new: Object, old: Sequence[Object]) -> list[Resize]:
    """How far old sets may shrink without falling below what must be available: first the broken, then the oldest."""
    every = [*old, new]
    if not total_replicas(old):
        return []
    least_available = replicas_of(deployment) - max_unavailable(deployment)
    new_unavailable = replicas_of(new) - available_of(new)
    budget = total_replicas(every) - least_available - new_unavailable
    if budget <= 0:
        return []
    sizes = {name_of(rs): replicas_of(rs) for rs in old}
    for rs in old:
        broken = min(budget, max(0, sizes[name_of(rs)] - available_of(rs)))
        sizes[name_of(rs)] -= broken
        budget -= broken
    spare = sum(available_of(rs) for rs in every) - least_available
    for rs in old:
        fewer = min(max(0, spare), sizes[name_of(rs)])
        sizes[name_of(rs)] -= fewer
        spare -= fewer
    return [Resize(rs, sizes[name_of(rs)]) for rs in old if sizes[name_of(rs)] != replicas_of(rs)]


def is_scaling(deployment: Object, every: Sequence[Object]) -> bool:
    """Whether the Deployment's size changed since its running sets were last sized."""
    wanted = str(replicas_of(deployment))
    return any(annotations_of(rs).get(DESIRED_REPLICAS, wanted) != wanted for rs in every if replicas_of(rs))


def is_saturated(deployment: Object, new: Object | None) -> bool:
    """Whether the current template's set has all the replicas, all of them available."""
    wanted = replicas_of(deployment)
    return (
        new is not None
        and annotations_of(new).get(DESIRED_REPLICAS) == str(wanted)
        and replicas_of(new) == wanted == available_of(new)
    )


def share_out(deployment: Object, new: Object | None, old: Sequence[Object]) -> list[Resize]:
    """Sizes after the Deployment's own size changed, outside of a rollout's own steps (also while paused)."""
    every = [*old, *([new] if new is not None else [])]
    wanted = replicas_of(deployment)
    active = [rs for rs in every if replicas_of(rs)]
    if len(active) <= 1:
        only = active[0] if active else new if new is not None else old[-1] if old else None
        return [] if only is None or replicas_of(only) == wanted else [Resize(only, wanted)]
    if is_saturated(deployment, new):
        return [Resize(rs, 0) for rs in old if replicas_of(rs)]
    if not is_rolling(deployment):
        return []
    return _in_proportion(deployment, active, (wanted + max_surge(deployment)) if wanted else 0)


def _in_proportion(deployment: Object, active: list[Object], allowed: int) -> list[Resize]:
    """Every set takes its share of the change, the largest first; what rounding leaves goes to the first."""
    to_add = allowed - total_replicas(active)
    age = {name_of(rs): rs["metadata"].get("creationTimestamp") or "" for rs in active}
    # Stable sorts: among equally large ones the newest comes first when growing, the oldest when shrinking.
    ordered = sorted(active, key=lambda rs: age[name_of(rs)], reverse=to_add > 0)
    ordered.sort(key=replicas_of, reverse=True)
    added = 0
    sizes: list[int] = []
    for rs in ordered:
        share = 0
        if to_add != added:
            fraction = _fraction(deployment, rs)
            share = min(fraction, to_add - added) if to_add > 0 else max(fraction, to_add - added)
            share = max(share, 0) if to_add > 0 else min(share, 0)
        added += share
        sizes.append(replicas_of(rs) + share)
    sizes[0] = max(0, sizes[0] + to_add - added)
    return [Resize(rs, size) for rs, size in zip(ordered, sizes, strict=True)]


def _fraction(deployment: Object, replica_set: Object) -> int:
    """A set's share of the change, from its share of the size before it."""
    replicas = replicas_of(replica_set)
    if not replicas_of(deployment):
        return -replicas
    before = unsigned(annotations_of(replica_set).get(MAX_REPLICAS, ""), 2**31 - 1)
    before = before or int((deployment.get("status") or {}).get("replicas") or 0)
    if not before:
        return 0
    exact = replicas * (replicas_of(deployment) + max_surge(deployment)) / before
    return math.floor(exact + 0.5) - replicas
