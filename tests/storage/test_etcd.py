"""The etcd store where it differs: addresses, members that go away and come back."""

import asyncio

import pytest

from kajitori.kit.clock import SystemClock, VirtualClock
from kajitori.storage.etcd import EtcdStorage
from kajitori.storage.etcd_channel import EtcdAddress, Members
from kajitori.storage.interface import CannotOpen, Delete, Put, Unavailable

A = "/pods/a"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("etcd://a:2379", EtcdAddress(("a:2379",))),
        ("etcd://a:1,[::1]:2,c:3/registry/", EtcdAddress(("a:1", "[::1]:2", "c:3"), "/registry")),
        ("etcd://a:1?ca=/x&cert=/y&key=/z", EtcdAddress(("a:1",), ca="/x", certificate="/y", key="/z")),
    ],
)
def test_addresses(url, expected):
    assert EtcdAddress.parse(url) == expected


@pytest.mark.parametrize("url", ["etcd://", "etcd://a", "http://a:1", "etcd://a:1?user=x", "etcd://a:1,b"])
def test_addresses_that_make_no_sense(url):
    with pytest.raises(CannotOpen):
        EtcdAddress.parse(url)


def test_certificates_that_are_missing_are_named(tmp_path):
    with pytest.raises(CannotOpen, match=r"nowhere/ca\.pem"):
        Members(EtcdAddress(("a:1",), ca=f"{tmp_path}/nowhere/ca.pem"))


def test_a_certificate_without_its_key_is_refused(tmp_path):
    with pytest.raises(CannotOpen, match="give both, or neither"):
        Members(EtcdAddress(("a:1",), certificate=f"{tmp_path}/cert.pem"))


def test_the_next_member_is_used_after_one_failed():
    members = Members(EtcdAddress(("a:1", "b:1", "c:1")))
    members.turn_from("a:1")
    members.turn_from("a:1")
    assert members.chosen == "b:1"
    members.turn_from("b:1")
    members.turn_from("c:1")
    assert members.chosen == "a:1"


def test_a_member_that_is_not_there_is_named():
    async def main():
        store = EtcdStorage(EtcdAddress(("127.0.0.1:1",)), VirtualClock())
        with pytest.raises(Unavailable, match=r"etcd 127\.0\.0\.1:1: .*check that most members"):
            await store.commit(Put(A, b"1"))
        await store.close()

    asyncio.run(main())


@pytest.mark.e2e
def test_a_watch_outlives_a_restart_of_its_member(etcd, connected):
    async def main():
        store = await connected(etcd.address)
        stream = store.watch("", await store.revision())
        first = await store.commit(Put(A, b"1"))
        assert (await anext(stream)).revision == first
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        etcd.stop()
        etcd.start()
        other = await connected(etcd.address)
        second = await other.commit(Put(A, b"2"))
        event = await asyncio.wait_for(waiting, 30)
        assert (event.revision, event.previous.modified) == (second, first)
        await other.close()
        await store.close()

    asyncio.run(main())


@pytest.mark.e2e
def test_reads_go_to_a_member_that_answers(etcd, connected):
    async def main():
        await (await connected(etcd.address)).close()
        both = f"etcd://127.0.0.1:1,{etcd.address.removeprefix('etcd://')}"
        store = EtcdStorage(EtcdAddress.parse(both), SystemClock())
        assert await store.read(A) is None
        assert await store.commit(Put(A, b"1"))
        await store.close()

    asyncio.run(main())


@pytest.mark.e2e
def test_what_others_write_in_the_same_etcd_is_no_revision_of_ours(etcd, connected):
    """Else a consistent read would wait for an event that never comes."""

    async def main():
        ours, theirs = await connected(etcd.address + "/ours"), await connected(etcd.address + "/ours-not")
        first = await ours.commit(Put(A, b"1"))
        for _ in range(5):
            await theirs.commit(Put(A, b"2"))
        assert await ours.revision() == first
        page = await ours.scan("")
        assert [(record.key, record.value) for record in page.records] == [(A, b"1")]
        stream = ours.watch("", first)
        second = await ours.commit(Delete(A))
        assert (await anext(stream)).revision == second == await ours.revision() > page.revision
        await ours.close()
        await theirs.close()

    asyncio.run(main())


@pytest.mark.e2e
def test_a_periodic_task_is_one_servers(etcd, connected):
    async def main():
        stores = [await connected(etcd.address) for _ in range(3)]
        for _ in range(3):
            since = await stores[0].commit(Put(A, b"1"))
            turns = await asyncio.gather(*(store.take_turn("compaction", since) for store in stores))
            assert sum(turns) == 1
            assert not any([await store.take_turn("compaction", since) for store in stores])
            assert await stores[1].revision() == since
        for store in stores:
            await store.close()

    asyncio.run(main())
