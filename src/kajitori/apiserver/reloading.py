"""Configuration files that count as they are, not as they were at the start.

A look is taken when the kernel says that something changed in a file's directory (inotify), so that a change counts at
once and nothing runs while nothing changes; and once a minute, as upstream does, because not every file system says so
(NFS, what another machine mounts). A look costs a few calls of stat; files are read when those differ. What cannot be
used changes nothing but the figures and the log; it is tried again when it changes, or when it could not be read.
"""

import asyncio
import contextlib
import hashlib
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kajitori.api.errors import StatusError
from kajitori.apiserver.configuration import BadConfiguration
from kajitori.apiserver.exposition import Family, Labels
from kajitori.apiserver.series import Counter
from kajitori.kit.clock import Clock
from kajitori.kit.inotify import DirectoryWatch

log = logging.getLogger(__name__)

LOOK_S = 60.0
SETTLE_S = 0.2
"""Between the first sign of a change and the look: files that belong together are written one after the other."""


def server_id_hash() -> str:
    """How upstream's metrics tell servers apart; a digest, because a host's name is nobody's business."""
    return f"sha256:{hashlib.sha256(f'apiserver-{socket.gethostname()}'.encode()).hexdigest()}"


class ReloadFigures:
    """`apiserver_<controller>_automatic_reloads_total` and its companions, as upstream names them."""

    def __init__(self, controller: str, clock: Clock, content: bytes) -> None:
        self._prefix = f"apiserver_{controller}_"
        self._clock = clock
        self._server = server_id_hash()
        self._hash = _digest(content)
        self._reloads = Counter(
            f"{self._prefix}automatic_reloads_total",
            "How often the changed file was taken up, or could not be.",
            "status apiserver_id_hash",
        )
        self._last_s: dict[str, float] = {}

    def note(self, content: bytes | None) -> None:
        """`content` None: it could not be taken up."""
        status = "failure" if content is None else "success"
        self._reloads.add(status, self._server)
        self._last_s[status] = self._clock.now()
        if content is not None:
            self._hash = _digest(content)

    def families(self) -> Iterator[Family]:
        server = {"apiserver_id_hash": self._server}
        yield self._reloads.family

        def last() -> list[tuple[Labels, float]]:
            return [({"status": status, **server}, at_s) for status, at_s in self._last_s.items()]

        yield Family(f"{self._prefix}automatic_reload_last_timestamp_seconds", "gauge", "When that was.", last)
        yield Family(
            f"{self._prefix}last_config_info",
            "gauge",
            "The digest of the file that counts; always 1.",
            lambda: [({**server, "hash": self._hash}, 1)],
        )


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(slots=True)
class Reload:
    """Files that belong together, and who takes them up when they change. `take_up` raises BadConfiguration, OSError,
    ValueError or StatusError for what it cannot use, and then has changed nothing."""

    what: str
    files: Sequence[Path]
    take_up: Callable[[], Awaitable[None]]
    figures: ReloadFigures | None = None
    _seen: object = None
    _content: list[bytes] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        with contextlib.suppress(OSError):
            self._seen, self._content = self._stats(), self._read()

    def _stats(self) -> list[tuple[int, int, int]]:
        return [(found.st_mtime_ns, found.st_size, found.st_ino) for found in (path.stat() for path in self.files)]

    def _read(self) -> list[bytes]:
        return [path.read_bytes() for path in self.files]

    async def look(self) -> None:
        try:
            seen = self._stats()
            if seen == self._seen:
                return
            content = self._read()
            self._seen = seen
            if content == self._content:
                return
            self._content = content
            await self.take_up()
        except (BadConfiguration, OSError, ValueError, StatusError) as error:
            log.error("%s: a changed file is not taken up, what counted before goes on: %s", self.what, error)
            self._note(None)
        else:
            log.info("%s: taken up from %s", self.what, ", ".join(map(str, self.files)))
            self._note(b"".join(content))

    def _note(self, content: bytes | None) -> None:
        if self.figures is not None:
            self.figures.note(content)


class Reloader:
    """Runs until it is cancelled."""

    def __init__(
        self, reloads: Sequence[Reload], clock: Clock, watched: Callable[..., DirectoryWatch] = DirectoryWatch
    ) -> None:
        """`watched` begins to watch directories, or raises OSError."""
        self._reloads = tuple(reloads)
        self._clock = clock
        self._watched = watched

    async def run(self) -> None:
        directories = sorted({path.parent for reload in self._reloads for path in reload.files})
        try:
            watch = self._watched(*directories)
        except OSError as error:
            log.warning("changed files are found once a minute only: %s", error)
            while True:
                await self._clock.sleep(LOOK_S)
                await self._look()
        with watch:
            while True:
                timer = self._clock.call_later(LOOK_S, watch.wake)
                await watch.wait()
                timer.cancel()
                await self._clock.sleep(SETTLE_S)
                await self._look()

    async def _look(self) -> None:
        for reload in self._reloads:
            try:
                await reload.look()
            except asyncio.CancelledError:
                raise
            except Exception:
                log.exception("%s: a changed file is not taken up", reload.what)
