"""Which store a configuration means."""

from pathlib import Path

from kajitori.kit.clock import Clock, SystemClock
from kajitori.storage.interface import CannotOpen, Storage


async def open_storage(where: str | Path, clock: Clock | None = None) -> Storage:
    """`memory`, `sqlite:<path>` or just the path of a SQLite file, `etcd://host:port,host:port`. Raises CannotOpen."""
    text = str(where)
    kind, _, rest = text.partition(":")
    if text == "memory":
        from kajitori.storage.memory import MemoryStorage

        return MemoryStorage()
    if kind == "sqlite" and rest:
        return await _sqlite(Path(rest))
    if text.startswith("etcd://"):
        return _etcd(text, clock or SystemClock())
    if isinstance(where, Path) or "/" in kind:
        return await _sqlite(Path(where))
    raise CannotOpen(f"store {text!r}: unknown kind; give `memory`, `sqlite:<path>` or `etcd://host:port`")


async def _sqlite(path: Path) -> Storage:
    from kajitori.storage.sqlite import SqliteStorage

    return await SqliteStorage.open(path)


def _etcd(url: str, clock: Clock) -> Storage:
    try:
        from kajitori.storage.etcd import EtcdStorage
        from kajitori.storage.etcd_channel import EtcdAddress
    except ImportError as error:
        raise CannotOpen(f"store {url!r}: {error.name} is missing: pip install 'kajitori[node]'") from error
    return EtcdStorage(EtcdAddress.parse(url), clock)
