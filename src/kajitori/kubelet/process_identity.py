"""Which process a pidfile means: a pid alone may have been given to another since, its start time tells them apart."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from kajitori.kit.files import replace_file


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    pid: int
    start_ticks: int
    """Clock ticks between boot and the process's start (field 22 of /proc/<pid>/stat)."""


def identify(pid: int) -> ProcessIdentity | None:
    """None when there is no such process, or only what is left of it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else ProcessIdentity(pid, int(fields[19]))


def write_identity(path: Path, identity: ProcessIdentity) -> None:
    replace_file(path, json.dumps(asdict(identity)).encode(), 0o644)


def read_running(path: Path) -> ProcessIdentity | None:
    """The process that the file names, if exactly that one still runs."""
    try:
        written = ProcessIdentity(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return written if identify(written.pid) == written else None
