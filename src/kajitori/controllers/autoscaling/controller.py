"""The thin shell of the autoscaler. It looks every 15 s, but only at autoscalers that exist: metrics send no events."""

from collections.abc import Iterable
from urllib.parse import quote

import orjson

from kajitori.api import quantity
from kajitori.api.autoscaling import HORIZONTAL_POD_AUTOSCALER
from kajitori.api.core import POD
from kajitori.api.errors import StatusError
from kajitori.api.meta import Object, ObjectKey, labels_of, set_condition
from kajitori.api.resource import Resource
from kajitori.api.selectors import parse_label_selector
from kajitori.api.times import timestamp
from kajitori.controllers.autoscaling.behavior import Decision, Memory, limit, remember_change
from kajitori.controllers.autoscaling.replicas import Measured, NoMetrics, Target, Usage, needed
from kajitori.controllers.context import Context
from kajitori.controllers.controller import Controller, Source, own

PERIOD_S = 15.0


class HorizontalPodAutoscalerController(Controller):
    name = "horizontal-pod-autoscaler"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.autoscalers = context.informer(HORIZONTAL_POD_AUTOSCALER)
        self.pods = context.informer(POD)
        self.events = context.recorder(self.name)
        self._memory: dict[ObjectKey, Memory] = {}

    def sources(self) -> Iterable[Source]:
        return (own(HORIZONTAL_POD_AUTOSCALER, changed=lambda new, old: new["spec"] != old["spec"]),)

    async def reconcile(self, key: ObjectKey) -> float | None:
        autoscaler = self.autoscalers.get(key)
        if autoscaler is None:
            self._memory.pop(key, None)
            return None
        round_ = _Round(autoscaler, self.clock.now())
        try:
            await self._scale(key, autoscaler, round_)
        finally:
            await self.writes.update_status(HORIZONTAL_POD_AUTOSCALER, autoscaler, round_.status)
        return PERIOD_S

    async def _scale(self, key: ObjectKey, autoscaler: Object, round_: "_Round") -> None:
        try:
            resource, scale = await self._target(autoscaler)
        except (StatusError, NoMetrics) as error:
            message = f"the HPA controller was unable to get the target's current scale: {error}"
            round_.condition("AbleToScale", "False", "FailedGetScale", message)
            self.events.event(autoscaler, "Warning", "FailedGetScale", str(error))
            return
        message = "the HPA controller was able to get the target's current scale"
        round_.condition("AbleToScale", "True", "SucceededGetScale", message)
        current = int(scale["spec"].get("replicas") or 0)
        round_.status |= {"currentReplicas": current, "observedGeneration": autoscaler["metadata"].get("generation", 0)}
        if current == 0 and autoscaler["spec"].get("minReplicas", 1) != 0:
            message = "scaling is disabled since the replica count of the target is zero"
            round_.condition("ScalingActive", "False", "ScalingDisabled", message)
            round_.status["desiredReplicas"] = 0
            return
        decision = await self._decide(key, autoscaler, current, scale, round_)
        if decision is not None and decision.replicas != current:
            await self._resize(key, autoscaler, resource, scale, decision.replicas, round_)

    async def _target(self, autoscaler: Object) -> tuple[Resource, Object]:
        reference = autoscaler["spec"]["scaleTargetRef"]
        api_version = reference.get("apiVersion") or "v1"
        resource = self.context.kinds.by_kind(api_version, reference["kind"])
        if resource is None:
            raise NoMetrics(f'no matches for kind "{reference["kind"]}" in group version "{api_version}"')
        namespace = autoscaler["metadata"]["namespace"]
        return resource, await self.client.get(resource, reference["name"], namespace, subresource="scale")

    async def _decide(
        self, key: ObjectKey, autoscaler: Object, current: int, scale: Object, round_: "_Round"
    ) -> Decision | None:
        least, most = autoscaler["spec"].get("minReplicas", 1), autoscaler["spec"]["maxReplicas"]
        if not least <= current <= most:
            return Decision(min(max(current, least), most))
        proposals = await self._measure(autoscaler, current, scale, round_)
        if not proposals:
            round_.status["desiredReplicas"] = current
            return None
        memory = self._memory.setdefault(key, Memory())
        decision = limit(autoscaler, current, max(proposals), memory, round_.now_s)
        if decision.limited:
            round_.condition("ScalingLimited", "True", decision.limited, decision.message)
        else:
            message = "the desired count is within the acceptable range"
            round_.condition("ScalingLimited", "False", "DesiredWithinRange", message)
        round_.status["desiredReplicas"] = decision.replicas
        return decision

    async def _measure(self, autoscaler: Object, current: int, scale: Object, round_: "_Round") -> list[int]:
        """What each metric asks for. One that fails does not stop growth, but stops shrinking."""
        selector = (scale.get("status") or {}).get("selector") or ""
        namespace = autoscaler["metadata"]["namespace"]
        matches = parse_label_selector(selector)
        pods = [p for p in self.pods.list(namespace) if matches.matches(labels_of(p))]
        proposals, shown, failures = [], [], []
        for metric in autoscaler["spec"].get("metrics") or ():
            try:
                target = target_of(metric)
                usage = await self._usage(namespace, selector, target.resource)
                measured = needed(target, current, pods, usage, round_.now_s)
            except NoMetrics as error:
                failures.append(str(error))
                continue
            proposals.append(measured.replicas)
            shown.append(_shown(metric, target, measured))
        round_.status["currentMetrics"] = shown
        if failures:
            reason = "FailedGetResourceMetric"
            message = f"the HPA was unable to compute the replica count: {failures[0]}"
            self.events.event(autoscaler, "Warning", reason, failures[0])
            if not proposals or max(proposals) <= current:
                round_.condition("ScalingActive", "False", reason, message)
                return []
        message = "the HPA was able to successfully calculate a replica count from resource metrics"
        round_.condition("ScalingActive", "True", "ValidMetricFound", message)
        return proposals

    async def _usage(self, namespace: str, selector: str, resource: str) -> Usage:
        path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods?labelSelector={quote(selector)}"
        status, _, body = await self.client.raw("GET", path)
        if status != 200:
            raise NoMetrics(f"unable to fetch metrics from resource metrics API: it answered {status}")
        return {
            item["metadata"]["name"]: {
                container["name"]: quantity.milli(container["usage"].get(resource, 0))
                for container in item["containers"]
            }
            for item in orjson.loads(body)["items"]
        }

    async def _resize(
        self, key: ObjectKey, autoscaler: Object, resource: Resource, scale: Object, replicas: int, round_: "_Round"
    ) -> None:
        current = int(scale["spec"].get("replicas") or 0)
        wanted = {**scale, "spec": {**scale["spec"], "replicas": replicas}}
        try:
            await self.client.update(resource, wanted, subresource="scale")
        except StatusError as error:
            round_.condition(
                "AbleToScale",
                "False",
                "FailedUpdateScale",
                f"the HPA controller was unable to update the target scale: {error}",
            )
            self.events.event(autoscaler, "Warning", "FailedRescale", f"New size: {replicas}; error: {error}")
            raise
        remember_change(self._memory.setdefault(key, Memory()), replicas - current, round_.now_s)
        why = "All metrics below target" if replicas < current else "a metric above target"
        message = f"the HPA controller was able to update the target scale to {replicas}"
        round_.condition("AbleToScale", "True", "SucceededRescale", message)
        round_.status |= {"desiredReplicas": replicas, "lastScaleTime": timestamp(round_.now_s)}
        self.events.event(autoscaler, "Normal", "SuccessfulRescale", f"New size: {replicas}; reason: {why}")


class _Round:
    """The status that one look leads to."""

    def __init__(self, autoscaler: Object, now_s: float) -> None:
        old = autoscaler.get("status") or {}
        self.now_s = now_s
        self.status: Object = {**old, "conditions": [dict(c) for c in old.get("conditions") or ()]}
        self.status.setdefault("desiredReplicas", 0)

    def condition(self, kind: str, value: str, reason: str, message: str) -> None:
        new = {"type": kind, "status": value, "reason": reason, "message": message}
        set_condition(self.status["conditions"], new, timestamp(self.now_s))


def target_of(metric: Object) -> Target:
    """Raises NoMetrics for kinds of metrics that need another API than metrics.k8s.io."""
    if metric["type"] not in ("Resource", "ContainerResource"):
        raise NoMetrics(f"no API serves metrics of type {metric['type']}: install an adapter for custom metrics")
    source = metric["resource" if metric["type"] == "Resource" else "containerResource"]
    wanted = source["target"]
    average = wanted.get("averageValue")
    return Target(
        source["name"],
        wanted.get("averageUtilization"),
        quantity.milli(average) if average is not None else None,
        source.get("container", ""),
    )


def _shown(metric: Object, target: Target, measured: Measured) -> Object:
    binary = target.resource == "memory"
    current: Object = {"averageValue": _amount(measured.average, binary=binary)}
    if measured.utilization is not None:
        current["averageUtilization"] = measured.utilization
    field = "resource" if metric["type"] == "Resource" else "containerResource"
    detail: Object = {"name": target.resource, "current": current}
    if target.container:
        detail["container"] = target.container
    return {"type": metric["type"], field: detail}


def _amount(milli: int, *, binary: bool) -> str:
    return quantity.from_value(milli // 1000, "binary") if binary else quantity.from_milli(milli)
