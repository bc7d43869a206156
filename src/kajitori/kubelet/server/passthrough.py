"""exec, attach and port-forward: the upgraded connection is handed to the runtime's streaming server byte by byte.

SPDY/3.1 or WebSocket is spoken between the client and containerd; nothing in between understands or changes it.
"""

import asyncio
import contextlib
import logging
from urllib.parse import urlsplit

from kajitori.kubelet.server.http_messages import Request

logger = logging.getLogger(__name__)

BUFFER_BYTES = 64 * 1024
_HOP_HEADERS = ("host", "authorization", "content-length", "transfer-encoding")


async def pass_through(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: str) -> None:
    """`url` is the one-time address that the runtime gave. Returns when either side is done."""
    target = urlsplit(url)
    back_reader, back_writer = await asyncio.open_connection(target.hostname, target.port)
    path = target.path + (f"?{target.query}" if target.query else "")
    headers = [(k, v) for k, v in request.headers if k.lower() not in _HOP_HEADERS]
    lines = [f"{request.method} {path} HTTP/1.1", f"Host: {target.netloc}", *(f"{k}: {v}" for k, v in headers)]
    back_writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    to_runtime = asyncio.ensure_future(_copy(reader, back_writer))
    from_runtime = asyncio.ensure_future(_copy(back_reader, writer))
    try:
        # TLS knows no half-closed connections: whoever closes first ends the session for both.
        await asyncio.wait((to_runtime, from_runtime), return_when=asyncio.FIRST_COMPLETED)
    finally:
        to_runtime.cancel()
        from_runtime.cancel()
        back_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(BUFFER_BYTES):
            writer.write(data)
            await writer.drain()
