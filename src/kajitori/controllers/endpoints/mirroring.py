"""Slices for Endpoints that a user wrote: how a database outside the cluster gets behind a Service without selector."""

from collections.abc import Iterable

from kajitori.api.core import ENDPOINTS, SERVICE
from kajitori.api.discovery import ENDPOINT_SLICE
from kajitori.api.meta import Object, ObjectKey, annotations_of, is_deleting, key_of, labels_of, name_of, namespace_of
from kajitori.controllers.batches import all_at_once
from kajitori.controllers.context import Context
from kajitori.controllers.controller import Controller, Source, mapped, own
from kajitori.controllers.endpoints import slices
from kajitori.controllers.endpoints.endpointslice import BY_SERVICE, slice_service_keys
from kajitori.controllers.endpoints.legacy import MANAGED_BY_LABEL
from kajitori.controllers.endpoints.legacy import MANAGER as ENDPOINTS_MANAGER
from kajitori.controllers.endpoints.service_pods import address_type

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP_LABEL = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
ADDRESSES_PER_SUBSET_MAX = 1000


class EndpointSliceMirroringController(Controller):
    name = "endpoint-slice-mirroring-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.services = context.informer(SERVICE)
        self.endpoints = context.informer(ENDPOINTS)
        self.slices = context.informer(ENDPOINT_SLICE)
        self.slices.add_index(BY_SERVICE, slice_service_keys)

    def sources(self) -> Iterable[Source]:
        return (
            own(ENDPOINTS),
            mapped(SERVICE, lambda service: (key_of(service),), changed=lambda n, o: _selector(n) != _selector(o)),
            mapped(ENDPOINT_SLICE, _endpoints_of),
        )

    async def reconcile(self, key: ObjectKey) -> float | None:
        endpoints, service = self.endpoints.get(key), self.services.get(key)
        existing = [s for s in self.slices.by_index(BY_SERVICE, f"{MANAGER} {key}") if not is_deleting(s)]
        if endpoints is None or service is None or _selector(service) or not is_mirrored(endpoints):
            todo = slices.Plan([], [], existing)
        else:
            todo = slices.plan(groups_of(endpoints), existing, _dress(endpoints))
        error = await all_at_once(
            [
                *(self.writes.create(ENDPOINT_SLICE, new) for new in todo.create),
                *(self.writes.update(ENDPOINT_SLICE, changed) for changed in todo.update),
                *(self.writes.delete(ENDPOINT_SLICE, left) for left in todo.delete),
            ]
        )
        if error is not None:
            raise error
        return None


def is_mirrored(endpoints: Object) -> bool:
    labels = labels_of(endpoints)
    return (
        labels.get(SKIP_LABEL) != "true"
        and labels.get(MANAGED_BY_LABEL) != ENDPOINTS_MANAGER
        and LEADER not in annotations_of(endpoints)
        and not is_deleting(endpoints)
    )


def groups_of(endpoints: Object) -> list[slices.Group]:
    entries = []
    for subset in endpoints.get("subsets") or ():
        ports = [_port(port) for port in subset.get("ports") or ()]
        addresses = [(a, True) for a in subset.get("addresses") or ()]
        addresses += [(a, False) for a in subset.get("notReadyAddresses") or ()]
        for address, ready in addresses[:ADDRESSES_PER_SUBSET_MAX]:
            entry: Object = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
            for field in ("hostname", "nodeName", "targetRef"):
                if address.get(field):
                    entry[field] = address[field]
            entries.append((address_type(address["ip"]), ports, entry))
    return slices.group(entries)


def _port(port: Object) -> Object:
    return {"name": "", "protocol": "TCP", **port}


def _dress(endpoints: Object) -> slices.Dress:
    labels = {key: value for key, value in labels_of(endpoints).items() if key != SKIP_LABEL}
    labels |= {slices.SERVICE_NAME_LABEL: name_of(endpoints), slices.MANAGED_BY_LABEL: MANAGER}
    annotations = {key: value for key, value in annotations_of(endpoints).items() if key != LAST_APPLIED}
    return slices.Dress(endpoints, name_of(endpoints), labels, annotations)


def _selector(service: Object) -> Object:
    return service["spec"].get("selector") or {}


def _endpoints_of(obj: Object) -> list[ObjectKey]:
    if labels_of(obj).get(slices.MANAGED_BY_LABEL) != MANAGER:
        return []
    return [ObjectKey(namespace_of(obj), labels_of(obj).get(slices.SERVICE_NAME_LABEL, ""))]
