"""What the downward API shows of a pod: `fieldRef` and `resourceFieldRef`."""

import re

from kajitori.api.meta import Object, annotations_of, labels_of, name_of, namespace_of, uid_of
from kajitori.api.quantity import milli, parse, value

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']*)'\]")
_NANO = 10**9


def _quoted(text: str) -> str:
    """As Go's %q writes it, which is how the files of a downward API volume hold labels."""
    special = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
    return '"' + "".join(special.get(c, c) for c in text) + '"'


def _lines(mapping: dict[str, str]) -> str:
    return "\n".join(f"{key}={_quoted(mapping[key])}" for key in sorted(mapping))


def pod_field(pod: Object, path: str, *, host_ips: tuple[str, ...] = (), pod_ips: tuple[str, ...] = ()) -> str:
    """Raises KeyError for a path that the API would have refused."""
    if match := _SUBSCRIPT.fullmatch(path):
        return (labels_of if match[1] == "labels" else annotations_of)(pod).get(match[2], "")
    simple = {
        "metadata.name": name_of(pod),
        "metadata.namespace": namespace_of(pod),
        "metadata.uid": uid_of(pod),
        "metadata.labels": _lines(dict(labels_of(pod))),
        "metadata.annotations": _lines(dict(annotations_of(pod))),
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", ""),
        "status.hostIP": host_ips[0] if host_ips else "",
        "status.hostIPs": ",".join(host_ips),
        "status.podIP": pod_ips[0] if pod_ips else "",
        "status.podIPs": ",".join(pod_ips),
    }
    return str(simple[path])


def resource_field(container: Object, resource: str, divisor: str, allocatable: dict[str, str]) -> str:
    """`limits.cpu` and its like, in units of `divisor`, rounded up; a missing limit means the node's allocatable."""
    side, _, name = resource.partition(".")
    amounts = (container.get("resources") or {}).get(side) or {}
    quantity = amounts.get(name)
    if quantity is None:
        quantity = allocatable.get(name, "0") if side == "limits" else "0"
    unit = parse(divisor or "1").nanos or _NANO
    if name == "cpu":
        return str(-(-milli(quantity) * 10**6 // unit))
    return str(-(-value(quantity) * _NANO // unit))
