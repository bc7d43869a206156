"""The node's own containerd: started in a session of its own, so that it survives the agent, and adopted by the next.

A containerd that dies is started again; the shims hold the containers meanwhile, and it finds them.
"""

import asyncio
import logging
import os
import signal
import subprocess
from pathlib import Path

from kajitori.kit.backoff import Backoff
from kajitori.kit.clock import Clock, within
from kajitori.kubelet.containerd_config import CRI_NAMESPACE, ContainerdConfig, config_toml, read_host_traits
from kajitori.kubelet.pause_image import PAUSE_IMAGE, host_architecture, pause_archive
from kajitori.kubelet.process_identity import ProcessIdentity, identify, read_running, write_identity
from kajitori.kubelet.runtime import Runtime, RuntimeFailure, RuntimeUnavailable

logger = logging.getLogger(__name__)

RESTART = Backoff(initial_s=0.1, max_s=30.0)
READY_TIMEOUT_S = 60.0
READY_TRY_S = 0.03
STOP_TIMEOUT_S = 15.0
LONG_ENOUGH_S = 60.0
"""A containerd that ran this long counts as having started well."""


class ContainerdError(Exception):
    """containerd cannot be started; the message says why and what to do."""


async def process_exit(pid: int) -> None:
    """Return when the process is gone; it need not be a child."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    gone: asyncio.Future[None] = loop.create_future()

    def ended() -> None:
        if not gone.done():
            gone.set_result(None)

    loop.add_reader(descriptor, ended)
    try:
        await gone
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


class Containerd:
    def __init__(self, config: ContainerdConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> ProcessIdentity | None:
        return read_running(self._config.pid_file)

    async def run(self) -> None:
        """Keep one running, until cancelled; being cancelled leaves it running."""
        failures = 0
        while True:
            began_s = self._clock.monotonic()
            identity = self.running or self._start()
            await process_exit(identity.pid)
            self._reap()
            failures = 1 if self._clock.monotonic() - began_s > LONG_ENOUGH_S else failures + 1
            delay_s = RESTART.delay_s(failures)
            logger.warning("containerd (pid %d) ended; starting it again in %.1f s", identity.pid, delay_s)
            await self._clock.sleep(delay_s)

    def _start(self) -> ProcessIdentity:
        config = self._config
        for directory in (config.root, config.data, config.state, config.cni_conf_dir):
            directory.mkdir(parents=True, exist_ok=True)
        config.config_file.write_text(config_toml(config, read_host_traits(config.root.resolve())))
        command = [config.binary, "--config", str(config.config_file), "--log-level", "warn"]
        with config.log_file.open("ab") as log:
            try:
                self._child = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
                )
            except FileNotFoundError:
                raise ContainerdError(
                    f"{config.binary} is not installed; install it with: apt-get install containerd runc"
                ) from None
        identity = identify(self._child.pid)
        if identity is None:
            self._reap()
            last = config.log_file.read_text(errors="replace").strip().rpartition("\n")[2]
            raise ContainerdError(f"containerd ended at once: {last or 'it said nothing'}; see {config.log_file}")
        write_identity(config.pid_file, identity)
        logger.info("containerd started (pid %d)", identity.pid)
        return identity

    def _reap(self) -> None:
        if self._child is not None:
            self._child.poll()

    async def ready(self, runtime: Runtime) -> None:
        """Wait until CRI answers and the sandbox image is there; raises ContainerdError when it takes too long."""
        try:
            await within(self._clock, READY_TIMEOUT_S, self._answers(runtime))
        except TimeoutError:
            raise ContainerdError(
                f"containerd did not answer on {self._config.socket} within {READY_TIMEOUT_S:g} s; "
                f"see {self._config.log_file}"
            ) from None
        if await runtime.image(PAUSE_IMAGE) is None:
            await self._import_pause(runtime)

    async def _answers(self, runtime: Runtime) -> None:
        while True:
            try:
                if self._config.socket.exists():
                    await runtime.version()
                    return
            except RuntimeUnavailable:
                pass
            except RuntimeFailure as error:
                # While its plugins load, containerd answers but does not yet know the service.
                logger.debug("containerd is not ready: %s", error)
            await self._clock.sleep(READY_TRY_S)

    async def _import_pause(self, runtime: Runtime) -> None:
        archive = self._config.root / "pause.tar"
        archive.write_bytes(pause_archive(host_architecture()))
        try:
            await import_archive(self._config.socket, archive)
        finally:
            archive.unlink()
        while await runtime.image(PAUSE_IMAGE) is None:
            await self._clock.sleep(READY_TRY_S)

    async def stop(self) -> None:
        """End containerd; containers go on under their shims."""
        if (identity := self.running) is None:
            return
        os.kill(identity.pid, signal.SIGTERM)
        try:
            await within(self._clock, STOP_TIMEOUT_S, process_exit(identity.pid))
        except TimeoutError:
            os.kill(identity.pid, signal.SIGKILL)
            await process_exit(identity.pid)
        self._reap()
        self._config.pid_file.unlink(missing_ok=True)


async def import_archive(socket: Path, archive: Path) -> None:
    """Load an image archive (OCI or Docker) where CRI finds it; raises ContainerdError."""
    process = await asyncio.create_subprocess_exec(
        "ctr", "--address", str(socket), "--namespace", CRI_NAMESPACE, "images", "import", str(archive),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    if process.returncode:
        raise ContainerdError(f"importing {archive} failed: {output.decode(errors='replace').strip()}")
