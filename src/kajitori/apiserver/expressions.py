"""CEL in configuration files: compiled once, imported only by who has expressions."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def compiled(text: str, variables: Sequence[str]) -> Callable[[Mapping[str, Any]], Any]:
    """What evaluates an expression over variables of any type. Raises ValueError, and so does what it returns."""
    raise ValueError("expressions are not available")
