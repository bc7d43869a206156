"""What a container left behind when it ended: its message file, or the end of its log."""

from pathlib import Path

from kajitori.kubelet.log_lines import parse_line

FILE_BYTES_MAX = 4096
LOG_BYTES_MAX, LOG_LINES_MAX = 2048, 80


def read_message(host_path: str, policy: str, log: Path, exit_code: int) -> str:
    text = ""
    if host_path:
        try:
            with Path(host_path).open("rb") as file:
                text = file.read(FILE_BYTES_MAX).decode(errors="replace")
        except OSError:
            text = ""
    if not text and policy == "FallbackToLogsOnError" and exit_code != 0:
        return log_tail(log)
    return text


def log_tail(log: Path) -> str:
    """The last lines, as the container wrote them."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 4 * LOG_BYTES_MAX))
            lines = file.read().splitlines(keepends=True)[-LOG_LINES_MAX:]
    except OSError:
        return ""
    texts = [entry.content for line in lines if (entry := parse_line(line)) is not None]
    return b"".join(texts)[-LOG_BYTES_MAX:].decode(errors="replace")
