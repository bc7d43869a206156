"""The supervisor: starts the cluster's processes, starts a dead one again, ends them all on SIGTERM.

Standard library only, and a program of its own (`python -m kajitori.app.supervise DATA_DIR`), so that what stays
in memory for the cluster's whole life is small. A part reports that it is ready by a line on the descriptor named in
KAJITORI_NOTIFY_FD; the supervisor reports its progress the same way to the `up` that started it.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kajitori.app.layout import Layout
from kajitori.app.locks import lock_data_dir, lock_host
from kajitori.app.record import ClusterRecord, require_record, write_atomically
from kajitori.cli.interface import CommandError
from kajitori.kit import log
from kajitori.kit.backoff import Backoff

NOTIFY = "KAJITORI_NOTIFY_FD"
STOP_LIMIT_S = 15.0
STABLE_AFTER_S = 10.0
"""A part that lived this long starts again at once when it dies."""

logger = logging.getLogger("kajitori.supervisor")


@dataclass(frozen=True, slots=True)
class Part:
    """A process to keep alive."""

    name: str
    arguments: tuple[str, ...]


def parts_of(record: ClusterRecord) -> tuple[Part, ...]:
    """Every process of this cluster."""
    parts = [Part("apiserver", ("apiserver",))]
    disable = ("--disable", ",".join(record.disable)) if record.disable else ()
    if not {"controllers", "scheduler"} <= set(record.disable):
        parts.append(Part("controllers", ("controllers", *disable)))
    parts += [Part(name, ("node", "--node", name, *disable)) for name in record.node_names]
    return tuple(parts)


def command_of(part: Part, layout: Layout) -> list[str]:
    return [sys.executable, "-m", "kajitori.app", *part.arguments, "--data-dir", str(layout.root)]


class Supervisor:
    """Keeps every part running until `stop`."""

    def __init__(self, layout: Layout, record: ClusterRecord, report: int | None) -> None:
        self._layout = layout
        self._parts = parts_of(record)
        self._report_fd = report
        self._stopping = asyncio.Event()
        self._ready: set[str] = set()
        self._backoff = Backoff(initial_s=0.5, max_s=10.0)

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Returns when every part has ended after `stop`."""
        await asyncio.gather(*(self._keep(part) for part in self._parts))

    def _report(self, line: str) -> None:
        """Tell the waiting `up`, which may be gone."""
        if self._report_fd is None:
            return
        try:
            os.write(self._report_fd, f"{line}\n".encode())
        except OSError:
            self._close_report()

    def _close_report(self) -> None:
        if self._report_fd is not None:
            os.close(self._report_fd)
            self._report_fd = None

    async def _keep(self, part: Part) -> None:
        failures = restarts = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            code = await self._run_once(part, restarts)
            if self._stopping.is_set():
                break
            restarts += 1
            failures = 1 if time.monotonic() - started > STABLE_AFTER_S else failures + 1
            delay_s = 0.0 if failures == 1 else self._backoff.delay_s(failures - 1)
            logger.warning("%s ended with %s; starting it again in %.1f s", part.name, code, delay_s)
            if part.name not in self._ready:
                self._report(f"ended {part.name} {self._layout.log(part.name)}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay_s)

    async def _run_once(self, part: Part, restarts: int) -> int:
        reader, writer = os.pipe()
        process = self._spawn(part, writer)
        os.close(writer)
        self._write_state(part, process.pid, restarts)
        loop = asyncio.get_running_loop()
        exited: asyncio.Future[int] = loop.create_future()
        descriptor = os.pidfd_open(process.pid)
        loop.add_reader(descriptor, self._on_exit, process, exited)
        loop.add_reader(reader, self._on_notice, part, reader)
        try:
            if not await self._ended_before_stop(exited):
                process.send_signal(signal.SIGTERM)
                await asyncio.wait({exited}, timeout=STOP_LIMIT_S)
                if not exited.done():
                    logger.warning("%s did not stop within %.0f s; killing it", part.name, STOP_LIMIT_S)
                    process.kill()
            return await exited
        finally:
            loop.remove_reader(descriptor)
            loop.remove_reader(reader)
            os.close(descriptor)
            os.close(reader)

    async def _ended_before_stop(self, exited: asyncio.Future[int]) -> bool:
        stopping = asyncio.ensure_future(self._stopping.wait())
        waited: set[asyncio.Future[Any]] = {exited, stopping}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        return exited.done()

    def _on_exit(self, process: subprocess.Popen[bytes], exited: asyncio.Future[int]) -> None:
        if not exited.done():
            exited.set_result(process.wait())

    def _spawn(self, part: Part, notify: int) -> subprocess.Popen[bytes]:
        self._layout.logs.mkdir(parents=True, exist_ok=True)
        with self._layout.log(part.name).with_suffix(".err").open("wb") as errors:
            return subprocess.Popen(
                command_of(part, self._layout),
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                pass_fds=(notify,),
                env=os.environ | {NOTIFY: str(notify)},
                start_new_session=True,
            )

    def _on_notice(self, part: Part, reader: int) -> None:
        notice = os.read(reader, 4096)
        if not notice:
            asyncio.get_running_loop().remove_reader(reader)
            return
        if part.name not in self._ready:
            self._ready.add(part.name)
            self._report(f"ready {part.name}")
            if len(self._ready) == len(self._parts):
                self._report("done")
                self._close_report()

    def _write_state(self, part: Part, pid: int, restarts: int) -> None:
        state = {"pid": pid, "started": time.time(), "restarts": restarts}
        write_atomically(self._layout.state(part.name), json.dumps(state).encode())


async def _supervise(layout: Layout, record: ClusterRecord, report: int | None) -> None:
    supervisor = Supervisor(layout, record, report)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop)
    await supervisor.run()


def main() -> None:
    layout = Layout(Path(sys.argv[1]))
    report = int(os.environ[NOTIFY]) if NOTIFY in os.environ else None
    if report is not None:
        os.set_inheritable(report, False)
    log.configure(file=layout.log("supervisor"))
    try:
        record = require_record(layout)
        lock_data_dir(layout)
        if record.nodes:
            lock_host(layout)
    except CommandError as error:
        if report is not None:
            os.write(report, f"failed {error}\n".encode())
        sys.exit(f"kajitori: {error}")
    write_atomically(layout.supervisor_pid, str(os.getpid()).encode())
    try:
        asyncio.run(_supervise(layout, record, report))
    finally:
        layout.supervisor_pid.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
