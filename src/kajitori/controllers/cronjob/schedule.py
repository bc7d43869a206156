"""Cron schedules on the clocks of a time zone. Pure.

Where clocks go forward, a moment that does not exist is left out; where they go back, one that occurs twice counts
once.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from kajitori.api.cron import CronSchedule


class UnknownTimeZone(ValueError):
    """The message names the zone."""


def next_after(schedule: CronSchedule, moment_s: float, zone: ZoneInfo) -> float | None:
    """The first scheduled moment after `moment_s` (epoch seconds), None if there is none in sight."""
    local: datetime | None = datetime.fromtimestamp(moment_s, zone).replace(tzinfo=None)
    while local is not None and (local := schedule.next_after(local)) is not None:
        found = local.replace(tzinfo=zone)
        exists = found.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local
        if exists and found.timestamp() > moment_s:
            return found.timestamp()
    return None


def zone_of(name: str | None) -> ZoneInfo:
    """UTC when none is named."""
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError) as error:
        raise UnknownTimeZone(f"unknown time zone {name}") from error
