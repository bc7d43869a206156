"""How often an update's metadata is judged: by what all kinds share and again by a kind's own rules.

What is wrong is said once, but the causes of the refusal tell of each time, as upstream's do.
"""

from kajitori.api.field_errors import FieldError
from kajitori.api.resource import Resource

_BY_BOTH_SHARED_RULES = (
    "metadata.labels",
    "metadata.annotations",
    "metadata.ownerReferences",
    "metadata.managedFields",
)
"""What the rules for any object and those for any update look at alike."""

_AS_UPDATE = (1, 0)
_TIMES = {
    (0, 0): {"": "events", "policy": "poddisruptionbudgets"},
    (1, 1): {
        "": "configmaps endpoints namespaces nodes persistentvolumeclaims pods secrets serviceaccounts",
        "apps": "controllerrevisions",
        "batch": "jobs",
        "networking.k8s.io": "ingressclasses ingresses ipaddresses",
        "node.k8s.io": "runtimeclasses",
        "rbac.authorization.k8s.io": "clusterrolebindings clusterroles rolebindings roles",
        "resource.k8s.io": "deviceclasses resourceclaims resourceclaimtemplates",
        "storage.k8s.io": "csistoragecapacities storageclasses volumeattributesclasses",
    },
    (0, 1): {
        "": "limitranges",
        "admissionregistration.k8s.io": "mutatingadmissionpolicies mutatingadmissionpolicybindings "
        "mutatingwebhookconfigurations validatingadmissionpolicies validatingadmissionpolicybindings "
        "validatingwebhookconfigurations",
        "discovery.k8s.io": "endpointslices",
        "storage.k8s.io": "csinodes volumeattachments",
    },
    (0, 2): {"": "persistentvolumes"},
}
"""By the kind's own rules: as an update, and as if it were new. All others: once, as an update."""
_AGAIN = {
    (group, plural): times
    for times, groups in _TIMES.items()
    for group, plurals in groups.items()
    for plural in plurals.split()
}


def each_time(resource: Resource, errors: list[FieldError], subresource: str) -> list[FieldError]:
    """The errors of an update's metadata, as many of each as upstream counts."""
    again = _AS_UPDATE if subresource else _AGAIN.get((resource.group, resource.plural), _AS_UPDATE)
    found: list[FieldError] = []
    for error in errors:
        found += [error] * _times(error, *again)
    return found


def _times(error: FieldError, as_update: int, as_new: int) -> int:
    if error.field.startswith(_BY_BOTH_SHARED_RULES):
        return 2 + as_update + as_new
    if error.field.startswith("metadata.finalizers["):  # by a kind's own rules only
        return as_update + as_new
    if error.reason == "FieldValueForbidden" or error.detail == "field is immutable":  # about the change itself
        return 1 + as_update
    return 1 + as_new
