"""Points in time and lengths of time: their text, their parts, their sums. Nanoseconds inside, years 1 to 9999."""

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from kajitori.api.cel.errors import EvaluationError
from kajitori.api.cel.values import INT_MAX, INT_MIN, Duration, Timestamp
from kajitori.api.go_durations import duration_ns

_SECOND = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_S, _LAST_S = -62135596800, 253402300799
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:([Zz])|([+-])(\d\d):(\d\d))", re.ASCII
)
_OFFSET = re.compile(r"([+-]?)(\d\d):(\d\d)", re.ASCII)


def timestamp(ns: int) -> Timestamp:
    if not _FIRST_S <= ns // _SECOND <= _LAST_S:
        raise EvaluationError("timestamp overflow")
    return Timestamp(ns)


def duration(ns: int) -> Duration:
    if not INT_MIN <= ns <= INT_MAX:
        raise EvaluationError("duration overflow")
    return Duration(ns)


def parse_timestamp(text: str) -> Timestamp:
    """RFC 3339. Raises ValueError."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f'parsing time "{text}" as RFC3339 failed')
    year, month, day, hour, minute, second = (int(match[number]) for number in range(1, 7))
    try:
        base = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f'parsing time "{text}": {error}') from error
    fraction = int((match[7] or "0")[:9].ljust(9, "0"))
    offset_s = 0
    if match[9]:
        hours, minutes = int(match[10]), int(match[11])
        if hours > 24 or minutes > 59:
            raise ValueError(f'parsing time "{text}": time zone offset out of range')
        offset_s = (1 if match[9] == "+" else -1) * (hours * 3600 + minutes * 60)
    seconds = _whole_seconds(base) - offset_s
    if not _FIRST_S <= seconds <= _LAST_S:
        raise ValueError("timestamp overflow")
    return Timestamp(seconds * _SECOND + fraction, offset_s)


def parse_date(text: str) -> Timestamp:
    """YYYY-MM-DD, as midnight in UTC. Raises ValueError."""
    day = date.fromisoformat(text) if len(text) == 10 else None
    if day is None:
        raise ValueError(f'parsing time "{text}" as a date failed')
    return Timestamp(_whole_seconds(datetime(day.year, day.month, day.day, tzinfo=UTC)) * _SECOND)


def _whole_seconds(moment: datetime) -> int:
    since = moment - _EPOCH
    return since.days * 86400 + since.seconds


def timestamp_text(moment: Timestamp) -> str:
    seconds, fraction = divmod(moment.ns, _SECOND)
    shifted = max(_FIRST_S, min(_LAST_S, seconds + moment.offset_s))
    whole = (_EPOCH + timedelta(seconds=shifted)).replace(tzinfo=None).isoformat()
    return f"{whole}{_fraction(fraction)}{_zone_text(moment.offset_s)}"


def _zone_text(offset_s: int) -> str:
    if not offset_s:
        return "Z"
    hours, minutes = divmod(abs(offset_s) // 60, 60)
    return f"{'-' if offset_s < 0 else '+'}{hours:02d}:{minutes:02d}"


def _fraction(ns: int) -> str:
    return f".{ns:09d}".rstrip("0") if ns else ""


def parse_duration(text: str) -> Duration:
    """`1h30m`, `1.5s`, `-3ms`. Raises ValueError."""
    return Duration(duration_ns(text))


def duration_text(length: Duration) -> str:
    sign = "-" if length.ns < 0 else ""
    seconds, fraction = divmod(abs(length.ns), _SECOND)
    return f"{sign}{seconds}{_fraction(fraction)}s"


def zone(name: str) -> tzinfo:
    """An IANA name or an offset such as `-08:00`. Raises EvaluationError."""
    match = _OFFSET.fullmatch(name)
    if match is not None:
        minutes = int(match[2]) * 60 + int(match[3])
        if minutes < 24 * 60:
            return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))
    else:
        try:
            return ZoneInfo(name)
        except (ValueError, OSError, KeyError):
            pass
    raise EvaluationError(f"unknown time zone {name}")


def in_zone(moment: Timestamp, where: str = "") -> datetime:
    """The calendar's view, to the microsecond."""
    seconds, fraction = divmod(moment.ns, _SECOND)
    at = _EPOCH + timedelta(seconds=seconds, microseconds=fraction // 1000)
    if not where or where == "UTC":
        return at
    try:
        return at.astimezone(zone(where))
    except OverflowError as error:
        raise EvaluationError("timestamp overflow") from error
