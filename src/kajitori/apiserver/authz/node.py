"""What a node may: read what its pods need, keep its own node, lease and CSINode, follow the pods bound to it.

Source: "Using Node Authorization" of the Kubernetes documentation; selectors count as KEP-4601 says.
"""

from collections.abc import Callable, Sequence

from kajitori.api.selectors import parse_field_selector
from kajitori.apiserver.authz.node_graph import NodeGraph
from kajitori.apiserver.authz.rules import Rule
from kajitori.apiserver.interfaces import Attributes, User, Verdict

_PREFIX = "system:node:"
_GROUP = "system:nodes"
_NO_RELATION = "no relationship found between node '{node}' and this object"

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
            ("", "serviceaccounts"): self._token,
            ("", "nodes"): self._node,
            ("", "pods"): self._pod,
            ("coordination.k8s.io", "leases"): self._lease,
            ("storage.k8s.io", "csinodes"): self._csi_node,
        }

    def authorize(self, attributes: Attributes) -> _Answer:
        user = attributes.user
        if _GROUP not in user.groups:
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
        if asked.verb not in ("get", "list", "watch") or asked.subresource:
            return _no("can only read resources of this type")
        name = asked.name or _required(asked, "metadata.name")
        if not name:
            return _no("No Object name found")
        return self._related(node, asked, name)

    def _volume(self, node: str, asked: Attributes) -> _Answer:
        # Ours, not upstream's: to take the finalizer off; that nothing else changes is NodeRestriction's to see.
        if asked.verb == "patch" and not asked.subresource and self._graph.cleans_up(node, asked.name):
            return _ALLOW
        if asked.verb != "get" or asked.subresource:
            return _no("can only get individual resources of this type")
        if not asked.name:
            return _no("No Object name found")
        return self._related(node, asked, asked.name)

    def _claim(self, node: str, asked: Attributes) -> _Answer:
        if asked.subresource == "status" and asked.verb in ("get", "update", "patch"):
            return self._related(node, asked, asked.name)
        # Upstream's kubelet asks for claims again and again; ours watches the one it needs, which tells it no more.
        return self._read_object(node, asked)

    def _related(self, node: str, asked: Attributes, name: str) -> _Answer:
        if self._graph.reaches(node, (asked.resource, asked.namespace, name)):
            return _ALLOW
        return _no(_NO_RELATION.format(node=node))

    def _token(self, node: str, asked: Attributes) -> _Answer:
        if asked.subresource == "token" and asked.verb == "create" and asked.name:
            return self._related(node, asked, asked.name)
        if not asked.subresource and asked.verb == "get" and asked.name:
            return self._related(node, asked, asked.name)
        return _no("can only create tokens for individual service accounts")

    def _node(self, node: str, asked: Attributes) -> _Answer:
        if asked.subresource:
            return _no("") if asked.verb == "get" else self._by_rules(asked)
        if asked.verb in ("get", "list", "watch"):
            name = asked.name or _required(asked, "metadata.name")
            return _ALLOW if name == node else _no(f"node '{node}' cannot read '{name}', only its own Node object")
        # Which node is written is NodeRestriction's to judge, that sees the object.
        return self._by_rules(asked)

    def _pod(self, node: str, asked: Attributes) -> _Answer:
        if asked.subresource:
            # status and eviction; a node reads no log and runs no command through here, not even of its own pods.
            reads = asked.verb in ("get", "list", "watch")
            return _no("") if reads else self._by_rules(asked)
        if asked.verb == "get" and asked.name:
            return self._related(node, asked, asked.name)
        if asked.verb in ("list", "watch"):
            if _required(asked, "spec.nodeName") == node:
                return _ALLOW
            if asked.name and asked.namespace:
                return self._related(node, asked, asked.name)
            return _no("can only list/watch pods with spec.nodeName field selector")
        return self._by_rules(asked)

    def _lease(self, node: str, asked: Attributes) -> _Answer:
        if asked.subresource:
            return _no("can only access resources of this type directly")
        if asked.verb not in ("get", "create", "update", "patch", "delete"):
            return _no("can only get, create, update, patch, or delete a node lease")
        if asked.namespace != "kube-node-lease":
            return _no('can only access leases in the "kube-node-lease" system namespace')
        if asked.verb != "create" and asked.name != node:
            return _no("can only access node lease with the same name as the requesting node")
        return _ALLOW

    def _csi_node(self, node: str, asked: Attributes) -> _Answer:
        if asked.subresource:
            return _no("cannot authorize CSINode subresources")
        if asked.verb not in ("get", "create", "update", "patch", "delete"):
            return _no("can only get, create, update, patch, or delete a CSINode")
        if asked.verb != "create" and asked.name != node:
            return _no("can only access CSINode with the same name as the requesting node")
        return _ALLOW


def _required(asked: Attributes, field: str) -> str:
    if not asked.field_selector:
        return ""
    return parse_field_selector(asked.field_selector).required(field) or ""
