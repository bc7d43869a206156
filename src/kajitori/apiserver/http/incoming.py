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
