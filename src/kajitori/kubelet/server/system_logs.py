"""The machine's own logs, `/logs/...`: lists of directories as a page, files as they are.

What lies below `root` is shown to whoever may `get` the node's `log` subresource; a path cannot lead above it, though
symbolic links are followed, as upstream's file server does.
"""

import asyncio
import html
import os
import stat
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import quote, unquote

from kajitori.kubelet.server.http_messages import Answer, Failure

SYSTEM_LOGS = Path("/var/log")
CHUNK_BYTES = 64 * 1024


def located(root: Path, request_path: str) -> Path:
    """The file that the path of a request, `/logs/<file>`, means."""
    parts: list[str] = []
    for part in PurePosixPath(unquote(request_path)).parts[2:]:
        if part == "..":
            parts = parts[:-1]
        else:
            parts.append(part)
    return root.joinpath(*parts)


def open_log(root: Path, request_path: str) -> Answer | BinaryIO:
    """A page or a redirection for a directory; else the file, opened."""
    path = located(root, request_path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            if not request_path.endswith("/"):
                location = f"{request_path.rsplit('/', 1)[-1]}/"
                return Answer(b"", status=HTTPStatus.MOVED_PERMANENTLY, headers={"Location": location})
            return Answer(_listing(path).encode(), "text/html; charset=utf-8")
        if stat.S_ISREG(mode):
            return path.open("rb")
    except PermissionError:
        raise Failure(HTTPStatus.FORBIDDEN, "403 Forbidden") from None
    except (OSError, ValueError):
        pass
    raise Failure(HTTPStatus.NOT_FOUND, "404 page not found")


async def chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    """What is in it now; what is written meanwhile is left out, or a busy log would have no end."""
    left = os.fstat(file.fileno()).st_size
    while left and (data := await asyncio.to_thread(file.read, min(left, CHUNK_BYTES))):
        left -= len(data)
        yield data


def _listing(directory: Path) -> str:
    names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in os.scandir(directory))
    links = (f'<a href="{quote(name)}">{html.escape(name)}</a>\n' for name in names)
    return f'<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n{"".join(links)}</pre>\n'
