"""Watches: where they begin, what a selection sees, bookmarks, and those who fall behind."""

import asyncio
import gc
import weakref
from urllib.parse import urlencode

import orjson
import pytest

from kajitori.api.core import CONFIG_MAP, POD
from kajitori.api.errors import Expired, StatusError, Timeout
from kajitori.apiserver.extension import ADMIN
from kajitori.apiserver.http_types import Query, Request, Sink
from kajitori.apiserver.watch_cache import audience
from kajitori.apiserver.watch_cache import kind as kinds
from kajitori.client.cache import Cache
from kajitori.kit.clock import VirtualClock
from kajitori.testing.cluster import ControlPlane


class Peer(Sink):
    """The other end of a watch: a sink that can be slow."""

    def __init__(self):
        self.lines = []
        self.slow = False
        self.ended = False
        self.source = None

    @property
    def writable(self):
        return not self.slow

    def write(self, chunk):
        self.lines.append(orjson.loads(chunk))

    def end(self):
        self.ended = True

    def seen(self):
        return [(line["type"], line["object"]["metadata"].get("name")) for line in self.lines]


async def watch(plane, path, accept="application/json", **query):
    request = Request("GET", path, Query(urlencode({"watch": "1", **query})), {"accept": accept})
    response = await plane.server.answer(request, ADMIN)
    if response.source is None:
        raise StatusError.from_status(orjson.loads(response.body))
    peer = Peer()
    peer.source = response.source
    response.source.start(peer)
    return peer


MAPS = "/api/v1/namespaces/default/configmaps"


def config_map(name="a", namespace="default", labels=None):
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels or {}}}


async def now(plane):
    return (await plane.client.list(CONFIG_MAP)).resource_version


def test_events_after_a_revision_in_order(in_cluster):
    async def scenario(plane):
        since = await now(plane)
        await plane.client.create(CONFIG_MAP, config_map("a"))
        peer = await watch(plane, MAPS, resourceVersion=since)
        await plane.client.patch(CONFIG_MAP, "a", {"data": {"k": "v"}}, "default")
        await plane.client.create(CONFIG_MAP, config_map("b", "kube-system"))
        await plane.client.delete(CONFIG_MAP, "a", "default")
        await plane.settle()
        assert peer.seen() == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
        versions = [int(line["object"]["metadata"]["resourceVersion"]) for line in peer.lines]
        assert versions == sorted(set(versions)), "a deletion has a revision of its own"

    in_cluster(scenario)


def test_a_watch_that_begins_while_news_is_on_its_way_hears_it_once(in_cluster):
    async def scenario(plane):
        since = await now(plane)
        for name in ("a", "b"):
            await plane.client.create(CONFIG_MAP, config_map(name))
        while int(since) + 2 > plane.server.cache.revision:
            await asyncio.sleep(0)
        peers = [await watch(plane, MAPS, resourceVersion=version) for version in (since, "0")]
        await plane.settle()
        for peer in peers:
            assert peer.seen() == [("ADDED", "a"), ("ADDED", "b")]

    in_cluster(scenario)


@pytest.mark.parametrize("version", ["0", ""])
def test_without_a_revision_what_exists_comes_first(in_cluster, version):
    async def scenario(plane):
        await plane.client.create(CONFIG_MAP, config_map("a"))
        await plane.settle()
        peer = await watch(plane, MAPS, **({"resourceVersion": version} if version else {}))
        assert peer.seen() == [("ADDED", "a")]
        await plane.client.create(CONFIG_MAP, config_map("b"))
        await plane.settle()
        assert peer.seen() == [("ADDED", "a"), ("ADDED", "b")]

    in_cluster(scenario)


def test_a_streamed_list_ends_with_a_bookmark(in_cluster):
    async def scenario(plane):
        await plane.client.create(CONFIG_MAP, config_map("a"))
        options = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
        peer = await watch(plane, MAPS, **options)
        assert peer.seen() == [("ADDED", "a"), ("BOOKMARK", None)]
        metadata = peer.lines[1]["object"]["metadata"]
        assert metadata["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert int(metadata["resourceVersion"]) >= int(peer.lines[0]["object"]["metadata"]["resourceVersion"])

    in_cluster(scenario)


def test_objects_enter_and_leave_a_label_selection(in_cluster):
    async def scenario(plane):
        peer = await watch(plane, MAPS, resourceVersion=await now(plane), labelSelector="on=yes")
        await plane.client.create(CONFIG_MAP, config_map("a"))
        for labels in ({"on": "yes"}, {"on": "yes", "more": "x"}, {"on": "no"}):
            await plane.client.patch(CONFIG_MAP, "a", {"metadata": {"labels": labels}}, "default")
        await plane.client.delete(CONFIG_MAP, "a", "default")
        await plane.settle()
        assert peer.seen() == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
        left = peer.lines[-1]["object"]["metadata"]
        assert left["labels"]["on"] == "yes", "a leaving object is shown as it was"
        assert int(left["resourceVersion"]) > int(peer.lines[-2]["object"]["metadata"]["resourceVersion"])

    in_cluster(scenario)


def test_a_kubelet_sees_its_pods_come_and_go(in_cluster):
    async def scenario(plane):
        peer = await watch(plane, "/api/v1/pods", resourceVersion=await now(plane), fieldSelector="spec.nodeName=n1")
        for name, node in (("p", "n1"), ("q", "n2")):
            spec = {"containers": [{"name": "c", "image": "i"}], "nodeName": node}
            await plane.client.create(POD, {"metadata": {"name": name, "namespace": "default"}, "spec": spec})
        await plane.client.delete(POD, "p", "default", grace_period_s=0)
        await plane.settle()
        assert peer.seen() == [("ADDED", "p"), ("DELETED", "p")]

    in_cluster(scenario)


def test_one_object_by_name(in_cluster):
    async def scenario(plane):
        by_field = await watch(plane, MAPS, resourceVersion=await now(plane), fieldSelector="metadata.name=b")
        by_old_path = await watch(
            plane, "/api/v1/watch/namespaces/default/configmaps/b", resourceVersion=await now(plane)
        )
        for name in ("a", "b", "c"):
            await plane.client.create(CONFIG_MAP, config_map(name))
        await plane.settle()
        for peer in (by_field, by_old_path):
            assert peer.seen() == [("ADDED", "b")]

    in_cluster(scenario)


def test_a_history_that_does_not_reach_back_is_gone(in_cluster, monkeypatch):
    monkeypatch.setattr(kinds, "HISTORY_EVENTS", 3)

    async def scenario(plane):
        since = await now(plane)
        for index in range(5):
            await plane.client.create(CONFIG_MAP, config_map(f"c{index}"))
        await plane.settle()
        peer = await watch(plane, MAPS, resourceVersion=since)
        assert [line["type"] for line in peer.lines] == ["ERROR"] and peer.ended
        status = peer.lines[0]["object"]
        assert (status["code"], status["reason"]) == (410, "Expired")
        assert status["message"].startswith(f"too old resource version: {since} (")
        with pytest.raises(Expired):
            await anext(plane.client.watch(CONFIG_MAP, "default", resource_version=since))

    in_cluster(scenario)


def test_a_watch_from_a_revision_that_comes_a_moment_later_waits_for_it(in_cluster):
    async def scenario(plane):
        next_one = int(await now(plane)) + 1
        opening = asyncio.create_task(watch(plane, MAPS, resourceVersion=str(next_one)))
        await plane.clock.advance(1)
        assert not opening.done()
        await plane.client.create(CONFIG_MAP, config_map("past"))
        await plane.client.create(CONFIG_MAP, config_map("new"))
        peer = await opening
        await plane.settle()
        assert peer.seen() == [("ADDED", "new")]

    in_cluster(scenario)


def test_a_watch_from_a_revision_that_does_not_come_is_told_to_list_again(in_cluster):
    async def scenario(plane):
        newest = await now(plane)
        opening = asyncio.create_task(watch(plane, MAPS, resourceVersion="999999"))
        await plane.clock.advance(2.9)
        assert not opening.done()
        await plane.clock.advance(0.2)
        peer = await opening
        (line,) = peer.lines
        assert line["type"] == "ERROR" and peer.ended
        assert (line["object"]["code"], line["object"]["reason"]) == (410, "Expired")
        assert line["object"]["message"] == f"Timeout: Too large resource version: 999999, current: {newest}"

    in_cluster(scenario)


def test_a_list_at_a_revision_that_does_not_come_is_refused(in_cluster):
    async def scenario(plane):
        newest = await now(plane)
        reading = asyncio.create_task(plane.client.list(CONFIG_MAP, "default", resource_version="999999"))
        await plane.clock.advance(3.1)
        with pytest.raises(Timeout) as caught:
            await reading
        assert caught.value.is_too_large and caught.value.details["retryAfterSeconds"] == 1
        assert caught.value.message == f"Timeout: Too large resource version: 999999, current: {newest}"

    in_cluster(scenario)


def test_an_informer_gets_over_a_store_that_was_replaced():
    """The API server comes back with an empty store, whose revisions are below those that the informer knows."""

    async def scenario():
        clock = VirtualClock()
        async with ControlPlane(clock) as before:
            for index in range(20):
                await before.client.create(CONFIG_MAP, config_map(f"c{index}"))
            door = Door(before)
            cache = Cache(door, clock)
            informer = cache.informer(CONFIG_MAP)
            running = asyncio.create_task(cache.run())
            await cache.synced()
            assert len(informer.list()) == 20
        async with ControlPlane(clock) as after:
            door.plane = after
            await after.client.create(CONFIG_MAP, config_map("new"))
            await clock.advance(30)
            assert [obj["metadata"]["name"] for obj in informer.list()] == ["new"]
            await after.client.create(CONFIG_MAP, config_map("newer"))
            await after.settle()
            assert len(informer.list()) == 2
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scenario())


class Door:
    """A client of whichever control plane is there."""

    def __init__(self, plane):
        self.plane = plane

    def __getattr__(self, name):
        return getattr(self.plane.client, name)


def test_bookmarks_come_every_minute_to_those_who_asked(in_cluster):
    async def scenario(plane):
        since = await now(plane)
        peer = await watch(plane, MAPS, resourceVersion=since, allowWatchBookmarks="true")
        other = await watch(plane, MAPS, resourceVersion=since)
        await plane.client.create(POD, pod_in("default"))
        await plane.clock.advance(121)
        assert peer.seen() == [("BOOKMARK", None)] * 2 and other.lines == []
        newest = peer.lines[-1]["object"]
        assert newest["kind"] == "ConfigMap" and int(newest["metadata"]["resourceVersion"]) > int(since)

    in_cluster(scenario)


def test_a_last_bookmark_comes_before_the_end(in_cluster):
    async def scenario(plane):
        since = await now(plane)
        asked, short, plain = [
            await watch(plane, MAPS, resourceVersion=since, **more)
            for more in (
                {"timeoutSeconds": "10", "allowWatchBookmarks": "true"},
                {"timeoutSeconds": "2", "allowWatchBookmarks": "true"},
                {"timeoutSeconds": "10"},
            )
        ]
        await plane.clock.advance(7.5)
        assert asked.lines == []
        await plane.client.create(POD, pod_in("default"))
        await plane.clock.advance(1)
        assert asked.seen() == [("BOOKMARK", None)] and not asked.ended
        assert int(asked.lines[0]["object"]["metadata"]["resourceVersion"]) > int(since)
        await plane.clock.advance(2)
        assert asked.ended and short.ended and plain.ended
        assert len(asked.lines) == 1 and short.lines == plain.lines == []

    in_cluster(scenario)


def test_a_watch_takes_no_heed_of_continue_and_refuses_an_unknown_part_of_rows(in_cluster):
    async def scenario(plane):
        peer = await watch(plane, MAPS, resourceVersion=await now(plane), **{"continue": "x"})
        assert not peer.ended
        table = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
        for path in (MAPS, f"{MAPS}?watch=1"):
            status, _, body = await plane.client.raw(
                "GET", f"{path}{'&' if '?' in path else '?'}includeObject=none", b"", table
            )
            assert status == 400 and b"must be 'Metadata', 'Object', 'None', or empty" in body

    in_cluster(scenario)


def pod_in(namespace):
    return {
        "metadata": {"name": "p", "namespace": namespace},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }


def test_a_watch_ends_when_its_time_is_up(in_cluster):
    async def scenario(plane):
        peer = await watch(plane, MAPS, resourceVersion=await now(plane), timeoutSeconds="30")
        await plane.clock.advance(29)
        assert not peer.ended
        await plane.clock.advance(2)
        assert peer.ended
        await plane.client.create(CONFIG_MAP, config_map())
        await plane.settle()
        assert peer.lines == []

    in_cluster(scenario)


def test_a_slow_watcher_waits_and_then_catches_up(in_cluster):
    async def scenario(plane):
        peer = await watch(plane, MAPS, resourceVersion=await now(plane))
        peer.slow = True
        for index in range(5):
            await plane.client.create(CONFIG_MAP, config_map(f"c{index}"))
        await plane.settle()
        assert peer.lines == []
        peer.slow = False
        peer.source.resume()
        assert [name for _, name in peer.seen()] == [f"c{index}" for index in range(5)]

    in_cluster(scenario)


def test_a_watcher_too_far_behind_is_told_so_and_ended(in_cluster, monkeypatch):
    monkeypatch.setattr(audience, "LINES_MAX", 3)

    async def scenario(plane):
        peer = await watch(plane, MAPS, resourceVersion=await now(plane))
        peer.slow = True
        for index in range(6):
            await plane.client.create(CONFIG_MAP, config_map(f"c{index}"))
        await plane.settle()
        peer.slow = False
        peer.source.resume()
        assert [line["type"] for line in peer.lines] == ["ERROR"]
        assert peer.lines[0]["object"]["code"] == 410 and peer.ended

    in_cluster(scenario)


def test_what_exists_is_sent_as_fast_as_it_is_read(in_cluster):
    async def scenario(plane):
        for index in range(4):
            await plane.client.create(CONFIG_MAP, config_map(f"c{index}"))
        await plane.settle()
        request = Request("GET", MAPS, Query("watch=1&resourceVersion=0"))
        source = (await plane.server.answer(request, ADMIN)).source
        peer = Peer()
        peer.slow = True
        source.start(peer)
        await plane.client.create(CONFIG_MAP, config_map("later"))
        await plane.settle()
        assert peer.lines == []
        peer.slow = False
        source.resume()
        assert [name for _, name in peer.seen()] == ["c0", "c1", "c2", "c3", "later"]

    in_cluster(scenario)


def test_rows_of_a_table_can_be_watched(in_cluster):
    async def scenario(plane):
        accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
        peer = await watch(plane, MAPS, accept, resourceVersion=await now(plane))
        await plane.client.create(CONFIG_MAP, config_map("a"))
        await plane.client.create(CONFIG_MAP, config_map("b"))
        await plane.settle()
        assert [line["object"]["kind"] for line in peer.lines] == ["Table", "Table"]
        assert [line["object"]["rows"][0]["cells"][0] for line in peer.lines] == ["a", "b"]
        assert peer.lines[0]["object"]["columnDefinitions"] and not peer.lines[1]["object"]["columnDefinitions"]

    in_cluster(scenario)


def test_a_cache_that_lost_the_stores_watch_tells_the_differences(in_cluster):
    async def scenario(plane):
        seen = []
        await plane.client.create(CONFIG_MAP, config_map("a"))
        await plane.client.create(CONFIG_MAP, config_map("b"))
        await plane.settle()
        plane.server.objects.subscribe(CONFIG_MAP, lambda type, obj: seen.append((type, obj["metadata"]["name"])))
        peer = await watch(plane, MAPS, resourceVersion=await now(plane))
        await plane.server.cache.close()
        await plane.client.delete(CONFIG_MAP, "a", "default")
        await plane.client.create(CONFIG_MAP, config_map("c"))
        seen.clear()
        await plane.server.cache._rebuild()
        assert sorted(seen) == [("ADDED", "c"), ("DELETED", "a")]
        assert [line["type"] for line in peer.lines] == ["ERROR"] and peer.ended

    in_cluster(scenario)


def test_an_in_process_watch_gives_private_objects(in_cluster):
    async def scenario(plane):
        since = await now(plane)
        events = plane.client.watch(CONFIG_MAP, "default", resource_version=since)
        step = asyncio.ensure_future(anext(events))
        await plane.settle()
        await plane.client.create(CONFIG_MAP, config_map("a"))
        event = await step
        assert event.type == "ADDED" and event.object["metadata"]["name"] == "a"
        await events.aclose()
        assert plane.server.cache.kind(CONFIG_MAP).watchers() == []

    in_cluster(scenario)


def test_subscribers_begin_with_what_exists_and_see_every_change(in_cluster):
    async def scenario(plane):
        await plane.client.create(CONFIG_MAP, config_map("a"))
        await plane.settle()
        seen = []
        stop = plane.server.objects.subscribe(
            CONFIG_MAP, lambda type, obj: seen.append((type, obj["metadata"]["name"]))
        )
        await plane.client.create(CONFIG_MAP, config_map("b"))
        await plane.client.delete(CONFIG_MAP, "a", "default")
        await plane.settle()
        stop()
        await plane.client.create(CONFIG_MAP, config_map("c"))
        await plane.settle()
        assert seen == [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a")]

    in_cluster(scenario)


def test_a_part_that_fails_on_a_change_does_not_stop_the_others(in_cluster, caplog):
    async def scenario(plane):
        seen = []

        def broken(type, obj):
            raise ValueError("no")

        plane.server.objects.subscribe(CONFIG_MAP, broken)
        plane.server.objects.subscribe(CONFIG_MAP, lambda type, obj: seen.append(obj["metadata"]["name"]))
        await plane.client.create(CONFIG_MAP, config_map("a"))
        await plane.settle()
        await plane.client.create(CONFIG_MAP, config_map("b"))
        await plane.settle()
        assert seen == ["a", "b"] and "failed on a change" in caplog.text

    in_cluster(scenario)


def test_a_watch_whose_peer_has_gone_keeps_nothing_of_it(in_cluster):
    """Else connections with their buffers would wait for a collection of garbage."""

    async def scenario(plane):
        source = (await plane.server.answer(Request("GET", "/api/v1/configmaps", Query("watch=1")), ADMIN)).source
        peer = Peer()
        peer.source = source
        gone = weakref.ref(peer)
        source.start(peer)
        source.stop()
        gc.disable()
        del source, peer
        assert gone() is None

    try:
        in_cluster(scenario)
    finally:
        gc.enable()
