"""What a pod's status and events say about decisions."""

from collections.abc import Sequence

from kajitori.api import core
from kajitori.api.errors import NotFound
from kajitori.api.meta import Object, condition_of
from kajitori.api.times import timestamp
from kajitori.client.events import NORMAL, WARNING, EventRecorder
from kajitori.client.interface import Client, PatchType
from kajitori.kit.clock import Clock
from kajitori.scheduler.pod_view import PodView

UNSCHEDULABLE, SCHEDULER_ERROR = "Unschedulable", "SchedulerError"


class Outcome:
    """Raises what the client raises."""

    def __init__(self, client: Client, clock: Clock, recorder: EventRecorder, name: str) -> None:
        self._client = client
        self._clock = clock
        self._recorder = recorder
        self._name = name

    def scheduled(self, pod: PodView, node: str) -> None:
        message = f"Successfully assigned {pod.namespace}/{pod.name} to {node}"
        self._recorder.event(pod.document, NORMAL, "Scheduled", message)

    async def failed(self, pod: PodView, message: str, reason: str, nominated_node: str) -> None:
        """An event each time; the status only when it says something else now."""
        self._recorder.event(pod.document, WARNING, "FailedScheduling", message)
        before = condition_of(pod.document, "PodScheduled") or {}
        status: Object = {}
        if (before.get("status"), before.get("reason"), before.get("message")) != ("False", reason, message):
            status["conditions"] = [self._condition(pod, "PodScheduled", "False", reason, message, before)]
        if ((pod.document.get("status") or {}).get("nominatedNodeName") or "") != nominated_node:
            status["nominatedNodeName"] = nominated_node or None
        if status:
            await self._patch(pod, status)

    async def preempted(self, victims: Sequence[PodView], pod: PodView, node: str) -> None:
        """Make them leave, and tell each why."""
        message = f"{self._name}: preempting to accommodate a higher priority pod"
        for victim in victims:
            before = condition_of(victim.document, "DisruptionTarget") or {}
            condition = self._condition(victim, "DisruptionTarget", "True", "PreemptionByScheduler", message, before)
            try:
                await self._patch(victim, {"conditions": [condition]})
                await self._client.delete(core.POD, victim.name, victim.namespace, uid=victim.uid)
            except NotFound:
                continue
            why = f"Preempted by pod {pod.uid} on node {node}"
            self._recorder.event(victim.document, NORMAL, "Preempted", why)

    async def no_longer_nominated(self, pod: PodView) -> None:
        await self._patch(pod, {"nominatedNodeName": None})

    def _condition(self, pod: PodView, kind: str, status: str, reason: str, message: str, before: Object) -> Object:
        since = before.get("lastTransitionTime") if before.get("status") == status else None
        condition: Object = {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "lastProbeTime": None,
            "lastTransitionTime": since or timestamp(self._clock.now()),
        }
        if generation := pod.document["metadata"].get("generation"):
            condition["observedGeneration"] = generation
        return condition

    async def _patch(self, pod: PodView, status: Object) -> None:
        patch = {"metadata": {"uid": pod.uid}, "status": status}
        await self._client.patch(
            core.POD, pod.name, patch, pod.namespace, patch_type=PatchType.STRATEGIC, subresource="status"
        )
