"""Carrying a decision out: volumes first, then the binding."""

import asyncio

from kajitori.api import core
from kajitori.api.errors import NotFound, StatusError
from kajitori.api.meta import Object, ObjectKey, key_of, name_of, uid_of
from kajitori.api.pods import node_name
from kajitori.client.informer import Informer
from kajitori.client.interface import Client, Disconnected
from kajitori.kit.backoff import Backoff
from kajitori.kit.clock import Clock, within
from kajitori.scheduler import claims
from kajitori.scheduler.framework import Cluster
from kajitori.scheduler.plugins.volumes import placement, rows_of_volume
from kajitori.scheduler.pod_view import PodView

VOLUMES_LIMIT_S = 600.0
"""How long a pod holds its place while its volumes are being made."""
WRITES_AT_ONCE = 64
"""Requests under way to the server; further ones wait their turn."""
BACKOFF = Backoff(initial_s=0.1, max_s=5.0)
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"


class VolumesNotBound(Exception):
    """The pod's volumes did not come about; the message says why."""


class Binder:
    """Writes bindings. Raises what the client raises, and VolumesNotBound."""

    def __init__(self, client: Client, clock: Clock, cluster: Cluster, claims_: Informer, volumes: Informer) -> None:
        self._client = client
        self._clock = clock
        self._cluster = cluster
        self._claims = claims_
        self._volumes = volumes
        self.writes = asyncio.Semaphore(WRITES_AT_ONCE)

    async def bind(self, pod: PodView, node: str) -> None:
        waiting = claims.claims_to_place(pod, self._cluster)
        if waiting:
            await self._place_volumes(pod, node, waiting)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        async with self.writes:
            await self._client.create(core.POD, binding, pod.namespace, name=pod.name, subresource="binding")

    async def node_of(self, pod: PodView) -> str:
        """What the server says of it, asked until it answers: a binding whose answer got lost may have been made."""
        failures = 0
        while True:
            try:
                current = await self._client.get(core.POD, pod.name, pod.namespace)
            except NotFound:
                return ""
            except (StatusError, Disconnected):
                failures += 1
                await self._clock.sleep(BACKOFF.delay_s(failures))
            else:
                return node_name(current) if uid_of(current) == pod.uid else ""

    async def _place_volumes(self, pod: PodView, node: str, waiting: list[Object]) -> None:
        """Reserve a volume for each claim or have one made on the node, and wait until all are bound."""
        reserved: list[str] = []
        try:
            for claim in waiting:
                volume = placement(claim, node, self._cluster)
                if volume is None:
                    await self._select(claim, node)
                else:
                    reserved.append(name_of(volume))
                    self._cluster.reserved_volumes[name_of(volume)] = key_of(claim)
                    await self._reserve(volume, claim)
            await self._all_bound(pod, node)
            self._check_reach(pod, node)
        finally:
            for name in reserved:
                self._cluster.reserved_volumes.pop(name, None)

    async def _select(self, claim: Object, node: str) -> None:
        if claims.selected_node(claim) != node:
            patch = {"metadata": {"annotations": {claims.SELECTED_NODE: node}}}
            async with self.writes:
                await self._client.patch(
                    core.PERSISTENT_VOLUME_CLAIM, name_of(claim), patch, claim["metadata"]["namespace"]
                )

    async def _reserve(self, volume: Object, claim: Object) -> None:
        if (volume["spec"].get("claimRef") or {}).get("uid") == uid_of(claim):
            return
        reference = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": claim["metadata"]["namespace"],
            "name": name_of(claim),
            "uid": uid_of(claim),
        }
        meta: Object = {"resourceVersion": volume["metadata"].get("resourceVersion")}
        if not volume["spec"].get("claimRef"):
            meta["annotations"] = {BOUND_BY_CONTROLLER: "yes"}
        async with self.writes:
            patch = {"metadata": meta, "spec": {"claimRef": reference}}
            await self._client.patch(core.PERSISTENT_VOLUME, name_of(volume), patch)

    def _check_reach(self, pod: PodView, node: str) -> None:
        row = self._cluster.nodes.row(node)
        for volume in claims.bound_volumes(pod, self._cluster):
            reached = rows_of_volume(volume, self._cluster.nodes)
            if row is not None and reached is not None and not reached[row]:
                why = f'pv "{name_of(volume)}" node affinity doesn\'t match node "{node}"'
                raise VolumesNotBound(f"binding volumes: {why}")

    async def _all_bound(self, pod: PodView, node: str) -> None:
        """A provisioner that cannot serve this node takes the annotation off again: then another may be chosen."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        seen: set[ObjectKey] = set()

        def look(*_: object) -> None:
            for claim in claims.claims_to_place(pod, self._cluster):
                if claims.selected_node(claim) == node:
                    seen.add(key_of(claim))
                elif key_of(claim) in seen and not done.done():
                    done.set_exception(VolumesNotBound(f'provisioning failed for PVC "{name_of(claim)}"'))
            if len(list(claims.bound_volumes(pod, self._cluster))) == len(pod.claims) and not done.done():
                done.set_result(None)

        unsubscribe = [informer.subscribe(look) for informer in (self._claims, self._volumes)]
        try:
            await within(self._clock, VOLUMES_LIMIT_S, done)
        except TimeoutError:
            raise VolumesNotBound("binding volumes: context deadline exceeded") from None
        finally:
            for end in unsubscribe:
                end()
