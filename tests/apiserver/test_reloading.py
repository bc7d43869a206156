"""Changed files: taken up at once, or left alone with a word in the figures."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kajitori.apiserver.configuration import BadConfiguration
from kajitori.apiserver.exposition import exposition
from kajitori.apiserver.reloading import LOOK_S, SETTLE_S, Reload, Reloader, ReloadFigures, server_id_hash
from kajitori.kit.clock import VirtualClock
from kajitori.kit.files import replace_file
from kajitori.kit.inotify import DirectoryWatch


class Told:
    """A watch of directories that tells when the test says so."""

    def __init__(self, *directories: Path) -> None:
        self._changed = asyncio.Event()

    def wake(self) -> None:
        self._changed.set()

    async def wait(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    def __enter__(self) -> "Told":
        return self

    def __exit__(self, *reason: object) -> None: ...


def untold(*directories: Path) -> Told:
    raise OSError(24, "inotify: too many watches on this machine")


class World:
    """One file `f`, whose content `taken` lists as it is taken up; `bad` content is refused."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock()
        self.file = folder / "f"
        self.write(b"one")
        self.taken: list[bytes] = []
        self.figures = ReloadFigures("authorization_config_controller", self.clock, b"one")
        self.reload = Reload("f", (self.file,), self.take_up, self.figures)
        self.watch = Told()
        self.task = asyncio.create_task(Reloader([self.reload], self.clock, lambda *_: self.watch).run())

    def write(self, content: bytes) -> None:
        replace_file(self.file, content)
        if hasattr(self, "watch"):
            self.watch.wake()

    async def take_up(self) -> None:
        content = self.file.read_bytes()
        if content == b"bad":
            raise BadConfiguration("f: bad")
        self.taken.append(content)

    def shown(self) -> dict[str, str]:
        lines = exposition(self.figures.families(), False).decode().splitlines()
        return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))

    def count(self, status: str) -> str:
        labels = f'{{status="{status}",apiserver_id_hash="{server_id_hash()}"}}'
        return self.shown().get(f"apiserver_authorization_config_controller_automatic_reloads_total{labels}", "0")


def run(folder: Path, scenario: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        world = World(folder)
        await world.clock.settle()
        await scenario(world)
        world.task.cancel()
        await asyncio.gather(world.task, return_exceptions=True)

    asyncio.run(main())


def test_a_change_counts_at_once_and_nothing_happens_without_one(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        await w.clock.advance(10 * LOOK_S)
        assert w.taken == []
        w.write(b"two")
        await w.clock.advance(SETTLE_S)
        assert w.taken == [b"two"]
        assert w.count("success") == "1"

    run(tmp_path, scenario)


def test_what_the_kernel_does_not_tell_of_is_found_within_a_minute(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        for watched in (lambda *_: Told(), untold):
            taken: list[bytes] = []

            async def take_up(taken: list[bytes] = taken) -> None:
                taken.append(w.file.read_bytes())

            w.write(b"one")
            task = asyncio.create_task(Reloader([Reload("f", (w.file,), take_up)], w.clock, watched).run())  # type: ignore[arg-type]
            await w.clock.settle()
            w.write(b"two")
            await w.clock.advance(LOOK_S - 1)
            assert taken == []
            await w.clock.advance(1 + SETTLE_S)
            assert taken == [b"two"]
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(tmp_path, scenario)


def test_the_kernel_tells_of_changed_and_replaced_files(tmp_path: Path) -> None:
    async def main() -> None:
        try:
            watch = DirectoryWatch(tmp_path)
        except OSError as error:
            pytest.skip(str(error))
        with watch:
            for change in (lambda: (tmp_path / "f").write_bytes(b"one"), lambda: replace_file(tmp_path / "f", b"two")):
                change()
                await watch.wait()

    asyncio.run(main())


def test_what_cannot_be_used_is_counted_once_and_changes_nothing(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        before = w.shown()
        w.write(b"bad")
        await w.clock.advance(5 * LOOK_S)
        assert (w.taken, w.count("failure")) == ([], "1")
        name = "apiserver_authorization_config_controller_last_config_info"
        assert [line for line in w.shown() if line.startswith(name)] == [x for x in before if x.startswith(name)]
        w.write(b"good")
        await w.clock.advance(SETTLE_S)
        assert (w.taken, w.count("success")) == ([b"good"], "1")

    run(tmp_path, scenario)


def test_a_file_that_is_gone_is_looked_for_again(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        w.file.unlink()
        w.watch.wake()
        await w.clock.advance(SETTLE_S)
        assert w.count("failure") == "1"
        w.write(b"one")
        await w.clock.advance(LOOK_S + SETTLE_S)
        assert w.taken == []  # it says what it said
        w.write(b"two")
        await w.clock.advance(SETTLE_S)
        assert w.taken == [b"two"]

    run(tmp_path, scenario)
