"""Keeping container logs small: the file is moved aside and the runtime told to begin a new one."""

import contextlib
from datetime import UTC, datetime
from pathlib import Path

from kajitori.kubelet.runtime import Runtime, RuntimeFailure


def is_too_large(path: Path, bytes_max: int) -> bool:
    try:
        return path.stat().st_size > bytes_max
    except FileNotFoundError:
        return False


def rotated_files(path: Path) -> list[Path]:
    """What was moved aside before, oldest first (the names sort by time)."""
    return sorted(path.parent.glob(f"{path.name}.*"))


async def rotate(path: Path, container_id: str, runtime: Runtime, files_max: int, now_s: float) -> None:
    """Leaves at most `files_max` files, the current one included."""
    stamp = datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"{path.name}.{stamp}")
    _move(path, aside)
    try:
        await runtime.reopen_log(container_id)
    except RuntimeFailure:
        # Still written to under its new name: put it back and try again at the next beat.
        _move(aside, path)
        raise
    _remove(rotated_files(path)[: -(files_max - 1) or None])


def _move(path: Path, to: Path) -> None:
    path.rename(to)


def _remove(files: list[Path]) -> None:
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            file.unlink()
