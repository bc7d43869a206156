"""What is served under a name that a client asks for: the name itself, or a wildcard one label above it."""

from typing import Generic, TypeVar

T = TypeVar("T")


class ServerNames(Generic[T]):
    """The first that was added for a name counts."""

    def __init__(self) -> None:
        self._by_name: dict[str, T] = {}

    def add(self, served: T, names: tuple[str, ...]) -> None:
        for name in names:
            self._by_name.setdefault(name.lower().rstrip("."), served)

    def of(self, name: str | None) -> T | None:
        if not name or not self._by_name:
            return None
        name = name.lower().rstrip(".")
        return self._by_name.get(name) or self._by_name.get(f"*.{name.partition('.')[2]}")
