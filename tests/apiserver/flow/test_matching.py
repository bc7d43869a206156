import pytest

from kajitori.api.meta import name_of
from kajitori.apiserver.bootstrap.flowcontrol import flow_control
from kajitori.apiserver.flow.matching import distinguisher, matches, precedence
from kajitori.apiserver.interfaces import Attributes, User

SCHEMAS = sorted((obj for _, obj in flow_control() if obj["kind"] == "FlowSchema"), key=precedence)
NODE = User("system:node:n1", ("system:nodes", "system:authenticated"))
JANE = User("jane", ("system:authenticated",))
ACCOUNT = User("system:serviceaccount:shop:web", ("system:serviceaccounts", "system:authenticated"))


def schema_of(asked):
    return next(name_of(schema) for schema in SCHEMAS if matches(schema["spec"], asked))


@pytest.mark.parametrize(
    ("user", "verb", "group", "resource", "subresource", "namespace", "expected"),
    [
        (User("a", ("system:masters",)), "create", "", "pods", "", "default", "exempt"),
        (NODE, "patch", "", "nodes", "status", "", "system-node-high"),
        (NODE, "update", "coordination.k8s.io", "leases", "", "kube-node-lease", "system-node-high"),
        (NODE, "patch", "", "pods", "status", "default", "system-nodes"),
        (User("system:kube-scheduler"), "update", "coordination.k8s.io", "leases", "", "kube-system",
         "system-leader-election"),
        (User("system:kube-scheduler"), "list", "", "pods", "", "", "kube-scheduler"),
        (User("system:serviceaccount:kube-system:x"), "update", "coordination.k8s.io", "leases", "", "kube-system",
         "system-leader-election"),
        (ACCOUNT, "list", "", "pods", "", "shop", "service-accounts"),
        (JANE, "list", "", "pods", "", "", "global-default"),
        (User("nobody"), "list", "", "pods", "", "", None),
    ],
)  # fmt: skip
def test_who_asks_for_what_decides_the_schema(user, verb, group, resource, subresource, namespace, expected):
    asked = Attributes(user, verb, group, "v1", resource, subresource, namespace)
    if expected is None:
        with pytest.raises(StopIteration):
            schema_of(asked)
    else:
        assert schema_of(asked) == expected


@pytest.mark.parametrize(
    ("path", "expected"), [("/healthz", "probes"), ("/livez/ping", "probes"), ("/metrics", "global-default")]
)
def test_paths_match_by_name_and_by_what_is_below(path, expected):
    assert schema_of(Attributes(JANE, "get", path=path)) == expected


def test_a_flow_is_told_from_others_as_the_schema_says():
    asked = Attributes(JANE, "list", "", "v1", "pods", "", "shop")
    assert distinguisher({"distinguisherMethod": {"type": "ByUser"}}, asked) == "jane"
    assert distinguisher({"distinguisherMethod": {"type": "ByNamespace"}}, asked) == "shop"
    assert distinguisher({}, asked) == ""


def test_without_cluster_scope_a_rule_means_namespaced_requests_only():
    rule = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"]}
    spec = {"rules": [{"subjects": [{"kind": "User", "user": {"name": "*"}}], "resourceRules": [rule]}]}
    assert matches(spec, Attributes(JANE, "get", resource="pods", namespace="a"))
    assert not matches(spec, Attributes(JANE, "get", resource="nodes"))
