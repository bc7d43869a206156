"""Whether a write and a watch event cost the same among 150,000 objects as among 1,000.

    python -m bench.growth [--kind configmaps|pods] [--most N]

A whole server without HTTP in this process, as in `bench.writes`. At each size, microseconds of CPU for one create
among many (all threads), and for giving one event to one of 200 watchers, up to the bytes that its connection gets.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import uvloop

from bench.writes import NAMESPACE, USER, WORK, running, together
from kajitori.api.resource import Resource
from kajitori.apiserver.http_types import Query, Request, Source
from kajitori.apiserver.server import ApiServer
from kajitori.apiserver.watch_cache.entry import CachedEvent
from kajitori.apiserver.watch_cache.kind import KindCache

SIZES = (1_000, 10_000, 50_000, 100_000, 150_000)
WATCHERS, TOLD = 200, 50
ROUNDS, COUNT = 5, 400


class _Counting:
    """A sink that is always writable."""

    def __init__(self) -> None:
        self.events = 0

    @property
    def writable(self) -> bool:
        return True

    def write(self, chunk: bytes) -> None:
        self.events += 1

    def end(self) -> None:
        raise AssertionError("the watch ended")


async def _watching(server: ApiServer, resource: Resource) -> list[tuple[Source, _Counting]]:
    query = f"watch=1&resourceVersion={server.cache.revision}&timeoutSeconds=3600"
    begun = []
    for _ in range(WATCHERS):
        response = await server.answer(Request("GET", resource.path(NAMESPACE), Query(query)), USER)
        assert response.source is not None, response.body
        sink = _Counting()
        response.source.start(sink)
        begun.append((response.source, sink))
    return begun


async def _per_event(server: ApiServer, resource: Resource, body: bytes) -> float:
    """Microseconds for one event and one watcher: the newest event is told again and again."""
    kind, before = server.cache.kind(resource), server.cache.revision
    watching = await _watching(server, resource)
    await together(server, resource, body, 1)
    await server.cache.caught_up()
    event = kind.since(before)[-1]
    best_ns = min([_told_ns(kind, event) for _ in range(ROUNDS)])
    for source, sink in watching:
        assert sink.events >= ROUNDS * TOLD, f"{sink.events} events of {ROUNDS * TOLD}"
        source.stop()
    return best_ns / WATCHERS / TOLD / 1e3


def _told_ns(kind: KindCache, event: CachedEvent) -> int:
    started_ns = time.thread_time_ns()
    for _ in range(TOLD):
        kind.tell(event)
    return time.thread_time_ns() - started_ns


async def _at_size(server: ApiServer, resource: Resource, body: bytes) -> None:
    size = len(server.cache.kind(resource))
    create_us = min([await together(server, resource, body, COUNT) for _ in range(ROUNDS)])
    event_us = await _per_event(server, resource, body)
    print(f"{size:9,} {create_us:9.1f} us {event_us:9.2f} us", flush=True)


async def _grow(kind: str, most: int) -> None:
    resource, document = WORK[kind]
    body = json.dumps(document).encode()
    print(f"{kind:>9} {'a create':>12} {'an event':>12}")
    with tempfile.TemporaryDirectory() as directory:
        async with running(Path(directory)) as server:
            for size in (size for size in SIZES if size <= most):
                missing = size - len(server.cache.kind(resource))
                await together(server, resource, body, missing)
                await _at_size(server, resource, body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=WORK, default="configmaps")
    parser.add_argument("--most", type=int, default=SIZES[-1])
    options = parser.parse_args()
    uvloop.run(_grow(options.kind, options.most))


if __name__ == "__main__":
    main()
