"""Image volumes (KEP-4639): the files of an image, read-only, as a volume.

CRI's own way needs containerd 2; `ctr images mount` does the same with any: a read-only view of the image's snapshot.
The mount goes with the pod's directory, the view itself a day later (ctr gives it a lease of that length).
"""

import asyncio
from pathlib import Path
from typing import Protocol

from kajitori.kubelet.containerd_config import CRI_NAMESPACE


class ImageMountFailed(Exception):
    """The message is containerd's."""


class ImageMounter(Protocol):
    async def mount(self, image: str, target: Path) -> None:
        """`image` is its full name; raises ImageMountFailed."""


class CtrImageMounter:
    def __init__(self, socket: Path, snapshotter: str) -> None:
        self._socket = socket
        self._snapshotter = snapshotter

    async def mount(self, image: str, target: Path) -> None:
        await asyncio.to_thread(target.mkdir, parents=True, exist_ok=True)
        code, output = await self._ctr("mount", "--snapshotter", self._snapshotter, image, str(target))
        if code:
            raise ImageMountFailed(f"mounting image {image}: {output}")

    async def _ctr(self, *words: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            "ctr", "--address", str(self._socket), "--namespace", CRI_NAMESPACE, "images", *words,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode(errors="replace").strip()
