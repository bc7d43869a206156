"""The control loops and the scheduler as one process, on one set of caches; or the scheduler alone.

Caches run, and the process counts as ready, before it leads: a new leader starts warm.
"""

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any

from kajitori.app.access import access_of, client_of
from kajitori.app.layout import Layout
from kajitori.app.leading import CONTROLLER_MANAGER, lead, scheduler_lease
from kajitori.app.notify import notify_ready
from kajitori.app.prepare import CONTROL_PLANE, SCHEDULER
from kajitori.app.record import read_record
from kajitori.app.running import run_until
from kajitori.app.scheduler_settings import read_profile
from kajitori.cli.interface import PartOptions
from kajitori.client.cache import Cache
from kajitori.client.events import EventRecorder
from kajitori.client.interface import Client
from kajitori.controllers.run import ControllerManager
from kajitori.controllers.settings import Settings
from kajitori.kit.clock import Clock, SystemClock
from kajitori.scheduler.scheduler import Scheduler


def _scheduler(client: Client, cache: Cache, clock: Clock, options: PartOptions) -> Coroutine[Any, Any, None]:
    """To be run beside the cache, whose kinds it adds to at once."""
    name, profile = read_profile(options.scheduler_config)
    scheduler = Scheduler(client, cache, clock, EventRecorder(client, clock, name), name=name, profile=profile)

    async def run() -> None:
        await cache.synced()
        await lead(options, client, clock, scheduler_lease(name), scheduler.run)

    return run()


def _settings(options: PartOptions) -> Settings:
    layout = Layout(options.data_dir)
    record = None if options.kubeconfig else read_record(layout)
    return Settings(
        root_ca_pem=access_of(options, CONTROL_PLANE).certificate_authority.decode(),
        volumes_dir=str(layout.volumes),
        control_plane_nodes=record.node_names[:1] if record else (),
    )


async def _notify_when(cache: Cache) -> None:
    await cache.synced()
    notify_ready()
    await asyncio.Event().wait()


async def run_controllers(options: PartOptions, stopping: asyncio.Event) -> None:
    """Everything that `--disable` does not leave out."""
    clock = SystemClock()
    client = client_of(options, CONTROL_PLANE, clock)
    if "controllers" in options.disable:
        manager = ControllerManager(client, clock, ())
    else:
        elected = partial(lead, options, client, clock, CONTROLLER_MANAGER)
        manager = ControllerManager(client, clock, lead=elected, settings=_settings(options))
    services = [manager.run(), _notify_when(manager.cache)]
    if "scheduler" not in options.disable:
        services.append(_scheduler(client_of(options, SCHEDULER, clock), manager.cache, clock, options))
    await run_until(stopping, *services)


async def run_scheduler(options: PartOptions, stopping: asyncio.Event) -> None:
    """The scheduler alone, on any Kubernetes."""
    clock = SystemClock()
    client = client_of(options, SCHEDULER, clock)
    cache = Cache(client, clock)
    scheduler = _scheduler(client, cache, clock, options)
    await run_until(stopping, cache.run(), scheduler, _notify_when(cache))
