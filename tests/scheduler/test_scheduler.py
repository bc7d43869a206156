"""The scheduler against an API server in this process, on virtual time."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager

import pytest

from kajitori.api import core
from kajitori.api.errors import Conflict, ServiceUnavailable
from kajitori.api.meta import condition_of
from kajitori.apiserver.extension import Extension
from kajitori.apiserver.special.bindings import Bindings
from kajitori.client.cache import Cache
from kajitori.client.events import EventRecorder
from kajitori.scheduler.decide import Profile
from kajitori.scheduler.framework import Filter
from kajitori.scheduler.scheduler import NAME, Scheduler
from kajitori.testing.cluster import ControlPlane


def node(name, cpu="4", **spec):
    room = {"cpu": cpu, "memory": "8Gi", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": spec,
        "status": {"allocatable": room, "capacity": room},
    }


def pod(name, cpu="1", **spec):
    container = {"name": "c", "image": "i:1", "resources": {"requests": {"cpu": cpu}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [container], **spec},
    }


class Failing:
    """A client of which chosen calls fail: `fail(verb, resource)` returns an error to raise, or None."""

    def __init__(self, client, fail):
        self._client = client
        self._fail = fail

    def __getattr__(self, verb):
        call = getattr(self._client, verb)
        if verb not in ("create", "patch", "delete"):
            return call

        async def checked(resource, *arguments, **options):
            if error := self._fail(verb, resource, options):
                raise error
            return await call(resource, *arguments, **options)

        return checked


class Running:
    def __init__(self, plane, client=None, profile=None):
        self._profile = profile
        self.plane = plane
        self.clock = plane.virtual
        self._client = client or plane.client
        self._tasks = []

    async def start(self):
        cache = Cache(self._client, self.clock)
        recorder = EventRecorder(self._client, self.clock, NAME)
        self.scheduler = Scheduler(self._client, cache, self.clock, recorder, profile=self._profile)
        self._tasks = [asyncio.ensure_future(cache.run()), asyncio.ensure_future(self.scheduler.run())]
        await self.clock.advance(0.1)

    async def stop(self):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def add(self, *objects):
        for obj in objects:
            await self.plane.add(obj)
        await self.clock.advance(0.1)

    async def get(self, name):
        return await self.plane.client.get(core.POD, name, "default")

    async def node_of(self, name):
        return (await self.get(name))["spec"].get("nodeName", "")

    async def placed(self):
        pods = (await self.plane.client.list(core.POD)).items
        return {p["metadata"]["name"]: p["spec"].get("nodeName", "") for p in pods}

    async def events(self, reason):
        events = (await self.plane.client.list(core.EVENT)).items
        return [e for e in events if e["reason"] == reason]


@asynccontextmanager
async def running(*objects, client=None, profile=None):
    async with ControlPlane() as plane:
        plane.server.install(Extension(handlers=Bindings(plane.server.objects, plane.clock).handlers()))
        for obj in objects:
            await plane.add(obj)
        cluster = Running(plane, client and client(plane), profile)
        await cluster.start()
        try:
            yield cluster
        finally:
            await cluster.stop()


def scenario(function):
    return lambda: asyncio.run(function())


@scenario
async def test_a_pod_is_bound_and_told_so():
    async with running(node("a"), pod("p")) as cluster:
        assert await cluster.node_of("p") == "a"
        assert condition_of(await cluster.get("p"), "PodScheduled")["status"] == "True"
        (event,) = await cluster.events("Scheduled")
        assert event["message"] == "Successfully assigned default/p to a"


@scenario
async def test_a_pod_that_fits_nowhere_is_told_why_and_retried_when_a_node_appears():
    async with running(node("a", cpu="1"), pod("p", cpu="2")) as cluster:
        (event,) = await cluster.events("FailedScheduling")
        why = (
            "0/1 nodes are available: 1 Insufficient cpu. "
            "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
        )
        assert event["message"] == why
        condition = condition_of(await cluster.get("p"), "PodScheduled")
        assert (condition["status"], condition["reason"], condition["message"]) == ("False", "Unschedulable", why)
        await cluster.add(node("b"))
        await cluster.clock.advance(2)
        assert await cluster.node_of("p") == "b"


@scenario
async def test_the_condition_is_written_once():
    async with running(node("a", cpu="1"), pod("p", cpu="2")) as cluster:
        version = (await cluster.get("p"))["metadata"]["resourceVersion"]
        for number in range(3):
            await cluster.plane.add(node(f"small-{number}", cpu="1", unschedulable=True))
        await cluster.plane.client.patch(core.NODE, "a", {"metadata": {"labels": {"new": "label"}}})
        await cluster.clock.advance(30)
        after_other_message = (await cluster.get("p"))["metadata"]["resourceVersion"]
        assert after_other_message != version
        await cluster.plane.client.patch(core.NODE, "a", {"metadata": {"labels": {"newer": "label"}}})
        await cluster.clock.advance(30)
        assert (await cluster.get("p"))["metadata"]["resourceVersion"] == after_other_message


@scenario
async def test_heartbeats_wake_nobody():
    async with running(node("a", cpu="1"), pod("p", cpu="2")) as cluster:
        before = (await cluster.events("FailedScheduling"))[0].get("count", 1)
        for number in range(5):
            ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": f"2027-01-01T00:00:0{number}Z"}
            await cluster.plane.client.patch(core.NODE, "a", {"status": {"conditions": [ready]}}, subresource="status")
            await cluster.clock.advance(20)
        (event,) = await cluster.events("FailedScheduling")
        assert event.get("count", 1) == before


@scenario
async def test_many_pods_at_once_never_overcommit():
    nodes, pods = [node(f"n{n}", cpu="3") for n in range(4)], [pod(f"p{n}") for n in range(20)]
    async with running(*nodes) as cluster:
        await cluster.add(*pods)
        await cluster.clock.advance(1)
        placed = Counter((await cluster.placed()).values())
        assert placed == {"n0": 3, "n1": 3, "n2": 3, "n3": 3, "": 8}
        for name, where in (await cluster.placed()).items():
            if where == "n0":
                await cluster.plane.client.delete(core.POD, name, "default", grace_period_s=0)
        await cluster.clock.advance(20)
        placed = Counter((await cluster.placed()).values())
        assert placed == {"n0": 3, "n1": 3, "n2": 3, "n3": 3, "": 5}


@scenario
async def test_pods_of_another_scheduler_are_left_alone_but_count():
    async with running(node("a", cpu="1"), pod("theirs", schedulerName="other")) as cluster:
        assert await cluster.node_of("theirs") == ""
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": "theirs"},
            "target": {"kind": "Node", "name": "a"},
        }
        await cluster.plane.client.create(core.POD, binding, "default", name="theirs", subresource="binding")
        await cluster.add(pod("ours"))
        assert await cluster.node_of("ours") == ""


@scenario
async def test_a_new_scheduler_counts_what_the_old_one_bound():
    async with running(node("a", cpu="2"), pod("first"), pod("second")) as cluster:
        await cluster.stop()
        await cluster.add(pod("third"))
        await cluster.start()
        assert await cluster.placed() == {"first": "a", "second": "a", "third": ""}


@scenario
async def test_a_gated_pod_waits_for_its_gates():
    gated = pod("p", schedulingGates=[{"name": "example.com/wait"}])
    async with running(node("a"), gated) as cluster:
        assert await cluster.node_of("p") == ""
        assert condition_of(await cluster.get("p"), "PodScheduled")["reason"] == "SchedulingGated"
        await cluster.plane.client.patch(core.POD, "p", {"spec": {"schedulingGates": None}}, "default")
        await cluster.clock.advance(1)
        assert await cluster.node_of("p") == "a"


@pytest.mark.parametrize("error", [Conflict("no"), ServiceUnavailable("no")])
def test_a_binding_that_fails_is_tried_again(error):
    failures = [error]

    def fail(verb, resource, options):
        return failures.pop() if options.get("subresource") == "binding" and failures else None

    async def run():
        async with running(node("a"), pod("p"), client=lambda plane: Failing(plane.client, fail)) as cluster:
            assert await cluster.node_of("p") == ""
            await cluster.clock.advance(2)
            assert await cluster.node_of("p") == "a"
            assert bool(await cluster.events("FailedScheduling")) is isinstance(error, ServiceUnavailable)

    asyncio.run(run())


@scenario
async def test_a_pod_deleted_while_it_is_being_bound_gives_its_room_back():
    answered = asyncio.Event()

    class Slow(Failing):
        def __getattr__(self, verb):
            call = getattr(self._client, verb)

            async def create(resource, obj, *arguments, **options):
                if options.get("name") == "doomed":
                    await answered.wait()
                return await call(resource, obj, *arguments, **options)

            return create if verb == "create" else call

    async with running(node("a", cpu="1"), pod("doomed"), client=lambda plane: Slow(plane.client, None)) as cluster:
        await cluster.add(pod("next"))
        assert await cluster.node_of("next") == ""
        await cluster.plane.client.delete(core.POD, "doomed", "default", grace_period_s=0)
        await cluster.clock.advance(2)
        answered.set()
        await cluster.clock.advance(2)
        assert await cluster.placed() == {"next": "a"}


@scenario
async def test_pods_of_a_node_that_vanished_count_again_when_it_returns():
    async with running(node("a", cpu="2"), pod("p", cpu="2")) as cluster:
        await cluster.plane.client.delete(core.NODE, "a")
        await cluster.add(pod("q", cpu="2"))
        condition = condition_of(await cluster.get("q"), "PodScheduled")
        assert condition["message"] == "no nodes available to schedule pods"
        await cluster.add(node("a", cpu="2"))
        await cluster.clock.advance(5)
        assert await cluster.node_of("q") == ""


STORAGE_CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "late"},
    "provisioner": "example.com/disk",
    "volumeBindingMode": "WaitForFirstConsumer",
}


def claim(name="data", **spec):
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "storageClassName": "late",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            **spec,
        },
    }


def volume(name, at):
    expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": [at]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "storageClassName": "late",
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "hostPath": {"path": "/v"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}},
        },
    }


def with_claim(name, claim_name="data"):
    return pod(name, volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": claim_name}}])


@scenario
async def test_a_claim_that_waits_hears_of_the_node_and_the_pod_waits_for_the_volume():
    async with running(node("a"), STORAGE_CLASS, claim(), with_claim("p")) as cluster:
        client = cluster.plane.client
        waiting = await client.get(core.PERSISTENT_VOLUME_CLAIM, "data", "default")
        assert waiting["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] == "a"
        assert await cluster.node_of("p") == ""
        await cluster.add(pod("other"))
        assert await cluster.node_of("other") == "a"
        await cluster.add(volume("pv", "a"))
        await client.patch(core.PERSISTENT_VOLUME_CLAIM, "data", {"spec": {"volumeName": "pv"}}, "default")
        await cluster.clock.advance(0.1)
        assert await cluster.node_of("p") == "a"


@scenario
async def test_a_volume_made_out_of_reach_is_not_accepted():
    async with running(node("a"), STORAGE_CLASS, claim(), with_claim("p")) as cluster:
        await cluster.add(node("b"), volume("pv", "b"))
        patch = {"spec": {"volumeName": "pv"}}
        await cluster.plane.client.patch(core.PERSISTENT_VOLUME_CLAIM, "data", patch, "default")
        await cluster.clock.advance(0.1)
        message = condition_of(await cluster.get("p"), "PodScheduled")["message"]
        assert 'pv "pv" node affinity doesn\'t match node "a"' in message
        await cluster.clock.advance(2)
        assert await cluster.node_of("p") == "b"


@scenario
async def test_a_claim_for_a_node_that_vanished_hears_of_another():
    async with running(node("a"), STORAGE_CLASS, claim(), with_claim("p")) as cluster:
        client = cluster.plane.client
        await client.delete(core.POD, "p", "default", grace_period_s=0)
        await client.delete(core.NODE, "a")
        await cluster.add(node("b"), with_claim("q"))
        waiting = await client.get(core.PERSISTENT_VOLUME_CLAIM, "data", "default")
        assert waiting["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] == "b"


@scenario
async def test_a_provisioner_that_gives_up_lets_another_node_be_chosen():
    async with running(node("a"), STORAGE_CLASS, claim(), with_claim("p")) as cluster:
        patch = {"metadata": {"annotations": {"volume.kubernetes.io/selected-node": None}}}
        await cluster.plane.client.patch(core.PERSISTENT_VOLUME_CLAIM, "data", patch, "default")
        await cluster.clock.advance(0.1)
        message = condition_of(await cluster.get("p"), "PodScheduled")["message"]
        assert 'provisioning failed for PVC "data"' in message


@scenario
async def test_a_volume_that_exists_is_reserved_and_decides_about_the_node():
    existing = volume("pv", "b")
    static = {**STORAGE_CLASS, "provisioner": "kubernetes.io/no-provisioner"}
    async with running(node("a"), node("b"), static, existing, claim(), with_claim("p")) as cluster:
        client = cluster.plane.client
        reserved = await client.get(core.PERSISTENT_VOLUME, "pv")
        assert reserved["spec"]["claimRef"]["name"] == "data"
        await client.patch(core.PERSISTENT_VOLUME_CLAIM, "data", {"spec": {"volumeName": "pv"}}, "default")
        await cluster.clock.advance(0.1)
        assert await cluster.node_of("p") == "b"


@scenario
async def test_volumes_that_never_come_release_the_place():
    async with running(node("a", cpu="1"), STORAGE_CLASS, claim(), with_claim("p")) as cluster:
        await cluster.clock.advance(601)
        (event,) = await cluster.events("FailedScheduling")
        assert "context deadline exceeded" in event["message"]
        condition = condition_of(await cluster.get("p"), "PodScheduled")
        assert condition["reason"] == "SchedulerError"


@scenario
async def test_a_claim_that_appears_wakes_its_pod():
    async with running(node("a"), STORAGE_CLASS, with_claim("p")) as cluster:
        message = condition_of(await cluster.get("p"), "PodScheduled")["message"]
        assert message.startswith('0/1 nodes are available: persistentvolumeclaim "data" not found. preemption: ')
        await cluster.add(volume("pv", "a"), claim(volumeName="pv"))
        await cluster.clock.advance(2)
        assert await cluster.node_of("p") == "a"


@scenario
async def test_an_important_pod_makes_others_leave():
    async with running(node("a", cpu="1"), pod("low", priority=0)) as cluster:
        await cluster.add({**pod("high", priority=100)})
        high = await cluster.get("high")
        assert high["status"]["nominatedNodeName"] == "a"
        (event,) = await cluster.events("Preempted")
        assert event["message"] == f"Preempted by pod {high['metadata']['uid']} on node a"
        low = {p["metadata"]["name"]: p for p in (await cluster.plane.client.list(core.POD)).items}.get("low")
        if low is not None:
            assert condition_of(low, "DisruptionTarget")["reason"] == "PreemptionByScheduler"
            await cluster.plane.client.delete(core.POD, "low", "default", grace_period_s=0)
        await cluster.add(pod("sneaky", priority=50))
        await cluster.clock.advance(5)
        assert await cluster.placed() == {"high": "a", "sneaky": ""}


class Broken(Filter):
    name = "Broken"

    def filter(self, pod, cluster):
        if pod.labels.get("app") == "unlucky":
            raise KeyError("no such thing")
        return None


@scenario
async def test_a_plugin_that_breaks_concerns_only_its_pod():
    unlucky = pod("unlucky")
    unlucky["metadata"]["labels"] = {"app": "unlucky"}
    profile = Profile().with_plugins(Broken())
    async with running(node("a"), unlucky, pod("p"), profile=profile) as cluster:
        assert await cluster.placed() == {"unlucky": "", "p": "a"}
        condition = condition_of(await cluster.get("unlucky"), "PodScheduled")
        assert condition["reason"] == "SchedulerError"
        assert "no such thing" in condition["message"]


@scenario
async def test_a_pod_that_is_over_gives_its_room_back():
    async with running(node("a", cpu="1"), pod("done"), pod("next")) as cluster:
        waiting = {name for name, where in (await cluster.placed()).items() if not where}
        (there,) = {"done", "next"} - waiting
        status = {"status": {"phase": "Succeeded"}}
        await cluster.plane.client.patch(core.POD, there, status, "default", subresource="status")
        await cluster.clock.advance(5)
        assert all((await cluster.placed()).values())


@scenario
async def test_a_nomination_outlives_the_scheduler_that_made_it():
    async with running(node("a", cpu="1"), pod("low", priority=0)) as cluster:
        await cluster.add(pod("high", priority=100))
        await cluster.stop()
        pods = (await cluster.plane.client.list(core.POD)).items
        if "low" in [p["metadata"]["name"] for p in pods]:
            await cluster.plane.client.delete(core.POD, "low", "default", grace_period_s=0)
        await cluster.add(pod("sneaky", priority=50))
        await cluster.start()
        await cluster.clock.advance(15)
        assert await cluster.placed() == {"high": "a", "sneaky": ""}


@scenario
async def test_pods_of_one_deployment_spread_without_asking():
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": pod("x", cpu="100m")["spec"]}
    replica_set = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": 3, "selector": {"matchLabels": labels}, "template": template},
    }
    nodes = [node("a", cpu="64"), node("b", cpu="8"), node("c", cpu="8")]
    async with running(*nodes, replica_set) as cluster:
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u", "controller": True}
        for number in range(3):
            replica = pod(f"web-{number}", cpu="100m")
            replica["metadata"] |= {"labels": labels, "ownerReferences": [owner]}
            await cluster.add(replica)
        assert Counter((await cluster.placed()).values()) == {"a": 1, "b": 1, "c": 1}
