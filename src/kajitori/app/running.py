"""Runs services side by side until told to stop, or until one of them fails."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def run_until(stopping: asyncio.Event, *services: Coroutine[Any, Any, None]) -> None:
    """Cancel every service when the event is set. A service that raises stops the others and is raised again."""
    tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(service) for service in services]
    stop: asyncio.Future[Any] = asyncio.ensure_future(stopping.wait())
    try:
        done, _ = await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stop}:
            task.result()
    finally:
        for task in (stop, *tasks):
            task.cancel()
        await asyncio.gather(stop, *tasks, return_exceptions=True)
