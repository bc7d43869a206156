"""Telling the API a pod's status: the newest only, one write at a time, again until it arrives."""

import asyncio
import logging

from kajitori.api.core import POD
from kajitori.api.errors import Conflict, NotFound, StatusError
from kajitori.api.meta import Object, name_of, namespace_of, uid_of
from kajitori.client.interface import Client, Disconnected, PatchType
from kajitori.kit.backoff import Backoff
from kajitori.kit.clock import Clock
from kajitori.kubelet.pod_status import is_own
from kajitori.kubelet.status_patch import status_patch

logger = logging.getLogger(__name__)

RETRY = Backoff(initial_s=0.2, max_s=10.0)


class StatusWriter:
    def __init__(self, client: Client, clock: Clock, told: Object) -> None:
        """`told` is the status that the API is known to have."""
        self._client = client
        self._clock = clock
        self._told = told
        self._wanted: tuple[Object, Object] | None = None
        self._task: asyncio.Task[None] | None = None
        self._revision = 0
        """Of the object that the last write made."""

    def is_overwritten(self, pod: Object) -> bool:
        """Whether another has since changed what is this agent's to say: a node given up for lost has its pods unready.

        An object older than what was told last says nothing about that.
        """
        if self._wanted is not None or not self._revision or int(pod["metadata"]["resourceVersion"]) <= self._revision:
            return False
        return _own_part(pod.get("status") or {}) != _own_part(self._told)

    def write(self, pod: Object, status: Object) -> None:
        self._wanted = (pod, status)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._send(), name=f"status of {name_of(pod)}")

    async def drained(self) -> None:
        """Wait until what was last written has arrived, or the pod turned out to be gone."""
        if self._task is not None:
            await asyncio.shield(self._task)

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _send(self) -> None:
        failures = 0
        while self._wanted is not None:
            pod, status = self._wanted
            patch = status_patch(uid_of(pod), self._told, status)
            try:
                written = await self._client.patch(
                    POD, name_of(pod), patch, namespace_of(pod), patch_type=PatchType.STRATEGIC, subresource="status"
                )
            except (NotFound, Conflict):
                # Gone, or another pod has taken its name.
                self._wanted = None
                return
            except (StatusError, Disconnected) as error:
                failures += 1
                if failures == 3:
                    logger.warning("status of pod %s/%s: %s", namespace_of(pod), name_of(pod), error)
                await self._clock.sleep(RETRY.delay_s(failures))
                continue
            failures = 0
            self._told, self._revision = status, int(written["metadata"]["resourceVersion"])
            if self._wanted is not None and self._wanted[1] is status:
                self._wanted = None


def _own_part(status: Object) -> tuple[str, dict[str, str]]:
    return status.get("phase", ""), {c["type"]: c["status"] for c in status.get("conditions") or () if is_own(c)}
