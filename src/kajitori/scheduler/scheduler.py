"""The shell around the decision: watches fill the table and the queue, decisions are carried out and told."""

import asyncio
import logging
import random
from collections.abc import Coroutine
from typing import Any

from kajitori.api import core, policy
from kajitori.api.errors import Conflict, NotFound, StatusError
from kajitori.api.meta import ObjectKey, is_deleting
from kajitori.api.pods import node_name
from kajitori.client.cache import Cache
from kajitori.client.events import EventRecorder
from kajitori.client.interface import Client, Disconnected
from kajitori.kit.clock import Clock
from kajitori.scheduler.binding import WRITES_AT_ONCE, Binder, VolumesNotBound
from kajitori.scheduler.claims import claims_to_place
from kajitori.scheduler.decide import Decision, Profile
from kajitori.scheduler.framework import Nomination
from kajitori.scheduler.outcome import SCHEDULER_ERROR, UNSCHEDULABLE, Outcome
from kajitori.scheduler.pod_view import PodView
from kajitori.scheduler.preemption import Preemption, preempt
from kajitori.scheduler.queue import SchedulingQueue
from kajitori.scheduler.view import NAME, ClusterView

logger = logging.getLogger("kajitori.scheduler")


class Scheduler:
    """Gives nodes to pods whose `schedulerName` is `name`. One instance runs at a time (leader election is outside)."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        clock: Clock,
        recorder: EventRecorder,
        *,
        name: str = NAME,
        profile: Profile | None = None,
    ) -> None:
        self._profile = profile or Profile()
        self._queue = SchedulingQueue(clock)
        self._view = ClusterView(cache, self._queue, name, self._drop)
        self._cluster = self._view.cluster
        self._budgets = cache.informer(policy.POD_DISRUPTION_BUDGET)
        claims, volumes = cache.informer(core.PERSISTENT_VOLUME_CLAIM), cache.informer(core.PERSISTENT_VOLUME)
        self._binder = Binder(client, clock, self._cluster, claims, volumes)
        self._outcome = Outcome(client, clock, recorder, name)
        self._bindings: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(WRITES_AT_ONCE)
        """Decisions that are being written; the next waits for one to be free."""

    async def run(self) -> None:
        """Until cancelled."""
        for informer in (*self._view.informers, self._budgets):
            await informer.synced()
        try:
            while True:
                await self._slots.acquire()
                self._schedule(await self._queue.get())
        finally:
            for task in (*self._tasks, *self._bindings.values()):
                task.cancel()

    def _schedule(self, pod: PodView) -> None:
        rng, preemption = random.Random(pod.uid), Preemption()
        try:
            decision = self._profile.decide(pod, self._cluster, rng)
            if not decision.node:
                budgets = self._budgets.list()
                preemption = preempt(pod, decision, self._cluster, self._profile, budgets, rng)
        except Exception as error:  # a plugin's bug must not keep every other pod waiting
            logger.exception("no decision about pod %s/%s", pod.namespace, pod.name)
            self._queue.failed_for_now(pod)
            self._start(self._tell(pod, f"running scheduler plugins: {error!r}", SCHEDULER_ERROR))
            return
        if decision.node:
            self._assume(pod, decision.node)
        else:
            self._queue.failed(pod, decision.wakes_on)
            self._start(self._refuse(pod, decision, preemption, self._nominate(pod, preemption)))

    def _assume(self, pod: PodView, node: str) -> None:
        self._cluster.nodes.put_pod(pod, node)
        self._cluster.nominated.pop(pod.uid, None)
        self._view.assumed.add(pod.uid)
        task = asyncio.ensure_future(self._bind(pod, node))
        self._bindings[pod.uid] = task
        task.add_done_callback(lambda _: self._bindings.pop(pod.uid, None))
        if claims_to_place(pod, self._cluster):
            # May take minutes: holds up nobody else.
            self._slots.release()
        else:
            task.add_done_callback(lambda _: self._slots.release())

    def _nominate(self, pod: PodView, preemption: Preemption) -> list[PodView]:
        """Promise the pod the room, and return the less important pods to which the same room was promised."""
        nominated = self._cluster.nominated
        if not preemption.node:
            if not preemption.message.endswith("on the nominated node."):
                self._view.pod_left(pod.uid)
            return []
        others = [n.pod for n in nominated.values() if n.node == preemption.node and n.pod.priority < pod.priority]
        for other in others:
            del nominated[other.uid]
        nominated[pod.uid] = Nomination(pod, preemption.node)
        return others

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self._slots.release())

    async def _bind(self, pod: PodView, node: str) -> None:
        try:
            await self._binder.bind(pod, node)
        except VolumesNotBound as error:
            self._forget(pod)
            await self._tell(pod, f'running PreBind plugin "VolumeBinding": {error}', SCHEDULER_ERROR)
        except (StatusError, Disconnected) as error:
            await self._not_bound(pod, node, error)
        except Exception:
            logger.exception("pod %s/%s could not be bound", pod.namespace, pod.name)
            self._forget(pod)
        else:
            self._outcome.scheduled(pod, node)

    async def _not_bound(self, pod: PodView, node: str, error: StatusError | Disconnected) -> None:
        """Until it is certain that the pod has no node, its place stays taken."""
        found = await self._binder.node_of(pod)
        if found == node:
            self._outcome.scheduled(pod, node)
        elif not found:
            self._forget(pod)
            if not isinstance(error, NotFound | Conflict):
                await self._tell(pod, f'running Bind plugin "DefaultBinder": {error}', SCHEDULER_ERROR)

    def _forget(self, pod: PodView) -> None:
        """Take back what was assumed; try again unless the pod needs no node any more."""
        if pod.uid not in self._view.assumed:
            return
        self._view.assumed.discard(pod.uid)
        current = self._view.pods.get(ObjectKey(pod.namespace, pod.name))
        if current is None or node_name(current) or is_deleting(current):
            self._queue.remove(pod.uid)
        else:
            self._queue.failed_for_now(pod)
        self._view.pod_left(pod.uid)

    def _drop(self, uid: str) -> None:
        """The pod is gone: whatever was being done for it is in vain."""
        if task := self._bindings.pop(uid, None):
            task.cancel()

    async def _refuse(self, pod: PodView, decision: Decision, preemption: Preemption, displaced: list[PodView]) -> None:
        message = f"{decision.message} {preemption.message}".rstrip()
        await self._tell(pod, message, UNSCHEDULABLE)
        try:
            for other in displaced:
                await self._outcome.no_longer_nominated(other)
            await self._outcome.preempted(self._take_back(preemption.victims), pod, preemption.node)
        except (StatusError, Disconnected) as error:
            logger.warning("preemption for pod %s/%s failed: %s", pod.namespace, pod.name, error)
            self._view.pod_left(pod.uid)
            self._queue.failed_for_now(pod)

    def _take_back(self, victims: tuple[PodView, ...]) -> list[PodView]:
        """Victims whose own binding has not been written need not be deleted: they just wait again."""
        deleted = []
        for victim in victims:
            if victim.uid in self._bindings:
                self._drop(victim.uid)
                self._forget(victim)
            else:
                deleted.append(victim)
        return deleted

    async def _tell(self, pod: PodView, message: str, reason: str) -> None:
        nomination = self._cluster.nominated.get(pod.uid)
        try:
            async with self._binder.writes:
                await self._outcome.failed(pod, message, reason, nomination.node if nomination else "")
        except NotFound:
            logger.debug("pod %s/%s is gone", pod.namespace, pod.name)
        except (StatusError, Disconnected) as error:
            logger.info("status of pod %s/%s was not written: %s", pod.namespace, pod.name, error)


__all__ = ["NAME", "Scheduler"]
