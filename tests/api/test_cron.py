"""When a schedule fires next."""

from datetime import UTC, datetime

import pytest

from kajitori.api.cron import parse_cron


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("*/5 * * * *", "2026-01-01T00:00:00", "2026-01-01T00:05:00"),
        ("*/5 * * * *", "2026-01-01T00:04:59", "2026-01-01T00:05:00"),
        ("0 9-17/4 * * mon-fri", "2026-01-02T17:00:00", "2026-01-05T09:00:00"),
        ("30 2 29 2 *", "2026-01-01T00:00:00", "2028-02-29T02:30:00"),
        ("0 0 13 * 5", "2026-01-01T00:00:00", "2026-01-02T00:00:00"),
        ("@monthly", "2026-01-15T00:00:00", "2026-02-01T00:00:00"),
        ("15 10 * jan,jul *", "2026-01-31T11:00:00", "2026-07-01T10:15:00"),
    ],
)
def test_next(schedule, after, expected):
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    assert parse_cron(schedule).next_after(moment) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_never():
    assert parse_cron("0 0 30 2 *").next_after(datetime(2026, 1, 1, tzinfo=UTC)) is None
