import asyncio
import copy
import random
from typing import Any

import pytest

from kajitori.api import core, dynamic_resources, local_path, networking, scheduling, storage
from kajitori.api.errors import Forbidden, NotFound
from kajitori.api.registry import Registry
from kajitori.api.resource import Resource
from kajitori.apiserver.admission.default_plugins import default_plugins
from kajitori.apiserver.admission.quotas import QuotaLedger
from kajitori.apiserver.admission.scene import Surroundings
from kajitori.apiserver.admission.versions import Versions
from kajitori.apiserver.admission.webhook_calls import CallFailed
from kajitori.apiserver.authz.union import PrivilegedGroup
from kajitori.apiserver.interfaces import AdmissionRequest, Operation, User
from kajitori.kit.clock import VirtualClock
from kajitori.testing.objects import FakeObjects
from kajitori.testing.requests import ADMIN

NODE = User("system:node:n1", ("system:nodes", "system:authenticated"))


class Unreachable:
    async def call(self, client_config: dict[str, Any], body: bytes, timeout_s: float) -> bytes:
        raise CallFailed("there are no webhooks here")


class World:
    """A namespace `default` with its service account."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.objects = FakeObjects(self.clock.now())
        self.objects.put(core.NAMESPACE, {"metadata": {"name": "default"}, "status": {"phase": "Active"}})
        self.objects.put(core.SERVICE_ACCOUNT, {"metadata": {"name": "default", "namespace": "default"}})
        registry = Registry()
        ledger = QuotaLedger(self.objects, registry, self.clock)
        around = Surroundings(self.objects, PrivilegedGroup(), registry, Versions(registry), self.clock)
        self.chain = default_plugins(around, ledger, Unreachable(), random.Random(1))

    def admit(
        self,
        resource: Resource,
        obj: dict[str, Any] | None,
        old: dict[str, Any] | None = None,
        *,
        user: User = ADMIN,
        namespace: str = "default",
        subresource: str = "",
    ) -> dict[str, Any]:
        obj = copy.deepcopy(obj)
        operation = Operation.CREATE if old is None else Operation.UPDATE if obj else Operation.DELETE
        name = (obj or old or {})["metadata"].get("name", "")
        where = namespace if resource.namespaced else ""
        asked = AdmissionRequest(user, operation, resource, where, name, obj, old, subresource)

        async def run() -> None:
            await self.chain.mutate(asked)
            await self.chain.validate(asked)

        asyncio.run(run())
        return obj or {}

    def pod(self, **spec: Any) -> dict[str, Any]:
        return self.admit(core.POD, pod(**spec))["spec"]  # type: ignore[no-any-return]


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", "namespace": "default"}, "spec": {"containers": [{"name": "c"}], **spec}}


def test_a_pod_gets_account_token_priority_and_tolerations() -> None:
    spec = World().pod()
    assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"
    volume = spec["volumes"][0]
    assert volume["name"].startswith("kube-api-access-")
    assert volume["projected"]["defaultMode"] == 420
    assert spec["containers"][0]["volumeMounts"] == [
        {"name": volume["name"], "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    ]
    assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    assert {t["key"]: t["tolerationSeconds"] for t in spec["tolerations"]} == {
        "node.kubernetes.io/not-ready": 300,
        "node.kubernetes.io/unreachable": 300,
    }


def test_an_update_that_replaces_the_tolerations_keeps_the_default_ones() -> None:
    own = {"key": "dedicated", "operator": "Equal", "value": "x", "effect": "NoSchedule"}
    world = World()
    old = world.admit(core.POD, pod())
    new = copy.deepcopy(old)
    new["spec"]["tolerations"] = [own]
    admitted = world.admit(core.POD, new, old)["spec"]["tolerations"]
    assert admitted == [own, *old["spec"]["tolerations"]]
    status = world.admit(core.POD, new, old, subresource="status")
    assert status["spec"]["tolerations"] == [own]


def test_the_token_can_be_declined() -> None:
    world = World()
    assert "volumes" not in world.pod(automountServiceAccountToken=False)
    account = {"metadata": {"name": "quiet", "namespace": "default"}, "automountServiceAccountToken": False}
    world.objects.put(core.SERVICE_ACCOUNT, {**account, "imagePullSecrets": [{"name": "registry"}]})
    spec = world.pod(serviceAccountName="quiet")
    assert "volumes" not in spec
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert "volumes" in world.pod(serviceAccountName="quiet", automountServiceAccountToken=True)


def test_an_unknown_account_is_refused() -> None:
    with pytest.raises(Forbidden) as refused:
        World().pod(serviceAccountName="nobody")
    assert refused.value.message == (
        'pods "p" is forbidden: error looking up service account default/nobody: serviceaccount "nobody" not found'
    )


def test_a_pod_waits_for_the_default_account_of_a_new_namespace() -> None:
    world = World()
    world.objects.put(core.NAMESPACE, {"metadata": {"name": "new"}})
    asked = AdmissionRequest(ADMIN, Operation.CREATE, core.POD, "new", "p", pod())

    async def scenario() -> None:
        task = asyncio.ensure_future(world.chain.mutate(asked))
        await world.clock.advance(0.3)
        assert not task.done()
        world.objects.put(core.SERVICE_ACCOUNT, {"metadata": {"name": "default", "namespace": "new"}})
        await world.clock.advance(0.2)
        await task

    asyncio.run(scenario())


def test_nothing_is_created_where_no_namespace_is_or_one_that_goes() -> None:
    world = World()
    with pytest.raises(NotFound, match='namespaces "absent" not found'):
        world.admit(core.CONFIG_MAP, {"metadata": {"name": "c"}}, namespace="absent")
    world.objects.put(core.NAMESPACE, {"metadata": {"name": "old", "deletionTimestamp": "2026-01-01T00:00:00Z"}})
    with pytest.raises(Forbidden) as refused:
        world.admit(core.CONFIG_MAP, {"metadata": {"name": "c"}}, namespace="old")
    assert refused.value.message == (
        'configmaps "c" is forbidden: unable to create new content in namespace old because it is being terminated'
    )
    assert refused.value.details is not None
    assert refused.value.details["causes"][0]["reason"] == "NamespaceTerminating"
    with pytest.raises(Forbidden, match="this namespace may not be deleted"):
        world.admit(core.NAMESPACE, None, {"metadata": {"name": "default"}})


def test_priority_comes_from_the_class_alone() -> None:
    world = World()
    world.objects.put(scheduling.PRIORITY_CLASS, {"metadata": {"name": "high"}, "value": 1000})
    assert world.pod(priorityClassName="high")["priority"] == 1000
    with pytest.raises(Forbidden, match="no PriorityClass with name low was found"):
        world.pod(priorityClassName="low")
    with pytest.raises(Forbidden, match=r"the integer value of priority \(7\) must not be provided in pod spec"):
        world.pod(priorityClassName="high", priority=7)
    world.objects.put(scheduling.PRIORITY_CLASS, {"metadata": {"name": "usual"}, "value": 5, "globalDefault": True})
    assert world.pod()["priorityClassName"] == "usual"
    with pytest.raises(Forbidden, match="Only one default can exist"):
        another = {"metadata": {"name": "second"}, "value": 6, "globalDefault": True}
        world.admit(scheduling.PRIORITY_CLASS, another)


def test_default_classes() -> None:
    world = World()
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    world.objects.put(storage.STORAGE_CLASS, {"metadata": {"name": "local-path", "annotations": default}})
    claim = {"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}
    admitted = world.admit(core.PERSISTENT_VOLUME_CLAIM, claim)
    assert admitted["spec"]["storageClassName"] == "local-path"
    assert admitted["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    none = {**claim, "spec": {**claim["spec"], "storageClassName": ""}}
    assert world.admit(core.PERSISTENT_VOLUME_CLAIM, none)["spec"]["storageClassName"] == ""

    default = {"ingressclass.kubernetes.io/is-default-class": "true"}
    world.objects.put(networking.INGRESS_CLASS, {"metadata": {"name": "kajitori", "annotations": default}})
    ingress = world.admit(networking.INGRESS, {"metadata": {"name": "i"}, "spec": {}})
    assert ingress["spec"]["ingressClassName"] == "kajitori"


def test_a_claim_grows_only_when_bound_and_allowed() -> None:
    world = World()

    def claim(size: str, phase: str = "Bound") -> dict[str, Any]:
        spec = {"storageClassName": "s", "resources": {"requests": {"storage": size}}}
        return {"metadata": {"name": "data"}, "spec": spec, "status": {"phase": phase}}

    with pytest.raises(Forbidden, match="Only bound"):
        world.admit(core.PERSISTENT_VOLUME_CLAIM, claim("2Gi"), claim("1Gi", "Pending"))
    with pytest.raises(Forbidden, match="must support resize"):
        world.admit(core.PERSISTENT_VOLUME_CLAIM, claim("2Gi"), claim("1Gi"))
    world.objects.put(storage.STORAGE_CLASS, {"metadata": {"name": "s"}, "allowVolumeExpansion": True})
    world.admit(core.PERSISTENT_VOLUME_CLAIM, claim("2Gi"), claim("1Gi"))


def test_limit_range_fills_in_and_refuses() -> None:
    world = World()
    item = {
        "type": "Container",
        "default": {"cpu": "500m"},
        "defaultRequest": {"cpu": "100m", "memory": "64Mi"},
        "max": {"cpu": "1"},
        "min": {"memory": "32Mi"},
    }
    limit_range = {"metadata": {"name": "l", "namespace": "default"}, "spec": {"limits": [item]}}
    world.objects.put(core.LIMIT_RANGE, limit_range)
    admitted = world.admit(core.POD, pod())
    assert admitted["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "500m"},
        "requests": {"cpu": "100m", "memory": "64Mi"},
    }
    assert admitted["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu, memory request for container c; cpu limit for container c"
    )
    with pytest.raises(Forbidden, match="maximum cpu usage per Container is 1, but limit is 2"):
        world.pod(containers=[{"name": "c", "resources": {"limits": {"cpu": "2"}, "requests": {"cpu": "1"}}}])
    with pytest.raises(Forbidden, match="minimum memory usage per Container is 32Mi, but request is 1Mi"):
        world.pod(containers=[{"name": "c", "resources": {"requests": {"memory": "1Mi"}}}])


def test_limits_of_pods_count_sidecars_and_what_is_said_for_the_whole_pod() -> None:
    world = World()
    item = {"type": "Pod", "max": {"cpu": "2"}, "min": {"cpu": "1"}}
    world.objects.put(core.LIMIT_RANGE, {"metadata": {"name": "l", "namespace": "default"}, "spec": {"limits": [item]}})

    def needs(cpu: str, **fields: Any) -> dict[str, Any]:
        return {"name": "c", "resources": {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}}, **fields}

    sidecar = needs("1500m", restartPolicy="Always")
    with pytest.raises(Forbidden, match="maximum cpu usage per Pod is 2, but limit is 2500m"):
        world.pod(containers=[needs("1")], initContainers=[sidecar])
    with pytest.raises(Forbidden, match="maximum cpu usage per Pod is 2, but limit is 2700m"):
        world.pod(containers=[needs("100m")], initContainers=[sidecar, needs("1200m")])
    world.pod(resources=needs("2")["resources"])
    with pytest.raises(Forbidden, match="minimum cpu usage per Pod is 1, but request is 500m"):
        world.pod(resources=needs("500m")["resources"])


def test_limits_hold_when_a_pod_is_resized_and_are_told_range_by_range() -> None:
    world = World()
    items = [{"type": "Pod", "max": {"cpu": "2"}}, {"type": "Container", "max": {"cpu": "1"}}]
    world.objects.put(core.LIMIT_RANGE, {"metadata": {"name": "l", "namespace": "default"}, "spec": {"limits": items}})
    low = {"type": "Container", "max": {"cpu": "500m"}}
    world.objects.put(core.LIMIT_RANGE, {"metadata": {"name": "m", "namespace": "default"}, "spec": {"limits": [low]}})
    large = pod(containers=[{"name": "c", "resources": {"limits": {"cpu": "3"}, "requests": {"cpu": "1"}}}])
    world.admit(core.POD, large, large)
    with pytest.raises(Forbidden) as refused:
        world.admit(core.POD, large, large, subresource="resize")
    limits = "maximum cpu usage per Pod is 2, but limit is 3, maximum cpu usage per Container is 1, but limit is 3"
    assert refused.value.message.endswith(f"is forbidden: [{limits}]")


def test_claims_have_no_ratio_of_limits_to_requests() -> None:
    world = World()
    item = {"type": "PersistentVolumeClaim", "max": {"storage": "2Gi"}, "maxLimitRequestRatio": {"storage": "1"}}
    world.objects.put(core.LIMIT_RANGE, {"metadata": {"name": "l", "namespace": "default"}, "spec": {"limits": [item]}})
    spec = {"resources": {"requests": {"storage": "1Gi"}}}
    world.admit(core.PERSISTENT_VOLUME_CLAIM, {"metadata": {"name": "c"}, "spec": spec})


def test_a_broken_limit_is_told_once() -> None:
    world = World()
    item = {"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}}
    world.objects.put(core.LIMIT_RANGE, {"metadata": {"name": "l", "namespace": "default"}, "spec": {"limits": [item]}})
    with pytest.raises(Forbidden) as refused:
        world.pod(containers=[{"name": "c"}, {"name": "d"}])
    assert refused.value.message.count("no request is specified") == 1


def test_an_account_may_allow_its_own_secrets_only() -> None:
    world = World()
    metadata = {"name": "strict", "namespace": "default"}
    metadata["annotations"] = {"kubernetes.io/enforce-mountable-secrets": "true"}  # type: ignore[assignment]
    own = {"secrets": [{"name": "own"}], "imagePullSecrets": [{"name": "pull"}]}
    world.objects.put(core.SERVICE_ACCOUNT, {"metadata": metadata, **own})

    def strict(**spec: Any) -> dict[str, Any]:
        return world.pod(serviceAccountName="strict", **spec)

    def volume(name: str) -> list[dict[str, Any]]:
        return [{"name": "v", "secret": {"secretName": name}}]

    assert strict(volumes=volume("own"), imagePullSecrets=[{"name": "pull"}])
    with pytest.raises(
        Forbidden, match=r'volume with secret\.secretName="other" is not allowed because service account'
    ):
        strict(volumes=volume("other"))
    variable = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "other", "key": "k"}}}
    with pytest.raises(Forbidden, match=r'init container i with envVar A referencing secret\.secretName="other"'):
        strict(initContainers=[{"name": "i", "env": [variable]}])
    with pytest.raises(Forbidden, match=r'container c with envFrom referencing secret\.secretName="other"'):
        strict(containers=[{"name": "c", "envFrom": [{"secretRef": {"name": "other"}}]}])
    with pytest.raises(Forbidden, match=r'imagePullSecrets\[0\].name="other" .* that imagePullSecret'):
        strict(imagePullSecrets=[{"name": "other"}])
    assert world.pod(serviceAccount="strict")["serviceAccountName"] == "strict"


def test_a_node_writes_its_own_resource_slices() -> None:
    world = World()
    here, elsewhere = ({"metadata": {"name": "s"}, "spec": {"nodeName": name}} for name in ("n1", "n2"))
    world.admit(dynamic_resources.RESOURCE_SLICE, here, user=NODE)
    world.admit(dynamic_resources.RESOURCE_SLICE, None, here, user=NODE)
    with pytest.raises(Forbidden, match="can only create ResourceSlice with the same NodeName"):
        world.admit(dynamic_resources.RESOURCE_SLICE, elsewhere, user=NODE)
    with pytest.raises(Forbidden, match="can only delete ResourceSlice with the same NodeName"):
        world.admit(dynamic_resources.RESOURCE_SLICE, None, elsewhere, user=NODE)


def test_a_new_node_is_tainted_and_a_node_writes_only_itself() -> None:
    world = World()
    node = {"metadata": {"name": "n1", "labels": {"kubernetes.io/hostname": "n1"}}}
    admitted = world.admit(core.NODE, node, user=NODE)
    assert admitted["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]
    with pytest.raises(Forbidden, match='node "n1" is not allowed to modify node "n2"'):
        world.admit(core.NODE, {"metadata": {"name": "n2"}}, user=NODE)
    labelled = {"metadata": {"name": "n1", "labels": {"node-restriction.kubernetes.io/secure": "yes"}}}
    with pytest.raises(Forbidden, match="not allowed to set the following labels"):
        world.admit(core.NODE, labelled, user=NODE)
    with pytest.raises(Forbidden, match="not allowed to modify taints"):
        world.admit(core.NODE, {**node, "spec": {}}, {**node, "spec": {"taints": [{"key": "a"}]}}, user=NODE)


def test_a_node_touches_only_pods_that_are_bound_to_it() -> None:
    world = World()
    here, elsewhere = pod(nodeName="n1"), pod(nodeName="n2")
    world.admit(core.POD, None, here, user=NODE)
    world.admit(core.POD, here, here, user=NODE, subresource="status")
    with pytest.raises(Forbidden, match=r"can only delete pods with spec\.nodeName set to itself"):
        world.admit(core.POD, None, elsewhere, user=NODE)
    with pytest.raises(Forbidden, match="can only update pod status"):
        world.admit(core.POD, elsewhere, elsewhere, user=NODE, subresource="status")
    with pytest.raises(Forbidden, match="can only create mirror pods"):
        world.admit(core.POD, here, user=NODE)


def test_a_node_only_lets_go_of_volumes_that_it_has_cleaned_up() -> None:
    world = World()
    meta = {
        "name": "pv",
        "deletionTimestamp": "2027-01-15T08:00:00Z",
        "finalizers": [local_path.CLEANUP_FINALIZER],
        "annotations": {
            local_path.PROVISIONED_BY_ANNOTATION: local_path.PROVISIONER,
            local_path.NODE_ANNOTATION: "n1",
        },
    }
    old = {"metadata": meta, "spec": {"hostPath": {"path": "/a"}}}
    cleaned = {**old, "metadata": {**meta, "finalizers": []}}
    world.admit(core.PERSISTENT_VOLUME, cleaned, old, user=NODE)
    with pytest.raises(Forbidden, match="can only remove the finalizer"):
        world.admit(core.PERSISTENT_VOLUME, {**cleaned, "spec": {"hostPath": {"path": "/"}}}, old, user=NODE)
    elsewhere = {**old, "metadata": {**meta, "annotations": {}}}
    with pytest.raises(Forbidden, match="await their clean-up"):
        world.admit(core.PERSISTENT_VOLUME, cleaned, elsewhere, user=NODE)


def test_a_mirror_pod_is_its_nodes_and_names_nothing_of_the_api() -> None:
    world = World()
    uid = world.objects.put(core.NODE, {"metadata": {"name": "n1", "uid": "u"}})["metadata"]["uid"]
    own = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": uid, "controller": True}

    def mirror(*owners: dict[str, Any], **spec: Any) -> None:
        made = pod(nodeName="n1", **spec)
        made["metadata"] |= {"annotations": {"kubernetes.io/config.mirror": "h"}, "ownerReferences": list(owners)}
        world.admit(core.POD, made, user=NODE)

    mirror(own)
    for owners, why in (
        ((), "can only create pods with an owner reference set to itself"),
        ((own, own), "can only create pods with a single owner reference"),
        (({**own, "name": "n2"},), "can only create pods with an owner reference set to itself"),
        (({**own, "controller": False},), "can only create pods with a controller owner reference"),
        (({**own, "blockOwnerDeletion": True},), "must not set blockOwnerDeletion"),
        (({**own, "uid": "other"},), "UID mismatch: expected other got u"),
    ):
        with pytest.raises(Forbidden, match=why):
            mirror(*owners)
    bundle = {"sources": [{"clusterTrustBundle": {"name": "b", "path": "p"}}]}
    for volume, named in (
        ({"configMap": {"name": "c"}}, "configmaps"),
        ({"persistentVolumeClaim": {"claimName": "c"}}, "persistentvolumeclaims"),
        ({"csi": {"driver": "d"}}, r"csidrivers \(via CSI volumes\)"),
        ({"projected": bundle}, "clustertrustbundles"),
    ):
        with pytest.raises(Forbidden, match=f"can not create pods that reference {named}$"):
            mirror(own, volumes=[{"name": "v", **volume}])
    with pytest.raises(Forbidden, match="a mirror pod may not reference secrets"):
        mirror(own, imagePullSecrets=[{"name": "s"}])


def test_a_node_says_of_a_claim_how_large_it_has_become() -> None:
    world = World()
    claim = {"metadata": {"name": "c"}, "spec": {}, "status": {"phase": "Bound"}}
    grown = {**claim, "status": {"phase": "Bound", "capacity": {"storage": "2Gi"}}}
    world.admit(core.PERSISTENT_VOLUME_CLAIM, grown, claim, user=NODE, subresource="status")
    lost = {**claim, "status": {"phase": "Lost"}}
    with pytest.raises(Forbidden, match=r"fields other than status\.quantity and status\.conditions"):
        world.admit(core.PERSISTENT_VOLUME_CLAIM, lost, claim, user=NODE, subresource="status")
    with pytest.raises(Forbidden, match="may only update PVC status"):
        world.admit(core.PERSISTENT_VOLUME_CLAIM, grown, claim, user=NODE)
