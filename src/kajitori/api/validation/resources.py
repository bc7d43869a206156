"""Names and amounts of compute resources."""

from collections.abc import Mapping

from kajitori.api.field_errors import FieldError, duplicate, forbidden, invalid, required
from kajitori.api.meta import Object
from kajitori.api.pods import needed_together
from kajitori.api.quantity import compare, parse
from kajitori.api.selectors import label_key_errors
from kajitori.api.validation.checks import Errors, each, must, unsupported
from kajitori.api.validation.formats import label_errors

_HUGE_PAGES = "hugepages-"
_CONTAINER_RESOURCES = ("cpu", "memory", "ephemeral-storage")
_OBJECT_COUNTS = (
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
)
_QUOTA_RESOURCES = (
    *_CONTAINER_RESOURCES,
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    *_OBJECT_COUNTS,
)
_STANDARD = (*_QUOTA_RESOURCES, "storage")
_POD_LEVEL = ("cpu", "memory")


def is_standard(name: str) -> bool:
    return name in _STANDARD or name.startswith((_HUGE_PAGES, f"requests.{_HUGE_PAGES}"))


def is_container_resource(name: str) -> bool:
    return name in _CONTAINER_RESOURCES or name.startswith(_HUGE_PAGES)


def is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    return not is_native(name) and not name.startswith("requests.") and not label_key_errors(f"requests.{name}")


def is_whole(name: str) -> bool:
    """Whether half of one makes no sense."""
    return name in _OBJECT_COUNTS or is_extended(name)


def is_overcommitted(name: str) -> bool:
    """Whether limits may exceed requests."""
    return is_native(name) and not name.startswith(_HUGE_PAGES)


def resource_name(path: str, name: str) -> Errors:
    problems = label_key_errors(name)
    yield from must(path, name, problems)
    if not problems and "/" not in name and not is_standard(name):
        yield invalid(path, name, "must be a standard resource type or fully qualified")


def container_resource_name(path: str, name: str) -> Errors:
    yield from resource_name(path, name)
    if "/" not in name:
        if not is_container_resource(name):
            yield invalid(path, name, "must be a standard resource for containers")
    elif not is_native(name) and not is_extended(name):
        yield invalid(path, name, "doesn't follow extended resource name standard")


def quota_resource_name(path: str, name: str) -> Errors:
    yield from resource_name(path, name)
    if "/" not in name and name not in _QUOTA_RESOURCES and not name.startswith((_HUGE_PAGES, "requests.hugepages-")):
        yield invalid(path, name, "must be a standard resource for quota")


def resource_amount(path: str, name: str, quantity: str) -> Errors:
    yield from amount_not_negative(path, quantity)
    if is_whole(name) and parse(quantity).nanos % 10**9:
        yield invalid(path, quantity, "must be an integer")


def amount_not_negative(path: str, quantity: str) -> Errors:
    if parse(quantity).nanos < 0:
        yield invalid(path, quantity, "must be greater than or equal to 0")


def amount_positive(path: str, quantity: str) -> Errors:
    if parse(quantity).nanos <= 0:
        yield invalid(path, quantity, "must be greater than zero")


def requirements(path: str, resources: Object | None, claims: frozenset[str] = frozenset()) -> Errors:
    """The resources of a container."""
    resources = resources or {}
    limits: Mapping[str, str] = resources.get("limits") or {}
    requests: Mapping[str, str] = resources.get("requests") or {}
    for name, quantity in limits.items():
        at = f"{path}.limits[{name}]"
        yield from container_resource_name(at, name)
        yield from resource_amount(at, name, quantity)
    for name, quantity in requests.items():
        at = f"{path}.requests[{name}]"
        yield from container_resource_name(at, name)
        yield from resource_amount(at, name, quantity)
        yield from _request_within_limit(path, name, quantity, limits)
    names = {*limits, *requests}
    if any(n.startswith(_HUGE_PAGES) for n in names) and not names & {"cpu", "memory"}:
        yield forbidden(path, "HugePages require cpu or memory")
    seen: set[str] = set()
    for claim, at in each(resources, "claims", path):
        name = claim.get("name") or ""
        if not name:
            yield required(at)
            continue
        request = claim.get("request") or ""
        key = f"{name}/{request}" if request else name
        if name in seen or key in seen or (not request and any(other.startswith(f"{name}/") for other in seen)):
            yield duplicate(at, name if name in seen or not request else key)
        elif request:
            yield from must(f"{at}.request", request, label_errors(request))
        seen.add(key)
        if name not in claims:
            known = f": {', '.join(sorted(claims))}" if claims else " which is empty"
            detail = f"must be one of the names in pod.spec.resourceClaims{known}"
            yield FieldError("FieldValueNotFound", at, name, detail)


def is_pod_level(name: str) -> bool:
    """Whether a resource can be asked for by a whole pod."""
    return name in _POD_LEVEL or name.startswith(_HUGE_PAGES)


def pod_level(path: str, spec: Object) -> Errors:
    """The resources of a whole pod (KEP-2837): CPU, memory and huge pages only."""
    resources = spec.get("resources")
    if resources is None:
        return
    for side in ("limits", "requests"):
        for name, quantity in (resources.get(side) or {}).items():
            at = f"{path}.{side}[{name}]"
            if not is_pod_level(name):
                yield unsupported(at, name, sorted((*_POD_LEVEL, _HUGE_PAGES)))
            yield from resource_amount(at, name, quantity)
            if side == "requests":
                yield from _request_within_limit(path, name, quantity, resources.get("limits") or {})
    if resources.get("claims"):
        yield forbidden(f"{path}.claims", "claims may not be set for Resources at pod-level")
    yield from _enough_for_all(path, spec, resources)


def _enough_for_all(path: str, spec: Object, resources: Object) -> Errors:
    """A whole pod has what its containers ask for together, and more than any of them may take."""
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    for name, together in sorted(needed_together(spec, "requests").items()):
        if name in requests and compare(together, requests[name]) > 0:
            detail = f"must be greater than or equal to aggregate container requests of {together}"
            yield invalid(f"{path}.requests[{name}]", requests[name], detail)
    for name, together in sorted(needed_together(spec, "limits").items()):
        if name in limits and name.startswith(_HUGE_PAGES) and compare(together, limits[name]) > 0:
            detail = f"must be greater than or equal to aggregate container limits of {together}"
            yield invalid(f"{path}.limits[{name}]", limits[name], detail)
    for index, container in enumerate(spec.get("containers") or ()):
        for name, limit in sorted(((container.get("resources") or {}).get("limits") or {}).items()):
            if name in limits and compare(limit, limits[name]) > 0:
                detail = f"must be less than or equal to pod limits of {limits[name]}"
                yield invalid(f"{path}.containers[{index}][{name}].limits", limit, detail)


def _request_within_limit(path: str, name: str, quantity: str, limits: Mapping[str, str]) -> Errors:
    limit = limits.get(name)
    if limit is None:
        if not is_overcommitted(name):
            yield required(f"{path}.limits", "Limit must be set for non overcommitable resources")
        return
    order = compare(quantity, limit)
    if order and not is_overcommitted(name):
        yield invalid(f"{path}.requests", quantity, f"must be equal to {name} limit of {limit}")
    elif order > 0:
        yield invalid(f"{path}.requests", quantity, f"must be less than or equal to {name} limit of {limit}")
