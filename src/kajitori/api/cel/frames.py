"""One evaluation under way: its variables and what it has cost so far."""

from collections.abc import Callable, MutableMapping
from typing import Any

ABSENT = object()


class Frame:
    """`variables` belong to this evaluation alone: loops write into them."""

    __slots__ = ("cost", "limit", "variables")

    def __init__(self, variables: MutableMapping[str, Any], limit: int) -> None:
        self.variables = variables
        self.cost = 0
        self.limit = limit


Plan = Callable[[Frame], Any]


def restore(variables: MutableMapping[str, Any], name: str, before: Any) -> None:
    """Makes a variable again what it was outside a loop."""
    if before is ABSENT:
        variables.pop(name, None)
    else:
        variables[name] = before
