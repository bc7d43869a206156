"""What each node has a reason to read: what the pods bound to it name.

Pods name secrets, config maps, claims, service accounts, resource claims; a claim leads to its volume, a volume to its
secrets. A deleted local-path volume leads to the node that is to clean it up. Attachments and resource slices name
their node.
"""

from collections import Counter
from collections.abc import Iterator
from functools import partial

from kajitori.api import core, local_path
from kajitori.api.dynamic_resources import RESOURCE_SLICE
from kajitori.api.meta import Object, key_of, name_of, namespace_of
from kajitori.api.storage import VOLUME_ATTACHMENT
from kajitori.apiserver.interfaces import Objects

Target = tuple[str, str, str]
"""Plural, namespace, name."""


class NodeGraph:
    """Follows pods and volumes through `Objects.subscribe`; answers in one or two lookups."""

    def __init__(self, objects: Objects) -> None:
        self._pods: dict[tuple[str, str], tuple[str, frozenset[Target]]] = {}
        self._named: dict[str, Counter[Target]] = {}
        self._claim_of_volume: dict[str, Target] = {}
        self._volumes_of_secret: dict[Target, set[str]] = {}
        self._secrets_of_volume: dict[str, frozenset[Target]] = {}
        self._cleaner_of_volume: dict[str, str] = {}
        self._node_of: dict[Target, str] = {}
        self._unsubscribe = [
            objects.subscribe(core.POD, self._pod_changed),
            objects.subscribe(core.PERSISTENT_VOLUME, self._volume_changed),
            *(
                objects.subscribe(kind, partial(self._placed, kind.plural))
                for kind in (VOLUME_ATTACHMENT, RESOURCE_SLICE)
            ),
        ]

    def stop(self) -> None:
        for unsubscribe in self._unsubscribe:
            unsubscribe()

    def reaches(self, node: str, target: Target) -> bool:
        """Whether a pod on this node needs the target, or the target says it is this node's."""
        if self._node_of.get(target) == node:
            return True
        named = self._named.get(node)
        if not named:
            return False
        if target in named:
            return True
        plural, _, name = target
        if plural == "persistentvolumes":
            return self._claim_of_volume.get(name) in named
        volumes = self._volumes_of_secret.get(target, ())
        return any(self._claim_of_volume.get(volume) in named for volume in volumes)

    def cleans_up(self, node: str, volume: str) -> bool:
        """Whether this local-path volume awaits its clean-up by this node."""
        return self._cleaner_of_volume.get(volume) == node

    def _pod_changed(self, event: str, pod: Object) -> None:
        key = key_of(pod)
        node = "" if event == "DELETED" else pod["spec"].get("nodeName", "")
        targets = frozenset(targets_of_pod(pod)) if node else frozenset()
        before = self._pods.get(key)
        if before == (node, targets):
            return
        if before is not None:
            self._count(before[0], before[1], -1)
            del self._pods[key]
        if node:
            self._pods[key] = (node, targets)
            self._count(node, targets, 1)

    def _count(self, node: str, targets: frozenset[Target], step: int) -> None:
        named = self._named.setdefault(node, Counter())
        for target in targets:
            named[target] += step
            if not named[target]:
                del named[target]
        if not named:
            del self._named[node]

    def _placed(self, plural: str, event: str, obj: Object) -> None:
        target, node = (plural, "", name_of(obj)), obj["spec"].get("nodeName", "")
        if event == "DELETED" or not node:
            self._node_of.pop(target, None)
        else:
            self._node_of[target] = node

    def _volume_changed(self, event: str, volume: Object) -> None:
        name = name_of(volume)
        for secret in self._secrets_of_volume.pop(name, ()):
            self._volumes_of_secret[secret].discard(name)
        self._claim_of_volume.pop(name, None)
        self._cleaner_of_volume.pop(name, None)
        cleaner = local_path.node_of(volume)
        if event != "DELETED" and cleaner and local_path.awaits_cleanup(volume, cleaner):
            self._cleaner_of_volume[name] = cleaner
        claim = volume["spec"].get("claimRef")
        if event == "DELETED" or not claim:
            return
        self._claim_of_volume[name] = ("persistentvolumeclaims", claim.get("namespace", ""), claim.get("name", ""))
        secrets = self._secrets_of_volume[name] = frozenset(_secrets_of_volume(volume, claim.get("namespace", "")))
        for secret in secrets:
            self._volumes_of_secret.setdefault(secret, set()).add(name)


def targets_of_pod(pod: Object) -> Iterator[Target]:
    namespace, spec = namespace_of(pod), pod["spec"]
    yield "pods", namespace, name_of(pod)
    if spec.get("serviceAccountName"):
        yield "serviceaccounts", namespace, spec["serviceAccountName"]
    for reference in spec.get("imagePullSecrets") or ():
        yield "secrets", namespace, reference.get("name", "")
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field) or ():
            yield from _targets_of_container(container, namespace)
    made = {status["name"]: status.get("resourceClaimName") for status in _claim_statuses(pod)}
    for claim in spec.get("resourceClaims") or ():
        if name := claim.get("resourceClaimName") or made.get(claim["name"]):
            yield "resourceclaims", namespace, name
    for volume in spec.get("volumes") or ():
        yield from _targets_of_volume(volume, namespace, name_of(pod))


def _claim_statuses(pod: Object) -> list[Object]:
    """What was made from templates, as the pod's status says."""
    return (pod.get("status") or {}).get("resourceClaimStatuses") or []


def _targets_of_container(container: Object, namespace: str) -> Iterator[Target]:
    for source in container.get("envFrom") or ():
        for field, plural in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
            if source.get(field):
                yield plural, namespace, source[field].get("name", "")
    for variable in container.get("env") or ():
        value_from = variable.get("valueFrom") or {}
        for field, plural in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
            if value_from.get(field):
                yield plural, namespace, value_from[field].get("name", "")


# field of a volume -> where its secret's name stands
_VOLUME_SECRETS = {
    "azureFile": ("secretName",),
    "cephfs": ("secretRef", "name"),
    "cinder": ("secretRef", "name"),
    "csi": ("nodePublishSecretRef", "name"),
    "flexVolume": ("secretRef", "name"),
    "iscsi": ("secretRef", "name"),
    "rbd": ("secretRef", "name"),
    "scaleIO": ("secretRef", "name"),
    "secret": ("secretName",),
    "storageos": ("secretRef", "name"),
}


def _targets_of_volume(volume: Object, namespace: str, pod: str) -> Iterator[Target]:
    if volume.get("configMap"):
        yield "configmaps", namespace, volume["configMap"].get("name", "")
    if volume.get("persistentVolumeClaim"):
        yield "persistentvolumeclaims", namespace, volume["persistentVolumeClaim"].get("claimName", "")
    if volume.get("ephemeral"):
        yield "persistentvolumeclaims", namespace, f"{pod}-{volume['name']}"
    for field, path in _VOLUME_SECRETS.items():
        if name := _dig(volume.get(field), path):
            yield "secrets", namespace, name
    for source in (volume.get("projected") or {}).get("sources") or ():
        for field, plural in (("configMap", "configmaps"), ("secret", "secrets")):
            if source.get(field):
                yield plural, namespace, source[field].get("name", "")


_CSI_SECRETS = ("nodePublishSecretRef", "nodeStageSecretRef", "nodeExpandSecretRef")


def _secrets_of_volume(volume: Object, namespace: str) -> Iterator[Target]:
    csi = volume["spec"].get("csi") or {}
    for field in _CSI_SECRETS:
        if csi.get(field):
            yield "secrets", csi[field].get("namespace") or namespace, csi[field].get("name", "")


def _dig(value: Object | None, path: tuple[str, ...]) -> str:
    found: object = value
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""
