"""Informers: an exact copy whatever happens to the connection, and handlers that hear of every difference."""

import asyncio
import random
from contextlib import asynccontextmanager

import pytest

from kajitori.api.core import NODE, POD
from kajitori.api.errors import Forbidden, Timeout
from kajitori.api.meta import ObjectKey
from kajitori.client.cache import Cache
from kajitori.client.interface import Disconnected, WatchEventType
from kajitori.kit.clock import VirtualClock

A, B = ObjectKey("web", "a"), ObjectKey("web", "b")


def pod(name, namespace="web", **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


@asynccontextmanager
async def running(cache, clock):
    task = asyncio.ensure_future(cache.run())
    await clock.settle()
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def scenario(server, story, **selection):
    """Run `story(informer, heard, clock)` with an informer of pods that has synced."""

    async def main():
        clock = VirtualClock()
        cache = Cache(server, clock, random.Random(1))
        informer = cache.informer(POD, **selection)
        heard = []
        informer.subscribe(lambda kind, obj, old: heard.append((str(kind), obj["metadata"]["name"])))
        async with running(cache, clock):
            await cache.synced()
            await story(informer, heard, clock)

    asyncio.run(main())


def test_the_first_list_is_told_as_added(server):
    server.put(pod("a"))
    server.put(pod("b"))

    async def story(informer, heard, clock):
        assert heard == [("ADDED", "a"), ("ADDED", "b")]
        assert informer.get(A)["metadata"]["name"] == "a"
        assert len(informer.list()) == 2

    scenario(server, story)


def test_changes_come_by_watch(server):
    async def story(informer, heard, clock):
        server.put(pod("a"))
        server.put(pod("a", nodeName="n1"))
        server.remove(A)
        await clock.settle()
        assert heard == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
        assert informer.list() == []
        assert server.calls == ["list", "watch"]

    scenario(server, story)


def test_handlers_see_old_and_new(server):
    async def story(informer, heard, clock):
        seen = []
        server.put(pod("a"))
        await clock.settle()
        stop = informer.subscribe(lambda kind, obj, old: seen.append((kind, obj["spec"], old and old["spec"])))
        server.put(pod("a", nodeName="n1"))
        await clock.settle()
        assert seen == [(WatchEventType.ADDED, {}, None), (WatchEventType.MODIFIED, {"nodeName": "n1"}, {})]
        stop()
        server.remove(A)
        await clock.settle()
        assert len(seen) == 2

    scenario(server, story)


def test_a_handler_that_fails_does_not_harm_the_others(server, caplog):
    async def story(informer, heard, clock):
        heard.clear()

        def broken(kind, obj, old):
            raise RuntimeError("a bug")

        informer._handlers.insert(0, broken)
        server.put(pod("a"))
        await clock.settle()
        assert heard == [("ADDED", "a")]
        assert "a bug" in caplog.text

    scenario(server, story)


def test_a_watch_that_ends_goes_on_where_it_was(server):
    async def story(informer, heard, clock):
        server.put(pod("a"))
        await clock.settle()
        server.hang_up()
        server.put(pod("b"))
        await clock.advance(1)
        assert server.calls == ["list", "watch", "watch"]
        assert server.watched_from == ["10", "12"]
        assert heard == [("ADDED", "a"), ("ADDED", "b")]

    scenario(server, story)


def test_bookmarks_advance_the_resource_version(server):
    async def story(informer, heard, clock):
        server.bookmark(500)
        await clock.advance(2)
        server.hang_up()
        await clock.advance(1)
        assert server.watched_from == ["10", "500"]
        assert heard == []

    scenario(server, story)


def test_a_lost_connection_is_taken_up_again_after_a_pause(server):
    async def story(informer, heard, clock):
        server.fail = [Disconnected("no route")] * 3
        server.hang_up(Disconnected("reset"))
        await clock.settle()
        assert server.calls == ["list", "watch"]
        await clock.advance(10)
        assert server.calls == ["list", "watch", "watch", "watch", "watch", "watch"]
        server.put(pod("a"))
        await clock.settle()
        assert heard == [("ADDED", "a")]

    scenario(server, story)


def test_the_pause_grows_to_its_limit(server):
    async def story(informer, heard, clock):
        server.fail = [Disconnected("no route")] * 3600
        server.hang_up(Disconnected("reset"))
        await clock.advance(3600)
        # At its limit a try every 2 to 3 seconds.
        assert 1200 <= len(server.calls) <= 1810

    scenario(server, story)


def test_an_expired_watch_lists_again_and_tells_the_difference(server):
    server.put(pod("a"))
    server.put(pod("b"))
    server.put(pod("same"))

    async def story(informer, heard, clock):
        heard.clear()
        server.hang_up()
        server._history.clear()
        server.remove(A)
        server.put(pod("b", nodeName="n1"))
        server.put(pod("new"))
        server._history.clear()
        server.compact()
        await clock.advance(5)
        assert server.calls.count("list") == 2
        assert heard == [("DELETED", "a"), ("MODIFIED", "b"), ("ADDED", "new")]

    scenario(server, story)


def test_a_revision_that_the_server_does_not_reach_is_forgotten(server):
    """Its store was replaced: what it had before means nothing to it."""
    server.put(pod("a"))

    async def story(informer, heard, clock):
        server.hang_up(Timeout.too_large(1000, 3))
        server.put(pod("b"))
        await clock.advance(5)
        assert server.calls.count("list") == 2
        server.hang_up(Timeout("the store did not answer in time"))
        await clock.advance(5)
        assert server.calls.count("list") == 2

    scenario(server, story)


def test_an_object_made_anew_while_no_one_watched_is_deleted_and_added(server):
    server.put(pod("a"))

    async def story(informer, heard, clock):
        heard.clear()
        server.hang_up()
        server.remove(A)
        server.put(pod("a"))
        server._history.clear()
        server.compact()
        await clock.advance(5)
        assert heard == [("DELETED", "a"), ("ADDED", "a")]

    scenario(server, story)


def test_a_watch_that_ends_at_once_again_and_again_does_not_spin(server):
    async def story(informer, heard, clock):
        for _ in range(300):
            server.hang_up()
            await clock.advance(0.1)
        assert server.calls.count("watch") <= 20

    scenario(server, story)


def test_a_refused_list_is_tried_again(server):
    async def main():
        clock = VirtualClock()
        server.fail = [Forbidden("no"), Forbidden("no")]
        server.put(pod("a"))
        cache = Cache(server, clock)
        informer = cache.informer(POD)
        async with running(cache, clock):
            assert not informer.has_synced
            await clock.advance(5)
            assert informer.has_synced and informer.get(A)

    asyncio.run(main())


def test_nothing_happens_while_nothing_changes(server):
    async def story(informer, heard, clock):
        await clock.advance(24 * 3600)
        assert server.calls == ["list", "watch"]

    scenario(server, story)


def test_the_same_arguments_give_the_same_informer(server):
    async def main():
        cache = Cache(server, VirtualClock())
        assert cache.informer(POD) is cache.informer(POD)
        assert cache.informer(POD) is not cache.informer(POD, namespace="web")
        assert cache.informer(POD, field_selector="spec.nodeName=a") is not cache.informer(POD)
        assert cache.informer(POD) is not cache.informer(NODE)

    asyncio.run(main())


def test_an_informer_declared_late_starts_at_once(server):
    async def main():
        clock = VirtualClock()
        cache = Cache(server, clock)
        async with running(cache, clock):
            assert server.calls == []
            informer = cache.informer(POD)
            await cache.synced()
            assert informer.has_synced

    asyncio.run(main())


def test_a_dropped_informer_stops_watching(server):
    async def main():
        clock = VirtualClock()
        cache = Cache(server, clock)
        informer = cache.informer(POD)
        async with running(cache, clock):
            cache.drop([informer])
            server.put(pod("a"))
            await clock.settle()
            assert informer.list() == []
            assert cache.informer(POD) is not informer

    asyncio.run(main())


def by_node(obj):
    return [node] if (node := obj["spec"].get("nodeName")) else []


def test_an_index_follows_every_change(server):
    server.put(pod("a", nodeName="n1"))

    async def story(informer, heard, clock):
        informer.add_index("node", by_node)
        server.put(pod("b", nodeName="n1"))
        await clock.settle()
        assert [o["metadata"]["name"] for o in informer.by_index("node", "n1")] == ["a", "b"]
        server.put(pod("a", nodeName="n2"))
        server.remove(B)
        await clock.settle()
        assert informer.by_index("node", "n1") == []
        assert [o["metadata"]["name"] for o in informer.by_index("node", "n2")] == ["a"]

    scenario(server, story)


def test_an_index_name_means_one_function(server):
    async def story(informer, heard, clock):
        informer.add_index("node", by_node)
        informer.add_index("node", by_node)
        with pytest.raises(ValueError, match="another function"):
            informer.add_index("node", lambda obj: [])

    scenario(server, story)


def test_lists_can_be_of_one_namespace(server):
    server.put(pod("a", "web"))
    server.put(pod("a", "db"))

    async def story(informer, heard, clock):
        assert [o["metadata"]["namespace"] for o in informer.list("db")] == ["db"]
        assert informer.list("none") == []
        assert len(informer.list()) == 2

    scenario(server, story)
