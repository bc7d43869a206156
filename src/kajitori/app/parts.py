"""Runs one part of the cluster as this process, until SIGTERM."""

import asyncio
import gc
import logging
import signal
from collections.abc import Awaitable, Callable

from kajitori.app.layout import Layout
from kajitori.app.notify import die_with_parent
from kajitori.cli.interface import CommandError, PartOptions
from kajitori.kit import log

Run = Callable[[PartOptions, asyncio.Event], Awaitable[None]]
"""Runs until the event is set."""

logger = logging.getLogger("kajitori.app")


def run_part(part: str, options: PartOptions) -> None:
    """Raises CommandError when the part cannot start."""
    import uvloop

    die_with_parent()
    layout = Layout(options.data_dir)
    name = options.node or part
    log.configure(file=None if options.kubeconfig else layout.log(name))
    if part == "node":
        from kajitori.app.node import enter

        enter(options)
    run = _runner(part)
    # What exists after the imports stays; looking at it again at every collection costs time and unshared pages.
    gc.collect()
    gc.freeze()
    try:
        uvloop.run(_until_signal(run, options))
    except CommandError as error:
        logger.error("%s", error)
        raise


def _runner(part: str) -> Run:
    if part == "apiserver":
        from kajitori.app.apiserver import run_apiserver

        return run_apiserver
    if part == "node":
        from kajitori.app.node import run_node

        return run_node
    from kajitori.app.controllers import run_controllers, run_scheduler

    return run_scheduler if part == "scheduler" else run_controllers


async def _until_signal(run: Run, options: PartOptions) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await run(options, stopping)
