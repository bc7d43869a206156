"""What a Service makes of a pod: addresses, conditions, ports. Pure."""

from collections.abc import Iterable, Mapping

from kajitori.api.meta import Object, is_deleting, labels_of, name_of, namespace_of, uid_of
from kajitori.api.pods import is_ready, is_sidecar, is_terminal, node_name

ZONE_LABEL = "topology.kubernetes.io/zone"
HEADLESS_LABEL = "service.kubernetes.io/headless"
ZONE_AWARE = ("PreferClose", "PreferSameZone", "PreferSameNode")


def is_headless(service: Object) -> bool:
    return bool(service["spec"].get("clusterIP") == "None")


def publishes_unready(service: Object) -> bool:
    return bool(service["spec"].get("publishNotReadyAddresses"))


def pod_ips(pod: Object) -> list[str]:
    status = pod.get("status") or {}
    ips = [entry["ip"] for entry in status.get("podIPs") or ()]
    return ips or ([status["podIP"]] if status.get("podIP") else [])


def address_type(ip: str) -> str:
    return "IPv6" if ":" in ip else "IPv4"


def address_types(service: Object) -> list[str]:
    return list(service["spec"].get("ipFamilies") or ("IPv4",))


def may_serve(pod: Object) -> bool:
    """Whether a pod appears in slices at all; terminating ones do, marked as such."""
    return not is_terminal(pod) and bool(pod_ips(pod))


def endpoint(service: Object, pod: Object, ip: str, zone: str) -> Object:
    """One entry of an EndpointSlice."""
    ready, leaving = is_ready(pod), is_deleting(pod)
    entry: Object = {
        "addresses": [ip],
        "conditions": {
            "ready": publishes_unready(service) or (ready and not leaving),
            "serving": ready,
            "terminating": leaving,
        },
        "targetRef": {"kind": "Pod", "namespace": namespace_of(pod), "name": name_of(pod), "uid": uid_of(pod)},
    }
    node = node_name(pod)
    if node:
        entry["nodeName"] = node
    if zone:
        entry["zone"] = zone
    if has_hostname(service, pod):
        entry["hostname"] = pod["spec"]["hostname"]
    hints = _hints(service, node, zone)
    if hints and entry["conditions"]["ready"]:
        entry["hints"] = hints
    return entry


def has_hostname(service: Object, pod: Object) -> bool:
    """Whether DNS should know the pod by its host name under this (headless) Service."""
    return bool(pod["spec"].get("hostname")) and pod["spec"].get("subdomain") == name_of(service)


def _hints(service: Object, node: str, zone: str) -> Object:
    """Where `trafficDistribution` wants an endpoint used (KEP-2433, KEP-3015)."""
    wish = service["spec"].get("trafficDistribution")
    hints: Object = {}
    if wish in ZONE_AWARE and zone:
        hints["forZones"] = [{"name": zone}]
    if wish == "PreferSameNode" and node:
        hints["forNodes"] = [{"name": node}]
    return hints


def ports(service: Object, pod: Object) -> list[Object]:
    """The Service's ports as this pod serves them; a named one that it does not have is left out."""
    found = []
    for port in service["spec"].get("ports") or ():
        number = target_port(port, pod)
        if number is None:
            continue
        entry: Object = {"name": port.get("name") or "", "protocol": port.get("protocol") or "TCP", "port": number}
        if port.get("appProtocol"):
            entry["appProtocol"] = port["appProtocol"]
        found.append(entry)
    return found


def target_port(port: Object, pod: Object) -> int | None:
    target = port.get("targetPort")
    if target is None or target == 0 or target == "":
        return int(port["port"])
    if isinstance(target, int):
        return target
    protocol = port.get("protocol") or "TCP"
    for container in _port_bearers(pod):
        for candidate in container.get("ports") or ():
            if candidate.get("name") == target and (candidate.get("protocol") or "TCP") == protocol:
                return int(candidate["containerPort"])
    return None


def _port_bearers(pod: Object) -> Iterable[Object]:
    yield from pod["spec"].get("containers") or ()
    yield from (c for c in pod["spec"].get("initContainers") or () if is_sidecar(c))


def selects(service: Object, labels: Mapping[str, str]) -> bool:
    """Whether a Service's pods carry these labels. One without a selector selects none."""
    selector = service["spec"].get("selector")
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def matters(new: Object, old: Object) -> bool:
    """Whether a pod's change can change an endpoint."""
    return _facts(new) != _facts(old)


def _facts(pod: Object) -> tuple[object, ...]:
    spec = pod["spec"]
    return (
        labels_of(pod),
        pod_ips(pod),
        is_ready(pod),
        is_terminal(pod),
        is_deleting(pod),
        spec.get("nodeName"),
        spec.get("hostname"),
        spec.get("subdomain"),
    )
