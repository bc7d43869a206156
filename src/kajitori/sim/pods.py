"""What a simulated node makes of a pod: it runs at once, and ends at once when it is meant to end. Pure."""

from collections.abc import Sequence
from enum import Enum, auto

from kajitori.api.meta import Object, is_deleting, uid_of
from kajitori.api.times import timestamp

_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady")


class Step(Enum):
    """What to do about a pod now."""

    NOTHING = auto()
    START = auto()
    """Write that it runs; or, with a restart policy other than Always, that it ran and succeeded."""
    REMOVE = auto()


def next_step(pod: Object) -> Step:
    if is_deleting(pod):
        return Step.REMOVE
    return Step.START if pod.get("status", {}).get("phase", "Pending") == "Pending" else Step.NOTHING


def started_status(pod: Object, host_ip: str, pod_ip: str, now_s: float) -> Object:
    """A strategic merge patch's `status`: conditions are merged by type, so the scheduler's stays."""
    spec, now = pod["spec"], timestamp(now_s)
    succeeds = spec.get("restartPolicy", "Always") != "Always"
    address = host_ip if spec.get("hostNetwork") else pod_ip
    reason = {"reason": "PodCompleted"} if succeeds else {}
    unready = ("Ready", "ContainersReady", "PodReadyToStartContainers") if succeeds else ()
    return {
        "phase": "Succeeded" if succeeds else "Running",
        "conditions": [
            {"type": kind, "lastTransitionTime": now, "status": "False", **reason}
            if kind in unready
            else {
                "type": kind,
                "lastTransitionTime": now,
                "status": "True",
                **(reason if kind == "Initialized" else {}),
            }
            for kind in _CONDITIONS
        ],
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": now,
        "initContainerStatuses": [
            _container(pod, container, now, runs=container.get("restartPolicy") == "Always" and not succeeds)
            for container in spec.get("initContainers") or ()
        ],
        "containerStatuses": [_container(pod, container, now, runs=not succeeds) for container in spec["containers"]],
    }


def _container(pod: Object, container: Object, now: str, *, runs: bool) -> Object:
    identity = f"simulated://{uid_of(pod)}-{container['name']}"
    ended = {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now, "containerID": identity}
    return {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": f"simulated://{container.get('image', '')}",
        "containerID": identity,
        "ready": runs or container in (pod["spec"].get("initContainers") or ()),
        "started": runs,
        "restartCount": 0,
        "state": {"running": {"startedAt": now}} if runs else {"terminated": ended},
    }


class Addresses:
    """Pod addresses in 239.0.0.0/10: four million, none of them reachable.

    They are of multicast (RFC 2365), to which no TCP connection can be made: a webhook behind simulated pods is
    refused at once, where any other range may be somebody's, and would be asked over the network.
    """

    _FIRST, _SIZE = 239 << 24, 1 << 22

    def __init__(self) -> None:
        self._used: dict[str, str] = {}
        self._taken: set[str] = set()
        self._next = 1

    def of(self, uid: str, known: Sequence[str] = ()) -> str:
        """The pod's address: the one it has, or the next free one."""
        if uid not in self._used:
            address = next(iter(known), "") or self._free()
            self._used[uid] = address
            self._taken.add(address)
        return self._used[uid]

    def release(self, uid: str) -> None:
        self._taken.discard(self._used.pop(uid, ""))

    def _free(self) -> str:
        assert len(self._taken) < self._SIZE - 1, "every simulated address is in use"
        while True:
            number = self._FIRST + self._next
            self._next = self._next % (self._SIZE - 1) + 1
            address = ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
            if address not in self._taken:
                return address
