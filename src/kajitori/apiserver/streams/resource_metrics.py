"""metrics.k8s.io/v1beta1: what nodes and pods use now, read from the kubelets when somebody asks (`kubectl top`)."""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping

import orjson

from kajitori.api import core
from kajitori.api.errors import NotFound, ServiceUnavailable, StatusError
from kajitori.api.meta import Object, labels_of, name_of
from kajitori.api.resource import Resource
from kajitori.api.selectors import parse_label_selector
from kajitori.api.times import timestamp
from kajitori.apiserver.http_types import Handler, HandlerKey, RequestContext, Response
from kajitori.apiserver.interfaces import Objects
from kajitori.apiserver.special.bodies import answer, only
from kajitori.apiserver.streams.kubelets import Kubelets
from kajitori.apiserver.streams.relay import fetch
from kajitori.kit.clock import Clock, within

log = logging.getLogger(__name__)

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
_SUMMARY = "/stats/summary"
_TIMEOUT_S = 5.0
# Over how long a kubelet averages CPU use.
_WINDOW = "10s"

NODE_METRICS = Resource(
    group=GROUP, version=VERSION, kind="NodeMetrics", plural="nodes", namespaced=False, verbs=("get", "list")
)
POD_METRICS = Resource(group=GROUP, version=VERSION, kind="PodMetrics", plural="pods", verbs=("get", "list"))


class ResourceMetrics:
    """A node that does not answer within five seconds is left out of a list."""

    def __init__(self, objects: Objects, kubelets: Kubelets, clock: Clock) -> None:
        self._objects = objects
        self._kubelets = kubelets
        self._clock = clock

    def handlers(self) -> Mapping[HandlerKey, Handler]:
        return {(GROUP, "nodes", ""): self._nodes, (GROUP, "pods", ""): self._pods}

    async def _nodes(self, context: RequestContext) -> Response:
        only(context, "GET")
        nodes = [self._node(context.name)] if context.name else list(self._objects.cached_list(core.NODE))
        chosen = _selected(nodes, context)
        summaries = await self._summaries(name_of(node) for node in chosen)
        items = [
            self._metrics("NodeMetrics", node, {"usage": _usage(summaries[name_of(node)]["node"])})
            for node in chosen
            if name_of(node) in summaries
        ]
        return self._answer(context, NODE_METRICS, items)

    async def _pods(self, context: RequestContext) -> Response:
        only(context, "GET")
        if context.name:
            pods = [await self._objects.get(core.POD, context.name, context.namespace)]
        else:
            pods = list(self._objects.cached_list(core.POD, context.namespace))
        chosen = {pod["metadata"]["uid"]: pod for pod in _selected(pods, context) if pod["spec"].get("nodeName")}
        summaries = await self._summaries({pod["spec"]["nodeName"] for pod in chosen.values()})
        items = []
        for summary in summaries.values():
            for measured in summary.get("pods") or ():
                pod = chosen.get(measured["podRef"].get("uid", ""))
                containers = list(_containers(measured))
                if pod is not None and containers:
                    items.append(self._metrics("PodMetrics", pod, {"containers": containers}))
        return self._answer(context, POD_METRICS, items)

    def _node(self, name: str) -> Object:
        node = self._objects.cached(core.NODE, name)
        if node is None:
            raise NotFound.of(GROUP, "nodes", name)
        return node

    async def _summaries(self, nodes: Iterable[str]) -> dict[str, Object]:
        """What the kubelets say, by node; without those that do not answer."""
        found: dict[str, Object] = {}

        async def ask(node: str) -> None:
            try:
                body = await within(self._clock, _TIMEOUT_S, fetch(self._kubelets.address_of(node), _SUMMARY))
                found[node] = orjson.loads(body)
            except (StatusError, TimeoutError, orjson.JSONDecodeError) as error:
                log.info("no metrics from node %s: %s", node, error)

        await asyncio.gather(*(ask(node) for node in nodes))
        return found

    def _metrics(self, kind: str, obj: Object, content: Object) -> Object:
        now = timestamp(self._clock.now())
        meta: Object = {"name": name_of(obj), "creationTimestamp": now}
        if obj["metadata"].get("namespace"):
            meta["namespace"] = obj["metadata"]["namespace"]
        if labels_of(obj):
            meta["labels"] = dict(labels_of(obj))
        head = {"kind": kind, "apiVersion": f"{GROUP}/{VERSION}", "metadata": meta}
        return {**head, "timestamp": now, "window": _WINDOW, **content}

    @staticmethod
    def _answer(context: RequestContext, resource: Resource, items: list[Object]) -> Response:
        if not context.name:
            ordered = sorted(items, key=lambda item: (item["metadata"].get("namespace", ""), item["metadata"]["name"]))
            head = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": {}}
            return answer(context, {**head, "items": ordered})
        if not items:
            if resource is NODE_METRICS:
                raise ServiceUnavailable(f"the kubelet of node {context.name} does not answer")
            raise NotFound.of(GROUP, resource.plural, context.name)
        return answer(context, items[0])


def _selected(objects: list[Object], context: RequestContext) -> list[Object]:
    selector = parse_label_selector(context.attributes.label_selector)
    return [obj for obj in objects if selector.matches(labels_of(obj))]


def _containers(measured: Object) -> Iterator[Object]:
    for container in measured.get("containers") or ():
        if container.get("cpu") and container.get("memory"):
            yield {"name": container["name"], "usage": _usage(container)}


def _usage(measured: Object) -> Object:
    cpu, memory = measured.get("cpu") or {}, measured.get("memory") or {}
    return {
        "cpu": f"{int(cpu.get('usageNanoCores') or 0)}n",
        "memory": f"{int(memory.get('workingSetBytes') or 0) // 1024}Ki",
    }
