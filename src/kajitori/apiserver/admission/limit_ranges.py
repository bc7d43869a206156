"""LimitRanger: a namespace's default and permitted amounts for containers, pods and claims.

Source: the "Limit Ranges" page, and the field documentation of LimitRangeItem.
"""

from collections.abc import Callable, Iterable, Iterator

from kajitori.api import core, quantity
from kajitori.api.meta import Object, is_deleting
from kajitori.api.pods import is_sidecar
from kajitori.api.quantity import Quantity
from kajitori.apiserver.admission.plugin import PODS, Kind, Plugin, kind_of, refusal, subject
from kajitori.apiserver.authz.rbac import aggregated
from kajitori.apiserver.interfaces import AdmissionRequest, Objects, Operation

_CLAIMS: Kind = ("", "persistentvolumeclaims")
_ANNOTATION = "kubernetes.io/limit-ranger"
_OF_WHOLE_PODS = ("cpu", "memory")

Amounts = dict[str, Quantity]


class LimitRanger(Plugin):
    kinds = frozenset((PODS, _CLAIMS))

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def mutate(self, request: AdmissionRequest) -> None:
        if kind_of(request) == PODS and _is_limited(request):
            for limit_range in self._objects.cached_list(core.LIMIT_RANGE, request.namespace):
                set_defaults(subject(request), _items_of(limit_range, "Container"))
            if core.POD.default is not None and subject(request)["spec"].get("resources") is not None:
                core.POD.default(subject(request))  # what is said for the whole pod follows its containers

    async def validate(self, request: AdmissionRequest) -> None:
        if not _is_limited(request):
            return
        check = _errors_of_pod if kind_of(request) == PODS else _errors_of_claim
        spec = subject(request)["spec"]
        for limit_range in self._objects.cached_list(core.LIMIT_RANGE, request.namespace):
            errors = [error for item in limit_range["spec"].get("limits") or () for error in check(item, spec)]
            if said := aggregated(errors):
                raise refusal(request, said[0])


def _is_limited(request: AdmissionRequest) -> bool:
    """Amounts of a pod change by its `resize` only; what is being deleted may be written as it is."""
    if request.old is not None and is_deleting(request.old):
        return False
    if request.operation is Operation.UPDATE and kind_of(request) == PODS:
        return request.subresource == "resize"
    return not request.subresource and request.operation in (Operation.CREATE, Operation.UPDATE)


def _items_of(limit_range: Object, kind: str) -> Iterator[Object]:
    return (item for item in limit_range["spec"].get("limits") or () if item.get("type") == kind)


def _errors_of_pod(item: Object, spec: Object) -> Iterator[str]:
    if item.get("type") == "Container":
        for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
            yield from _of_container(item, container)
    elif item.get("type") == "Pod":
        yield from _of_pod(item, spec)


def _errors_of_claim(item: Object, spec: Object) -> Iterator[str]:
    if item.get("type") == "PersistentVolumeClaim":
        wanted = _amounts((spec.get("resources") or {}).get("requests"))
        yield from _broken(item, "PersistentVolumeClaim", wanted, None)


def set_defaults(pod: Object, items: Iterable[Object]) -> None:
    """Fill in the requests and limits that a pod's containers leave out, and note in an annotation what was set. Of
    several `items` of one limit range the last that names a resource counts."""
    defaults: dict[str, Object] = {"requests": {}, "limits": {}}
    for item in items:
        for side, source in (("requests", "defaultRequest"), ("limits", "default")):
            defaults[side] |= item.get(source) or {}
    notes = []
    for field, title in (("containers", "container"), ("initContainers", "init container")):
        for container in pod["spec"].get(field) or ():
            for side, word in (("requests", "request"), ("limits", "limit")):
                if added := _fill(container, side, defaults[side]):
                    notes.append(f"{', '.join(sorted(added))} {word} for {title} {container['name']}")
    if notes:
        annotations = pod["metadata"].get("annotations") or {}
        pod["metadata"]["annotations"] = {**annotations, _ANNOTATION: f"LimitRanger plugin set: {'; '.join(notes)}"}


def _fill(container: Object, side: str, defaults: Object) -> list[str]:
    resources = container.setdefault("resources", {})
    present = resources.get(side) or {}
    missing = {name: value for name, value in defaults.items() if name not in present}
    if missing:
        resources[side] = {**present, **missing}
    return list(missing)


def _amounts(resource_list: Object | None) -> Amounts:
    return {name: quantity.parse(value) for name, value in (resource_list or {}).items()}


def _of_container(item: Object, container: Object) -> list[str]:
    resources = container.get("resources") or {}
    return _broken(item, "Container", _amounts(resources.get("requests")), _amounts(resources.get("limits")))


def _of_pod(item: Object, spec: Object) -> list[str]:
    return _broken(item, "Pod", _total(spec, "requests"), _total(spec, "limits"))


def _total(spec: Object, side: str) -> Amounts:
    """What runs together, sidecars too, or an init container beside the sidecars before it, when that is more. What is
    said for the whole pod counts instead (KEP-2837)."""
    total: Amounts = {}
    for container in spec.get("containers") or ():
        total = _plus(total, _of(container, side))
    sidecars: Amounts = {}
    starting: Amounts = {}
    for container in spec.get("initContainers") or ():
        together = _plus(sidecars, _of(container, side))
        if is_sidecar(container):
            total, sidecars = _plus(total, _of(container, side)), together
        starting = _larger(starting, together)
    whole = _of(spec, side)
    return _larger(total, starting) | {name: whole[name] for name in whole if name in _OF_WHOLE_PODS}


def _of(holder: Object, side: str) -> Amounts:
    return _amounts((holder.get("resources") or {}).get(side))


def _plus(one: Amounts, other: Amounts) -> Amounts:
    return one | {name: one[name].plus(value) if name in one else value for name, value in other.items()}


def _larger(one: Amounts, other: Amounts) -> Amounts:
    return one | {name: value for name, value in other.items() if name not in one or one[name].nanos < value.nanos}


def _broken(item: Object, kind: str, requests: Amounts, limits: Amounts | None) -> list[str]:
    """`limits` None: this kind has only requests."""
    errors: list[str | None] = []
    for name, text in (item.get("min") or {}).items():
        errors.append(_bound("minimum", lambda a, b: a < b, name, kind, text, requests, limits, "request"))
    for name, text in (item.get("max") or {}).items():
        first = "request" if limits is None else "limit"
        errors.append(_bound("maximum", lambda a, b: a > b, name, kind, text, requests, limits, first))
    for name, text in (item.get("maxLimitRequestRatio") or {}).items() if limits is not None else ():
        errors.append(_ratio(name, kind, text, requests, limits or {}))
    return [error for error in errors if error]


def _bound(
    word: str,
    beyond: Callable[[int, int], bool],
    name: str,
    kind: str,
    text: str,
    requests: Amounts,
    limits: Amounts | None,
    first: str,
) -> str | None:
    """`first` is the side that has to be given."""
    bound = quantity.parse(text)
    sides = {"request": requests, "limit": limits or {}}
    head = f"{word} {name} usage per {kind} is {bound}"
    if name not in sides[first]:
        return f"{head}.  No {first} is specified"
    for side in (first, "limit" if first == "request" else "request"):
        found = sides[side].get(name)
        if found is not None and beyond(_milli(found), _milli(bound)):
            return f"{head}, but {side} is {found}"
    return None


def _ratio(name: str, kind: str, text: str, requests: Amounts, limits: Amounts) -> str | None:
    bound = quantity.parse(text)
    head = f"{name} max limit to request ratio per {kind} is {bound}"
    for side, amounts in (("request", requests), ("limit", limits)):
        if name not in amounts or not _milli(amounts[name]):
            return f"{head}, but no {side} is specified or {side} is 0"
    ratio = _milli(limits[name]) / _milli(requests[name])
    return f"{head}, but provided ratio is {ratio:f}" if ratio * 1000 > _milli(bound) else None


def _milli(amount: Quantity) -> int:
    """Thousandths, rounded up: finer differences do not count."""
    return -(-amount.nanos // 10**6)
