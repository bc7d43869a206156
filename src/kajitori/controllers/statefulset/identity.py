"""What makes the n-th pod of a StatefulSet itself: name, labels, host name, volume claims. Pure."""

import copy
import re

from kajitori.api.meta import Object, labels_of, name_of, namespace_of, uid_of
from kajitori.controllers.history import POD_HASH_LABEL
from kajitori.controllers.pods import pod_from_template

POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"
_NAME = re.compile(r"(.*)-(0|[1-9][0-9]*)")


def ordinal_of(statefulset: Object, pod: Object) -> int | None:
    """None for a pod whose name is not one of the set's."""
    match = _NAME.fullmatch(name_of(pod))
    return int(match[2]) if match and match[1] == name_of(statefulset) else None


def first_ordinal(statefulset: Object) -> int:
    return int((statefulset["spec"].get("ordinals") or {}).get("start") or 0)


def pod_name(statefulset: Object, ordinal: int) -> str:
    return f"{name_of(statefulset)}-{ordinal}"


def claim_name(statefulset: Object, template: Object, ordinal: int) -> str:
    return f"{name_of(template)}-{name_of(statefulset)}-{ordinal}"


def claim_templates(statefulset: Object) -> list[Object]:
    return list(statefulset["spec"].get("volumeClaimTemplates") or ())


def make_pod(statefulset: Object, template: Object, revision: str, ordinal: int) -> Object:
    pod = pod_from_template(template, statefulset, name=pod_name(statefulset, ordinal))
    pod["metadata"]["labels"] |= _labels(statefulset, ordinal) | {POD_HASH_LABEL: revision}
    spec = pod["spec"]
    spec["hostname"] = pod_name(statefulset, ordinal)
    if statefulset["spec"].get("serviceName"):
        spec["subdomain"] = statefulset["spec"]["serviceName"]
    spec["volumes"] = _volumes(statefulset, spec, ordinal)
    return pod


def _labels(statefulset: Object, ordinal: int) -> dict[str, str]:
    return {POD_NAME_LABEL: pod_name(statefulset, ordinal), POD_INDEX_LABEL: str(ordinal)}


def identity_patch(statefulset: Object, pod: Object, ordinal: int) -> Object | None:
    """The merge patch that gives an adopted pod the labels of its place; None when it has them."""
    missing = {key: value for key, value in _labels(statefulset, ordinal).items() if labels_of(pod).get(key) != value}
    return {"metadata": {"labels": missing}} if missing else None


def _volumes(statefulset: Object, pod_spec: Object, ordinal: int) -> list[Object]:
    """The claims' volumes, in front of those of the template that have other names."""
    claims = [
        {
            "name": name_of(template),
            "persistentVolumeClaim": {"claimName": claim_name(statefulset, template, ordinal), "readOnly": False},
        }
        for template in claim_templates(statefulset)
    ]
    names = {claim["name"] for claim in claims}
    return [*(v for v in pod_spec.get("volumes") or () if v["name"] not in names), *claims]


def make_claims(statefulset: Object, ordinal: int) -> list[Object]:
    selector = statefulset["spec"]["selector"].get("matchLabels") or {}
    claims = []
    for template in claim_templates(statefulset):
        meta = template.get("metadata") or {}
        claims.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {
                    "name": claim_name(statefulset, template, ordinal),
                    "namespace": namespace_of(statefulset),
                    "labels": {**(meta.get("labels") or {}), **selector},
                    "annotations": dict(meta.get("annotations") or {}),
                },
                "spec": copy.deepcopy(template["spec"]),
            }
        )
    return claims


def claim_owners(statefulset: Object, claim: Object, pod: Object | None, *, condemned: bool) -> list[Object]:
    """Who should own a claim, so that it is collected when the retention policy says so (KEP-1847). A claim that an
    earlier set or pod of the same name owns stays as it is, and one that something else controls is not taken over."""
    policy = statefulset["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    present = list(claim["metadata"].get("ownerReferences") or ())
    ours = {("apps", "StatefulSet", name_of(statefulset)): uid_of(statefulset)}
    if pod is not None:
        ours["", "Pod", name_of(pod)] = uid_of(pod)
    if any(ours.get(_named(o), o["uid"]) != o["uid"] for o in present):
        return present
    owners = [o for o in present if _named(o) not in ours]
    if any(o.get("controller") for o in owners):
        return owners
    if policy.get("whenScaled") == "Delete" and condemned and pod is not None:
        owners.append(_owner("v1", "Pod", pod))
    elif policy.get("whenDeleted") == "Delete":
        owners.append(_owner("apps/v1", "StatefulSet", statefulset))
    return owners


def _named(owner: Object) -> tuple[str, str, str]:
    group = owner["apiVersion"].rpartition("/")[0]
    return group, owner["kind"], owner["name"]


def _owner(api_version: str, kind: str, obj: Object) -> Object:
    owner = {"apiVersion": api_version, "kind": kind, "name": name_of(obj), "uid": uid_of(obj)}
    return owner | {"controller": True, "blockOwnerDeletion": True}
