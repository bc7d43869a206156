"""Running the control loops of a process together, on one set of caches."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from kajitori.client.cache import Cache
from kajitori.client.interface import Client
from kajitori.controllers.context import Context
from kajitori.controllers.controller import Loop
from kajitori.controllers.settings import Settings
from kajitori.kit.clock import Clock

Factory = Callable[[Context], Loop[Any]]
Lead = Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]
"""Runs what it is given while this process is the leader; ends (raises) when leadership is lost."""


class ControllerManager:
    """Attaches the loops to shared caches and runs them until cancelled.

    `lead` is leader election for more than one process; None means this process is alone. It begins when the caches
    are full, so that a new leader starts warm.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        controllers: Iterable[Factory] | None = None,
        *,
        lead: Lead | None = None,
        rng: random.Random | None = None,
        settings: Settings | None = None,
    ) -> None:
        if controllers is None:
            from kajitori.controllers.catalogue import CONTROLLERS

            controllers = CONTROLLERS
        self.cache = Cache(client, clock)
        self.context = Context(client, clock, self.cache, rng, settings)
        self.controllers: Sequence[Loop[Any]] = [make(self.context) for make in controllers]
        for controller in self.controllers:
            controller.attach()
        self._lead = lead

    async def run(self) -> None:
        caches = asyncio.ensure_future(self.cache.run())
        loops = asyncio.ensure_future(self._act())
        try:
            await asyncio.gather(caches, loops)
        finally:
            for task in (loops, caches):
                task.cancel()
            await asyncio.gather(loops, caches, return_exceptions=True)

    async def synced(self) -> None:
        """Return when every cache has listed its kind once."""
        await self.cache.synced()

    async def _act(self) -> None:
        await self.cache.synced()
        if self._lead is None:
            await self._run_loops()
        else:
            await self._lead(self._run_loops)

    async def _run_loops(self) -> None:
        tasks = [asyncio.ensure_future(controller.run()) for controller in self.controllers]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
