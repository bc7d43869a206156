"""What a scraper reads: Prometheus' text format, or OpenMetrics when it asks for that."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Labels = dict[str, str]
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Distribution:
    """`counts[i]` observations were at most `bounds[i]` and above the bound before; the last were above all."""

    bounds: Sequence[float]
    counts: Sequence[int]
    sum: float


Sample = tuple[Labels, float | Distribution]


@dataclass(frozen=True, slots=True)
class Family:
    """A metric and where its values come from when somebody scrapes. Counters are named `..._total`, but for the
    oldest of upstream's, which only OpenMetrics names so."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    read: Callable[[], Iterable[Sample]]


def wants_open_metrics(accept: str) -> bool:
    return "application/openmetrics-text" in accept


def exposition(families: Iterable[Family], open_metrics: bool) -> bytes:
    """Families without a value are left out, as upstream does."""
    lines: list[str] = []
    for family in families:
        samples = list(family.read())
        if samples:
            name = shown = family.name
            if open_metrics and family.kind == "counter":
                name = name.removesuffix("_total")
                shown = f"{name}_total"
            lines += [f"# HELP {name} {_escaped(family.help)}", f"# TYPE {name} {family.kind}"]
            for labels, value in samples:
                if isinstance(value, Distribution):
                    lines += _histogram(family.name, labels, value, open_metrics)
                else:
                    lines.append(f"{shown}{_braces(labels)} {_number(value)}")
    if open_metrics:
        lines.append("# EOF")
    return ("\n".join(lines) + "\n").encode()


def _histogram(name: str, labels: Labels, found: Distribution, open_metrics: bool) -> list[str]:
    lines, running = [], 0
    for bound, count in zip((*found.bounds, None), found.counts, strict=True):
        running += count
        le = "+Inf" if bound is None else str(float(bound)) if open_metrics else f"{bound:.15g}"
        lines.append(f"{name}_bucket{_braces({**labels, 'le': le})} {running}")
    return [*lines, f"{name}_sum{_braces(labels)} {_number(found.sum)}", f"{name}_count{_braces(labels)} {running}"]


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.15g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _braces(labels: Labels) -> str:
    if not labels:
        return ""
    quoted = (f'{name}="{_escaped(value).replace(chr(34), chr(92) + chr(34))}"' for name, value in labels.items())
    return "{" + ",".join(quoted) + "}"
