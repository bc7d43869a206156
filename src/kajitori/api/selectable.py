"""By which fields objects can be selected, beside `metadata.name` and `metadata.namespace` that every kind has."""

from collections.abc import Callable, Mapping

from kajitori.api.meta import Object

Fields = Mapping[str, Callable[[Object], str]]


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _at(*path: str, absent: str = "") -> Callable[[Object], str]:
    def read(obj: Object) -> str:
        found: object = obj
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return absent if found is None else _text(found)

    return read


def _below(part: str, key: str, absent: str) -> Callable[[Object], str]:
    """`_at` for two steps: what nearly all paths are, read at every write of a pod."""

    def read(obj: Object) -> str:
        holder = obj.get(part)
        found = holder.get(key) if isinstance(holder, dict) else None
        if isinstance(found, str):
            return found
        return absent if found is None else _text(found)

    return read


def _paths(*paths: str, absent: str = "") -> Fields:
    return {path: _reader(path.split("."), absent) for path in paths}


def _reader(steps: list[str], absent: str) -> Callable[[Object], str]:
    return _below(steps[0], steps[1], absent) if len(steps) == 2 else _at(*steps, absent=absent)


def _pod_ip(pod: Object) -> str:
    status = pod.get("status") or {}
    addresses = status.get("podIPs") or ()
    return (addresses[0].get("ip") if addresses else status.get("podIP")) or ""


POD: Fields = {
    **_paths("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName"),
    **_paths("spec.hostNetwork", absent="false"),
    **_paths("status.phase", "status.nominatedNodeName"),
    "status.podIP": _pod_ip,
    "status.podIPs": _pod_ip,
}

_REFERENCE = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


def _event_source(event: Object) -> str:
    return (event.get("source") or {}).get("component") or event.get("reportingComponent") or ""


EVENT: Fields = {
    **_paths(*(f"involvedObject.{field}" for field in _REFERENCE)),
    **_paths("reason", "type", "reportingComponent"),
    "source": _event_source,
}

EVENT_OF_EVENTS: Mapping[str, str] = {
    "reason": "reason",
    "type": "type",
    "reportingController": "reportingComponent",
    **{f"regarding.{field}": f"involvedObject.{field}" for field in _REFERENCE},
}
"""What events.k8s.io calls the fields of the stored core/v1 Event."""

SECRET = _paths("type")
NODE = _paths("spec.unschedulable", absent="false")
NAMESPACE = _paths("status.phase")
SERVICE = _paths("spec.clusterIP", "spec.type")
REPLICAS = _paths("status.replicas", absent="0")
JOB: Fields = {"status.successful": _at("status", "succeeded", absent="0")}
CERTIFICATE_SIGNING_REQUEST = _paths("spec.signerName")
RESOURCE_SLICE = _paths("spec.nodeName", "spec.driver")
