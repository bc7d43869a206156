"""The default roles and bindings of v1.36, read from the compact table in `roles.json`, and how they are reconciled.

A rule is written `verbs groups resources [names]` or `verbs paths`, lists joined by commas, the core group as `core`.
A subject is `Kind name` or `ServiceAccount namespace/name`. Reconciling adds what is missing and leaves what a user
added (RBAC reference, "Auto-reconciliation").
"""

from collections.abc import Iterable, Iterator
from importlib.resources import files

import orjson

from kajitori.api import rbac
from kajitori.api.meta import Object, annotations_of
from kajitori.api.resource import Resource
from kajitori.apiserver.authz.aggregation import aggregate
from kajitori.apiserver.authz.rules import Rule, rules_of, uncovered

_GROUP = "rbac.authorization.k8s.io"
_AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
_CONTROLLER_MANAGER = "system:kube-controller-manager"

# Roles of our own identities, in the notation of roles.json.
_OWN_ROLES = {
    "system:kajitori:dns": (
        "list,watch core services,namespaces,pods",
        "list,watch discovery.k8s.io endpointslices",
    ),
    "system:kajitori:ingress": (
        "get,list,watch networking.k8s.io ingresses,ingressclasses",
        "get,patch,update networking.k8s.io ingresses/status",
        "get,list,watch core services,secrets",
        "list,watch discovery.k8s.io endpointslices",
        "create,patch,update core,events.k8s.io events",
    ),
    # Many kubelets in one: the node authorizer would tell them apart. Of pods it may nothing but end them.
    "system:kajitori:simulator": (
        "get,list,watch,create,delete core nodes",
        "list,watch,delete core pods",
        "patch core nodes/status,pods/status",
    ),
}
# Node agents remove the directories of deleted local-path volumes, and so watch for them. That they take off such a
# volume's finalizer is allowed by the node authorizer, which knows whose it is.
_LOCAL_PATH = "system:kajitori:local-path"
_LOCAL_PATH_RULES = ("list,watch core persistentvolumes",)
# A node's name server announces itself by an EndpointSlice of its own; simulated nodes say that they live.
_OWN_NAMESPACED_ROLES = {
    "kube-system/system:kajitori:dns": (
        "system:kajitori:dns",
        ("create,get,patch discovery.k8s.io endpointslices",),
    ),
    "kube-node-lease/system:kajitori:simulator": (
        "system:kajitori:simulator",
        ("create,patch coordination.k8s.io leases",),
    ),
}
# The controllers and the local-path provisioner act as one identity, so it may what each of upstream's may.
_CONTROLLERS = "system:kajitori:controllers"
_CONTROLLERS_EXTRA = (
    "get,list,watch,create,delete core pods",
    "create,patch,update core,events.k8s.io events",
    "get,list,watch,create,update,patch,delete coordination.k8s.io leases",
    "update certificates.k8s.io certificatesigningrequests/approval,certificatesigningrequests/status",
    "approve,sign certificates.k8s.io signers",
    "patch storage.k8s.io volumeattributesclasses",
)


def policy() -> Iterator[tuple[Resource, Object]]:
    """Every role and binding, roles first."""
    table = orjson.loads((files(__package__) / "roles.json").read_bytes())
    for name, rules in _OWN_ROLES.items():
        table["clusterRoles"][name] = {"rules": list(rules)}
        table["clusterRoleBindings"][name] = {"role": name, "subjects": [f"User {name}"]}
    table["clusterRoles"][_LOCAL_PATH] = {"rules": list(_LOCAL_PATH_RULES)}
    table["clusterRoleBindings"][_LOCAL_PATH] = {"role": _LOCAL_PATH, "subjects": ["Group system:nodes"]}
    for name, (user, rules) in _OWN_NAMESPACED_ROLES.items():
        table["roles"][name] = {"rules": list(rules)}
        table["roleBindings"][name] = {"role": name.rpartition("/")[2], "subjects": [f"User {user}"]}
    table["clusterRoles"][_CONTROLLERS] = {"rules": _controller_rules(table["clusterRoles"])}
    table["clusterRoleBindings"][_CONTROLLERS] = {"role": _CONTROLLERS, "subjects": [f"User {_CONTROLLER_MANAGER}"]}

    roles = [_role("ClusterRole", name, entry) for name, entry in table["clusterRoles"].items()]
    _resolve(roles)
    yield from ((rbac.CLUSTER_ROLE, role) for role in roles)
    for name, entry in table["roles"].items():
        yield rbac.ROLE, _role("Role", name, entry)
    for name, entry in table["clusterRoleBindings"].items():
        yield rbac.CLUSTER_ROLE_BINDING, _binding("ClusterRoleBinding", "ClusterRole", name, entry)
    for name, entry in table["roleBindings"].items():
        yield rbac.ROLE_BINDING, _binding("RoleBinding", "Role", name, entry)


def node_rules() -> tuple[Rule, ...]:
    """What the node authorizer grants beside its own judgement: the rules of system:node."""
    table = orjson.loads((files(__package__) / "roles.json").read_bytes())
    return tuple(Rule.of(_rule(text)) for text in table["clusterRoles"]["system:node"]["rules"])


def reconciled(found: Object, wanted: Object) -> Object:
    """`found` with what it lacks of `wanted`; the same object when it lacks nothing or must be left alone."""
    if annotations_of(found).get(_AUTOUPDATE) == "false":
        return found
    after = dict(found)
    if "roleRef" in wanted:
        present = found.get("subjects") or []
        missing = [s for s in wanted.get("subjects") or () if s not in present]
        if missing:
            after["subjects"] = [*present, *missing]
    elif "aggregationRule" in wanted:
        if not found.get("aggregationRule"):
            after["aggregationRule"] = wanted["aggregationRule"]
    elif missing_rules := list(_missing(rules_of(found), wanted.get("rules") or ())):
        after["rules"] = [*(found.get("rules") or ()), *missing_rules]
    labels = {**(found["metadata"].get("labels") or {}), **wanted["metadata"]["labels"]}
    if labels != (found["metadata"].get("labels") or {}):
        after["metadata"] = {**found["metadata"], "labels": labels}
    return found if after == found else after


def _missing(owned: tuple[Rule, ...], wanted: Iterable[Object]) -> Iterator[Object]:
    return (rule for rule in wanted if uncovered(owned, [Rule.of(rule)]))


def _controller_rules(cluster_roles: dict[str, Object]) -> list[str]:
    rules = list(_CONTROLLERS_EXTRA)
    for name, entry in cluster_roles.items():
        if name.startswith("system:controller:") or name == "system:persistent-volume-provisioner":
            rules += [rule for rule in entry.get("rules") or () if rule not in rules]
    return rules


def _resolve(roles: list[Object]) -> None:
    """Fill in the rules of aggregated roles; two rounds, because `admin` aggregates `edit`, that aggregates `view`."""
    for _ in range(3):
        for role in roles:
            if "aggregationRule" in role:
                role["rules"] = aggregate(role, roles)


def _metadata(name: str, labels: Iterable[str] = ()) -> Object:
    namespace, _, own_name = name.rpartition("/")
    own = {f"{_GROUP}/{label}": "true" for label in labels}
    meta: Object = {
        "name": own_name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults", **own},
        "annotations": {_AUTOUPDATE: "true"},
    }
    return {**meta, "namespace": namespace} if namespace else meta


def _role(kind: str, name: str, entry: Object) -> Object:
    role: Object = {"apiVersion": f"{_GROUP}/v1", "kind": kind, "metadata": _metadata(name, entry.get("labels") or ())}
    if "aggregates" in entry:
        selectors = [{"matchLabels": {f"{_GROUP}/{label}": "true"}} for label in entry["aggregates"]]
        role["aggregationRule"] = {"clusterRoleSelectors": selectors}
    role["rules"] = [_rule(text) for text in entry.get("rules") or ()]
    return role


def _rule(text: str) -> Object:
    verbs, *rest = [part.split(",") for part in text.split(" ")]
    if len(rest) == 1:
        return {"verbs": verbs, "nonResourceURLs": rest[0]}
    rule: Object = {
        "verbs": verbs,
        "apiGroups": ["" if group == "core" else group for group in rest[0]],
        "resources": rest[1],
    }
    return {**rule, "resourceNames": rest[2]} if len(rest) > 2 else rule


def _binding(kind: str, role_kind: str, name: str, entry: Object) -> Object:
    binding: Object = {
        "apiVersion": f"{_GROUP}/v1",
        "kind": kind,
        "metadata": _metadata(name),
        "roleRef": {"apiGroup": _GROUP, "kind": role_kind, "name": entry["role"]},
    }
    if entry["subjects"]:
        binding["subjects"] = [_subject(text) for text in entry["subjects"]]
    return binding


def _subject(text: str) -> Object:
    kind, _, name = text.partition(" ")
    if kind != "ServiceAccount":
        return {"kind": kind, "apiGroup": _GROUP, "name": name}
    namespace, _, name = name.partition("/")
    return {"kind": kind, "name": name, "namespace": namespace}
