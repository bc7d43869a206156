"""pods/binding: the scheduler's decision, written once and for all."""

from collections.abc import Mapping

from kajitori.api import core
from kajitori.api.errors import BadRequest, Conflict, Invalid
from kajitori.api.field_errors import not_supported, required
from kajitori.api.meta import Object, is_deleting, name_of, set_condition, uid_of
from kajitori.api.times import timestamp
from kajitori.apiserver.http_types import Handler, HandlerKey, RequestContext, Response
from kajitori.apiserver.interfaces import Objects
from kajitori.apiserver.special.bodies import is_dry_run, only, read_part, success
from kajitori.kit.clock import Clock

# Labels of the node that its pods carry too (KEP-4742).
_TOPOLOGY_LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


class Bindings:
    def __init__(self, objects: Objects, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock

    def handlers(self) -> Mapping[HandlerKey, Handler]:
        return {("", "pods", "binding"): self._bind, ("", "bindings", ""): self._bind}

    async def _bind(self, context: RequestContext) -> Response:
        only(context, "POST")
        binding = await read_part(context, core.BINDING, self._objects)
        target = binding.get("target") or {}
        name = context.name or name_of(binding)
        if name != name_of(binding):
            raise BadRequest("name in URL does not match name in Binding object")
        _check(name, target)
        node = self._objects.cached(core.NODE, target["name"])
        labels = (node["metadata"].get("labels") or {}) if node else {}
        topology = {key: labels[key] for key in _TOPOLOGY_LABELS if key in labels}

        def assign(pod: Object) -> Object:
            bind(pod, binding, topology, timestamp(self._clock.now()))
            return pod

        if is_dry_run(context):
            assign(await self._objects.get(core.POD, name, context.namespace))
        else:
            await self._objects.update(core.POD, name, context.namespace, assign, keep_generation=True)
        return success(context)


def _check(name: str, target: Object) -> None:
    """Raises Invalid, where upstream fails with a 500."""
    errors = []
    if target.get("kind", "Node") not in ("", "Node"):
        errors.append(not_supported("target.kind", target["kind"], ["Node", "<empty>"]))
    if not target.get("name"):
        errors.append(required("target.name"))
    if errors:
        raise Invalid.of("", "Binding", name, errors)


def bind(pod: Object, binding: Object, labels: Mapping[str, str], now: str) -> None:
    """Assign the pod to the binding's node. Raises Conflict when it is not free to be bound."""
    name, wanted_uid = name_of(pod), uid_of(binding)

    def conflict(why: str) -> Conflict:
        return Conflict.of("", "pods/binding", name, why)

    if wanted_uid and wanted_uid != uid_of(pod):
        why = f"Precondition failed: UID in precondition: {wanted_uid}, UID in object meta: {uid_of(pod)}"
        raise conflict(why)
    if is_deleting(pod):
        raise conflict(f"pod {name} is being deleted, cannot be assigned to a host")
    if pod["spec"].get("nodeName"):
        raise conflict(f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"')
    if pod["spec"].get("schedulingGates"):
        raise conflict(f"pod {name} has non-empty .spec.schedulingGates")
    pod["spec"]["nodeName"] = binding["target"]["name"]
    if annotations := binding["metadata"].get("annotations"):
        pod["metadata"]["annotations"] = {**(pod["metadata"].get("annotations") or {}), **annotations}
    if labels:
        pod["metadata"]["labels"] = {**labels, **(pod["metadata"].get("labels") or {})}
    conditions = pod.setdefault("status", {}).setdefault("conditions", [])
    set_condition(conditions, {"type": "PodScheduled", "status": "True", "lastProbeTime": None}, now)
    for condition in conditions:
        if condition["type"] == "PodScheduled":
            for field in ("reason", "message"):
                condition.pop(field, None)
