"""What health checks call upstream's post-start hooks, and what does each one's work here.

Tools and dashboards ask for these by name. Each stands for a thing that this server does: it has been written at the
start, or a loop keeps at it; a loop that has ended makes its checks fail.
"""

from collections.abc import Callable, Mapping

from kajitori.apiserver.health import Check

WRITTEN = "bootstrap"
"""What every cluster begins with: namespaces, roles, priority classes, flow schemas, the kubernetes Service."""
_DEFINITIONS, _AGGREGATION, _CLAIMS = "custom resource definitions", "aggregation", "service claims"
LOOP_OF: Mapping[str, str] = {
    "poststarthook/start-apiserver-admission-initializer": WRITTEN,
    "poststarthook/generic-apiserver-start-informers": WRITTEN,
    "poststarthook/storage-readiness": WRITTEN,
    "poststarthook/bootstrap-controller": WRITTEN,
    "poststarthook/start-system-namespaces-controller": WRITTEN,
    "poststarthook/rbac/bootstrap-roles": WRITTEN,
    "poststarthook/scheduling/bootstrap-system-priority-classes": WRITTEN,
    "poststarthook/priority-and-fairness-config-producer": WRITTEN,
    "poststarthook/start-cluster-authentication-info-controller": WRITTEN,
    "poststarthook/start-service-ip-repair-controllers": _CLAIMS,
    "poststarthook/start-apiextensions-informers": _DEFINITIONS,
    "poststarthook/start-apiextensions-controllers": _DEFINITIONS,
    "poststarthook/crd-informer-synced": _DEFINITIONS,
    "poststarthook/start-kube-aggregator-informers": _AGGREGATION,
    "poststarthook/apiservice-registration-controller": _AGGREGATION,
    "poststarthook/apiservice-status-local-available-controller": _AGGREGATION,
    "poststarthook/apiservice-status-remote-available-controller": _AGGREGATION,
    "poststarthook/apiservice-openapi-controller": _AGGREGATION,
    "poststarthook/kube-apiserver-autoregistration": _AGGREGATION,
    "autoregister-completion": _AGGREGATION,
}


def start_checks(runs: Callable[[str], bool]) -> dict[str, Check]:
    """`runs` says of WRITTEN whether it has been, and of a loop's name whether it is at work."""

    def check(name: str) -> Check:
        return lambda: "" if runs(name) else f"{name}: not finished, or ended"

    return {hook: check(name) for hook, name in LOOP_OF.items()}
