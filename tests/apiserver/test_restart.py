"""Watchers go on after a restart of the server where they were: nothing missed, nothing repeated, no list anew unless
the store has compacted what they would have been told."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kajitori.api.core import CONFIG_MAP, SECRET
from kajitori.api.errors import AlreadyExists, Expired, NotFound
from kajitori.api.registry import BUILTIN, Registry
from kajitori.apiserver.local_client import LocalClient
from kajitori.apiserver.server import ApiServer
from kajitori.apiserver.watch_cache import earlier, kind
from kajitori.kit.clock import VirtualClock
from kajitori.storage.interface import Delete, Unavailable
from kajitori.storage.memory import MemoryStorage
from kajitori.storage.sqlite import SqliteStorage

SELECTIONS = [
    {},
    {"namespace": "default"},
    {"label_selector": "x=1"},
    {"label_selector": "!y", "namespace": "other"},
    {"field_selector": "metadata.name=a"},
]
LABELS = st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from(["1", "2"]), max_size=2)
WRITES = st.tuples(
    st.sampled_from(["create", "label", "delete", "secret"]),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["default", "other"]),
    LABELS,
)
TURNS = st.tuples(st.sampled_from(["settle", "away", "restart", "compact", "follow"]), st.just(""), st.just(""), LABELS)
STEPS = st.lists(WRITES | TURNS, max_size=40)


class Ledger(MemoryStorage):
    """Outlives the servers, and remembers which revisions are of config maps and how far it was compacted."""

    def __init__(self):
        super().__init__()
        self.written = []
        self.compacted = 0

    async def commit(self, change, expect=None):
        before = self.known_revision()
        revision = await super().commit(change, expect)
        if revision > before and change.key.startswith("/registry/core/configmaps/"):
            self.written.append((revision, isinstance(change, Delete)))
        return revision

    async def compact(self, before):
        await super().compact(before)
        self.compacted = max(self.compacted, before)


class Follower:
    """Lists once, then watches from the revision it saw last, whichever server is there."""

    def __init__(self, ledger, selection):
        self.ledger = ledger
        self.selection = dict(selection)
        self.namespace = self.selection.pop("namespace", None)
        self.held = None
        self.last = 0
        self.told = []
        self.gaps = []

    async def run(self, client):
        while True:
            if self.held is None:
                await self.list(client)
            try:
                await self.watch(client)
                return
            except Expired:
                assert self.last < self.ledger.compacted, f"410 at {self.last}, compacted to {self.ledger.compacted}"
                self.held = None

    async def list(self, client):
        listed = await client.list(CONFIG_MAP, self.namespace, **self.selection)
        self.held = {identity(obj): obj for obj in listed.items}
        self.gaps.append((self.last, int(listed.resource_version)))
        self.last = int(listed.resource_version)

    async def watch(self, client):
        watch = client.watch(CONFIG_MAP, self.namespace, resource_version=str(self.last), **self.selection)
        async for event in watch:
            revision = int(event.object["metadata"]["resourceVersion"])
            if event.type == "BOOKMARK":
                assert revision >= self.last
            else:
                assert revision > self.last, "told twice, or out of order"
                self.take(event, revision)
            self.last = revision

    def take(self, event, revision):
        key = identity(event.object)
        self.told.append(revision)
        assert (key in self.held) == (event.type != "ADDED"), f"{event.type} of {key} at {revision}"
        if event.type == "DELETED":
            del self.held[key]
        else:
            self.held[key] = event.object

    def check(self, listed):
        assert self.held == {identity(obj): obj for obj in listed.items}
        if not self.selection and self.namespace is None:
            missed = {revision for revision, _ in self.ledger.written} - set(self.told)
            assert all(any(low < revision <= high for low, high in self.gaps) for revision in missed)


def identity(obj):
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


class World:
    def __init__(self, storage):
        self.storage = storage
        self.clock = VirtualClock()
        self.server = None
        self.followers = []
        self.tasks = []

    async def start(self):
        self.server = ApiServer(self.storage, Registry(BUILTIN), self.clock)
        await self.server.start()
        self.client = LocalClient(self.server)
        self.tasks = [asyncio.create_task(follower.run(self.client)) for follower in self.followers]

    async def away(self):
        """Nobody follows until the next restart."""
        for task in self.tasks:
            task.cancel()
        ended = await asyncio.gather(*self.tasks, return_exceptions=True)
        assert all(isinstance(how, asyncio.CancelledError) for how in ended), ended
        self.tasks = []

    async def restart(self):
        await self.away()
        await self.server.stop()
        await self.start()

    def follow(self, selection):
        self.followers.append(Follower(self.storage, selection))
        self.tasks.append(asyncio.create_task(self.followers[-1].run(self.client)))

    async def act(self, action, name, namespace, labels):
        match action:
            case "settle":
                await self.clock.settle()
            case "away":
                await self.away()
            case "restart":
                await self.restart()
            case "compact":
                await self.storage.compact(self.storage.known_revision())
            case "follow":
                for selection in SELECTIONS:
                    self.follow(selection)
            case _:
                await self.write(action, name, namespace, labels)

    async def write(self, action, name, namespace, labels):
        obj = {"metadata": {"name": name, "namespace": namespace, "labels": labels}}
        try:
            if action == "create":
                await self.client.create(CONFIG_MAP, obj)
            elif action == "label":
                patch = {"metadata": {"labels": {"x": None, "y": None} | labels}}
                await self.client.patch(CONFIG_MAP, name, patch, namespace)
            elif action == "delete":
                await self.client.delete(CONFIG_MAP, name, namespace)
            else:
                await self.client.create(SECRET, obj)
        except (AlreadyExists, NotFound):
            return


@settings(max_examples=60)
@given(STEPS)
def test_nothing_is_missed_or_repeated_across_restarts(steps):
    async def main():
        world = World(Ledger())
        await world.start()
        for selection in SELECTIONS:
            world.follow(selection)
        await world.clock.settle()
        for step in steps:
            await world.act(*step)
        await world.restart()
        await world.clock.settle()
        for follower, task in zip(world.followers, world.tasks, strict=True):
            assert not task.done(), task.exception()
            follower.check(await world.client.list(CONFIG_MAP, follower.namespace, **follower.selection))
        await world.away()
        await world.server.stop()

    asyncio.run(main())


@asynccontextmanager
async def served(storage):
    """A server of its own over a store that stays."""
    world = World(storage)
    await world.start()
    yield world
    await world.server.stop()


async def config_map(client, name, **metadata):
    return await client.create(CONFIG_MAP, {"metadata": {"name": name, "namespace": "default", **metadata}})


async def told(world, revision, count=0, **selection):
    """The first `count` events after a revision as (type, name); all there are now without one."""
    found = []
    watch = world.client.watch(CONFIG_MAP, "default", resource_version=revision, **selection)
    try:
        while not count or len(found) < count:
            event = await asyncio.wait_for(anext(watch), 60)
            found.append((str(event.type), event.object["metadata"]["name"]))
    finally:
        await watch.aclose()
    return found


async def write_a_little(world):
    before = (await config_map(world.client, "seen"))["metadata"]["resourceVersion"]
    await config_map(world.client, "a", labels={"x": "1"})
    await world.client.patch(CONFIG_MAP, "a", {"metadata": {"labels": {"x": None}}}, "default")
    await config_map(world.client, "b")
    await world.client.delete(CONFIG_MAP, "b", "default")
    return before


WRITTEN = [("ADDED", "a"), ("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "b")]


def test_sqlite_tells_after_a_restart_what_was_before_it(tmp_path):
    async def main():
        storage = await SqliteStorage.open(tmp_path / "state.db")
        async with served(storage) as world:
            before = await write_a_little(world)
        await storage.close()
        storage = await SqliteStorage.open(tmp_path / "state.db")
        async with served(storage) as world:
            assert await told(world, before, 4) == WRITTEN
            assert await told(world, before, 2, label_selector="x=1") == [("ADDED", "a"), ("DELETED", "a")]
        await storage.close()

    asyncio.run(main())


def restarted(scenario):
    async def main():
        storage = MemoryStorage()
        async with served(storage) as world:
            before = await write_a_little(world)
        async with served(storage) as world:
            await scenario(world, storage, before)

    asyncio.run(main())


def test_the_past_is_read_once_for_all_who_ask_for_it():
    async def scenario(world, storage, before):
        asked, history = [], storage.history

        async def counted(prefix, *rest):
            asked.append(prefix)
            return await history(prefix, *rest)

        storage.history = counted
        assert await asyncio.gather(*(told(world, before, 4) for _ in range(5))) == [WRITTEN] * 5
        assert asked == ["/registry/core/configmaps/"]

    restarted(scenario)


def test_what_the_store_has_compacted_is_listed_again():
    async def scenario(world, storage, before):
        await storage.compact(storage.known_revision())
        with pytest.raises(Expired, match="too old resource version"):
            await told(world, before, 4)

    restarted(scenario)


def test_more_than_is_kept_is_listed_again_and_not_read_twice(monkeypatch):
    async def scenario(world, storage, before):
        monkeypatch.setattr(kind, "HISTORY_EVENTS", 3)
        with pytest.raises(Expired):
            await told(world, before, 4)
        monkeypatch.setattr(storage, "history", None)
        with pytest.raises(Expired):
            await told(world, before, 4)

    restarted(scenario)


def test_a_store_that_cannot_tell_makes_watchers_list_again(monkeypatch):
    async def scenario(world, storage, before):
        async def ill(*asked):
            raise Unavailable("gone")

        monkeypatch.setattr(storage, "history", ill)
        with pytest.raises(Expired):
            await told(world, before, 4)

        async def silent(*asked):
            await asyncio.Event().wait()

        monkeypatch.setattr(storage, "history", silent)
        waiting = [asyncio.ensure_future(told(world, before, 4)) for _ in range(3)]
        await world.clock.advance(earlier.PATIENCE_S)
        for one in waiting:
            with pytest.raises(Expired):
                await one

    restarted(scenario)


def test_what_has_been_let_go_of_is_not_fetched_again():
    async def scenario(world, storage, before):
        assert await told(world, before, 4) == WRITTEN
        await world.clock.advance(kind.HISTORY_S + 1)
        await config_map(world.client, "later")
        await world.clock.settle()
        with pytest.raises(Expired):
            await told(world, before, 4)

    restarted(scenario)
