"""Which ReplicaSet runs which revision of a Deployment; the annotations by which `kubectl rollout` reads them."""

import copy
from collections.abc import Iterable, Sequence

from kajitori.api.meta import Object, annotations_of, is_deleting, name_of, owner_reference, uid_of
from kajitori.controllers.deployment.scaling import DESIRED_REPLICAS, MAX_REPLICAS, max_surge
from kajitori.controllers.hashing import template_hash
from kajitori.controllers.replicas import replicas_of
from kajitori.kit.numbers import unsigned

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
HASH_LABEL = "pod-template-hash"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
ROLLBACK_TO = "deprecated.deployment.rollback.to"

_NOT_COPIED = {LAST_APPLIED, REVISION, REVISION_HISTORY, DESIRED_REPLICAS, MAX_REPLICAS, ROLLBACK_TO}
# Upstream cuts the list of past revisions of one ReplicaSet at this length.
_HISTORY_LENGTH_MAX = 2000
_UNLIMITED = 2**31 - 1


def revision_of(obj: Object) -> int:
    text = annotations_of(obj).get(REVISION, "0")
    return unsigned(text) or 0


def by_age(replica_sets: Iterable[Object]) -> list[Object]:
    """Oldest first."""
    return sorted(replica_sets, key=lambda rs: (rs["metadata"].get("creationTimestamp") or "", name_of(rs)))


def same_template(deployment: Object, replica_set: Object) -> bool:
    """Whether the pods would be equal, apart from the hash label that the controller itself adds."""
    return _without_hash(deployment["spec"]["template"]) == _without_hash(replica_set["spec"]["template"])


def _without_hash(template: Object) -> Object:
    meta = template.get("metadata") or {}
    labels = {key: value for key, value in (meta.get("labels") or {}).items() if key != HASH_LABEL}
    rest = {key: value for key, value in meta.items() if value and key != "labels" and key != "creationTimestamp"}
    return {**template, "metadata": {**rest, "labels": labels}}


def split(deployment: Object, replica_sets: Sequence[Object]) -> tuple[Object | None, list[Object]]:
    """The set of the current template (the oldest, should there be two) and all others, oldest first."""
    ordered = by_age(replica_sets)
    new = next((rs for rs in ordered if same_template(deployment, rs)), None)
    return new, [rs for rs in ordered if new is None or uid_of(rs) != uid_of(new)]


def next_revision(old: Iterable[Object]) -> int:
    return max((revision_of(rs) for rs in old), default=0) + 1


def replicas_annotations(deployment: Object) -> dict[str, str]:
    """By these a later change of the Deployment's size is recognised, and shared out in proportion."""
    replicas = replicas_of(deployment)
    return {DESIRED_REPLICAS: str(replicas), MAX_REPLICAS: str(replicas + max_surge(deployment))}


def annotations_for(deployment: Object, replica_set: Object | None, revision: int) -> dict[str, str]:
    """What the set of the current template should be annotated with (it keeps what others put there)."""
    annotations = dict(annotations_of(replica_set)) if replica_set is not None else {}
    annotations |= {k: v for k, v in annotations_of(deployment).items() if k not in _NOT_COPIED}
    old = annotations.get(REVISION)
    if (unsigned(old or "") or 0) < revision:
        annotations[REVISION] = str(revision)
        if replica_set is not None and old:
            annotations[REVISION_HISTORY] = _remember(annotations.get(REVISION_HISTORY, ""), old)
    return annotations


def _remember(history: str, revision: str) -> str:
    revisions = [r for r in history.split(",") if r]
    if revision not in revisions:
        revisions.append(revision)
    while len(",".join(revisions)) > _HISTORY_LENGTH_MAX:
        revisions.pop(0)
    return ",".join(revisions)


def make_replica_set(deployment: Object, replicas: int, revision: int) -> Object:
    """The set of the current template, as it is to be created."""
    template = copy.deepcopy(deployment["spec"]["template"])
    pod_hash = template_hash(template, (deployment.get("status") or {}).get("collisionCount"))
    meta = template.setdefault("metadata", {})
    meta["labels"] = {**(meta.get("labels") or {}), HASH_LABEL: pod_hash}
    selector = copy.deepcopy(deployment["spec"]["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: pod_hash}
    spec: Object = {"replicas": replicas, "selector": selector, "template": template}
    if deployment["spec"].get("minReadySeconds"):
        spec["minReadySeconds"] = deployment["spec"]["minReadySeconds"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name_of(deployment)}-{pod_hash}",
            "namespace": deployment["metadata"]["namespace"],
            "labels": dict(meta["labels"]),
            "annotations": annotations_for(deployment, None, revision) | replicas_annotations(deployment),
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": spec,
    }


def expired(deployment: Object, old: Iterable[Object]) -> list[Object]:
    """Old sets beyond `revisionHistoryLimit` that nothing uses any more, oldest revision first."""
    limit = deployment["spec"].get("revisionHistoryLimit")
    if limit is None or limit == _UNLIMITED:
        return []
    kept = sorted((rs for rs in old if not is_deleting(rs)), key=revision_of)
    return [rs for rs in kept[: max(0, len(kept) - limit)] if _is_idle(rs)]


def _is_idle(replica_set: Object) -> bool:
    status = replica_set.get("status") or {}
    return (
        not status.get("replicas")
        and not replicas_of(replica_set)
        and replica_set["metadata"].get("generation", 0) <= status.get("observedGeneration", 0)
    )
