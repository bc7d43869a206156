"""Runs simulated nodes: registers them, renews their leases, and answers for every pod that is bound to them."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from kajitori.api.coordination import LEASE
from kajitori.api.core import NODE, POD
from kajitori.api.errors import AlreadyExists, Conflict, NotFound, StatusError
from kajitori.api.meta import Object, ObjectKey, key_of, labels_of, name_of, uid_of
from kajitori.api.times import micro_timestamp
from kajitori.client.cache import Cache
from kajitori.client.interface import Client, Disconnected, PatchType, WatchEventType
from kajitori.kit.backoff import Backoff
from kajitori.kit.clock import Clock
from kajitori.kit.workqueue import WorkQueue
from kajitori.sim.node import (
    LEASE_EVERY_S,
    LEASE_NAMESPACE,
    SIMULATED,
    new_lease,
    new_node,
    node_address,
    node_name,
    node_status,
)
from kajitori.sim.pods import Addresses, Step, next_step, started_status

logger = logging.getLogger(__name__)

RETRY = Backoff(initial_s=0.2, max_s=10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimConfig:
    """`tainted` keeps pods that do not ask for it off the simulated nodes."""

    nodes: int
    tainted: bool = False
    workers: int = 16


class SimulatedNodes:
    """One client and one copy of the pods serve all of them, so that a thousand cost little more than one."""

    def __init__(self, config: SimConfig, client: Client, cache: Cache, clock: Clock) -> None:
        self._config = config
        self._client = client
        self._clock = clock
        self._numbers = {node_name(number): number for number in range(1, config.nodes + 1)}
        self._nodes = cache.informer(NODE)
        self._pods = cache.informer(POD)
        # Bounded by the number of pods, because a key is held once.
        self._queue: WorkQueue[ObjectKey] = WorkQueue(clock, RETRY)
        self._addresses = Addresses()
        self.ready = asyncio.Event()
        """Every node is registered."""

    async def run(self) -> None:
        """Until cancelled; nodes and pods stay as they are then."""
        await self._nodes.synced()
        await self._remove_extra()
        numbers = iter(self._numbers.values())
        await asyncio.gather(*(self._register_each(numbers) for _ in range(self._config.workers)))
        await self._pods.synced()
        unsubscribe = self._pods.subscribe(self._on_pod)
        self.ready.set()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._renew())
                for _ in range(self._config.workers):
                    group.create_task(self._work())
        finally:
            unsubscribe()
            self._queue.close()

    async def _remove_extra(self) -> None:
        """Simulated nodes of an earlier run that had more of them."""
        for node in self._nodes.list():
            if SIMULATED in labels_of(node) and name_of(node) not in self._numbers:
                try:
                    await self._client.delete(NODE, name_of(node))
                except (NotFound, Disconnected) as error:
                    logger.info("node %s is not removed: %s", name_of(node), error)

    async def _register_each(self, numbers: Iterator[int]) -> None:
        """Several of these share the numbers."""
        for number in numbers:
            failures = 0
            while not await self._is_registered(number):
                failures += 1
                await self._clock.sleep(RETRY.delay_s(failures))

    async def _is_registered(self, number: int) -> bool:
        try:
            await self._register(number)
        except (StatusError, Disconnected) as error:
            logger.warning("node %s: %s; trying again", node_name(number), error)
            return False
        return True

    async def _register(self, number: int) -> None:
        now_s = self._clock.now()
        try:
            node = await self._client.create(NODE, new_node(number, tainted=self._config.tainted))
        except AlreadyExists:
            node = await self._client.get(NODE, node_name(number))
        # The lease first: a node that reports ready without one would be missed at once.
        await self._renew_lease(node)
        patch = {"status": node_status(number, now_s)}
        await self._client.patch(NODE, node_name(number), patch, patch_type=PatchType.STRATEGIC, subresource="status")

    async def _renew(self) -> None:
        """One lease after another, evenly over the interval."""
        pause_s = LEASE_EVERY_S / max(1, len(self._numbers))
        while True:
            for name in self._numbers:
                await self._clock.sleep(pause_s)
                # A node that was deleted stays away, as if its machine had been taken out.
                if node := self._nodes.get(ObjectKey("", name)):
                    try:
                        await self._renew_lease(node)
                    except (StatusError, Disconnected) as error:
                        logger.warning("lease of %s: %s", name, error)

    async def _renew_lease(self, node: Object) -> None:
        now_s = self._clock.now()
        patch = {"spec": {"renewTime": micro_timestamp(now_s)}}
        try:
            await self._client.patch(LEASE, name_of(node), patch, LEASE_NAMESPACE)
        except NotFound:
            await self._client.create(LEASE, new_lease(node, now_s), LEASE_NAMESPACE)

    def _on_pod(self, kind: WatchEventType, pod: Object, _old: Object | None) -> None:
        if pod["spec"].get("nodeName") not in self._numbers:
            return
        if kind is WatchEventType.DELETED:
            self._addresses.release(uid_of(pod))
            return
        self._address(pod)
        if next_step(pod) is not Step.NOTHING:
            self._queue.add(key_of(pod))

    def _address(self, pod: Object) -> str:
        known = pod.get("status", {}).get("podIP")
        return self._addresses.of(uid_of(pod), [known] if known and not pod["spec"].get("hostNetwork") else [])

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                await self._step(key)
                self._queue.forget(key)
            except (NotFound, Conflict):
                self._queue.forget(key)
            except (StatusError, Disconnected) as error:
                logger.warning("pod %s: %s; trying again", key, error)
                self._queue.add_failed(key)
            finally:
                self._queue.done(key)

    async def _step(self, key: ObjectKey) -> None:
        pod = self._pods.get(key)
        step = next_step(pod) if pod else Step.NOTHING
        if pod is None or step is Step.NOTHING:
            return
        if step is Step.REMOVE:
            await self._client.delete(POD, key.name, key.namespace, grace_period_s=0, uid=uid_of(pod))
            return
        host_ip = node_address(self._numbers[pod["spec"]["nodeName"]])
        status = started_status(pod, host_ip, self._address(pod), self._clock.now())
        # The uid keeps a successor of the same name from getting this one's status.
        patch = {"metadata": {"uid": uid_of(pod)}, "status": status}
        await self._client.patch(
            POD, key.name, patch, key.namespace, patch_type=PatchType.STRATEGIC, subresource="status"
        )
