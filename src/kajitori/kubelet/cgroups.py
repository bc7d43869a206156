"""From resource requests and limits to cgroup settings (upstream's formulas)."""

from kajitori.api.meta import Object
from kajitori.api.pods import BEST_EFFORT, GUARANTEED, pod_limits, pod_requests, qos_class
from kajitori.api.quantity import milli, value
from kajitori.kubelet.runtime import Resources

SHARES_PER_CPU = 1024
SHARES_MIN, SHARES_MAX = 2, 262144
PERIOD_US = 100_000
QUOTA_MIN_US = 1000
OOM_GUARANTEED, OOM_BEST_EFFORT = -997, 1000


def cpu_shares(millicores: int) -> int:
    return min(max(millicores * SHARES_PER_CPU // 1000, SHARES_MIN), SHARES_MAX)


def cpu_quota_us(millicores: int) -> int:
    return max(millicores * PERIOD_US // 1000, QUOTA_MIN_US) if millicores else 0


def container_resources(pod: Object, container: Object, memory_capacity_bytes: int) -> Resources:
    resources = container.get("resources") or {}
    limits = resources.get("limits") or {}
    requests = {**limits, **(resources.get("requests") or {})}
    quota = cpu_quota_us(milli(limits.get("cpu", "0")))
    return Resources(
        cpu_shares=cpu_shares(milli(requests.get("cpu", "0"))),
        cpu_quota=quota,
        cpu_period=PERIOD_US if quota else 0,
        memory_limit_bytes=value(limits.get("memory", "0")),
        oom_score_adj=oom_score_adj(pod, value(requests.get("memory", "0")), memory_capacity_bytes),
    )


def oom_score_adj(pod: Object, memory_request_bytes: int, memory_capacity_bytes: int) -> int:
    quality = qos_class(pod)
    if pod["spec"].get("priorityClassName") == "system-node-critical" or quality == GUARANTEED:
        return OOM_GUARANTEED
    if quality == BEST_EFFORT:
        return OOM_BEST_EFFORT
    adjust = 1000 - 1000 * memory_request_bytes // max(memory_capacity_bytes, 1)
    return min(max(adjust, 1000 + OOM_GUARANTEED), OOM_BEST_EFFORT - 1)


def pod_cgroup(node_cgroup: str, pod: Object) -> str:
    """`<node>/kubepods/<class>/pod<uid>`; guaranteed pods are directly below kubepods, as upstream has it."""
    quality = qos_class(pod)
    middle = "" if quality == GUARANTEED else f"/{quality.lower()}"
    return f"{node_cgroup}/kubepods{middle}/pod{pod['metadata']['uid']}"


def pod_level_resources(pod: Object) -> Resources:
    """What the pod's own cgroup gets: the sum, with a limit only where every container has one."""
    requests, limits = pod_requests(pod), pod_limits(pod)
    containers = pod["spec"]["containers"]
    whole = pod["spec"].get("resources") or {}

    def limited(name: str) -> bool:
        if name in (whole.get("limits") or {}):
            return True
        return all(name in ((c.get("resources") or {}).get("limits") or {}) for c in containers)

    quota = cpu_quota_us(limits.get("cpu", 0)) if limited("cpu") else 0
    return Resources(
        cpu_shares=cpu_shares(requests.get("cpu", 0)),
        cpu_quota=quota,
        cpu_period=PERIOD_US if quota else 0,
        memory_limit_bytes=limits.get("memory", 0) if limited("memory") else 0,
    )
