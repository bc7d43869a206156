import asyncio
import timeit
from typing import Any

from kajitori.api import core, local_path, rbac
from kajitori.apiserver.authz.aggregation import Aggregator
from kajitori.apiserver.authz.node import NodeAuthorizer
from kajitori.apiserver.authz.node_graph import NodeGraph
from kajitori.apiserver.authz.rbac import RbacAuthorizer
from kajitori.apiserver.authz.rules import Rule, uncovered
from kajitori.apiserver.authz.union import PrivilegedGroup, UnionAuthorizer
from kajitori.apiserver.bootstrap.policy import node_rules
from kajitori.apiserver.interfaces import Attributes, User, Verdict
from kajitori.kit.clock import VirtualClock
from kajitori.testing.objects import FakeObjects

JANE = User("jane", ("dev", "system:authenticated"))
NODE = User("system:node:n1", ("system:nodes", "system:authenticated"))


def role(name: str, namespace: str = "", **rule: list[str]) -> dict[str, Any]:
    meta = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"metadata": meta, "rules": [{"verbs": ["get"], "apiGroups": [""], **rule}]}


def binding(name: str, kind: str, role_name: str, subject: dict[str, str], namespace: str = "") -> dict[str, Any]:
    meta = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"metadata": meta, "roleRef": {"kind": kind, "name": role_name}, "subjects": [subject]}


def pods(user: User = JANE, verb: str = "get", namespace: str = "default", **more: str) -> Attributes:
    return Attributes(user, verb, resource="pods", version="v1", namespace=namespace, **more)


def test_role_binding_holds_in_its_namespace_only() -> None:
    objects = FakeObjects()
    objects.put(rbac.CLUSTER_ROLE, role("reader", resources=["pods"]))
    objects.put(rbac.ROLE_BINDING, binding("b", "ClusterRole", "reader", {"kind": "Group", "name": "dev"}, "default"))
    authorizer = RbacAuthorizer(objects)
    verdict, reason = authorizer.authorize(pods())
    assert verdict is Verdict.ALLOW
    assert reason == 'RBAC: allowed by RoleBinding "b/default" of ClusterRole "reader" to Group "dev"'
    assert authorizer.authorize(pods(namespace="other"))[0] is Verdict.NO_OPINION
    assert authorizer.authorize(pods(namespace=""))[0] is Verdict.NO_OPINION
    assert authorizer.authorize(pods(verb="list"))[0] is Verdict.NO_OPINION
    assert authorizer.authorize(pods(subresource="log"))[0] is Verdict.NO_OPINION


def test_changes_count_at_once() -> None:
    objects = FakeObjects()
    authorizer = RbacAuthorizer(objects)
    subject = {"kind": "ServiceAccount", "name": "app", "namespace": "default"}
    user = User("system:serviceaccount:default:app", ("system:authenticated",))
    objects.put(rbac.CLUSTER_ROLE_BINDING, binding("b", "ClusterRole", "reader", subject))
    verdict, reason = authorizer.authorize(pods(user))
    assert (verdict, reason) == (
        Verdict.NO_OPINION,
        'RBAC: clusterrole.rbac.authorization.k8s.io "reader" not found',
    )
    objects.put(rbac.CLUSTER_ROLE, role("reader", resources=["*"]))
    assert authorizer.authorize(pods(user, subresource="log"))[0] is Verdict.ALLOW
    asyncio.run(objects.delete(rbac.CLUSTER_ROLE_BINDING, "b"))
    assert authorizer.authorize(pods(user))[0] is Verdict.NO_OPINION


def test_names_subresources_and_paths() -> None:
    rule = Rule.of({"verbs": ["get"], "apiGroups": [""], "resources": ["*/log"], "resourceNames": ["a"]})
    assert rule.allows(pods(name="a", subresource="log"))
    assert not rule.allows(pods(name="b", subresource="log"))
    assert not rule.allows(pods(name="a"))
    paths = Rule.of({"verbs": ["get"], "nonResourceURLs": ["/healthz/*", "/version"]})
    assert paths.allows(Attributes(JANE, "get", path="/healthz/etcd"))
    assert not paths.allows(Attributes(JANE, "get", path="/metrics"))


def test_superusers_need_no_role() -> None:
    union = UnionAuthorizer([PrivilegedGroup(), RbacAuthorizer(FakeObjects())])
    assert union.authorize(pods(User("a", ("system:masters",))))[0] is Verdict.ALLOW
    assert union.authorize(pods())[0] is Verdict.NO_OPINION


def test_a_repeated_question_takes_microseconds() -> None:
    objects = FakeObjects()
    for number in range(500):
        objects.put(rbac.CLUSTER_ROLE, role(f"r{number}", resources=["pods"]))
        subject = {"kind": "User", "name": f"u{number}"}
        objects.put(rbac.CLUSTER_ROLE_BINDING, binding(f"b{number}", "ClusterRole", f"r{number}", subject))
    authorizer = RbacAuthorizer(objects)
    asked = pods(User("u7"))
    assert timeit.timeit(lambda: authorizer.authorize(asked), number=1000) < 0.1


def test_uncovered_is_what_nobody_owns() -> None:
    owned = [Rule.of({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["*"]})]
    wanted = [Rule.of({"verbs": ["get", "delete"], "apiGroups": ["", "apps"], "resources": ["pods"]})]
    missing = uncovered(owned, wanted)
    assert {(next(iter(m.verbs)), next(iter(m.groups))) for m in missing} == {
        ("delete", ""),
        ("delete", "apps"),
        ("get", "apps"),
    }
    narrow = [Rule.of({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "resourceNames": ["x"]})]
    assert uncovered(narrow, wanted)


def test_aggregated_roles_follow_their_parts() -> None:
    objects = FakeObjects()
    selector = {"matchLabels": {"to-all": "true"}}
    everything = {"metadata": {"name": "all"}, "aggregationRule": {"clusterRoleSelectors": [selector]}}
    objects.put(rbac.CLUSTER_ROLE, everything)

    async def scenario() -> None:
        clock = VirtualClock()
        task = asyncio.ensure_future(Aggregator(objects, clock).run())
        await clock.settle()
        part = role("part", resources=["pods"])
        part["metadata"]["labels"] = {"to-all": "true"}
        objects.put(rbac.CLUSTER_ROLE, part)
        await clock.settle()
        task.cancel()

    asyncio.run(scenario())
    found = objects.cached(rbac.CLUSTER_ROLE, "all")
    assert found is not None
    assert found["rules"] == [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]


def node_world() -> tuple[FakeObjects, NodeAuthorizer]:
    objects = FakeObjects()
    return objects, NodeAuthorizer(NodeGraph(objects), node_rules())


def pod_using(name: str, node: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "nodeName": node,
            "serviceAccountName": "app",
            "containers": [{"name": "c", "envFrom": [{"secretRef": {"name": "env"}}]}],
            "volumes": [
                {"name": "s", "secret": {"secretName": "files"}},
                {"name": "p", "projected": {"sources": [{"configMap": {"name": "kube-root-ca.crt"}}]}},
                {"name": "d", "persistentVolumeClaim": {"claimName": "data"}},
            ],
        },
    }


def test_a_node_reads_what_its_pods_name_while_they_are_there() -> None:
    objects, authorizer = node_world()

    def may(resource: str, name: str, verb: str = "get", **more: str) -> bool:
        asked = Attributes(NODE, verb, resource=resource, version="v1", namespace="default", name=name, **more)
        return authorizer.authorize(asked)[0] is Verdict.ALLOW

    assert not may("secrets", "env")
    objects.put(core.POD, pod_using("p", "n1"))
    assert may("secrets", "env")
    assert may("secrets", "files")
    assert may("configmaps", "kube-root-ca.crt")
    assert may("configmaps", "", "watch", field_selector="metadata.name=kube-root-ca.crt")
    assert may("persistentvolumeclaims", "data")
    assert may("serviceaccounts", "app", "create", subresource="token")
    assert not may("secrets", "other")
    assert not may("secrets", "", "list")
    volume = {
        "metadata": {"name": "pv-1"},
        "spec": {"claimRef": {"namespace": "default", "name": "data"}},
    }
    objects.put(core.PERSISTENT_VOLUME, volume)
    asked = Attributes(NODE, "get", resource="persistentvolumes", version="v1", name="pv-1")
    assert authorizer.authorize(asked)[0] is Verdict.ALLOW
    asyncio.run(objects.delete(core.POD, "p", "default"))
    assert not may("secrets", "env")


def test_a_node_patches_a_local_path_volume_only_when_it_awaits_its_clean_up() -> None:
    objects, authorizer = node_world()

    def volume(node: str, **metadata: Any) -> dict[str, Any]:
        annotations = {
            local_path.PROVISIONED_BY_ANNOTATION: local_path.PROVISIONER,
            local_path.NODE_ANNOTATION: node,
        }
        finalizers = [local_path.CLEANUP_FINALIZER]
        described = {"name": "pv-1", "annotations": annotations, "finalizers": finalizers, **metadata}
        return {"metadata": described, "spec": {}}

    def may(verb: str = "patch", **more: str) -> bool:
        asked = Attributes(NODE, verb, resource="persistentvolumes", version="v1", name="pv-1", **more)
        return authorizer.authorize(asked)[0] is Verdict.ALLOW

    objects.put(core.PERSISTENT_VOLUME, volume("n1"))
    assert not may()
    deleted = {"deletionTimestamp": "2027-01-15T08:00:00Z"}
    objects.put(core.PERSISTENT_VOLUME, volume("n2", **deleted))
    assert not may()
    objects.put(core.PERSISTENT_VOLUME, volume("n1", **deleted))
    assert may()
    assert not may("update")
    assert not may(subresource="status")
    objects.put(core.PERSISTENT_VOLUME, volume("n1", finalizers=[], **deleted))
    assert not may()


def test_a_node_keeps_its_own_node_lease_and_pods() -> None:
    objects, authorizer = node_world()
    objects.put(core.POD, pod_using("elsewhere", "n2"))

    def answer(verb: str, resource: str, group: str = "", **more: str) -> tuple[Verdict, str]:
        return authorizer.authorize(Attributes(NODE, verb, group, "v1", resource, **more))

    assert answer("get", "nodes", name="n1")[0] is Verdict.ALLOW
    assert answer("get", "nodes", name="n2")[0] is Verdict.NO_OPINION
    assert answer("patch", "nodes", subresource="status", name="n1")[0] is Verdict.ALLOW
    assert answer("watch", "pods", field_selector="spec.nodeName=n1")[0] is Verdict.ALLOW
    assert answer("watch", "pods")[0] is Verdict.NO_OPINION
    assert answer("get", "pods", namespace="default", name="elsewhere")[0] is Verdict.NO_OPINION
    lease = {"group": "coordination.k8s.io", "namespace": "kube-node-lease"}
    assert answer("update", "leases", name="n1", **lease)[0] is Verdict.ALLOW
    assert answer("update", "leases", name="n2", **lease)[0] is Verdict.NO_OPINION
    assert answer("list", "services")[0] is Verdict.ALLOW
    reason = answer("get", "secrets", namespace="default", name="x")[1]
    assert reason == "no relationship found between node 'n1' and this object"
