"""Container logs: from the runtime's files to what `kubectl logs` shows."""

import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kajitori.api.times import parse_timestamp
from kajitori.kit.inotify import DirectoryWatch
from kajitori.kubelet.log_lines import LogEntry, parse_line
from kajitori.kubelet.server.http_messages import Request

CHUNK_BYTES = 64 * 1024

Subscribe = Callable[[Callable[[], None]], Callable[[], None]]
"""Takes what is to be called upon a change, gives what ends that."""


@dataclass(frozen=True, slots=True)
class LogOptions:
    follow: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since_s: float | None = None
    limit_bytes: int | None = None
    stream: bytes = b""
    """`stdout` or `stderr`; both when empty."""

    @classmethod
    def of(cls, request: Request, now_s: float) -> "LogOptions":
        """Raises ValueError."""
        since_s = None
        if seconds := request.value("sinceSeconds"):
            since_s = now_s - int(seconds)
        elif time := request.value("sinceTime"):
            since_s = parse_timestamp(time)
        tail, limit = request.value("tailLines"), request.value("limitBytes")
        stream = request.value("stream").lower()
        return cls(
            follow=request.flag("follow"),
            timestamps=request.flag("timestamps"),
            tail_lines=int(tail) if tail else None,
            since_s=since_s,
            limit_bytes=int(limit) if limit else None,
            stream=b"" if stream in ("", "all") else stream.encode(),
        )


def nanoseconds_trimmed(timestamp: str) -> str:
    """Python reads microseconds; the runtime writes nanoseconds."""
    head, dot, tail = timestamp.partition(".")
    if not dot:
        return timestamp
    digits = len(tail) - len(tail.lstrip("0123456789"))
    return f"{head}.{tail[: min(digits, 6)]}{tail[digits:]}"


class Renderer:
    """Entries in, bytes out, until the byte limit is reached."""

    def __init__(self, options: LogOptions) -> None:
        self._options = options
        self._left = options.limit_bytes
        self._mid_line = False

    @property
    def full(self) -> bool:
        return self._left is not None and self._left <= 0

    def render(self, entry: LogEntry) -> bytes:
        options = self._options
        if options.stream and entry.stream != options.stream:
            return b""
        if options.since_s is not None:
            when_s = parse_timestamp(nanoseconds_trimmed(entry.timestamp.decode()))
            if when_s < options.since_s:
                return b""
        text = entry.content
        if options.timestamps and not self._mid_line:
            text = entry.timestamp + b" " + text
        self._mid_line = not entry.content.endswith(b"\n")
        if self._left is not None:
            text = text[: self._left]
            self._left -= len(text)
        return text


def tail_offset(path: Path, lines: int) -> int:
    """Where the last `lines` whole log lines begin (parts of one line count as one)."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        if lines <= 0:
            return end
        starts: deque[int] = deque(maxlen=lines)
        offset = 0
        file.seek(0)
        begins = True
        for line in file:
            if begins:
                starts.append(offset)
            offset += len(line)
            entry = parse_line(line)
            begins = entry is None or entry.content.endswith(b"\n")
        return starts[0] if starts else 0


class _File:
    """Reads whole lines; keeps an unfinished one for later. Follows a rotation to the new file of the same name."""

    def __init__(self, path: Path, offset: int) -> None:
        self._path = path
        self._file = path.open("rb")
        self._file.seek(offset)
        self._rest = b""

    def lines(self) -> Iterator[bytes]:
        while True:
            data = self._file.read(CHUNK_BYTES)
            if not data:
                return
            *whole, self._rest = (self._rest + data).split(b"\n")
            yield from whole

    def reopen_if_rotated(self) -> bool:
        try:
            inode = self._path.stat().st_ino
        except FileNotFoundError:
            return False
        if inode == os.fstat(self._file.fileno()).st_ino:
            return False
        self._file.close()
        self._file, self._rest = self._path.open("rb"), b""
        return True

    def close(self) -> None:
        self._file.close()


async def read_log(
    path: Path, options: LogOptions, is_over: Callable[[], bool], on_change: Subscribe
) -> AsyncIterator[bytes]:
    """`is_over`: the container will write no more; `on_change(wake)` asks to be woken when that may have changed."""
    offset = tail_offset(path, options.tail_lines) if options.tail_lines is not None else 0
    renderer = Renderer(options)
    if not options.follow:
        file = _File(path, offset)
        try:
            async for chunk in _drain(file, renderer):
                yield chunk
        finally:
            file.close()
        return
    with DirectoryWatch(path.parent) as watch:
        forget = on_change(watch.wake)
        file = _File(path, offset)
        try:
            while not renderer.full:
                over = is_over()
                async for chunk in _drain(file, renderer):
                    yield chunk
                if file.reopen_if_rotated():
                    continue
                if over:
                    return
                await watch.wait()
        finally:
            forget()
            file.close()


async def _drain(file: _File, renderer: Renderer) -> AsyncIterator[bytes]:
    pending = bytearray()
    for line in file.lines():
        entry = parse_line(line)
        if entry is not None:
            pending += renderer.render(entry)
        if renderer.full:
            break
        if len(pending) >= CHUNK_BYTES:
            yield bytes(pending)
            pending.clear()
    if pending:
        yield bytes(pending)
