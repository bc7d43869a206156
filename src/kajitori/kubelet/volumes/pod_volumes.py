"""Setting up, refreshing and taking down a pod's volumes below its directory on the node."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from kajitori.api.errors import StatusError
from kajitori.api.local_path import is_local_path
from kajitori.api.meta import Object, uid_of
from kajitori.api.quantity import value
from kajitori.client.interface import Disconnected
from kajitori.kit.clock import Clock
from kajitori.kubelet.purge import current_mounts_under, unmount
from kajitori.kubelet.volumes.atomic_writer import write_payload
from kajitori.kubelet.volumes.content import Contents, Downward
from kajitori.kubelet.volumes.host_path import WrongHostPath, settle_host_path
from kajitori.kubelet.volumes.image import ImageMountFailed
from kajitori.kubelet.volumes.mounting import is_mount, mount_tmpfs
from kajitori.kubelet.volumes.ownership import own_by_group
from kajitori.kubelet.volumes.payload import MissingPart
from kajitori.kubelet.volumes.persistent import directory_of, persistent_volume, supplemental_group
from kajitori.kubelet.volumes.problems import VolumeProblem
from kajitori.kubelet.volumes.sources import ObjectSource

PLUGINS = {
    "configMap": "kubernetes.io~configmap",
    "secret": "kubernetes.io~secret",
    "downwardAPI": "kubernetes.io~downward-api",
    "projected": "kubernetes.io~projected",
    "emptyDir": "kubernetes.io~empty-dir",
}
CONTENT = ("configMap", "secret", "downwardAPI", "projected")
IN_MEMORY = ("secret", "projected")
ImageVolume = Callable[[Object, Path], Awaitable[None]]
CLAIMS = ("persistentVolumeClaim", "ephemeral")


class PodVolumes:
    """One pod's. `paths` says where each volume is once `set_up` has returned."""

    def __init__(
        self, directory: Path, source: ObjectSource, contents: Contents, clock: Clock, image_volume: ImageVolume
    ) -> None:
        """`image_volume` mounts the image of a volume, which it gets first, at a directory."""
        self._image_volume = image_volume
        self._directory = directory
        self._source = source
        self._contents = contents
        self._clock = clock
        self.paths: dict[str, Path] = {}
        self.groups: tuple[int, ...] = ()
        self._lock = asyncio.Lock()

    async def set_up(self, pod: Object, downward: Downward) -> None:
        """Raises VolumeProblem for the first volume that cannot be set up. May be run again."""
        async with self._lock:
            groups: list[int] = []
            for volume in pod["spec"].get("volumes") or ():
                try:
                    self.paths[volume["name"]] = await self._set_up_one(pod, volume, downward, groups)
                except (MissingPart, WrongHostPath, StatusError, OSError, Disconnected, ImageMountFailed) as error:
                    raise VolumeProblem(volume["name"], str(error)) from error
            self.groups = tuple(groups)

    async def refresh(self, pod: Object, downward: Downward) -> bool:
        """Rewrite what changed in the API; whether anything did. A volume that became incomplete stays as it was."""
        changed = False
        async with self._lock:
            for volume in pod["spec"].get("volumes") or ():
                if any(kind in volume for kind in CONTENT) and volume["name"] in self.paths:
                    try:
                        changed |= await self._write(pod, volume, self.paths[volume["name"]], downward)
                    except (MissingPart, StatusError, OSError, Disconnected) as error:
                        raise VolumeProblem(volume["name"], str(error)) from error
        return changed

    async def _set_up_one(self, pod: Object, volume: Object, downward: Downward, groups: list[int]) -> Path:
        if (host := volume.get("hostPath")) is not None:
            settle_host_path(Path(host["path"]), host.get("type") or "")
            return Path(host["path"])
        if any(kind in volume for kind in CLAIMS):
            return await self._claimed(pod, volume, groups)
        if "image" in volume:
            return await self._image(volume)
        kind = next((kind for kind in PLUGINS if kind in volume), None)
        if kind is None:
            raise MissingPart(f"this node does not know volumes of kind {', '.join(sorted(set(volume) - {'name'}))}")
        path: Path = self._directory / "volumes" / PLUGINS[kind] / volume["name"]
        if kind == "emptyDir":
            self._empty_dir(pod, volume["emptyDir"] or {}, path)
            return path
        _content_directory(path, in_memory=kind in IN_MEMORY)
        await self._write(pod, volume, path, downward)
        return path

    async def _image(self, volume: Object) -> Path:
        path: Path = self._directory / "volumes" / "kubernetes.io~image" / volume["name"]
        if not is_mount(path):
            await self._image_volume(volume["image"], path)
        return path

    async def _write(self, pod: Object, volume: Object, path: Path, downward: Downward) -> bool:
        payload = await self._contents.payload(pod, volume, downward)
        return write_payload(path, payload, fs_group(pod), self._clock.now())

    def _empty_dir(self, pod: Object, source: Object, path: Path) -> None:
        in_memory = source.get("medium") == "Memory"
        if in_memory and not is_mount(path):
            mount_tmpfs(path, value(source.get("sizeLimit") or "0"))
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o1777 if in_memory else 0o777)
        if (group := fs_group(pod)) is not None:
            own_by_group(path, group, on_mismatch_only=True)

    async def _claimed(self, pod: Object, volume: Object, groups: list[int]) -> Path:
        found = await persistent_volume(pod, volume, self._source)
        path, kind = directory_of(found)
        fresh = is_local_path(found) and not path.exists()
        settle_host_path(path, kind)
        if fresh:
            # For whatever user the container has; on the host only root enters the directories above.
            path.chmod(0o777)
        if (extra := supplemental_group(found)) is not None:
            groups.append(extra)
        group = fs_group(pod)
        if group is not None and "local" in found["spec"]:
            policy = (pod["spec"].get("securityContext") or {}).get("fsGroupChangePolicy")
            await asyncio.to_thread(own_by_group, path, group, on_mismatch_only=policy == "OnRootMismatch")
        return path

    async def tear_down(self, pod: Object) -> None:
        """Unmount and delete what belongs to the pod alone; claims and host paths stay."""
        async with self._lock:
            self._contents.forget(uid_of(pod))
            volumes = self._directory / "volumes"
            for point in current_mounts_under(volumes):
                unmount(point)
            self.paths.clear()
            if volumes.exists():
                await asyncio.to_thread(shutil.rmtree, volumes, ignore_errors=True)


def _content_directory(path: Path, *, in_memory: bool) -> None:
    if in_memory and not is_mount(path):
        mount_tmpfs(path)
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o1777 if in_memory else 0o777)


def fs_group(pod: Object) -> int | None:
    return (pod["spec"].get("securityContext") or {}).get("fsGroup")
