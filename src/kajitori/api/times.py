"""Timestamps as the API writes them: RFC 3339 in UTC, to the second (metav1.Time) or the microsecond (MicroTime)."""

from datetime import UTC, datetime
from functools import lru_cache


def timestamp(seconds: float) -> str:
    return _timestamp(int(seconds))


@lru_cache(maxsize=8)
def _timestamp(second: int) -> str:
    """Everything that happens within a second is written down with the same text."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_timestamp(text: str) -> float:
    """Seconds since the epoch; raises ValueError for anything that is not RFC 3339."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.timestamp()
