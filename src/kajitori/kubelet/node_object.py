"""The Node as the agent writes it: labels, capacity, addresses, conditions."""

from collections.abc import Sequence

from kajitori.api.meta import Object, set_condition
from kajitori.api.times import micro_timestamp, timestamp
from kajitori.kubelet.config import KubeletConfig
from kajitori.kubelet.eviction import Pressure
from kajitori.kubelet.machine import Machine
from kajitori.kubelet.runtime import ImageRecord, RuntimeHealth, RuntimeVersion

IMAGES_MAX = 50
LEASE_DURATION_S = 40
LEASE_NAMESPACE = "kube-node-lease"

_QUIET = {
    "MemoryPressure": ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
}
_PRESSED = {
    "MemoryPressure": ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
    "DiskPressure": ("KubeletHasDiskPressure", "kubelet has disk pressure"),
}


def capacity(machine: Machine, config: KubeletConfig) -> dict[str, str]:
    found = {
        "cpu": str(machine.cpus),
        "memory": f"{machine.memory_bytes // 1024}Ki",
        "ephemeral-storage": f"{machine.disk_bytes // 1024}Ki",
        "pods": str(config.max_pods),
    }
    return found | config.capacity_overrides


def allocatable(machine: Machine, config: KubeletConfig) -> dict[str, str]:
    """Nothing is set aside: the agent itself is small, and a laptop's memory is better offered whole."""
    return capacity(machine, config)


def node_labels(machine: Machine, config: KubeletConfig) -> dict[str, str]:
    labels = {
        "kubernetes.io/hostname": config.node_name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": machine.architecture,
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": machine.architecture,
    }
    return labels | config.labels


def conditions(health: RuntimeHealth | None, pressure: Pressure, old: Sequence[Object], now_s: float) -> list[Object]:
    """`health` is None when the runtime does not answer."""
    found = [dict(condition) for condition in old]
    now = timestamp(now_s)
    pressed = {"MemoryPressure": pressure.memory, "DiskPressure": pressure.disk}
    for kind in _QUIET:
        is_pressed = pressed.get(kind, False)
        reason, message = (_PRESSED if is_pressed else _QUIET)[kind]
        fresh = {"type": kind, "status": str(is_pressed), "reason": reason, "message": message}
        set_condition(found, fresh | {"lastHeartbeatTime": now}, now)
    set_condition(found, _ready(health) | {"lastHeartbeatTime": now}, now)
    return found


def _ready(health: RuntimeHealth | None) -> Object:
    problems = []
    if health is None:
        problems.append("container runtime is down")
    else:
        if health.runtime_problem:
            problems.append(
                "container runtime not ready: RuntimeReady=false reason:RuntimeNotReady "
                f"message:{health.runtime_problem}"
            )
        if health.network_problem:
            problems.append(
                "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
                f"message:{health.network_problem}"
            )
    if problems:
        message = f"[{', '.join(problems)}]" if len(problems) > 1 else problems[0]
        return {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": message}
    message = "kubelet is posting ready status"
    return {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": message}


def node_status(
    machine: Machine,
    config: KubeletConfig,
    version: RuntimeVersion,
    images: Sequence[ImageRecord],
    health: RuntimeHealth | None,
    pressure: Pressure,
    old: Object,
    now_s: float,
) -> Object:
    largest = sorted(images, key=lambda image: image.size_bytes, reverse=True)[:IMAGES_MAX]
    return {
        "capacity": capacity(machine, config),
        "allocatable": allocatable(machine, config),
        "conditions": conditions(health, pressure, old.get("conditions") or (), now_s),
        "addresses": [
            {"type": "InternalIP", "address": config.node_ip},
            {"type": "Hostname", "address": config.node_name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": config.port}},
        "nodeInfo": {
            "machineID": machine.machine_id,
            "systemUUID": machine.machine_id,
            "bootID": machine.boot_id,
            "kernelVersion": machine.kernel,
            "osImage": machine.os_image,
            "containerRuntimeVersion": f"{version.name}://{version.version}",
            "kubeletVersion": config.version,
            "kubeProxyVersion": config.version,
            "operatingSystem": "linux",
            "architecture": machine.architecture,
        },
        "images": [
            {"names": [*image.digests, *image.tags], "sizeBytes": image.size_bytes}
            for image in largest
            if image.tags or image.digests
        ],
    }


def new_node(machine: Machine, config: KubeletConfig, status: Object) -> Object:
    metadata: Object = {
        "name": config.node_name,
        "labels": node_labels(machine, config),
        "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
    }
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {}, "status": status}


def lease(node: Object, now_s: float) -> Object:
    name, uid = node["metadata"]["name"], node["metadata"]["uid"]
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": name,
            "namespace": LEASE_NAMESPACE,
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}],
        },
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_DURATION_S,
            "renewTime": micro_timestamp(now_s),
        },
    }
