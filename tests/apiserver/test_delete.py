"""Delete: at once, after a grace period, or when the last finalizer has gone."""

import orjson
import pytest

from kajitori.api.batch import JOB
from kajitori.api.core import CONFIG_MAP, NAMESPACE, POD
from kajitori.api.errors import Conflict, Forbidden, Invalid, NotFound
from kajitori.api.scheduling import PRIORITY_CLASS
from kajitori.client.interface import PatchType


def config_map(name="a", **metadata):
    return {"metadata": {"name": name, "namespace": "default", **metadata}, "data": {"k": "v"}}


def pod(name="p", node="n", **spec):
    containers = [{"name": "c", "image": "i"}]
    placed = {"nodeName": node} if node else {}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": containers, **placed, **spec}}


async def gone(plane, resource, name, namespace="default"):
    try:
        await plane.client.get(resource, name, namespace)
    except NotFound:
        return True
    return False


def test_an_object_goes_at_once_and_a_status_says_so(in_cluster):
    async def scenario(plane):
        created = await plane.client.create(CONFIG_MAP, config_map())
        answer = await plane.client.delete(CONFIG_MAP, "a", "default")
        assert answer["kind"] == "Status" and answer["status"] == "Success"
        assert answer["details"] == {"name": "a", "kind": "configmaps", "uid": created["metadata"]["uid"]}
        assert await gone(plane, CONFIG_MAP, "a")
        with pytest.raises(NotFound):
            await plane.client.delete(CONFIG_MAP, "a", "default")

    in_cluster(scenario)


def test_a_running_pod_has_its_grace_period(in_cluster):
    async def scenario(plane):
        await plane.client.create(POD, pod())
        answer = await plane.client.delete(POD, "p", "default")
        assert answer["metadata"]["deletionGracePeriodSeconds"] == 30
        assert answer["metadata"]["deletionTimestamp"] == "2027-01-15T08:00:30Z"
        assert not await gone(plane, POD, "p")

    in_cluster(scenario)


def test_the_kubelet_ends_a_pod_with_grace_zero(in_cluster):
    async def scenario(plane):
        await plane.client.create(POD, pod(terminationGracePeriodSeconds=5))
        assert (await plane.client.delete(POD, "p", "default"))["metadata"]["deletionGracePeriodSeconds"] == 5
        await plane.client.delete(POD, "p", "default", grace_period_s=0)
        assert await gone(plane, POD, "p")

    in_cluster(scenario)


def test_a_grace_period_can_be_shortened_but_not_lengthened(in_cluster):
    async def scenario(plane):
        await plane.client.create(POD, pod())
        await plane.client.delete(POD, "p", "default", grace_period_s=20)
        longer = await plane.client.delete(POD, "p", "default", grace_period_s=60)
        assert longer["metadata"]["deletionGracePeriodSeconds"] == 20
        shorter = await plane.client.delete(POD, "p", "default", grace_period_s=3)
        assert shorter["metadata"]["deletionGracePeriodSeconds"] == 3
        assert shorter["metadata"]["deletionTimestamp"] == "2027-01-15T08:00:03Z"

    in_cluster(scenario)


@pytest.mark.parametrize("phase", [None, "Succeeded", "Failed"])
def test_a_pod_that_runs_nowhere_goes_at_once(in_cluster, phase):
    async def scenario(plane):
        await plane.client.create(POD, pod(node="n" if phase else ""))
        if phase:
            await plane.client.patch(POD, "p", {"status": {"phase": phase}}, "default", subresource="status")
        await plane.client.delete(POD, "p", "default")
        assert await gone(plane, POD, "p")

    in_cluster(scenario)


def test_finalizers_hold_an_object_until_the_last_is_gone(in_cluster):
    async def scenario(plane):
        await plane.client.create(CONFIG_MAP, config_map(finalizers=["a.example.com/x", "a.example.com/y"]))
        marked = await plane.client.delete(CONFIG_MAP, "a", "default")
        assert marked["metadata"]["deletionTimestamp"] and marked["metadata"]["deletionGracePeriodSeconds"] == 0
        patch = {"metadata": {"finalizers": ["a.example.com/y"]}}
        await plane.client.patch(CONFIG_MAP, "a", patch, "default")
        assert not await gone(plane, CONFIG_MAP, "a")
        with pytest.raises(Invalid, match="no new finalizers can be added if the object is being deleted"):
            await plane.client.patch(CONFIG_MAP, "a", {"metadata": {"finalizers": ["a.example.com/z"]}}, "default")
        last = await plane.client.patch(CONFIG_MAP, "a", {"metadata": {"finalizers": None}}, "default")
        assert last["metadata"]["name"] == "a"
        assert await gone(plane, CONFIG_MAP, "a")

    in_cluster(scenario)


@pytest.mark.parametrize(("policy", "finalizer"), [("Orphan", "orphan"), ("Foreground", "foregroundDeletion")])
def test_propagation_policies_are_finalizers(in_cluster, policy, finalizer):
    async def scenario(plane):
        await plane.client.create(CONFIG_MAP, config_map())
        marked = await plane.client.delete(CONFIG_MAP, "a", "default", propagation=policy)
        assert marked["metadata"]["finalizers"] == [finalizer]
        await plane.client.delete(CONFIG_MAP, "a", "default", propagation="Background")
        assert await gone(plane, CONFIG_MAP, "a")

    in_cluster(scenario)


def test_a_job_keeps_its_pods_unless_told_otherwise(in_cluster):
    async def scenario(plane):
        template = {"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}
        job = {"metadata": {"name": "j", "namespace": "default"}, "spec": {"template": template}}
        await plane.client.create(JOB, job)
        assert "orphan" in (await plane.client.delete(JOB, "j", "default"))["metadata"]["finalizers"]

    in_cluster(scenario)


def test_preconditions(in_cluster):
    async def scenario(plane):
        created = await plane.client.create(CONFIG_MAP, config_map())
        with pytest.raises(Conflict, match=r"ConfigMap \"a\": the UID in the precondition \(other\) does not"):
            await plane.client.delete(CONFIG_MAP, "a", "default", uid="other")
        with pytest.raises(Conflict, match=r"the ResourceVersion in the precondition \(1\) does not match"):
            await plane.client.delete(CONFIG_MAP, "a", "default", resource_version="1")
        metadata = created["metadata"]
        await plane.client.delete(
            CONFIG_MAP, "a", "default", uid=metadata["uid"], resource_version=metadata["resourceVersion"]
        )
        assert await gone(plane, CONFIG_MAP, "a")

    in_cluster(scenario)


def test_dry_run_deletes_nothing(in_cluster):
    async def scenario(plane):
        await plane.client.create(CONFIG_MAP, config_map())
        path = "/api/v1/namespaces/default/configmaps/a"
        status, _, _ = await plane.client.raw("DELETE", f"{path}?dryRun=All")
        assert status == 200 and not await gone(plane, CONFIG_MAP, "a")

    in_cluster(scenario)


def test_delete_options_may_come_as_a_query(in_cluster):
    async def scenario(plane):
        await plane.client.create(POD, pod())
        path = "/api/v1/namespaces/default/pods/p?gracePeriodSeconds=7"
        status, _, body = await plane.client.raw("DELETE", path)
        assert status == 200 and orjson.loads(body)["metadata"]["deletionGracePeriodSeconds"] == 7
        status, _, body = await plane.client.raw("DELETE", f"{path}&propagationPolicy=Sideways")
        assert status == 422 and "Unsupported value" in orjson.loads(body)["message"]

    in_cluster(scenario)


def test_a_collection_goes_by_selector(in_cluster):
    async def scenario(plane):
        for index in range(6):
            await plane.client.create(CONFIG_MAP, config_map(f"c{index}", labels={"even": str(index % 2 == 0)}))
        await plane.client.delete_collection(CONFIG_MAP, "default", label_selector="even=True")
        left = await plane.client.list(CONFIG_MAP, "default")
        assert [obj["metadata"]["name"] for obj in left.items] == ["c1", "c3", "c5"]

    in_cluster(scenario)


def test_a_namespace_stays_terminating_until_it_is_finalized(in_cluster):
    async def scenario(plane):
        await plane.client.create(NAMESPACE, {"metadata": {"name": "x"}})
        marked = await plane.client.delete(NAMESPACE, "x")
        assert marked["status"]["phase"] == "Terminating" and marked["spec"]["finalizers"] == ["kubernetes"]
        marked["spec"]["finalizers"] = []
        await plane.client.update(NAMESPACE, marked, subresource="finalize")
        assert await gone(plane, NAMESPACE, "x", None)

    in_cluster(scenario)


def test_the_servers_own_parts_delete_alike(in_cluster):
    async def scenario(plane):
        await plane.client.create(CONFIG_MAP, config_map(finalizers=["a.example.com/x"]))
        await plane.server.objects.delete(CONFIG_MAP, "a", "default")

        def without_finalizers(obj):
            obj["metadata"].pop("finalizers")
            return obj

        await plane.server.objects.update(CONFIG_MAP, "a", "default", without_finalizers)
        assert await gone(plane, CONFIG_MAP, "a")

    in_cluster(scenario)


def test_hooks_run_around_writes_and_take_back_what_fails(in_cluster):
    from kajitori.apiserver.extension import Extension
    from kajitori.apiserver.http_types import RestHooks

    seen = []

    class Ledger(RestHooks):
        async def before_create(self, obj, context):
            seen.append(("before", obj["metadata"]["name"], context.dry_run))
            if obj["data"].get("k") == "bad":
                raise Forbidden("no")

        def rollback(self, obj):
            seen.append(("rollback", obj["metadata"]["name"]))

        def after_create(self, obj):
            seen.append(("created", obj["metadata"]["name"]))

        def after_delete(self, obj):
            seen.append(("deleted", obj["metadata"]["name"]))

    async def scenario(plane):
        plane.server.install(Extension(hooks={("", "configmaps"): [Ledger()]}))
        await plane.client.create(CONFIG_MAP, config_map())
        with pytest.raises(Forbidden):
            await plane.client.create(CONFIG_MAP, {**config_map("b"), "data": {"k": "bad"}})
        patch = [{"op": "add", "path": "/data/x", "value": "y"}]
        await plane.client.patch(CONFIG_MAP, "a", patch, "default", patch_type=PatchType.JSON)
        await plane.client.delete(CONFIG_MAP, "a", "default")
        assert seen == [
            ("before", "a", False),
            ("created", "a"),
            ("before", "b", False),
            ("rollback", "b"),
            ("deleted", "a"),
        ]

    in_cluster(scenario)


def test_the_priority_classes_of_the_system_stay(in_cluster):
    async def scenario(plane):
        for name, value in (("system-node-critical", 2000001000), ("mine", 5)):
            await plane.client.create(PRIORITY_CLASS, {"metadata": {"name": name}, "value": value})
        await plane.client.delete(PRIORITY_CLASS, "mine")
        with pytest.raises(Forbidden, match="this is a system priority class and cannot be deleted"):
            await plane.client.delete(PRIORITY_CLASS, "system-node-critical")

    in_cluster(scenario)
