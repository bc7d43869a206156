"""Lengths of time as Go writes them and Kubernetes takes them: `1h30m`, `1.5s`, `-3ms` (`time.ParseDuration`)."""

import re

_SECOND_NS = 10**9
_NS_MAX = 2**63 - 1
_UNITS_NS = {
    "ns": 1, "us": 1000, "\u00b5s": 1000, "\u03bcs": 1000, "ms": 10**6,
    "s": _SECOND_NS, "m": 60 * _SECOND_NS, "h": 3600 * _SECOND_NS,
}  # fmt: skip
_PART = re.compile(r"(\d*)(?:\.(\d*))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)", re.ASCII)


def duration_ns(text: str) -> int:
    """Nanoseconds, within 64 bits. Raises ValueError."""
    sign, rest = (-1, text[1:]) if text[:1] == "-" else (1, text[1:] if text[:1] == "+" else text)
    if rest == "0":
        return 0
    total, at = 0, 0
    while at < len(rest):
        match = _PART.match(rest, at)
        if match is None or not (match[1] or match[2]) or len(match[1]) > 20:
            raise ValueError(f'time: invalid duration "{text}"')
        unit = _UNITS_NS[match[3]]
        fraction = (match[2] or "")[:18]
        total += int(match[1] or 0) * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)
        at = match.end()
    if not rest or not -_NS_MAX - 1 <= sign * total <= _NS_MAX:
        raise ValueError(f'time: invalid duration "{text}"')
    return sign * total
