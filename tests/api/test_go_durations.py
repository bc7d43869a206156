"""Durations in Go's notation."""

import pytest

from kajitori.api.go_durations import duration_ns


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0", 0),
        ("1h2m3.5s", 3_723_500_000_000),
        (".5s", 500_000_000),
        ("1.s", 1_000_000_000),
        ("-3ms", -3_000_000),
        ("+1us1ns", 1_001),
        ("9223372036854775807ns", 2**63 - 1),
        ("-9223372036854775808ns", -(2**63)),
    ],
)
def test_what_go_reads_is_read(text: str, ns: int) -> None:
    assert duration_ns(text) == ns


@pytest.mark.parametrize(
    "text", ["", "-", "1", "s", ".s", "1 s", "1d", "1h ", "--1s", "9223372036854775808ns", "9" * 21 + "h"]
)
def test_other_texts_are_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="invalid duration"):
        duration_ns(text)
