"""References by which a pod reads its own fields and resources."""

import re
from collections.abc import Sequence

from kajitori.api.field_errors import invalid, required
from kajitori.api.meta import Object
from kajitori.api.quantity import parse
from kajitori.api.selectors import label_key_errors
from kajitori.api.validation.checks import Errors, must, unsupported

_SUBSCRIPT = re.compile(r"(?P<path>metadata\.(?:annotations|labels)|[^\[]+)\['(?P<key>.*)'\]")

_ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
_VOLUME_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
_CONVERTIBLE = {
    *_ENV_FIELDS,
    *_VOLUME_FIELDS,
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.hostNetwork",
    "status.phase",
    "status.nominatedNodeName",
    "spec.host",
}
_RESOURCES = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_HUGE_PAGES = ("limits.hugepages-", "requests.hugepages-")
_CPU_DIVISORS = ("1m", "1")
_MEMORY_DIVISORS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")


def env_field_reference(path: str, reference: Object) -> Errors:
    yield from _field_reference(path, reference, _ENV_FIELDS)


def volume_field_reference(path: str, reference: Object) -> Errors:
    yield from _field_reference(path, reference, _VOLUME_FIELDS)


def _field_reference(path: str, reference: Object, allowed: Sequence[str]) -> Errors:
    field = reference.get("fieldPath") or ""
    if not reference.get("apiVersion"):
        yield required(f"{path}.apiVersion")
        return
    if not field:
        yield required(f"{path}.fieldPath")
        return
    if reference["apiVersion"] != "v1":
        detail = f"error converting fieldPath: unsupported pod version: {reference['apiVersion']}"
        yield invalid(f"{path}.fieldPath", field, detail)
        return
    subscript = _SUBSCRIPT.fullmatch(field)
    known = subscript["path"] in ("metadata.annotations", "metadata.labels") if subscript else field in _CONVERTIBLE
    if not known:
        detail = f"error converting fieldPath: field label not supported: {field}"
        yield invalid(f"{path}.fieldPath", field, detail)
    elif subscript:
        key = subscript["key"]
        name = key.lower() if subscript["path"] == "metadata.annotations" else key
        yield from must(path, key, label_key_errors(name))
    elif field not in allowed:
        yield unsupported(f"{path}.fieldPath", field, allowed)


def resource_field_reference(path: str, reference: Object, *, of_volume: bool) -> Errors:
    resource = reference.get("resource") or ""
    if of_volume and not reference.get("containerName"):
        yield required(f"{path}.containerName")
    elif not resource:
        yield required(f"{path}.resource")
        return
    elif resource not in _RESOURCES and not resource.startswith(_HUGE_PAGES):
        yield unsupported(f"{path}.resource", resource, _RESOURCES)
        return
    yield from _divisor(path, resource, reference.get("divisor") or "0")


def _divisor(path: str, resource: str, divisor: str) -> Errors:
    if not parse(divisor).nanos:
        return
    kind = "cpu" if resource.endswith(".cpu") else resource.partition(".")[2]
    allowed = _CPU_DIVISORS if kind == "cpu" else _MEMORY_DIVISORS
    if parse(divisor).nanos not in {parse(text).nanos for text in allowed}:
        shown = "1m and 1" if kind == "cpu" else ", ".join(allowed)
        name = "memory" if kind == "memory" else kind
        name = "local ephemeral storage" if kind == "ephemeral-storage" else name
        detail = f"only divisor's values {shown} are supported with the {name} resource"
        yield invalid(f"{path}.divisor", resource, detail)
