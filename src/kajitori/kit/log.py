"""One line a record: time, level, part, message. Callers log names, never the values of secrets."""

import logging
import logging.handlers
import sys
import time
from pathlib import Path

FILE_BYTES_MAX = 8 << 20
"""A log file is moved aside at this size; one older file is kept."""


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        part = record.name.removeprefix("kajitori.")
        line = f"{moment}.{int(record.msecs):03d}Z {record.levelname[0]} {part}: {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure(level: int = logging.INFO, file: Path | None = None) -> None:
    """Send this process's records to a file of bounded size, or to stderr."""
    handler: logging.Handler
    if file is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(file, maxBytes=FILE_BYTES_MAX, backupCount=1)
    handler.setFormatter(_Formatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
