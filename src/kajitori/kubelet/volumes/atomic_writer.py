"""Files that change all at once: a dated directory, a `..data` link to it, and a link for every name.

What a reader opens through `..data` is always one whole version, because replacing that link is one rename.
"""

import contextlib
import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from kajitori.kubelet.volumes.payload import Payload

DATA = "..data"
NEW_DATA = "..data_tmp"


def write_payload(directory: Path, payload: Payload, group: int | None, now_s: float) -> bool:
    """Whether anything changed. With `group`, files belong to it and it may read them (fsGroup)."""
    current = directory / DATA
    if current.exists() and _holds(current, payload):
        return False
    stamp = datetime.fromtimestamp(now_s, UTC).strftime("..%Y_%m_%d_%H_%M_%S.")
    fresh = Path(tempfile.mkdtemp(prefix=stamp, dir=directory))
    fresh.chmod(0o755)
    if group is not None:
        os.chown(fresh, -1, group)
    for name, file in payload.items():
        path = fresh / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(file.mode | (0o440 if group is not None else 0))
        if group is not None or file.owner is not None:
            os.chown(path, -1 if file.owner is None else file.owner, -1 if group is None else group)
    old = current.readlink().name if current.is_symlink() else ""
    link = directory / NEW_DATA
    link.unlink(missing_ok=True)
    link.symlink_to(fresh.name)
    link.rename(current)
    _link_names(directory, payload)
    if old:
        shutil.rmtree(directory / old, ignore_errors=True)
    return True


def _holds(current: Path, payload: Payload) -> bool:
    found = {str(path.relative_to(current)) for path in current.rglob("*") if path.is_file()}
    if found != set(payload):
        return False
    return all((current / name).read_bytes() == file.content for name, file in payload.items())


def _link_names(directory: Path, payload: Payload) -> None:
    tops = {name.split("/", 1)[0] for name in payload}
    for entry in directory.iterdir():
        if not entry.name.startswith("..") and entry.name not in tops:
            with contextlib.suppress(FileNotFoundError):
                entry.unlink()
    for top in tops:
        link = directory / top
        if not link.is_symlink():
            link.symlink_to(f"{DATA}/{top}")
