"""How much the node and its pods use: the summary for `kubectl top` and others, and Prometheus text."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kajitori.api.meta import Object, name_of, namespace_of, uid_of
from kajitori.api.times import timestamp
from kajitori.kubelet.machine import memory_bytes
from kajitori.kubelet.runtime import ContainerUsage

NANOSECONDS = 10**9


@dataclass(frozen=True, slots=True)
class PodContainers:
    """A pod and its running containers: name and start time by container id."""

    pod: Object
    containers: Mapping[str, tuple[str, float]]
    started_s: float


@dataclass(frozen=True, slots=True)
class NodeUsage:
    timestamp_s: float
    cpu_total_ns: int
    memory_total_bytes: int
    memory_working_set_bytes: int
    disk_total_bytes: int
    disk_free_bytes: int
    boot_s: float


def read_node_usage(disk: Path, now_s: float) -> NodeUsage:
    cpu = Path("/proc/stat").read_text()
    ticks = [int(word) for word in cpu.split("\n", 1)[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    busy_ns = (sum(ticks) - idle) * NANOSECONDS // os.sysconf("SC_CLK_TCK")
    meminfo = Path("/proc/meminfo").read_text()
    total = memory_bytes(meminfo, "MemTotal")
    boot_s = next((float(line.split()[1]) for line in cpu.splitlines() if line.startswith("btime ")), 0.0)
    usage = os.statvfs(disk)
    return NodeUsage(
        timestamp_s=now_s,
        cpu_total_ns=busy_ns,
        memory_total_bytes=total,
        memory_working_set_bytes=total - memory_bytes(meminfo, "MemAvailable"),
        disk_total_bytes=usage.f_blocks * usage.f_frsize,
        disk_free_bytes=usage.f_bavail * usage.f_frsize,
        boot_s=boot_s,
    )


class CpuRates:
    """Nanocores between two looks at a growing counter, by what is counted."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, int, int]] = {}

    def rate(self, key: str, timestamp_s: float, total_ns: int, since_s: float = 0.0) -> int:
        """The rate since the last look (the first: since `since_s`); the last known one when that was just now."""
        before_s, before_ns, rate = self._last.get(key, (since_s, 0, 0))
        elapsed_s = timestamp_s - before_s
        if before_s and elapsed_s < 1:
            return rate
        if before_s and total_ns >= before_ns:
            rate = int((total_ns - before_ns) / elapsed_s)
        self._last[key] = (timestamp_s, total_ns, rate)
        return rate


def summary(
    node_name: str, node: NodeUsage, pods: Iterable[PodContainers], usage: Iterable[ContainerUsage], rates: CpuRates
) -> Object:
    by_id = {entry.container_id: entry for entry in usage}
    now = timestamp(node.timestamp_s)
    return {
        "node": {
            "nodeName": node_name,
            "startTime": timestamp(node.boot_s),
            "cpu": {
                "time": now,
                "usageNanoCores": rates.rate("node", node.timestamp_s, node.cpu_total_ns),
                "usageCoreNanoSeconds": node.cpu_total_ns,
            },
            "memory": {
                "time": now,
                "availableBytes": node.memory_total_bytes - node.memory_working_set_bytes,
                "usageBytes": node.memory_working_set_bytes,
                "workingSetBytes": node.memory_working_set_bytes,
            },
            "fs": {
                "time": now,
                "availableBytes": node.disk_free_bytes,
                "capacityBytes": node.disk_total_bytes,
                "usedBytes": node.disk_total_bytes - node.disk_free_bytes,
            },
        },
        "pods": [_pod_summary(entry, by_id, rates) for entry in pods],
    }


def _pod_summary(entry: PodContainers, usage: Mapping[str, ContainerUsage], rates: CpuRates) -> Object:
    pod = entry.pod
    containers = [
        _container_summary(name, started_s, usage[container_id], rates)
        for container_id, (name, started_s) in entry.containers.items()
        if container_id in usage
    ]
    total: Object = {
        "podRef": {"name": name_of(pod), "namespace": namespace_of(pod), "uid": uid_of(pod)},
        "startTime": timestamp(entry.started_s),
        "containers": containers,
    }
    if containers:
        now = containers[0]["cpu"]["time"]
        cpu = {key: sum(c["cpu"][key] for c in containers) for key in ("usageNanoCores", "usageCoreNanoSeconds")}
        keys = ("usageBytes", "workingSetBytes", "rssBytes", "pageFaults", "majorPageFaults")
        total |= {
            "cpu": {"time": now, **cpu},
            "memory": {"time": now, **{key: sum(c["memory"][key] for c in containers) for key in keys}},
        }
    return total


def _container_summary(name: str, started_s: float, usage: ContainerUsage, rates: CpuRates) -> Object:
    now = timestamp(usage.timestamp_s)
    return {
        "name": name,
        "startTime": timestamp(started_s),
        "cpu": {
            "time": now,
            "usageNanoCores": rates.rate(usage.container_id, usage.timestamp_s, usage.cpu_total_ns, started_s),
            "usageCoreNanoSeconds": usage.cpu_total_ns,
        },
        "memory": {
            "time": now,
            "usageBytes": usage.memory_usage_bytes,
            "workingSetBytes": usage.memory_working_set_bytes,
            "rssBytes": usage.memory_rss_bytes,
            "pageFaults": usage.memory_page_faults,
            "majorPageFaults": usage.memory_major_page_faults,
        },
        "rootfs": {"time": now, "usedBytes": usage.disk_used_bytes, "inodesUsed": usage.disk_inodes_used},
    }


_METRICS = {
    "node_cpu_usage_seconds_total": ("counter", "[STABLE] Cumulative cpu time consumed by the node in core-seconds"),
    "node_memory_working_set_bytes": ("gauge", "[STABLE] Current working set of the node in bytes"),
    "pod_cpu_usage_seconds_total": ("counter", "[STABLE] Cumulative cpu time consumed by the pod in core-seconds"),
    "pod_memory_working_set_bytes": ("gauge", "[STABLE] Current working set of the pod in bytes"),
    "container_cpu_usage_seconds_total": (
        "counter",
        "[STABLE] Cumulative cpu time consumed by the container in core-seconds",
    ),
    "container_memory_working_set_bytes": ("gauge", "[STABLE] Current working set of the container in bytes"),
    "container_start_time_seconds": ("gauge", "[STABLE] Start time of the container since unix epoch in seconds"),
    "resource_scrape_error": ("gauge", "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise"),
}


def exposed(metrics: Mapping[str, tuple[str, str]], samples: Mapping[str, Sequence[str]]) -> str:
    """Prometheus text: of each metric with samples its kind, its meaning, and they."""
    lines = []
    for name, (kind, text) in metrics.items():
        if samples.get(name):
            lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *samples[name]]
    return "\n".join(lines) + "\n"


def resource_metrics(node: NodeUsage, pods: Iterable[PodContainers], usage: Iterable[ContainerUsage]) -> str:
    """Prometheus text, timestamps in milliseconds."""
    by_id = {entry.container_id: entry for entry in usage}
    samples: dict[str, list[str]] = {name: [] for name in _METRICS}

    def add(metric: str, labels: str, value: float, at_s: float) -> None:
        samples[metric].append(f"{metric}{labels} {value:g} {int(at_s * 1000)}")

    add("node_cpu_usage_seconds_total", "", node.cpu_total_ns / NANOSECONDS, node.timestamp_s)
    add("node_memory_working_set_bytes", "", node.memory_working_set_bytes, node.timestamp_s)
    for entry in pods:
        place = f'namespace="{namespace_of(entry.pod)}",pod="{name_of(entry.pod)}"'
        found = [(key, *entry.containers[key]) for key in entry.containers if key in by_id]
        for key, name, started_s in found:
            used, labels = by_id[key], f'{{container="{name}",{place}}}'
            add("container_cpu_usage_seconds_total", labels, used.cpu_total_ns / NANOSECONDS, used.timestamp_s)
            add("container_memory_working_set_bytes", labels, used.memory_working_set_bytes, used.timestamp_s)
            add("container_start_time_seconds", labels, started_s, used.timestamp_s)
        if found:
            at_s = by_id[found[0][0]].timestamp_s
            cpu_ns = sum(by_id[key].cpu_total_ns for key, _, _ in found)
            memory = sum(by_id[key].memory_working_set_bytes for key, _, _ in found)
            add("pod_cpu_usage_seconds_total", f"{{{place}}}", cpu_ns / NANOSECONDS, at_s)
            add("pod_memory_working_set_bytes", f"{{{place}}}", memory, at_s)
    samples["resource_scrape_error"].append("resource_scrape_error 0")
    return exposed(_METRICS, samples)
