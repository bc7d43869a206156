"""What a node may: read what its pods need, keep its own node, lease and CSINode, follow the pods bound to it.

Source: "Using Node Authorization" of the Kubernetes documentation; selectors count as KEP-4601 says.
"""

from collections.abc import Callable, Sequence

from kajitori.api.errors import BadRequest
from kajitori.api.selectors import parse_field_selector
from kajitori.apiserver.authz.node_graph import NodeGraph
from kajitori.apiserver.authz.rules import Rule
from kajitori.apiserver.interfaces import Attributes, User, Verdict

_PREFIX = "system:node:"
_GROUP = "system:nodes"
_NO_RELATION = "no relationship found between node '{node}' and this object"

_NODE_WRITES = {("", "create"), ("", "update"), ("", "patch"), ("status", "update"), ("status", "patch")}
_POD_WRITES = {("", "create"), ("", "delete"), ("status", "update"), ("status", "patch"), ("eviction", "create")}
"""Subresource and verb: what a node may ask for; whose node or pod it is, NodeRestriction sees."""

_Answer = tuple[Verdict, str]


def node_of(user: User) -> str:
    """The name of the node that a user is; empty for anyone else."""
    if user.name.startswith(_PREFIX) and _GROUP in user.groups:
        return user.name[len(_PREFIX) :]
    return ""


def _no(reason: str) -> _Answer:
    return Verdict.NO_OPINION, reason


_ALLOW: _Answer = (Verdict.ALLOW, "")


class NodeAuthorizer:
    """`rules` are those of the ClusterRole system:node, which hold for what is not about single objects."""

    def __init__(self, graph: NodeGraph, rules: Sequence[Rule]) -> None:
        self._graph = graph
        self._rules = tuple(rules)
        self._special: dict[tuple[str, str], Callable[[str, Attributes], _Answer]] = {
            ("", "secrets"): self._read_object,
            ("", "configmaps"): self._read_object,
            ("", "persistentvolumeclaims"): self._claim,
            ("", "persistentvolumes"): self._volume,
            ("", "serviceaccounts"): self._account,
            ("", "nodes"): self._node,
            ("", "pods"): self._pod,
            ("resource.k8s.io", "resourceclaims"): self._get,
            ("resource.k8s.io", "resourceslices"): self._slice,
            ("storage.k8s.io", "volumeattachments"): self._get,
            ("coordination.k8s.io", "leases"): self._lease,
            ("storage.k8s.io", "csinodes"): self._csi_node,
        }

    def authorize(self, attributes: Attributes) -> _Answer:
        user = attributes.user
        if not user.name.startswith(_PREFIX) or _GROUP not in user.groups:
            return _no("")
        node = node_of(user)
        if not node:
            return _no(f'unknown node for user "{user.name}"')
        special = self._special.get((attributes.group, attributes.resource))
        return special(node, attributes) if special else self._by_rules(attributes)

    def _by_rules(self, asked: Attributes) -> _Answer:
        return _ALLOW if any(rule.allows(asked) for rule in self._rules) else _no("")

    def _read_object(self, node: str, asked: Attributes) -> _Answer:
        """get, or a list or watch of that one object."""
        if asked.verb not in ("get", "list", "watch"):
            return _no("can only read resources of this type")
        if asked.subresource:
            return _no("cannot read subresource")
        if not asked.namespace:
            return _no("can only read namespaced object of this type")
        return self._related(node, asked)

    def _get(self, node: str, asked: Attributes) -> _Answer:
        if asked.verb != "get":
            return _no("can only get individual resources of this type")
        return _no("cannot get subresource") if asked.subresource else self._related(node, asked)

    def _volume(self, node: str, asked: Attributes) -> _Answer:
        # Ours, not upstream's: to take the finalizer off; that nothing else changes is NodeRestriction's to see.
        if asked.verb == "patch" and not asked.subresource and self._graph.cleans_up(node, asked.name):
            return _ALLOW
        return self._get(node, asked)

    def _claim(self, node: str, asked: Attributes) -> _Answer:
        if asked.subresource == "status":
            writes = asked.verb in ("update", "patch")
            return self._related(node, asked) if writes else _no("can only get/update/patch this type")
        # Upstream's kubelet asks for claims again and again; ours watches the one it needs, which tells it no more.
        if asked.verb in ("list", "watch") and _name(asked) and not asked.subresource:
            return self._related(node, asked)
        return self._get(node, asked)

    def _related(self, node: str, asked: Attributes) -> _Answer:
        name = _name(asked)
        if not name:
            return _no("No Object name found")
        if self._graph.reaches(node, (asked.resource, asked.namespace, name)):
            return _ALLOW
        return _no(_NO_RELATION.format(node=node))

    def _account(self, node: str, asked: Attributes) -> _Answer:
        if asked.verb == "get" and not asked.subresource:
            return self._read_object(node, asked)
        if asked.verb != "create" or not asked.name:
            return _no("can only create tokens for individual service accounts")
        if asked.subresource != "token":
            return _no("can only create token subresource of serviceaccount")
        return self._related(node, asked)

    def _node(self, node: str, asked: Attributes) -> _Answer:
        """Which node is written is NodeRestriction's to judge, that sees the object."""
        if (asked.subresource, asked.verb) in _NODE_WRITES:
            return _ALLOW
        if asked.subresource or asked.verb not in ("get", "list", "watch"):
            return _no("")
        name = _name(asked)
        if name == node:
            return _ALLOW
        which = f"'{name}'" if name else "all nodes"
        return _no(f"node '{node}' cannot read {which}, only its own Node object")

    def _pod(self, node: str, asked: Attributes) -> _Answer:
        """A node reads no log and runs no command through here, not even of its own pods."""
        if (asked.subresource, asked.verb) in _POD_WRITES:
            return _ALLOW
        if asked.subresource or asked.verb not in ("get", "list", "watch"):
            return _no("")
        if asked.verb == "get":
            return self._related(node, asked)
        if _required(asked, "spec.nodeName") == node:
            return _ALLOW
        if asked.name:
            return self._related(node, asked)
        return _no("can only list/watch pods with spec.nodeName field selector")

    def _slice(self, node: str, asked: Attributes) -> _Answer:
        if asked.subresource:
            return _no("cannot authorize ResourceSlice subresources")
        if asked.verb == "create":
            return _ALLOW
        if asked.verb in ("get", "update", "patch", "delete"):
            return self._related(node, asked)
        if asked.verb not in ("watch", "list", "deletecollection"):
            verbs = "get, watch, list, create, update, patch, delete, deletecollection"
            return _no(f"only the following verbs are allowed for a ResourceSlice: {verbs}")
        if _required(asked, "spec.nodeName") == node:
            return _ALLOW
        return _no("can only list/watch/deletecollection resourceslices with nodeName field selector")

    def _lease(self, node: str, asked: Attributes) -> _Answer:
        if asked.verb not in ("get", "create", "update", "patch", "delete"):
            return _no("can only get, create, update, patch, or delete a node lease")
        if asked.namespace != "kube-node-lease":
            return _no('can only access leases in the "kube-node-lease" system namespace')
        if asked.verb != "create" and asked.name != node:
            return _no("can only access node lease with the same name as the requesting node")
        return _ALLOW

    def _csi_node(self, node: str, asked: Attributes) -> _Answer:
        if asked.verb not in ("get", "create", "update", "patch", "delete"):
            return _no("can only get, create, update, patch, or delete a CSINode")
        if asked.subresource:
            return _no("cannot authorize CSINode subresources")
        if asked.verb != "create" and asked.name != node:
            return _no("can only access CSINode with the same name as the requesting node")
        return _ALLOW


def _name(asked: Attributes) -> str:
    return asked.name or _required(asked, "metadata.name")


def _required(asked: Attributes, field: str) -> str:
    """What a field selector says a field must be; nothing when it is no selector, which is told elsewhere."""
    if not asked.field_selector:
        return ""
    try:
        return parse_field_selector(asked.field_selector).required(field) or ""
    except BadRequest:
        return ""
