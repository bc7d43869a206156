"""Remembering what was made of texts that come from outside."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

T = TypeVar("T")


def text_cache(entries_max: int, length_max: int) -> Callable[[Callable[[str], T]], Callable[[str], T]]:
    """Keep the answers for the texts used last. Longer texts are worked on anew each time: anybody can send them, and
    they must not fill the memory. Errors are not kept."""

    def decorate(function: Callable[[str], T]) -> Callable[[str], T]:
        kept = lru_cache(maxsize=entries_max)(function)

        @wraps(function)
        def answer(text: str) -> T:
            return kept(text) if len(text) <= length_max else function(text)

        return answer

    return decorate
