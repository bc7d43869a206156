"""Removing the directories of local-path volumes that have been deleted (contract: `kajitori.api.local_path`)."""

import asyncio
import logging
import shutil
from pathlib import Path

from kajitori.api import local_path
from kajitori.api.core import PERSISTENT_VOLUME
from kajitori.api.errors import NotFound, StatusError
from kajitori.api.meta import Object, ObjectKey, name_of
from kajitori.client.cache import Cache
from kajitori.client.interface import Client, Disconnected, WatchEventType
from kajitori.kit.clock import Clock
from kajitori.kit.workqueue import WorkQueue

logger = logging.getLogger(__name__)


class LocalPathCleanup:
    def __init__(self, client: Client, cache: Cache, clock: Clock, node_name: str) -> None:
        self._client = client
        self._node_name = node_name
        self._volumes = cache.informer(PERSISTENT_VOLUME)
        self._queue: WorkQueue[str] = WorkQueue(clock)

    async def run(self) -> None:
        unsubscribe = self._volumes.subscribe(self._changed)
        try:
            while True:
                name = await self._queue.get()
                try:
                    await self._clean(name)
                    self._queue.forget(name)
                except (StatusError, Disconnected, OSError) as error:
                    logger.warning("volume %s: %s; trying again", name, error)
                    self._queue.add_failed(name)
                finally:
                    self._queue.done(name)
        finally:
            unsubscribe()
            self._queue.close()

    def _changed(self, kind: WatchEventType, volume: Object, _old: Object | None) -> None:
        if kind is not WatchEventType.DELETED and local_path.awaits_cleanup(volume, self._node_name):
            self._queue.add(name_of(volume))

    async def _clean(self, name: str) -> None:
        volume = self._volumes.get(ObjectKey("", name))
        if volume is None or not local_path.awaits_cleanup(volume, self._node_name):
            return
        path = local_path.path_of(volume)
        if local_path.removes_data(volume) and is_removable(path, name):
            await asyncio.to_thread(_remove, Path(path))
        finalizers = [f for f in volume["metadata"].get("finalizers") or () if f != local_path.CLEANUP_FINALIZER]
        patch = {
            "metadata": {"finalizers": finalizers, "resourceVersion": volume["metadata"]["resourceVersion"]},
        }
        try:
            await self._client.patch(PERSISTENT_VOLUME, name, patch)
        except NotFound:
            return
        logger.info("volume %s: its directory is removed", name)


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)


def is_removable(path: str, volume_name: str) -> bool:
    """Only a directory that is named for the volume: an object that anyone may edit must not name `/`."""
    parts = Path(path).parts
    return Path(path).is_absolute() and len(parts) > 2 and parts[-1] == volume_name and ".." not in parts
