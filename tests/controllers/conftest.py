"""A small API for control loops under test: objects in memory, watches, finalizers, generations, Conflicts."""

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import pytest

from kajitori.api.core import POD
from kajitori.api.errors import AlreadyExists, Conflict, NotFound
from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.api.selectors import parse_label_selector
from kajitori.api.times import timestamp
from kajitori.client.interface import ObjectList, PatchType, WatchEvent, WatchEventType
from kajitori.controllers.daemonset.placement import node_of
from kajitori.controllers.run import ControllerManager
from kajitori.controllers.settings import Settings
from kajitori.kit.clock import VirtualClock

GRACEFUL = {"pods"}


class FakeClient:
    """Enough of an API server for one process: no defaults, no validation."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.revision = 0
        self.watchers: list[tuple[str, asyncio.Queue[WatchEvent]]] = []
        self.log: list[tuple[WatchEvent, str]] = []
        self.refuse: Callable[[str, Resource, Object | None], None] = lambda verb, resource, obj: None
        self.calls: list[tuple[str, str, str]] = []
        self.kinds: list[Resource] = []
        self.held: dict[str, list[WatchEvent]] = {}

    # What a test does and asks.

    def put(self, resource: Resource, obj: Object) -> Object:
        """Create or replace, bypassing everything."""
        obj = {"apiVersion": resource.api_version, "kind": resource.kind, **copy.deepcopy(obj)}
        meta = obj["metadata"]
        key = self._key(resource, meta.get("namespace") or "", meta["name"])
        old = self.objects.get(key)
        meta.setdefault("uid", old["metadata"]["uid"] if old else f"uid-{self.revision + 1}")
        meta.setdefault("creationTimestamp", timestamp(self.clock.now()))
        if "spec" in obj:
            meta.setdefault("generation", 1)
        self._store(key, obj, WatchEventType.MODIFIED if old else WatchEventType.ADDED)
        return copy.deepcopy(self.objects[key])

    def all(self, resource: Resource, namespace: str | None = None) -> list[Object]:
        found = [
            o
            for (plural, ns, _), o in sorted(self.objects.items())
            if plural == resource.qualified_name and namespace in (None, ns)
        ]
        return copy.deepcopy(found)

    def one(self, resource: Resource, name: str, namespace: str = "default") -> Object:
        return copy.deepcopy(self._find(resource, name, namespace if resource.namespaced else ""))

    def edit(
        self, resource: Resource, name: str, change: Callable[[Object], Any], namespace: str = "default"
    ) -> Object:
        """Change the stored object; a change of spec counts the generation."""
        key = self._key(resource, namespace if resource.namespaced else "", name)
        obj = copy.deepcopy(self.objects[key])
        change(obj)
        return self._replace(key, obj)

    def remove(self, resource: Resource, name: str, namespace: str = "default") -> None:
        """Delete at once, whatever its finalizers."""
        self._drop(self._key(resource, namespace if resource.namespaced else "", name))

    def events(self) -> list[str]:
        return [
            f"{o['reason']}: {o.get('message', o.get('note'))}"
            for (p, _, _), o in self.objects.items()
            if p.startswith("events")
        ]

    # The Client protocol.

    async def get(
        self, resource: Resource, name: str, namespace: str | None = None, *, subresource: str | None = None
    ) -> Object:
        self._called("get", resource, None, name)
        return copy.deepcopy(self._find(resource, name, namespace or ""))

    async def list(
        self, resource: Resource, namespace: str | None = None, *, label_selector: str = "", **_: Any
    ) -> ObjectList:
        self._called("list", resource, None, "")
        selector = parse_label_selector(label_selector)
        items = [o for o in self.all(resource, namespace) if selector.matches(o["metadata"].get("labels") or {})]
        return ObjectList(items, str(self.revision))

    async def create(
        self,
        resource: Resource,
        obj: Object,
        namespace: str | None = None,
        *,
        name: str | None = None,
        subresource: str | None = None,
    ) -> Object:
        await asyncio.sleep(0)
        self._called("create", resource, obj, obj["metadata"].get("name", ""))
        obj = {"apiVersion": resource.api_version, "kind": resource.kind, **copy.deepcopy(obj)}
        meta = obj["metadata"]
        if namespace:
            meta["namespace"] = namespace
        if not meta.get("name"):
            meta["name"] = f"{meta['generateName']}{self.revision + 1:05d}"
        if resource.plural == "events":
            # Recorders name events by the nanosecond, of which virtual time has few.
            meta["name"] += f".{self.revision}"
        key = self._key(resource, meta.get("namespace") or "", meta["name"])
        if key in self.objects:
            raise AlreadyExists.of(resource.group, resource.plural, meta["name"])
        meta["uid"] = f"uid-{self.revision + 1}"
        meta["creationTimestamp"] = timestamp(self.clock.now())
        if "spec" in obj:
            meta["generation"] = 1
        self._store(key, obj, WatchEventType.ADDED)
        return copy.deepcopy(self.objects[key])

    async def update(self, resource: Resource, obj: Object, *, subresource: str | None = None) -> Object:
        await asyncio.sleep(0)
        self._called("update", resource, obj, obj["metadata"]["name"])
        old = self._find(resource, obj["metadata"]["name"], obj["metadata"].get("namespace") or "")
        if obj["metadata"].get("resourceVersion") not in (None, old["metadata"]["resourceVersion"]):
            raise Conflict.modified(resource.group, resource.plural, obj["metadata"]["name"])
        key = self._key(resource, old["metadata"].get("namespace") or "", old["metadata"]["name"])
        return self._write(resource, key, old, copy.deepcopy(obj), subresource)

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Any,
        namespace: str | None = None,
        *,
        patch_type: PatchType = PatchType.MERGE,
        subresource: str | None = None,
        **_: Any,
    ) -> Object:
        await asyncio.sleep(0)
        self._called("patch", resource, patch, name)
        assert patch_type is PatchType.MERGE, "the fake knows merge patches only"
        old = self._find(resource, name, namespace or "")
        version = patch.get("metadata", {}).get("resourceVersion")
        if version not in (None, old["metadata"]["resourceVersion"]):
            raise Conflict.modified(resource.group, resource.plural, name)
        key = self._key(resource, namespace or "", name)
        return self._write(resource, key, old, _merged(copy.deepcopy(old), patch), subresource)

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        grace_period_s: int | None = None,
        propagation: str = "",
        uid: str = "",
        resource_version: str = "",
    ) -> Object:
        await asyncio.sleep(0)
        self._called("delete", resource, None, name)
        obj = copy.deepcopy(self._find(resource, name, namespace or ""))
        if uid and uid != obj["metadata"]["uid"]:
            raise Conflict.modified(resource.group, resource.plural, name)
        finalizers = obj["metadata"].setdefault("finalizers", [])
        wanted = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(propagation)
        if wanted and wanted not in finalizers:
            finalizers.append(wanted)
        graceful = resource.plural in GRACEFUL and grace_period_s != 0 and bool(obj.get("spec", {}).get("nodeName"))
        key = self._key(resource, namespace or "", name)
        if not finalizers and not graceful and not (obj.get("spec") or {}).get("finalizers"):
            self._drop(key)
            return obj
        obj["metadata"].setdefault("deletionTimestamp", timestamp(self.clock.now()))
        self._replace(key, obj)
        return obj

    async def delete_collection(self, resource: Resource, namespace: str | None = None, **_: Any) -> None:
        await asyncio.sleep(0)
        for obj in self.all(resource, namespace):
            await self.delete(resource, obj["metadata"]["name"], namespace)

    async def watch(
        self, resource: Resource, namespace: str | None = None, *, resource_version: str, **_: Any
    ) -> AsyncIterator[WatchEvent]:
        queue: asyncio.Queue[WatchEvent] = asyncio.Queue()
        for event, plural in self.log:
            if plural == resource.qualified_name and int(event.object["metadata"]["resourceVersion"]) > int(
                resource_version
            ):
                queue.put_nowait(event)
        watcher = (resource.qualified_name, queue)
        self.watchers.append(watcher)
        try:
            while True:
                yield await queue.get()
        finally:
            self.watchers.remove(watcher)

    async def raw(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        document = self._discovery(path)
        return (404, {}, b"") if document is None else (200, {}, orjson.dumps(document))

    def _discovery(self, path: str) -> Object | None:
        if path == "/apis":
            groups = sorted({r.group for r in self.kinds if r.group})
            versions = {g: [{"groupVersion": r.api_version} for r in self.kinds if r.group == g][:1] for g in groups}
            return {
                "groups": [{"name": g, "versions": versions[g], "preferredVersion": versions[g][0]} for g in groups]
            }
        group_version = path.removeprefix("/apis/").removeprefix("/api/")
        found = [r for r in self.kinds if r.api_version == group_version]
        return {
            "resources": [
                {"name": r.plural, "kind": r.kind, "namespaced": r.namespaced, "verbs": list(r.verbs)} for r in found
            ]
        }

    async def close(self) -> None: ...

    def _called(self, verb: str, resource: Resource, obj: Object | None, name: str) -> None:
        self.calls.append((verb, resource.plural, name))
        self.refuse(verb, resource, obj)

    def _find(self, resource: Resource, name: str, namespace: str) -> Object:
        found = self.objects.get(self._key(resource, namespace, name))
        if found is None:
            raise NotFound.of(resource.group, resource.plural, name)
        return found

    @staticmethod
    def _key(resource: Resource, namespace: str, name: str) -> tuple[str, str, str]:
        return (resource.qualified_name, namespace if resource.namespaced else "", name)

    def _write(
        self, resource: Resource, key: tuple[str, str, str], old: Object, new: Object, subresource: str | None
    ) -> Object:
        if subresource in ("status", "finalize"):
            part = {"status": "status", "finalize": "spec"}[subresource]
            new = {**copy.deepcopy(old), "metadata": new["metadata"], part: new.get(part)}
        elif resource.has_subresource("status"):
            new["status"] = copy.deepcopy(old.get("status")) or {}
        return self._replace(key, new)

    def _replace(self, key: tuple[str, str, str], obj: Object) -> Object:
        old = self.objects[key]
        meta = obj["metadata"]
        meta["resourceVersion"] = old["metadata"]["resourceVersion"]
        if obj == old:
            return copy.deepcopy(old)
        if obj.get("spec") != old.get("spec") and "generation" in meta:
            meta["generation"] = old["metadata"]["generation"] + 1
        held = meta.get("finalizers") or (obj.get("spec") or {}).get("finalizers")
        if (
            meta.get("deletionTimestamp")
            and old["metadata"].get("deletionTimestamp")
            and not held
            and key[0] not in GRACEFUL
        ):
            self._drop(key)
            return obj
        self._store(key, obj, WatchEventType.MODIFIED)
        return copy.deepcopy(obj)

    def _store(self, key: tuple[str, str, str], obj: Object, kind: WatchEventType) -> None:
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        self.objects[key] = obj
        self._tell(key[0], WatchEvent(kind, copy.deepcopy(obj)))

    def _drop(self, key: tuple[str, str, str]) -> None:
        obj = copy.deepcopy(self.objects.pop(key))
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        self._tell(key[0], WatchEvent(WatchEventType.DELETED, obj))

    def _tell(self, plural: str, event: WatchEvent) -> None:
        self.log.append((event, plural))
        if plural in self.held:
            self.held[plural].append(event)
            return
        self._deliver(plural, event)

    def hold(self, resource: Resource) -> None:
        """Let watches of a kind fall behind, until `release`."""
        self.held[resource.qualified_name] = []

    def release(self, resource: Resource) -> None:
        for event in self.held.pop(resource.qualified_name):
            self._deliver(resource.qualified_name, event)

    def _deliver(self, plural: str, event: WatchEvent) -> None:
        for wanted, queue in self.watchers:
            if wanted == plural:
                queue.put_nowait(event)


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    target = target if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        else:
            target[key] = _merged(target.get(key), value)
    return target


class Loops:
    """Control loops on a fake API, in virtual time."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.api = FakeClient(self.clock)

    def now(self) -> str:
        return timestamp(self.clock.now())

    def run(
        self, controllers: list[Any], scenario: Callable[[], Awaitable[None]], settings: Settings | None = None
    ) -> ControllerManager:
        """Run the scenario while the loops run; returns after both ended."""

        async def main() -> ControllerManager:
            manager = ControllerManager(self.api, self.clock, controllers, settings=settings)
            task = asyncio.ensure_future(manager.run())
            await self.settle()
            try:
                await scenario()
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            return manager

        return asyncio.run(main())

    async def settle(self, seconds: float = 1.0) -> None:
        """Let everything that has been set off come to rest."""
        for _ in range(5):
            await self.clock.advance(seconds / 5)

    async def run_pods(self, ready: bool = True, namespace: str = "default") -> None:
        """Be the scheduler and the kubelet once: pods run and are ready, those that are being deleted are gone."""
        for pod in self.api.all(POD, namespace):
            name = pod["metadata"]["name"]
            if pod["metadata"].get("deletionTimestamp"):
                if not pod["metadata"].get("finalizers"):
                    self.api.remove(POD, name, namespace)
            elif (pod.get("status") or {}).get("phase") not in ("Running", "Succeeded", "Failed"):
                self.api.edit(POD, name, lambda p: p.update(self.running(p, ready)), namespace)
        await self.settle()

    def running(self, pod: Object, ready: bool = True) -> Object:
        conditions = [{"type": "Ready", "status": str(ready), "lastTransitionTime": self.now()}]
        pod["spec"].setdefault("nodeName", node_of(pod) or "node-1")
        return {
            "status": {**(pod.get("status") or {}), "phase": "Running", "conditions": conditions, "podIP": "10.244.0.9"}
        }

    def finish(self, pod: str, phase: str = "Succeeded", exit_code: int = 0, namespace: str = "default") -> None:
        """The pod's containers end."""

        def end(obj: Object) -> None:
            terminated = {"exitCode": exit_code, "finishedAt": self.now(), "startedAt": self.now()}
            statuses = [
                {"name": c["name"], "restartCount": 0, "state": {"terminated": terminated}}
                for c in obj["spec"]["containers"]
            ]
            obj["status"] = {**(obj.get("status") or {}), "phase": phase, "containerStatuses": statuses}

        self.api.edit(POD, pod, end, namespace)


@pytest.fixture
def loops() -> Loops:
    return Loops()
