"""Nodes and pods come and go, calls fail before and after they took effect: no overcommitment, nothing forgotten."""

import asyncio
import random

import pytest

from kajitori.api import core
from kajitori.api.errors import Conflict, NotFound, ServiceUnavailable, StatusError
from kajitori.apiserver.extension import Extension
from kajitori.apiserver.special.bindings import Bindings
from kajitori.client.cache import Cache
from kajitori.client.events import EventRecorder
from kajitori.client.interface import Disconnected
from kajitori.scheduler.scheduler import NAME, Scheduler
from kajitori.testing.cluster import ControlPlane

ROOM = 4


class Unreliable:
    """One call in five fails; half of those after the server has done as asked."""

    def __init__(self, client, rng):
        self._client = client
        self._rng = rng
        self.calm = False

    def __getattr__(self, verb):
        call = getattr(self._client, verb)
        if verb not in ("create", "patch", "delete"):
            return call

        async def unreliable(resource, *arguments, **options):
            fails = not self.calm and self._rng.random() < 0.2
            if fails and self._rng.random() < 0.5:
                raise self._rng.choice([Conflict("no"), ServiceUnavailable("no"), Disconnected("no")])
            answer = await call(resource, *arguments, **options)
            if fails:
                raise Disconnected("the answer was lost")
            return answer

        return unreliable


def _node(name):
    room = {"cpu": str(ROOM), "memory": "8Gi", "pods": "110"}
    labels = {"kubernetes.io/hostname": name}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "status": {"allocatable": room, "capacity": room},
    }


def _pod(name, rng):
    requests = {"cpu": str(rng.randint(1, 2))}
    spec = {"containers": [{"name": "c", "image": "i", "resources": {"requests": requests}}]}
    if rng.random() < 0.3:
        spec["priority"] = rng.randint(1, 3)
    if rng.random() < 0.2:
        term = {"labelSelector": {"matchLabels": {"app": "x"}}, "topologyKey": "kubernetes.io/hostname"}
        spec["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    labels = {"app": rng.choice("xyz")}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {**spec, "terminationGracePeriodSeconds": 0},
    }


def _cpu(pod):
    return int(pod["spec"]["containers"][0]["resources"]["requests"]["cpu"])


async def _step(number, plane, rng):
    """One thing happens."""
    client, kind = plane.client, rng.random()
    if kind < 0.55:
        await plane.add(_pod(f"p{number}", rng))
    elif kind < 0.8:
        pods = (await client.list(core.POD)).items
        if pods:
            await client.delete(core.POD, rng.choice(pods)["metadata"]["name"], "default", grace_period_s=0)
    else:
        name = f"n{rng.randrange(4)}"
        try:
            await client.delete(core.NODE, name)
        except NotFound:
            await plane.add(_node(name))


async def _collect(plane):
    """Pods that are leaving go, as their node would see to; pods of nodes that are gone too."""
    nodes = {node["metadata"]["name"] for node in (await plane.client.list(core.NODE)).items}
    for pod in (await plane.client.list(core.POD)).items:
        where = pod["spec"].get("nodeName")
        if pod["metadata"].get("deletionTimestamp") or (where and where not in nodes):
            try:
                await plane.client.delete(core.POD, pod["metadata"]["name"], "default", grace_period_s=0)
            except StatusError:
                continue


async def _check(plane, scheduler):
    pods = (await plane.client.list(core.POD)).items
    used = {}
    for pod in pods:
        where = pod["spec"].get("nodeName", "")
        used[where] = used.get(where, 0) + _cpu(pod)
        assert scheduler._cluster.nodes.node_of_pod(pod["metadata"]["uid"]) == where
    waiting = {pod["metadata"]["uid"] for pod in pods if not pod["spec"].get("nodeName")}
    assert set(scheduler._queue._known) == waiting
    nodes, names = scheduler._cluster.nodes, [n["metadata"]["name"] for n in (await plane.client.list(core.NODE)).items]
    for name in names:
        assert used.get(name, 0) <= ROOM
        assert nodes.requested["cpu"][nodes.row(name)] == 1000 * used.get(name, 0)
    assert len(nodes) == len(names)
    assert not scheduler._view.assumed
    assert set(scheduler._cluster.nominated) <= waiting
    for pod in pods:
        if pod["metadata"]["uid"] in waiting:
            free = [name for name in names if ROOM - used.get(name, 0) >= _cpu(pod)]
            assert not free or "affinity" in pod["spec"] or _kept_away(pod, pods, free), (pod["metadata"]["name"], free)


def _kept_away(pod, pods, free):
    """Whether every free node has a pod that does not want this one near it, or is promised to another."""
    shy = {p["spec"].get("nodeName") for p in pods if "affinity" in p["spec"]}
    promised = {(p.get("status") or {}).get("nominatedNodeName") for p in pods}
    return all((name in shy and pod["metadata"]["labels"]["app"] == "x") or name in promised for name in free)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_the_books_are_right_in_the_end(seed):
    async def run():
        rng = random.Random(seed)
        async with ControlPlane(seed=seed) as plane:
            plane.server.install(Extension(handlers=Bindings(plane.server.objects, plane.clock).handlers()))
            for number in range(3):
                await plane.add(_node(f"n{number}"))
            client, clock = Unreliable(plane.client, rng), plane.virtual
            cache = Cache(plane.client, clock)
            scheduler = Scheduler(client, cache, clock, EventRecorder(client, clock, NAME))
            tasks = [asyncio.ensure_future(cache.run()), asyncio.ensure_future(scheduler.run())]
            for number in range(50):
                await _step(number, plane, rng)
                if rng.random() < 0.5:
                    await clock.advance(rng.random() * 3)
            client.calm = True
            for _ in range(8):
                await clock.advance(60)
                await _collect(plane)
            await clock.advance(60)
            await _check(plane, scheduler)
            assert not any(task.done() for task in tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())
