"""Defaults of namespaces, nodes, secrets, limits, events, RBAC, scaling and scheduling."""

import base64

from kajitori.api.defaults.filling import each, fill, fill_zero, part, round_amounts
from kajitori.api.meta import Object

NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"
RBAC_GROUP = "rbac.authorization.k8s.io"

_NODE_INFO = (
    "machineID",
    "systemUUID",
    "bootID",
    "kernelVersion",
    "osImage",
    "containerRuntimeVersion",
    "kubeletVersion",
    "kubeProxyVersion",
    "operatingSystem",
    "architecture",
)


def default_namespace(namespace: Object) -> None:
    """The name is also a label, so that selectors can find it."""
    metadata = part(namespace, "metadata")
    if name := metadata.get("name"):
        part(metadata, "labels")[NAMESPACE_NAME_LABEL] = name
    status = part(namespace, "status")
    if not status.get("phase"):
        status["phase"] = "Active"


def prepare_namespace(namespace: Object) -> None:
    namespace["status"] = {"phase": "Active"}
    finalizers = part(namespace, "spec").get("finalizers") or []
    if "kubernetes" not in finalizers:
        namespace["spec"]["finalizers"] = [*finalizers, "kubernetes"]


def prepare_namespace_update(new: Object, old: Object) -> None:
    """Finalizers of a namespace change through its `finalize` subresource only."""
    new["status"] = old.get("status") or {}
    part(new, "spec")["finalizers"] = (old.get("spec") or {}).get("finalizers") or []


def _settle_pod_blocks(spec: Object) -> None:
    """The older field, where they differ, is believed; where only the newer is given, the older is its first."""
    one, several = spec.get("podCIDR"), spec.get("podCIDRs") or []
    if one and several[:1] != [one]:
        spec["podCIDRs"] = [one]
    elif not one and several and several[0]:
        spec["podCIDR"] = several[0]


def default_node(node: Object) -> None:
    spec = part(node, "spec")
    spec.pop("configSource", None)  # dynamic configuration of kubelets is gone
    _settle_pod_blocks(spec)
    status = part(node, "status")
    fill_zero(part(status, "daemonEndpoints", "kubeletEndpoint"), Port=0)
    fill(part(status, "nodeInfo"), **dict.fromkeys(_NODE_INFO, ""))
    round_amounts(status, "capacity", "allocatable")
    if status.get("capacity") and not status.get("allocatable"):
        status["allocatable"] = dict(status["capacity"])


def default_lease(lease: Object) -> None:
    """Coordinated leader election is switched off in v1.36: its fields are not kept."""
    spec = lease.get("spec") or {}
    for field in ("strategy", "preferredHolder"):
        spec.pop(field, None)


def default_secret(secret: Object) -> None:
    """`stringData` is only a way to write `data`."""
    for key, text in (secret.pop("stringData", None) or {}).items():
        part(secret, "data")[key] = base64.b64encode(text.encode()).decode()
    fill_zero(secret, type="Opaque")


def default_limit_range(limit_range: Object) -> None:
    for item in each(part(limit_range, "spec"), "limits"):
        if item.get("type") != "Container":
            continue
        default = {**(item.get("max") or {}), **(item.get("default") or {})}
        request = {**(item.get("min") or {}), **default, **(item.get("defaultRequest") or {})}
        if default:
            item["default"] = default
        if request:
            item["defaultRequest"] = request


def prepare_limit_range(limit_range: Object) -> None:
    """A limit range without a name is given one."""
    fill_zero(limit_range["metadata"], name=limit_range["metadata"].get("uid", ""))


def default_event(event: Object) -> None:
    fill(event, source={})
    for field in ("firstTimestamp", "lastTimestamp", "eventTime"):
        event.setdefault(field, None)
    fill(event, reportingComponent="", reportingInstance="")


def default_role_binding(binding: Object) -> None:
    fill_zero(part(binding, "roleRef"), apiGroup=RBAC_GROUP)
    for subject in each(binding, "subjects"):
        if subject.get("kind") in ("User", "Group"):
            fill_zero(subject, apiGroup=RBAC_GROUP)


def default_priority_class(priority_class: Object) -> None:
    fill(priority_class, preemptionPolicy="PreemptLowerPriority")


def default_resource_claim(claim: Object) -> None:
    default_resource_claim_spec(part(claim, "spec"))


def prepare_resource_slice(resource_slice: Object) -> None:
    """A taint was added when its slice was made, unless it says when."""
    created = resource_slice["metadata"].get("creationTimestamp")
    for device in each(resource_slice.get("spec") or {}, "devices"):
        for taint in each(device, "taints"):
            fill(taint, timeAdded=created)


def default_resource_claim_template(template: Object) -> None:
    default_resource_claim_spec(part(template, "spec", "spec"))


def default_resource_claim_spec(spec: Object) -> None:
    for request in each(spec.get("devices") or {}, "requests"):
        exactly = request.get("exactly")
        for asked in ([exactly] if exactly is not None else []) + list(each(request, "firstAvailable")):
            fill_zero(asked, allocationMode="ExactCount")
            if asked["allocationMode"] == "ExactCount":
                fill_zero(asked, count=1)
            for toleration in each(asked, "tolerations"):
                fill_zero(toleration, operator="Equal")
