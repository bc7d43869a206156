"""A delete begins with what the cache has: when that is old, everything is judged again on what the store has."""

import asyncio

import orjson
import pytest

from kajitori.api.core import CONFIG_MAP
from kajitori.api.errors import Conflict, Forbidden, NotFound
from kajitori.apiserver.documents import key_in_store
from kajitori.apiserver.extension import Extension
from kajitori.storage.interface import Delete, Put
from kajitori.storage.memory import MemoryStorage
from kajitori.testing.cluster import ControlPlane

KEY = key_in_store(CONFIG_MAP, "default", "a")
PATH = "/api/v1/namespaces/default/configmaps/a"


class SharedStorage(MemoryStorage):
    """After `hold` the cache sees nothing more, as when another server has just written. Counts reads of a key."""

    def __init__(self):
        super().__init__()
        self.open = asyncio.Event()
        self.open.set()
        self.reads = 0

    async def watch(self, prefix, after):
        async for event in super().watch(prefix, after):
            await self.open.wait()
            yield event

    async def read(self, key, at=0):
        self.reads += 1
        return await super().read(key, at)

    def hold(self):
        self.open.clear()

    async def elsewhere(self, **metadata):
        """Another server changes the object."""
        record = await super().read(KEY)
        obj = orjson.loads(record.value)
        obj["metadata"] |= metadata
        return await self.commit(Put(KEY, orjson.dumps(obj)), record.modified)


@pytest.fixture
def with_shared_store():
    def run(scenario):
        async def main():
            storage = SharedStorage()
            async with ControlPlane(storage=storage) as plane:
                await plane.settle()
                created = await plane.client.create(CONFIG_MAP, {"metadata": {"name": "a", "namespace": "default"}})
                await plane.settle()
                storage.reads = 0
                try:
                    await scenario(plane, storage, created["metadata"])
                finally:
                    storage.open.set()

        asyncio.run(main())

    return run


def test_what_the_cache_has_seen_is_deleted_without_a_read(with_shared_store):
    async def scenario(plane, storage, metadata):
        await plane.client.delete(CONFIG_MAP, "a", "default", uid=metadata["uid"])
        assert storage.reads == 0
        await plane.settle()
        with pytest.raises(NotFound):
            await plane.client.delete(CONFIG_MAP, "a", "default")
        assert storage.reads == 0

    with_shared_store(scenario)


def test_a_finalizer_added_elsewhere_is_never_lost(with_shared_store):
    async def scenario(plane, storage, metadata):
        storage.hold()
        await storage.elsewhere(finalizers=["a.example.com/x"])
        marked = await plane.client.delete(CONFIG_MAP, "a", "default")
        assert marked["metadata"]["deletionTimestamp"] and marked["metadata"]["finalizers"] == ["a.example.com/x"]
        assert b"a.example.com/x" in (await storage.read(KEY)).value

    with_shared_store(scenario)


def test_preconditions_are_of_the_newest_state(with_shared_store):
    async def scenario(plane, storage, metadata):
        storage.hold()
        changed = str(await storage.elsewhere(labels={"new": "1"}))
        with pytest.raises(Conflict, match=f"does not match the ResourceVersion in record \\({changed}\\)"):
            await plane.client.delete(CONFIG_MAP, "a", "default", resource_version=metadata["resourceVersion"])
        await plane.client.delete(CONFIG_MAP, "a", "default", resource_version=changed)
        assert await storage.read(KEY) is None

    with_shared_store(scenario)


def test_what_was_made_again_elsewhere_is_another_object(with_shared_store):
    async def scenario(plane, storage, metadata):
        storage.hold()
        await storage.elsewhere(uid="another")
        with pytest.raises(Conflict, match=r"does not match the UID in record \(another\)"):
            await plane.client.delete(CONFIG_MAP, "a", "default", uid=metadata["uid"])
        await plane.client.delete(CONFIG_MAP, "a", "default", uid="another")

    with_shared_store(scenario)


@pytest.mark.parametrize("query", ["", "?dryRun=All"])
def test_what_has_gone_elsewhere_is_not_found(with_shared_store, query):
    async def scenario(plane, storage, metadata):
        storage.hold()
        await storage.commit(Delete(KEY))
        assert (await plane.client.raw("DELETE", PATH + query))[0] == 404

    with_shared_store(scenario)


def test_what_the_cache_does_not_know_yet_is_deleted(with_shared_store):
    async def scenario(plane, storage, metadata):
        await plane.client.delete(CONFIG_MAP, "a", "default")
        await plane.settle()
        storage.hold()
        again = {"metadata": {"name": "a", "namespace": "default"}}
        await plane.client.create(CONFIG_MAP, again)
        await plane.client.delete(CONFIG_MAP, "a", "default")
        assert await storage.read(KEY) is None

    with_shared_store(scenario)


@pytest.mark.parametrize("verb", ["DELETE", "PATCH"])
def test_an_outcome_that_changes_nothing_is_of_the_newest_state(with_shared_store, verb):
    async def scenario(plane, storage, metadata):
        await storage.elsewhere(finalizers=["a.example.com/x"])
        await plane.client.delete(CONFIG_MAP, "a", "default")
        await plane.settle()
        storage.hold()
        await storage.commit(Delete(KEY))
        media = {"content-type": "application/merge-patch+json"}
        assert (await plane.client.raw(verb, PATH, b"{}" if verb == "PATCH" else b"", media))[0] == 404

    with_shared_store(scenario)


class Guard:
    """Refuses to delete what is labelled so, and counts how often it was asked."""

    def __init__(self):
        self.asked = []

    async def mutate(self, request): ...

    async def validate(self, request):
        if request.operation == "DELETE":
            self.asked.append((request.old["metadata"].get("labels") or {}).get("guarded"))
            if self.asked[-1] == "yes":
                raise Forbidden("guarded")


@pytest.mark.parametrize(
    ("before", "elsewhere", "asked", "goes"),
    [
        ("yes", None, ["yes"], False),
        ("yes", "no", ["yes", "no"], True),
        ("no", "yes", ["no", "yes"], False),
    ],
)
def test_admission_judges_the_newest_state(with_shared_store, before, elsewhere, asked, goes):
    async def scenario(plane, storage, metadata):
        guard = Guard()
        plane.server.install(Extension(admission=[guard]))
        await storage.elsewhere(labels={"guarded": before})
        await plane.settle()
        storage.hold()
        if elsewhere:
            await storage.elsewhere(labels={"guarded": elsewhere})
        try:
            await plane.client.delete(CONFIG_MAP, "a", "default")
        except Forbidden:
            assert not goes
        assert guard.asked == asked
        assert (await storage.read(KEY) is None) == goes

    with_shared_store(scenario)


def test_of_deletes_and_updates_at_once_no_finalizer_is_lost(with_shared_store):
    async def scenario(plane, storage, metadata):
        def with_finalizer(obj):
            obj["metadata"]["finalizers"] = ["a.example.com/x"]
            return obj

        adding = plane.server.objects.update(CONFIG_MAP, "a", "default", with_finalizer)
        added, *_ = await asyncio.gather(
            adding, *(plane.client.delete(CONFIG_MAP, "a", "default") for _ in range(5)), return_exceptions=True
        )
        assert isinstance(added, NotFound) == (await storage.read(KEY) is None)

    with_shared_store(scenario)


def test_a_collection_goes_although_the_cache_is_behind(with_shared_store):
    async def scenario(plane, storage, metadata):
        storage.hold()
        await storage.elsewhere(finalizers=["a.example.com/x"])
        path = "/api/v1/namespaces/default/configmaps?resourceVersion=0"
        # With a body, the revision is the list's alone and no precondition.
        assert (await plane.client.raw("DELETE", path, b"{}"))[0] == 200
        assert b"deletionTimestamp" in (await storage.read(KEY)).value

    with_shared_store(scenario)
