"""Which store a configuration means."""

from pathlib import Path

from kajitori.storage.interface import CannotOpen, Storage


async def open_storage(where: str | Path) -> Storage:
    """`memory`, `sqlite:<path>`, or the path of a SQLite file. Raises CannotOpen."""
    text = str(where)
    kind, _, rest = text.partition(":")
    if text == "memory":
        from kajitori.storage.memory import MemoryStorage

        return MemoryStorage()
    if kind == "sqlite" and rest:
        return await _sqlite(Path(rest))
    if isinstance(where, Path) or "/" in kind:
        return await _sqlite(Path(where))
    raise CannotOpen(f"store {text!r}: unknown kind; give `memory` or `sqlite:<path>`")


async def _sqlite(path: Path) -> Storage:
    from kajitori.storage.sqlite import SqliteStorage

    return await SqliteStorage.open(path)
