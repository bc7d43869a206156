"""EndpointSlices of Services that select pods."""

from collections.abc import Iterable

from kajitori.api.core import NODE, POD, SERVICE
from kajitori.api.discovery import ENDPOINT_SLICE
from kajitori.api.meta import Object, ObjectKey, is_deleting, key_of, labels_of, name_of, namespace_of
from kajitori.api.pods import node_name
from kajitori.controllers.batches import all_at_once
from kajitori.controllers.context import Context
from kajitori.controllers.controller import Controller, Source, mapped, own
from kajitori.controllers.endpoints import slices
from kajitori.controllers.endpoints.service_pods import (
    HEADLESS_LABEL,
    ZONE_LABEL,
    address_type,
    address_types,
    endpoint,
    is_headless,
    matters,
    may_serve,
    pod_ips,
    ports,
    selects,
)

MANAGER = "endpointslice-controller.k8s.io"
BY_SERVICE = "service of slice"


def slice_service_keys(obj: Object) -> list[str]:
    service = labels_of(obj).get(slices.SERVICE_NAME_LABEL)
    manager = labels_of(obj).get(slices.MANAGED_BY_LABEL)
    return [f"{manager} {namespace_of(obj)}/{service}"] if service and manager else []


class EndpointSliceController(Controller):
    name = "endpoint-slice-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.services = context.informer(SERVICE)
        self.pods = context.informer(POD)
        self.nodes = context.informer(NODE)
        self.slices = context.informer(ENDPOINT_SLICE)
        self.slices.add_index(BY_SERVICE, slice_service_keys)

    def sources(self) -> Iterable[Source]:
        return (
            own(SERVICE, changed=lambda new, old: new["spec"] != old["spec"] or labels_of(new) != labels_of(old)),
            mapped(POD, self._selecting, changed=matters),
            mapped(ENDPOINT_SLICE, _service_of),
            mapped(NODE, self._zoned, changed=lambda new, old: _zone(new) != _zone(old)),
        )

    def _selecting(self, pod: Object) -> list[ObjectKey]:
        labels = labels_of(pod)
        return [key_of(s) for s in self.services.list(namespace_of(pod)) if selects(s, labels)]

    def _zoned(self, node: Object) -> list[ObjectKey]:
        return [key_of(service) for service in self.services.list()] if _zone(node) else []

    async def reconcile(self, key: ObjectKey) -> float | None:
        service = self.services.get(key)
        if service is None or is_deleting(service):
            return None
        if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
            return None
        existing = [s for s in self.slices.by_index(BY_SERVICE, f"{MANAGER} {key}") if not is_deleting(s)]
        todo = slices.plan(self._groups(service), existing, dress(service))
        error = await all_at_once(
            [
                *(self.writes.create(ENDPOINT_SLICE, new) for new in todo.create),
                *(self.writes.update(ENDPOINT_SLICE, changed) for changed in todo.update),
                *(self.writes.delete(ENDPOINT_SLICE, empty) for empty in todo.delete),
            ]
        )
        if error is not None:
            raise error
        return None

    def _groups(self, service: Object) -> list[slices.Group]:
        wanted = address_types(service)
        pods = [
            pod for pod in self.pods.list(namespace_of(service)) if may_serve(pod) and selects(service, labels_of(pod))
        ]
        entries = []
        for pod in sorted(pods, key=name_of):
            served = ports(service, pod)
            for ip in pod_ips(pod):
                if address_type(ip) in wanted:
                    entries.append((address_type(ip), served, endpoint(service, pod, ip, self._zone_of(pod))))
        groups = slices.group(entries)
        found = {g.address_type for g in groups}
        return groups + [slices.Group(kind, []) for kind in wanted if kind not in found]

    def _zone_of(self, pod: Object) -> str:
        node = self.nodes.get(ObjectKey("", node_name(pod)))
        return _zone(node) if node is not None else ""


def dress(service: Object) -> slices.Dress:
    labels = {key: value for key, value in labels_of(service).items() if key != HEADLESS_LABEL}
    labels |= {slices.SERVICE_NAME_LABEL: name_of(service), slices.MANAGED_BY_LABEL: MANAGER}
    if is_headless(service):
        labels[HEADLESS_LABEL] = ""
    return slices.Dress(service, name_of(service), labels, {})


def _zone(node: Object) -> str:
    return labels_of(node).get(ZONE_LABEL, "")


def _service_of(obj: Object) -> list[ObjectKey]:
    """A slice that someone else changed or deleted is put right."""
    if labels_of(obj).get(slices.MANAGED_BY_LABEL) != MANAGER:
        return []
    return [ObjectKey(namespace_of(obj), labels_of(obj).get(slices.SERVICE_NAME_LABEL, ""))]
