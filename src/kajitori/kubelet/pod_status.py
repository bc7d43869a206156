"""PodStatus: phase, conditions and addresses, computed from what is known of the pod (upstream's rules)."""

from dataclasses import dataclass

from kajitori.api.meta import Object, condition_of, set_condition
from kajitori.api.pods import is_sidecar, qos_class
from kajitori.api.times import timestamp
from kajitori.kubelet.actions import TearDown
from kajitori.kubelet.container_status import container_status
from kajitori.kubelet.lifecycle import init_failed, is_over, is_started
from kajitori.kubelet.pod_state import PodState
from kajitori.kubelet.restart_policy import restarts
from kajitori.kubelet.runtime import ContainerState

RESIZE_PENDING, RESIZE_IN_PROGRESS = "PodResizePending", "PodResizeInProgress"
EVICTED_BY_NODE = "TerminationByKubelet"
OWNED_CONDITIONS = (
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
    RESIZE_PENDING,
    RESIZE_IN_PROGRESS,
)


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """What a pod's status says of its node."""

    ips: tuple[str, ...]


def status_of(state: PodState, node: NodeAddress, now_s: float) -> Object:
    """The status to report. Conditions of others (readiness gates, disruption) are kept as the object has them."""
    spec, old = state.spec, known_status(state)
    now = timestamp(now_s)
    if _rejected(state):
        return _refusal(state, now)
    if _is_history(state, old):
        return old
    ending = state.is_leaving or state.end is not None or is_over(state)
    inits = [container_status(state, c, ending=ending) for c in spec.get("initContainers") or ()]
    mains = [container_status(state, c, ending=ending) for c in spec["containers"]]
    extras = [container_status(state, c, ending=ending) for c in spec.get("ephemeralContainers") or ()]
    phase = _phase(state, old)
    status: Object = {
        "phase": phase,
        "conditions": _conditions(state, phase, inits, mains, old, now),
        "startTime": old.get("startTime") or timestamp(state.started_s or now_s),
        "qosClass": old.get("qosClass") or qos_class(state.pod),
        "hostIP": node.ips[0] if node.ips else "",
        "hostIPs": [{"ip": ip} for ip in node.ips],
        "containerStatuses": mains,
        "observedGeneration": state.pod["metadata"].get("generation"),
    }
    if inits:
        status["initContainerStatuses"] = inits
    if extras:
        status["ephemeralContainerStatuses"] = extras
    ips = _pod_ips(state, node, old)
    if ips:
        status |= {"podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips]}
    if state.end is not None:
        status |= {"reason": state.end.reason, "message": state.end.message}
    return {key: value for key, value in status.items() if value is not None}


def is_own(condition: Object) -> bool:
    """Whether this agent writes it; a disruption may also be told by others."""
    return condition["type"] in OWNED_CONDITIONS or condition.get("reason") == EVICTED_BY_NODE


def known_status(state: PodState) -> Object:
    """What we told last, with what others have written since."""
    seen = state.pod.get("status") or {}
    if not state.reported:
        return dict(seen)
    own = [c for c in state.reported.get("conditions") or () if is_own(c)]
    foreign = [c for c in seen.get("conditions") or () if not is_own(c)]
    return {**state.reported, "conditions": own + foreign}


def _is_history(state: PodState, old: Object) -> bool:
    """It has ended and been told; its containers are being removed, or are, though a finalizer may keep the object."""
    if not state.is_leaving or old.get("phase") not in ("Succeeded", "Failed"):
        return False
    return state.torn_down or TearDown.key in state.busy or not state.containers


def _rejected(state: PodState) -> bool:
    return state.end is not None and not state.admitted and not state.containers and not state.sandboxes


def _refusal(state: PodState, now: str) -> Object:
    assert state.end is not None
    status = {"phase": "Failed", "reason": state.end.reason, "message": state.end.message}
    old = known_status(state)
    return status | {"startTime": old.get("startTime") or now, "qosClass": old.get("qosClass") or qos_class(state.pod)}


def _pod_ips(state: PodState, node: NodeAddress, old: Object) -> list[str]:
    if state.spec.get("hostNetwork"):
        return list(node.ips)
    newest = state.sandboxes[0] if state.sandboxes else None
    if newest is not None and newest.ips:
        return list(newest.ips)
    if newest is None or not newest.ready:
        # A pod that ended keeps the address that it had.
        return [entry["ip"] for entry in old.get("podIPs") or ()]
    return []


def _phase(state: PodState, old: Object) -> str:
    """Upstream's rule: pending until initialised and every container has run; over when none will run again."""
    if old.get("phase") in ("Succeeded", "Failed"):
        return str(old["phase"])
    if state.end is not None:
        return "Failed" if not list(state.running()) else _phase_of_containers(state)
    return _phase_of_containers(state)


def _phase_of_containers(state: PodState) -> str:
    spec = state.spec
    if init_failed(state):
        return "Failed"
    if not _initialized(state):
        return "Pending"
    running = stopped = succeeded = waiting = 0
    for container in spec["containers"]:
        record = state.latest(container["name"])
        if record is None or record.state in (ContainerState.CREATED, ContainerState.UNKNOWN):
            waiting += 1
        elif record.state is ContainerState.RUNNING or (restarts(spec, container, record) and not state.is_leaving):
            running += 1
        else:
            stopped += 1
            succeeded += record.exit_code == 0
    if waiting:
        # A container that never ran because the pod is leaving does not hold it back.
        return "Pending" if not state.is_leaving or not (running or stopped) else "Failed"
    if running:
        return "Running"
    if any(True for _ in state.running()):
        return "Running"
    return "Succeeded" if succeeded == stopped else "Failed"


def _initialized(state: PodState) -> bool:
    if any(state.latest(c["name"]) for c in state.spec["containers"]):
        return True
    for container in state.spec.get("initContainers") or ():
        record = state.latest(container["name"])
        if record is None:
            return False
        if is_sidecar(container):
            if not is_started(state, record):
                return False
        elif record.state is not ContainerState.EXITED or record.exit_code != 0:
            return False
    return True


def _conditions(
    state: PodState, phase: str, inits: list[Object], mains: list[Object], old: Object, now: str
) -> list[Object]:
    conditions = [dict(c) for c in old.get("conditions") or ()]
    generation = state.pod["metadata"].get("generation")
    found = [
        _ready_to_start(state),
        _initialized_condition(state, phase, inits),
        _ready_condition(state, phase, inits, mains),
        _containers_ready(state, phase, inits, mains),
        {"type": "PodScheduled", "status": "True"},
    ]
    conditions = [c for c in conditions if c["type"] not in (RESIZE_PENDING, RESIZE_IN_PROGRESS)]
    found += _resize_conditions(state)
    if state.end is not None and state.end.reason == "Evicted":
        found.append(
            {
                "type": "DisruptionTarget",
                "status": "True",
                "reason": EVICTED_BY_NODE,
                "message": state.end.message,
            }
        )
    for condition in found:
        known = {"lastProbeTime": None, **condition}
        if generation is not None:
            known["observedGeneration"] = generation
        previous = condition_of({"status": {"conditions": conditions}}, condition["type"])
        if previous is not None:
            for gone in ("reason", "message"):
                if gone not in condition:
                    previous.pop(gone, None)
        set_condition(conditions, known, now)
    return conditions


def _resize_conditions(state: PodState) -> list[Object]:
    """Only there while a resize is refused or under way."""
    if state.resize_refused:
        reason, message = state.resize_refused
        return [{"type": RESIZE_PENDING, "status": "True", "reason": reason, "message": message}]
    if any(key.startswith("resize ") for key in state.busy):
        return [{"type": RESIZE_IN_PROGRESS, "status": "True"}]
    return []


def _ready_to_start(state: PodState) -> Object:
    newest = state.sandboxes[0] if state.sandboxes else None
    up = newest is not None and newest.ready and bool(newest.ips or state.spec.get("hostNetwork"))
    return {"type": "PodReadyToStartContainers", "status": "True" if up else "False"}


def _initialized_condition(state: PodState, phase: str, inits: list[Object]) -> Object:
    if _initialized(state) or phase == "Succeeded":
        reason = {"reason": "PodCompleted"} if phase == "Succeeded" else {}
        return {"type": "Initialized", "status": "True"} | reason
    sidecars = _sidecars(state)
    incomplete = [s["name"] for s in inits if not s["started" if s["name"] in sidecars else "ready"]]
    message = f"containers with incomplete status: [{' '.join(incomplete)}]"
    return {"type": "Initialized", "status": "False", "reason": "ContainersNotInitialized", "message": message}


def _sidecars(state: PodState) -> set[str]:
    return {c["name"] for c in state.spec.get("initContainers") or () if is_sidecar(c)}


def _containers_ready(state: PodState, phase: str, inits: list[Object], mains: list[Object]) -> Object:
    kind = "ContainersReady"
    if phase in ("Succeeded", "Failed"):
        reason = "PodCompleted" if phase == "Succeeded" else "PodFailed"
        return {"type": kind, "status": "False", "reason": reason}
    sidecars = _sidecars(state)
    relevant = [s for s in inits if s["name"] in sidecars] + mains
    unready = [s["name"] for s in relevant if not s["ready"]]
    if not unready:
        return {"type": kind, "status": "True"}
    message = f"containers with unready status: [{' '.join(unready)}]"
    return {"type": kind, "status": "False", "reason": "ContainersNotReady", "message": message}


def _ready_condition(state: PodState, phase: str, inits: list[Object], mains: list[Object]) -> Object:
    containers = _containers_ready(state, phase, inits, mains)
    if containers["status"] != "True":
        return {**containers, "type": "Ready"}
    problems = []
    for gate in state.spec.get("readinessGates") or ():
        condition = condition_of(state.pod, gate["conditionType"])
        if condition is None:
            problems.append(f'corresponding condition of pod readiness gate "{gate["conditionType"]}" does not exist.')
        elif condition.get("status") != "True":
            problems.append(f'the status of pod readiness gate "{gate["conditionType"]}" is not "True", but '
                            f"{condition.get('status')}")  # fmt: skip
    if problems:
        message = ", ".join(problems)
        return {"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady", "message": message}
    return {"type": "Ready", "status": "True"}
