"""What every store must do, whatever it is made of."""

import asyncio

import pytest

from kajitori.storage.interface import (
    ABSENT,
    FIRST,
    Compacted,
    Conflict,
    Delete,
    Event,
    FutureRevision,
    Page,
    Put,
    Record,
    Unavailable,
)

A, B, C = "/pods/a", "/pods/b", "/pods/c"


async def fill(store, *keys):
    for key in keys:
        await store.commit(Put(key, key.encode()))


async def take(store, prefix, after, count):
    found = []
    stream = store.watch(prefix, after)
    async for event in stream:
        found.append(event)
        if len(found) == count:
            break
    await stream.aclose()
    return found


def test_an_empty_store_is_at_the_first_revision(run):
    async def scenario(store):
        assert await store.revision() == FIRST
        assert await store.scan("") == Page((), FIRST)
        assert await store.read(A) is None

    run(scenario)


def test_every_write_makes_the_next_revision(run):
    async def scenario(store):
        assert await store.commit(Put(A, b"1")) == FIRST + 1
        assert await store.commit(Put(A, b"2")) == FIRST + 2
        assert await store.commit(Delete(A)) == FIRST + 3
        assert await store.revision() == FIRST + 3

    run(scenario)


def test_a_record_remembers_when_it_was_made_and_changed(run):
    async def scenario(store):
        first = await store.commit(Put(A, b"1"))
        second = await store.commit(Put(A, b"2"))
        assert await store.read(A) == Record(A, b"2", first, second)

    run(scenario)


def test_a_key_made_again_is_new(run):
    async def scenario(store):
        await store.commit(Put(A, b"1"))
        await store.commit(Delete(A))
        again = await store.commit(Put(A, b"2"), ABSENT)
        assert await store.read(A) == Record(A, b"2", again, again)

    run(scenario)


def test_create_fails_when_the_key_exists(run):
    async def scenario(store):
        made = await store.commit(Put(A, b"1"), ABSENT)
        with pytest.raises(Conflict) as refused:
            await store.commit(Put(A, b"2"), ABSENT)
        assert refused.value.current == Record(A, b"1", made, made)
        assert await store.revision() == made

    run(scenario)


def test_update_needs_the_expected_revision(run):
    async def scenario(store):
        old = await store.commit(Put(A, b"1"))
        new = await store.commit(Put(A, b"2"), old)
        with pytest.raises(Conflict) as refused:
            await store.commit(Put(A, b"3"), old)
        assert refused.value.current == Record(A, b"2", old, new)

    run(scenario)


def test_update_of_an_absent_key_conflicts_with_nothing_there(run):
    async def scenario(store):
        with pytest.raises(Conflict) as refused:
            await store.commit(Put(A, b"1"), 7)
        assert refused.value.current is None

    run(scenario)


def test_delete_needs_the_expected_revision(run):
    async def scenario(store):
        await store.commit(Put(A, b"1"))
        current = await store.commit(Put(A, b"2"))
        with pytest.raises(Conflict):
            await store.commit(Delete(A), current - 1)
        await store.commit(Delete(A), current)
        assert await store.read(A) is None

    run(scenario)


def test_deleting_what_is_not_there_changes_nothing(run):
    async def scenario(store):
        made = await store.commit(Put(A, b"1"))
        assert await store.commit(Delete(B)) == made
        with pytest.raises(Conflict):
            await store.commit(Delete(B), made)
        assert await store.revision() == made

    run(scenario)


def test_of_writers_that_expect_the_same_one_wins(run):
    async def scenario(store):
        base = await store.commit(Put(A, b"0"))
        tries = [store.commit(Put(A, b"%d" % n), base) for n in range(20)]
        results = await asyncio.gather(*tries, return_exceptions=True)
        won = [n for n, r in enumerate(results) if isinstance(r, int)]
        assert len(won) == 1
        assert (await store.read(A)).value == b"%d" % won[0]
        assert all(isinstance(r, Conflict) for n, r in enumerate(results) if n not in won)

    run(scenario)


def test_values_are_kept_to_the_byte(run):
    async def scenario(store):
        value = bytes(range(256)) * 4096
        await store.commit(Put(A, value))
        await store.commit(Put(B, b""))
        assert (await store.read(A)).value == value
        assert (await store.read(B)).value == b""

    run(scenario)


def test_scan_is_in_key_order_within_the_prefix(run):
    async def scenario(store):
        await fill(store, "/pods/z", "/podsets/a", "/pod", "/pods/é", "/pods/", "/pods/a/b", "/pods/\U0001f600")
        page = await store.scan("/pods/")
        expected = ["/pods/", "/pods/a/b", "/pods/z", "/pods/é", "/pods/\U0001f600"]
        assert [record.key for record in page.records] == expected
        assert page.revision == await store.revision()
        assert not page.more

    run(scenario)


def test_scan_in_pages_sees_every_key_once(run):
    async def scenario(store):
        keys = [f"/pods/{n:03d}" for n in range(25)]
        await fill(store, *reversed(keys))
        page = await store.scan("/pods/", limit=10)
        assert (page.more, page.remaining) == (True, 15)
        seen = list(page.records)
        # What is written meanwhile does not show: the pages are of one revision.
        await fill(store, "/pods/0105")
        await store.commit(Delete("/pods/012"))
        while page.more:
            page = await store.scan("/pods/", seen[-1].key + "\0", 10, page.revision)
            seen += page.records
        assert [record.key for record in seen] == keys
        assert page.remaining == 0

    run(scenario)


def test_reads_at_an_old_revision_show_the_past(run):
    async def scenario(store):
        await store.commit(Put(A, b"1"))
        await store.commit(Put(B, b"1"))
        past = await store.revision()
        await store.commit(Put(A, b"2"))
        await store.commit(Delete(B))
        await store.commit(Put(C, b"1"))
        assert (await store.read(A, past)).value == b"1"
        assert await store.read(C, past) is None
        page = await store.scan("/pods/", at=past)
        assert [(r.key, r.value) for r in page.records] == [(A, b"1"), (B, b"1")]
        assert page.revision == past
        assert [r.key for r in (await store.scan("/pods/")).records] == [A, C]

    run(scenario)


def test_the_future_cannot_be_read(run):
    async def scenario(store):
        for call in (store.read(A, 9), store.scan("", at=9), store.compact(9)):
            with pytest.raises(FutureRevision):
                await call

    run(scenario)


def test_a_watch_tells_what_was_and_what_is(run):
    async def scenario(store):
        start = await store.revision()
        one = await store.commit(Put(A, b"1"))
        two = await store.commit(Put(A, b"2"))
        three = await store.commit(Delete(A))
        first, second = Record(A, b"1", one, one), Record(A, b"2", one, two)
        assert await take(store, "/pods/", start, 3) == [
            Event(A, one, first, None),
            Event(A, two, second, first),
            Event(A, three, None, second),
        ]

    run(scenario)


def test_a_watch_waits_for_what_comes(run):
    async def scenario(store):
        waiting = asyncio.ensure_future(take(store, "/pods/", await store.revision(), 2))
        await asyncio.sleep(0)
        await fill(store, "/nodes/n", A, "/nodes/m", B)
        assert [event.key for event in await waiting] == [A, B]

    run(scenario)


def test_a_watch_begins_after_its_revision(run):
    async def scenario(store):
        await fill(store, A)
        after = await store.revision()
        await fill(store, B)
        assert [event.key for event in await take(store, "", after, 1)] == [B]

    run(scenario)


def test_a_watch_may_begin_in_the_future(run):
    async def scenario(store):
        waiting = asyncio.ensure_future(take(store, "", await store.revision() + 2, 1))
        await asyncio.sleep(0)
        await fill(store, A, B, C)
        assert [event.key for event in await waiting] == [C]

    run(scenario)


def test_every_watcher_sees_every_event_at_its_own_speed(run):
    async def scenario(store):
        start = await store.revision()
        fast = asyncio.ensure_future(take(store, "/pods/", start, 3_000))
        slow = store.watch("/pods/", start)
        assert [await asyncio.gather(*(store.commit(Put(A, b"%d" % n)) for n in range(3_000)))]
        expected = list(range(start + 1, start + 3_001))
        assert [event.revision for event in await fast] == expected
        assert [(await anext(slow)).revision for _ in range(3_000)] == expected
        await slow.aclose()

    run(scenario)


def test_compaction_keeps_what_is_current(run):
    async def scenario(store):
        await store.commit(Put(A, b"1"))
        await store.commit(Put(B, b"1"))
        await store.commit(Put(A, b"2"))
        await store.commit(Delete(B))
        revision = await store.revision()
        before = await store.scan("")
        await store.compact(revision)
        assert await store.scan("") == before
        assert await store.scan("", at=revision) == before
        assert await store.revision() == revision
        assert await store.commit(Put(B, b"2"), ABSENT) == revision + 1

    run(scenario)


def test_what_was_compacted_cannot_be_read_or_watched(run):
    async def scenario(store):
        await fill(store, A, B, A, B)
        revision = await store.revision()
        await store.compact(revision - 1)
        for call in (store.read(A, revision - 2), store.scan("", at=revision - 2), take(store, "", revision - 3, 1)):
            with pytest.raises(Compacted) as refused:
                await call
            assert refused.value.oldest == revision - 1
        assert (await store.read(A, revision - 1)).modified == revision - 1
        (event,) = await take(store, "", revision - 1, 1)
        assert event.previous is not None and event.previous.key == B

    run(scenario)


def test_compacting_twice_or_backwards_is_harmless(run):
    async def scenario(store):
        await fill(store, A, B, C)
        await store.compact(3)
        await store.compact(3)
        await store.compact(2)
        with pytest.raises(Compacted):
            await store.read(A, 2)

    run(scenario)


def test_history_is_bounded_without_being_asked(run):
    async def scenario(store):
        for _ in range(4):
            await asyncio.gather(*(store.commit(Put(A, b"%d" % n)) for n in range(500)))
        newest = await store.revision()
        with pytest.raises(Compacted):
            await store.read(A, newest - 1_200)
        assert (await store.read(A, newest - 99)).modified == newest - 99

    run(scenario, history_revisions=100)


def test_a_watcher_that_falls_behind_the_history_is_told(run):
    async def scenario(store):
        stream = store.watch("", await store.revision())
        await fill(store, A)
        await anext(stream)
        for _ in range(10):
            await asyncio.gather(*(store.commit(Put(A, b"x" * 2_000)) for n in range(500)))
        with pytest.raises(Compacted):
            # Some may be on their way already.
            for _ in range(3_000):
                await anext(stream)

    run(scenario, history_revisions=100)


def test_history_is_what_a_watch_would_have_told(run):
    async def scenario(store):
        start = await store.revision()
        await fill(store, A, "/nodes/n", B, A)
        middle = await store.revision()
        await store.commit(Delete(B))
        await fill(store, C, "/nodes/n")
        end = await store.revision()
        told = await take(store, "/pods/", start, 5)
        assert list(await store.history("/pods/", start, end, 10)) == told
        assert list(await store.history("/pods/", start, middle, 10)) == told[:3]
        assert list(await store.history("/pods/", middle, end, 10)) == told[3:]
        assert list(await store.history("/pods/", start, end, 2)) == told[:2]
        assert not await store.history("/none/", start, end, 10)
        assert not await store.history("/pods/", end, end, 10)
        await store.compact(middle)
        with pytest.raises(Compacted):
            await store.history("/pods/", start, end, 10)
        assert list(await store.history("/pods/", middle, end, 10)) == told[3:]

    run(scenario)


def test_long_history_is_read_to_its_end(run):
    async def scenario(store):
        start = await store.revision()
        await asyncio.gather(*(store.commit(Put(A, b"%d" % n)) for n in range(3_000)))
        end = await store.revision()
        found = await store.history("/pods/", start, end, 5_000)
        assert [event.revision for event in found] == list(range(start + 1, end + 1))

    run(scenario)


def test_closing_ends_watches_and_refuses_the_rest(run):
    async def scenario(store):
        waiting = asyncio.ensure_future(take(store, "", await store.revision(), 1))
        await asyncio.sleep(0)
        await store.close()
        with pytest.raises(Unavailable, match="closed"):
            await waiting
        with pytest.raises(Unavailable, match="closed"):
            await store.commit(Put(A, b""))
        with pytest.raises(Unavailable, match="closed"):
            await store.revision()
        await store.close()

    run(scenario)


def test_writes_asked_for_before_closing_are_done(run):
    async def scenario(store):
        writes = [asyncio.ensure_future(store.commit(Put(A, b"%d" % n))) for n in range(50)]
        await asyncio.sleep(0)
        await store.close()
        assert sorted(await asyncio.gather(*writes)) == list(range(FIRST + 1, FIRST + 51))

    run(scenario)


def test_a_deletion_of_what_is_not_there_is_no_change(run):
    async def scenario(store):
        first = await store.commit(Put(A, b"1"))
        assert await store.commit(Delete(B)) == first
        assert await store.revision() == first
        assert await store.commit(Put(B, b"1")) == first + 1

    run(scenario)


def test_a_store_tells_its_size(run):
    async def scenario(store):
        await fill(store, A, B)
        assert await store.size_bytes() >= len(A) + len(B)

    run(scenario)


def test_somebody_has_the_turn(run):
    async def scenario(store):
        assert await store.take_turn("compaction", await store.commit(Put(A, b"1")))

    run(scenario)
