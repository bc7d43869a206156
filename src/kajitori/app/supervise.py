"""The supervisor: starts the cluster's processes, starts a dead one again, ends them all on SIGTERM.

Standard library only, and a program of its own (`python -m kajitori.app.supervise DATA_DIR`), so that what stays
in memory for the cluster's whole life is small. A part reports that it is ready by a line on the descriptor named in
KAJITORI_NOTIFY_FD; the supervisor reports its progress the same way to the `up` that started it, or in the
foreground to the terminal.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kajitori.app.failure import last_words, one_line
from kajitori.app.layout import Layout
from kajitori.app.locks import lock_data_dir, lock_host
from kajitori.app.processes import Part, PartState, command_of, parts_of, stop_limit_s, write_state
from kajitori.app.progress import Event, PipeReporter, Reporter, Silent, TerminalReporter
from kajitori.app.record import ClusterRecord, require_record
from kajitori.cli.interface import CommandError
from kajitori.kit import log
from kajitori.kit.backoff import Backoff
from kajitori.kit.files import replace_file

NOTIFY = "KAJITORI_NOTIFY_FD"
STABLE_AFTER_S = 10.0
"""A part that lived this long starts again at once when it dies."""

logger = logging.getLogger("kajitori.supervisor")


@dataclass(frozen=True, slots=True)
class Patience:
    """When starting a cluster has failed. Parts that nobody waits for are started again for ever."""

    parts: frozenset[str]
    """That have to become ready."""
    ready_within_s: float = 120.0
    deaths_max: int = 5
    """Of one part that was never ready."""


class Supervisor:
    """Keeps every part running until `stop`, or until its patience ends."""

    def __init__(self, layout: Layout, record: ClusterRecord, report: Reporter, patience: Patience) -> None:
        self._layout = layout
        self._parts = parts_of(record)
        self._stop_limit_s = stop_limit_s(record)
        self._report = report
        self._patience = patience
        self._stopping = asyncio.Event()
        self._ready: set[str] = set()
        self._backoff = Backoff(initial_s=0.5, max_s=10.0)
        self.failure = ""
        """Why the cluster did not start."""

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Returns when every part has ended after `stop`."""
        limit = asyncio.get_running_loop().call_later(self._patience.ready_within_s, self._check_ready)
        try:
            await asyncio.gather(*(self._keep(part) for part in self._parts))
        finally:
            limit.cancel()

    def _check_ready(self) -> None:
        """The time limit of the whole start has come."""
        waiting = sorted(self._patience.parts - self._ready)
        if waiting:
            last = last_words(self._layout.log(waiting[0]))
            self._give_up(
                f"{', '.join(waiting)} did not become ready within {self._patience.ready_within_s:.0f} s"
                + (f"; the last line of {self._layout.log(waiting[0])}: {last}" if last else "")
            )

    def _give_up(self, why: str) -> None:
        self.failure = self.failure or why
        logger.error("%s; stopping", why)
        self.stop()

    async def _keep(self, part: Part) -> None:
        failures = restarts = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            why = await self._run_once(part, restarts)
            if self._stopping.is_set():
                break
            restarts += 1
            failures = 1 if time.monotonic() - started > STABLE_AFTER_S else failures + 1
            delay_s = 0.0 if failures == 1 else self._backoff.delay_s(failures - 1)
            logger.warning("%s ended (%s); starting it again in %.1f s", part.name, why, delay_s)
            if part.name not in self._ready:
                self._judge_start(part, why, restarts)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay_s)

    def _judge_start(self, part: Part, why: str, deaths: int) -> None:
        """A part that has never been ready has ended."""
        if deaths >= self._patience.deaths_max and part.name in self._patience.parts:
            self._give_up(
                f"{part.name} ended {deaths} times before it was ready: {why} (log: {self._layout.log(part.name)})"
            )
        elif deaths == 1:
            self._report(Event.ENDED, f"{part.name} ended before it was ready and is started again: {why}")

    async def _run_once(self, part: Part, restarts: int) -> str:
        """Why it ended."""
        reader, writer = os.pipe()
        try:
            process = self._spawn(part, writer)
        except OSError as error:
            os.close(reader)
            return f"it could not be started: {one_line(error)}"
        finally:
            os.close(writer)
        self._note_state(part, PartState(process.pid, time.time(), restarts))
        loop = asyncio.get_running_loop()
        exited: asyncio.Future[int] = loop.create_future()
        descriptor = os.pidfd_open(process.pid)
        loop.add_reader(descriptor, self._on_exit, process, exited)
        loop.add_reader(reader, self._on_notice, part, reader)
        try:
            if not await self._ended_before_stop(exited):
                process.send_signal(signal.SIGTERM)
                await asyncio.wait({exited}, timeout=self._stop_limit_s)
                if not exited.done():
                    logger.warning("%s did not stop within %.0f s; killing it", part.name, self._stop_limit_s)
                    process.kill()
            return self._cause(part, await exited)
        finally:
            loop.remove_reader(descriptor)
            loop.remove_reader(reader)
            os.close(descriptor)
            os.close(reader)

    def _cause(self, part: Part, code: int) -> str:
        if code == -signal.SIGKILL:
            return "killed by SIGKILL, perhaps for want of memory"
        words = last_words(self._errors(part))
        return words or (f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}")

    async def _ended_before_stop(self, exited: asyncio.Future[int]) -> bool:
        stopping = asyncio.ensure_future(self._stopping.wait())
        waited: set[asyncio.Future[Any]] = {exited, stopping}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        return exited.done()

    def _on_exit(self, process: subprocess.Popen[bytes], exited: asyncio.Future[int]) -> None:
        if not exited.done():
            exited.set_result(process.wait())

    def _errors(self, part: Part) -> Path:
        """What the process prints, which is little: its records go to its log."""
        return self._layout.log(part.name).with_suffix(".err")

    def _spawn(self, part: Part, notify: int) -> subprocess.Popen[bytes]:
        self._layout.logs.mkdir(parents=True, exist_ok=True)
        with self._errors(part).open("wb") as errors:
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
            self._report(Event.READY, part.name)
            if len(self._ready) == len(self._parts):
                self._report(Event.DONE)

    def _note_state(self, part: Part, state: PartState) -> None:
        """For `status`; a full disk must not end the cluster."""
        try:
            write_state(self._layout, part.name, state)
        except OSError as error:
            logger.warning("the state of %s is not noted: %s", part.name, one_line(error))


async def _supervise(supervisor: Supervisor) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, supervisor.stop)
    await supervisor.run()


def _reporter(layout: Layout, *, foreground: bool) -> Reporter:
    if foreground:
        return TerminalReporter(layout.kubeconfig, f"   logs: {layout.logs}   stop: Ctrl-C")
    descriptor = os.environ.pop(NOTIFY, "")
    if not descriptor:
        return Silent()
    os.set_inheritable(int(descriptor), False)
    return PipeReporter(int(descriptor))


def _run(layout: Layout, report: Reporter, options: argparse.Namespace) -> str:
    """Why the cluster did not start; "" when it ran until it was told to stop."""
    record = require_record(layout)
    held = lock_data_dir(layout)
    if record.nodes:
        lock_host(layout)
    replace_file(layout.supervisor_pid, str(os.getpid()).encode())
    awaited = {part.name for part in parts_of(record)} if options.wait else {"apiserver"}
    supervisor = Supervisor(layout, record, report, Patience(frozenset(awaited)))
    try:
        asyncio.run(_supervise(supervisor))
    finally:
        layout.supervisor_pid.unlink(missing_ok=True)
        os.close(held)
    if options.foreground or (supervisor.failure and not options.adopting):
        # What outlives its supervisor otherwise: containers, their containerd, Envoy.
        subprocess.run([sys.executable, "-m", "kajitori", "down", "--data-dir", str(layout.root)], check=False)
    return supervisor.failure


def main() -> None:
    parser = argparse.ArgumentParser(prog="kajitori.app.supervise")
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--foreground", action="store_true", help="report to the terminal; stop the containers too")
    parser.add_argument("--wait", action="store_true", help="fail when not every part becomes ready")
    parser.add_argument("--adopting", action="store_true", help="containers ran before, so a failed start leaves them")
    options = parser.parse_args()
    layout = Layout(options.data_dir)
    report = _reporter(layout, foreground=options.foreground)
    try:
        log.configure(file=layout.log("supervisor"))
        failure = _run(layout, report, options)
    except (CommandError, OSError) as error:
        failure = str(error) if isinstance(error, CommandError) else one_line(error)
    if failure:
        report(Event.FAILED, failure)
    sys.exit(1 if failure else 0)


if __name__ == "__main__":
    main()
