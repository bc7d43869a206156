"""What an endpoint does not write: nobody comes to own it there, and nobody conflicts over it (KEP-555, reset fields).

What a client sends of it is put back afterwards, so a status endpoint's writer owns no part of the spec.
"""

from collections.abc import Set
from functools import lru_cache

from kajitori.api.patch.field_sets import FieldSet, Path, without_below
from kajitori.api.resource import Resource

_SPEC, _STATUS, _METADATA = ("f:spec",), ("f:status",), ("f:metadata",)

_OF_ENDPOINT: dict[tuple[str, str, str], tuple[Path, ...]] = {
    ("", "namespaces", "finalize"): (_STATUS,),
    ("", "pods", "status"): (_SPEC, ("f:metadata", "f:deletionTimestamp"), ("f:metadata", "f:ownerReferences")),
    ("apps", "deployments", "status"): (_SPEC, ("f:metadata", "f:labels")),
    ("certificates.k8s.io", "certificatesigningrequests", ""): (_SPEC, _STATUS),
    ("certificates.k8s.io", "certificatesigningrequests", "status"): (_SPEC, ("f:status", "f:conditions")),
    ("certificates.k8s.io", "certificatesigningrequests", "approval"): (_SPEC, ("f:status", "f:certificate")),
    **{
        (group, plural, "status"): (_METADATA, _SPEC)
        for group, plural in (
            ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
            ("apiregistration.k8s.io", "apiservices"),
            ("flowcontrol.apiserver.k8s.io", "flowschemas"),
            ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"),
            ("networking.k8s.io", "servicecidrs"),
            ("resource.k8s.io", "resourceclaims"),
            ("storage.k8s.io", "volumeattachments"),
        )
    },
}


def written_here(resource: Resource, subresource: str, paths: FieldSet | Set[Path]) -> FieldSet:
    """Those of the paths that this endpoint writes."""
    return without_below(frozenset(paths), _reset(resource, subresource))


@lru_cache(maxsize=1024)
def nobodys_at_creation(resource: Resource) -> frozenset[str]:
    """The top-level fields that a create does not write, as FieldsV1 names them."""
    return frozenset(path[0] for path in _reset(resource, "") if len(path) == 1)


@lru_cache(maxsize=1024)
def _reset(resource: Resource, subresource: str) -> tuple[Path, ...]:
    own = _OF_ENDPOINT.get((resource.group, resource.plural, subresource))
    if own is not None:
        return own
    if subresource == "status":
        return (_METADATA, _SPEC) if resource.schema is not None else (_SPEC,)
    return (_STATUS,) if not subresource and resource.has_subresource("status") else ()


def forget_kinds() -> None:
    """Nothing here holds on to a kind that is served no more."""
    _reset.cache_clear()
    nobodys_at_creation.cache_clear()
