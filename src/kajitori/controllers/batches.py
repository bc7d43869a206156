"""Many writes at once, without flooding a server that refuses them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any


async def in_growing_batches(count: int, act: Callable[[int], Awaitable[Any]]) -> tuple[int, Exception | None]:
    """Act on 0..count-1 in batches of 1, 2, 4 ...; a batch with a failure is the last.

    A quota that refuses everything is so asked once, not `count` times. Returns how many succeeded and the first error.
    """
    done, size = 0, 1
    while done < count:
        batch = range(done, min(done + size, count))
        results = await asyncio.gather(*(act(index) for index in batch), return_exceptions=True)
        errors = _errors(results)
        done += len(results) - len(errors)
        if errors:
            return done, errors[0]
        size *= 2
    return done, None


async def all_at_once(acts: Sequence[Awaitable[Any]]) -> Exception | None:
    """Await all; returns the first error."""
    errors = _errors(await asyncio.gather(*acts, return_exceptions=True))
    return errors[0] if errors else None


def _errors(results: Sequence[Any]) -> list[Exception]:
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, Exception):
            raise result
    return [result for result in results if isinstance(result, Exception)]
