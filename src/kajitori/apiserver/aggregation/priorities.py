"""In which order clients meet groups and versions, and the APIServices of what this server itself serves.

Source: kube-apiserver's priorities of its groups (v1.36); the API reference of apiregistration.k8s.io/v1.
"""

from kajitori.api.apiregistration import API_SERVICE
from kajitori.api.meta import Object

MANAGED = "kube-aggregator.kubernetes.io/automanaged"
ON_START, ALWAYS = "onstart", "true"
"""Values of that label: made once when a server starts, or kept for as long as the kind is there."""

Priority = tuple[int, int]
"""Of the group, and of the version in its group: higher comes first."""

_GROUPS = {
    "": 18000,
    "apiregistration.k8s.io": 20000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "admissionregistration.k8s.io": 16700,
    "apiextensions.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "resource.k8s.io": 16200,
    "flowcontrol.apiserver.k8s.io": 16100,
    "internal.apiserver.k8s.io": 16000,
    "storagemigration.k8s.io": 15800,
}
_VERSION = 15
_VERSIONS = {
    ("", "v1"): 1,
    ("autoscaling", "v2"): 30,
    ("flowcontrol.apiserver.k8s.io", "v1"): 21,
    ("resource.k8s.io", "v1"): 21,
}
CUSTOM: Priority = (1000, 100)
METRICS_GROUP = "metrics.k8s.io"
_METRICS: Priority = (100, 100)
"""What metrics-server asks for its own APIService."""


def default_priority(group: str, version: str) -> Priority:
    """Of what this server serves itself; what no table names is a custom resource's."""
    if group == METRICS_GROUP:
        return _METRICS
    if group not in _GROUPS:
        return CUSTOM
    return _GROUPS[group], _VERSIONS.get((group, version), _VERSION)


def is_built_in(group: str) -> bool:
    return group in _GROUPS


def name_of_version(group: str, version: str) -> str:
    return f"{version}.{group}"


def local_service(group: str, version: str, managed: str) -> Object:
    """The APIService of a version that is served here; `managed` is its label, "" for none."""
    priority = default_priority(group, version)
    spec: Object = {"group": group} if group else {}
    spec |= {"groupPriorityMinimum": priority[0], "version": version, "versionPriority": priority[1]}
    return {
        "kind": API_SERVICE.kind,
        "apiVersion": API_SERVICE.api_version,
        "metadata": {
            "name": name_of_version(group, version),
            **({"labels": {MANAGED: managed}} if managed else {}),
        },
        "spec": spec,
    }
