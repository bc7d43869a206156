"""Where a DaemonSet's pods are created and deleted, and how its update walks over the nodes. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kajitori.api.meta import Object, is_deleting, labels_of, name_of
from kajitori.api.pods import is_ready, is_terminal, phase
from kajitori.controllers.daemonset.placement import by_node, fit
from kajitori.controllers.history import POD_HASH_LABEL
from kajitori.controllers.pods import is_available
from kajitori.controllers.replicas import resolve

# Upstream's burst.
WRITES_PER_ROUND_MAX = 250


@dataclass(slots=True)
class Plan:
    create: list[str] = field(default_factory=list)
    """Names of nodes."""
    delete: list[Object] = field(default_factory=list)
    ended: list[Object] = field(default_factory=list)
    """Those of `delete` that had ended by themselves."""


def plan(daemonset: Object, nodes: Sequence[Object], pods: Iterable[Object], digest: str, now_s: float) -> Plan:
    """First every node gets its pod; only when nothing is missing does the update go on."""
    result = Plan()
    placed = by_node(pods)
    for node in nodes:
        _manage(daemonset, node, placed.get(name_of(node), []), digest, now_s, result)
    known = {name_of(node) for node in nodes}
    for name, stray in placed.items():
        # A pod without a node that is left over from a deleted node would wait for ever.
        if name not in known:
            result.delete += [p for p in stray if not is_deleting(p) and not p["spec"].get("nodeName")]
    if not result.create and not result.delete and _strategy(daemonset) == "RollingUpdate":
        _roll(daemonset, nodes, placed, digest, now_s, result)
    result.create = result.create[:WRITES_PER_ROUND_MAX]
    result.delete = result.delete[:WRITES_PER_ROUND_MAX]
    now_deleted = {id(pod) for pod in result.delete}
    result.ended = [pod for pod in result.ended if id(pod) in now_deleted]
    return result


def _strategy(daemonset: Object) -> str:
    return (daemonset["spec"].get("updateStrategy") or {}).get("type") or "RollingUpdate"


def _limits(daemonset: Object, wanted: int) -> tuple[int, int]:
    """maxUnavailable and maxSurge in pods; never both zero."""
    rolling = (daemonset["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    unavailable = resolve(rolling.get("maxUnavailable", 1), wanted, up=True)
    surge = resolve(rolling.get("maxSurge", 0), wanted, up=True)
    return (1 if unavailable == 0 and surge == 0 else unavailable), surge


def _is_available(daemonset: Object, pod: Object, now_s: float) -> bool:
    return is_available(pod, daemonset["spec"].get("minReadySeconds") or 0, now_s)


def _is_current(pod: Object, digest: str) -> bool:
    return labels_of(pod).get(POD_HASH_LABEL) == digest


def _manage(daemonset: Object, node: Object, pods: list[Object], digest: str, now_s: float, result: Plan) -> None:
    may_start, may_stay = fit(daemonset["spec"]["template"], node)
    leaving = [p for p in pods if is_deleting(p)]
    ended = [p for p in pods if not is_deleting(p) and is_terminal(p)]
    running = [p for p in pods if not is_deleting(p) and not is_terminal(p)]
    if not may_stay:
        result.delete += [*ended, *running]
        return
    result.delete += ended
    result.ended += ended
    if may_start and not running and not ended and not leaving:
        result.create.append(name_of(node))
    if len(running) > 1:
        result.delete += _superfluous(daemonset, running, digest, now_s)


def _superfluous(daemonset: Object, running: list[Object], digest: str, now_s: float) -> list[Object]:
    """More than one pod on a node is right only while a surge replaces an old one by a new one."""
    new = [p for p in running if _is_current(p, digest)]
    old = [p for p in running if not _is_current(p, digest)]
    if _strategy(daemonset) != "RollingUpdate" or not _limits(daemonset, 1)[1] or not new or not old:
        return running[1:]
    if _is_available(daemonset, new[0], now_s):
        return [*old, *new[1:]]
    return [*old[1:], *new[1:]]


def _roll(
    daemonset: Object,
    nodes: Sequence[Object],
    placed: Mapping[str, list[Object]],
    digest: str,
    now_s: float,
    result: Plan,
) -> None:
    wanted = [n for n in nodes if fit(daemonset["spec"]["template"], n)[0]]
    unavailable_max, surge_max = _limits(daemonset, len(wanted))
    states = []
    for node in wanted:
        alive = [p for p in placed.get(name_of(node), []) if not is_deleting(p)]
        new = next((p for p in alive if _is_current(p, digest)), None)
        old = next((p for p in alive if not _is_current(p, digest)), None)
        states.append((name_of(node), new, old))
    if surge_max:
        _roll_with_surge(daemonset, states, surge_max, now_s, result)
    else:
        _roll_in_place(daemonset, states, unavailable_max, now_s, result)


State = tuple[str, Object | None, Object | None]


def _roll_in_place(daemonset: Object, states: list[State], most: int, now_s: float, result: Plan) -> None:
    unavailable = 0
    broken: list[Object] = []
    serving: list[Object] = []
    for _, new, old in states:
        if new is not None:
            unavailable += not _is_available(daemonset, new, now_s)
        elif old is None:
            unavailable += 1
        elif _is_available(daemonset, old, now_s):
            serving.append(old)
        else:
            # It does not serve, so replacing it costs nothing.
            unavailable += 1
            broken.append(old)
    result.delete += broken + serving[: max(0, most - unavailable)]


def _roll_with_surge(daemonset: Object, states: list[State], most: int, now_s: float, result: Plan) -> None:
    surging = sum(new is not None and old is not None for _, new, old in states)
    room = max(0, most - surging)
    for node, new, old in states:
        if old is None or new is not None:
            continue
        if not _is_available(daemonset, old, now_s):
            result.create.append(node)
        elif room:
            result.create.append(node)
            room -= 1


def status_of(
    daemonset: Object,
    nodes: Sequence[Object],
    pods: Iterable[Object],
    digest: str,
    collisions: int | None,
    now_s: float,
) -> Object:
    placed = by_node(pods)
    desired = scheduled = misplaced = ready = updated = available = 0
    for node in nodes:
        mine = [p for p in placed.get(name_of(node), []) if not is_terminal(p)]
        if not fit(daemonset["spec"]["template"], node)[0]:
            misplaced += bool(mine)
            continue
        desired += 1
        if not mine:
            continue
        scheduled += 1
        best = next((p for p in mine if _is_current(p, digest) and not is_deleting(p)), mine[0])
        serving = [p for p in mine if phase(p) == "Running" and is_ready(p)]
        ready += bool(serving)
        available += any(_is_available(daemonset, p, now_s) for p in serving)
        updated += _is_current(best, digest)
    status: Object = {
        "currentNumberScheduled": scheduled,
        "numberMisscheduled": misplaced,
        "desiredNumberScheduled": desired,
        "numberReady": ready,
        "observedGeneration": daemonset["metadata"].get("generation", 0),
    }
    optional = {
        "updatedNumberScheduled": updated,
        "numberAvailable": available,
        "numberUnavailable": desired - available,
        "collisionCount": collisions,
    }
    status |= {key: value for key, value in optional.items() if value}
    if (daemonset.get("status") or {}).get("conditions"):
        status["conditions"] = daemonset["status"]["conditions"]
    return status
