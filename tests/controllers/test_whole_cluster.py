"""All control loops together, on the real API server in this process: what only shows when they meet."""

import asyncio
import copy
from collections.abc import Awaitable, Callable
from typing import Any

from kajitori.api.apps import DAEMON_SET, DEPLOYMENT, REPLICA_SET, STATEFUL_SET
from kajitori.api.batch import CRON_JOB, JOB
from kajitori.api.core import (
    CONFIG_MAP,
    ENDPOINTS,
    NAMESPACE,
    NODE,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    SERVICE,
    SERVICE_ACCOUNT,
)
from kajitori.api.discovery import ENDPOINT_SLICE
from kajitori.api.errors import NotFound
from kajitori.api.meta import Object, condition_is, is_deleting, name_of
from kajitori.api.resource import Resource
from kajitori.api.times import timestamp
from kajitori.controllers.daemonset.placement import node_of
from kajitori.controllers.run import ControllerManager
from kajitori.controllers.settings import Settings
from kajitori.testing.cluster import ControlPlane

TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "c", "image": "v1", "ports": [{"containerPort": 80}]}]},
}
SELECTOR = {"matchLabels": {"app": "web"}}


class Cluster:
    def __init__(self, plane: ControlPlane) -> None:
        self.plane, self.client = plane, plane.client

    async def settle(self, seconds: float = 2.0) -> None:
        for _ in range(4):
            await self.plane.virtual.advance(seconds / 4)

    async def create(self, resource: Resource, name: str, namespace: str | None = "default", **fields: Any) -> Object:
        meta = {"name": name, **({"namespace": namespace} if resource.namespaced else {}), **fields.pop("metadata", {})}
        obj = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta, **copy.deepcopy(fields)}
        return await self.client.create(resource, obj)

    async def all(self, resource: Resource, namespace: str | None = "default") -> list[Object]:
        return (await self.client.list(resource, namespace if resource.namespaced else None)).items

    async def be_the_node(self) -> None:
        """Bind what waits, run what is bound, finish what is leaving."""
        for pod in await self.all(POD):
            name = name_of(pod)
            if is_deleting(pod):
                await self.client.delete(POD, name, "default", grace_period_s=0)
                continue
            if (pod.get("status") or {}).get("phase", "Pending") == "Pending":
                await self.plane.server.objects.update(POD, name, "default", self._running)
        await self.settle()

    def _running(self, pod: Object) -> Object:
        now = timestamp(self.plane.virtual.now())
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": now}
        status = {"phase": "Running", "conditions": [ready], "podIP": "10.244.0.9", "podIPs": [{"ip": "10.244.0.9"}]}
        spec = {**pod["spec"], "nodeName": node_of(pod) or "node-1"}
        return {**pod, "spec": spec, "status": {**(pod.get("status") or {}), **status}}


def run(scenario: Callable[[Cluster], Awaitable[None]]) -> None:
    async def main() -> None:
        async with ControlPlane() as plane:
            manager = ControllerManager(plane.client, plane.virtual, settings=Settings(root_ca_pem="PEM"))
            task = asyncio.ensure_future(manager.run())
            cluster = Cluster(plane)
            await cluster.settle()
            ready = {"conditions": [{"type": "Ready", "status": "True"}]}
            await plane.add({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}, "status": ready})
            await cluster.settle()
            try:
                await scenario(cluster)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


def test_a_deployment_rolls_and_its_endpoints_follow() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.create(SERVICE, "web", spec={"selector": {"app": "web"}, "ports": [{"port": 80}]})
        await cluster.create(DEPLOYMENT, "web", spec={"replicas": 2, "selector": SELECTOR, "template": TEMPLATE})
        await cluster.settle()
        for _ in range(3):
            await cluster.be_the_node()
        deployment = await cluster.client.get(DEPLOYMENT, "web", "default")
        assert deployment["status"]["availableReplicas"] == 2
        (found,) = await cluster.all(ENDPOINT_SLICE)
        assert len(found["endpoints"]) == 2
        patch = {"spec": {"template": {"spec": {"containers": [{**TEMPLATE["spec"]["containers"][0], "image": "v2"}]}}}}
        await cluster.client.patch(DEPLOYMENT, "web", patch, "default")
        for _ in range(8):
            await cluster.be_the_node()
        assert {p["spec"]["containers"][0]["image"] for p in await cluster.all(POD)} == {"v2"}
        assert sorted(rs["spec"]["replicas"] for rs in await cluster.all(REPLICA_SET)) == [0, 2]
        await cluster.client.delete(DEPLOYMENT, "web", "default", propagation="Background")
        await cluster.settle()
        for _ in range(3):
            await cluster.be_the_node()
        assert await cluster.all(REPLICA_SET) == await cluster.all(POD) == []
        await cluster.client.delete(SERVICE, "web", "default")
        await cluster.settle()
        assert await cluster.all(ENDPOINT_SLICE) == []
        assert all(name_of(e) != "web" for e in await cluster.all(ENDPOINTS))

    run(scenario)


def test_every_workload_settles_and_then_nothing_is_written() -> None:
    async def scenario(cluster: Cluster) -> None:
        claims = [
            {
                "metadata": {"name": "data"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            }
        ]
        labelled = {
            "selector": {"matchLabels": {"app": "db"}},
            "template": TEMPLATE | {"metadata": {"labels": {"app": "db"}}},
        }
        await cluster.create(
            STATEFUL_SET, "db", spec={"replicas": 2, "serviceName": "db", "volumeClaimTemplates": claims, **labelled}
        )
        agent = {
            "selector": {"matchLabels": {"app": "agent"}},
            "template": TEMPLATE | {"metadata": {"labels": {"app": "agent"}}},
        }
        await cluster.create(DAEMON_SET, "agent", spec=agent)
        await cluster.create(DEPLOYMENT, "web", spec={"replicas": 2, "selector": SELECTOR, "template": TEMPLATE})
        for _ in range(6):
            await cluster.be_the_node()
        names = sorted(name_of(p) for p in await cluster.all(POD))
        assert [n for n in names if n.startswith("db")] == ["db-0", "db-1"]
        assert len(names) == 5
        assert len(await cluster.all(PERSISTENT_VOLUME_CLAIM)) == 2
        assert (await cluster.client.get(STATEFUL_SET, "db", "default"))["status"]["readyReplicas"] == 2
        assert (await cluster.client.get(DAEMON_SET, "agent", "default"))["status"]["numberReady"] == 1
        await cluster.settle(30)
        before = await cluster.plane.storage.revision()
        await cluster.settle(30)
        assert await cluster.plane.storage.revision() == before

    run(scenario)


def test_a_job_completes_and_its_pods_go_with_it() -> None:
    async def scenario(cluster: Cluster) -> None:
        template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
        await cluster.create(JOB, "work", spec={"completions": 2, "parallelism": 2, "template": template})
        await cluster.settle()
        await cluster.be_the_node()
        for pod in await cluster.all(POD):
            pod = await cluster.client.get(POD, name_of(pod), "default")
            await cluster.client.update(
                POD, {**pod, "status": {**pod["status"], "phase": "Succeeded"}}, subresource="status"
            )
        await cluster.settle(5)
        job = await cluster.client.get(JOB, "work", "default")
        assert condition_is(job, "Complete") and job["status"]["succeeded"] == 2
        await cluster.client.delete(JOB, "work", "default", propagation="Foreground")
        await cluster.settle(5)
        assert await cluster.all(POD) == await cluster.all(JOB) == []

    run(scenario)


def test_a_cronjob_starts_jobs() -> None:
    async def scenario(cluster: Cluster) -> None:
        template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
        spec = {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template}}}
        await cluster.create(CRON_JOB, "tick", spec=spec)
        await cluster.settle(130)
        assert len(await cluster.all(JOB)) == 2

    run(scenario)


def test_a_namespace_begins_furnished_and_ends_empty() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.create(NAMESPACE, "team")
        await cluster.settle()
        assert [name_of(a) for a in await cluster.all(SERVICE_ACCOUNT, "team")] == ["default"]
        assert [name_of(c) for c in await cluster.all(CONFIG_MAP, "team")] == ["kube-root-ca.crt"]
        await cluster.create(
            DEPLOYMENT, "web", "team", spec={"replicas": 2, "selector": SELECTOR, "template": TEMPLATE}
        )
        await cluster.settle()
        assert len(await cluster.all(POD, "team")) == 2
        await cluster.client.delete(NAMESPACE, "team")
        await cluster.settle(20)
        try:
            left = await cluster.client.get(NAMESPACE, "team")
        except NotFound:
            left = None
        assert left is None, left
        assert await cluster.all(POD, "team") == await cluster.all(CONFIG_MAP, "team") == []

    run(scenario)


def test_a_node_gets_its_network() -> None:
    async def scenario(cluster: Cluster) -> None:
        assert (await cluster.client.get(NODE, "node-1"))["spec"]["podCIDR"] == "10.244.0.0/24"

    run(scenario)
