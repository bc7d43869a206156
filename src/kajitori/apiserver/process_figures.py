"""process_*: what this process takes of the machine, read from /proc when somebody scrapes (Linux)."""

import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

from kajitori.apiserver.exposition import Family

_STATUS, _STAT, _FDS = Path("/proc/self/statm"), Path("/proc/self/stat"), Path("/proc/self/fd")
_START_FIELD = 19
"""Of /proc/self/stat, counted after the name: when the process began, in clock ticks after the machine."""


def families() -> Iterator[Family]:
    figures: tuple[tuple[str, str, str, Callable[[], float]], ...] = (
        ("process_cpu_seconds_total", "counter", "Processor time, user and system.", _cpu_s),
        ("process_resident_memory_bytes", "gauge", "Memory in use.", lambda: _memory_bytes(1)),
        ("process_virtual_memory_bytes", "gauge", "Address space in use.", lambda: _memory_bytes(0)),
        ("process_start_time_seconds", "gauge", "When the process began, since the epoch.", _started_s),
        ("process_open_fds", "gauge", "Open file descriptors.", lambda: sum(1 for _ in _FDS.iterdir())),
        ("process_virtual_memory_max_bytes", "gauge", "Address space that may be in use.", _memory_most),
        ("process_network_receive_bytes_total", "counter", "Bytes received in this network.", lambda: _network(0)),
        ("process_network_transmit_bytes_total", "counter", "Bytes sent in this network.", lambda: _network(8)),
        ("process_max_fds", "gauge", "How many may be open.", lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
    )
    for name, kind, help, read in figures:
        yield Family(name, "counter" if kind == "counter" else "gauge", help, lambda read=read: _one(read))  # type: ignore[misc]


def _one(read: Callable[[], float]) -> list[tuple[dict[str, str], float]]:
    try:
        return [({}, read())]
    except (OSError, ValueError, IndexError):
        return []


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _memory_bytes(field: int) -> int:
    return int(_STATUS.read_text().split()[field]) * resource.getpagesize()


def _memory_most() -> float:
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    return 2.0**64 - 1 if most == resource.RLIM_INFINITY else most


def _network(field: int) -> int:
    """Of /proc/self/net/dev, all interfaces together; counted after the name."""
    lines = Path("/proc/self/net/dev").read_text().splitlines()[2:]
    return sum(int(line.partition(":")[2].split()[field]) for line in lines)


def _started_s() -> float:
    fields = _STAT.read_text().rpartition(")")[2].split()
    booted = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    return float(booted.split()[1]) + int(fields[_START_FIELD]) / os.sysconf("SC_CLK_TCK")
