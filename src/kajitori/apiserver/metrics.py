"""/metrics: a few of upstream's, counted in plain dictionaries and rendered only when somebody scrapes."""

from bisect import bisect_left
from collections.abc import Callable, Iterable

from kajitori.apiserver.http_types import Response

BUCKETS_S = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60)
RequestKey = tuple[str, str, str, str, str]
"""verb, group, version, resource, subresource"""

_REQUEST_LABELS = ("verb", "group", "version", "resource", "subresource")
Gauge = Callable[[], Iterable[tuple[dict[str, str], float]]]


class _Histogram:
    __slots__ = ("buckets", "count", "sum")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKETS_S) + 1)
        self.count = 0
        self.sum = 0.0


class Metrics:
    def __init__(self) -> None:
        self._totals: dict[tuple[RequestKey, int], int] = {}
        self._durations: dict[RequestKey, _Histogram] = {}
        self._gauges: dict[str, tuple[str, Gauge]] = {}

    def observe(self, key: RequestKey, code: int, duration_s: float) -> None:
        total = (key, code)
        self._totals[total] = self._totals.get(total, 0) + 1
        histogram = self._durations.get(key)
        if histogram is None:
            histogram = self._durations[key] = _Histogram()
        histogram.buckets[bisect_left(BUCKETS_S, duration_s)] += 1
        histogram.count += 1
        histogram.sum += duration_s

    def gauge(self, name: str, help: str, read: Gauge) -> None:
        """A value that is read when it is scraped."""
        self._gauges[name] = (help, read)

    def render(self) -> Response:
        lines = [
            "# HELP apiserver_request_total Requests by verb, resource and code.",
            "# TYPE apiserver_request_total counter",
        ]
        for (key, code), count in self._totals.items():
            lines.append(f"apiserver_request_total{_labels(key, code=str(code))} {count}")
        name = "apiserver_request_duration_seconds"
        lines += [f"# HELP {name} From the request's last byte to the answer.", f"# TYPE {name} histogram"]
        for key, histogram in self._durations.items():
            running = 0
            for bound, count in zip((*BUCKETS_S, "+Inf"), histogram.buckets, strict=True):
                running += count
                lines.append(f"{name}_bucket{_labels(key, le=str(bound))} {running}")
            lines.append(f"{name}_sum{_labels(key)} {histogram.sum:.9f}")
            lines.append(f"{name}_count{_labels(key)} {histogram.count}")
        for gauge, (help, read) in self._gauges.items():
            lines += [f"# HELP {gauge} {help}", f"# TYPE {gauge} gauge"]
            lines += [f"{gauge}{_braces(labels)} {value:g}" for labels, value in read()]
        return Response(200, ("\n".join(lines) + "\n").encode(), "text/plain; version=0.0.4; charset=utf-8")


def _labels(key: RequestKey, **more: str) -> str:
    return _braces(dict(zip(_REQUEST_LABELS, key, strict=True)) | more)


def _braces(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    escaped = (f'{k}="{v}"' for k, v in ((k, v.replace("\\", "\\\\").replace('"', '\\"')) for k, v in labels.items()))
    return "{" + ",".join(escaped) + "}"
