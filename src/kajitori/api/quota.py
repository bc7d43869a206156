"""What an object uses of a ResourceQuota, and which quotas it falls under: for admission (may it?) and for counting.

Names are those of `spec.hard`: `pods`, `requests.cpu`, `services.nodeports`, `count/deployments.apps`,
`gold.storageclass.storage.k8s.io/requests.storage` ...
"""

from collections.abc import Iterable, Mapping

from kajitori.api import quantity
from kajitori.api.core import PERSISTENT_VOLUME_CLAIM, POD, SERVICE
from kajitori.api.meta import Object
from kajitori.api.pods import BEST_EFFORT, is_terminal, pod_limits, pod_requests, qos_class
from kajitori.api.quantity import Quantity
from kajitori.api.resource import Resource

Usage = dict[str, Quantity]

_ONE = quantity.parse(1)
# Kinds that have a name of their own from before `count/...` existed.
_COUNTED_BY_PLURAL = {
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
}
_CLASS_SUFFIX = ".storageclass.storage.k8s.io/"
_BINARY = ("memory", "ephemeral-storage", "storage", "hugepages-")


def usage_of(resource: Resource, obj: Object) -> Usage:
    """Everything that one object uses, by name."""
    suffix = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    used: Usage = {f"count/{suffix}": _ONE}
    if resource is POD:
        if not is_terminal(obj):
            used |= {"pods": _ONE, **_pod_usage(obj)}
    elif not resource.group and resource.plural in _COUNTED_BY_PLURAL:
        used[resource.plural] = _ONE
        if resource is SERVICE:
            used |= _service_usage(obj)
        elif resource is PERSISTENT_VOLUME_CLAIM:
            used |= _claim_usage(obj)
    return used


def kinds_of(names: Iterable[str]) -> set[tuple[str, str]]:
    """(group, plural) of the kinds that must be counted for these names."""
    found = set()
    for name in names:
        if name.startswith("count/"):
            plural, _, group = name.removeprefix("count/").partition(".")
            found.add((group, plural))
        elif _CLASS_SUFFIX in name or name in ("persistentvolumeclaims", "requests.storage"):
            found.add(("", "persistentvolumeclaims"))
        elif name.startswith("services"):
            found.add(("", "services"))
        elif name in _COUNTED_BY_PLURAL:
            found.add(("", name))
        else:
            found.add(("", "pods"))
    return found


def covers(quota: Object, resource: Resource, obj: Object) -> bool:
    """Whether all scopes of a quota apply to an object; a quota with scopes counts pods only."""
    spec = quota["spec"]
    scopes = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()]
    scopes += (spec.get("scopeSelector") or {}).get("matchExpressions") or []
    return not scopes or (resource is POD and all(_in_scope(scope, obj) for scope in scopes))


def total(usages: Iterable[Usage], names: Iterable[str]) -> dict[str, str]:
    """The sum for each of `names`, written as quantities."""
    sums = {name: _zero(name) for name in names}
    for usage in usages:
        for name in sums.keys() & usage.keys():
            sums[name] = sums[name].plus(usage[name])
    return {name: str(amount) for name, amount in sums.items()}


def _zero(name: str) -> Quantity:
    binary = any(part in name for part in _BINARY)
    return Quantity(0, "binary" if binary else "decimal")


def _pod_usage(pod: Object) -> Usage:
    used: Usage = {}
    for name, amount in pod_requests(pod).items():
        parsed = _amount(name, amount)
        used[f"requests.{name}"] = parsed
        if name in ("cpu", "memory", "ephemeral-storage") or name.startswith("hugepages-"):
            used[name] = parsed
    for name, amount in pod_limits(pod).items():
        if name in ("cpu", "memory", "ephemeral-storage"):
            used[f"limits.{name}"] = _amount(name, amount)
    return used


def _amount(name: str, amount: int) -> Quantity:
    if name == "cpu":
        return quantity.parse(quantity.from_milli(amount))
    return Quantity(amount * 10**9, "binary" if name.startswith(_BINARY) else "decimal")


def _service_usage(service: Object) -> Usage:
    spec = service["spec"]
    kind = spec.get("type") or "ClusterIP"
    used: Usage = {}
    if kind == "LoadBalancer":
        used["services.loadbalancers"] = _ONE
    if kind in ("NodePort", "LoadBalancer"):
        ports = spec.get("ports") or ()
        takes_ports = kind == "NodePort" or spec.get("allocateLoadBalancerNodePorts") is not False
        count = len(ports) if takes_ports else sum(bool(port.get("nodePort")) for port in ports)
        used["services.nodeports"] = quantity.parse(count)
    return used


def _claim_usage(claim: Object) -> Usage:
    requests: Mapping[str, str] = (claim["spec"].get("resources") or {}).get("requests") or {}
    storage = quantity.parse(requests.get("storage", "0"))
    used: Usage = {"requests.storage": storage}
    storage_class = claim["spec"].get("storageClassName")
    if storage_class:
        used[f"{storage_class}{_CLASS_SUFFIX}persistentvolumeclaims"] = _ONE
        used[f"{storage_class}{_CLASS_SUFFIX}requests.storage"] = storage
    return used


def _in_scope(scope: Object, pod: Object) -> bool:
    spec = pod["spec"]
    match scope["scopeName"]:
        case "Terminating":
            return spec.get("activeDeadlineSeconds") is not None
        case "NotTerminating":
            return spec.get("activeDeadlineSeconds") is None
        case "BestEffort":
            return qos_class(pod) == BEST_EFFORT
        case "NotBestEffort":
            return qos_class(pod) != BEST_EFFORT
        case "PriorityClass":
            return _selects(scope, spec.get("priorityClassName") or "")
        case "CrossNamespacePodAffinity":
            return _crosses_namespaces(spec.get("affinity") or {})
    return False


def _selects(scope: Object, value: str) -> bool:
    match scope.get("operator"):
        case "In":
            return value in scope["values"]
        case "NotIn":
            return value not in scope["values"]
        case "DoesNotExist":
            return not value
    return bool(value)


def _crosses_namespaces(affinity: Object) -> bool:
    for side in ("podAffinity", "podAntiAffinity"):
        terms = affinity.get(side) or {}
        for term in terms.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
            if term.get("namespaces") or term.get("namespaceSelector") is not None:
                return True
        for weighted in terms.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            term = weighted["podAffinityTerm"]
            if term.get("namespaces") or term.get("namespaceSelector") is not None:
                return True
    return False
