"""A request while its bytes arrive."""

from kajitori.apiserver.http_types import Headers


class Incoming:
    """The defaults are the class's own: a request that repeats the one before sets only what differs."""

    headers: Headers
    target = b""
    header_bytes = 0
    body: list[bytes]
    body_bytes = 0
    method = ""
    version = "1.1"
    keep_alive = True
    arrived_bytes = -1
    """Of the pieces after the one in which it began. The parser keeps a header's value to itself until it is whole."""
