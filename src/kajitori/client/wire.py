"""What carries the requests of a client: a connection to a server, or a server in the same process."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Answer:
    """Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire(Protocol):
    """A `target` is a path, percent-encoded, with its query. Whatever goes wrong below HTTP is Disconnected."""

    @property
    def address(self) -> object:
        """Whom errors name."""

    async def request(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send and read the whole answer."""

    def stream(self, target: str) -> AbstractAsyncContextManager[tuple[int, AsyncIterator[bytes]]]:
        """GET: the status, and the body in pieces as they come."""

    async def close(self) -> None: ...


async def read_all(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


async def lines(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Whole lines of a stream; what follows the last newline when it ends was cut off and is dropped."""
    rest = b""
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            if line:
                yield line
