"""Being a node: the Node object, its status upon change (or every five minutes), and the lease every ten seconds."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kajitori.api.coordination import LEASE
from kajitori.api.core import NODE
from kajitori.api.errors import AlreadyExists, Conflict, NotFound, StatusError
from kajitori.api.meta import Object, labels_of
from kajitori.client.interface import Client, Disconnected, PatchType
from kajitori.kit.backoff import Backoff
from kajitori.kit.clock import Clock, within
from kajitori.kubelet.config import KubeletConfig
from kajitori.kubelet.housekeeping import Housekeeping
from kajitori.kubelet.machine import Machine
from kajitori.kubelet.node_object import (
    LEASE_NAMESPACE,
    lease,
    new_node,
    node_status,
)
from kajitori.kubelet.runtime import ImageRecord, Runtime, RuntimeFailure, RuntimeHealth, RuntimeVersion

logger = logging.getLogger(__name__)

RETRY = Backoff(initial_s=0.2, max_s=10.0)
UNREADY_LOOK = Backoff(initial_s=0.05, max_s=2.0, factor=1.5)
"""While the node is not ready, the runtime is asked this often: it does not tell when its network came up."""


RUNTIME_AWAY_MAX_S = 30.0
"""A runtime that is away for less (a restart) does not make the node unready."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the runtime said when it last answered."""

    health: RuntimeHealth | None
    version: RuntimeVersion
    images: Sequence[ImageRecord]


class NodeRegistration:
    def __init__(
        self,
        config: KubeletConfig,
        client: Client,
        runtime: Runtime,
        machine: Machine,
        clock: Clock,
        housekeeping: Housekeeping,
    ) -> None:
        self._housekeeping = housekeeping
        self._config = config
        self._client = client
        self._runtime = runtime
        self._machine = machine
        self._clock = clock
        self._node: Object = {}
        self._lease: Object | None = None
        self._changed = asyncio.Event()
        self._told: Object = {}
        self._told_at_s = float("-inf")
        self._seen = _Seen(None, RuntimeVersion("containerd", ""), ())
        self._seen_at_s = float("-inf")
        self._answers = False

    def changed(self) -> None:
        """Something that the status shows may be different."""
        self._changed.set()

    def seen(self, node: Object) -> None:
        """The Node as the API has it: a node that was silent for long finds its conditions set to Unknown there."""
        if not self._told or _revision(node) <= _revision(self._node) or _verdicts(node) == _verdicts(self._node):
            return
        self._node, self._told = node, node.get("status") or {}
        self.changed()

    async def run(self) -> None:
        await self._register()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_status(), name="node status")
            group.create_task(self._keep_lease(), name="node lease")

    async def _status(self) -> Object:
        old = self._told or self._node.get("status") or {}
        self._answers = False
        try:
            self._seen = await self._look()
            self._seen_at_s, self._answers = self._clock.monotonic(), True
        except RuntimeFailure as error:
            logger.info("the runtime does not answer: %s", error)
        away_s = self._clock.monotonic() - self._seen_at_s
        seen = self._seen if away_s < RUNTIME_AWAY_MAX_S else replace(self._seen, health=None)
        return node_status(
            self._machine,
            self._config,
            seen.version,
            seen.images,
            seen.health,
            self._housekeeping.pressure,
            old,
            self._clock.now(),
        )

    async def _look(self) -> "_Seen":
        health, version, images = await asyncio.gather(
            self._runtime.health(), self._runtime.version(), self._runtime.images()
        )
        return _Seen(health, version, images)

    async def _register(self) -> None:
        failures = 0
        while True:
            try:
                self._node = await self._create_or_adopt()
                return
            except (StatusError, Disconnected) as error:
                failures += 1
                if failures in (3, 30):
                    logger.warning("cannot register node %s yet: %s", self._config.node_name, error)
                await self._clock.sleep(RETRY.delay_s(failures))

    async def _create_or_adopt(self) -> Object:
        node = new_node(self._machine, self._config, await self._status())
        try:
            created = await self._client.create(NODE, node)
        except AlreadyExists:
            return await self._adopt(labels_of(node))
        self._told = node["status"]
        return created

    async def _adopt(self, wanted: Mapping[str, str]) -> Object:
        node = await self._client.get(NODE, self._config.node_name)
        missing = {key: value for key, value in wanted.items() if labels_of(node).get(key) != value}
        if missing:
            node = await self._client.patch(NODE, self._config.node_name, {"metadata": {"labels": missing}})
        return node

    async def _keep_status(self) -> None:
        unready = 0
        while True:
            self._changed.clear()
            ready = await self._tell_status()
            unready = 0 if ready else unready + 1
            wait_s = self._config.status_every_s if ready else UNREADY_LOOK.delay_s(unready)
            try:
                await within(self._clock, wait_s, self._changed.wait())
            except TimeoutError:
                continue

    async def _tell_status(self) -> bool:
        """Whether all is well. Written only when something but the heartbeat is news, or that is old."""
        status = await self._status()
        is_ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status["conditions"])
        if _essence(status) == _essence(self._told) and not self._is_stale():
            return is_ready and self._answers
        try:
            self._node = await self._client.patch(
                NODE, self._config.node_name, {"status": status}, patch_type=PatchType.STRATEGIC, subresource="status"
            )
            self._told, self._told_at_s = status, self._clock.monotonic()
        except NotFound:
            await self._register()
        except (StatusError, Disconnected) as error:
            logger.info("node status: %s", error)
            return False
        return is_ready and self._answers

    def _is_stale(self) -> bool:
        return self._clock.monotonic() - self._told_at_s >= self._config.status_every_s

    async def _keep_lease(self) -> None:
        failures = 0
        while True:
            try:
                await self._renew()
                failures = 0
                if await self._housekeeping.beat():
                    self.changed()
                await self._clock.sleep(self._config.heartbeat_s)
            except (StatusError, Disconnected) as error:
                self._lease = None
                failures += 1
                logger.log(logging.WARNING if failures == 3 else logging.DEBUG, "node lease: %s", error)
                await self._clock.sleep(RETRY.delay_s(failures))

    async def _renew(self) -> None:
        fresh = lease(self._node, self._clock.now())
        if self._lease is None:
            try:
                self._lease = await self._client.create(LEASE, fresh, LEASE_NAMESPACE)
                return
            except AlreadyExists:
                self._lease = await self._client.get(LEASE, self._config.node_name, LEASE_NAMESPACE)
        try:
            self._lease = await self._client.update(LEASE, {**self._lease, "spec": fresh["spec"]})
        except Conflict:
            self._lease = None
            raise


def _essence(status: Object) -> Object:
    bare = [{k: v for k, v in c.items() if k != "lastHeartbeatTime"} for c in status.get("conditions") or ()]
    return {**status, "conditions": bare}


def _revision(node: Object) -> int:
    return int(node["metadata"]["resourceVersion"]) if node else 0


def _verdicts(node: Object) -> dict[str, str]:
    return {c["type"]: c["status"] for c in (node.get("status") or {}).get("conditions") or ()}
