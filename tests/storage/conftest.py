"""Every backend, behind one fixture: a test says what a store must do, not which one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kajitori.storage.interface import Storage
from kajitori.storage.memory import MemoryStorage
from kajitori.storage.sqlite import SqliteStorage

Opener = Callable[..., object]


@pytest.fixture(params=["memory", "sqlite"])
def opened(request: pytest.FixtureRequest, tmp_path: Path):
    """`async with opened() as store`."""

    @asynccontextmanager
    async def open_(**options: int) -> AsyncIterator[Storage]:
        if request.param == "memory":
            store: Storage = MemoryStorage(**options)
        else:
            store = await SqliteStorage.open(tmp_path / "state.db", **options)
        try:
            yield store
        finally:
            await store.close()

    return open_


@pytest.fixture
def run(opened):
    """Run `scenario(store)` to its end on an empty store."""

    def run_(scenario, **options):
        async def main():
            async with opened(**options) as store:
                return await asyncio.wait_for(scenario(store), 30)

        return asyncio.run(main())

    return run_
