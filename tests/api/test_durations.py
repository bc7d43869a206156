"""Spans as kubectl shows them."""

import pytest

from kajitori.api.durations import human_duration, time_since

_M, _H, _D, _Y = 60, 3600, 86400, 365 * 86400


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (5 * _M + 3, "5m3s"),
        (10 * _M + 3, "10m"),
        (179 * _M, "179m"),
        (3 * _H, "3h"),
        (7 * _H + 5 * _M, "7h5m"),
        (8 * _H + 5 * _M, "8h"),
        (47 * _H, "47h"),
        (48 * _H, "2d"),
        (3 * _D + 4 * _H, "3d4h"),
        (8 * _D + 4 * _H, "8d"),
        (729 * _D, "729d"),
        (2 * _Y, "2y"),
        (2 * _Y + 3 * _D, "2y3d"),
        (9 * _Y + 3 * _D, "9y"),
    ],
)
def test_two_units_at_most_and_ever_coarser(seconds, shown):
    assert human_duration(seconds) == shown


def test_since_a_timestamp():
    assert time_since("1970-01-01T00:00:10Z", 70.5) == "60s"
    assert time_since(None, 70.0) == "<unknown>"
