"""Leaving nothing behind: every sandbox, shim, process, mount and cgroup of one node's containerd.

Works whether or not containerd still runs, and may be run twice.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from kajitori.kit.clock import Clock, within
from kajitori.kubelet.containerd import Containerd
from kajitori.kubelet.containerd_config import ContainerdConfig
from kajitori.kubelet.runtime import Runtime, RuntimeFailure

logger = logging.getLogger(__name__)

MNT_DETACH = 2
CGROUP_ROOT = Path("/sys/fs/cgroup")
SANDBOX_STOP_TIMEOUT_S = 20.0
REMOVE_TRIES, REMOVE_TRY_S = 50, 0.02


async def purge_node(
    config: ContainerdConfig, cgroup: str, clock: Clock, runtime: Runtime | None, mounts_below: tuple[Path, ...] = ()
) -> None:
    """Stop and remove all that this containerd runs. With `runtime` given and answering, networks are torn down too."""
    if runtime is not None and Containerd(config, clock).running is not None:
        with contextlib.suppress(TimeoutError, RuntimeFailure):
            await within(clock, SANDBOX_STOP_TIMEOUT_S, _remove_sandboxes(runtime))
    await halt_node(config, cgroup, clock)
    for directory in (*mounts_below, config.state, config.root):
        await unmount_below(directory, clock)
    await _remove_cgroups(cgroup, clock)
    for directory in (config.state, config.root):
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)


async def halt_node(config: ContainerdConfig, cgroup: str, clock: Clock) -> None:
    """Stop containerd and end every process that it runs; images, containers and data stay for the next start."""
    await Containerd(config, clock).stop()
    for pid in (*_cgroup_pids(cgroup), *_shims(config)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def _remove_sandboxes(runtime: Runtime) -> None:
    async def remove(sandbox_id: str) -> None:
        try:
            await runtime.stop_sandbox(sandbox_id)
            await runtime.remove_sandbox(sandbox_id)
        except RuntimeFailure as error:
            logger.warning("sandbox %s: %s", sandbox_id[:12], error)

    await asyncio.gather(*(remove(sandbox.id) for sandbox in await runtime.sandboxes()))


def _shims(config: ContainerdConfig) -> Iterator[int]:
    """Shims name the socket of the containerd that they report to."""
    needle = b"-address\0" + str(config.socket).encode() + b"\0"
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if needle in (entry / "cmdline").read_bytes():
                    yield int(entry.name)


def cgroup_directories(cgroup: str, root: Path = CGROUP_ROOT) -> list[Path]:
    """The group's directory in every hierarchy (cgroup v1 has one a controller), deepest first."""
    relative = cgroup.strip("/")
    if not relative:
        return []
    tops = [root / relative, *(root.glob(f"*/{relative}"))]
    found = [path for top in tops if top.is_dir() for path in (top, *(p for p in top.rglob("*") if p.is_dir()))]
    return sorted(set(found), key=lambda path: len(path.parts), reverse=True)


def _cgroup_pids(cgroup: str) -> set[int]:
    pids = set()
    for directory in cgroup_directories(cgroup):
        with contextlib.suppress(OSError):
            pids |= {int(word) for word in (directory / "cgroup.procs").read_text().split()}
    return pids


async def _remove_cgroups(cgroup: str, clock: Clock) -> None:
    for _ in range(REMOVE_TRIES):
        if not remove_cgroup(cgroup):
            await clock.sleep(REMOVE_TRY_S)
            continue
        return
    logger.warning("cgroup %s could not be removed: it still holds processes", cgroup)


def remove_cgroup(cgroup: str, root: Path = CGROUP_ROOT) -> bool:
    """Whether nothing is left of it."""
    for directory in cgroup_directories(cgroup, root):
        with contextlib.suppress(OSError):
            directory.rmdir()
    return not cgroup_directories(cgroup, root)


def mounts_under(directory: Path, mountinfo: str) -> list[str]:
    """Mount points at or below `directory`, deepest (latest) first."""
    points = [line.split()[4].replace("\\040", " ") for line in mountinfo.splitlines()]
    return [point for point in reversed(points) if Path(point).is_relative_to(directory)]


def current_mounts_under(directory: Path) -> list[str]:
    return mounts_under(directory.resolve(), Path("/proc/self/mountinfo").read_text())


def unmount(point: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(os.fsencode(point), MNT_DETACH):
        logger.debug("unmounting %s: %s", point, os.strerror(ctypes.get_errno()))


async def unmount_below(directory: Path, clock: Clock) -> None:
    """Processes that were just killed may hold a mount for a moment, so this looks again."""
    for _ in range(REMOVE_TRIES):
        points = current_mounts_under(directory)
        if not points:
            return
        for point in points:
            unmount(point)
        await clock.sleep(REMOVE_TRY_S)
    logger.warning("%s still has mounts below it", directory)
