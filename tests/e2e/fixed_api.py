"""An API server reduced to what informers ask of it, and waiting."""

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.client.interface import ObjectList, WatchEvent, WatchEventType


def sh(command: str, stdin: str = "", **environment: str) -> str:
    done = subprocess.run(
        ["/bin/sh", "-c", command], input=stdin, capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, f"{command}: {done.stdout} {done.stderr}"
    return done.stdout


class FixedApi:
    """An API server reduced to what informers ask of it."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.watchers: dict[str, list[asyncio.Queue[WatchEvent]]] = {}
        self.revision = 0

    def put(self, resource: Resource, obj: Object) -> None:
        self.revision += 1
        meta = {"uid": obj["metadata"]["name"], **obj["metadata"]}
        meta["resourceVersion"] = str(self.revision)
        key = (resource.plural, meta.get("namespace", ""), meta["name"])
        event = WatchEventType.MODIFIED if key in self.objects else WatchEventType.ADDED
        self.objects[key] = {**obj, "metadata": meta}
        for queue in self.watchers.get(resource.plural, ()):
            queue.put_nowait(WatchEvent(event, self.objects[key]))

    async def list(self, resource: Resource, *_: Any, **__: Any) -> ObjectList:
        return ObjectList([o for key, o in self.objects.items() if key[0] == resource.plural], str(self.revision))

    async def patch(self, resource: Resource, name: str, patch: Any, namespace: str, **_: Any) -> Object:
        obj = {**self.objects[resource.plural, namespace, name], **patch}
        self.put(resource, obj)
        return obj

    async def watch(self, resource: Resource, *_: Any, **__: Any) -> AsyncIterator[WatchEvent]:
        queue: asyncio.Queue[WatchEvent] = asyncio.Queue()
        self.watchers.setdefault(resource.plural, []).append(queue)
        while True:
            yield await queue.get()


async def eventually(condition: Callable[[], bool], what: str, timeout_s: float = 30) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(0.02)
