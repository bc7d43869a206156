"""The kernel's randomness, fetched a block at a time."""

import os
import random
from typing import Any, NoReturn

BLOCK_BYTES = 4096


class BlockRandom(random.Random):
    """As hard to guess as `random.SystemRandom`, for uids and names by the thousand: most calls are a slice, no system
    call (in which a waiting thread takes the interpreter's lock away). Belongs to one thread."""

    def __init__(self) -> None:
        self._block = b""
        self._position = 0
        super().__init__()

    def randbytes(self, n: int) -> bytes:
        start = self._position
        end = start + n
        if end > len(self._block):
            self._block = os.urandom(max(n, BLOCK_BYTES))
            start, end = 0, n
        self._position = end
        return self._block[start:end]

    def getrandbits(self, k: int, /) -> int:
        size = (k + 7) // 8
        return int.from_bytes(self.randbytes(size), "big") >> (size * 8 - k)

    def random(self) -> float:
        return (int.from_bytes(self.randbytes(7), "big") >> 3) * 2**-53

    def seed(self, *_args: Any, **_kwargs: Any) -> None:
        """There is none."""

    def getstate(self) -> NoReturn:
        raise NotImplementedError("the kernel's randomness has no state to keep")

    def setstate(self, state: Any) -> NoReturn:
        raise NotImplementedError("the kernel's randomness has no state to set")
