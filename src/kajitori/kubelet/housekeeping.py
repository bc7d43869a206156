"""What the node looks after at every heartbeat: its headroom, its images, its logs. Cheap when all is well."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator

from kajitori.api.meta import name_of, namespace_of
from kajitori.api.pods import is_terminal
from kajitori.kit.clock import Clock
from kajitori.kubelet.config import KubeletConfig
from kajitori.kubelet.container_spec import log_path
from kajitori.kubelet.disk_limits import disk_directories, excess, is_limited, sizes
from kajitori.kubelet.eviction import (
    DISK_AVAILABLE_MIN_BYTES,
    MEMORY_AVAILABLE_MIN_BYTES,
    Headroom,
    Pressure,
    eviction_message,
    pressure_of,
    victim,
)
from kajitori.kubelet.log_rotation import is_too_large, rotate
from kajitori.kubelet.machine import read_headroom
from kajitori.kubelet.pause_image import PAUSE_IMAGE
from kajitori.kubelet.pod_state import PodEnd
from kajitori.kubelet.pod_worker import PodWorker
from kajitori.kubelet.runtime import Runtime, RuntimeFailure
from kajitori.kubelet.volumes.pod_volumes import PLUGINS

logger = logging.getLogger(__name__)


class Housekeeping:
    def __init__(
        self, config: KubeletConfig, runtime: Runtime, clock: Clock, workers: Callable[[], Iterable[PodWorker]]
    ) -> None:
        self._config = config
        self._runtime = runtime
        self._clock = clock
        self._workers = workers
        self.pressure = Pressure()

    async def beat(self) -> bool:
        """Whether the node's pressure has changed."""
        before = self.pressure
        headroom = read_headroom(self._config.root_dir)
        self.pressure = pressure_of(headroom)
        try:
            await self._rotate_logs()
            await self._hold_to_limits()
            if self.pressure.disk:
                await self._remove_unused_images()
            if self.pressure.memory or self.pressure.disk:
                await self._evict(headroom)
        except (RuntimeFailure, OSError) as error:
            logger.warning("housekeeping: %s", error)
        return self.pressure != before

    async def _rotate_logs(self) -> None:
        for worker in self._workers():
            pod = worker.state.pod
            directory = self._config.log_directory(namespace_of(pod), name_of(pod), worker.state.uid)
            for record in list(worker.state.running()):
                path = directory / log_path(record.name, record.attempt)
                if is_too_large(path, self._config.log_bytes_max):
                    await rotate(path, record.id, self._runtime, self._config.log_files_max, self._clock.now())

    async def _hold_to_limits(self) -> None:
        """End the pods that wrote more to the disk than they may."""
        limited = [worker for worker in self._staying() if is_limited(worker.state.pod)]
        if not limited:
            return
        layers = {usage.container_id: usage.disk_used_bytes for usage in await self._runtime.usage()}
        for worker in limited:
            state, pod = worker.state, worker.state.pod
            logs = self._config.log_directory(namespace_of(pod), name_of(pod), state.uid)
            volumes = self._config.pod_dir(state.uid) / "volumes" / PLUGINS["emptyDir"]
            of_layers = {record.name: layers.get(record.id, 0) for record in state.running()}
            of_logs = await asyncio.to_thread(sizes, logs, tuple(of_layers))
            of_volumes = await asyncio.to_thread(sizes, volumes, tuple(disk_directories(pod)))
            if why := excess(pod, {name: of_layers[name] + of_logs[name] for name in of_layers}, of_volumes):
                worker.tell("Warning", "Evicted", why)
                worker.stop(PodEnd("Evicted", why, 0.0))

    def _staying(self) -> Iterator[PodWorker]:
        for worker in self._workers():
            if not worker.state.is_leaving and worker.state.end is None and not is_terminal(worker.state.pod):
                yield worker

    async def _remove_unused_images(self) -> None:
        """Only what came from a registry: an image that was loaded by hand could not be had again."""
        used = {
            record.image_ref
            for worker in self._workers()
            for found in worker.state.containers.values()
            for record in found
        }
        for image in await self._runtime.images():
            if (
                image.digests
                and image.id not in used
                and not used & set(image.digests)
                and PAUSE_IMAGE not in image.tags
            ):
                logger.info("removing image %s: the disk is nearly full and nothing uses it", image.tags or image.id)
                await self._runtime.remove_image(image.id)

    async def _evict(self, headroom: Headroom) -> None:
        """One pod a beat: what it frees is seen before the next one goes."""
        running = {worker.state.uid: worker for worker in self._staying()}
        owner = {record.id: uid for uid, worker in running.items() for record in worker.state.running()}
        used: dict[str, int] = {}
        for usage in await self._runtime.usage():
            if uid := owner.get(usage.container_id):
                used[uid] = used.get(uid, 0) + usage.memory_working_set_bytes
        chosen = victim([worker.state.pod for worker in running.values()], used)
        if chosen is None:
            return
        resource, threshold, available = (
            ("memory", MEMORY_AVAILABLE_MIN_BYTES, headroom.memory_available_bytes)
            if self.pressure.memory
            else ("ephemeral-storage", DISK_AVAILABLE_MIN_BYTES, headroom.disk_available_bytes)
        )
        message = eviction_message(resource, threshold, available)
        worker = running[chosen["metadata"]["uid"]]
        worker.tell("Warning", "Evicted", message)
        worker.stop(PodEnd("Evicted", message, 0.0))
