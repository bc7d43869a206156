"""What one create costs inside the API server, stage by stage, in microseconds of CPU.

    python -m bench.writes [--count N] [--kind configmaps|pods]

A whole server runs in this process (SQLite on disk, RBAC, every admission plugin), without HTTP. First the stages of a
create are run one after the other on the same thread, so that each one's own cost shows; then many creates at once,
as connections would bring them, by the CPU time of all threads. CPU time, because wall time says more about the
neighbours than about the code.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from kajitori.api import core
from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.apiserver.documents import key_in_store
from kajitori.apiserver.http_types import Request, RequestContext
from kajitori.apiserver.interfaces import AdmissionRequest, Attributes, Operation, User
from kajitori.apiserver.rest import creating
from kajitori.apiserver.rest import metadata as object_meta
from kajitori.apiserver.rest.admitting import admit_mutating, admit_validating
from kajitori.apiserver.rest.backend import shown_bytes, stored_bytes
from kajitori.apiserver.rest.decoding import decode_object
from kajitori.apiserver.rest.options import write_options
from kajitori.apiserver.server import ApiServer
from kajitori.apiserver.watch_cache.kind import KindCache
from kajitori.kit.clock import SystemClock
from kajitori.storage.interface import ABSENT, Put, Record
from kajitori.storage.sqlite import SqliteStorage
from kajitori.testing.secured import secured_server

T = TypeVar("T")

NAMESPACE = "default"
CONNECTIONS = 32
ROUNDS = 8
USER = User(f"system:serviceaccount:{NAMESPACE}:bench", ("system:serviceaccounts", "system:authenticated"))
_HEADERS = {"content-type": "application/json", "accept": "application/json", "user-agent": "bench/1"}

_CONFIG_MAP: Object = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"generateName": "cm-"},
    "data": {"k": "x" * 200},
}
_CONTAINER: Object = {
    "name": "pause",
    "image": "registry.k8s.io/pause:3.10",
    "ports": [{"containerPort": 80}],
    "resources": {"requests": {"cpu": "100m", "memory": "500Mi"}},
}
_POD: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"generateName": "pod-", "labels": {"app": "a0"}},
    "spec": {"containers": [_CONTAINER]},
}
WORK: dict[str, tuple[Resource, Object]] = {
    "configmaps": (core.CONFIG_MAP, _CONFIG_MAP),
    "pods": (core.POD, _POD),
}


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[ApiServer]:
    """A server with everything but HTTP."""
    storage = await SqliteStorage.open(directory / "store.db")
    async with secured_server(directory / "pki", SystemClock(), storage) as secured:
        await _account(secured.server)
        yield secured.server


async def _account(server: ApiServer) -> None:
    """What the benchmark's user and its pods need."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": NAMESPACE}}
    await server.objects.create(core.SERVICE_ACCOUNT, account)
    binding = server.registry.by_kind("rbac.authorization.k8s.io/v1", "ClusterRoleBinding")
    assert binding is not None, "RBAC is built in"
    subject = {"kind": "User", "name": USER.name, "apiGroup": "rbac.authorization.k8s.io"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    document = {"apiVersion": binding.api_version, "kind": binding.kind, "metadata": {"name": "bench"}}
    await server.objects.create(binding, {**document, "roleRef": role, "subjects": [subject]})
    await server.cache.caught_up()


def at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError(f"{coroutine.__qualname__} waits: it is no stage of its own")


class Stages:
    """CPU time by stage, in the order of the first call; of several rounds the best, because whatever else runs on
    the machine only ever adds."""

    def __init__(self) -> None:
        self.best_us: dict[str, float] = {}
        self._spent_ns: dict[str, int] = {}

    def __call__(self, name: str, work: Callable[..., T], *arguments: Any) -> T:
        started_ns = time.thread_time_ns()
        result = work(*arguments)
        self._spent_ns[name] = self._spent_ns.get(name, 0) + time.thread_time_ns() - started_ns
        return result

    def end_round(self, count: int) -> None:
        for name, spent_ns in self._spent_ns.items():
            spent_us = spent_ns / count / 1e3
            self.best_us[name] = min(spent_us, self.best_us.get(name, spent_us))
        self._spent_ns.clear()


def one_by_one(server: ApiServer, resource: Resource, body: bytes, count: int, stages: Stages) -> None:
    """The steps of `rest.creating`, one after the other, up to what the store and the cache are given."""
    backend = server.backend
    request = Request("POST", resource.path(NAMESPACE), headers=_HEADERS, body=body)
    attributes = Attributes(USER, "create", resource.group, resource.version, resource.plural, "", NAMESPACE)
    context = RequestContext(request, USER, attributes, resource)
    validation = write_options(context.query).field_validation
    cache = KindCache("/", 0)
    cache.bind(resource)
    for number in range(1, count + 1):
        obj = stages("decode and conform", decode_object, resource, context, validation)
        if resource.default is not None:
            stages("defaults", resource.default, obj)
        stages("managed fields", creating._track, backend, resource, obj, "bench")
        asked = AdmissionRequest(USER, Operation.CREATE, resource, NAMESPACE, "", obj)
        stages("admission, mutating", lambda request: at_once(admit_mutating(backend, request)), asked)
        owned = obj["metadata"].pop("managedFields")
        stages("metadata, status", creating.prepare, backend, resource, obj, NAMESPACE)
        metadata = obj["metadata"]
        metadata["managedFields"] = owned
        base = metadata["generateName"]
        metadata["name"] = stages("generate a name", object_meta.generated_name, base, backend.rng)
        stages("validation", creating.check, resource, obj)
        stages("admission, validating", lambda request: at_once(admit_validating(backend, request)), asked)
        value = stages("encode", stored_bytes, resource, obj)
        key = key_in_store(resource, NAMESPACE, metadata["name"])
        stages("watch cache", cache.apply, key, Record(key, value, number, number), number, 0.0)
        stages("the answer's bytes", shown_bytes, resource, value, number, obj)
    stages.end_round(count)


async def store_alone(storage: SqliteStorage, value: bytes, count: int, base: int) -> float:
    """Microseconds of CPU, of the loop's and the writer's thread, for one commit among many."""
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await storage.commit(Put(f"/bench/configmaps/{base}/{number:08x}", value), ABSENT)

    return await _cpu_us(worker, count)


async def together(server: ApiServer, resource: Resource, body: bytes, count: int) -> float:
    """Microseconds of CPU, of all threads, for one create among many; authorization included."""
    numbers, path = iter(range(count)), resource.path(NAMESPACE)

    async def worker() -> None:
        for _ in numbers:
            response = await server.answer(Request("POST", path, headers=_HEADERS, body=body), USER)
            assert response.status == 201, response.body

    return await _cpu_us(worker, count)


async def _cpu_us(worker: Callable[[], Coroutine[Any, Any, None]], count: int) -> float:
    started_s = time.process_time()
    await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))
    return (time.process_time() - started_s) / count * 1e6


async def _measure(kinds: list[str], count: int) -> None:
    """`count` of each in every round."""
    with tempfile.TemporaryDirectory() as directory:
        async with running(Path(directory)) as server:
            for kind in kinds:
                resource, document = WORK[kind]
                body = json.dumps(document).encode()  # with spaces, as most clients but those in Go write it
                stages = Stages()
                for _ in range(ROUNDS):
                    one_by_one(server, resource, body, count, stages)
                whole_us = min([await together(server, resource, body, count) for _ in range(ROUNDS)])
                print(kind)
                for name, spent_us in stages.best_us.items():
                    print(f"  {name:32} {spent_us:8.1f} us")
                print(f"  {'together':32} {sum(stages.best_us.values()):8.1f} us")
                print(f"  {'a whole create, of many at once':32} {whole_us:8.1f} us")
        storage = await SqliteStorage.open(Path(directory) / "alone.db")
        alone_us = min([await store_alone(storage, b"x" * 700, count, base) for base in range(ROUNDS)])
        print(f"a commit alone, of many at once    {alone_us:8.1f} us")
        await storage.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--kind", choices=WORK, action="append")
    options = parser.parse_args()
    uvloop.run(_measure(options.kind or list(WORK), options.count))


if __name__ == "__main__":
    main()
