"""A request while its bytes arrive."""


class Incoming:
    __slots__ = ("body", "body_bytes", "header_bytes", "headers", "keep_alive", "method", "target", "version")

    def __init__(self) -> None:
        self.target = b""
        self.headers: dict[str, str] = {}
        self.header_bytes = 0
        self.body: list[bytes] = []
        self.body_bytes = 0
        self.method = ""
        self.version = "1.1"
        self.keep_alive = True
