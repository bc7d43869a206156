"""Changed files: taken up at once, or left alone with a word in the figures."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from kajitori.apiserver.configuration import BadConfiguration
from kajitori.apiserver.exposition import exposition
from kajitori.apiserver.reloading import LOOK_S, SETTLE_S, Reload, Reloader, ReloadFigures, server_id_hash
from kajitori.kit.clock import VirtualClock
from kajitori.kit.files import replace_file


class World:
    """One file `f`, whose content `taken` lists as it is taken up; `bad` content is refused."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock()
        self.file = folder / "f"
        self.write(b"one")
        self.taken: list[bytes] = []
        self.figures = ReloadFigures("authorization_config_controller", self.clock, b"one")
        self.reload = Reload("f", (self.file,), self.take_up, self.figures)
        self.task = asyncio.create_task(Reloader([self.reload], self.clock).run())

    def write(self, content: bytes) -> None:
        replace_file(self.file, content)

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
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "f").write_bytes(b"one")

    async def scenario(w: World) -> None:
        link = tmp_path / "link"
        link.symlink_to(tmp_path / "there" / "f")
        taken = []

        async def take_up() -> None:
            taken.append(link.read_bytes())

        task = asyncio.create_task(Reloader([Reload("link", (link,), take_up)], w.clock).run())
        await w.clock.settle()
        replace_file(tmp_path / "there" / "f", b"two")
        await w.clock.advance(LOOK_S - 1)
        assert taken == []
        await w.clock.advance(1 + SETTLE_S)
        assert taken == [b"two"]
        task.cancel()

    run(tmp_path, scenario)


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
        await w.clock.advance(SETTLE_S)
        assert w.count("failure") == "1"
        w.write(b"one")
        await w.clock.advance(LOOK_S + SETTLE_S)
        assert w.taken == []  # it says what it said
        w.write(b"two")
        await w.clock.advance(SETTLE_S)
        assert w.taken == [b"two"]

    run(tmp_path, scenario)
