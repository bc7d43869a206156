"""Cron schedules of five fields, with names, ranges, steps and `@hourly` and its sisters (crontab(5)).

The messages are those of the library upstream uses, because kubectl shows them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

_MONTHS = {
    name: i
    for i, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)
}
_WEEKDAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_DAYS_SEARCHED = 5 * 366


class InvalidSchedule(ValueError):
    """In words for the user."""


@dataclass(frozen=True, slots=True)
class _Bounds:
    least: int
    most: int
    names: Mapping[str, int]


_BOUNDS = (
    _Bounds(0, 59, {}),
    _Bounds(0, 23, {}),
    _Bounds(1, 31, {}),
    _Bounds(1, 12, _MONTHS),
    _Bounds(0, 6, _WEEKDAYS),
)


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """Which minutes, hours, days of the month, months and weekdays (Sunday is 0). When both kinds of day are
    restricted, either suffices."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool

    def next_after(self, moment: datetime) -> datetime | None:
        """The first time after `moment`, in its time zone; None when there is none within five years."""
        first = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
        day = first.replace(hour=0, minute=0)
        for _ in range(_DAYS_SEARCHED):
            if self._on(day):
                for hour in sorted(self.hours):
                    for minute in sorted(self.minutes):
                        candidate = day.replace(hour=hour, minute=minute)
                        if candidate >= first:
                            return candidate
            day += timedelta(days=1)
        return None

    def _on(self, day: datetime) -> bool:
        if day.month not in self.months:
            return False
        of_month, of_week = day.day in self.days, (day.weekday() + 1) % 7 in self.weekdays
        return of_month and of_week if self.any_day or self.any_weekday else of_month or of_week


def parse_cron(text: str) -> CronSchedule:
    """Raises InvalidSchedule."""
    if not text:
        raise InvalidSchedule("empty spec string")
    if text.startswith("@"):
        if text not in _NICKNAMES:
            raise InvalidSchedule(f"unrecognized descriptor: {text}")
        text = _NICKNAMES[text]
    fields = text.split()
    if len(fields) != len(_BOUNDS):
        raise InvalidSchedule(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    minutes, hours, days, months, weekdays = (_field(f, b) for f, b in zip(fields, _BOUNDS, strict=True))
    return CronSchedule(minutes, hours, days, months, weekdays, _is_star(fields[2]), _is_star(fields[4]))


def _is_star(field: str) -> bool:
    return any(part in ("*", "?") or part.startswith(("*/", "?/")) for part in field.split(","))


def _field(field: str, bounds: _Bounds) -> frozenset[int]:
    found: set[int] = set()
    for part in filter(None, field.split(",")):
        found |= set(_range(part, bounds))
    return frozenset(found)


def _range(part: str, bounds: _Bounds) -> range:
    pieces = part.split("/")
    ends = pieces[0].split("-")
    alone = len(ends) == 1
    if ends[0] in ("*", "?"):
        start, end = bounds.least, bounds.most
    else:
        start = _number(ends[0], bounds.names)
        if len(ends) > 2:
            raise InvalidSchedule(f"too many hyphens: {part}")
        end = start if alone else _number(ends[1], bounds.names)
    step = 1
    if len(pieces) == 2:
        step = _number(pieces[1], {})
        if alone and ends[0] not in ("*", "?"):
            end = bounds.most
    elif len(pieces) > 2:
        raise InvalidSchedule(f"too many slashes: {part}")
    if start < bounds.least:
        raise InvalidSchedule(f"beginning of range ({start}) below minimum ({bounds.least}): {part}")
    if end > bounds.most:
        raise InvalidSchedule(f"end of range ({end}) above maximum ({bounds.most}): {part}")
    if start > end:
        raise InvalidSchedule(f"beginning of range ({start}) beyond end of range ({end}): {part}")
    if step == 0:
        raise InvalidSchedule(f"step of range should be a positive number: {part}")
    return range(start, end + 1, step)


def _number(text: str, names: Mapping[str, int]) -> int:
    named = names.get(text.lower())
    if named is not None:
        return named
    if not (text.isascii() and text.removeprefix("+").removeprefix("-").isdigit()):
        raise InvalidSchedule(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    number = int(text)
    if number < 0:
        raise InvalidSchedule(f"negative number ({number}) not allowed: {text}")
    return number
