"""The CRI log format: `<RFC 3339 time> <stdout|stderr> <P|F> <content>`; P is a part of a line, F its end."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogEntry:
    timestamp: bytes
    stream: bytes
    content: bytes
    """With its newline unless the line goes on."""


def parse_line(line: bytes) -> LogEntry | None:
    """None for what is not in the format (a line cut in half)."""
    parts = line.rstrip(b"\n").split(b" ", 3)
    if len(parts) < 3 or parts[1] not in (b"stdout", b"stderr"):
        return None
    content = parts[3] if len(parts) == 4 else b""
    return LogEntry(parts[0], parts[1], content if parts[2].split(b":")[0] == b"P" else content + b"\n")
