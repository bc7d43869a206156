"""What an object costs under a ResourceQuota, and which quotas it falls under. Pure.

Source: the "Resource Quotas" page: compute, storage and object count quotas, and quota scopes.
"""

from collections.abc import Iterable, Mapping

from kajitori.api import quantity
from kajitori.api.meta import Object, name_of
from kajitori.api.pods import is_sidecar, is_terminal, qos_class
from kajitori.api.quantity import Quantity
from kajitori.api.validation.resources import is_pod_level
from kajitori.apiserver.admission.plugin import Kind

Usage = dict[str, Quantity]

ONE = quantity.parse(1)
NOTHING = quantity.parse(0)
_PODS, _SERVICES, _CLAIMS = ("", "pods"), ("", "services"), ("", "persistentvolumeclaims")
_DEVICE_CLAIMS = ("resource.k8s.io", "resourceclaims")
_BY_DEVICE_CLASS = ".deviceclass.resource.k8s.io/devices"
_DEVICES_MAX = 32
"""What a request for all devices may get at most; counted as the worst case."""
_OLD_STORAGE_CLASS = "volume.beta.kubernetes.io/storage-class"
# Kinds that may be counted by their bare name too.
_BARE_COUNTS = frozenset(
    (
        "configmaps",
        "persistentvolumeclaims",
        "pods",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "services",
    )
)
_STANDARD = ("cpu", "memory", "ephemeral-storage")


def usage_of(kind: Kind, obj: Object) -> Usage:
    """Amounts by the names that a quota's `hard` uses."""
    group, plural = kind
    usage: Usage = {f"count/{plural}.{group}" if group else f"count/{plural}": ONE}
    if kind == _PODS:
        return usage if is_terminal(obj) else usage | _pod(obj)
    if not group and plural in _BARE_COUNTS:
        usage[plural] = ONE
    if kind == _SERVICES:
        usage |= _service(obj["spec"])
    elif kind == _CLAIMS:
        usage |= _claim(obj)
    elif kind == _DEVICE_CLAIMS:
        usage |= _devices(obj["spec"])
    return usage


def kind_counted(name: str) -> Kind | None:
    """The kind whose objects a name in `hard` is about; None for a name that no kind answers to."""
    if name.startswith("count/"):
        plural, _, group = name.removeprefix("count/").partition(".")
        return group, plural
    if name in ("services.loadbalancers", "services.nodeports"):
        return _SERVICES
    if name == "requests.storage" or ".storageclass.storage.k8s.io/" in name:
        return _CLAIMS
    if name.endswith(_BY_DEVICE_CLASS):
        return _DEVICE_CLAIMS
    if name in _BARE_COUNTS:
        return "", name
    if name.startswith(("requests.", "limits.")) or name in _STANDARD or name.startswith("hugepages-"):
        return _PODS
    return None


def total(usages: Iterable[Usage], names: Iterable[str]) -> Usage:
    """Sums of these names; zero where nothing is used."""
    sums = dict.fromkeys(names, NOTHING)
    for usage in usages:
        for name in sums:
            if name in usage:
                sums[name] = sums[name].plus(usage[name])
    return sums


def _pod(pod: Object) -> Usage:
    usage: Usage = {"pods": ONE}
    for name, amount in _needs(pod["spec"], "requests").items():
        usage[f"requests.{name}"] = amount
        if name in _STANDARD or name.startswith("hugepages-"):
            usage[name] = amount
    for name, amount in _needs(pod["spec"], "limits").items():
        usage[f"limits.{name}"] = amount
    return usage


def _needs(spec: Object, side: str) -> Usage:
    """Running containers together with sidecars, or an initialising one beside them when that is more. What is said
    for the whole pod counts instead (KEP-2837)."""
    running: Usage = {}
    for container in spec.get("containers") or ():
        _add(running, _side(container, side))
    sidecars: Usage = {}
    peak: Usage = {}
    for container in spec.get("initContainers") or ():
        amounts = _side(container, side)
        if is_sidecar(container):
            _add(running, amounts)
            _add(sidecars, amounts)
        else:
            _add(amounts, sidecars)
            _raise(peak, amounts)
    _raise(running, peak)
    running |= {name: amount for name, amount in _side(spec, side).items() if is_pod_level(name)}
    overhead = {name: quantity.parse(text) for name, text in (spec.get("overhead") or {}).items()}
    if side == "limits":  # what has no limit gets none from its overhead
        overhead = {name: amount for name, amount in overhead.items() if name in running}
    _add(running, overhead)
    return running


def _side(container: Object, side: str) -> Usage:
    resources = (container.get("resources") or {}).get(side) or {}
    return {name: quantity.parse(text) for name, text in resources.items()}


def _add(sums: Usage, more: Usage) -> None:
    for name, amount in more.items():
        sums[name] = sums[name].plus(amount) if name in sums else amount


def _raise(sums: Usage, least: Usage) -> None:
    for name, amount in least.items():
        if name not in sums or sums[name].nanos < amount.nanos:
            sums[name] = amount


def _service(spec: Object) -> Usage:
    ports = quantity.parse(len(spec.get("ports") or ()))
    if spec.get("type") == "NodePort":
        return {"services.nodeports": ports}
    if spec.get("type") != "LoadBalancer":
        return {}
    usage = {"services.loadbalancers": ONE}
    return usage if spec.get("allocateLoadBalancerNodePorts") is False else {**usage, "services.nodeports": ports}


def _claim(claim: Object) -> Usage:
    text = ((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage")
    usage = {"requests.storage": quantity.parse(text)} if text else {}
    named = (claim["metadata"].get("annotations") or {}).get(_OLD_STORAGE_CLASS)
    if storage_class := named or claim["spec"].get("storageClassName"):
        head = f"{storage_class}.storageclass.storage.k8s.io/"
        usage |= {f"{head}{name}": amount for name, amount in usage.items()}
        usage[f"{head}persistentvolumeclaims"] = ONE
    return usage


def _devices(spec: Object) -> Usage:
    """By device class; of alternatives, for each class the one that takes most."""
    usage: Usage = {}
    for request in (spec.get("devices") or {}).get("requests") or ():
        most: dict[str, int] = {}
        for exact in request.get("firstAvailable") or [request.get("exactly") or {}]:
            if device_class := exact.get("deviceClassName"):
                number = _DEVICES_MAX if exact.get("allocationMode") == "All" else exact.get("count", 0)
                most[device_class] = max(most.get(device_class, 0), number)
        _add(usage, {f"{name}{_BY_DEVICE_CLASS}": quantity.parse(number) for name, number in most.items()})
    return usage


def falls_under(quota: Object, kind: Kind, obj: Object) -> bool:
    """Whether a quota's scopes take the object in."""
    spec = quota["spec"]
    scopes = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    scopes += (spec.get("scopeSelector") or {}).get("matchExpressions") or []
    if not scopes or kind == _PODS:
        return all(_in_scope(scope, obj) for scope in scopes)
    return kind == _CLAIMS and all(_has_attributes_class(scope, obj) for scope in scopes)


def _has_attributes_class(scope: Object, claim: Object) -> bool:
    """Any of the classes a claim wants, has, or is being changed to (KEP-3751)."""
    if scope["scopeName"] != "VolumeAttributesClass":
        return False
    status = claim.get("status") or {}
    names = {
        claim["spec"].get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    }
    return any(_has_class(scope, name) for name in names.difference((None, "")) or ("",))


def _in_scope(scope: Object, pod: Object) -> bool:
    match scope["scopeName"]:
        case "Terminating":
            return pod["spec"].get("activeDeadlineSeconds") is not None
        case "NotTerminating":
            return pod["spec"].get("activeDeadlineSeconds") is None
        case "BestEffort":
            return qos_class(pod) == "BestEffort"
        case "NotBestEffort":
            return qos_class(pod) != "BestEffort"
        case "CrossNamespacePodAffinity":
            return _crosses_namespaces(pod["spec"])
        case "PriorityClass":
            return _has_class(scope, pod["spec"].get("priorityClassName") or "")
    return False


def _has_class(scope: Object, name: str) -> bool:
    values = scope.get("values") or ()
    match scope["operator"]:
        case "In":
            return name in values
        case "NotIn":
            return name not in values
        case "Exists":
            return bool(name)
    return not name


def _crosses_namespaces(spec: Object) -> bool:
    affinity = spec.get("affinity") or {}
    for side in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(side) or {}
        terms = list(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        for weighted in rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            terms.append(weighted.get("podAffinityTerm") or {})
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False


def unspecified(names: Iterable[str], pod: Object) -> str:
    """`limits.cpu for: a,b; memory for: b`: what a quota limits and a pod's containers leave open."""
    spec = pod["spec"]
    if any(is_pod_level(name) for side in ("requests", "limits") for name in _side(spec, side)):
        return ""  # it speaks for all of them
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    found = []
    for name in sorted(names):
        side, _, resource = name.partition(".") if name.startswith(("requests.", "limits.")) else ("requests", "", name)
        if resource not in ("cpu", "memory"):
            continue
        silent = [c["name"] for c in containers if resource not in ((c.get("resources") or {}).get(side) or {})]
        if silent:
            found.append(f"{name} for: {','.join(sorted(silent))}")
    return "; ".join(found)


def shown(usage: Mapping[str, Quantity]) -> str:
    return ",".join(f"{name}={amount}" for name, amount in sorted(usage.items()))


def exceeded(quota: Object, requested: Usage, used: Usage) -> str:
    """The words of refusal when the quota would be exceeded; empty when it would not."""
    hard = {name: quantity.parse(text) for name, text in (quota["spec"].get("hard") or {}).items()}
    over = sorted(
        name
        for name, amount in requested.items()
        if name in hard and amount.nanos > 0 and used[name].nanos + amount.nanos > hard[name].nanos
    )
    if not over:
        return ""
    parts = (
        f"requested: {shown({name: requested[name] for name in over})}",
        f"used: {shown({name: used[name] for name in over})}",
        f"limited: {shown({name: hard[name] for name in over})}",
    )
    return f"exceeded quota: {name_of(quota)}, {', '.join(parts)}"
