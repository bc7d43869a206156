"""The table of agreement: from what the comparing program prints to the page."""

import pytest
from bench.agreement import Agreement, table, with_table

PRINTED = """   | 3 | Pod: x | object | 201 | object
defaulting-v1.36.jsonl: 86 cases; status 97.7 %, reason 97.7 %, causes 97.7 %, everything 82.6 %
"""


def test_a_summary_is_read() -> None:
    assert Agreement.of(PRINTED) == Agreement("defaulting", 86, "97.7", "97.7", "97.7", "82.6")


def test_output_without_a_summary_is_an_error() -> None:
    with pytest.raises(ValueError, match="no summary"):
        Agreement.of("Traceback")


def test_only_the_table_of_the_page_changes() -> None:
    page = "before\n<!-- agreement: begin -->\nold\n<!-- agreement: end -->\nafter\n"
    new = with_table(page, table([Agreement.of(PRINTED)]))
    assert new.startswith("before\n<!-- agreement: begin -->\n| recording |")
    assert new.endswith("| defaulting | 86 | 97.7 % | 97.7 % | 97.7 % | 82.6 % |\n<!-- agreement: end -->\nafter\n")
    assert with_table(new, table([Agreement.of(PRINTED)])) == new
