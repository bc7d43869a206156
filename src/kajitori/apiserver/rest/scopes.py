"""What each endpoint of an object may change: everything but the status, the status alone, or one part of the spec."""

from collections.abc import Callable

from kajitori.api.defaults.status import date_conditions, keep_decisions, keep_quality_of_service, stamp_phase
from kajitori.api.defaults.workloads import keep_template_generation, label_job_again
from kajitori.api.meta import Object
from kajitori.api.resource import Resource

Merge = Callable[[Object, Object], Object]
"""(new, old) -> what is stored: the part of `new` that the endpoint may change, on top of `old`."""

_SERVERS = ("deletionTimestamp", "deletionGracePeriodSeconds", "generation")
_METADATA = ("labels", "annotations", "finalizers", "ownerReferences")
_STATUS_KEEPS = {
    ("", "pods"): ("ownerReferences",),
    ("apps", "deployments"): ("labels",),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"): _METADATA,
    ("apiextensions.k8s.io", "customresourcedefinitions"): _METADATA,
    ("apiregistration.k8s.io", "apiservices"): _METADATA,
    ("flowcontrol.apiserver.k8s.io", "flowschemas"): _METADATA,
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"): _METADATA,
    ("networking.k8s.io", "servicecidrs"): _METADATA,
    ("resource.k8s.io", "resourceclaims"): _METADATA,
    ("storage.k8s.io", "volumeattachments"): _METADATA,
}
"""What of metadata a kind's status endpoint leaves alone; all others let it be written, finalizers included."""


def main_scope(resource: Resource) -> Merge:
    """The object's own endpoint: where a status endpoint exists, the status belongs to that."""

    def merge(new: Object, old: Object) -> Object:
        if "status" in old:
            new["status"] = old["status"]
        else:
            new.pop("status", None)
        return new

    return merge if resource.has_subresource("status") else lambda new, old: new


def status_scope(resource: Resource) -> Merge:
    kept = (*_SERVERS, *_STATUS_KEEPS.get((resource.group, resource.plural), ()))

    def merge(new: Object, old: Object) -> Object:
        merged = {**old, "metadata": {**new["metadata"]}}
        for field in kept:
            if field in old["metadata"]:
                merged["metadata"][field] = old["metadata"][field]
            else:
                merged["metadata"].pop(field, None)
        if "status" in new:
            merged["status"] = new["status"]
        else:
            merged.pop("status", None)
        return merged

    return merge


def custom_status_scope(new: Object, old: Object) -> Object:
    """A custom resource's status endpoint leaves all of metadata alone."""
    merged = {**old, "metadata": {**old["metadata"]}}
    if "status" in new:
        merged["status"] = new["status"]
    else:
        merged.pop("status", None)
    return merged


def _finalize_scope(new: Object, old: Object) -> Object:
    return {**new, "status": old.get("status") or {}}


def _as_stored(new: Object, old: Object) -> Object:
    """All metadata but managedFields is left alone, as everything outside the spec is."""
    return {**old, "metadata": {**old["metadata"]}}


def _ephemeral_containers_scope(new: Object, old: Object) -> Object:
    spec = {**old["spec"]}
    if containers := (new.get("spec") or {}).get("ephemeralContainers"):
        spec["ephemeralContainers"] = containers
    else:
        spec.pop("ephemeralContainers", None)
    return {**_as_stored(new, old), "spec": spec}


def _resize_scope(new: Object, old: Object) -> Object:
    """Resources and resizePolicy of containers. Containers that come, go or change places are left to validation."""
    wanted, spec = new.get("spec") or {}, {**old["spec"]}
    for group in ("containers", "initContainers"):
        before, after = spec.get(group) or [], wanted.get(group) or []
        if len(before) != len(after):
            return new
        if [c.get("name") for c in before] != [c.get("name") for c in after]:
            spec[group] = after
        elif before:
            spec[group] = [_resized(was, now) for was, now in zip(before, after, strict=True)]
    if resources := wanted.get("resources"):
        spec["resources"] = resources
    return {**_as_stored(new, old), "spec": spec}


def _resized(container: Object, wanted: Object) -> Object:
    kept = {key: value for key, value in container.items() if key != "resizePolicy"}
    if policy := wanted.get("resizePolicy"):
        kept["resizePolicy"] = policy
    return {**kept, "resources": wanted.get("resources") or {}}


def _approval_scope(new: Object, old: Object) -> Object:
    status = {key: value for key, value in (old.get("status") or {}).items() if key != "conditions"}
    if conditions := (new.get("status") or {}).get("conditions"):
        status["conditions"] = [{**condition} for condition in conditions]
    return {**old, "metadata": new["metadata"], "status": status}


_SUBRESOURCES: dict[tuple[str, str, str], Merge] = {
    ("", "namespaces", "finalize"): _finalize_scope,
    ("", "pods", "ephemeralcontainers"): _ephemeral_containers_scope,
    ("", "pods", "resize"): _resize_scope,
    ("certificates.k8s.io", "certificatesigningrequests", "approval"): _approval_scope,
}


def scope_of(resource: Resource, subresource: str) -> Merge | None:
    """None: this subresource is not a part of the object."""
    if subresource in ("", "scale"):
        return main_scope(resource)
    if subresource == "status":
        return custom_status_scope if resource.schema is not None else status_scope(resource)
    return _SUBRESOURCES.get((resource.group, resource.plural, subresource))


_PREPARES: dict[tuple[str, str, str], Callable[[Object, Object, str], None]] = {
    ("", "persistentvolumes", "status"): stamp_phase,
    ("", "pods", "status"): keep_quality_of_service,
    ("apps", "daemonsets", "status"): keep_template_generation,
    ("batch", "jobs", "status"): label_job_again,
    ("certificates.k8s.io", "certificatesigningrequests", "approval"): date_conditions,
    ("certificates.k8s.io", "certificatesigningrequests", "status"): keep_decisions,
}


def prepare_part(resource: Resource, subresource: str, new: Object, old: Object, now: str) -> None:
    """What the server says itself when a part is written. `now` is a timestamp."""
    prepare = _PREPARES.get((resource.group, resource.plural, subresource))
    if prepare is not None:
        prepare(new, old, now)
