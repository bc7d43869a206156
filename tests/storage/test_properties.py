"""Any sequence of operations gives the same on every backend; restarts in between change nothing."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kajitori.storage.interface import Delete, Put, StorageError
from kajitori.storage.memory import MemoryStorage
from kajitori.storage.ranges import prefix_end
from kajitori.storage.sqlite import SqliteStorage

KEYS = st.sampled_from(["/a", "/a/1", "/a/2", "/ab", "/b/1", "/b/é"])
PREFIXES = st.sampled_from(["", "/", "/a", "/a/", "/b/", "/c"])
REVISIONS = st.integers(0, 25)
OPERATIONS = st.one_of(
    st.tuples(st.just("put"), KEYS, st.binary(max_size=4), st.none() | REVISIONS),
    st.tuples(st.just("put"), KEYS, st.binary(max_size=4), st.none()),
    st.tuples(st.just("delete"), KEYS, st.none() | REVISIONS),
    st.tuples(st.just("read"), KEYS, REVISIONS),
    st.tuples(st.just("scan"), PREFIXES, st.just("") | KEYS, st.integers(0, 3), REVISIONS),
    st.tuples(st.just("watch"), PREFIXES, REVISIONS),
    st.tuples(st.just("history"), PREFIXES, REVISIONS, REVISIONS, st.integers(1, 8)),
    st.tuples(st.just("compact"), REVISIONS),
    st.tuples(st.just("reopen")),
)


async def apply(store, operation):
    """What the store answers, in a form that can be compared."""
    verb, *arguments = operation
    try:
        match verb, arguments:
            case "put", [key, value, expect]:
                return await store.commit(Put(key, value), expect)
            case "delete", [key, expect]:
                return await store.commit(Delete(key), expect)
            case "read", [key, at]:
                return await store.read(key, at)
            case "scan", [prefix, start, limit, at]:
                return await store.scan(prefix, start, limit, at)
            case "watch", [prefix, after]:
                return await events(store, prefix, after)
            case "history", [prefix, after, until, limit]:
                return list(await store.history(prefix, after, min(until, await store.revision()), limit))
            case "compact", [before]:
                return await store.compact(before)
    except StorageError as error:
        return type(error).__name__, vars(error)


async def events(store, prefix, after):
    """All there are now, up to one more that this writes."""
    last = await store.commit(Put(prefix + "/mark", b""))
    found = []
    stream = store.watch(prefix, min(after, last - 1))
    async for event in stream:
        found.append(event)
        if event.revision == last:
            break
    await stream.aclose()
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(OPERATIONS, max_size=30))
def test_sqlite_answers_as_memory_does(operations):
    async def main(path: Path):
        memory, sqlite = MemoryStorage(), await SqliteStorage.open(path)
        try:
            for operation in operations:
                if operation[0] == "reopen":
                    await sqlite.close()
                    sqlite = await SqliteStorage.open(path)
                else:
                    assert await apply(sqlite, operation) == await apply(memory, operation), operation
            assert await sqlite.scan("") == await memory.scan("")
        finally:
            await sqlite.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder) / "state.db"))


@given(st.text(max_size=4), st.text(max_size=6))
def test_a_prefix_is_exactly_its_range(prefix, key):
    end = prefix_end(prefix)
    assert key.startswith(prefix) == (key >= prefix and (end is None or key < end))
