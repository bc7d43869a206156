"""Forms of texts, in upstream's words (seen on a live v1.36 API server)."""

import pytest

from kajitori.api.validation.formats import LABEL_RULE, canonical_ip_errors, cidr_errors, ip_errors, label_errors


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a-b", []), ("a.b", ["must not contain dots"]), ("A.b", [LABEL_RULE]), ("", [LABEL_RULE])],
)
def test_labels(text: str, expected: list[str]) -> None:
    assert label_errors(text) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1.2.3.4", ""),
        ("FE80::1", ""),
        ("01.2.3.4", "must not have leading 0s"),
        ("::ffff:1.2.3.4", "must not be an IPv4-mapped IPv6 address"),
        ("x", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
        ("fe80::1%eth0", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
    ],
)
def test_addresses(text: str, problem: str) -> None:
    assert ip_errors(text) == ([problem] if problem else [])


def test_newer_fields_want_the_canonical_form() -> None:
    assert canonical_ip_errors("FE80::1") == ['must be in canonical form ("fe80::1")']
    assert canonical_ip_errors("fe80::1") == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("10.0.0.0/8", ""),
        ("10.0.0.1/8", "must not have bits set beyond the prefix length"),
        ("010.0.0.0/8", "must not have leading 0s in IP or prefix length"),
        ("10.0.0.0/08", "must not have leading 0s in IP or prefix length"),
        ("::ffff:10.0.0.0/104", "must not have an IPv4-mapped IPv6 address"),
        ("10.0.0.0", "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"),
        ("10.0.0.0/255.0.0.0", "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"),
    ],
)
def test_ranges(text: str, problem: str) -> None:
    assert cidr_errors(text) == ([problem] if problem else [])
