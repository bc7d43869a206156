"""fsGroup: the group of a volume's files, and the bits by which it may use them."""

import os
from pathlib import Path

READ_WRITE, SET_GID, EXECUTE = 0o660, 0o2000, 0o110


def own_by_group(root: Path, group: int, *, on_mismatch_only: bool) -> None:
    """Everything below `root`; with `on_mismatch_only`, nothing when the root itself already is right."""
    top = root.stat()
    wanted = READ_WRITE | SET_GID | EXECUTE
    if on_mismatch_only and top.st_gid == group and top.st_mode & wanted == wanted:
        return
    for directory, _, files in os.walk(root):
        for name in files:
            _own(Path(directory) / name, group, directory=False)
        _own(Path(directory), group, directory=True)


def _own(path: Path, group: int, *, directory: bool) -> None:
    if path.is_symlink():
        return
    os.chown(path, -1, group)
    extra = READ_WRITE | (SET_GID | EXECUTE if directory else 0)
    path.chmod((path.stat().st_mode & 0o7777) | extra)
