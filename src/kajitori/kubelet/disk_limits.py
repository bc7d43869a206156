"""Which pod goes because it wrote more than it may: emptyDir's sizeLimit, and limits of ephemeral-storage.

What a container writes to its own layer and its log counts for the container, emptyDirs on disk for the pod ("Local
ephemeral storage" in the documentation). Nothing is measured for pods without such limits.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from kajitori.api.meta import Object
from kajitori.api.quantity import value

STORAGE = "ephemeral-storage"


def disk_directories(pod: Object) -> dict[str, str]:
    """Size limit, "" for none, by the name of each emptyDir that lies on disk."""
    found = {v["name"]: v["emptyDir"] or {} for v in pod["spec"].get("volumes") or () if "emptyDir" in v}
    return {name: source.get("sizeLimit") or "" for name, source in found.items() if not source.get("medium")}


def container_limits(pod: Object) -> dict[str, str]:
    containers = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
    limits = {c["name"]: ((c.get("resources") or {}).get("limits") or {}).get(STORAGE) for c in containers}
    return {name: limit for name, limit in limits.items() if limit}


def is_limited(pod: Object) -> bool:
    return any(disk_directories(pod).values()) or bool(container_limits(pod))


def excess(pod: Object, containers: Mapping[str, int], directories: Mapping[str, int]) -> str:
    """Why the pod has to go, in upstream's words; "" when it keeps to its limits. Bytes by name."""
    for name, limit in disk_directories(pod).items():
        if limit and directories.get(name, 0) > value(limit):
            return f'Usage of EmptyDir volume "{name}" exceeds the limit "{limit}". '
    limits = container_limits(pod)
    total = sum(value(limit) for limit in limits.values())
    if limits and sum(containers.values()) + sum(directories.values()) > total:
        shown = next(iter(limits.values())) if len(limits) == 1 else str(total)
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {shown}. "
    for name, limit in limits.items():
        if containers.get(name, 0) > value(limit):
            return f'Container {name} exceeded its local ephemeral storage limit "{limit}". '
    return ""


def sizes(directory: Path, names: Iterable[str]) -> dict[str, int]:
    """What the files below each of these directories take of the disk; those that vanish meanwhile take nothing."""
    return {name: sum(_sizes(str(directory / name))) for name in names}


def _sizes(directory: str) -> Iterator[int]:
    try:
        entries = list(os.scandir(directory))
    except OSError:
        return
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from _sizes(entry.path)
            else:
                yield entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            continue
