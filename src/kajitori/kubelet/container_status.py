"""One entry of status.containerStatuses, from what the runtime shows and what the agent remembers."""

from kajitori.api.meta import Object
from kajitori.api.times import timestamp
from kajitori.kubelet.lifecycle import is_started
from kajitori.kubelet.pod_state import ContainerKind, PodState, Waiting, kind_of
from kajitori.kubelet.resizing import applied
from kajitori.kubelet.runtime import ContainerRecord, ContainerState

RUNTIME_NAME = "containerd"


def container_id(record: ContainerRecord) -> str:
    return f"{RUNTIME_NAME}://{record.id}"


def terminated(record: ContainerRecord) -> Object:
    reason = record.reason or ("Completed" if record.exit_code == 0 else "Error")
    found: Object = {
        "exitCode": record.exit_code,
        "reason": reason,
        "startedAt": timestamp(record.started_s) if record.started_s else None,
        "finishedAt": timestamp(record.finished_s) if record.finished_s else None,
        "containerID": container_id(record),
    }
    if record.message:
        found["message"] = record.message
    return {key: value for key, value in found.items() if value is not None}


def _default_waiting(state: PodState) -> Waiting:
    return Waiting("PodInitializing" if state.spec.get("initContainers") else "ContainerCreating")


def _waiting(waiting: Waiting) -> Object:
    return {"waiting": {"reason": waiting.reason} | ({"message": waiting.message} if waiting.message else {})}


def container_status(state: PodState, container: Object, *, ending: bool) -> Object:
    """`ending`: the pod will start nothing more."""
    name = container["name"]
    kind = kind_of(state.spec, name)
    records = state.containers.get(name) or []
    newest = records[0] if records else None
    shown = _state(state, newest, name, ending=ending)
    status: Object = {
        "name": name,
        "state": shown,
        "lastState": _last_state(records, shown),
        "ready": False,
        "restartCount": _restart_count(newest, state, name),
        "image": (newest.image if newest else "") or container["image"],
        "imageID": newest.image_ref if newest else "",
    }
    if newest is not None:
        status["containerID"] = container_id(newest)
    started = "running" in shown and newest is not None and is_started(state, newest)
    if kind is not ContainerKind.EPHEMERAL:
        status["started"] = started
    status["ready"] = _ready(state, newest, kind, started)
    if newest is not None and container.get("volumeMounts"):
        status["volumeMounts"] = [_mount_status(mount) for mount in container["volumeMounts"]]
    return status | _resources(state, container, newest if "running" in shown else None)


def _mount_status(mount: Object) -> Object:
    shown = {"name": mount["name"], "mountPath": mount["mountPath"]}
    if mount.get("readOnly"):
        shown |= {"readOnly": True, "recursiveReadOnly": "Disabled"}
    return shown


def _resources(state: PodState, container: Object, running: ContainerRecord | None) -> Object:
    """What the node has set aside, and what the running container really has."""
    wanted = container.get("resources") or {}
    have = applied(running, state.resized) if running else None
    actual = {side: {**(wanted.get(side) or {}), **((have or {}).get(side) or {})} for side in ("limits", "requests")}
    found: Object = {}
    if running and any(actual.values()):
        found["resources"] = {side: amounts for side, amounts in actual.items() if amounts}
    allocated = actual["requests"] if state.resize_refused else wanted.get("requests")
    if allocated:
        found["allocatedResources"] = allocated
    return found


def _state(state: PodState, newest: ContainerRecord | None, name: str, *, ending: bool) -> Object:
    waiting = state.waiting.get(name)
    if newest is not None and newest.state is ContainerState.RUNNING:
        return {"running": {"startedAt": timestamp(newest.started_s)}}
    if newest is not None and newest.state is ContainerState.EXITED and (waiting is None or ending):
        return {"terminated": terminated(newest)}
    return _waiting(waiting or _default_waiting(state))


def _last_state(records: list[ContainerRecord], shown: Object) -> Object:
    """The newest record that has ended and is not the one shown now."""
    ended = [r for r in records if r.state is ContainerState.EXITED]
    if "terminated" in shown:
        ended = ended[1:]
    return {"terminated": terminated(ended[0])} if ended else {}


def _restart_count(newest: ContainerRecord | None, state: PodState, name: str) -> int:
    if newest is not None:
        return newest.attempt
    for status in all_reported(state.pod):
        if status["name"] == name:
            return int(status.get("restartCount") or 0)
    return 0


def all_reported(pod: Object) -> list[Object]:
    status = pod.get("status") or {}
    keys = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    return [entry for key in keys for entry in status.get(key) or ()]


def _ready(state: PodState, newest: ContainerRecord | None, kind: ContainerKind, started: bool) -> bool:
    if newest is None or kind is ContainerKind.EPHEMERAL:
        return False
    if kind is ContainerKind.INIT:
        return newest.state is ContainerState.EXITED and newest.exit_code == 0
    probes = state.probes.get(newest.id)
    return started and probes is not None and probes.ready
