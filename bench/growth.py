"""Whether a write and a watch event cost the same among 150,000 objects as among 1,000.

    python -m bench.growth [--kind configmaps|pods] [--most N]

A whole server without HTTP in this process, as in `bench.writes`. At each size, microseconds of CPU (all threads) for
one create among many, the same with watchers of which each gets every event, and, from the difference, for one event
given to one watcher.
"""

import argparse
import asyncio
import json
import tempfile
from pathlib import Path

import uvloop

from bench.writes import NAMESPACE, USER, WORK, running, together
from kajitori.api.resource import Resource
from kajitori.apiserver.http_types import Query, Request, Source
from kajitori.apiserver.server import ApiServer

SIZES = (1_000, 10_000, 50_000, 100_000, 150_000)
WATCHERS = 50
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


async def _per_create(server: ApiServer, resource: Resource, body: bytes) -> float:
    return min([await together(server, resource, body, COUNT) for _ in range(ROUNDS)])


async def _at_size(server: ApiServer, resource: Resource, body: bytes) -> None:
    size = len(server.cache.kind(resource))
    alone_us = await _per_create(server, resource, body)
    watching = await _watching(server, resource)
    watched_us = await _per_create(server, resource, body)
    await asyncio.sleep(0)  # watchers are told on the turn after the answer
    for source, sink in watching:
        assert sink.events == ROUNDS * COUNT, f"{sink.events} events of {ROUNDS * COUNT}"
        source.stop()
    per_event_us = (watched_us - alone_us) / WATCHERS
    print(f"{size:9,} {alone_us:12.1f} us {watched_us:12.1f} us {per_event_us:12.2f} us", flush=True)


async def _grow(kind: str, most: int) -> None:
    resource, document = WORK[kind]
    body = json.dumps(document).encode()
    print(f"{kind:>9} {'a create':>15} {f'{WATCHERS} watchers':>15} {'an event':>15}")
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
