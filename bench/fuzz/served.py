"""The whole API server, secured, with a store in memory, virtual time and a wire that is a list of bytes."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from kajitori.apiserver import pki
from kajitori.apiserver.http.protocol import HttpConnection
from kajitori.apiserver.server import ApiServer
from kajitori.kit.clock import VirtualClock
from kajitori.testing.secured import secured_server

_SOCKET_TURNS = 30
"""Of the event loop, for what a WebSocket says after its handshake."""
PATIENCE_S = 120.0
"""Of virtual time: longer than any timeout a request can ask for by chance, but for a watch's."""


@dataclass(frozen=True)
class Answer:
    """What came over the wire. `busy_s` is the processor's time for the event loop, which nobody else has meanwhile;
    `over` says that the server hung up."""

    wire: bytes
    busy_s: float
    over: bool


class _Certified:
    """What a handshake has found: a client's certificate first, and by whom it was verified."""

    def __init__(self, chain: Sequence[bytes]) -> None:
        self._chain = chain

    def getpeercert(self, binary_form: bool = False) -> bytes | None:
        return self._chain[0] if self._chain else None

    def get_verified_chain(self) -> Sequence[bytes]:
        return self._chain if len(self._chain) > 1 else ()


class _Wire(asyncio.Transport):
    def __init__(self, chain: Sequence[bytes]) -> None:
        super().__init__()
        self.written = bytearray()
        self.over = False
        self._tls = _Certified(chain)
        self._protocol: asyncio.BaseProtocol | None = None

    def write(self, data: Any) -> None:
        if not self.over:
            self.written += data

    def writelines(self, pieces: Any) -> None:
        for piece in pieces:
            self.write(piece)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._tls if name == "ssl_object" else default

    def get_write_buffer_size(self) -> int:
        return 0

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return 0, 1 << 16

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._protocol is not None
        return self._protocol

    def is_closing(self) -> bool:
        return self.over

    def close(self) -> None:
        self.over = True

    abort = close

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Served:
    def __init__(self, server: ApiServer, clock: VirtualClock, identities: dict[str, Sequence[bytes]]) -> None:
        self.server = server
        self.clock = clock
        self.identities = identities

    async def ask(self, request: bytes, identity: str = "root") -> Answer:
        """Send bytes; wait for the whole answer, or for the beginning of one that has no end."""
        wire = _Wire(self.identities[identity])
        connection = HttpConnection(self.server._http)
        wire.set_protocol(connection)
        begun_s = time.thread_time()
        connection.connection_made(wire)
        connection.data_received(request)
        waited_s, turns = 0.0, 0
        while not wire.over and not _whole(wire.written):
            if self.server.backend.aside.busy:  # in real time: no timeout may strike meanwhile
                await asyncio.sleep(0.001)
                continue
            turns += 1
            await asyncio.sleep(0 if turns % 50 else 0.001)
            if turns % 100 == 0:
                if waited_s > PATIENCE_S:
                    break
                await self.clock.advance(2.0)
                waited_s += 2.0
        for _ in range(_SOCKET_TURNS if wire.written.startswith(b"HTTP/1.1 101") else 0):
            await asyncio.sleep(0)
        busy_s = time.thread_time() - begun_s
        over = wire.over
        wire.close()
        wire.get_protocol().connection_lost(None)  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        return Answer(bytes(wire.written), busy_s, over)


def _whole(written: bytearray) -> bool:
    head, separator, body = bytes(written[:65536]).partition(b"\r\n\r\n")
    if not separator:
        return False
    lines = head.lower().split(b"\r\n")
    if lines[0].startswith((b"http/1.1 1", b"http/1.1 204", b"http/1.1 304")):
        return not lines[0].startswith(b"http/1.1 100") or _whole(written[len(head) + 4 :])
    for line in lines:
        if line.startswith(b"content-length:"):
            return len(written) - len(head) - 4 >= int(line.partition(b":")[2])
    return bool(body)


@asynccontextmanager
async def served() -> AsyncIterator[Served]:
    clock = VirtualClock()
    with tempfile.TemporaryDirectory() as folder:
        async with secured_server(Path(folder), clock) as secured:

            def der(pair: pki.Pair) -> bytes:
                return x509.load_pem_x509_certificate(pair.certificate).public_bytes(serialization.Encoding.DER)

            authority = secured.keys.authority

            def verified(user: str, *groups: str) -> tuple[bytes, ...]:
                return der(pki.issue_client(authority, user, groups, clock.now())), der(authority)

            identities: dict[str, Sequence[bytes]] = {
                "root": verified("kubernetes-admin", "system:masters"),
                "stranger": verified("stranger"),
                "node": verified("system:node:node-1", "system:nodes"),
                "nobody": (),
                "odd": verified("system:node:", "a,b", "\u00e9"),
                "broken": (verified("stranger")[0][:200], der(authority)),
                "unverified": verified("kubernetes-admin", "system:masters")[:1],
            }
            yield Served(secured.server, clock, identities)
