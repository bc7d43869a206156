"""How a pod shows: most of all its STATUS, which tells the worst that is going on inside."""

from collections.abc import Mapping

from kajitori.api.columns.cells import AGE, NAME, NONE, at, column
from kajitori.api.durations import time_since
from kajitori.api.meta import Object, condition_is, is_deleting
from kajitori.api.pods import is_sidecar, is_terminal
from kajitori.api.resource import Column


def _spec_by_name(pod: Object, field: str) -> Mapping[str, Object]:
    return {container["name"]: container for container in pod["spec"].get(field) or ()}


def _started_sidecar(status: Object, specs: Mapping[str, Object]) -> bool:
    return is_sidecar(specs.get(status.get("name", ""), {})) and bool(status.get("started"))


def _exit(terminated: Object) -> str:
    if reason := terminated.get("reason"):
        return str(reason)
    if signal := terminated.get("signal"):
        return f"Signal:{signal}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _is_over(status: Object) -> bool:
    """Whether an init container has ended well."""
    terminated = (status.get("state") or {}).get("terminated")
    return terminated is not None and not terminated.get("exitCode")


def _reached(pod: Object) -> list[Object]:
    """The statuses of init containers up to the one that holds up the others: those behind it do not count yet."""
    specs = _spec_by_name(pod, "initContainers")
    found = []
    for status in at(pod, "status.initContainerStatuses", ()):
        found.append(status)
        if not _is_over(status) and not _started_sidecar(status, specs):
            break
    return found


def _initializing(pod: Object) -> str | None:
    """What initialisation waits for or failed with; None once it is over."""
    specs = _spec_by_name(pod, "initContainers")
    for index, status in enumerate(_reached(pod)):
        state = status.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting")
        if _is_over(status) or _started_sidecar(status, specs):
            continue
        if terminated is not None:
            return f"Init:{_exit(terminated)}"
        if waiting is not None and waiting.get("reason") not in (None, "", "PodInitializing"):
            return f"Init:{waiting['reason']}"
        return f"Init:{index}/{len(specs)}"
    return None


def _started(pod: Object) -> bool:
    """Whether its main containers say what it does, rather than its init containers."""
    return _initializing(pod) is None or condition_is(pod, "Initialized")


def _main_status(pod: Object, status: str) -> str:
    has_running, failed = False, ""
    for container in reversed(at(pod, "status.containerStatuses", ())):
        state = container.get("state") or {}
        waiting, terminated = state.get("waiting") or {}, state.get("terminated")
        if waiting.get("reason"):
            status = waiting["reason"]
        elif terminated is not None:
            status = _exit(terminated)
            failed = status if terminated.get("exitCode") else failed
        elif container.get("ready") and state.get("running") is not None:
            has_running = True
    if status != "Completed":
        return status
    if has_running and condition_is(pod, "Ready"):
        return "Running"
    return failed or ("NotReady" if has_running else status)


def pod_status(pod: Object) -> str:
    """The STATUS cell."""
    status: str = at(pod, "status.reason") or at(pod, "status.phase", "")
    for condition in at(pod, "status.conditions", ()):
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            status = "SchedulingGated"
    status = _initializing(pod) or status
    if _started(pod):
        status = _main_status(pod, status)
    if is_deleting(pod) and at(pod, "status.reason") == "NodeLost":
        return "Unknown"
    if is_deleting(pod) and not is_terminal(pod):
        return "Terminating"
    return status


def _ready(pod: Object) -> str:
    init_specs = _spec_by_name(pod, "initContainers")
    total = len(pod["spec"].get("containers") or ()) + sum(map(is_sidecar, init_specs.values()))
    ready = sum(
        bool(status.get("ready")) and _started_sidecar(status, init_specs) and not _is_over(status)
        for status in _reached(pod)
    )
    if _started(pod):
        for status in at(pod, "status.containerStatuses", ()):
            ready += bool(status.get("ready")) and (status.get("state") or {}).get("running") is not None
    return f"{ready}/{total}"


def _restarts(pod: Object, now_s: float) -> str:
    """Of the init containers while they run; of sidecars and main containers after."""
    counted = _reached(pod)
    if _started(pod):
        specs = _spec_by_name(pod, "initContainers")
        counted = [status for status in counted if is_sidecar(specs.get(status.get("name", ""), {}))]
        counted += at(pod, "status.containerStatuses", ())
    count = sum(status.get("restartCount", 0) for status in counted)
    ends = [end for status in counted if (end := at(status, "lastState.terminated.finishedAt"))]
    if count and ends:
        return f"{count} ({time_since(max(ends), now_s)} ago)"
    return str(count)


def _ip(pod: Object) -> str:
    addresses = at(pod, "status.podIPs", ())
    return (addresses[0].get("ip") if addresses else at(pod, "status.podIP")) or NONE


def _readiness_gates(pod: Object) -> str:
    gates = pod["spec"].get("readinessGates") or ()
    if not gates:
        return NONE
    passed = sum(condition_is(pod, gate.get("conditionType", "")) for gate in gates)
    return f"{passed}/{len(gates)}"


_ENDS = {"Succeeded": "The pod has completed successfully.", "Failed": "The pod failed."}


def row_conditions(pod: Object) -> list[Object]:
    """What a table says of a whole row: that the pod is over (metav1.TableRowCondition)."""
    phase = at(pod, "status.phase", "")
    if phase not in _ENDS:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": _ENDS[phase]}]


POD = (
    NAME,
    column("Ready", _ready),
    column("Status", pod_status),
    Column(name="Restarts", cell=_restarts),
    AGE,
    column("IP", _ip, wide=True),
    column("Node", lambda pod: at(pod, "spec.nodeName") or NONE, wide=True),
    column("Nominated Node", lambda pod: at(pod, "status.nominatedNodeName") or NONE, wide=True),
    column("Readiness Gates", _readiness_gates, wide=True),
)
