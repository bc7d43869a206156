"""hostPath: what must be there, or is made, by its type (API reference: HostPathVolumeSource)."""

import stat
from pathlib import Path

_EXPECTED = {
    "Directory": (stat.S_ISDIR, "is not a directory"),
    "File": (stat.S_ISREG, "is not a file"),
    "Socket": (stat.S_ISSOCK, "is not a socket"),
    "CharDevice": (stat.S_ISCHR, "is not a character device"),
    "BlockDevice": (stat.S_ISBLK, "is not a block device"),
}


class WrongHostPath(Exception):
    """The path is not what the volume says."""


def settle_host_path(path: Path, kind: str) -> None:
    if kind == "DirectoryOrCreate":
        if not path.exists():
            path.mkdir(parents=True, mode=0o755)
        kind = "Directory"
    elif kind == "FileOrCreate":
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o644)
        kind = "File"
    if kind not in _EXPECTED:
        return
    matches, complaint = _EXPECTED[kind]
    try:
        found = path.stat().st_mode
    except FileNotFoundError:
        raise WrongHostPath(f"hostPath type check failed: {path} {complaint}") from None
    if not matches(found):
        raise WrongHostPath(f"hostPath type check failed: {path} {complaint}")
