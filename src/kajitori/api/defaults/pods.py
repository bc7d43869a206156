"""Defaults of pods and pod templates."""

from collections.abc import Callable

from kajitori.api.defaults.filling import each, fill, fill_zero, part, round_amounts
from kajitori.api.defaults.volumes import default_field_reference, default_volume
from kajitori.api.images import default_pull_policy
from kajitori.api.meta import Object
from kajitori.api.pods import containers_of, needed_together, qos_class
from kajitori.api.remembering import remembering_outcome

_CONTAINER_LISTS = ("initContainers", "containers")
_POD_LEVEL, _HUGE_PAGES = ("cpu", "memory"), "hugepages-"


def default_pod_spec(spec: Object) -> None:
    """What pods and templates share."""
    fill_zero(spec, dnsPolicy="ClusterFirst", restartPolicy="Always", schedulerName="default-scheduler")
    fill(spec, securityContext={}, terminationGracePeriodSeconds=30)
    if account := spec.get("serviceAccountName") or spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"] = account  # the older name says the same
    round_amounts(spec, "overhead")
    round_amounts(spec.get("resources") or {}, "limits", "requests")
    for volume in each(spec, "volumes"):
        default_volume(volume)
    for container in containers_of(spec):
        _default_container(container)


def default_pod_template(template: Object) -> None:
    part(template, "metadata")
    default_pod_spec(part(template, "spec"))


def default_pod(pod: Object) -> None:
    """A pod itself gets more than a template: requests from limits, host ports, service links."""
    pod["spec"] = _of_pod(part(pod, "spec"))


@remembering_outcome(entries_max=512, bytes_max=8192)
def _of_pod(spec: Object) -> None:
    default_pod_spec(spec)
    if spec["terminationGracePeriodSeconds"] < 0:
        spec["terminationGracePeriodSeconds"] = 1
    for field in _CONTAINER_LISTS:
        for container in each(spec, field):
            _requests_from_limits(container["resources"])
            if spec.get("hostNetwork"):
                for port in each(container, "ports"):
                    fill_zero(port, hostPort=port.get("containerPort", 0))
    _default_pod_level(spec)
    fill(spec, enableServiceLinks=True)


def prepare_pod(pod: Object) -> None:
    """A new pod is pending, whatever its author claims."""
    _merge_match_label_keys(pod)
    status: Object = {"phase": "Pending", "qosClass": qos_class(pod)}
    if pod["spec"].get("schedulingGates"):
        status["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "lastProbeTime": None,
                "lastTransitionTime": pod["metadata"].get("creationTimestamp"),
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
            }
        ]
    pod["status"] = status


def _default_container(container: Object) -> None:
    if lifecycle := container.get("lifecycle"):
        lifecycle.pop("stopSignal", None)  # v1.36 has it switched off
    fill_zero(
        container,
        imagePullPolicy=default_pull_policy(container.get("image") or ""),
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
    )
    fill(container, resources={})
    round_amounts(container["resources"], "limits", "requests")
    for port in each(container, "ports"):
        fill_zero(port, protocol="TCP")
    for variable in each(container, "env"):
        _default_env_source(variable.get("valueFrom") or {})
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if (probe := container.get(name)) is not None:
            _default_probe(probe)
    lifecycle = container.get("lifecycle") or {}
    for hook in ("postStart", "preStop"):
        _default_http_action((lifecycle.get(hook) or {}).get("httpGet"))


def _default_env_source(source: Object) -> None:
    if (reference := source.get("fieldRef")) is not None:
        default_field_reference(reference)
    if (reference := source.get("resourceFieldRef")) is not None:
        fill(reference, divisor="0")
    if (reference := source.get("fileKeyRef")) is not None:
        fill(reference, optional=False)


def _default_probe(probe: Object) -> None:
    fill_zero(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    _default_http_action(probe.get("httpGet"))
    if (grpc := probe.get("grpc")) is not None:
        fill(grpc, service="")


def _default_http_action(action: Object | None) -> None:
    if action is not None:
        fill_zero(action, path="/", scheme="HTTP")


def _requests_from_limits(resources: Object) -> None:
    limits = resources.get("limits") or {}
    if limits:
        resources["requests"] = {**limits, **(resources.get("requests") or {})}


def _default_pod_level(spec: Object) -> None:
    """The resources of the whole pod (KEP-2837): huge pages are limited to what the containers' limits come to, and
    requests are the containers' own together, else the limits."""
    resources = spec.get("resources")
    if not resources or not (resources.get("limits") or resources.get("requests")):
        return
    requests, limits = dict(resources.get("requests") or {}), dict(resources.get("limits") or {})
    for name, quantity in needed_together(spec, "limits").items():
        if name.startswith(_HUGE_PAGES) and name not in requests:
            limits.setdefault(name, quantity)
    if limits:
        resources["limits"] = limits
        for name, quantity in needed_together(spec, "requests").items():
            if name in _POD_LEVEL:
                requests.setdefault(name, quantity)
        for name, quantity in limits.items():
            if name in _POD_LEVEL or name.startswith(_HUGE_PAGES):
                requests.setdefault(name, quantity)
    if requests:
        resources["requests"] = requests


def _merge_match_label_keys(pod: Object) -> None:
    """Turn `matchLabelKeys` into requirements of the selector beside them (KEP-3633, KEP-3243)."""
    labels = pod["metadata"].get("labels") or {}
    spec = pod["spec"]
    for constraint in each(spec, "topologySpreadConstraints"):
        _require_labels(constraint, "matchLabelKeys", "In", labels)
    affinity = spec.get("affinity") or {}
    for field in ("podAffinity", "podAntiAffinity"):
        _each_affinity_term(affinity.get(field) or {}, lambda term: _require_own_labels(term, labels))


def _each_affinity_term(affinity: Object, act: Callable[[Object], None]) -> None:
    for term in each(affinity, "requiredDuringSchedulingIgnoredDuringExecution"):
        act(term)
    for weighted in each(affinity, "preferredDuringSchedulingIgnoredDuringExecution"):
        act(part(weighted, "podAffinityTerm"))


def _require_own_labels(term: Object, labels: Object) -> None:
    _require_labels(term, "matchLabelKeys", "In", labels)
    _require_labels(term, "mismatchLabelKeys", "NotIn", labels)


def _require_labels(holder: Object, keys_field: str, operator: str, labels: Object) -> None:
    selector = holder.get("labelSelector")
    if selector is None:
        return
    for key in holder.get(keys_field) or ():
        if key in labels:
            requirement = {"key": key, "operator": operator, "values": [labels[key]]}
            selector["matchExpressions"] = [*(selector.get("matchExpressions") or ()), requirement]
