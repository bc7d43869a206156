"""The flow schemas and priority levels of v1.36 (reference: "API Priority and Fairness", default objects)."""

from collections.abc import Iterator
from typing import NamedTuple

from kajitori.api import flowcontrol
from kajitori.api.meta import Object
from kajitori.api.resource import Resource

_AUTOUPDATE = "apf.kubernetes.io/autoupdate-spec"


class _Level(NamedTuple):
    name: str
    shares: int
    lendable_percent: int
    queues: int = 0
    hand_size: int = 0


_EXEMPT = "exempt"
_QUEUE_LENGTH = 50
# Without queues a level rejects what it cannot run at once.
_LEVELS = (
    _Level("catch-all", 5, 0),
    _Level("global-default", 20, 50, 128, 6),
    _Level("leader-election", 10, 0, 16, 4),
    _Level("node-high", 40, 25, 64, 6),
    _Level("system", 30, 33, 64, 6),
    _Level("workload-high", 40, 50, 128, 6),
    _Level("workload-low", 100, 90, 128, 6),
)


def _user(name: str) -> Object:
    return {"kind": "User", "user": {"name": name}}


def _group(name: str) -> Object:
    return {"kind": "Group", "group": {"name": name}}


_EVERYONE = (_group("system:unauthenticated"), _group("system:authenticated"))
_SYSTEM_ACCOUNTS: Object = {"kind": "ServiceAccount", "serviceAccount": {"namespace": "kube-system", "name": "*"}}
_CONTROLLERS, _SCHEDULER = _user("system:kube-controller-manager"), _user("system:kube-scheduler")


def _resources(verbs: str, groups: str, resources: str, *, cluster: bool = True) -> Object:
    rule: Object = {"verbs": verbs.split(","), "apiGroups": groups.split(","), "resources": resources.split(",")}
    return {**rule, "clusterScope": True, "namespaces": ["*"]} if cluster else {**rule, "namespaces": ["*"]}


_ANY_RESOURCE = _resources("*", "*", "*")
_ANY_PATH: Object = {"verbs": ["*"], "nonResourceURLs": ["*"]}
_LEASES = _resources("*", "coordination.k8s.io", "leases", cluster=False)


class _Schema(NamedTuple):
    name: str
    level: str
    precedence: int
    distinguisher: str
    subjects: tuple[Object, ...]
    resources: tuple[Object, ...] = (_ANY_RESOURCE,)
    paths: tuple[Object, ...] = (_ANY_PATH,)


_PROBES: Object = {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}
_ELECTION = _resources("get,create,update", "coordination.k8s.io", "leases", cluster=False)
_SCHEMAS = (
    _Schema("exempt", _EXEMPT, 1, "", (_group("system:masters"),)),
    _Schema("probes", _EXEMPT, 2, "", _EVERYONE, (), (_PROBES,)),
    _Schema(
        "system-leader-election",
        "leader-election",
        100,
        "ByUser",
        (_CONTROLLERS, _SCHEDULER, _SYSTEM_ACCOUNTS),
        (_ELECTION,),
        (),
    ),
    _Schema(
        "system-node-high",
        "node-high",
        400,
        "ByUser",
        (_group("system:nodes"),),
        (_resources("*", "", "nodes,nodes/status"), _LEASES),
        (),
    ),
    _Schema("system-nodes", "system", 500, "ByUser", (_group("system:nodes"),)),
    _Schema("kube-controller-manager", "workload-high", 800, "ByNamespace", (_CONTROLLERS,)),
    _Schema("kube-scheduler", "workload-high", 800, "ByNamespace", (_SCHEDULER,)),
    _Schema("kube-system-service-accounts", "workload-high", 900, "ByNamespace", (_SYSTEM_ACCOUNTS,)),
    _Schema("service-accounts", "workload-low", 9000, "ByUser", (_group("system:serviceaccounts"),)),
    _Schema("global-default", "global-default", 9900, "ByUser", _EVERYONE),
    _Schema("catch-all", "catch-all", 10000, "ByUser", _EVERYONE),
)


def flow_control() -> Iterator[tuple[Resource, Object]]:
    """Every priority level, then every flow schema."""
    exempt = {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}
    yield flowcontrol.PRIORITY_LEVEL_CONFIGURATION, _object("PriorityLevelConfiguration", _EXEMPT, exempt)
    for level in _LEVELS:
        yield flowcontrol.PRIORITY_LEVEL_CONFIGURATION, _level(level)
    for schema in _SCHEMAS:
        yield flowcontrol.FLOW_SCHEMA, _schema(schema)


def _object(kind: str, name: str, spec: Object) -> Object:
    return {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name, "annotations": {_AUTOUPDATE: "true"}},
        "spec": spec,
        "status": {},
    }


def _level(level: _Level) -> Object:
    response: Object = {"type": "Reject"}
    if level.queues:
        queuing = {"queues": level.queues, "handSize": level.hand_size, "queueLengthLimit": _QUEUE_LENGTH}
        response = {"type": "Queue", "queuing": queuing}
    limited = {
        "nominalConcurrencyShares": level.shares,
        "limitResponse": response,
        "lendablePercent": level.lendable_percent,
    }
    return _object("PriorityLevelConfiguration", level.name, {"type": "Limited", "limited": limited})


def _schema(schema: _Schema) -> Object:
    rule: Object = {"subjects": list(schema.subjects)}
    if schema.resources:
        rule["resourceRules"] = list(schema.resources)
    if schema.paths:
        rule["nonResourceRules"] = list(schema.paths)
    spec: Object = {
        "priorityLevelConfiguration": {"name": schema.level},
        "matchingPrecedence": schema.precedence,
        "rules": [rule],
    }
    if schema.distinguisher:
        spec["distinguisherMethod"] = {"type": schema.distinguisher}
    return _object("FlowSchema", schema.name, spec)


def reconciled(found: Object, wanted: Object) -> Object:
    """The wanted spec, unless a user has taken the object over by its annotation."""
    annotations = found["metadata"].get("annotations") or {}
    if annotations.get(_AUTOUPDATE) != "true" or found.get("spec") == wanted["spec"]:
        return found
    return {**found, "spec": wanted["spec"]}
