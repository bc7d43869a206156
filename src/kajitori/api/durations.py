"""Spans of time as kubectl shows them: `5m3s`, `3d4h`, `2y`; ever coarser, never more than two units."""

from kajitori.api.times import parse_timestamp

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_YEAR = 365 * _DAY

# below this many seconds -> (unit and its letter, next smaller unit and its letter, or None when it is left out)
_SCALE = (
    (2 * _MINUTE, (1, "s"), None),
    (10 * _MINUTE, (_MINUTE, "m"), (1, "s")),
    (3 * _HOUR, (_MINUTE, "m"), None),
    (8 * _HOUR, (_HOUR, "h"), (_MINUTE, "m")),
    (2 * _DAY, (_HOUR, "h"), None),
    (8 * _DAY, (_DAY, "d"), (_HOUR, "h")),
    (2 * _YEAR, (_DAY, "d"), None),
    (8 * _YEAR, (_YEAR, "y"), (_DAY, "d")),
)


def human_duration(seconds: float) -> str:
    """A span of `seconds`; `0s` for a clock that is a second off, `<invalid>` for one that is further off."""
    if seconds <= -2:
        return "<invalid>"
    whole = max(0, int(seconds))
    for below, (unit, letter), finer in _SCALE:
        if whole < below:
            count, rest = divmod(whole, unit)
            shown = f"{count}{letter}"
            if finer is not None and (minor := rest // finer[0]):
                shown += f"{minor}{finer[1]}"
            return shown
    return f"{whole // _YEAR}y"


def time_since(timestamp: str | None, now_s: float) -> str:
    """The span from a timestamp of the API to `now_s`; `<unknown>` when there is none."""
    if not timestamp:
        return "<unknown>"
    return human_duration(now_s - parse_timestamp(timestamp))
