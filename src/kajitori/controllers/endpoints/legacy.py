"""Endpoints, the older form: one object a Service, which some clients still read."""

from collections.abc import Iterable

import orjson

from kajitori.api.core import ENDPOINTS, POD, SERVICE
from kajitori.api.meta import (
    Object,
    ObjectKey,
    annotations_of,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from kajitori.api.pods import is_ready, node_name
from kajitori.controllers.context import Context
from kajitori.controllers.controller import Controller, Source, mapped, own
from kajitori.controllers.endpoints.service_pods import (
    HEADLESS_LABEL,
    address_type,
    address_types,
    has_hostname,
    is_headless,
    matters,
    may_serve,
    pod_ips,
    ports,
    publishes_unready,
    selects,
)

MANAGED_BY_LABEL = "endpoints.kubernetes.io/managed-by"
MANAGER = "endpoint-controller"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
ADDRESSES_MAX = 1000


class EndpointsController(Controller):
    name = "endpoint-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.services = context.informer(SERVICE)
        self.pods = context.informer(POD)
        self.endpoints = context.informer(ENDPOINTS)

    def sources(self) -> Iterable[Source]:
        return (
            own(SERVICE, changed=lambda new, old: new["spec"] != old["spec"] or labels_of(new) != labels_of(old)),
            mapped(POD, self._selecting, changed=matters),
            mapped(ENDPOINTS, self._mine),
        )

    def _selecting(self, pod: Object) -> list[ObjectKey]:
        labels = labels_of(pod)
        return [key_of(s) for s in self.services.list(namespace_of(pod)) if selects(s, labels)]

    def _mine(self, endpoints: Object) -> list[ObjectKey]:
        """Those a Service stands behind, and our own left-overs: never what a user wrote ahead of the Service."""
        key = key_of(endpoints)
        ours = labels_of(endpoints).get(MANAGED_BY_LABEL) == MANAGER
        return [key] if ours or self.services.get(key) is not None else []

    async def reconcile(self, key: ObjectKey) -> float | None:
        service, present = self.services.get(key), self.endpoints.get(key)
        if service is None:
            if present is not None:
                await self.writes.delete(ENDPOINTS, present)
            return None
        if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName" or is_deleting(service):
            return None
        pods = [p for p in self.pods.list(key.namespace) if may_serve(p) and selects(service, labels_of(p))]
        wanted = make_endpoints(service, pods, present)
        if present is None:
            await self.writes.create(ENDPOINTS, wanted)
        elif wanted != present:
            await self.writes.update(ENDPOINTS, wanted)
        return None


def make_endpoints(service: Object, pods: list[Object], present: Object | None) -> Object:
    """What the Service's Endpoints should be. Only the Service's first address family appears here."""
    family = address_types(service)[0]
    labels = {key: value for key, value in labels_of(service).items() if key != HEADLESS_LABEL}
    labels[MANAGED_BY_LABEL] = MANAGER
    if is_headless(service):
        labels[HEADLESS_LABEL] = ""
    annotations = {k: v for k, v in (annotations_of(present) if present else {}).items() if k != OVER_CAPACITY}
    entries = _entries(service, pods, family)
    if len(entries) > ADDRESSES_MAX:
        annotations[OVER_CAPACITY] = "truncated"
        entries = sorted(entries, key=lambda entry: not entry[1])[:ADDRESSES_MAX]
    metadata: Object = {"name": name_of(service), "namespace": namespace_of(service)}
    if present is not None:
        metadata = {**present["metadata"]}
    metadata["labels"] = labels
    if annotations:
        metadata["annotations"] = annotations
    else:
        metadata.pop("annotations", None)
    wanted: Object = {**(present or {}), "apiVersion": "v1", "kind": "Endpoints", "metadata": metadata}
    subsets = _subsets(entries)
    if subsets:
        wanted["subsets"] = subsets
    else:
        wanted.pop("subsets", None)
    return wanted


def _entries(service: Object, pods: list[Object], family: str) -> list[tuple[Object, bool, list[Object]]]:
    """Address, whether it is ready, ports."""
    entries = []
    unready_too = publishes_unready(service)
    for pod in sorted(pods, key=name_of):
        ip = next((ip for ip in pod_ips(pod) if address_type(ip) == family), None)
        if ip is None or (is_deleting(pod) and not unready_too):
            continue
        address: Object = {
            "ip": ip,
            "targetRef": {"kind": "Pod", "namespace": namespace_of(pod), "name": name_of(pod), "uid": uid_of(pod)},
        }
        if node_name(pod):
            address["nodeName"] = node_name(pod)
        if has_hostname(service, pod):
            address["hostname"] = pod["spec"]["hostname"]
        served = [{k: v for k, v in port.items() if k != "name" or v} for port in ports(service, pod)]
        if served or is_headless(service):
            entries.append((address, unready_too or is_ready(pod), served))
    return entries


def _subsets(entries: list[tuple[Object, bool, list[Object]]]) -> list[Object]:
    """Addresses with equal ports share a subset; everything in a fixed order, so that equal is equal."""
    by_ports: dict[bytes, Object] = {}
    for address, ready, served in entries:
        served = sorted(served, key=lambda port: (port.get("name", ""), port["protocol"], port["port"]))
        subset = by_ports.setdefault(orjson.dumps(served), {"ports": served} if served else {})
        subset.setdefault("addresses" if ready else "notReadyAddresses", []).append(address)
    for subset in by_ports.values():
        for field in ("addresses", "notReadyAddresses"):
            if field in subset:
                subset[field].sort(key=lambda address: (address["ip"], address["targetRef"]["uid"]))
    return [by_ports[key] for key in sorted(by_ports)]
