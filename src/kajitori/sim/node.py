"""The Node and the Lease of a simulated node. Pure: time comes in as seconds since the epoch."""

from kajitori.api.meta import Object, name_of, owner_reference
from kajitori.api.times import micro_timestamp, timestamp

VERSION = "v1.36.2+kajitori"
SIMULATED = "kajitori.dev/simulated"
"""The label of simulated nodes, and the taint that keeps pods off them while real nodes are there too."""

NAME_PREFIX = "simulated-"
CAPACITY = {"cpu": "4", "memory": "32Gi", "ephemeral-storage": "100Gi", "pods": "110"}
LEASE_NAMESPACE = "kube-node-lease"
LEASE_DURATION_S = 40
LEASE_EVERY_S = 20.0
"""Half of what a kubelet's lease is good for: a thousand nodes are fifty writes a second this way."""

_QUIET = {
    "MemoryPressure": ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
}


def node_name(number: int) -> str:
    return f"{NAME_PREFIX}{number}"


def node_address(number: int) -> str:
    """In 239.254.0.0/15: of multicast as the pods' are, so that nobody connects to what may be there."""
    return f"239.{254 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def new_node(number: int, *, tainted: bool) -> Object:
    name = node_name(number)
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "node.kubernetes.io/instance-type": "simulated",
        SIMULATED: "true",
    }
    taints = [{"key": SIMULATED, "value": "true", "effect": "NoSchedule"}] if tainted else []
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": taints} if taints else {},
    }


def node_status(number: int, now_s: float) -> Object:
    now = timestamp(now_s)
    quiet = [
        {"type": kind, "status": "False", "reason": reason, "message": message}
        for kind, (reason, message) in _QUIET.items()
    ]
    message = "kubelet is posting ready status"
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": message}
    times = {"lastHeartbeatTime": now, "lastTransitionTime": now}
    return {
        "capacity": dict(CAPACITY),
        "allocatable": dict(CAPACITY),
        "conditions": [condition | times for condition in (*quiet, ready)],
        "addresses": [
            {"type": "InternalIP", "address": node_address(number)},
            {"type": "Hostname", "address": node_name(number)},
        ],
        "nodeInfo": {
            "machineID": f"{number:032x}",
            "systemUUID": f"{number:032x}",
            "bootID": f"{number:032x}",
            "kernelVersion": "simulated",
            "osImage": "simulated",
            "containerRuntimeVersion": "simulated://1",
            "kubeletVersion": VERSION,
            "kubeProxyVersion": VERSION,
            "operatingSystem": "linux",
            "architecture": "amd64",
        },
    }


def new_lease(node: Object, now_s: float) -> Object:
    """Goes with its node."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": name_of(node),
            "namespace": LEASE_NAMESPACE,
            "ownerReferences": [owner_reference(node, controller=False)],
        },
        "spec": {
            "holderIdentity": name_of(node),
            "leaseDurationSeconds": LEASE_DURATION_S,
            "renewTime": micro_timestamp(now_s),
        },
    }
