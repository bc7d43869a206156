"""How much and how long a client may keep the server busy before it has said what it wants."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Who exceeds one is answered (431, 413, 408) where that still makes sense, and then hung up on."""

    header_bytes_max: int = 128 * 1024
    """A service account token and its impersonation headers stay below 16 KiB."""
    body_bytes_max: int = 3 * 1024 * 1024
    """Upstream's limit for a decoded request."""
    handshake_timeout_s: float = 32.0
    """As long as a header: a crowd that comes back to a busy machine waits for its turn, and would only come again."""
    header_timeout_s: float = 32.0
    """From the first byte of a request to the end of its header."""
    body_timeout_s: float = 60.0
    """From the first byte of a request to the end of its body."""
    idle_timeout_s: float = 180.0
    """Between two requests on one connection."""
    pipelined_max: int = 16
    """Requests read ahead on one connection; reading pauses beyond."""
    write_buffer_bytes: int = 256 * 1024
    """Above this a stream counts as slow and is asked to wait."""
    connections_max: int = 10_000
    """A connection above is closed at once."""
