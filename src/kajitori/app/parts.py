"""Runs one part of the cluster as this process, until SIGTERM."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable

from kajitori.app.failure import about_file, one_line
from kajitori.app.layout import Layout
from kajitori.app.notify import die_with_parent
from kajitori.app.record import require_record
from kajitori.cli.interface import CommandError, PartOptions
from kajitori.kit import log
from kajitori.kit.clock import SystemClock
from kajitori.kit.garbage import short_collections

Run = Callable[[PartOptions, asyncio.Event], Awaitable[None]]
"""Runs until the event is set."""

logger = logging.getLogger("kajitori.app")


def run_part(part: str, options: PartOptions) -> None:
    """Raises CommandError when the part cannot start."""
    import uvloop

    die_with_parent()
    layout = Layout(options.data_dir)
    if not options.kubeconfig:
        require_record(layout)
    name = options.node or part
    try:
        log.configure(file=None if options.kubeconfig else layout.log(name))
    except OSError as error:
        raise CommandError(about_file(error, layout.logs)) from error
    try:
        if part == "node":
            from kajitori.app.node import enter

            enter(options)
        run = _runner(part)
    except ImportError as error:
        raise CommandError(
            f"{part} needs the Python package {error.name}: install it with `pip install 'kajitori[node]'`"
        ) from error
    try:
        uvloop.run(_until_signal(run, options))
    except CommandError as error:
        logger.error("%s", error)
        raise
    except Exception as error:
        logger.exception("%s ends", name)
        raise CommandError(f"{name} failed: {one_line(error)}") from error


def _runner(part: str) -> Run:
    if part == "apiserver":
        from kajitori.app.apiserver import run_apiserver

        return run_apiserver
    if part == "node":
        from kajitori.app.node import run_node

        return run_node
    if part == "simulator":
        from kajitori.app.simulator import run_simulator

        return run_simulator
    from kajitori.app.controllers import run_controllers, run_scheduler

    return run_scheduler if part == "scheduler" else run_controllers


async def _until_signal(run: Run, options: PartOptions) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    with short_collections(SystemClock(), loop.call_soon_threadsafe):
        await run(options, stopping)
