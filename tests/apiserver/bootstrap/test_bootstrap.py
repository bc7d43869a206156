import asyncio
from dataclasses import replace

from kajitori.api import core, flowcontrol, networking, rbac, storage
from kajitori.apiserver.authz.rbac import RbacAuthorizer
from kajitori.apiserver.bootstrap.apply import bootstrap
from kajitori.apiserver.bootstrap.cluster import ClusterFacts
from kajitori.apiserver.interfaces import Attributes, User, Verdict
from kajitori.testing.objects import FakeObjects

TRUSTED = {"client-ca-file": "CA"}
FACTS = ClusterFacts("10.89.0.1", 6443, "10.96.0.1", "10.96.0.0/16", "10.96.0.10", TRUSTED)


def started() -> FakeObjects:
    objects = FakeObjects()
    asyncio.run(bootstrap(objects, FACTS))
    return objects


def test_second_start_writes_nothing() -> None:
    objects = started()
    before = objects.writes
    asyncio.run(bootstrap(objects, FACTS))
    assert objects.writes == before
    assert before > 150


def test_what_exists_from_the_first_second() -> None:
    objects = started()
    assert [n["metadata"]["name"] for n in objects.cached_list(core.NAMESPACE)] == [
        "default",
        "kube-node-lease",
        "kube-public",
        "kube-system",
    ]
    admin = objects.cached(rbac.CLUSTER_ROLE, "admin")
    assert admin is not None
    verbs = [rule["verbs"] for rule in admin["rules"] if "deployments" in rule.get("resources", ())]
    assert any("create" in v for v in verbs)
    assert any("get" in v for v in verbs)
    levels = list(objects.cached_list(flowcontrol.PRIORITY_LEVEL_CONFIGURATION))
    assert len(levels) == 8
    assert len(list(objects.cached_list(flowcontrol.FLOW_SCHEMA))) == 11
    assert objects.cached(storage.STORAGE_CLASS, "local-path") is not None


def test_classes_are_the_default_where_something_serves_them() -> None:
    objects = FakeObjects()
    asyncio.run(bootstrap(objects, replace(FACTS, has_ingress=False, has_volumes=False)))
    assert list(objects.cached_list(storage.STORAGE_CLASS)) == []
    assert list(objects.cached_list(networking.INGRESS_CLASS)) == []
    asyncio.run(bootstrap(objects, FACTS))
    assert objects.cached(networking.INGRESS_CLASS, "kajitori") is not None


def test_a_users_additions_stay_and_what_is_missing_comes_back() -> None:
    objects = started()
    extra = {"verbs": ["get"], "apiGroups": ["example.com"], "resources": ["widgets"]}

    def spoil(role: dict[str, object]) -> dict[str, object]:
        return {**role, "rules": [extra]}

    asyncio.run(objects.update(rbac.CLUSTER_ROLE, "system:discovery", "", spoil))
    asyncio.run(bootstrap(objects, FACTS))
    role = objects.cached(rbac.CLUSTER_ROLE, "system:discovery")
    assert role is not None
    assert extra in role["rules"]
    assert any("/version" in rule.get("nonResourceURLs", ()) for rule in role["rules"])


def test_the_servers_new_address_is_published() -> None:
    objects = started()
    moved = ClusterFacts("10.89.0.7", 7443, "10.96.0.1", "10.96.0.0/16", "10.96.0.10", TRUSTED)
    asyncio.run(bootstrap(objects, moved))
    endpoints = objects.cached(core.ENDPOINTS, "kubernetes", "default")
    assert endpoints is not None
    assert endpoints["subsets"][0]["addresses"] == [{"ip": "10.89.0.7"}]
    service = objects.cached(core.SERVICE, "kubernetes", "default")
    assert service is not None
    assert service["spec"]["ports"][0]["targetPort"] == 7443


def test_identities_may_what_they_need_and_no_more() -> None:
    authorizer = RbacAuthorizer(started())

    def may(user: str, verb: str, resource: str, group: str = "", subresource: str = "") -> bool:
        asked = Attributes(
            User(user, ("system:authenticated",)),
            verb,
            group,
            "v1",
            resource,
            subresource,
            namespace="default",
            name="x",
        )
        return authorizer.authorize(asked)[0] is Verdict.ALLOW

    assert may("system:kajitori:dns", "watch", "services")
    assert not may("system:kajitori:dns", "get", "secrets")
    assert may("system:kajitori:ingress", "list", "secrets")
    assert may("system:kajitori:ingress", "patch", "ingresses", "networking.k8s.io", "status")
    assert may("system:kube-controller-manager", "create", "pods")
    assert may("system:kube-controller-manager", "create", "persistentvolumes")
    assert may("system:kube-controller-manager", "delete", "widgets", "example.com")
    assert may("system:kube-scheduler", "create", "pods", "", "binding")
    assert may("system:kube-proxy", "watch", "endpointslices", "discovery.k8s.io")
    assert not may("jane", "list", "pods")
