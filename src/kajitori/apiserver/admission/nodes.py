"""TaintNodesByCondition and NodeRestriction: what a node's object begins with, and what a node may write.

Source: the admission controllers reference, "NodeRestriction".
"""

from kajitori.api import core, local_path
from kajitori.api.errors import NotFound
from kajitori.api.meta import Object, labels_of, name_of, uid_of
from kajitori.api.pods import MIRROR
from kajitori.apiserver.admission.mirror_pods import is_mirror, kind_referenced
from kajitori.apiserver.admission.plugin import PODS, Kind, Plugin, kind_of, refusal, subject
from kajitori.apiserver.authz.node import node_of
from kajitori.apiserver.interfaces import AdmissionRequest, Objects, Operation

_NODES: Kind = ("", "nodes")
_LEASES: Kind = ("coordination.k8s.io", "leases")
_CSI_NODES: Kind = ("storage.k8s.io", "csinodes")
_SLICES: Kind = ("resource.k8s.io", "resourceslices")
_VOLUMES: Kind = ("", "persistentvolumes")
_PERSISTENT_CLAIMS: Kind = ("", "persistentvolumeclaims")
_NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


class TaintNodesByCondition(Plugin):
    """Nothing is scheduled to a new node until the node lifecycle controller has seen it ready."""

    kinds = frozenset((_NODES,))

    async def mutate(self, request: AdmissionRequest) -> None:
        if request.operation is not Operation.CREATE or request.subresource:
            return
        spec = subject(request).setdefault("spec", {})
        taints = spec.get("taints") or []
        if not any(t.get("key") == _NOT_READY["key"] and t.get("effect") == "NoSchedule" for t in taints):
            spec["taints"] = [*taints, dict(_NOT_READY)]


# Labels under kubernetes.io and k8s.io that a node may give itself.
_OWN_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/arch",
        "kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "node.kubernetes.io/windows-build",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    }
)
_OWN_PREFIXES = ("kubelet.kubernetes.io", "node.kubernetes.io")


def _is_restricted(label: str) -> bool:
    prefix, slash, _ = label.rpartition("/")
    if not slash or label in _OWN_LABELS:
        return False
    if prefix == "node-restriction.kubernetes.io" or prefix.endswith(".node-restriction.kubernetes.io"):
        return True
    if any(prefix == own or prefix.endswith(f".{own}") for own in _OWN_PREFIXES):
        return False
    return any(prefix == domain or prefix.endswith(f".{domain}") for domain in ("kubernetes.io", "k8s.io"))


class NodeRestriction(Plugin):
    """A node writes its own node, its own lease and slices, and the pods that are bound to it."""

    kinds = frozenset((PODS, _NODES, _LEASES, _CSI_NODES, _VOLUMES, _PERSISTENT_CLAIMS, _SLICES))

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._checks = {
            PODS: self._pod,
            _NODES: self._node,
            _LEASES: self._lease,
            _CSI_NODES: self._csi_node,
            _VOLUMES: self._volume,
            _PERSISTENT_CLAIMS: self._claim,
            _SLICES: self._slice,
        }

    async def mutate(self, request: AdmissionRequest) -> None:
        node = node_of(request.user)
        if node:
            self._checks[kind_of(request)](request, node)

    def _pod(self, request: AdmissionRequest, node: str) -> None:
        if request.subresource == "eviction":
            self._bound_here(request, node, "can only evict pods with spec.nodeName set to itself", "node {}")
        elif request.subresource not in ("", "status"):
            why = f"unexpected pod subresource \"{request.subresource}\", only 'status', 'eviction' and "
            raise refusal(request, why + "'resize' are allowed")
        elif request.operation is Operation.CREATE:
            self._mirror_pod(request, node)
        elif request.operation is Operation.DELETE:
            self._bound_here(request, node, "can only delete pods with spec.nodeName set to itself")
        elif not request.subresource:
            raise refusal(request, f'unexpected operation "{request.operation}"')
        else:
            self._bound_here(request, node, "can only update pod status for pods with spec.nodeName set to itself")
            if request.old is not None and labels_of(subject(request)) != labels_of(request.old):
                raise refusal(request, f'node "{node}" cannot update labels through pod status')
            if request.old is not None and _claims(subject(request)) != _claims(request.old):
                raise refusal(request, f'node "{node}" cannot update resource claim statues')
            if request.old is not None and _extended(subject(request)) != _extended(request.old):
                raise refusal(request, f'node "{node}" cannot update extended resource claim status')

    def _bound_here(self, request: AdmissionRequest, node: str, rule: str, who: str = 'node "{}"') -> None:
        pod = request.old or self._objects.cached(core.POD, request.name, request.namespace)
        if pod is None:
            raise NotFound.of("", "pod", request.name)
        if pod["spec"].get("nodeName") != node:
            raise refusal(request, f"{who.format(node)} {rule}")

    def _mirror_pod(self, request: AdmissionRequest, node: str) -> None:
        pod = subject(request)
        spec = pod["spec"]
        if not is_mirror(pod):
            raise refusal(
                request, f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror pods'
            )
        if spec.get("nodeName") != node:
            raise refusal(request, f'node "{node}" can only create pods with spec.nodeName set to itself')
        self._owned_by_node(request, node)
        if named := kind_referenced(pod):
            raise refusal(request, f'node "{node}" can not create pods that reference {named}')

    def _owned_by_node(self, request: AdmissionRequest, node: str) -> None:
        owners, who = subject(request)["metadata"].get("ownerReferences") or [], f'node "{node}"'
        if len(owners) > 1:
            raise refusal(request, f"{who} can only create pods with a single owner reference set to itself")
        if not owners or [owners[0].get(key) for key in ("apiVersion", "kind", "name")] != ["v1", "Node", node]:
            raise refusal(request, f"{who} can only create pods with an owner reference set to itself")
        (owner,) = owners
        if not owner.get("controller"):
            raise refusal(request, f"{who} can only create pods with a controller owner reference set to itself")
        if owner.get("blockOwnerDeletion"):
            raise refusal(request, f"{who} must not set blockOwnerDeletion on an owner reference")
        own = self._objects.cached(core.NODE, node)
        if own is None:
            raise NotFound.of("", "node", node)
        if owner.get("uid") != uid_of(own):
            raise refusal(request, f"node {node} UID mismatch: expected {owner.get('uid')} got {uid_of(own)}")

    def _node(self, request: AdmissionRequest, node: str) -> None:
        if request.name != node and name_of(request.object or request.old or {"metadata": {}}) != node:
            raise refusal(request, f'node "{node}" is not allowed to modify node "{request.name}"')
        if request.operation is Operation.CREATE:
            restricted = [label for label in labels_of(subject(request)) if _is_restricted(label)]
        elif request.operation is Operation.UPDATE and request.old is not None:
            new, old = subject(request), request.old
            restricted = _changed_restricted(new, old)
            if _taints(new) != _taints(old):
                raise refusal(request, f'node "{node}" is not allowed to modify taints')
            if _owners(new) != _owners(old):
                raise refusal(request, f'node "{node}" is not allowed to modify ownerReferences')
        else:
            return
        if restricted:
            names = ", ".join(sorted(restricted))
            verb = "set the following" if request.operation is Operation.CREATE else "modify"
            who = f'node "{node}" ' if request.operation is Operation.CREATE else ""
            raise refusal(request, f"{who}is not allowed to {verb} labels: {names}")

    def _lease(self, request: AdmissionRequest, node: str) -> None:
        if request.namespace != "kube-node-lease":
            raise refusal(request, 'can only access leases in the "kube-node-lease" system namespace')
        self._own_name(request, node, "node lease")

    def _csi_node(self, request: AdmissionRequest, node: str) -> None:
        self._own_name(request, node, "CSINode")

    @staticmethod
    def _slice(request: AdmissionRequest, node: str) -> None:
        """Whose the slices are that it changes, the authorizer sees; of a collection each is looked at."""
        whose = request.object if request.operation is Operation.CREATE else request.old
        if request.operation is Operation.UPDATE or whose is None or whose["spec"].get("nodeName") == node:
            return
        done = "create" if request.operation is Operation.CREATE else "delete"
        raise refusal(request, f"can only {done} ResourceSlice with the same NodeName as the requesting node")

    def _volume(self, request: AdmissionRequest, node: str) -> None:
        """A node takes its finalizer off a local-path volume that it has cleaned up, and nothing else."""
        old, new = request.old, request.object
        if old is None or new is None or not local_path.awaits_cleanup(old, node):
            raise refusal(request, f'node "{node}" can only update local-path volumes that await their clean-up by it')
        if _without_finalizers(new) != _without_finalizers(old):
            raise refusal(request, f'node "{node}" can only remove the finalizer of a volume')

    @staticmethod
    def _claim(request: AdmissionRequest, node: str) -> None:
        """A node tells how large a claim has become, and how that goes."""
        old, new = request.old, request.object
        if request.subresource != "status":
            raise refusal(request, "may only update PVC status")
        if old is not None and new is not None and _beside_growth(new) != _beside_growth(old):
            why = "is not allowed to update fields other than status.quantity and status.conditions"
            raise refusal(request, f'node "{node}" {why}')

    @staticmethod
    def _own_name(request: AdmissionRequest, node: str, what: str) -> None:
        name = name_of(request.object) if request.object is not None else request.name
        if name != node:
            raise refusal(request, f"can only access {what} with the same name as the requesting node")


_UNCOMPARED = ("finalizers", "managedFields", "resourceVersion")


def _without_finalizers(volume: Object) -> Object:
    return {**volume, "metadata": {k: v for k, v in volume["metadata"].items() if k not in _UNCOMPARED}}


_GROWTH = ("capacity", "conditions", "allocatedResourceStatuses", "allocatedResources")
_UNCOMPARED_OF_CLAIM = ("managedFields", "resourceVersion")


def _beside_growth(claim: Object) -> Object:
    """A claim without what its node may say; what is empty is as good as absent."""
    metadata = {k: v for k, v in claim["metadata"].items() if k not in _UNCOMPARED_OF_CLAIM and v}
    status = {k: v for k, v in (claim.get("status") or {}).items() if k not in _GROWTH and v}
    return {"metadata": metadata, "spec": claim["spec"], "status": status}


def _changed_restricted(new: Object, old: Object) -> list[str]:
    before, after = labels_of(old), labels_of(new)
    changed = [key for key in {*before, *after} if before.get(key) != after.get(key)]
    return [key for key in changed if _is_restricted(key)]


def _claims(pod: Object) -> list[Object]:
    return (pod.get("status") or {}).get("resourceClaimStatuses") or []


def _extended(pod: Object) -> tuple[str, list[Object]] | None:
    found = (pod.get("status") or {}).get("extendedResourceClaimStatus")
    return None if found is None else (found.get("resourceClaimName", ""), found.get("requestMappings") or [])


def _owners(obj: Object) -> list[Object]:
    return obj["metadata"].get("ownerReferences") or []


def _taints(node: Object) -> list[Object]:
    return (node.get("spec") or {}).get("taints") or []
