"""One evaluation under way: its variables and what it has cost so far."""

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

_ABSENT = object()


class Frame:
    """`variables` belong to this evaluation alone: loops write into them."""

    __slots__ = ("cost", "limit", "variables")

    def __init__(self, variables: MutableMapping[str, Any], limit: int) -> None:
        self.variables = variables
        self.cost = 0
        self.limit = limit

    @contextmanager
    def local(self, *names: str) -> Iterator[MutableMapping[str, Any]]:
        """The variables, with those of `names` as they were before once it ends."""
        before = [self.variables.get(name, _ABSENT) for name in names]
        try:
            yield self.variables
        finally:
            for name, value in zip(names, before, strict=True):
                if value is _ABSENT:
                    self.variables.pop(name, None)
                else:
                    self.variables[name] = value


Plan = Callable[[Frame], Any]
