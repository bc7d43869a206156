"""Which pod goes when the node runs short of memory or disk, and what the node says about it.

Thresholds: memory as upstream (100 Mi available). Disk is more lenient than upstream's 10 %, because the disk of a
laptop or a CI machine is often fuller than that with nothing to do with the cluster: 5 % and less than 1 Gi available.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kajitori.api.meta import Object
from kajitori.api.pods import pod_requests

MEMORY_AVAILABLE_MIN_BYTES = 100 * 1024**2
DISK_AVAILABLE_MIN_BYTES = 1024**3
DISK_AVAILABLE_MIN_SHARE = 0.05
CRITICAL_PRIORITY = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Headroom:
    """What is left on the node."""

    memory_available_bytes: int
    disk_available_bytes: int
    disk_total_bytes: int


@dataclass(frozen=True, slots=True)
class Pressure:
    memory: bool = False
    disk: bool = False


def pressure_of(headroom: Headroom) -> Pressure:
    little = headroom.disk_available_bytes < DISK_AVAILABLE_MIN_BYTES
    share = headroom.disk_available_bytes < headroom.disk_total_bytes * DISK_AVAILABLE_MIN_SHARE
    return Pressure(headroom.memory_available_bytes < MEMORY_AVAILABLE_MIN_BYTES, little and share)


def victim(pods: Iterable[Object], memory_used_bytes: Mapping[str, int]) -> Object | None:
    """First who uses more than it requested, then by priority and excess. `memory_used_bytes` is by uid."""

    def rank(pod: Object) -> tuple[bool, int, int]:
        used = memory_used_bytes.get(pod["metadata"]["uid"], 0)
        excess = used - pod_requests(pod).get("memory", 0)
        return excess <= 0, int(pod["spec"].get("priority") or 0), -excess

    candidates = [pod for pod in pods if int(pod["spec"].get("priority") or 0) < CRITICAL_PRIORITY]
    return min(candidates, key=rank, default=None)


def eviction_message(resource: str, threshold_bytes: int, available_bytes: int) -> str:
    return (
        f"The node was low on resource: {resource}. Threshold quantity: {threshold_bytes // 1024**2}Mi, "
        f"available: {available_bytes // 1024}Ki. "
    )
