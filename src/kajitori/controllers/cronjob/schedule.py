"""Cron schedules: five fields, names, ranges, lists and steps, `@daily` and its like, in a time zone. Pure.

The grammar is that of the library upstream uses: when both day fields are restricted, either may match; `*` and `?`
mean any; Sunday is 0 (7 is refused). Where clocks go forward, a moment that does not exist is left out; where they go
back, one that occurs twice counts once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_WEEKDAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_FIELDS: tuple[tuple[str, int, int, Mapping[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 6, _WEEKDAYS),
)
# February 29th on a given weekday recurs within 28 years, except across a century that is no leap year.
_YEARS_AHEAD_MAX = 41


class ScheduleError(ValueError):
    """A schedule or time zone that cannot be read; the message says which part, and why."""


@dataclass(frozen=True, slots=True)
class Schedule:
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool
    every_s: int = 0
    """For `@every 90s`: the interval; the fields do not count then."""

    def next_after(self, moment_s: float, zone: ZoneInfo) -> float | None:
        """The first moment after `moment_s` (epoch seconds), None if there is none in sight."""
        if self.every_s:
            return float(int(moment_s) + self.every_s)
        local = datetime.fromtimestamp(moment_s, zone).replace(second=0, microsecond=0, tzinfo=None)
        candidate = local + timedelta(minutes=1)
        limit = candidate.year + _YEARS_AHEAD_MAX
        while candidate.year < limit:
            step = self._to_skip(candidate)
            if step is not None:
                candidate = step
                continue
            found = candidate.replace(tzinfo=zone)
            exists = found.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == candidate
            if exists and found.timestamp() > moment_s:
                return found.timestamp()
            candidate += timedelta(minutes=1)
        return None

    def _to_skip(self, at: datetime) -> datetime | None:
        """The next moment worth a look when this one does not match: the start of the next month, day, hour, minute."""
        if at.month not in self.months:
            first = at.replace(day=1, hour=0, minute=0)
            return first.replace(year=at.year + 1, month=1) if at.month == 12 else first.replace(month=at.month + 1)
        if not self._is_day(at):
            return at.replace(hour=0, minute=0) + timedelta(days=1)
        if at.hour not in self.hours:
            return at.replace(minute=0) + timedelta(hours=1)
        if at.minute not in self.minutes:
            return at + timedelta(minutes=1)
        return None

    def _is_day(self, at: datetime) -> bool:
        by_date, by_weekday = at.day in self.days, (at.isoweekday() % 7) in self.weekdays
        return (by_date and by_weekday) if self.any_day or self.any_weekday else (by_date or by_weekday)


def parse(text: str) -> Schedule:
    """Raises ScheduleError."""
    text = text.strip()
    if text.startswith("@every "):
        return _every(text.removeprefix("@every ").strip())
    if text.startswith("@"):
        if text.lower() not in _MACROS:
            raise ScheduleError(f"unrecognized descriptor: {text}")
        text = _MACROS[text.lower()]
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise ScheduleError(f"expected exactly 5 fields, found {len(fields)}: [{text}]")
    minutes, hours, days, months, weekdays = (_field(f, *kind) for f, kind in zip(fields, _FIELDS, strict=True))
    return Schedule(minutes, hours, days, months, weekdays, fields[2][0] in "*?", fields[4][0] in "*?")


def _every(text: str) -> Schedule:
    units = {"h": 3600, "m": 60, "s": 1}
    total, number = 0, ""
    for character in text:
        if character.isdigit():
            number += character
        elif character in units and number:
            total += int(number) * units[character]
            number = ""
        else:
            raise ScheduleError(f"failed to parse duration @every {text}: write it like 1h30m")
    if number or not total:
        raise ScheduleError(f"failed to parse duration @every {text}: write it like 1h30m")
    nothing: frozenset[int] = frozenset()
    return Schedule(nothing, nothing, nothing, nothing, nothing, True, True, every_s=total)


def _field(text: str, name: str, least: int, most: int, names: Mapping[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        found |= _range(part, name, least, most, names)
    return frozenset(found)


def _range(part: str, name: str, least: int, most: int, names: Mapping[str, int]) -> set[int]:
    span, slash, step_text = part.partition("/")
    if span in ("*", "?"):
        first, last = least, most
    else:
        first_text, dash, last_text = span.partition("-")
        first = _number(first_text, name, names)
        # `5/10` means from 5 to the end.
        last = _number(last_text, name, names) if dash else (most if slash else first)
    step = _number(step_text, name, {}) if slash else 1
    if step == 0:
        raise ScheduleError(f"step of {name} must be a positive number: {part}")
    if first < least or last > most:
        raise ScheduleError(f"{name} must be within {least}-{most}: {part}")
    if first > last:
        raise ScheduleError(f"beginning of range of {name} is beyond its end: {part}")
    return set(range(first, last + 1, step))


def _number(text: str, name: str, names: Mapping[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not text.isdigit():
        raise ScheduleError(f"failed to parse {text!r} as {name}")
    return int(text)


def zone_of(name: str | None) -> ZoneInfo:
    """UTC when none is named. Raises ScheduleError."""
    if not name:
        return ZoneInfo("UTC")
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ScheduleError(f"unknown time zone {name}") from error
